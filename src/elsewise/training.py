"""Fine-tune an encoder with `transformers.Trainer`: cross-entropy on logits, in batches of similar length.

The head learns ten times as fast as the body: it starts from nothing, the body does not. Early stopping
looks at the log loss of the tune rows at *their best temperature*, because a temperature is fitted
afterwards anyway: the plain log loss stops too early, when the model grows too sure and still gets better.
"""

import hashlib
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import log_softmax
from elsewise.calibrators import PriorCorrection
from elsewise.calibrators.best_temperature import best_temperature
from elsewise.checkpoints import Keeper, read_weights, set_weights, size_of, weights_of, write_trained
from elsewise.data.splits import LabelledTexts
from elsewise.engines.batching import answer
from elsewise.engines.encoders import DEFAULT_ENCODER, find_encoder
from elsewise.engines.tokenizer import TextTokenizer, Tokens
from elsewise.engines.torch import (
    TorchModel,
    is_faster_in_bf16,
    last_linear,
    plain_config,
    plain_tokenizer,
    quiet,
    text_tokenizer,
)
from elsewise.errors import InputError, need
from elsewise.outputs import Outputs
from elsewise.progress import Note, Progress
from elsewise.storage.json_files import read_json
from elsewise.training_time import left, time_words
from elsewise.unfinished import STATE, Checkpoints

torch = need("torch", extra="train")
transformers = need("transformers", extra="train")
need("accelerate", extra="train")  # the Trainer does not start without it

HEAD_SPEED: Final = 10.0
USUAL_ROWS, USUAL_EPOCHS = 15_000, 9
USUAL_WIDTH, USUAL_RATE = 384, 2e-4

TRAINING_PRECISIONS: Final = ("auto", "bf16", "f32")

BALANCED: Final = "balanced"
ADAM_COPIES: Final = 4  # of the weights in a checkpoint: themselves, two moments, and the best so far
MODEL_COPIES: Final = 2.5  # of the weights in a model folder: for transformers, as ONNX, and as int8

SHOWN_EVERY: Final = 0.2  # seconds


