"""Multinomial logistic regression by L-BFGS, on dense or sparse rows, in float32."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes, log_softmax

STEPS: Final = 200  # of the solver, at most


def logistic_regression(
    x: Any, codes: Codes, k: int, strength: float, steps: int = STEPS
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fit on rows (n, d), an array or a scipy matrix of float32, with codes (n,), 0..k-1: weights (k, d), biases (k,).

    The penalty is that of scikit-learn's C = `strength`, of all weights and of no bias; at most so many steps.

    Examples
    --------
    >>> weights, biases = logistic_regression(np.float32([[1, 0], [0, 1], [0, 2]]), np.array([0, 1, 1]), 2, 10.0)
    >>> (np.float32([[2, 0], [0, 2]]) @ weights.T + biases).argmax(axis=1).tolist()
    [0, 1]
    """
    from scipy.optimize import minimize  # noqa: PLC0415

    n, d = x.shape
    rows, penalty = np.arange(n), np.float32(1 / (strength * n))

    def loss(flat: NDArray[Any]) -> tuple[float, NDArray[np.float64]]:
        both = flat.reshape(k, d + 1).astype(np.float32)
        w = both[:, :-1]
        log_p = log_softmax(x @ w.T + both[:, -1])
        value = -float(log_p[rows, codes].mean(dtype=np.float64)) + float(penalty * (w**2).sum()) / 2
        apart = np.exp(log_p)
        apart[rows, codes] -= 1
        steepness = np.concatenate([(x.T @ apart).T / n + penalty * w, apart.mean(axis=0)[:, None]], axis=1)
        return value, steepness.ravel().astype(np.float64)

    found = minimize(loss, np.zeros(k * (d + 1)), jac=True, method="L-BFGS-B", options={"maxiter": steps})
    both = found.x.reshape(k, d + 1).astype(np.float32)
    return np.ascontiguousarray(both[:, :-1]), np.ascontiguousarray(both[:, -1])
