"""Checkpoints of a training: a callback of `transformers.Trainer` writes them, and training continues bit for bit.

The Trainer's own checkpoints hold pickles (optimizer.pt, scheduler.pt, rng_state.pth), and loading those has run code
(CVE-2026-1839). Here weights, optimizer moments and random states are safetensors, the rest is JSON. The order of the
texts depends on the seed and the epoch alone, so that it needs no state.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from elsewise.errors import InputError, need, warn_caller
from elsewise.storage.json_files import Json, read_json, write_json
from elsewise.training.checkpoint_folder import BEST, DESCRIPTION, OPTIMIZER, STATE, WEIGHTS, Checkpoints

torch = need("torch", extra="train")
transformers = need("transformers", extra="train")
tensor_files = need("safetensors.torch", extra="train")

EVERY: Final = 120.0  # seconds within an epoch, and at the end of each
COST: Final = 0.02  # largest share of the time: a checkpoint that takes a second is written every 50 seconds at most

Tensors = Mapping[str, Any]  # by name


def weights_of(model: Any) -> Tensors:
    """Give parameters and persistent buffers by name, each once even where layers share it; nothing is copied."""
    lasting = model.state_dict().keys()
    buffers = {name: buffer for name, buffer in model.named_buffers() if name in lasting}
    return {name: tensor.detach() for name, tensor in (*model.named_parameters(), *buffers.items())}


def set_weights(model: Any, weights: Tensors) -> None:
    """Load weights, as `weights_of` gave them, into the model."""
    with torch.no_grad():
        for name, tensor in weights_of(model).items():
            tensor.copy_(weights[name])


def write_trained(model: Any, checkpoints: Checkpoints, step: int, settings: Json) -> None:
    """Replace the checkpoints by the weights of a finished training; a disk that refuses is only a warning."""
    weights = weights_of(model)
    try:
        with checkpoints.writing(step, sum(tensor.nbytes for tensor in weights.values())) as folder:
            _save(weights, folder / WEIGHTS)
            write_json(folder / DESCRIPTION, {"trained": True, "step": step, "settings": settings})
    except InputError as error:
        warn_caller(f"the trained weights are not kept: {error}")


def read_weights(checkpoint: Path) -> Tensors:
    """Read the weights of a verified checkpoint."""
    return tensor_files.load_file(checkpoint / WEIGHTS)


class CheckpointCallback(transformers.TrainerCallback):  # type: ignore[misc, name-defined]
    """Keeps the best weights, stops training early, and writes checkpoints.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        Trained in place.
    patience : int
        Stop after this many epochs without a better tune log loss.
    checkpoints : Checkpoints or None
        Where checkpoints are written; None writes none.
    settings : mapping
        What the training depends on (JSON), kept with each checkpoint.
    start : Path or None
        A verified checkpoint to continue from.
    """

    def __init__(
        self, model: Any, patience: int, checkpoints: Checkpoints | None, settings: Json, start: Path | None
    ) -> None:
        self.model, self.patience = model, patience
        self.checkpoints, self.settings = checkpoints, settings
        self.start = start
        self.random: Tensors = {}
        self.best: Tensors | None = None
        self.written, self.cost = time.monotonic(), 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **parts: Any) -> None:  # noqa: ARG002
        """Restore everything from the checkpoint except the random states."""
        self.written = time.monotonic()
        if self.start is None:
            return
        description = read_json(self.start / DESCRIPTION)
        weights, moments = read_weights(self.start), tensor_files.load_file(self.start / OPTIMIZER)
        set_weights(self.model, weights)
        if (self.start / BEST).exists():
            self.best = tensor_files.load_file(self.start / BEST)
        elif state.best_global_step == state.global_step:
            self.best = weights
        self.random = {name: tensor for name, tensor in moments.items() if name.startswith("random.")}
        of_optimizer = {name: tensor for name, tensor in moments.items() if name not in self.random}
        _set_moments(parts["optimizer"], of_optimizer, description["rates"])
        parts["lr_scheduler"].load_state_dict(description["scheduler"])

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **parts: Any) -> None:  # noqa: ARG002
        """Restore the random states at the start of an epoch, before its loader draws a number."""
        if _is_epoch_end(state):
            self._set_random()

    def on_step_begin(self, args: Any, state: Any, control: Any, **parts: Any) -> None:  # noqa: ARG002
        """Restore the random states within an epoch, after its loader has drawn a number."""
        self._set_random()

    def on_step_end(self, args: Any, state: Any, control: Any, **parts: Any) -> None:  # noqa: ARG002
        """Write a checkpoint within a long epoch."""
        if not _is_epoch_end(state) and self._is_due(EVERY):
            self._write(state, **parts)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **parts: Any) -> None:  # noqa: ARG002
        """Keep the weights if they are the best so far; stop training after `patience` epochs without better ones."""
        loss = metrics["eval_log_loss"]
        if state.best_metric is None or loss < state.best_metric:
            state.best_metric, state.best_global_step = loss, state.global_step
            self.best = {name: tensor.to("cpu", copy=True) for name, tensor in weights_of(self.model).items()}
        elif state.global_step - state.best_global_step >= self.patience * _steps_in_epoch(state):
            control.should_training_stop = True
        self._end_epoch(state, control, **parts)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
        """Write a checkpoint after an epoch without evaluation."""
        if args.eval_strategy == "no":
            self._end_epoch(state, control, **parts)

    def _end_epoch(self, state: Any, control: Any, **parts: Any) -> None:
        if not control.should_training_stop and self._is_due(0):
            self._write(state, **parts)

    def _is_due(self, seconds: float) -> bool:
        since = time.monotonic() - self.written
        return self.checkpoints is not None and since >= max(seconds, self.cost / COST)

    def _set_random(self) -> None:
        if self.random:
            torch.set_rng_state(self.random["random.cpu"])
        if "random.cuda" in self.random:
            torch.cuda.set_rng_state(self.random["random.cuda"])
        self.random = {}

    def _write(self, state: Any, optimizer: Any, lr_scheduler: Any, **_: Any) -> None:
        assert self.checkpoints is not None
        began = time.monotonic()
        weights, moments = weights_of(self.model), {**_moments(optimizer), **_random()}
        best = self.best if self.best is not None and state.best_global_step != state.global_step else {}
        rates = [group["lr"] for group in optimizer.param_groups]
        description = {
            "trained": False, "step": state.global_step, "steps": state.max_steps, "settings": self.settings,
            "rates": rates, "scheduler": lr_scheduler.state_dict(),
        }  # fmt: skip
        needed = sum(tensor.nbytes for part in (weights, moments, best) for tensor in part.values())
        try:
            with self.checkpoints.writing(state.global_step, needed) as folder:
                _save(weights, folder / WEIGHTS)
                _save(moments, folder / OPTIMIZER)
                if best:
                    _save(best, folder / BEST)
                state.save_to_json(str(folder / STATE))
                write_json(folder / DESCRIPTION, description)
        except InputError as error:
            lost = f"no checkpoint at step {state.global_step:,}: {error}"
            warn_caller(f"{lost}; training continues, and the last checkpoint is kept")
        self.written = time.monotonic()
        self.cost = self.written - began


def _steps_in_epoch(state: Any) -> int:
    return max(state.max_steps // max(state.num_train_epochs, 1), 1)


def _is_epoch_end(state: Any) -> bool:
    return bool(state.global_step % _steps_in_epoch(state) == 0)


def _random() -> Tensors:
    random = {"random.cpu": torch.get_rng_state()}
    return random | ({"random.cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {})


def _moments(optimizer: Any) -> Tensors:
    state = optimizer.state_dict()["state"]
    return {f"{i}.{name}": tensor for i, kept in state.items() for name, tensor in kept.items()}


def _set_moments(optimizer: Any, moments: Tensors, rates: list[float]) -> None:
    state = optimizer.state_dict()
    for group, rate in zip(state["param_groups"], rates, strict=True):
        group["lr"] = rate
    for key, tensor in moments.items():
        i, name = key.split(".")
        state["state"].setdefault(int(i), {})[name] = tensor
    optimizer.load_state_dict(state)


def _save(tensors: Tensors, file: Path) -> None:
    tensor_files.save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, file)
