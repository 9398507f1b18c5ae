"""What abstaining buys: risk against coverage, and the areas AURC and AUGRC.

Sources: AURC: Geifman, Uziel & El-Yaniv (2019), "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers",
https://arxiv.org/abs/1805.08206; AUGRC: Traub et al. (2024), "Overcoming Common Flaws in the Evaluation of Selective
Classification Systems", https://arxiv.org/abs/2407.01032.
Convention: sums over i = 1..n rows answered, no trapezoids (those differ by O(1/n)).
Ties: the mean over all orders of the tied rows, so the order of the rows never matters. A confidence of nan, which
is never answered, ranks as one tie below everything else.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from elsewise.metrics.intervals import NOTHING, Column, Estimate, Ranking, as_ranking, poisson_bootstrap

NAMES = ("confidence", "correct")


@dataclass(frozen=True, slots=True, eq=False)
class RiskCoverageCurve:
    """What each possible threshold would do, from the strictest to the loosest.

    Attributes
    ----------
    coverage : (g,) float64
        Share of all rows answered, increasing.
    risk : (g,) float64
        Share of the answered rows that are wrong.
    threshold : (g,) float64
        The distinct confidences, decreasing; a row is answered iff its confidence >= threshold.
    """

    coverage: Column
    risk: Column
    threshold: Column


@dataclass(frozen=True, slots=True)
class RiskCoverageAreas:
    """Both areas, from one set of bootstrap replicates; smaller is better."""

    aurc: Estimate
    augrc: Estimate


def risk_coverage_curve(confidence: Any, correct: Any) -> RiskCoverageCurve:
    """Coverage and risk at every distinct confidence.

    Parameters
    ----------
    confidence : (n,)
        Larger is surer. A nan row counts in n and is never answered.
    correct : (n,)
        True, or 1, where the label that would be given is right.

    Returns
    -------
    RiskCoverageCurve
        Empty for no rows, or none that can be answered.

    Raises
    ------
    InputError
        If shapes disagree or a flag is neither true nor false.

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

    Parameters, ties and errors as in `risk_coverage_areas`, which gives both areas for the price of one.

    Examples
    --------
    The wrong row comes second: (0/1 + 1/2 + 1/3) / 3.

    >>> round(aurc([0.9, 0.8, 0.7], [True, False, True]).value, 6)
    0.277778
    """
    return risk_coverage_areas(confidence, correct).aurc


def augrc(confidence: Any, correct: Any) -> Estimate:
    """Area under the generalised risk-coverage curve: mean over i of (errors among the i surest rows) / n.

    The share of all rows that are answered wrongly, averaged over thresholds. AURC divides by the rows answered
    instead, so that a few errors among the surest rows can decide it.
    Parameters, ties and errors as in `risk_coverage_areas`, which gives both areas for the price of one.

    Examples
    --------
    The wrong row comes second: (0/3 + 1/3 + 1/3) / 3.

    >>> round(augrc([0.9, 0.8, 0.7], [True, False, True]).value, 6)
    0.222222
    """
    return risk_coverage_areas(confidence, correct).augrc


def risk_coverage_areas(confidence: Any, correct: Any) -> RiskCoverageAreas:
    """AURC and AUGRC, with Poisson bootstrap intervals of 200 replicates.

    Parameters
    ----------
    confidence : (n,)
        Larger is surer; only the order matters. Equal confidences count with the mean over their orders, nan
        as one tie below all others.
    correct : (n,)
        True, or 1, where the label that would be given is right; false for out-of-scope rows.

    Returns
    -------
    RiskCoverageAreas
        Each 0..1, smaller is better; nan for no rows. With error rate r, useless confidences have AURC r and
        AUGRC r (n + 1) / (2n).

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
        return RiskCoverageAreas(NOTHING, NOTHING)
    # H[i] = 1 + 1/2 + ... + 1/i. A replicate's size is Poisson(n): it never reaches 2n + 100.
    harmonic = np.append(0.0, np.cumsum(1 / np.arange(1.0, 2 * ranking.counts.sum() + 100)))
    return RiskCoverageAreas(**poisson_bootstrap(lambda weights: _areas(ranking, weights, harmonic), ranking.counts))


def _areas(ranking: Ranking, weights: Column, harmonic: Column) -> dict[str, float]:
    """Both areas for whole-number weights.

    A tie of m rows with e errors, after N rows with E errors, is expected to have E + e j/m errors after its
    j-th row. Summed over j = 1..m: the risks (E + e j/m) / (N + j) give e + (E - N e/m) (H[N+m] - H[N]),
    the error counts give m E + e (m + 1) / 2.
    """
    right, wrong = ranking.cumulate(weights)
    rows = right + wrong
    n = rows[-1]
    if n == 0:
        return {"aurc": float("nan"), "augrc": float("nan")}
    m, e = np.diff(rows, prepend=0), np.diff(wrong, prepend=0)
    before, errors_before = rows - m, wrong - e
    reciprocals = np.diff(harmonic[rows.astype(np.int64)], prepend=0)
    risks = wrong[-1] + (errors_before - before * e / np.maximum(m, 1)) @ reciprocals
    return {"aurc": float(risks / n), "augrc": float((m @ errors_before + e @ (m + 1) / 2) / n**2)}
