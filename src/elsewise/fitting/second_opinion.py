"""Add the second opinion to an engine, if tune rows show that it helps: see `elsewise.engines.second_opinion`."""

from dataclasses import asdict
from typing import Any

from elsewise.engines.files import ModelFiles
from elsewise.engines.second_opinion import HOME, Pool, SecondOpinion
from elsewise.fitting.engine_choice import Rows, Serving, measure, opened_like
from elsewise.progress import Note
from elsewise.storage.json_files import Json


def with_second_opinion(best: Serving, files: ModelFiles, rows: Rows, note: Note | None = None) -> tuple[Serving, Json]:
    """Ask the encoder as it came beside a chosen engine, if that helps on tune rows.

    Parameters
    ----------
    best : Serving
        The chosen engine.
    files : ModelFiles
        Those of the encoder as it came.
    rows : Rows
        Tune rows to mix and to judge on, and train rows for int8.
    note : callable, optional
        Called with words: what the second opinion is worth.

    Returns
    -------
    (Serving, record)
        With the second opinion or unchanged; and what was measured (JSON).
    """
    made, pool, (gain, error) = asking_second(best, files, rows)
    is_kept = gain > error
    if note:
        verb, kept = "falls" if gain > 0 else "rises", "kept" if is_kept else "left out"
        worth = f"the log loss of tune rows {verb} by {abs(gain):.3f} with it (standard error {error:.3f})"
        note(f"the second opinion is {kept}: {worth}")
    return made if is_kept else best, {"kept": is_kept, "log_loss_gain": gain, "standard_error": error, **asdict(pool)}


def asking_second(best: Serving, files: ModelFiles, rows: Rows) -> tuple[Serving, Pool, tuple[float, float]]:
    """Ask the encoder as it came beside an engine; also give the pool, and its gain of log loss with standard error."""
    engine: Any = best.engine
    other: Any = opened_like(best.engine, files, rows.train)
    pool, *gain = Pool.fit(best.outputs.logits, other.run(rows.tune).logits, rows.codes)
    made: Any = SecondOpinion(engine.with_files(engine.files.beside(HOME)), other, pool)
    return measure(made, rows.tune, rows.codes, best), pool, (gain[0], gain[1])
