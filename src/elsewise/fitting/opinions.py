"""Add opinions to a fine-tuned engine, each if tune rows show that it helps: token counts, the encoder as it came."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from elsewise.arrays import Codes, Floats, true_log_softmax
from elsewise.calibrators.best_temperature import best_temperature
from elsewise.engines import second_opinion, token_counts
from elsewise.engines.files import ModelFiles
from elsewise.engines.pool import FEWEST_ROWS, Pool, Worth
from elsewise.engines.second_opinion import ASKED, HOME, SecondOpinion
from elsewise.engines.token_counts import TokenCounts, WithTokenCounts
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import in_a_line, is_failure
from elsewise.fitting.baseline import MOST_LABELS
from elsewise.fitting.engine_choice import Rows, Serving, measure, opened_like
from elsewise.progress import Choice, Note
from elsewise.storage.json_files import Json
from elsewise.training.settings import Training

if TYPE_CHECKING:
    from elsewise.training.encoder import Learner
    from elsewise.training.second_opinion import AsItCame


FEWEST: Final = 20  # in-scope tune rows


@dataclass(frozen=True, slots=True)
class Opinions:
    """What may be asked beside the fine-tuned model; None for what cannot be used or judged."""

    counts: TokenCounts | None = None
    as_it_came: "AsItCame | None" = None


def learn_opinions(
    learner: "Learner", how: Training, train: tuple[Tokens, Codes], labels: tuple[str, ...], tune: Codes,
    note: Note | None = None, *, serves_it: bool = False,
) -> Opinions:  # fmt: skip
    """Learn token counts, and a head for the encoder as it came, on train rows; say what is left out, and why.

    Parameters
    ----------
    learner, how, labels
        As the encoder was fine-tuned.
    train : (Tokens, (m,))
        Train texts and their codes.
    tune : (n,)
        Codes of the tune rows, -1 for out-of-scope.
    note : callable, optional
        Called with words: why both or the second opinion are left out.
    serves_it : bool
        The encoder as it came is served, and no second opinion: it is learnt however few the tune rows.
    """
    from elsewise.training.second_opinion import AsItCame  # noqa: PLC0415  torch

    left_out = "the second opinion is left out"
    if (why := _unusable(labels, tune)) is not None:
        if note:
            note(f"token counts are left out: {why}" if serves_it else f"{left_out}, and token counts too: {why}")
        if not serves_it or len(labels) > MOST_LABELS:
            return Opinions()
    counts = None if why else TokenCounts.learn(*train, len(labels), learner.tokenize.special)
    try:
        return Opinions(counts, AsItCame.learn(learner, how, *train, labels))
    except BaseException as error:  # torch and transformers raise many kinds
        if not is_failure(error):
            raise
        if note:
            note(f"{left_out}: {in_a_line(error)}")
    return Opinions(counts)


def _unusable(labels: tuple[str, ...], tune: Codes) -> str | None:
    if len(labels) > MOST_LABELS:
        return f"{len(labels):,} labels are more than the {MOST_LABELS:,} that are learnt in minutes"
    if (n := int((tune >= 0).sum())) < FEWEST:
        return f"{n} tune rows are too few to show whether they help ({FEWEST} needed)"
    return None


def with_opinions(best: Serving, opinions: Opinions, rows: Rows, note: Note | None = None) -> tuple[Serving, Json]:
    """Ask each opinion beside a chosen engine, if it helps on tune rows.

    Parameters
    ----------
    best : Serving
        The chosen engine.
    opinions : Opinions
        What may be asked.
    rows : Rows
        Tune rows to mix and to judge on, and train rows for int8.
    note : callable, optional
        Called with words: what each opinion is worth.

    Returns
    -------
    (Serving, record)
        With the opinions that help; and what was measured of each (JSON).
    """
    record: dict[str, Json] = {}
    if opinions.counts is not None:
        made = asking_counts(best, opinions.counts, rows)
        best, record[token_counts.KEY] = _kept_if_clear("the opinion of token counts", best, made, note)
    if opinions.as_it_came is not None:
        made = asking_second(best, opinions.as_it_came.files, rows)
        best, record[second_opinion.KEY] = _kept_if_clear("the second opinion", best, made, note)
    return best, record


def asking_counts(best: Serving, counts: TokenCounts, rows: Rows) -> tuple[Serving, Pool, Worth]:
    """Ask token counts beside an engine; also tell how both are mixed, and what that is worth."""
    pool, worth = Pool.fit(best.outputs.logits, counts.logits(rows.tune), rows.codes)
    return measure(WithTokenCounts(best.engine, pool, counts), rows.tune, rows.codes, best), pool, worth


def asking_second(
    best: Serving, files: ModelFiles, rows: Rows, threads: int | None = None
) -> tuple[Serving, Pool, Worth]:
    """Ask the encoder as it came beside an engine; also tell how both are mixed, and what that is worth."""
    engine: Any = best.engine
    other: Any = opened_like(best.engine, files, rows.train, threads)
    first, second = best.outputs.logits, other.run(rows.tune).logits
    pool, worth = Pool.fit(first, second, rows.codes, _share(first, second, rows.codes))
    made: Any = SecondOpinion(engine.with_files(engine.files.beside(HOME)), pool, other)
    return measure(made, rows.tune, rows.codes, best), pool, worth


def _share(first: Floats, second: Floats, codes: Codes) -> float:
    """Choose where the second is asked: everywhere, where it is the better one or tune rows are few to tell."""
    usable = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1) & (codes >= 0)
    if usable.sum() < FEWEST_ROWS:
        return 1.0
    losses = (best_loss(logits[usable], codes[usable]) for logits in (first, second))
    return 1.0 if next(losses) > next(losses) else ASKED


def best_loss(logits: Floats, codes: Codes) -> float:
    """Give the log loss of logits (n, k) at the best temperature, codes (n,)."""
    scaled = logits / logits.dtype.type(best_temperature(logits, codes) or 1)
    return -float(true_log_softmax(scaled, codes).mean(dtype=np.float64))


def asked_again(best: Serving, settings: Json, rows: Rows, threads: int | None = None) -> Serving:
    """Ask beside another engine of a folder the opinions that its engine with these settings asks."""
    engine: Any = best.engine  # an engine of texts, which has files
    files: ModelFiles = engine.files
    if token_counts.KEY in settings:
        best = asking_counts(best, TokenCounts.read(files.need(token_counts.FILE)), rows)[0]
    return asking_second(best, files.below(HOME), rows, threads)[0] if second_opinion.KEY in settings else best


def _kept_if_clear(
    what: str, best: Serving, made: tuple[Serving, Pool, Worth], note: Note | None
) -> tuple[Serving, Json]:
    asking, pool, worth = made
    if note:
        verb, kept = "falls" if worth.log_loss_gain > 0 else "rises", "kept" if worth.is_kept else "left out"
        change = f"the log loss of tune rows {verb} by {abs(worth.log_loss_gain):.3f} with it"
        note(Choice(f"{what} is {kept}: {change} (standard error {worth.standard_error:.3f})"))
    return asking if worth.is_kept else best, {"kept": worth.is_kept, **asdict(worth), **pool.settings}
