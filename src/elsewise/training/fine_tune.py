"""Fine-tune an encoder with `transformers.Trainer`: cross-entropy on logits, in batches of similar length.

The learning rate of the new head is ten times that of the body. Early stopping uses the log loss of the tune rows at
*their best temperature*, because a temperature is fitted afterwards anyway. The plain log loss stops too early, when
the model is overconfident and still improves.
"""

import hashlib
import math
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import label_word
from elsewise.calibrators import PriorCorrection
from elsewise.data.splits import LabelledTexts
from elsewise.engines.tokenizer import TextTokenizer, Tokens
from elsewise.engines.torch import TorchModel, last_linear, plain_tokenizer
from elsewise.errors import InputError, need
from elsewise.messages.wording import listed
from elsewise.progress import Note, Progress
from elsewise.storage.json_files import Json
from elsewise.training.checkpoint_folder import Checkpoints
from elsewise.training.checkpoints import CheckpointCallback, read_weights, set_weights, weights_of, write_trained
from elsewise.training.encoder import Learner
from elsewise.training.pace import Pace, measured_pace
from elsewise.training.settings import BATCH_SIZES, Training
from elsewise.training.tether import Tether
from elsewise.training.trainer import Reporter, trainer_of

torch = need("torch", extra="train")

ADAM_COPIES: Final = 4  # of the weights in a checkpoint: themselves, two moments, and the best so far
MODEL_COPIES: Final = 2.5  # of the weights in a model folder: for transformers, as float32 of an engine, and as int8


def train(
    learner: Learner,
    rows: LabelledTexts,
    tune: LabelledTexts,
    how: Training,
    progress: Progress | None = None,
    *,
    checkpoints: Checkpoints | None = None,
    note: Note | None = None,
    planned: Callable[[Pace], None] | None = None,
) -> TorchModel:
    """Fine-tune on `rows`; return the model, in float32, of the epoch with the best tune log loss.

    Parameters
    ----------
    learner : Learner
        Its model is trained in place and returned.
    rows, tune : LabelledTexts
        Codes 0..k-1; without tune rows the last epoch is taken.
    how : Training
        Settings, resolved.
    progress : callable, optional
        Called with (words, steps done, steps in all).
    checkpoints : Checkpoints, optional
        Where checkpoints are written. Training continues from the last one, to the same weights bit for bit in float32
        on the same machine.
    note : callable, optional
        Called with words: the checkpoint it continues from, and how long training may take.
    planned : callable, optional
        Called with the `Pace` of the steps before the first one, in place of `note`.

    Raises
    ------
    InputError
        If the encoder reads nothing in any text of `rows`, training diverges, the disk has too little space,
        a class weight is of no label, or checkpoints have different settings.
    ArtifactError
        If a checkpoint is damaged or foreign.
    """
    model = learner.model.model
    examples, tuning = (_examples(learner.tokenize, part) for part in (rows, tune))
    if not examples:
        none = f"the encoder reads nothing in any of {len(rows)} training texts"
        raise InputError(f"{none}; check the text column, or take another encoder")
    settings = _settings(model, examples, tuning, how)
    found = checkpoints.checked(settings) if checkpoints else None
    if found and note:
        note(_continues(*found))
    if found and found[1]["trained"]:
        set_weights(model, read_weights(found[0]))
        return learner.model
    size = sum(tensor.nbytes for tensor in weights_of(model).values())
    if checkpoints:
        checkpoints.check_space(ADAM_COPIES * size, int(MODEL_COPIES * size))
    weights = _class_weights(how.class_weights, rows.codes, model.config.id2label)
    if weights is not None and last_linear(model).bias is None:
        raise InputError(f"class_weights: the last layer of {type(model).__name__} has no bias to correct them in")
    callback = CheckpointCallback(model, how.patience or 3, checkpoints, settings, found[0] if found else None)
    tell = planned or (note and (lambda pace: note(pace.sentence)))
    trained = _trained(learner, examples, tuning, how, weights, callback, progress, tell)
    if weights is not None:
        trained = trained.folded(PriorCorrection(1 / weights))
    if checkpoints:
        steps = (how.epochs or 1) * math.ceil(len(examples) / (how.batch_size or BATCH_SIZES[0]))
        write_trained(trained.model, checkpoints, steps, settings)
    return trained


