"""Coverage of prediction sets and levels of p-values, over many draws from a known truth.

With n kept-aside rows and continuous scores, coverage on m new texts is exactly BetaBinomial(m, n + 1 - l, l) / m,
l = floor((n + 1) (1 - coverage)): for n = 500 at 0.9, BetaBinomial(1000, 451, 50).
"""

import numpy as np
import pytest
from scipy.stats import betabinom, binom, chisquare

from elsewise.arrays import softmax
from elsewise.rules.conformal import ConformalPValue, SplitConformal

N, M, COVERAGE = 500, 1000, 0.9
LAW = betabinom(M, 451, 50)
runs_each = pytest.mark.parametrize("runs", [200, pytest.param(2000, marks=pytest.mark.guarantee)])


def draw(rng, n, k=5, priors=None, sharpness=1.0):
    """Probabilities that are too sure by `sharpness`: coverage must not rest on calibration."""
    codes = rng.choice(k, size=n, p=priors)
    z = rng.normal(size=(n, k)) + 1.5 * np.eye(k)[codes]
    return softmax(sharpness * z), codes


def report(**numbers):
    print(*(f"{name} {number:.5g}" for name, number in numbers.items()), sep=", ")  # noqa: T201  pytest -rP shows it


def covered(rng, runs, **options):
    """In how many of M new texts the set held the true label, for each of so many draws."""
    found = []
    for _ in range(runs):
        fitted = SplitConformal.fit(*draw(rng, N, **options), coverage=COVERAGE)
        p, codes = draw(rng, M, **options)
        found.append(int(fitted(p).contain(codes).sum()))
    return np.array(found)


@runs_each
@pytest.mark.parametrize("sharpness", [1.0, 4.0])
def test_coverage_follows_its_law(runs, sharpness):
    found = covered(np.random.default_rng(39), runs, sharpness=sharpness)

    inside = np.mean((found >= 866) & (found <= 930))
    edges = LAW.ppf(np.linspace(0, 1, 11)[1:-1])
    expected = np.diff(LAW.cdf(np.r_[-1, edges, M])) * runs
    p = chisquare(np.bincount(np.searchsorted(edges, found), minlength=10), expected).pvalue
    report(mean=found.mean() / M, inside=inside, p=p)
    assert found.mean() / M == pytest.approx(451 / 501, abs=4 * LAW.std() / M / runs**0.5)
    assert inside >= binom.ppf(0.001, runs, 0.95) / runs
    assert p > 0.001


@runs_each
def test_ties_only_cover_more(runs):
    """Probabilities of one decimal, scaled to sum to 1 where they are compared."""
    rng, found = np.random.default_rng(41), []
    for _ in range(runs):
        parts = [draw(rng, n) for n in (N, M)]
        (p, y), (new, new_y) = ((np.round(p[:, :1] * 5) / 5, y == 0) for p, y in parts)
        fitted = SplitConformal.fit(np.hstack([1 - p, p]), y.astype(int), coverage=COVERAGE)
        found.append(fitted(np.hstack([1 - new, new])).contain(new_y.astype(int)).mean())

    report(mean=np.mean(found))
    assert np.mean(found) >= COVERAGE - 4 * LAW.std() / M / runs**0.5


@runs_each
def test_by_label_every_label_is_covered(runs):
    """Shares from 50 % to 2 %, so that the rarest label has ten rows; fitted together, rare labels are missed."""
    priors, rng = [0.5, 0.3, 0.13, 0.05, 0.02], np.random.default_rng(42)
    shares = {True: np.zeros(5), False: np.zeros(5)}
    for _ in range(runs):
        p, codes = draw(rng, N, priors=priors)
        p = softmax(np.log(p) + np.log(priors))
        new, new_codes = draw(rng, 500)
        new = softmax(np.log(new) + np.log(priors))
        for by_label in shares:
            held = SplitConformal.fit(p, codes, coverage=COVERAGE, by_label=by_label)(new).contain(new_codes)
            shares[by_label] += np.bincount(new_codes, held, minlength=5) / np.bincount(new_codes, minlength=5) / runs

    own, together = shares[True], shares[False]
    report(least=own.min(), least_together=together.min())
    # The share of one draw spreads by at most 0.1 (about ten rows of the rarest label).
    assert own.min() >= COVERAGE - 4 * 0.1 / runs**0.5
    assert together.min() < COVERAGE - 0.1


@runs_each
@pytest.mark.parametrize("decimals", [None, 1])
@pytest.mark.parametrize("n", [19, 200])
def test_p_values_are_no_smaller_than_chance(runs, n, decimals):
    """P(p <= a) <= a, for confidences with ties and without."""
    rng, levels = np.random.default_rng(43), np.array([0.01, 0.05, 0.1])
    below = np.zeros(3)
    for _ in range(runs):
        kept, new = rng.normal(size=n), rng.normal(size=500)
        if decimals is not None:
            kept, new = kept.round(decimals), new.round(decimals)
        p = ConformalPValue.fit(kept)(new)
        below += (p[:, None] <= levels + 1e-12).mean(axis=0) / runs

    report(below_1=below[0], below_5=below[1], below_10=below[2])
    # One draw of kept-aside values moves all new texts together: the spread of its share is that of a Beta.
    spread = np.sqrt(levels * (1 - levels) / (n + 2) + levels * (1 - levels) / 500)
    assert (below <= levels + 4 * spread / runs**0.5).all()
