"""Split conformal prediction: sets of labels that hold the true label at a given rate, and p-values of familiarity.

Both compare a new text with held-out texts by rank alone: they need no model of the scores, and hold for texts from
the same source. Sources: Vovk, Gammerman & Shafer (2005), "Algorithmic Learning in a Random World"; Sadinle,
Lei & Wasserman (2019), "Least Ambiguous Set-Valued Classifiers With Bounded Error Levels",
https://arxiv.org/abs/1609.00451.

The coverage holds on average over draws of the held-out rows and the new text together. One draw of n rows covers a
random share of later texts, Beta(n + 1 - l, l) with l = floor((n + 1) (1 - coverage)).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes, Floats, as_codes, row_blocks
from elsewise.errors import InputError
from elsewise.metrics.ranked import as_column
from elsewise.outputs import as_evidence
from elsewise.rules.decisions import BITS, PredictionSets


@dataclass(frozen=True, slots=True, eq=False)
class SplitConformal:
    """Prediction sets: every label whose probability reaches a limit. Call it on probabilities or Evidence.

    Attributes
    ----------
    limits : (k,) float64
        Least probability that keeps a label; -inf with too few rows to leave any label out.
    coverage, by_label : float, bool
        Least rate at which a set holds the true label, on average over draws; whether it holds within every label.
    n : int
        Number of in-scope readable rows that it was fitted on.
    never_empty : bool
        Whether an empty set gets the most probable label.
    """

    limits: NDArray[np.float64]
    coverage: float
    by_label: bool
    n: int
    never_empty: bool = False

    @classmethod
    def fit(
        cls, rows: Any, codes: Any, *, coverage: float = 0.9, by_label: bool = False, never_empty: bool = False
    ) -> Self:
        """Fit the limits on the probabilities of the true labels of held-out rows.

        The score of a row is 1 less that probability; the limit is its ceil((n + 1) coverage)-th smallest. If the rank
        is beyond n, every label is kept. Ties are kept too, which can only raise coverage.

        Parameters
        ----------
        rows, codes : (n, k) probabilities or Evidence, and (n,)
            Texts that neither the model nor its calibrator learned from, and their true codes. Rows of NaN and
            out-of-scope rows (-1) are left out.
        coverage : float
            Between 0 and 1.
        by_label : bool
            True: a limit for each label from its own rows, so coverage holds for rare labels too. A label with fewer
            than ``coverage / (1 - coverage)`` rows is in every set.
        never_empty : bool
            True: a set that no label reaches gets the most probable label; coverage can only grow.

        Raises
        ------
        InputError
            If shapes disagree, rows are no probabilities, a code is out of range, or `coverage` is not within 0..1.

        Examples
        --------
        Nine texts whose true label has probability .1 to .9: at coverage 0.8 the rank is ceil(10 x 0.8) = 8, and the
        eighth largest is .2.

        >>> p = np.linspace(0.1, 0.9, 9)
        >>> sets = SplitConformal.fit(np.column_stack([p, 1 - p]), [0] * 9, coverage=0.8)
        >>> sets.limits.round(6).tolist(), sets([[0.5, 0.5], [0.9, 0.1]])[1]
        ([0.2, 0.2], ('0',))
        """
        if not 0 < coverage < 1:
            raise InputError(f"coverage must lie between 0 and 1, got {coverage}")
        p = as_evidence(rows).probabilities
        y = as_codes(codes, like=p, allow_abstain=True)
        true = p[np.arange(len(p)), y].astype(np.float64)
        usable = (y >= 0) & ~np.isnan(true)
        true, y, k = true[usable], y[usable], p.shape[1]
        limits = [_limit(own, coverage) for own in _by_code(true, y, k)] if by_label else [_limit(true, coverage)] * k
        return cls(np.array(limits), coverage, by_label, len(true), never_empty)

    def __call__(self, rows: Any, *, names: Sequence[str] = ()) -> PredictionSets:
        """Make the sets of n texts; an unreadable text (a row of NaN) keeps all labels."""
        p = as_evidence(rows).probabilities
        if p.shape[1] != len(self.limits):
            raise InputError(f"probabilities must have {len(self.limits)} columns, as fitted, got {p.shape[1]}")
        if names and len(names) != len(self.limits):
            raise InputError(f"names must be {len(self.limits)}, one for each label, got {len(names)}")
        bits = np.empty((len(p), -(-p.shape[1] // BITS)), dtype=np.uint8)
        for block in row_blocks(p):
            bits[block] = np.packbits(self._kept(p[block]), axis=1)
        return PredictionSets(bits, p.shape[1], tuple(names))

    def _kept(self, p: Floats) -> NDArray[np.bool_]:
        kept = (p >= self.limits) | np.isnan(p)
        if self.never_empty:
            empty = np.flatnonzero(~kept.any(axis=1))
            kept[empty, p[empty].argmax(axis=1)] = True
        return kept

    @property
    def sentence(self) -> str:
        """The promise, and over what randomness it holds."""
        whose = "of every label by itself" if self.by_label else "of all labels together"
        return (
            f"A set holds the true label in at least {self.coverage:.4g} of in-scope texts {whose}. This holds on "
            f"average over draws of the {self.n:,} rows that it was fitted on and of texts from the same source. "
            "Out-of-scope texts are not covered."
        )


def _by_code(values: Floats, codes: Codes, k: int) -> list[Floats]:
    """Divide values by their codes."""
    order = np.argsort(codes, kind="stable")
    return np.split(values[order], np.searchsorted(codes[order], np.arange(1, k)))


def _limit(true: Floats, coverage: float) -> float:
    """Find the largest limit that enough of these probabilities reach."""
    # 0.07 * 100 is above 7 in floats, so the written decimal number is used.
    rank = math.ceil(Fraction(str(float(coverage))) * (len(true) + 1))
    if rank > len(true):
        return -math.inf
    return float(np.partition(true, len(true) - rank)[len(true) - rank])


@dataclass(frozen=True, slots=True, eq=False)
class ConformalPValue:
    """P-values of confidences among those of in-scope texts. Call it on confidences.

    Answering only texts with a p-value above a rejects at most a share a of in-scope texts, on average over draws.

    Attributes
    ----------
    values : (n,) float64
        Confidences of held-out in-scope texts, sorted.

    Examples
    --------
    Of four held-out confidences, one is as low as 2: (1 + 1) / (4 + 1).

    >>> ConformalPValue.fit([3.0, 1.0, 4.0, 5.0])([2.0, 0.0, 9.0]).tolist()
    [0.4, 0.2, 1.0]
    """

    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        values = np.sort(as_column(self.values, "values"))
        values.flags.writeable = False
        object.__setattr__(self, "values", values)

    @classmethod
    def fit(cls, values: Any) -> Self:
        """Keep the confidences (n,) of in-scope texts that no score was fitted on; NaN (unreadable) is left out."""
        column = as_column(values, "values")
        return cls(column[~np.isnan(column)])

    def __call__(self, values: Any) -> NDArray[np.float64]:
        """Return ``(1 + #{held-out values <= value}) / (n + 1)`` for each value (m,); NaN for NaN."""
        column = as_column(values, "values")
        as_low = np.searchsorted(self.values, column, side="right")
        return np.where(np.isnan(column), np.nan, (1 + as_low) / (len(self.values) + 1))
