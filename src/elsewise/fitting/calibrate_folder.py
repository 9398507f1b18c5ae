"""From a fine-tuned folder and labelled texts that are new to it to a certified classifier: no weight is trained.

tune -> calibrator, engine, score, grid    certify -> threshold + certificate    test -> evaluation

The texts that the model was trained on are unknown. Distances are measured from half of the tune rows instead, and the
other half chooses the score and places the grid. int8 is calibrated on the first half too.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from elsewise.classifier.classifier import Classifier
from elsewise.data.model_labels import settle_labels
from elsewise.data.splits import DividedTexts, Pairs, as_pairs
from elsewise.errors import InputError
from elsewise.fitting.certify import Promise, Words, check_tune_rows, evaluated, halves, warn_of_promise
from elsewise.fitting.engine_choice import Rows, serving
from elsewise.fitting.engines_to_try import Wanted
from elsewise.fitting.fit_external import divide_for
from elsewise.fitting.long_texts import read_whole
from elsewise.fitting.text_model import TextModel, certified_text_model, folded
from elsewise.messages.wording import counted, percent
from elsewise.progress import Note, Progress

if TYPE_CHECKING:
    from elsewise.training.encoder import Learner


def calibrate_folder(
    folder: str, rows: Pairs, promise: Promise, words: Words, *,
    names: Iterable[Any] | None = None, test: Pairs | None = None, count_repeats: bool = False,
    keep_refit_rows: bool = True, engine: str = "auto", precision: str = "auto", windows: int = 1,
    seed: int = 0, progress: Progress | None = None, note: Note | None = None,
) -> Classifier:  # fmt: skip
    """Calibrate and certify a fine-tuned folder, as `elsewise.calibrate` does.

    Parameters
    ----------
    folder : str
        A sequence classification model as `save_pretrained` wrote it, with its tokenizer.
    rows, test : (texts, labels), or (texts, labels, groups, times)
        n rows that the model was not trained on, 25 % tune, 50 % certify, 25 % test; with `test`, one third and two
        thirds.
    promise, words
        What is certified, and the words for texts without a label.
    names : k strings, optional
        What to call the model's labels, in the order of its codes.
    count_repeats, keep_refit_rows, engine, precision, windows, seed, progress, note
        As in `elsewise.fit`.

    Raises
    ------
    InputError
        If the folder holds no such model, or a row has a label that the model does not have.
    """
    from elsewise.training.trained_folder import open_trained, or_wrapped  # noqa: PLC0415  torch

    wanted = Wanted.of(engine, precision)
    say = note or (lambda _: None)
    if windows < 1:
        raise InputError(f"windows must be at least 1, got {windows}")
    learner, own = open_trained(folder)
    learner = learner.in_windows(windows)
    wanted = wanted.computing(learner.model.model.config.to_dict())
    kind, longest = type(learner.model.model).__name__, learner.tokenize.max_length
    say(f"{folder}: {kind}, {counted(len(own), 'label')}, reads up to {longest:,} tokens of a text")
    given = [rows] if test is None else [rows, as_pairs(test, "test")]
    labels, read = settle_labels(own, [part[1] for part in given], names, words.out_of_scope_label)
    fresh, *more = [(part[0], said, *part[2:]) for part, said in zip(given, read, strict=True)]
    tested = more[0] if more else None
    divided = divide_for(labels, fresh, promise, words, seed, note, test=tested, count_repeats=count_repeats)
    model = _calibrated(learner, divided, seed, say, progress)
    record = {"model": {"folder": folder, "kind": kind, "max_length": longest}}
    with or_wrapped(folder):
        best, gate = serving(model.files, divided.names, model.reading, wanted, model.rows, progress=progress)
    made = certified_text_model(
        model, best, gate, divided.parts, promise, words, record, seed, progress, keep_refit_rows=keep_refit_rows
    )
    warn_of_promise(made.certificate)
    return evaluated(made, divided.parts.test.texts, divided.parts.test.codes)


def _calibrated(
    learner: "Learner", divided: DividedTexts, seed: int, say: Note, progress: Progress | None
) -> TextModel:
    """Fold the calibrator in, and choose the tune rows that stand for train rows."""
    from elsewise.training.int8 import quantise_rows  # noqa: PLC0415  torch

    tune, certify = (learner.reads(part.texts) for part in (divided.parts.tune, divided.parts.certify))
    codes = divided.parts.tune.codes
    if share := float(np.concatenate([tune.truncated, certify.truncated]).mean()):
        say(f"{percent(share)} of the texts are longer than that; the rest of each is not read")
    say("the model's train rows are unknown: half of the tune rows stand for them where distances are measured")
    say("for want of train rows there is no second opinion and no baseline")
    if progress:
        progress("calibrating", 0, 0)
    learner, outputs = read_whole(learner, learner.model, tune, codes, say)
    check_tune_rows(outputs.logits, codes)
    files, choice = folded(learner.model, learner, outputs.logits, codes, divided.names)
    of_known, judging = halves(outputs, codes, seed)
    known = np.empty(0, dtype=np.int64) if of_known is None else of_known
    some = tune if of_known is None else tune.take(known)
    some = some if learner.windows is None else learner.windows.cut(some)[0]  # as long as a graph takes
    quantised = quantise_rows(some, np.random.default_rng(seed))
    known_rows = tune.take(known), codes[known]
    return TextModel(files, learner.settings, choice, Rows(tune, codes, quantised), known_rows, certify, judging)
