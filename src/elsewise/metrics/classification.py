"""Accuracy, macro-F1, log loss and Brier score of the most probable label, without abstaining.

Source: Gneiting & Raftery (2007), "Strictly Proper Scoring Rules, Prediction, and Estimation",
https://doi.org/10.1198/016214506000001437 (log loss and Brier score).
For abstentions see `open_set` and `selective`.
"""

from typing import Any

import numpy as np

from elsewise.arrays import Codes, Floats, as_codes, as_probabilities, log_losses
from elsewise.metrics.bootstrap import poisson_bootstrap
from elsewise.metrics.intervals import NOTHING, Column, Estimate, mean_interval, wilson


def accuracy(probabilities: Any, codes: Any) -> Estimate:
    """Share of rows whose most probable label is true, with Wilson's interval.

    Parameters
    ----------
    probabilities, codes : (n, k) and (n,)
        Rows that sum to 1, the first of equal probabilities counts; true codes 0..k-1, -1 marks an out-of-scope row,
        for which every label is wrong.

    Raises
    ------
    InputError
        If shapes disagree, rows are no probabilities or a code is out of range.

    Examples
    --------
    >>> accuracy([[0.9, 0.1], [0.4, 0.6], [0.8, 0.2]], [0, 1, 1]).value
    0.6666666666666666
    """
    p = as_probabilities(probabilities)
    y = as_codes(codes, like=p, allow_abstain=True)
    return wilson(int(np.sum(p.argmax(axis=1) == y)), len(y))


def macro_f1(probabilities: Any, codes: Any) -> Estimate:
    """F1 of the most probable label, averaged over the labels that occur among true or predicted codes.

    F1 of a label is 2 * hits / (true + predicted): 0 for a label that is never hit. A bootstrap replicate averages over
    the labels that occur in it.

    Parameters
    ----------
    probabilities, codes : (n, k) and (n,)
        Rows that sum to 1; true codes 0..k-1.

    Returns
    -------
    Estimate
        0..1, nan for no rows. The interval is from a Poisson bootstrap of 200 replicates, reflected about the value
        (2 * value - high percentile, and the reverse): few rows per label pull macro-F1 down, and a replicate's
        further. With 50 labels of 6 or 30 rows it covers 95 %, the percentiles 63 and 89 %. For few labels of few
        rows, or without errors, it is too narrow. Errors as in `accuracy`, and for an out-of-scope row (-1).

    Examples
    --------
    Label 0: 1 hit, 1 true, 2 predicted, F1 2/3. Label 1: 1 hit, 2 true, 1 predicted, 2/3. Label 2 never occurs.

    >>> macro_f1([[0.9, 0.1, 0], [0.4, 0.6, 0], [0.8, 0.2, 0]], [0, 1, 1]).value
    0.6666666666666666
    """
    p = as_probabilities(probabilities)
    return mean_f1(as_codes(codes, like=p), p.argmax(axis=1), p.shape[1])


def mean_f1(true: Codes, predicted: Codes, k: int) -> Estimate:
    """Compute `macro_f1` from true codes (n,) and predicted codes (n,), both 0..k-1."""
    if not len(true):
        return NOTHING
    # Rows with the same true and predicted code share a weight: k^2 weights a replicate instead of n.
    kinds, counts = np.unique(true * k + predicted, return_counts=True)
    of_true, of_predicted = kinds // k, kinds % k

    def statistic(weights: Column) -> dict[str, float]:
        hits = np.bincount(of_true, weights * (of_true == of_predicted), minlength=k)
        size = np.bincount(of_true, weights, minlength=k) + np.bincount(of_predicted, weights, minlength=k)
        occurs = size > 0
        return {"macro_f1": float(np.mean(2 * hits[occurs] / size[occurs])) if occurs.any() else float("nan")}

    drawn = poisson_bootstrap(statistic, counts)["macro_f1"]
    value = drawn.value
    return Estimate(value, max(0.0, min(value, 2 * value - drawn.high)), min(1.0, max(value, 2 * value - drawn.low)))


def log_loss(probabilities: Any, codes: Any) -> Estimate:
    """Mean of -ln(probability of the true label), in nats, with the normal interval.

    Probabilities are floored at the smallest positive normal number of the array's dtype (1.2e-38 in float32, cost
    87.3; 2.2e-308 in float64, cost 708.4): some threads flush smaller ones to 0, which would cost infinity.

    Parameters
    ----------
    probabilities, codes : (n, k) and (n,)
        Rows that sum to 1; true codes 0..k-1.

    Returns
    -------
    Estimate
        0 or more; nan for no rows; for one row the upper end is infinite. Errors as in `macro_f1`.

    Examples
    --------
    (ln 2 + ln 4) / 2 = 1.5 ln 2.

    >>> round(log_loss([[0.5, 0.5], [0.75, 0.25]], [0, 1]).value, 6)
    1.039721
    """
    p = as_probabilities(probabilities)
    y = as_codes(codes, like=p)
    return mean_interval(log_losses(p, y), lowest=0.0)


def brier(probabilities: Any, codes: Any) -> Estimate:
    """Brier score: mean over rows of the squared error summed over all k labels; 0 is perfect, 2 is sure and wrong.

    The form of Brier (1950), https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2; for two labels it
    is twice scikit-learn's default.

    Parameters
    ----------
    probabilities, codes : (n, k) and (n,)
        Rows that sum to 1; true codes 0..k-1.

    Returns
    -------
    Estimate
        0..2, with the normal interval; nan for no rows. Errors as in `macro_f1`.

    Examples
    --------
    (0.2^2 + 0.2^2 + (0.6^2 + 0.6^2)) / 2.

    >>> round(brier([[0.8, 0.2], [0.6, 0.4]], [0, 1]).value, 6)
    0.4
    """
    p = as_probabilities(probabilities)
    y = as_codes(codes, like=p)
    return mean_interval(brier_scores(p, y), lowest=0.0, highest=2.0)


def brier_scores(p: Floats, y: Codes) -> Column:
    """Compute the Brier score of each row, (n,), from checked probabilities (n, k) and codes (n,)."""
    true = p[np.arange(len(y)), y].astype(np.float64)
    # sum_j (p_j - [j = y])^2 expanded, to make no second (n, k) array.
    return np.einsum("ij,ij->i", p, p, dtype=np.float64) - 2 * true + 1
