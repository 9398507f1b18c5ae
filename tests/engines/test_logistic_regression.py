"""Logistic regression: the answers of scikit-learn, and rows that say little."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from elsewise.arrays import softmax
from elsewise.engines.logistic_regression import logistic_regression

K, STRENGTH = 5, 30.0


def embeddings(n=400, d=12, k=K, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(k, size=n)
    rows = np.eye(d)[codes] + rng.normal(size=(n, d))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), codes


@pytest.mark.parametrize("k", [2, K])
def test_the_head_is_the_logistic_regression_of_scikit_learn(k):
    """For two labels scikit-learn has one vector instead of two that differ: its penalty is then half of ours."""
    x, codes = embeddings(k=k)
    strength = STRENGTH * (2 if k == 2 else 1)

    weight, bias = logistic_regression(x, codes, k, STRENGTH)

    sparse = logistic_regression(csr_matrix(x.astype(np.float32)), codes, k, STRENGTH)
    theirs = LogisticRegression(C=strength, max_iter=2000, tol=1e-8).fit(x, codes).predict_proba(x)
    assert softmax(x @ weight.T + bias) == pytest.approx(theirs, abs=1e-3)
    assert softmax(x @ sparse[0].T + sparse[1]) == pytest.approx(theirs, abs=1e-3)


def test_a_label_of_one_row_and_one_of_none_have_a_place_in_the_head():
    x, codes = embeddings(k=3)
    codes[codes == 2] = 0
    codes[0] = 2

    weight, bias = logistic_regression(x, codes, 4, STRENGTH)

    p = softmax(x @ weight.T + bias)
    assert (weight.shape, bias.shape) == ((4, 12), (4,))
    assert p[0].argmax() == 2
    assert p[:, 3].max() < 0.01


def test_embeddings_that_are_all_equal_have_the_frequencies_of_labels_as_probabilities():
    codes = np.array([0] * 60 + [1] * 30 + [2] * 10)

    weight, bias = logistic_regression(np.full((100, 4), 0.5), codes, 3, STRENGTH)

    assert softmax(np.full((1, 4), 0.5) @ weight.T + bias)[0] == pytest.approx([0.6, 0.3, 0.1], abs=1e-3)