def _trained(
    learner: Learner, examples: list[Any], tuning: list[Any], how: Training, weights: NDArray[np.float64] | None,
    callback: CheckpointCallback, progress: Progress | None, tell: Callable[[Pace], None] | None,
) -> TorchModel:  # fmt: skip
    """Run the Trainer, and return the model with the best weights."""
    callbacks = [callback, *([Reporter(progress)] if progress else [])]
    with tempfile.TemporaryDirectory(prefix="elsewise-training-") as work:
        trainer = trainer_of(learner, examples, tuning, how, weights, callbacks, work, _tether(learner, examples, how))
        if tell:
            if progress:
                progress("measuring the speed", 0, 0)
            tell(measured_pace(trainer, len(tuning), callback.start))
        trainer.train(resume_from_checkpoint=None if callback.start is None else str(callback.start))
    if callback.best is not None:
        set_weights(learner.model.model, callback.best)
    plain_tokenizer(learner.tokenizer)  # the collator pads through it
    # As it was before training: accelerate leaves its autocast on `forward`, and answers would stay in bfloat16.
    trained = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    return replace(learner.model, model=trained.eval())


def _tether(learner: Learner, examples: list[Any], how: Training) -> Tether | None:
    """Embed the examples, before any of them is learnt, and number them."""
    if not how.tether:
        return None
    for row, example in enumerate(examples):
        example["row"] = row
    tokens = Tokens.of([example["input_ids"] for example in examples])
    return Tether.of(learner, tokens, how.tether, how.precision)


def _settings(model: Any, examples: list[Any], tuning: list[Any], how: Training) -> Json:
    """Return everything that the trained weights depend on, causes first: messages name the first difference."""
    rows = [[part["input_ids"], part["labels"]] for part in (*examples, *tuning)]
    started = hashlib.sha256()
    for name, tensor in weights_of(model).items():
        started.update(name.encode() + tensor.cpu().numpy().tobytes())
    weights = dict(how.class_weights) if isinstance(how.class_weights, Mapping) else how.class_weights
    return {
        **{name: getattr(how, name) for name in ("encoder", "max_length", "seed")},
        "rows": hashlib.sha256(repr((len(examples), rows, model.config.id2label)).encode()).hexdigest(),
        **asdict(replace(how, class_weights=None, windows=1)),
        "class_weights": weights,
        "initial weights": started.hexdigest(),
        **{name: version(name) for name in ("elsewise", "torch", "transformers")},
    }


def _continues(checkpoint: Path, description: Json) -> str:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(checkpoint.stat().st_mtime))
    if description["trained"]:
        return f"the weights of this model are already trained ({checkpoint}, of {when}); training is skipped"
    step, steps = description["step"], description["steps"]
    return f"training continues from step {step:,} of {steps:,} ({checkpoint}, of {when})"


def _class_weights(
    wanted: str | Mapping[str, float] | None, codes: NDArray[np.int64], labels: Mapping[int, str]
) -> NDArray[np.float64] | None:
    """Return a weight for each label, with a mean of 1 over the rows, which keeps the meaning of the learning rate."""
    if wanted is None:
        return None
    counts = np.bincount(codes, minlength=len(labels)).astype(np.float64)
    if isinstance(wanted, str):
        weights = 1 / np.maximum(counts, 1)
    else:
        given = {label_word(label) or str(label): weight for label, weight in wanted.items()}
        unknown = sorted(given.keys() - set(labels.values()))
        if unknown:
            known = listed(labels.values())
            raise InputError(f"class_weights: {unknown[0]!r} is no label of the data; the labels are {known}")
        weights = np.array([given.get(labels[code], 1.0) for code in range(len(labels))], dtype=np.float64)
    if not (np.isfinite(weights).all() and (weights > 0).all()):
        bad = labels[int(np.argmin(np.isfinite(weights) & (weights > 0)))]
        raise InputError(f"class_weights must be positive, got {given[bad]} for {bad!r}")
    return weights * counts.sum() / (weights @ counts)


def _examples(tokenize: TextTokenizer, rows: LabelledTexts) -> list[dict[str, list[int] | int]]:
    """Give the readable texts as examples; engines answer no others."""
    tokens = tokenize(rows.texts)
    columns = zip(tokens, rows.codes.tolist(), tokens.hold_any_but(tokenize.special).tolist(), strict=True)
    return [{"input_ids": ids.tolist(), "labels": code} for ids, code, is_read in columns if is_read]
