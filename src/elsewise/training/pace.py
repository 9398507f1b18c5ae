"""How fast a training will go on this machine, from a few steps that change nothing."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from elsewise.errors import need
from elsewise.messages.wording import counted
from elsewise.progress import time_words
from elsewise.storage.json_files import read_json
from elsewise.training.checkpoint_folder import STATE

torch = need("torch", extra="train")

LONGEST: Final = 3.0  # seconds after which no further batch is timed
READ: Final = 64  # rows of usual length, whose reading is timed


@dataclass(frozen=True, slots=True)
class Pace:
    """What the steps of a training take.

    Attributes
    ----------
    step, steps : float, int
        Seconds of a step, with its share of the evaluations after each epoch; and how many steps are left.
    row : float
        Seconds in which the encoder reads one row.
    slowness : float
        How many times longer a step takes than if nothing else ran on this machine.
    sentence : str
        How long the training takes, in words.
    """

    step: float
    steps: int
    row: float
    slowness: float
    sentence: str


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds of a step and of reading a row, and how many times longer that is than if nothing else ran."""

    step: float
    row: float
    slowness: float


def measured_pace(trainer: Any, tuning: int, start: Path | None) -> Pace:
    """Measure the pace of a training that begins, or continues from the checkpoint `start`, with `tuning` tune rows."""
    args, batches = trainer.args, trainer.batches()
    done = 0 if start is None else int(read_json(start / STATE)["global_step"])
    left = args.num_train_epochs * len(batches) - done
    timed = time_steps(trainer, batches)
    step = timed.step + timed.row * tuning / len(batches)
    epochs = f"{counted(args.num_train_epochs, 'epoch')} of {counted(len(batches), 'step')}"
    gone = f", {left:,} of them left," if done else ""
    sentence = f"training takes about {time_words(left * step)}{' at most' if tuning else ''}: {epochs}{gone}"
    return Pace(step, left, timed.row, timed.slowness, f"{sentence} on {counted(torch.get_num_threads(), 'thread')}")


def time_steps(trainer: Any, batches: Iterable[Sequence[int]]) -> Timed:
    """Time three of an epoch's `batches` (of row numbers), forward and backward, after a warm-up, and reading alone.

    The optimizer is timed on copies. The trainer must not have started; its weights and random states do not change.
    """
    data = trainer.train_dataset
    by_length = sorted(range(len(data)), key=lambda i: len(data[i]["input_ids"]))
    usual = by_length[max(len(data) - READ, 0) // 2 :][:READ]
    ordered = sorted(batches, key=lambda rows: len(rows) * max(len(data[i]["input_ids"]) for i in rows))
    middle, short, long = (ordered[len(ordered) * sixth // 6] for sixth in (3, 1, 5))
    has_gpu = torch.cuda.is_available()
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if has_gpu else []):
        trainer.model.train()
        timed, began, worked = [], time.monotonic(), time.process_time()
        for rows in (middle, middle, long, short):
            timed.append(_seconds(partial(_learn, trainer, _inputs(trainer, rows))))
            if len(timed) > 1 and time.monotonic() - began > LONGEST:
                break
        trainer.model.zero_grad()
        step = sum(timed[1:]) / len(timed[1:]) + _optimizer_seconds(trainer.model)
        with torch.no_grad():
            row = _seconds(partial(_compute, trainer, _inputs(trainer, usual))) / len(usual)
    took, worked = time.monotonic() - began, time.process_time() - worked
    return Timed(step, row, 1.0 if has_gpu else max(took * torch.get_num_threads() / max(worked, 1e-9), 1.0))


def _inputs(trainer: Any, rows: Sequence[int]) -> Any:
    return trainer._prepare_inputs(trainer.data_collator([trainer.train_dataset[i] for i in rows]))  # noqa: SLF001


def _compute(trainer: Any, inputs: Any) -> Any:
    # As accelerate has it, once training has begun.
    with torch.autocast(trainer.args.device.type, torch.bfloat16, enabled=trainer.args.bf16):
        return trainer.compute_loss(trainer.model, inputs)


def _learn(trainer: Any, inputs: Any) -> None:
    _compute(trainer, inputs).backward()
    torch.nn.utils.clip_grad_norm_(trainer.model.parameters(), trainer.args.max_grad_norm)


def _optimizer_seconds(model: Any) -> float:
    copies = [torch.zeros_like(p) for p in model.parameters() if p.requires_grad]
    for copy in copies:
        copy.grad = torch.zeros_like(copy)
    step = torch.optim.AdamW(copies, fused=True).step
    step()  # makes its moments
    return _seconds(step)


def _seconds(run: Any) -> float:
    began = time.monotonic()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.monotonic() - began
