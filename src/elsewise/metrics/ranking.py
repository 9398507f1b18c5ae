"""Ranking metrics: areas under ROC and precision-recall curves, false positives at a recall.

Sources: DeLong, DeLong & Clarke-Pearson (1988), "Comparing the Areas under Two or More Correlated Receiver
Operating Characteristic Curves", https://doi.org/10.2307/2531595; in O(n log n) after Sun & Xu (2014),
https://doi.org/10.1109/LSP.2014.2337313; false positives at a recall as Hendrycks, Mazeika & Dietterich (2019),
https://arxiv.org/abs/1812.04606, use them.
A larger score always means "more likely positive".
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes, Floats, as_codes, as_logits, as_probabilities
from elsewise.errors import InputError
from elsewise.metrics.bootstrap import poisson_bootstrap
from elsewise.metrics.intervals import NOTHING, Column, Estimate, normal_quantile
from elsewise.metrics.ranked import as_pairs, as_ranking

NAMES = ("scores", "positives")
SCOPE_NAMES = ("confidence", "in_scope")
COLUMNS_AT_ONCE = 16  # one cache line of float32: reading single columns of a wide array costs as much as 16


def auc(scores: Any, positives: Any) -> Estimate:
    """Probability that a positive row scores above a negative one, ties counted 1/2 (AUROC).

    Parameters
    ----------
    scores, positives : (n,)
        Real numbers, not nan, of which only the order matters; true, or 1, where the row is positive.

    Returns
    -------
    Estimate
        0..1, with DeLong's 95 % interval; nan without positives or without negatives. A single row of either kind gives
        the interval 0..1. Perfect separation gives an interval without width.

    Raises
    ------
    InputError
        If shapes disagree, a score is nan or a flag is neither true nor false.

    Examples
    --------
    Of the pairs (0.8, 0.4), (0.8, 0.1), (0.4, 0.4), (0.4, 0.1) three are in order and one is tied.

    >>> auc([0.1, 0.4, 0.4, 0.8], [False, False, True, True]).value
    0.875
    """
    values, flags = as_pairs(scores, positives, names=NAMES)
    rows = np.flatnonzero(flags)
    if len(rows) in (0, len(values)):
        return NOTHING
    area, influence = _area(values, rows)
    if min(len(rows), len(values) - len(rows)) == 1:
        return Estimate(area, 0.0, 1.0)
    return _around(area, influence)


def auc_difference(scores: Any, others: Any, positives: Any, *, level: float = 0.95) -> Estimate:
    """Difference in AUC of two scores on the same rows, `scores` minus `others`, with DeLong's paired interval.

    If both rank the same errors, of share r, their AUGRC differ by ``-r (1 - r)`` times this (Traub et al. 2024): a
    test of one is a test of the other.

    Parameters
    ----------
    scores, others, positives : (n,)
        As in `auc`.
    level : float
        Confidence level of the interval.

    Returns
    -------
    Estimate
        -1..1; nan without positives or without negatives. Errors as in `auc`.

    Examples
    --------
    The second score has one of four pairs in the wrong order.

    >>> auc_difference([0.1, 0.2, 0.3, 0.4], [0.1, 0.3, 0.2, 0.4], [False, False, True, True]).value
    0.25
    """
    values, flags = as_pairs(scores, positives, names=NAMES)
    other_values, _ = as_pairs(others, positives, names=NAMES)
    rows = np.flatnonzero(flags)
    if len(rows) in (0, len(values)):
        return NOTHING
    return paired_area(_area(values, rows), _area(other_values, rows), level)


def macro_auc(probabilities: Any, codes: Any) -> Estimate:
    """Mean over labels of the AUC of "this label against the rest".

    The interval is joint: a row's contributions to the areas of all labels are summed before squaring, because it is a
    positive of one label and a negative of all others. For two labels it is the interval of `auc`.

    Parameters
    ----------
    probabilities, codes : (n, k) and (n,)
        Rows that sum to 1; true codes 0..k-1. A label with no rows, or with all rows, is left out; nan if none is left.

    Returns
    -------
    Estimate
        0..1, at 95 %. A label with a single row adds no spread, so the interval is too narrow if many labels have one
        row; it is 0..1 if all have. Errors as in `elsewise.metrics.macro_f1`.

    Examples
    --------
    Rows of label 0 have 0.9 and 0.3, the other row 0.4: half the pairs are in order. Label 1 is its mirror.

    >>> macro_auc([[0.9, 0.1], [0.3, 0.7], [0.4, 0.6]], [0, 0, 1]).value
    0.5
    """
    p = as_probabilities(probabilities)
    y = as_codes(codes, like=p)
    return area_estimate(*macro_area(p, y), y)


def area_estimate(area: float, influence: Column, y: Codes) -> Estimate:
    """Put DeLong's interval around the area and influence (n,) that `macro_area` gives for codes (n,)."""
    if np.isnan(area):
        return NOTHING
    return Estimate(area, 0.0, 1.0) if np.bincount(y).max() == 1 else _around(area, influence)


