"""Open-set accuracy and macro-F1: metrics of a system with abstentions, where Other is an outcome like any label.

Sources: Larson et al. (2019), "An Evaluation Dataset for Intent Classification and Out-of-Scope Prediction",
https://arxiv.org/abs/1909.02027; Zhang, Xu & Lin (2021), "Deep Open Intent Classification with Adaptive Decision
Boundary", https://arxiv.org/abs/2012.10209 (accuracy and F1 over all labels and the open one).
Both depend on the share of out-of-scope rows: compare only systems measured on the same rows.
"""

from typing import Any

import numpy as np

from elsewise.arrays import ABSTAIN, Codes, to_numpy
from elsewise.errors import InputError
from elsewise.metrics.classification import mean_f1
from elsewise.metrics.intervals import Estimate, wilson


def open_set_accuracy(decided: Any, codes: Any) -> Estimate:
    """Share of rows with the right outcome: the true label, or Other for an out-of-scope row.

    Parameters
    ----------
    decided, codes : (n,)
        Answered codes, -1 for an abstention; true codes, -1 for an out-of-scope row.

    Returns
    -------
    Estimate
        0..1, with Wilson's interval; nan for no rows. An abstention on an in-scope row counts as wrong.

    Raises
    ------
    InputError
        If shapes disagree, or a code is no whole number from -1 up.

    Examples
    --------
    The first row is right, and the last, an abstention on an out-of-scope row.

    >>> open_set_accuracy([0, -1, 1, -1], [0, 0, -1, -1]).value
    0.5
    """
    answer, truth = _outcomes(decided, codes)
    return wilson(int(np.sum(answer == truth)), len(truth))


def open_set_macro_f1(decided: Any, codes: Any) -> Estimate:
    """F1 averaged over the labels and Other, as far as they occur among true or decided outcomes.

    Parameters (both (n,)) and errors as in `open_set_accuracy`, interval as in `macro_f1`. Other weighs as one label.

    Examples
    --------
    F1 is 2 * hits / (true + decided). Label 0: 2 / (2 + 1). Label 1: 0 / (0 + 1). Other: 2 / (2 + 2).

    >>> round(open_set_macro_f1([0, -1, 1, -1], [0, 0, -1, -1]).value, 6)
    0.388889
    """
    outcomes, which = np.unique(np.concatenate(_outcomes(decided, codes)), return_inverse=True)
    answer, truth = np.split(which, 2)
    return mean_f1(truth, answer, len(outcomes))


def _outcomes(decided: Any, codes: Any) -> tuple[Codes, Codes]:
    answer, truth = _as_outcomes(decided, "decided"), _as_outcomes(codes, "codes")
    if answer.shape != truth.shape:
        raise InputError(f"codes must have shape {answer.shape}, one for each of decided, got {truth.shape}")
    return answer, truth


def _as_outcomes(values: Any, name: str) -> Codes:
    array = to_numpy(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise InputError(f"{name} must be whole numbers of shape (n,), got {array.dtype} of shape {array.shape}")
    if array.size and array.min() < ABSTAIN:
        raise InputError(f"{name} must be -1 or more, got {array.min()} in row {int(array.argmin())}")
    return array.astype(np.int64)
