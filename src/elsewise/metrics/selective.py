"""Selective classification: risk against coverage, the areas AURC, E-AURC and AUGRC, and points of the curve.

Sources: AURC and E-AURC: Geifman, Uziel & El-Yaniv (2019), "Bias-Reduced Uncertainty Estimation for Deep Neural
Classifiers", https://arxiv.org/abs/1805.08206; AUGRC: Traub et al. (2024), "Overcoming Common Flaws in the
Evaluation of Selective Classification Systems", https://arxiv.org/abs/2407.01032.
Convention: sums over i = 1..n rows answered, no trapezoids (those differ by O(1/n)).
Ties: the mean over all orders of the tied rows, so the order of the rows does not matter. Confidences of nan, which
are never answered, rank as one tie below all others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elsewise.errors import InputError
from elsewise.metrics.bootstrap import poisson_bootstrap
from elsewise.metrics.intervals import NOTHING, Column, Estimate, Flags
from elsewise.metrics.ranked import Ranking, as_ranking

NAMES = ("confidence", "correct")
ROUNDING = 1e-9  # share * rows may be a rounding error above a whole number


@dataclass(frozen=True, slots=True, eq=False)
class RiskCoverageCurve:
    """Coverage and risk at each possible threshold, from the strictest to the loosest.

    Attributes
    ----------
    coverage, risk, threshold : (g,) float64
        Share of all rows answered, increasing; share of errors among the answers; and the distinct confidences,
        decreasing. A row is answered iff its confidence >= threshold.
    """

    coverage: Column
    risk: Column
    threshold: Column


@dataclass(frozen=True, slots=True)
class RiskCoverageAreas:
    """Areas under risk-coverage curves, from one set of bootstrap replicates; smaller is better."""

    aurc: Estimate
    augrc: Estimate
    e_aurc: Estimate


def risk_coverage_curve(confidence: Any, correct: Any) -> RiskCoverageCurve:
    """Coverage and risk at every distinct confidence.

    Parameters
    ----------
    confidence, correct : (n,)
        Confidence, larger is surer, nan for a row that is never answered; true, or 1, where the best label is right.

    Returns
    -------
    RiskCoverageCurve
        Empty if no row can be answered. Errors as in `risk_coverage_areas`.

    Examples
    --------
    >>> curve = risk_coverage_curve([0.9, 0.8, 0.8, float("nan")], [True, True, False, False])
    >>> curve.coverage.tolist(), curve.risk.round(4).tolist(), curve.threshold.tolist()
    ([0.25, 0.75], [0.0, 0.3333], [0.9, 0.8])
    """
    ranking = as_ranking(confidence, correct, names=NAMES, allow_nan=True)
    right, wrong = ranking.cumulate(ranking.counts)
    threshold = ranking.values[ranking.ends]
    kept = ~np.isnan(threshold)
    answered = (right + wrong)[kept]
    return RiskCoverageCurve(answered / max(ranking.counts.sum(), 1), wrong[kept] / answered, threshold[kept])


def aurc(confidence: Any, correct: Any) -> Estimate:
    """Area under the risk-coverage curve: mean over i = 1..n of the risk among the i surest rows.

    Parameters (both (n,)), ties and errors as in `risk_coverage_areas`, which gives all areas at the cost of one.

    Examples
    --------
    The wrong row comes second: (0/1 + 1/2 + 1/3) / 3.

    >>> round(aurc([0.9, 0.8, 0.7], [True, False, True]).value, 6)
    0.277778
    """
    return risk_coverage_areas(confidence, correct).aurc


def augrc(confidence: Any, correct: Any) -> Estimate:
    """Area under the generalised risk-coverage curve: mean over i of (errors among the i surest rows) / n.

    It is the share of all rows answered wrongly, averaged over thresholds. AURC divides by the rows answered, so that a
    few errors among the surest rows can dominate it.
    Parameters (both (n,)), ties and errors as in `risk_coverage_areas`, which gives all areas at the cost of one.

    Examples
    --------
    The wrong row comes second: (0/3 + 1/3 + 1/3) / 3.

    >>> round(augrc([0.9, 0.8, 0.7], [True, False, True]).value, 6)
    0.222222
    """
    return risk_coverage_areas(confidence, correct).augrc


def e_aurc(confidence: Any, correct: Any) -> Estimate:
    """Excess AURC: AURC minus that of an oracle with the same errors, which puts them all last.

    AURC depends on the classifier and on the order of its confidences; the excess depends on the order alone. With e
    errors in n rows the oracle has (e - (n - e) (1/(n-e+1) + ... + 1/n)) / n.
    Parameters (both (n,)), ties and errors as in `risk_coverage_areas`, which gives all areas at the cost of one.

    Examples
    --------
    AURC is (0/1 + 1/2 + 1/3) / 3, the oracle's (0/1 + 0/2 + 1/3) / 3: the excess is 1/6.

    >>> round(e_aurc([0.9, 0.8, 0.7], [True, False, True]).value, 6)
    0.166667
    """
    return risk_coverage_areas(confidence, correct).e_aurc


def risk_coverage_areas(confidence: Any, correct: Any) -> RiskCoverageAreas:
    """AURC, AUGRC and E-AURC, with Poisson bootstrap intervals of 200 replicates.

    Parameters
    ----------
    confidence, correct : (n,)
        Confidence, larger is surer, of which only the order matters; true, or 1, where the best label is right, and
        false for out-of-scope rows.

    Returns
    -------
    RiskCoverageAreas
        Areas, 0..1, smaller is better; nan for no rows. With error rate r, random confidences have AURC r and
        AUGRC r (n + 1) / (2n); the E-AURC of a perfect order is 0.

    Raises
    ------
    InputError
        If shapes disagree or a flag is neither true nor false.

    Examples
    --------
    All tied, one wrong in two: AURC is r = 1/2; AUGRC is (1/2 + 1) / 2 / 2.

    >>> areas = risk_coverage_areas([0.5, 0.5], [True, False])
    >>> areas.aurc.value, areas.augrc.value
    (0.5, 0.375)
    """
    ranking = as_ranking(confidence, correct, names=NAMES, allow_nan=True)
    if not ranking.counts.size:
        return RiskCoverageAreas(NOTHING, NOTHING, NOTHING)
    # H[i] = 1 + 1/2 + ... + 1/i. A replicate's size is Poisson(n): it never reaches 2n + 100.
    harmonic = np.append(0.0, np.cumsum(1 / np.arange(1.0, 2 * ranking.counts.sum() + 100)))
    return RiskCoverageAreas(**poisson_bootstrap(lambda weights: _areas(ranking, weights, harmonic), ranking.counts))


def _areas(ranking: Ranking, weights: Column, harmonic: Column) -> dict[str, float]:
    """All areas for whole-number weights.

    A tie of m rows with e errors, after N rows with E errors, is expected to have E + e j/m errors after its
    j-th row. Summed over j = 1..m: the risks (E + e j/m) / (N + j) give e + (E - N e/m) (H[N+m] - H[N]),
    the error counts give m E + e (m + 1) / 2.
    """
    right, wrong = ranking.cumulate(weights)
    rows = right + wrong
    n = rows[-1]
    if n == 0:
        return dict.fromkeys(("aurc", "augrc", "e_aurc"), float("nan"))
    m, e = np.diff(rows, prepend=0), np.diff(wrong, prepend=0)
    before, errors_before = rows - m, wrong - e
    reciprocals = np.diff(harmonic[rows.astype(np.int64)], prepend=0)
    risks = wrong[-1] + (errors_before - before * e / np.maximum(m, 1)) @ reciprocals
    oracle = wrong[-1] - right[-1] * (harmonic[int(n)] - harmonic[int(right[-1])])
    return {
        "aurc": float(risks / n),
        "augrc": float(augrc_of(right, wrong)),
        "e_aurc": max(0.0, float((risks - oracle) / n)),  # a rounding error below 0 where the order is perfect
    }


def augrc_of(right: Column, wrong: Column) -> Column:
    """AUGRC, (r,) or a scalar, from the sums of `Ranking.cumulate` for whole-number weights, (r, g) or (g,).

    Nan where all weights are 0.
    """
    rows = right + wrong
    m, e = np.diff(rows, prepend=0), np.diff(wrong, prepend=0)
    return _shares((m * (wrong - e) + e * (m + 1) / 2).sum(axis=-1), rows[..., -1] ** 2)


def _shares(parts: Column, wholes: Column) -> Column:
    """Divide; nan where the whole is 0."""
    return np.divide(parts, wholes, out=np.full(np.shape(parts), np.nan), where=wholes > 0)


def accuracy_at_coverage(confidence: Any, correct: Any, coverage: float) -> Estimate:
    """Accuracy among the surest rows if a share `coverage` of all rows is answered.

    Parameters
    ----------
    confidence, correct : (n,)
        As in `risk_coverage_areas`; ties count with the mean over their orders.
    coverage : float
        Above 0, at most 1; rounded up to whole rows.

    Returns
    -------
    Estimate
        0..1, nan for no rows; with a Poisson bootstrap interval of 200 replicates, without width if no answer is wrong.
        Errors as in `risk_coverage_areas`, and for a coverage out of range.

    Examples
    --------
    Of four rows, the surest is right, and one of the two rows tied next.

    >>> accuracy_at_coverage([0.9, 0.8, 0.8, 0.1], [True, True, False, False], 0.5).value
    0.75
    """
    return accuracies_at_coverages(confidence, correct, (coverage,))[0]


def accuracies_at_coverages(confidence: Any, correct: Any, coverages: Sequence[float]) -> tuple[Estimate, ...]:
    """Compute `accuracy_at_coverage`, with its confidences and flags (n,), at several coverages at once.

    Examples
    --------
    >>> [e.value for e in accuracies_at_coverages([0.9, 0.8, 0.7, 0.1], [True, True, True, False], (0.5, 1.0))]
    [1.0, 0.75]
    """
    for coverage in coverages:
        _check_share("coverage", coverage)
    ranking = as_ranking(confidence, correct, names=NAMES, allow_nan=True)
    if not ranking.counts.size:
        return (NOTHING,) * len(coverages)
    wanted = np.array(coverages)

    def statistic(weights: Column) -> dict[str, float]:
        return {f"{i}": float(share) for i, share in enumerate(accuracies_of(*ranking.cumulate(weights), wanted))}

    return tuple(poisson_bootstrap(statistic, ranking.counts).values())


def accuracies_of(right: Column, wrong: Column, coverages: Column) -> Column:
    """Accuracies at coverages (c,), shape (r, c) or (c,), from the sums of `Ranking.cumulate`, (r, g) or (g,).

    Nan where all weights are 0.
    """
    rows = right + wrong
    needed = np.ceil(coverages * rows[..., -1:] - ROUNDING)
    start = np.zeros((*rows.shape[:-1], 1))
    lines = (np.concatenate([start, sums], axis=-1).reshape(-1, sums.shape[-1] + 1) for sums in (rows, right))
    # Linear within a tie: the mean over all orders of its rows.
    found = [np.interp(*line) for line in zip(needed.reshape(-1, len(coverages)), *lines, strict=True)]
    return _shares(np.array(found).reshape(needed.shape), needed)


def coverage_at_accuracy(confidence: Any, correct: Any, accuracy: float) -> Estimate:
    """Share of rows answered at the loosest threshold whose measured accuracy is at least `accuracy`.

    The threshold is chosen on these rows, so it promises nothing: for a promise see `elsewise.CertifiedThreshold`.

    Parameters
    ----------
    confidence, correct : (n,)
        As in `risk_coverage_areas`; equal confidences are answered together, and nan never.
    accuracy : float
        Above 0, at most 1.

    Returns
    -------
    Estimate
        0..1, 0 if no threshold reaches the accuracy, nan for no rows; with a Poisson bootstrap interval of 200
        replicates in which the threshold moves. Errors as in `risk_coverage_areas`, and for an accuracy out of range.

    Examples
    --------
    Two of the three surest rows are right, and two of all four.

    >>> coverage_at_accuracy([0.9, 0.8, 0.7, 0.1], [True, False, True, False], 0.6).value
    0.75
    """
    _check_share("accuracy", accuracy)
    ranking = as_ranking(confidence, correct, names=NAMES, allow_nan=True)
    if not ranking.counts.size:
        return NOTHING
    known = ~np.isnan(ranking.values[ranking.ends])

    def statistic(weights: Column) -> dict[str, float]:
        return {"coverage": float(coverage_of(*ranking.cumulate(weights), known, accuracy))}

    return poisson_bootstrap(statistic, ranking.counts)["coverage"]


def coverage_of(right: Column, wrong: Column, known: Flags, accuracy: float) -> Column:
    """Coverage at an accuracy, (r,) or a scalar, from the sums of `Ranking.cumulate`, (r, g) or (g,).

    `known` (g,) flags the confidences that are not nan.
    """
    rows = right + wrong
    enough = known & (right >= accuracy * rows - ROUNDING)
    return _shares(np.where(enough, rows, 0.0).max(axis=-1, initial=0.0), rows[..., -1])


def _check_share(name: str, share: float) -> None:
    if not 0 < share <= 1:
        raise InputError(f"{name} must be above 0 and at most 1, got {share}")