@dataclass(frozen=True, slots=True)
class Training:
    """How to fine-tune.

    Attributes
    ----------
    encoder : str
        A name or a folder.
    epochs : int or None
        At most so many passes; None chooses 3 to 12, fewer for more rows.
    learning_rate : float or None
        Of the body, at its peak; None chooses by its width: 2e-4 at 384 (MiniLM), 5e-5 at 768 (BERT-base).
    batch_size : int
        Texts in a step.
    patience : int
        Stop after so many epochs without a better tune log loss.
    max_length : int
        Tokens read of a text, special ones included.
    precision : {"auto", "bf16", "f32"}
        Of the body while it learns; auto is bf16 where that is faster, as measured.
    seed : int
        Of the splits, the head, dropout and the order of the texts.
    class_weights : None, "balanced" or mapping of label to weight
        How much an error on a text of each label counts while the weights learn; balanced is n / (k n_y), so that
        every label counts the same. The logits are corrected for it afterwards: probabilities are those of the
        frequencies in the data. Labels that a mapping leaves out count 1; only ratios matter.
    """

    encoder: str = DEFAULT_ENCODER
    epochs: int | None = None
    learning_rate: float | None = None
    batch_size: int = 64
    patience: int = 3
    max_length: int = 256
    precision: str = "auto"
    seed: int = 0
    class_weights: str | Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("patience", 1), ("max_length", 8)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"{name} must be at least {least}, got {value}")
        if self.learning_rate is not None and not 0 < self.learning_rate < 1:
            raise InputError(f"learning_rate must lie between 0 and 1, got {self.learning_rate}")
        if self.precision not in TRAINING_PRECISIONS:
            raise InputError(f"training is in one of {', '.join(TRAINING_PRECISIONS)}, got {self.precision!r}")
        if not (self.class_weights in (None, BALANCED) or isinstance(self.class_weights, Mapping)):
            raise InputError(
                f"class_weights must be {BALANCED!r}, or a weight for each label, got {self.class_weights!r}"
            )

    def resolved(self, rows: int, width: int) -> "Training":
        """Choose what was left open: small data is seen more often, wider encoders take smaller steps."""
        epochs = int(np.clip(round(USUAL_EPOCHS * (USUAL_ROWS / max(rows, 1)) ** 0.5), 3, 12))
        rate = float(np.clip(USUAL_RATE * (USUAL_WIDTH / width) ** 2, 2e-5, 5e-4))
        return replace(
            self,
            epochs=epochs if self.epochs is None else self.epochs,
            learning_rate=rate if self.learning_rate is None else self.learning_rate,
            precision=("bf16" if is_faster_in_bf16() else "f32") if self.precision == "auto" else self.precision,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Learner:
    """An encoder with a head for the labels, and its tokenizer.

    Attributes
    ----------
    model : TorchModel
        Trained in place.
    tokenizer : transformers.PreTrainedTokenizerFast
        As other tools will load it, without padding or truncation of its own.
    tokenize : TextTokenizer
        The same, as engines use it.
    """

    model: TorchModel
    tokenizer: Any
    tokenize: TextTokenizer

    def outputs(self, model: TorchModel, tokens: Tokens) -> Outputs:
        """Run the model that was made of this one."""
        return answer(tokens, self.tokenize, model.forward, model.widths, model.budget)


def prepare(labels: Sequence[str], how: Training) -> Learner:
    """Open the encoder with a fresh head for `labels`; the seed is set here.

    Raises
    ------
    InputError
        If the encoder is not found or cannot be used.
    """
    quiet()
    transformers.set_seed(how.seed)
    model, tokenizer = load_encoder(how.encoder, labels)
    tokenize = text_tokenizer(tokenizer, _longest(model, how.max_length))
    return Learner(TorchModel.of(model, "f32"), tokenizer, tokenize)


def train(
    learner: Learner,
    rows: LabelledTexts,
    tune: LabelledTexts,
    how: Training,
    progress: Progress | None = None,
    *,
    checkpoints: Checkpoints | None = None,
    note: Note | None = None,
) -> TorchModel:
    """Fine-tune on `rows`; return the model, in float32, of the epoch with the best tune log loss.

    Parameters
    ----------
    learner : Learner
        Prepared; its model is trained in place and is the one returned.
    rows, tune : LabelledTexts
        Codes 0..k-1; without tune rows the last epoch is taken.
    how : Training
        Settings, resolved.
    progress : callable, optional
        Called with (what is going on, steps done, steps in all).
    checkpoints : Checkpoints, optional
        Where checkpoints are written, and gone on from when there is one: the same weights come out, bit for bit in
        float32 on the same machine.
    note : callable, optional
        Called with words: what it goes on from, and how long it may take.

    Raises
    ------
    InputError
        If the encoder reads nothing in any text of `rows`, training diverges, the disk has too little space,
        a class weight is of no label, or checkpoints are of other settings.
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
        note(_goes_on(*found))
    if found and found[1]["trained"]:
        set_weights(model, read_weights(found[0]))
        return learner.model
    size = size_of(weights_of(model))
    if checkpoints:
        checkpoints.check_space(ADAM_COPIES * size, int(MODEL_COPIES * size))
    weights = _class_weights(how.class_weights, rows.codes, model.config.id2label)
    if weights is not None and last_linear(model).bias is None:
        raise InputError(f"class_weights: the last layer of {type(model).__name__} has no bias to correct them in")
    keeper = Keeper(model, how.patience, checkpoints, settings, found[0] if found else None)
    trained = _trained(learner, examples, tuning, how, weights, keeper, progress, note)
    if weights is not None:
        trained = trained.folded(PriorCorrection(1 / weights))
    if checkpoints:
        steps = (how.epochs or 1) * math.ceil(len(examples) / how.batch_size)
        write_trained(trained.model, checkpoints, steps, settings)
    return trained


def _trained(
    learner: Learner, examples: list[Any], tuning: list[Any], how: Training, weights: NDArray[np.float64] | None,
    keeper: Keeper, progress: Progress | None, note: Note | None,
) -> TorchModel:  # fmt: skip
    """Run the Trainer, and take the best weights."""
    model = learner.model.model
    with tempfile.TemporaryDirectory(prefix="elsewise-training-") as work:
        trainer = _Trainer(
            model=model,
            args=_arguments(work, bool(tuning), how),
            train_dataset=examples,
            eval_dataset=tuning or None,
            data_collator=transformers.DataCollatorWithPadding(learner.tokenizer),
            processing_class=learner.tokenizer,
            optimizers=(_optimizer(model, how.learning_rate or USUAL_RATE), None),
            compute_loss_func=_loss(weights),
            compute_metrics=partial(_best_log_loss, weights=weights),
            callbacks=[keeper, *([_Reporter(progress)] if progress else [])],
        )
        trainer.remove_callback(transformers.PrinterCallback)
        if note:
            note(_time_needed(trainer, tuning, keeper))
        trainer.train(resume_from_checkpoint=None if keeper.start is None else str(keeper.start))
    if keeper.best is not None:
        set_weights(model, keeper.best)
    plain_tokenizer(learner.tokenizer)  # the collator pads through it
    # As it was before training: accelerate leaves its autocast on `forward`, and answers would stay in bfloat16.
    trained = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    return replace(learner.model, model=trained.eval())


def _settings(model: Any, examples: list[Any], tuning: list[Any], how: Training) -> dict[str, Any]:
    """Give all that the trained weights depend on (JSON), causes first: the first that differs is told."""
    rows = [[part["input_ids"], part["labels"]] for part in (*examples, *tuning)]
    started = hashlib.sha256()
    for name, tensor in weights_of(model).items():
        started.update(name.encode() + tensor.cpu().numpy().tobytes())
    weights = dict(how.class_weights) if isinstance(how.class_weights, Mapping) else how.class_weights
    return {
        **{name: getattr(how, name) for name in ("encoder", "max_length", "seed")},
        "rows": hashlib.sha256(repr((len(examples), rows, model.config.id2label)).encode()).hexdigest(),
        **asdict(replace(how, class_weights=None)),
        "class_weights": weights,
        "initial weights": started.hexdigest(),
        **{name: version(name) for name in ("elsewise", "torch", "transformers")},
    }


def _goes_on(checkpoint: Path, description: Mapping[str, Any]) -> str:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(checkpoint.stat().st_mtime))
    if description["trained"]:
        return f"the weights are trained already ({checkpoint}, of {when}): goes on after training"
    step, steps = description["step"], description["steps"]
    return f"goes on from step {step:,} of {steps:,} ({checkpoint}, of {when})"


def _time_needed(trainer: Any, tuning: list[Any], keeper: Keeper) -> str:
    """Say how long the training may take, from a few steps that change nothing."""
    args, batches = trainer.args, trainer.batches()
    steps = args.num_train_epochs * len(batches)
    done = 0 if keeper.start is None else int(read_json(keeper.start / STATE)["global_step"])
    seconds = left(trainer, batches, len(tuning), (steps - done) / len(batches))
    epochs = f"{args.num_train_epochs} epoch{'s' * (args.num_train_epochs > 1)} of {len(batches):,} steps"
    gone = f", {steps - done:,} of them left," if done else ""
    threads = torch.get_num_threads()
    return (
        f"training takes about {time_words(seconds)}{' at most' if tuning else ''}: "
        f"{epochs}{gone} on {threads} thread{'s' * (threads > 1)}"
    )


def _class_weights(
    wanted: str | Mapping[str, float] | None, codes: NDArray[np.int64], labels: Mapping[int, str]
) -> NDArray[np.float64] | None:
    """Give a weight for each label, with a mean of 1 over the rows, so that the learning rate means what it did."""
    if wanted is None:
        return None
    counts = np.bincount(codes, minlength=len(labels)).astype(np.float64)
    if isinstance(wanted, str):
        weights = 1 / np.maximum(counts, 1)
    else:
        unknown = sorted(set(map(str, wanted)) - set(labels.values()))
        if unknown:
            raise InputError(f"class_weights: {unknown[0]!r} is no label of the data; the labels are {_few(labels)}")
        given = {str(label): weight for label, weight in wanted.items()}
        weights = np.array([given.get(labels[code], 1.0) for code in range(len(labels))], dtype=np.float64)
    if not (np.isfinite(weights).all() and (weights > 0).all()):
        bad = labels[int(np.argmin(np.isfinite(weights) & (weights > 0)))]
        raise InputError(f"class_weights must be positive, got {given[bad]} for {bad!r}")
    return weights * counts.sum() / (weights @ counts)


def _few(labels: Mapping[int, str]) -> str:
    names = list(labels.values())
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")  # noqa: PLR2004


def load_encoder(encoder: str, labels: Sequence[str]) -> tuple[Any, Any]:
    """Open an encoder with a fresh head for `labels`, and its tokenizer: safetensors only, no code from the hub.

    Raises
    ------
    InputError
        If it is not found, or is not an encoder that `transformers` can classify with.
    """
    place = find_encoder(encoder)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(place, trust_remote_code=False)
        model, found = transformers.AutoModelForSequenceClassification.from_pretrained(
            place,
            config=plain_config(
                place,
                num_labels=len(labels),
                id2label=dict(enumerate(labels)),
                label2id={label: code for code, label in enumerate(labels)},
            ),
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except Exception as error:  # transformers lets through whatever the libraries below it raise
        raise InputError(f"encoder {encoder} cannot be opened: {_reason(error)}") from error
    _check_opened(encoder, tokenizer, model, found)
    if "ForSequenceClassification" in str(model.config.architectures):  # its head knows other labels
        head = last_linear(model)
        torch.nn.init.normal_(head.weight, std=getattr(model.config, "initializer_range", 0.02))
        if head.bias is not None:
            torch.nn.init.zeros_(head.bias)
    plain_tokenizer(tokenizer)
    return model, tokenizer


def _reason(error: Exception) -> str:
    """Say in one line why an encoder cannot be opened."""
    words = str(error).strip()
    if "trust_remote_code" in words:
        return "it needs code of its own, which is never run; take one of a kind that transformers knows"
    if "no file named model.safetensors" in words:
        return "it has no model.safetensors; weights in other files may be pickles, and are never opened"
    first = words.splitlines()[0] if words else ""
    return first if first and isinstance(error, (OSError, ValueError)) else f"{type(error).__name__}: {first}"


def _check_opened(encoder: str, tokenizer: Any, model: Any, found: Mapping[str, Any]) -> None:
    """Refuse what `transformers` would make up: tokens to fill batches with, and weights of other shapes."""
    if tokenizer.pad_token is None:
        raise InputError(f"encoder {encoder} has a tokenizer without a padding token; take another encoder")
    head = {id(parameter) for parameter in last_linear(model).parameters()}
    parameters = dict(model.named_parameters())
    wrong = [name for name, *_ in found["mismatched_keys"] if id(parameters.get(name)) not in head]
    if wrong:
        raise InputError(f"encoder {encoder} has weights of other shapes than its config.json says: {wrong[0]}")


def _longest(model: Any, max_length: int) -> int:
    """Lower the limit to what the encoder has positions for."""
    positions = getattr(model.config, "max_position_embeddings", None) or max_length
    reserved = (
        (model.config.pad_token_id or 0) + 1
        if model.config.model_type in ("roberta", "xlm-roberta", "camembert")
        else 0
    )
    return min(max_length, positions - reserved)


def _examples(tokenize: TextTokenizer, rows: LabelledTexts) -> list[dict[str, Any]]:
    """Give the texts that can be read, as an engine would say: no other is ever answered."""
    tokens = tokenize(rows.texts)
    columns = zip(tokens, rows.codes.tolist(), tokens.hold_any_but(tokenize.special).tolist(), strict=True)
    return [{"input_ids": ids.tolist(), "labels": code} for ids, code, is_read in columns if is_read]


def _optimizer(model: Any, learning_rate: float) -> Any:
    head = {id(parameter) for parameter in last_linear(model).parameters()}
    groups = []
    for in_head in (False, True):
        for decays in (False, True):
            chosen = [
                p
                for p in model.parameters()
                if (id(p) in head) == in_head and (p.ndim > 1) == decays and p.requires_grad
            ]
            rate = learning_rate * (HEAD_SPEED if in_head else 1)
            groups.append({"params": chosen, "lr": rate, "weight_decay": 0.01 if decays else 0.0})
    return torch.optim.AdamW([group for group in groups if group["params"]], fused=True)  # much the fastest on a CPU


def _arguments(folder: str, has_tune: bool, how: Training) -> Any:
    return transformers.TrainingArguments(
        output_dir=folder,
        num_train_epochs=how.epochs,
        per_device_train_batch_size=how.batch_size,
        per_device_eval_batch_size=2 * how.batch_size,
        warmup_steps=0.1,
        lr_scheduler_type="linear",
        bf16=how.precision == "bf16",
        use_cpu=not torch.cuda.is_available(),
        eval_strategy="epoch" if has_tune else "no",
        save_strategy="no",  # its checkpoints hold pickles: `Keeper` writes ours
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        seed=how.seed,
        data_seed=how.seed,
    )


def _loss(weights: NDArray[np.float64] | None) -> Callable[..., Any]:
    """Give the mean cross-entropy of the logits in float32: inside autocast it would be rounded to three digits.

    With class weights it is the mean of weight times loss, and not divided by the weights that a batch happens to hold:
    only so is what is learned a known change of the label frequencies, which can be corrected.
    """
    scale = None if weights is None else torch.from_numpy(weights).float()

    def loss(outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:  # noqa: ARG001  the Trainer's call
        logits = outputs.logits.float()
        if scale is None:
            return torch.nn.functional.cross_entropy(logits, labels)
        each = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
        return (each * scale.to(labels.device)[labels]).mean()

    return loss


def _best_log_loss(prediction: Any, weights: NDArray[np.float64] | None = None) -> dict[str, float]:
    logits, codes = np.asarray(prediction.predictions, dtype=np.float32), prediction.label_ids
    if not np.isfinite(logits).all():
        raise InputError("training diverged: the logits are no longer finite; lower the learning rate")
    if weights is not None:
        logits = logits - np.log(weights).astype(np.float32)
    scaled = logits / np.float32(best_temperature(logits, codes) or 1)
    return {"log_loss": float(-log_softmax(scaled)[np.arange(len(codes)), codes].mean(dtype=np.float64))}


class _Trainer(transformers.Trainer):  # type: ignore[misc, name-defined]
    """A Trainer whose batches hold texts of similar length and come in random order.

    Its own way of grouping sorts fifty batches at a time from long to short, so that one step is much
    like the next; on 150 labels that, and a loss in bfloat16, cost accuracy.
    """

    def get_train_dataloader(self) -> Any:
        """Return the batches of an epoch; another order in every epoch."""
        batches = self.batches()
        loader = torch.utils.data.DataLoader(self.train_dataset, batch_sampler=batches, collate_fn=self.data_collator)
        return self.accelerator.prepare(loader)

    def batches(self) -> "_LengthGroups":
        """Return the rows of each batch of the first epoch."""
        lengths = np.array([len(example["input_ids"]) for example in self.train_dataset])
        return _LengthGroups(lengths, self.args.per_device_train_batch_size, self.args.seed)


class _LengthGroups:
    """Batches of indices: texts are shuffled, sorted by length within fifty batches, and the batches shuffled.

    Their order is a function of the seed and the epoch.
    """

    def __init__(self, lengths: NDArray[np.int64], batch_size: int, seed: int) -> None:
        self.lengths, self.batch_size, self.seed = lengths, batch_size, seed
        self.epoch = 0

    def __len__(self) -> int:
        return math.ceil(len(self.lengths) / self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that is given next; the Trainer's loader calls this."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng(self.seed)
        for _ in range(self.epoch):  # what the epochs before have drawn
            rng.permutation(len(self.lengths))
            rng.permutation(len(self))
        order = rng.permutation(len(self.lengths))
        window = 50 * self.batch_size
        windows = [order[start : start + window] for start in range(0, len(order), window)]
        grouped = np.concatenate([rows[np.argsort(self.lengths[rows], kind="stable")] for rows in windows])
        batches = [grouped[start : start + self.batch_size] for start in range(0, len(grouped), self.batch_size)]
        for i in rng.permutation(len(batches)):
            yield batches[i].tolist()


class _Reporter(transformers.TrainerCallback):  # type: ignore[misc, name-defined]
    """Tells `progress` about steps and epochs."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.words = "training"
        self.last = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Report a few times a second."""
        now = time.monotonic()
        if now - self.last >= SHOWN_EVERY or state.global_step == state.max_steps:
            self.last = now
            self.progress(self.words, state.global_step, state.max_steps)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kwargs: Any) -> None:  # noqa: ARG002
        """Put the tune log loss into the words."""
        self.words = f"training, epoch {round(state.epoch)}, tune log loss {metrics['eval_log_loss']:.3f}"
        self.progress(self.words, state.global_step, state.max_steps)
