"""Distances against brute force, scikit-learn's covariance, and references that are hardly usable."""

import tracemalloc

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

from elsewise.errors import InputError
from elsewise.outputs import References
from elsewise.scores.distances import LabelGaussians, each_row, products, shrunk_covariance, unit


def references(m=200, d=6, k=4, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(k, size=m)
    return References(3 * np.eye(k, d)[codes] + rng.normal(size=(m, d)), codes)


@pytest.mark.parametrize(("m", "d"), [(20, 50), (300, 5), (7, 7)])
def test_the_covariance_is_shrunk_as_ledoit_and_wolf_do(m, d):
    rows = np.random.default_rng(0).normal(size=(m, d)) @ np.diag(np.linspace(0.1, 3, d))
    rows -= rows.mean(axis=0)

    assert shrunk_covariance(rows) == pytest.approx(ledoit_wolf(rows, assume_centered=True)[0], abs=1e-10)


def test_squared_distances_are_those_of_the_definition():
    known, rows = references(), np.random.default_rng(1).normal(size=(20, 6))
    u = known.features / np.linalg.norm(known.features, axis=1, keepdims=True)
    means = np.stack([u[known.codes == label].mean(axis=0) for label in range(4)])
    inverse = np.linalg.inv(ledoit_wolf(u - means[known.codes], assume_centered=True)[0])
    apart = (rows / np.linalg.norm(rows, axis=1, keepdims=True))[:, None] - means

    gaussians = LabelGaussians.fit(known)

    expected = np.einsum("ngi,ij,ngj->ng", apart, inverse, apart)
    assert gaussians.squared(rows) == pytest.approx(expected, rel=1e-9)
    assert gaussians.least(rows) == pytest.approx(expected.min(axis=1), rel=1e-9)
    assert np.array_equal(gaussians.nearest(rows)[0], np.argsort(expected, axis=1)[:, :2])


def test_the_length_of_features_does_not_matter():
    known, rows = references(), np.random.default_rng(1).normal(size=(20, 6))
    scaled = References(known.features * 10, known.codes)

    assert LabelGaussians.fit(scaled).squared(rows / 7) == pytest.approx(LabelGaussians.fit(known).squared(rows))


@pytest.mark.parametrize("m", [1, 2, 3])
def test_few_references_give_finite_distances(m):
    """One text, or fewer than there are features: the covariance alone could not be inverted."""
    known = references(m=m, d=40)

    squared = LabelGaussians.fit(known).squared(np.random.default_rng(1).normal(size=(5, 40)))

    assert np.isfinite(squared).all()


def test_features_that_never_vary_are_allowed():
    known = references(d=4, k=4)
    flat = References(np.column_stack([known.features, np.zeros(200)]), known.codes)
    rows = np.random.default_rng(1).normal(size=(5, 5))

    assert np.isfinite(LabelGaussians.fit(flat).squared(rows)).all()
    same = References(np.ones((10, 3)), np.zeros(10, dtype=int))
    assert LabelGaussians.fit(same).squared(np.ones((1, 3))) == pytest.approx(0)


def test_a_label_without_references_is_never_the_nearest():
    known = references()
    some = known.codes != 2
    gaussians = LabelGaussians.fit(References(known.features[some], known.codes[some]))

    nearest, apart = gaussians.nearest(known.features, among=4)

    assert set(np.unique(nearest)) == {-1, 0, 1, 3}
    assert (nearest[:, 3] == -1).all()
    assert np.array_equal(apart[:, :3], np.sort(gaussians.squared(known.features), axis=1))
    assert np.isinf(apart[:, 3]).all()


def test_features_that_are_not_finite_have_no_distance():
    rows = np.random.default_rng(1).normal(size=(70, 6))
    rows[[0, 40], 3] = [np.nan, np.inf]
    gaussians = LabelGaussians.fit(references())

    least = gaussians.least(rows)

    assert np.flatnonzero(np.isnan(least)).tolist() == [0, 40]
    assert gaussians.nearest(rows)[0][[0, 40]].tolist() == [[-1, -1], [-1, -1]]
    assert np.array_equal(least[41:], gaussians.least(rows[41:]))


def test_a_zero_vector_stays_one():
    assert unit(np.array([[0.0, 0.0], [3.0, 4.0]])).tolist() == [[0, 0], [0.6, 0.8]]


def test_products_of_a_row_do_not_depend_on_its_neighbours():
    rng = np.random.default_rng(2)
    rows, matrix = rng.normal(size=(203, 384)), rng.normal(size=(384, 150))
    together = products(rows, matrix)

    assert together == pytest.approx(rows @ matrix, abs=1e-9)
    for n in (1, 2, 31, 32, 33, 100):
        assert np.array_equal(products(rows[-n:], matrix), together[-n:])
    assert products(rows[:0], matrix).shape == (0, 150)


@pytest.mark.parametrize(("d", "g"), [(384, 384), (384, 150), (768, 7), (12, 5), (385, 1)])
def test_products_of_a_row_do_not_depend_on_where_it_stands(d, g):
    rng = np.random.default_rng(3)
    row, matrix = rng.normal(size=d), rng.normal(size=(d, g))
    alone = products(row[None], matrix)[0]

    for place in range(40):
        rows = rng.normal(size=(40, d))
        rows[place] = row
        assert np.array_equal(products(rows, matrix)[place], alone)


@pytest.mark.parametrize(
    ("features", "codes", "message"),
    [
        (
            np.zeros((0, 3)),
            np.zeros(0, dtype=int),
            "distances need at least one in-scope .*, got 0",
        ),
        (np.array([[1.0], [np.nan]]), np.array([0, 1]), "features of references must be finite, and row 1 is not"),
        (
            np.zeros(3),
            np.zeros(3, dtype=int),
            r"references must be .*, got \(3,\) and \(3,\)",
        ),
        (np.zeros((3, 2)), np.zeros(2, dtype=int), r"references must be .*, got \(3, 2\) and \(2,\)"),
    ],
)
def test_references_that_cannot_be_used_are_refused(features, codes, message):
    with pytest.raises(InputError, match=f"^{message}$"):
        LabelGaussians.fit(References(features, codes))


def test_features_of_another_width_are_refused():
    with pytest.raises(InputError, match=r"^features must have shape \(n, 6\) as the references have, got \(2, 5\)$"):
        LabelGaussians.fit(references()).squared(np.zeros((2, 5)))
    with pytest.raises(InputError, match=r"got \(6,\)$"):
        each_row(lambda rows: rows, np.zeros(6), 6)


def test_many_labels_do_not_take_the_memory_of_all_their_distances():
    rng = np.random.default_rng(0)
    labels = LabelGaussians(np.eye(4), rng.normal(size=(5000, 4)), np.arange(5000))
    features = rng.normal(size=(8000, 4))  # 320 MB of distances

    tracemalloc.start()
    least = labels.least(features)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 200e6
    assert least[:3].tolist() == labels.squared(features[:3]).min(axis=1).tolist()
