"""Estimate how long a training takes, from a few steps that change neither weights nor random states."""

import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final

from elsewise.errors import need

torch = need("torch", extra="train")

LONGEST: Final = 3.0  # seconds after which no further batch is timed
FORWARD: Final = 0.4  # time of evaluating texts, as a share of a training step on them
LONG: Final = 90  # from here seconds are written as minutes, and minutes as hours


def estimate_seconds(trainer: Any, batches: Iterable[Sequence[int]], tuning: int, epochs: float) -> float:
    """Estimate the seconds that `epochs` take, each with `tuning` rows evaluated after it.

    Three of an epoch's `batches` (of row numbers) are run forward and backward, after a warm-up; the optimizer is timed
    on copies. The trainer must not have started; its weights and random states do not change.
    """
    data = trainer.train_dataset
    ordered = sorted(batches, key=lambda rows: len(rows) * max(len(data[i]["input_ids"]) for i in rows))
    middle, short, long = (ordered[len(ordered) * sixth // 6] for sixth in (3, 1, 5))
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        trainer.model.train()
        timed, began = [], time.monotonic()
        for rows in (middle, middle, long, short):
            inputs = trainer._prepare_inputs(trainer.data_collator([data[i] for i in rows]))  # noqa: SLF001
            timed.append(_seconds(partial(_learn, trainer, inputs)))
            if len(timed) > 1 and time.monotonic() - began > LONGEST:
                break
        trainer.model.zero_grad()
        each = sum(timed[1:]) / len(timed[1:]) + _optimizer_seconds(trainer.model)
    evaluating = FORWARD * each * len(ordered) * tuning / len(data)
    return epochs * (len(ordered) * each + evaluating)


def _learn(trainer: Any, inputs: Any) -> None:
    # As accelerate has it, once training has begun.
    with torch.autocast(trainer.args.device.type, torch.bfloat16, enabled=trainer.args.bf16):
        loss = trainer.compute_loss(trainer.model, inputs)
    loss.backward()
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


def time_words(seconds: float) -> str:
    """Write a duration in seconds, minutes or hours.

    Examples
    --------
    >>> [time_words(seconds) for seconds in (0.2, 45, 100, 720, 5400, 40_000)]
    ['1 second', '45 seconds', '2 minutes', '12 minutes', '1.5 hours', '11 hours']
    """
    count, unit = (
        (seconds, "second")
        if seconds < LONG
        else (seconds / 60, "minute")
        if seconds < 60 * LONG
        else (seconds / 3600, "hour")
    )
    number = f"{count:.1f}" if unit == "hour" and count < 10 else f"{max(round(count), 1)}"  # noqa: PLR2004
    return f"{number} {unit}" + ("" if number == "1" else "s")
