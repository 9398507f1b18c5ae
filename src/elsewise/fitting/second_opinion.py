"""Add the second opinion to an engine, if tune rows show that it helps: see `elsewise.engines.second_opinion`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from elsewise.arrays import Codes
from elsewise.calibrators.choice import FEWEST_ROWS
from elsewise.engines.files import ModelFiles
from elsewise.engines.second_opinion import HOME, Pool, SecondOpinion, Worth
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import in_a_line, is_failure
from elsewise.fitting.baseline import MOST_LABELS
from elsewise.fitting.engine_choice import Rows, Serving, measure, opened_like
from elsewise.progress import Note
from elsewise.storage.json_files import Json
from elsewise.training.settings import Training

if TYPE_CHECKING:
    from elsewise.training.encoder import Learner
    from elsewise.training.second_opinion import AsItCame


def learn_second(
    learner: "Learner", how: Training, train: tuple[Tokens, Codes], labels: tuple[str, ...], tune: Codes,
    note: Note | None = None,
) -> "AsItCame | None":  # fmt: skip
    """Fit the encoder as it came on train rows; None, with a note, where it cannot be judged or used.

    Parameters
    ----------
    learner, how, labels
        As the encoder was fine-tuned.
    train : (Tokens, (m,))
        Train texts and their codes.
    tune : (n,)
        Codes of the tune rows, -1 for out-of-scope.
    note : callable, optional
        Called with words: why it is left out.
    """
    from elsewise.training.second_opinion import AsItCame  # noqa: PLC0415  torch

    if len(labels) > MOST_LABELS:
        why = f"{len(labels):,} labels are more than the {MOST_LABELS:,} that it learns in minutes"
    elif (n := int((tune >= 0).sum())) < FEWEST_ROWS:
        why = f"{n} tune rows are too few to show whether it helps ({FEWEST_ROWS} needed)"
    else:
        try:
            return AsItCame.learn(learner, how, *train, labels)
        except BaseException as error:  # torch and transformers raise many kinds
            if not is_failure(error):
                raise
            why = in_a_line(error)
    if note:
        note(f"the second opinion is left out: {why}")
    return None


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
    made, pool, worth = asking_second(best, files, rows)
    if note:
        verb, kept = "falls" if worth.log_loss_gain > 0 else "rises", "kept" if worth.is_clear else "left out"
        change = f"the log loss of tune rows {verb} by {abs(worth.log_loss_gain):.3f} with it"
        note(f"the second opinion is {kept}: {change} (standard error {worth.standard_error:.3f})")
    return made if worth.is_clear else best, {"kept": worth.is_clear, **asdict(worth), **asdict(pool)}


def asking_second(
    best: Serving, files: ModelFiles, rows: Rows, threads: int | None = None
) -> tuple[Serving, Pool, Worth]:
    """Ask the encoder as it came beside an engine; also tell how both are mixed, and what that is worth."""
    engine: Any = best.engine
    other: Any = opened_like(best.engine, files, rows.train, threads)
    pool, worth = Pool.fit(best.outputs.logits, other.run(rows.tune).logits, rows.codes)
    made: Any = SecondOpinion(engine.with_files(engine.files.beside(HOME)), other, pool)
    return measure(made, rows.tune, rows.codes, best), pool, worth
