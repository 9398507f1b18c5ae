"""The solver for scales and biases: at its answer the slope is zero, and nothing near it is better."""

import tracemalloc

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp

from elsewise.calibrators import scale_and_bias
from elsewise.calibrators.best_temperature import best_temperature, spread_of
from elsewise.calibrators.scale_and_bias import NO_TEMPERATURE, REVERSED, best_affine
from elsewise.errors import InputError

both = pytest.mark.parametrize("by_label", [False, True], ids=["one-scale", "scale-by-label"])


def planted(n=2000, k=5, seed=0, bias=0.7, scale=0.2, temperature=2.5):
    """Logits of a model whose labels are off by different biases and scales."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, k))
    z[np.arange(n), rng.integers(k, size=n)] += rng.uniform(0, 5, size=n)
    honest = (z - z.mean(axis=1, keepdims=True)) * np.exp(rng.normal(size=k) * scale) + rng.normal(size=k) * bias
    return temperature * z, (honest + rng.gumbel(size=z.shape)).argmax(axis=1)


def objective(z, codes, penalty, by_label):
    """The penalised mean log loss, written again, of (shared scale, biases, deviations)."""
    n, k = z.shape
    u = (z - z.mean(axis=1, keepdims=True)) / spread_of(z)

    def value(x):
        own = x[1 + k :] if by_label else 0
        logits = (x[0] + own) * u + x[1 : 1 + k]
        return np.mean(logsumexp(logits, axis=1) - logits[np.arange(n), codes]) + penalty / n / 2 * np.sum(x[1:] ** 2)

    return value, 1 + k * (1 + by_label)


@both
def test_a_general_optimiser_finds_nothing_better(by_label):
    z, codes = planted(n=500, k=4)
    found = best_affine(z, codes, penalty=3, by_label=by_label)
    value, size = objective(z, codes, 3, by_label)

    other = minimize(value, np.r_[1.0, np.zeros(size - 1)], method="BFGS", options={"gtol": 1e-7})

    own = other.x[5:] if by_label else 0
    assert found.scales == pytest.approx((other.x[0] + own) / spread_of(z) + np.zeros(4), abs=1e-5)
    assert found.biases == pytest.approx(other.x[1:5], abs=1e-5)


@both
def test_a_huge_penalty_leaves_the_temperature(by_label):
    z, codes = planted()

    found = best_affine(z, codes, penalty=1e12, by_label=by_label)

    assert 1 / found.scales == pytest.approx(np.full(5, best_temperature(z, codes)), rel=1e-8)
    assert found.biases == pytest.approx(np.zeros(5), abs=1e-8)


@both
@pytest.mark.parametrize("size", [1e-6, 0.01, 100.0, 1e6])
def test_scales_with_the_logits(by_label, size):
    z, codes = planted()
    plain = best_affine(z, codes, penalty=10, by_label=by_label)

    found = best_affine(z * size, codes, penalty=10, by_label=by_label)

    assert found.scales * size == pytest.approx(plain.scales, rel=1e-7)
    assert found.biases == pytest.approx(plain.biases, abs=1e-8)


@both
def test_a_constant_added_to_each_row_changes_nothing(by_label):
    z, codes = planted()
    moved = z + np.random.default_rng(1).normal(size=(len(z), 1)) * 50

    found, plain = (best_affine(rows, codes, penalty=10, by_label=by_label) for rows in (moved, z))

    assert found.scales == pytest.approx(plain.scales, abs=1e-8)
    assert found.biases == pytest.approx(plain.biases, abs=1e-8)


@both
def test_curvature_from_some_rows_leads_to_the_same_answer(by_label, monkeypatch):
    z, codes = planted(n=6000)
    plain = best_affine(z, codes, penalty=10, by_label=by_label)

    monkeypatch.setattr(scale_and_bias, "CURVED", 600)
    found = best_affine(z, codes, penalty=10, by_label=by_label)

    assert found.scales == pytest.approx(plain.scales, abs=1e-8)
    assert found.biases == pytest.approx(plain.biases, abs=1e-8)


@both
def test_curvature_rows_that_mislead_are_given_up(by_label, monkeypatch):
    """Every fiftieth row says hardly anything: steps made from them alone would be far too long."""
    z, codes = planted(n=6000)
    z[::50] *= 0.01
    plain = best_affine(z, codes, penalty=10, by_label=by_label)

    monkeypatch.setattr(scale_and_bias, "CURVED", 600)
    monkeypatch.setattr(scale_and_bias, "ROWS_A_LABEL", 1)
    found = best_affine(z, codes, penalty=10, by_label=by_label)

    assert found.scales == pytest.approx(plain.scales, abs=1e-7)
    assert found.biases == pytest.approx(plain.biases, abs=1e-7)


@both
def test_ten_thousand_labels_are_solved(by_label):
    z, codes = planted(n=300, k=10_000)

    found = best_affine(z.astype(np.float32), codes, penalty=10, by_label=by_label)

    assert found.trouble is None
    assert np.isfinite(found.biases).all()
    assert (found.scales > 0).all()


@both
@pytest.mark.parametrize(
    ("z", "codes"),
    [
        ([[2.0, 0.0], [0.0, 3.0]], [0, 1]),
        ([[2.0, 0.0], [0.0, 3.0]], [1, 0]),
        ([[2.0, 0.0]], [0]),
        ([[1.0, 1.0], [5.0, 5.0]], [0, 1]),
    ],
    ids=["all-right", "all-wrong", "one-row", "constant-rows"],
)
def test_where_no_temperature_is_best_nothing_is_changed(by_label, z, codes):
    found = best_affine(z, codes, penalty=10, by_label=by_label)

    assert found.trouble == NO_TEMPERATURE
    assert found.scales.tolist() == [1, 1]
    assert found.biases.tolist() == [0, 0]


@both
@pytest.mark.parametrize("seed", range(5))
def test_one_label_only_has_a_finite_answer(by_label, seed):
    z = np.random.default_rng(seed).normal(size=(200, 4))

    found = best_affine(z, np.zeros(200, dtype=int), penalty=10, by_label=by_label)

    assert np.isfinite(found.biases).all()
    assert (found.scales > 0).all()


def test_a_label_whose_logit_misleads_leaves_all_labels_with_one_temperature():
    """The larger the logit of label 0, the less often is it label 0."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(4000, 4)) * 3
    honest = z * [-1, 1, 1, 1]
    codes = (honest + rng.gumbel(size=z.shape)).argmax(axis=1)

    found = best_affine(z, codes, penalty=1, by_label=True)

    assert found.trouble == REVERSED
    assert 1 / found.scales == pytest.approx(np.full(4, best_temperature(z, codes)))
    assert found.biases.tolist() == [0] * 4


@pytest.mark.slow
@both
def test_solving_needs_less_memory_than_a_second_copy(by_label, monkeypatch):
    monkeypatch.setattr(scale_and_bias, "CURVED", 1 << 18)
    z, codes = planted(n=14_000, k=150)
    z = z.astype(np.float32)
    best_affine(z[:500], codes[:500], penalty=10, by_label=by_label)  # what it imports is no copy

    tracemalloc.start()
    best_affine(z, codes, penalty=10, by_label=by_label)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < z.nbytes


def test_what_cannot_be_solved_is_refused():
    for penalty in (0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"^penalty must be positive and finite, got"):
            best_affine([[1.0, 0.0]], [0], penalty=penalty, by_label=True)
    with pytest.raises(InputError, match=r"^a temperature cannot be fitted on 0 rows$"):
        best_affine(np.zeros((0, 3)), [], penalty=1, by_label=True)
    with pytest.raises(InputError, match=r"^biases must have shape \(k,\) with k >= 2, got \(1,\)$"):
        scale_and_bias.checked_vector([1.0], "biases")
