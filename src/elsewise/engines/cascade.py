"""A cascade: token counts answer the texts that they are sure of, and the engine behind them reads the others.

Token counts (`elsewise.engines.token_counts`) cost next to nothing beside an encoder. They answer a text where they are
sure of its label, and where it is like the train texts: the evidence for its label is as strong as in most tune rows,
with unknown tokens counted against it. What both answer is one engine, calibrated and certified as a whole. Source:
Viola & Jones (2001), https://doi.org/10.1109/CVPR.2001.990517, for cascades. The hand-over is chosen on tune rows so
that few labels change, with the exact bound of Clopper & Pearson (1934), https://doi.org/10.1093/biomet/26.4.404.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import ABSTAIN, Codes, Floats, log_softmax, log_sum_exp
from elsewise.calibrators.best_temperature import best_temperature
from elsewise.engines.files import DESCRIPTION, Opening
from elsewise.engines.pool import Around
from elsewise.engines.token_counts import FILE, TokenCounts, check_labels
from elsewise.engines.tokenizer import Tokens, unknown_ids
from elsewise.errors import InputError, reading
from elsewise.metrics.intervals import clopper_pearson_upper
from elsewise.outputs import Outputs
from elsewise.progress import tick
from elsewise.storage.json_files import Json

KEY: Final = "cascade"  # its settings, among those of the engine inside
LEVEL: Final = 0.95  # at which this is shown
UNLIKE: Final = 0.2  # share of the in-scope tune rows whose evidence is too weak for token counts to answer
DOUBT: Final = np.geomspace(0.1, 5, 40)  # of a text that is answered, at most, in shares that may change; as tried

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class HandOver:
    """Which texts token counts answer, and by what numbers.

    Attributes
    ----------
    temperature : float
        Of the logits of token counts.
    confidence, evidence : float
        They answer where their best probability and the evidence for that label are no lower. The evidence is the best
        logit, times how much of the text is known.
    energy : float
        The energy that their answers get: that of the engine behind them, on average.
    change : float
        Share of labels that might change when this was chosen.

    Raises
    ------
    InputError
        If a number is out of its range, or NaN.

    Examples
    --------
    The second text is unlike the train texts, for half of it is unknown.

    >>> over = HandOver(temperature=1.0, confidence=0.9, evidence=3.0, energy=5.0, change=0.01)
    >>> over.answers(np.float32([[4, 0], [4, 0], [1, 0]]), np.array([1.0, 0.5, 1.0])).tolist()
    [True, False, False]
    """

    temperature: float
    confidence: float
    evidence: float
    energy: float
    change: float

    def __post_init__(self) -> None:
        if not 0 < self.temperature < np.inf:
            raise InputError(f"the temperature of token counts must be above 0 and finite, got {self.temperature}")
        check_change(self.change)
        for name in ("confidence", "evidence", "energy"):
            if not np.isfinite(getattr(self, name)):
                raise InputError(f"the {name} of a hand-over must be finite, got {getattr(self, name)}")

    @classmethod
    def fit(
        cls, logits: Floats, known: NDArray[np.float64], engine: Floats, codes: Codes, change: float
    ) -> "tuple[Self | None, Handed]":
        """Choose the lowest confidence at which few labels change, with a bound that holds at 95 %.

        The confidences that are tried are fixed, and tested from the strictest on until one fails. So the bound holds
        for the last one, however many there are. None is below 1 - 5 * `change`: the last texts that are handed over
        win little speed, and their labels change the most often.

        Parameters
        ----------
        logits, known : (n, k), (n,)
            What token counts say of n tune rows, and how much of each they know.
        engine : (n, k)
            Logits of the engine behind them.
        codes : (n,)
            True codes, -1 for out-of-scope: such a row counts as changed where token counts answer it.
        change : float
            Share of labels that may change, between 0 and 1 (else InputError).

        Returns
        -------
        (HandOver or None, Handed)
            None where no confidence is strict enough, or no text is left to answer.
        """
        check_change(change)
        read = np.isfinite(engine).all(axis=1)
        logits, known, engine, codes = logits[read], known[read], engine[read], codes[read]
        inside, n = codes != ABSTAIN, len(codes)
        found: tuple[Self | None, Handed] = None, Handed(n, 0, 0)
        if not inside.any():
            return found
        temperature = best_temperature(logits[inside], codes[inside]) or 1.0
        evidence = float(np.quantile(_evidence(logits, known)[inside], UNLIKE))
        changed = (logits.argmax(axis=1) != engine.argmax(axis=1)) | ~inside
        for confidence in np.maximum(1 - change * DOUBT, 0).tolist():
            over = cls(temperature, confidence, evidence, float(log_sum_exp(engine[inside]).mean()), change)
            early = over.answers(logits, known)
            handed = Handed(n, int(early.sum()), int((early & changed).sum()))
            if handed.bound > change:
                break
            found = (over, handed) if handed.early else found
        return found

    @classmethod
    def read(cls, kept: Json) -> Self:
        """Make a hand-over from its `settings`; raises what unusable ones raise."""
        return cls(**{one.name: float(kept[one.name]) for one in fields(cls)})

    @property
    def settings(self) -> Json:
        """What `read` needs (JSON)."""
        return asdict(self)

    def answers(self, logits: Floats, known: NDArray[np.float64]) -> Flags:
        """Tell which texts token counts answer, given their logits (n, k) and how much is known (n,); shape (n,)."""
        sure = np.exp(self._log_p(logits).max(axis=1).astype(np.float64)) >= self.confidence
        return np.asarray(sure & (_evidence(logits, known) >= self.evidence) & (known > 0))

    def said(self, logits: Floats) -> Floats:
        """Turn logits (n, k) of token counts into those of the cascade."""
        return self._log_p(logits) + logits.dtype.type(self.energy)

    def _log_p(self, logits: Floats) -> Floats:
        return log_softmax(logits / logits.dtype.type(self.temperature))


@dataclass(frozen=True, slots=True)
class Handed:
    """What a hand-over did on tune rows.

    Attributes
    ----------
    rows, early, changed : int
        Rows that can be read, those that token counts answer, and those whose label so changes.

    Examples
    --------
    Of 299 rows, none may be changed to show that at most 1 % are.

    >>> [round(Handed(rows, early=200, changed=0).bound, 5) for rows in (298, 299)]
    [0.01, 0.00997]
    """

    rows: int
    early: int
    changed: int

    @property
    def bound(self) -> float:
        """Upper bound of the share of changed labels, at confidence level 95 %; 1 for no rows."""
        return float(clopper_pearson_upper(self.changed, self.rows, 1 - LEVEL)) if self.rows else 1.0


def check_change(change: float) -> None:
    """Raise InputError unless a share of labels that may change lies between 0 and 1."""
    if not 0 < change < 1:
        raise InputError(f"cascade_change must lie between 0 and 1, got {change}")


def _evidence(logits: Floats, known: NDArray[np.float64]) -> NDArray[np.float64]:
    return logits.max(axis=1).astype(np.float64) * known


@dataclass(frozen=True, slots=True, eq=False)
class Cascade(Around):
    """Runs token counts, and the engine inside for the texts that they leave to it.

    Attributes
    ----------
    counts : TokenCounts
        The first stage.
    over : HandOver
        Which texts it answers.
    """

    counts: TokenCounts = field(repr=False)
    over: HandOver

    @staticmethod
    def fingerprint_of(opening: Opening, inside: Callable[[Opening], str]) -> str:
        """Compute the fingerprint before a library reads any file; `inside` computes that of the engine inside."""
        over, rest = _taken(opening)
        opening.files.need(FILE)
        return _fingerprint(over, inside(rest), opening.files.digests[FILE])

    @classmethod
    def open(cls, opening: Opening, inside: Callable[[Opening], Any]) -> Self:
        """Open both stages, the second by `inside`; ArtifactError for unusable settings, and what `inside` raises."""
        over, rest = _taken(opening)
        counts, engine = TokenCounts.read(opening.files.need(FILE)), inside(rest)
        check_labels(counts, engine, opening.files)
        return cls(engine, counts, over)

    @property
    def settings(self) -> Json:
        """What `open` needs besides the files (JSON)."""
        return {**self.engine.settings, KEY: self.over.settings}

    @property
    def fingerprint(self) -> str:
        """Hash of both stages, and of the hand-over."""
        return _fingerprint(self.over, self.engine.fingerprint, sha256(self.counts.content).hexdigest())

    @property
    def size(self) -> int:
        """Bytes of the files that both run from."""
        return int(self.engine.size) + len(self.counts.content)

    def save(self, folder: Path) -> None:
        """Write the files of both into an existing folder."""
        self.engine.save(folder)
        (folder / FILE).write_bytes(self.counts.content)

    def run(self, texts: Sequence[str] | Tokens) -> Outputs:
        """Return logits (n, k) of the stage that answers; features and all else are of the second, else NaN."""
        tokens = texts if isinstance(texts, Tokens) else self.prepare(texts)
        logits, known = self.counts.judged(tokens, silent_ids(self.tokenizer))
        early = self.over.answers(logits, known)
        rest = np.flatnonzero(~early)
        second = self.engine.run(tokens.take(rest))
        tick(len(tokens) - len(rest))
        names = ("logits", "features", "embedding", "alone")
        spread = {name: _spread(getattr(second, name), rest, len(tokens)) for name in names}
        spread["logits"][early] = self.over.said(logits[early])
        lengths = tokens.lengths.astype(np.int64)
        return Outputs(**spread, tokens=lengths, truncated=tokens.truncated, early=early)

    def quick_run(self, tokens: Tokens) -> Outputs:
        """Run the engine inside on every text, faster on a fresh start; the last digits may differ.

        Canary texts go this way: last digits never decide which stage answers, and so jump to another answer.
        """
        outputs: Outputs = self.engine.quick_run(tokens)
        return outputs


def every_text_read(engine: Any) -> Any:
    """Give the engine that reads every text, and so has features of each: what is inside a cascade, or itself."""
    return engine.engine if isinstance(engine, Cascade) else engine


def silent_ids(tokenizer: Any) -> tuple[int, ...]:
    """Give the ids that a tokenizer adds to every text; an unknown token is none of them."""
    return tuple(set(tokenizer.special) - unknown_ids(tokenizer.backend))


def _spread(values: Any, rows: NDArray[np.int64], n: int) -> Any:
    """Put rows (m, d) in their places among n rows, the others NaN; None stays None."""
    if values is None:
        return None
    whole = np.full((n, values.shape[1]), np.nan, dtype=values.dtype)
    whole[rows] = values
    return whole


def _taken(opening: Opening) -> tuple[HandOver, Opening]:
    """Take the hand-over out of the settings; ArtifactError if it cannot be read."""
    settings = dict(opening.settings)
    with reading(opening.files.path / DESCRIPTION, "holds a cascade that cannot be read"):
        over = HandOver.read(settings.pop(KEY))
    return over, replace(opening, settings=settings)


def _fingerprint(over: HandOver, *inside: str) -> str:
    return sha256(repr((KEY, over, inside)).encode()).hexdigest()[:16]