def macro_auc_difference(scores: Any, others: Any, codes: Any, *, level: float = 0.95) -> Estimate:
    """Difference in macro AUC of two classifiers on the same rows, with DeLong's paired interval.

    Parameters
    ----------
    scores, others, codes : (n, k), (n, k) and (n,)
        Finite numbers, probabilities or not, a column for each label in the same order; true codes 0..k-1.
    level : float
        Confidence level of the interval.

    Returns
    -------
    Estimate
        -1..1; nan if every label has no rows, or all of them.

    Raises
    ------
    InputError
        If shapes disagree, a number is not finite, or a code is out of range.

    Examples
    --------
    The second has one of four pairs in the wrong order, for either label.

    >>> first, second = [[-1, 1], [-2, 2], [-3, 3], [-4, 4]], [[-1, 1], [-3, 3], [-2, 2], [-4, 4]]
    >>> macro_auc_difference(first, second, [0, 0, 1, 1]).value
    0.25
    """
    p, q = as_logits(scores), as_logits(others)
    if p.shape != q.shape:
        raise InputError(f"both must have one shape, a column for each label, got {p.shape} and {q.shape}")
    y = as_codes(codes, like=p)
    return paired_area(macro_area(p, y), macro_area(q, y), level)


def macro_area(p: Floats, y: Codes) -> tuple[float, Column]:
    """Macro AUC of checked scores (n, k) and codes (n,), nan if undefined, and each row's influence, (n,)."""
    areas, influence = [], np.zeros(len(y))
    for column, rows in _one_versus_rest(p, y):
        area, part = _area(column, rows)
        areas.append(area)
        influence += part
    return (float(np.mean(areas)), influence / len(areas)) if areas else (float("nan"), influence)


def paired_area(first: tuple[float, Column], second: tuple[float, Column], level: float) -> Estimate:
    """Difference of two areas on the same n rows, each with its influence (n,); nan if an area is nan."""
    difference, influence = first[0] - second[0], first[1] - second[1]
    half = normal_quantile(level) * float(influence @ influence) ** 0.5
    if np.isnan(difference):
        return NOTHING
    return Estimate(difference, max(-1.0, difference - half), min(1.0, difference + half))


def _one_versus_rest(p: Floats, y: Codes) -> Iterator[tuple[Floats, NDArray[np.int64]]]:
    """Yield the column of probabilities and the rows of each label that has some rows, but not all."""
    sizes = np.bincount(y, minlength=p.shape[1])
    rows = np.split(np.argsort(y, kind="stable"), np.cumsum(sizes)[:-1])
    for start in range(0, p.shape[1], COLUMNS_AT_ONCE):
        block = np.ascontiguousarray(p[:, start : start + COLUMNS_AT_ONCE].T)
        for label, column in enumerate(block, start):
            if 0 < sizes[label] < len(y):
                yield column, rows[label]


def _area(column: Floats, positive_rows: NDArray[np.int64]) -> tuple[float, Column]:
    """Area and each row's influence, (n,), whose squares sum to the variance.

    It comes from the share of negatives that a positive beats, or of positives that beat a negative.
    """
    m, others = len(positive_rows), len(column) - len(positive_rows)
    order = np.argsort(column)
    ranked = column[order]
    distinct, which, ties = np.unique(column[positive_rows], return_inverse=True, return_counts=True)
    first, last = np.searchsorted(ranked, distinct, "left"), np.searchsorted(ranked, distinct, "right")
    positives_below = np.cumsum(ties) - ties
    beaten = (first - positives_below + (last - first - ties) / 2) / others
    area = float(beaten @ ties / m)
    # The sorted rows fall into stretches: below the first distinct positive, tied with it, between it and the next...
    lengths = np.diff(np.concatenate([[0], np.column_stack([first, last]).ravel(), [len(column)]]))
    above = m - np.append(np.column_stack([positives_below, positives_below + ties / 2]).ravel(), m)
    share = np.empty(len(column))
    share[order] = np.repeat((above / m - area) / (others * max(others - 1, 1)) ** 0.5, lengths)
    share[positive_rows] = (beaten[which] - area) / (m * max(m - 1, 1)) ** 0.5
    return area, share


