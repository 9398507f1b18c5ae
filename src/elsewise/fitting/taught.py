"""Steps of `fit`: open the encoder, learn what can be learnt at once, train, and choose the engine that answers."""

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from elsewise.arrays import Codes, Floats
from elsewise.data.checks import examine, warn
from elsewise.data.defaults import PARTS
from elsewise.data.splits import DividedTexts
from elsewise.engines import kind_of
from elsewise.engines.encoder_facts import most_tokens
from elsewise.engines.encoders import standing_for
from elsewise.engines.files import ModelFiles
from elsewise.engines.multilingual import MULTILINGUAL
from elsewise.engines.token_counts import TokenCounts
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import InputError
from elsewise.fitting.baseline import MOST_LABELS
from elsewise.fitting.certify import Promise, sampled
from elsewise.fitting.engine_choice import Rows, Serving, precisions_to_try, serving
from elsewise.fitting.engines_to_try import Wanted
from elsewise.fitting.long_texts import read_whole
from elsewise.fitting.opinions import Opinions, learn_opinions, with_opinions
from elsewise.fitting.text_model import TextModel, folded
from elsewise.fitting.time_left import Cost, TimeLeft, costs_of
from elsewise.fitting.uncertainty import UncertaintyMethod, in_scope
from elsewise.messages.wording import listed, percent
from elsewise.progress import Note, Progress, counting
from elsewise.storage.json_files import Json
from elsewise.training.checkpoint_folder import Unfinished, member_of
from elsewise.training.saved_folder import labels_of_head
from elsewise.training.settings import Training

if TYPE_CHECKING:
    from elsewise.engines.torch import TorchModel
    from elsewise.training.encoder import Learner


def opened_encoder(
    divided: DividedTexts, how: Training, wanted: Wanted, promise: Promise, unfinished: Unfinished | None,
    note: Note | None, *, trains: bool,
) -> "tuple[Learner, Training, Wanted]":  # fmt: skip
    """Open the encoder, complete the settings, and warn of what `check` finds, and of a head that is left behind.

    InputError for an encoder that none of the wanted engines computes; the others are left out.
    """
    from elsewise.training.encoder import prepare  # noqa: PLC0415  torch
    from elsewise.training.onnx_graph import check_exportable  # noqa: PLC0415  torch

    first = member_of(unfinished, 0)
    before = first.settings() if first else None
    if before and how.precision == "auto":  # measured before; a new measurement could differ
        how = replace(how, precision=before["precision"])
    learner = prepare(divided.names, how)
    wanted = wanted.computing(learner.model.model.config.to_dict())
    if trains and kind_of(wanted.first).runs_graph:
        check_exportable(learner)
    positions = most_tokens(learner.model.model)
    limits = (how.max_length, positions) if learner.windows is None else (learner.reads.max_length, None)
    tokenizer = (learner.tokenizer.backend_tokenizer, how.encoder, *limits)
    warn(examine(divided, promise.tested, tokenizer=tokenizer).findings)
    if note and len(own := labels_of_head(how.encoder)) > 1:
        left = f"{how.encoder} is a classifier already: its head, for {listed(map(repr, own))}, is left behind"
        note(f"{left}; to keep it: elsewise calibrate {shlex.quote(how.encoder)} HELD_OUT -o MODEL")
    return learner, how.resolved(len(divided.parts.train), learner.model.model.config.hidden_size), wanted


@contextmanager
def encoder_of(how: Training, divided: DividedTexts, progress: Progress, note: Note | None) -> Iterator[None]:
    """Make the multilingual encoder for these texts, if it is the one that is asked for, and keep it for a while."""
    if how.encoder != MULTILINGUAL:
        yield
        return
    from elsewise.training.multilingual import write_encoder  # noqa: PLC0415  torch

    progress("unpacking the encoder", 0, 0)
    with TemporaryDirectory() as place:
        cut = write_encoder(Path(place), divided.rows.texts)
        if note:
            note(str(cut))
        with standing_for(MULTILINGUAL, Path(place)):
            yield


@dataclass(frozen=True, slots=True, eq=False)
class Taught:
    """The texts of train, tune and certify rows as tokens, and what can be learnt from them before any training.

    `frozen` are the logits (n, k) of tune rows by the encoder as it came; None where that is left out.
    """

    learner: "Learner"
    train: Tokens
    tune: Tokens
    certify: Tokens
    quantised: Tokens
    opinions: Opinions
    frozen: Floats | None

    def costs(self, divided: DividedTexts, wanted: Wanted, **asked: Any) -> dict[str, Cost]:
        """Give what each stage after the training costs; `asked` as in `costs_of`."""
        sizes = {part: len(getattr(divided.parts, part)) for part in PARTS}
        layers = getattr(self.learner.model.model.config, "num_hidden_layers", 6)
        rows = Rows(self.tune, divided.parts.tune.codes, self.quantised)
        precisions = precisions_to_try(wanted, wanted.first, rows)
        return costs_of(sizes, layers, precisions, graph=kind_of(wanted.first).runs_graph, **asked)

    def counts(self, divided: DividedTexts, seed: int) -> TokenCounts | None:
        """Give the token counts that were learnt as an opinion, or learn them; None for more labels than that takes."""
        if self.opinions.counts is not None or len(divided.names) > MOST_LABELS:
            return self.opinions.counts
        codes = divided.parts.train.codes
        rows = sampled(codes, seed)
        return TokenCounts.learn(self.train.take(rows), codes[rows], len(divided.names), self.learner.tokenize.special)


