"""`transformers.Trainer` with our loss, optimizer and batches of similar length; it writes no files."""

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import true_log_softmax
from elsewise.calibrators.best_temperature import best_temperature
from elsewise.engines.torch import last_linear
from elsewise.errors import InputError, need
from elsewise.progress import Progress
from elsewise.training.encoder import Learner
from elsewise.training.settings import BATCH_SIZES, USUAL_RATE, Training
from elsewise.training.tether import Tether, last_layer

torch = need("torch", extra="train")
transformers = need("transformers", extra="train")
need("accelerate", extra="train")  # the Trainer does not start without it

HEAD_SPEED: Final = 10.0
SHOWN_EVERY: Final = 0.2  # seconds


def optimizer_of(model: Any, learning_rate: float) -> Any:
    """Make AdamW for a model: the head learns ten times as fast as the body, no decay of biases and norms."""
    head, groups = {id(parameter) for parameter in last_linear(model).parameters()}, []
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for in_head, decays in product((False, True), repeat=2):
        if chosen := [p for p in trained if (id(p) in head, p.ndim > 1) == (in_head, decays)]:
            rate = learning_rate * (HEAD_SPEED if in_head else 1)
            groups.append({"params": chosen, "lr": rate, "weight_decay": 0.01 if decays else 0.0})
    return torch.optim.AdamW(groups, fused=True)  # much the fastest on a CPU


def loss_in_float32(weights: NDArray[np.float64] | None) -> Callable[..., Any]:
    """Give the function for the mean cross-entropy in float32: inside autocast it would be rounded to three digits.

    With class weights (k,) it is the mean of weight times loss, not divided by the weights in a batch. Only then is the
    result a known change of the label frequencies, which can be corrected.
    """
    scale = None if weights is None else torch.from_numpy(weights).float()

    def loss(outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:  # noqa: ARG001  the Trainer's call
        logits = outputs.logits.float()
        if scale is None:
            return torch.nn.functional.cross_entropy(logits, labels)
        each = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
        return (each * scale.to(labels.device)[labels]).mean()

    return loss


def best_log_loss(prediction: Any, weights: NDArray[np.float64] | None = None) -> dict[str, float]:
    """Compute the log loss of logits (n, k) at their best temperature; `weights` (k,) are class weights."""
    logits, codes = np.asarray(prediction.predictions, dtype=np.float32), prediction.label_ids
    if not np.isfinite(logits).all():
        raise InputError("training diverged: the logits are no longer finite; lower the learning rate")
    if weights is not None:
        logits = logits - np.log(weights).astype(np.float32)
    scaled = logits / np.float32(best_temperature(logits, codes) or 1)
    return {"log_loss": -float(true_log_softmax(scaled, codes).mean(dtype=np.float64))}


def trainer_of(
    learner: Learner, examples: list[Any], tuning: list[Any], how: Training, weights: NDArray[np.float64] | None,
    callbacks: list[Any], folder: str, tether: Tether | None = None,
) -> Any:  # fmt: skip
    """Make a Trainer that writes nothing, and evaluates after each epoch where there are rows to tune on.

    Examples have "input_ids" and "labels", and their "row" where there is a tether; `weights` (k,) are class weights.
    """
    batch_size = how.batch_size or BATCH_SIZES[0]
    arguments = transformers.TrainingArguments(
        output_dir=folder,
        num_train_epochs=how.epochs,
        per_device_train_batch_size=batch_size,
        per_device_eval_batch_size=2 * batch_size,
        warmup_steps=0.1,
        lr_scheduler_type="linear",
        bf16=how.precision == "bf16",
        use_cpu=not torch.cuda.is_available(),
        eval_strategy="epoch" if tuning else "no",
        save_strategy="no",  # its checkpoints hold pickles: `CheckpointCallback` writes ours
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        seed=how.seed,
        data_seed=how.seed,
    )
    trainer = GroupedTrainer(
        model=learner.model.model,
        args=arguments,
        train_dataset=examples,
        eval_dataset=tuning or None,
        data_collator=transformers.DataCollatorWithPadding(learner.tokenizer),
        processing_class=learner.tokenizer,
        optimizers=(optimizer_of(learner.model.model, how.learning_rate or USUAL_RATE), None),
        compute_loss_func=loss_in_float32(weights),
        compute_metrics=partial(best_log_loss, weights=weights),
        callbacks=callbacks,
    )
    trainer.tether = tether
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer


class GroupedTrainer(transformers.Trainer):  # type: ignore[misc, name-defined]
    """A Trainer whose batches hold texts of similar length and come in random order.

    Its own grouping sorts fifty batches at a time from long to short, so that neighbouring steps are much alike. On 150
    labels that, and a loss in bfloat16, cost accuracy.
    """

    tether: Tether | None = None

    def compute_loss(self, model: Any, inputs: Any, *more: Any, **how: Any) -> Any:
        """Return the loss of a batch, with that of the tether for train texts."""
        rows = inputs.pop("row", None)
        if rows is None or self.tether is None:
            return super().compute_loss(model, inputs, *more, **how)
        with last_layer(self.model) as caught:
            loss = super().compute_loss(model, inputs, *more, **how)
        return loss + self.tether.loss(caught[-1], inputs["attention_mask"], rows)

    def get_train_dataloader(self) -> Any:
        """Return the batches of an epoch, in a new order every epoch."""
        batches = self.batches()
        loader = torch.utils.data.DataLoader(self.train_dataset, batch_sampler=batches, collate_fn=self.data_collator)
        return self.accelerator.prepare(loader)

    def batches(self) -> "_LengthGroups":
        """Return the rows of each batch of the first epoch."""
        lengths = np.array([len(example["input_ids"]) for example in self.train_dataset])
        return _LengthGroups(lengths, self.args.per_device_train_batch_size, self.args.seed)


class _LengthGroups:
    """Batches of indices: texts are shuffled, sorted by length within fifty batches, and the batches shuffled.

    Their order depends on the seed and the epoch alone.
    """

    def __init__(self, lengths: NDArray[np.int64], batch_size: int, seed: int) -> None:
        self.lengths, self.batch_size, self.seed = lengths, batch_size, seed
        self.epoch = 0

    def __len__(self) -> int:
        return math.ceil(len(self.lengths) / self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that comes next; the Trainer's loader calls this."""
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


class Reporter(transformers.TrainerCallback):  # type: ignore[misc, name-defined]
    """Reports steps and epochs to `progress`."""

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
        """Add the epoch and the tune log loss to the words."""
        loss = metrics["eval_log_loss"]
        self.words = f"training, after epoch {round(state.epoch)} of {args.num_train_epochs}: tune log loss {loss:.3f}"
        self.progress(self.words, state.global_step, state.max_steps)
