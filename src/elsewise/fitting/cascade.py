"""Put token counts before an engine, to answer what they are sure of, if tune rows show that it is faster and safe."""

import time
from dataclasses import asdict, dataclass, replace
from itertools import count
from typing import Any, Final

import numpy as np

from elsewise.data.defaults import CASCADE_CHANGE
from elsewise.engines.cascade import LEVEL, Cascade, Handed, HandOver, check_change, silent_ids
from elsewise.engines.token_counts import TokenCounts
from elsewise.errors import InputError
from elsewise.fitting.engine_choice import Rows, Serving, measure, timed_rows
from elsewise.messages.wording import percent
from elsewise.progress import Note
from elsewise.scores.choice import check_cascade
from elsewise.storage.json_files import Json

FASTER: Final = 1.3  # on tune rows; below, a cascade is not worth it
REPEATS: Final = 3


@dataclass(frozen=True, slots=True)
class Asked:
    """What the caller asks of a cascade: InputError for a share that cannot be, or what does not go with one.

    Attributes
    ----------
    change : float
        Share of labels that may change.
    """

    change: float

    @classmethod
    def of(cls, change: float, *, is_wanted: bool, method: Json, score: str) -> "Asked | None":
        """Settle it; None where no cascade is wanted. `method` and `score` are those of `fit`."""
        check_change(change)
        if not is_wanted:
            if change != CASCADE_CHANGE:
                raise InputError("cascade_change is about a cascade; add cascade=True")
            return None
        if method:
            raise InputError(f"{next(iter(method))}= and cascade=True are two engines around one; leave one out")
        check_cascade(score)
        return cls(change)


def cascaded(
    best: Serving, counts: TokenCounts | None, asked: Asked, rows: Rows, note: Note | None = None
) -> tuple[Serving, Json]:
    """Let token counts answer what they are sure of, before a chosen engine, if that is worth it.

    Parameters
    ----------
    best : Serving
        The chosen engine, with its opinions.
    counts : TokenCounts, optional
        Learnt on train rows. None: there are none, and no cascade.
    asked, rows : Asked, Rows
        The share of labels that may change; tune rows to choose the hand-over on.
    note : callable, optional
        Called with a line: what the cascade does on tune rows, or why it is left out.

    Returns
    -------
    (Serving, record)
        With the cascade, or unchanged; and what was measured (JSON).
    """
    made, why, record = _tried(best, counts, asked, rows)
    if note:
        note(f"the cascade is {'kept' if made else 'left out'}: {why}")
    return made or best, {"kept": made is not None, "why": why, **record}


def _tried(best: Serving, counts: TokenCounts | None, asked: Asked, rows: Rows) -> tuple[Serving | None, str, Json]:
    if counts is None:
        return None, "there are no token counts to answer first", {}
    engine: Any = best.engine  # an engine of text, with a tokenizer
    logits, known = counts.judged(rows.tune, silent_ids(engine.tokenizer))
    over, handed = HandOver.fit(logits, known, best.outputs.logits, rows.codes, asked.change)
    record = {**asdict(handed), "bound": handed.bound}
    if over is None:
        return None, _too_unsure(handed, asked.change), record
    made: Any = Cascade(engine, counts, over)
    faster = _faster(made, engine, rows)
    told = f"{handed.early:,} of {handed.rows:,} tune rows are answered by token counts, {faster:.2f} times as fast"
    bound = f"at most {percent(handed.bound, np.ceil)} of all texts (confidence level {percent(LEVEL)})"
    record |= {"faster": faster}
    if faster < FASTER:
        return None, f"{told} in all, and {FASTER} times is the least that is worth it", record
    return (
        measure(made, rows.tune, rows.codes, best),
        f"{told} in all; {handed.changed:,} of them get another label, {bound}",
        record,
    )


def _too_unsure(handed: Handed, change: float) -> str:
    """Say why there is no hand-over: too few tune rows, or token counts that err where they are sure."""
    if replace(handed, changed=0).bound > change:
        needed = next(n for n in count(1) if Handed(n, 0, 0).bound <= change)
        return (
            f"{handed.rows:,} tune rows are too few to show that at most {percent(change)} of labels change "
            f"({needed:,} needed)"
        )
    return f"token counts are nowhere sure enough for at most {percent(change)} of labels to change"


def _faster(made: Cascade, engine: Any, rows: Rows) -> float:
    """Measure how many times as fast as the engine inside a cascade answers tune rows, both in turn."""
    sample, seconds = timed_rows(rows.tune), np.empty((REPEATS, 2))
    for turn, at in np.ndindex(*seconds.shape):
        began = time.perf_counter()
        (engine, made)[at].run(sample)
        seconds[turn, at] = time.perf_counter() - began
    alone, both = seconds.min(axis=0).tolist()
    return float(alone / both)