def _around(area: float, influence: Column) -> Estimate:
    half = normal_quantile(0.95) * float(influence @ influence) ** 0.5
    return Estimate(area, max(0.0, area - half), min(1.0, area + half))


def average_precision(scores: Any, positives: Any) -> Estimate:
    """Average precision (AUPR): precision averaged over the positives, from the largest score down.

    Sum over distinct scores of (recall gained there) * (precision down to there), without interpolation, so tied
    rows enter together, as in scikit-learn. For random scores it is the share of positives, not 1/2.

    Parameters
    ----------
    scores, positives : (n,)
        Real numbers, not nan, of which only the order matters; true, or 1, where the row is positive.

    Returns
    -------
    Estimate
        0..1, with a Poisson bootstrap interval of 200 replicates; nan without positives. Errors as in `auc`.

    Examples
    --------
    Positives come first and third: (1/1 + 2/3) / 2.

    >>> round(average_precision([0.9, 0.8, 0.7], [True, False, True]).value, 6)
    0.833333
    """
    ranking = as_ranking(scores, positives, names=NAMES)
    if not ranking.flags.any():
        return NOTHING

    def statistic(weights: Column) -> dict[str, float]:
        hits, misses = ranking.cumulate(weights)
        if hits[-1] == 0:
            return {"average_precision": float("nan")}
        # Rows of weight 0 at the top: nothing counted yet, nothing gained.
        precision = hits / np.maximum(hits + misses, 1)
        return {"average_precision": float(np.diff(hits, prepend=0) @ precision / hits[-1])}

    return poisson_bootstrap(statistic, ranking.counts)["average_precision"]


def aupr_in(confidence: Any, in_scope: Any) -> Estimate:
    """Average precision with the in-scope rows as positives, the surest first ("AUPR-In").

    Returns and raises as `average_precision`; for random confidences it is about the share of in-scope rows.

    Parameters
    ----------
    confidence, in_scope : (n,)
        Confidence, larger is surer, not nan; true, or 1, where the row has one of the labels.

    Examples
    --------
    In-scope rows come first and third: (1/1 + 2/3) / 2. The out-of-scope row is the second least sure: 1/2.

    >>> confidence, in_scope = [0.9, 0.8, 0.7], [True, False, True]
    >>> round(aupr_in(confidence, in_scope).value, 6), aupr_out(confidence, in_scope).value
    (0.833333, 0.5)
    """
    return average_precision(*as_pairs(confidence, in_scope, names=SCOPE_NAMES))


def aupr_out(confidence: Any, in_scope: Any) -> Estimate:
    """Average precision with the out-of-scope rows as positives, the least sure first ("AUPR-Out").

    Parameters (both (n,)), errors and an example as in `aupr_in`; about the share of out-of-scope rows at random.
    """
    values, flags = as_pairs(confidence, in_scope, names=SCOPE_NAMES)
    return average_precision(-values, ~flags)


def false_positive_rate_at(scores: Any, positives: Any, recall: float = 0.95) -> Estimate:
    """Share of negatives at or above the largest threshold that keeps `recall` of the positives (FPR95).

    Parameters
    ----------
    scores, positives : (n,)
        Real numbers, not nan, large for the rows to find; true, or 1, where the row is positive.
    recall : float
        Above 0, at most 1.

    Returns
    -------
    Estimate
        0..1, smaller is better, with a Poisson bootstrap interval of 200 replicates in which the threshold moves;
        nan without positives or without negatives. Errors as in `auc`, and for a recall out of range.

    Examples
    --------
    Half the positives are kept at 0.9 with no negative; all of them at 0.6, above one of two negatives.

    >>> scores, positives = [0.9, 0.8, 0.6, 0.1], [True, False, True, False]
    >>> false_positive_rate_at(scores, positives, recall=0.5).value, false_positive_rate_at(scores, positives).value
    (0.0, 0.5)
    """
    if not 0 < recall <= 1:
        raise InputError(f"recall must be above 0 and at most 1, got {recall}")
    ranking = as_ranking(scores, positives, names=NAMES)
    if ranking.flags.all() or not ranking.flags.any():
        return NOTHING

    def statistic(weights: Column) -> dict[str, float]:
        hits, alarms = ranking.cumulate(weights)
        if hits[-1] == 0 or alarms[-1] == 0:
            return {"rate": float("nan")}
        # recall * positives may be a rounding error above a whole number.
        needed = np.ceil(recall * hits[-1] - 1e-9)
        return {"rate": float(alarms[np.searchsorted(hits, needed)] / alarms[-1])}

    return poisson_bootstrap(statistic, ranking.counts)["rate"]
