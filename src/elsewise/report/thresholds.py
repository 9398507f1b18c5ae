"""Exact counts of judged rows at every threshold, of all rows and by label: what the explorer moves through."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.evaluation.judged_rows import JudgedRows

Numbers = NDArray[np.int64]
Thresholds = NDArray[np.float64]

MOST: Final = 800  # thresholds by coverage; beside them stand those that somebody asks for


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Rows that have their highest answering threshold at each of g thresholds, and errors among them.

    Attributes
    ----------
    n, errors : (g,) int64
        A row counts at the last threshold that its confidence reaches.
    """

    n: Numbers
    errors: Numbers

    @classmethod
    def of(cls, at: Numbers, wrong: NDArray[np.bool_], g: int) -> Self:
        """Count m rows by the places `at` (m,) of their thresholds, and the wrong ones (m,) among them."""
        return cls(np.bincount(at, minlength=g), np.bincount(at[wrong], minlength=g))

    @property
    def answered(self) -> Numbers:
        """Rows answered at each threshold, (g,)."""
        return np.cumsum(self.n[::-1])[::-1]

    @property
    def wrong(self) -> Numbers:
        """Rows answered wrongly at each threshold, (g,)."""
        return np.cumsum(self.errors[::-1])[::-1]

    @property
    def packed(self) -> list[int]:
        """Places with rows, as [steps since the last place, rows, errors, ...]: short where most places have none."""
        at = np.flatnonzero(self.n)
        steps = np.diff(at, prepend=0)
        return np.column_stack([steps, self.n[at], self.errors[at]]).ravel().tolist()


@dataclass(frozen=True, slots=True, eq=False)
class ThresholdCounts:
    """Counts of n rows at g thresholds.

    Attributes
    ----------
    thresholds : (g,)
        Ascending, from -inf (answers all rows that can be answered) to inf (answers none).
    rows : int
        All rows, those included that no threshold answers.
    whole : Counts
        Counts of all rows.
    labels : sequence of Counts
        Counts of the rows that would get each of k labels: they add up to the whole.
    would_get : (k,)
        Number of rows whose most probable label is this one, answered or not.
    """

    thresholds: Thresholds
    rows: int
    whole: Counts
    labels: Sequence[Counts]
    would_get: Numbers

    @classmethod
    def of(cls, judged: JudgedRows, wanted: Iterable[float] = (), most: int = MOST) -> Self:
        """Count judged rows at all of their confidences, or at `most` of these, and at the wanted thresholds.

        Between two thresholds nothing changes where all confidences are there. The counts at a threshold are exact in
        both cases.
        """
        decisions, answers = judged.decisions, judged.answers
        k = len(decisions.names)
        usable = ~np.isnan(decisions.confidence)
        confidence, best = decisions.confidence[usable], decisions.best[usable]
        wrong = ~answers.correct[usable]
        thresholds = placed(confidence, wanted, most)
        at, g = np.searchsorted(thresholds, confidence, side="right") - 1, len(thresholds)
        return cls(
            thresholds,
            len(judged),
            Counts.of(at, wrong, g),
            [Counts.of(at[best == code], wrong[best == code], g) for code in range(k)],
            np.bincount(decisions.best[decisions.best >= 0], minlength=k),
        )

    def place(self, threshold: float) -> int:
        """Find the lowest threshold that is not below a number."""
        return int(np.searchsorted(self.thresholds, threshold, side="left"))

    def nearest_coverage(self, coverage: float) -> int:
        """Find the strictest threshold that answers at least a share of the rows; answering all if none does."""
        enough = np.flatnonzero(self.whole.answered >= coverage * self.rows)
        return int(enough[-1]) if len(enough) else 0

    def as_dict(self) -> dict[str, Any]:
        """Give lists and numbers; the ends of the thresholds are strings, as JSON has no infinity."""
        inner = self.thresholds[1:-1].tolist()
        return {
            "thresholds": ["-inf", *inner, "inf"],
            "rows": self.rows,
            "whole": self.whole.packed,
            "labels": [counts.packed for counts in self.labels],
            "would_get": self.would_get.tolist(),
        }


def placed(confidence: Thresholds, wanted: Iterable[float], most: int) -> Thresholds:
    """Place thresholds at the confidences (m,) of rows, at most so many of them, and at wanted ones.

    Examples
    --------
    >>> placed(np.array([0.5234, 0.8765]), [0.6], 10).tolist()
    [-inf, 0.5234, 0.6, 0.8765, inf]
    """
    known = np.sort(confidence[np.isfinite(confidence)])
    kept = np.unique(known)
    if len(kept) > most:
        kept = np.unique(known[np.linspace(0, len(known) - 1, most).round().astype(int)])
    return np.unique([-math.inf, *kept, *(value for value in wanted if math.isfinite(value)), math.inf])