def taught_by(
    learner: "Learner", how: Training, divided: DividedTexts, progress: Progress | None, note: Note | None, *,
    asked: bool, serves_it: bool,
) -> Taught:  # fmt: skip
    """Tokenise the rows, and learn what may be asked beside the fine-tuned model; say what it reaches.

    Nothing is learnt where nothing is `asked` and the encoder as it came is not the one that is served.
    """
    from elsewise.training.int8 import quantise_rows  # noqa: PLC0415  torch

    parts, opinions, frozen = divided.parts, Opinions(), None
    train = learner.tokenize(parts.train.texts)
    tune, certify = (learner.reads(part.texts) for part in (parts.tune, parts.certify))
    if asked or serves_it:
        rows = sampled(parts.train.codes, how.seed)
        known = train.take(rows), parts.train.codes[rows]
        with counting(progress, "teaching the encoder as it came", len(rows)):
            opinions = learn_opinions(learner, how, known, divided.names, parts.tune.codes, note, serves_it=serves_it)
        opinions = opinions if asked else replace(opinions, counts=None)
        if opinions.as_it_came is not None:
            frozen = learner.outputs(opinions.as_it_came.model, tune).logits
            _say_what_it_reaches(frozen, parts.tune.codes, note)
    quantised = quantise_rows(train, np.random.default_rng(how.seed))
    return Taught(learner, train, tune, certify, quantised, opinions, frozen)


def _say_what_it_reaches(logits: Floats, codes: Codes, note: Note | None) -> None:
    right, count = int((logits.argmax(axis=1) == codes).sum()), int((codes >= 0).sum())
    if note and count:
        note(f"without fine-tuning, {percent(right / count)} of {count:,} tune rows get the right label")


def as_it_came(taught: Taught, divided: DividedTexts, note: Note | None = None) -> TextModel:
    """Take the encoder as it came for the model; InputError where it could not be taught."""
    second = taught.opinions.as_it_came
    if second is None or taught.frozen is None:
        raise InputError("quick=True serves the encoder as it came, and that is left out here; fit without it")
    if note:
        note("the encoder as it came is served, without fine-tuning")
    logits = taught.frozen
    if taught.learner.longer is not None:
        learner, outputs = read_whole(taught.learner, second.model, taught.tune, divided.parts.tune.codes, note)
        taught, logits = replace(taught, learner=learner), outputs.logits
    model = _text_model(taught, second.model, divided, Opinions(taught.opinions.counts), logits)
    return replace(model, features=second.embedding.astype(np.float32))


def trained(
    taught: Taught, divided: DividedTexts, how: Training, unfinished: Unfinished | None, timed: TimeLeft,
    note: Note | None,
) -> TextModel:  # fmt: skip
    """Train the encoder on train rows, and calibrate it on tune rows."""
    from elsewise.training.fine_tune import train  # noqa: PLC0415  torch

    parts, before = divided.parts, member_of(unfinished, 0)
    model = train(
        taught.learner, parts.train, in_scope(parts.tune), how, timed, checkpoints=before, note=note,
        planned=timed.plan if timed.is_heard else None,
    )  # fmt: skip
    timed("calibrating", 0, 0)
    learner, outputs = read_whole(taught.learner, model, taught.tune, parts.tune.codes, note)
    return _text_model(replace(taught, learner=learner), model, divided, taught.opinions, outputs.logits)


def _text_model(
    taught: Taught, model: "TorchModel", divided: DividedTexts, opinions: Opinions, logits: Floats
) -> TextModel:
    """Fold the calibrator, chosen on logits (n, k) of tune rows, into a model's last layer."""
    learner, codes = taught.learner, divided.parts.tune.codes
    files, choice = folded(model, learner, logits, codes, divided.names)
    rows, known = Rows(taught.tune, codes, taught.quantised), (taught.train, divided.parts.train.codes)
    return TextModel(files, learner.settings, choice, rows, known, taught.certify, opinions=opinions)


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """A model with the engine that answers: how it compares with others, and how it was made (JSON)."""

    model: TextModel
    best: Serving
    gate: tuple[Json, ...]
    record: Json


def served(
    model: TextModel, divided: DividedTexts, how: Training, wanted: Wanted, method: UncertaintyMethod,
    member: Callable[[int], ModelFiles], progress: Progress | None, note: Note | None, *, quick: bool,
) -> Served:  # fmt: skip
    """Choose the engine, and add other opinions or the uncertainty method."""
    best, table = serving(model.files, divided.names, model.reading, wanted, model.rows, progress=progress)
    if progress:
        progress("mixing the opinions", 0, 0)
    best, worth = with_opinions(best, model.opinions, model.rows, note)
    record = {"training": {**asdict(how), **method.record, "quick": quick}, **worth}
    return Served(model, *method.added_to(best, table, model.rows, model.known[0], member), record)
