"""Two opinions mixed: when the second is asked, how both are weighed, and what that is worth."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp, softmax

from elsewise.engines.pool import FEWEST_ROWS, WEIGHTS, Pool, Worth
from elsewise.engines.second_opinion import ASKED
from elsewise.errors import InputError

PLAIN = Pool(weight=0.5, temperatures=(1.0, 1.0), energy=-np.inf, confidence=-np.inf)


def planted(n=1500, k=4, seed=0):
    """Codes, and logits of two opinions that see them through noise of their own, each at a temperature of its own."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(k, size=n)
    return (*(loud * (3 * np.eye(k)[codes] + 1.5 * rng.normal(size=(n, k))) for loud in (2.0, 0.5)), codes)


def log_p(pool, first, second):
    """The logarithmic opinion pool, written out with scipy."""
    parts = [log_softmax(z / t, axis=1) for z, t in zip((first, second), pool.temperatures, strict=True)]
    return log_softmax((1 - pool.weight) * parts[0] + pool.weight * parts[1], axis=1)


def loss(p, codes):
    return -p[np.arange(len(codes)), codes]


def test_a_mixture_is_the_logarithmic_opinion_pool_with_the_energy_of_the_first():
    first, second, _ = planted(n=50)
    pool = replace(PLAIN, weight=0.3, temperatures=(1.7, 0.6))

    mixed = pool.mixed(first, second)

    assert softmax(mixed, axis=1) == pytest.approx(np.exp(log_p(pool, first, second)))
    assert logsumexp(mixed, axis=1) == pytest.approx(logsumexp(first, axis=1))
    assert logsumexp(pool.mixed(first), axis=1) == pytest.approx(logsumexp(first, axis=1))
    assert softmax(pool.mixed(first), axis=1) == pytest.approx(softmax(first / 1.7, axis=1))


def test_all_the_weight_on_one_opinion_is_that_opinion():
    first, second, _ = planted(n=50)

    assert softmax(replace(PLAIN, weight=0.0).mixed(first, second), axis=1) == pytest.approx(softmax(first, axis=1))
    assert softmax(replace(PLAIN, weight=1.0).mixed(first, second), axis=1) == pytest.approx(softmax(second, axis=1))


def test_a_fit_finds_the_temperatures_the_rows_to_ask_and_the_weight_of_least_log_loss():
    first, second, codes = planted()

    pool, worth = Pool.fit(first, second, codes, ASKED)

    for z, found in zip((first, second), pool.temperatures, strict=True):
        best = minimize_scalar(lambda t, z=z: loss(log_softmax(z / t, axis=1), codes).mean(), bounds=(0.05, 20))
        assert found == pytest.approx(best.x, rel=1e-3)
    energy, confidence = logsumexp(first, axis=1), softmax(first / pool.temperatures[0], axis=1).max(axis=1)
    asked = (energy < np.quantile(energy, ASKED)) | (confidence < np.quantile(confidence, ASKED))
    assert pool.asks(first).tolist() == asked.tolist()
    assert worth.share_asked == asked.mean()
    losses = [loss(log_p(replace(pool, weight=w), first[asked], second[asked]), codes[asked]).mean() for w in WEIGHTS]
    assert pool.weight == pytest.approx(WEIGHTS[np.argmin(losses)])


def test_the_worth_is_judged_on_rows_that_did_not_choose_the_weight():
    first, second, codes = planted()

    pool, worth = Pool.fit(first, second, codes, ASKED)

    asked, half = pool.asks(first), np.arange(len(codes)) % 2 == 0
    gains = np.zeros(len(codes))
    for rows, others in ((asked & half, asked & ~half), (asked & ~half, asked & half)):
        weight = min(
            WEIGHTS,
            key=lambda w, at=others: loss(log_p(replace(pool, weight=w), first[at], second[at]), codes[at]).mean(),
        )
        alone = log_softmax(first[rows] / pool.temperatures[0], axis=1)
        both = log_p(replace(pool, weight=weight), first[rows], second[rows])
        gains[rows] = loss(alone, codes[rows]) - loss(both, codes[rows])
    assert worth.log_loss_gain == pytest.approx(gains.mean())
    assert worth.standard_error == pytest.approx(gains.std() / np.sqrt(len(codes)))
    assert worth.is_kept


@pytest.mark.parametrize("seed", range(5))
def test_an_opinion_about_nothing_is_worth_nothing(seed):
    """Judged on the rows that choose the weight, noise would seem to help."""
    first, _, codes = planted(seed=seed)

    _, worth = Pool.fit(first, np.random.default_rng(seed + 100).normal(size=first.shape), codes, ASKED)

    assert not worth.is_kept


def test_which_rows_are_asked_about_does_not_depend_on_their_codes_but_for_the_temperature():
    first, second, codes = planted()
    other = np.random.default_rng(1).permutation(codes)

    (pool, _), (again, _) = Pool.fit(first, second, codes, ASKED), Pool.fit(first, second, other, ASKED)

    assert pool.energy == again.energy


def test_few_rows_choose_no_weight():
    first, second, codes = planted(n=FEWEST_ROWS - 1)

    assert Pool.fit(first, 3 * second, codes)[0].weight == 0.5


def test_rows_out_of_scope_and_unreadable_ones_are_left_out():
    first, second, codes = planted()
    more = [np.concatenate([z, np.full((2, 4), fill)]) for z, fill in ((first, np.nan), (second, 1.0))]
    more = [np.concatenate([z, np.ones((3, 4))]) for z in more]

    assert Pool.fit(*more, np.concatenate([codes, [0, 1, -1, -1, -1]])) == Pool.fit(first, second, codes)


@pytest.mark.parametrize("constant", [0, 1])
def test_logits_that_are_all_equal_have_a_mixture(constant):
    first, second, codes = planted(n=300)
    pair = [np.zeros_like(z) if i == constant else z for i, z in enumerate((first, second))]

    pool, worth = Pool.fit(*pair, codes)

    assert np.isfinite(pool.mixed(*pair)).all()
    assert np.isfinite([worth.log_loss_gain, worth.standard_error]).all()


def test_two_labels_of_one_row_each_have_a_pool():
    pool, worth = Pool.fit(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1]))

    assert pool == Pool(0.5, (1.0, 1.0))
    assert not worth.is_kept


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"weight": 1.5}, r"weight of a second opinion must lie in 0\.\.1, got 1\.5"),
        ({"weight": float("nan")}, r"weight of a second opinion must lie in 0\.\.1, got nan"),
        ({"temperatures": (1.0, 0.0)}, r"temperatures of two opinions must be above 0 and finite, got \(1\.0, 0\.0\)"),
        ({"temperatures": (np.inf, 1.0)}, r"temperatures of two opinions must be above 0 and finite"),
        ({"energy": float("nan")}, r"NaN is neither"),
    ],
)
def test_numbers_out_of_range_are_refused(changed, words):
    with pytest.raises(InputError, match=words):
        replace(PLAIN, **changed)


def test_without_a_share_the_second_is_asked_about_every_text():
    first, second, codes = planted()

    pool, worth = Pool.fit(first, second, codes)

    assert pool.asks(first).all()
    assert worth.share_asked == 1
    assert pool.settings.keys() == {"weight", "temperatures"}


@pytest.mark.parametrize("share", [1.0, ASKED])
def test_a_pool_is_read_as_it_was_written(share):
    pool, _ = Pool.fit(*planted(), share)

    assert Pool.read(json.loads(json.dumps(pool.settings, allow_nan=False))) == pool


@pytest.mark.parametrize(
    ("rows", "gain", "kept"), [(1000, 0.03, False), (1000, 0.05, True), (49, 0.01, True), (49, -0.01, False)]
)
def test_a_gain_must_be_clear_where_there_are_rows_to_show_it(rows, gain, kept):
    assert Worth(log_loss_gain=gain, standard_error=0.02, share_asked=1.0, rows=rows).is_kept == kept


def test_an_opinion_that_sounds_unsure_and_is_always_right_counts_as_sure():
    """No temperature is best without an error: 30 right answers make 31 of 32 likely."""
    rng = np.random.default_rng(0)
    codes = np.arange(30) % 4
    first = 3 * np.eye(4)[codes] + rng.normal(size=(30, 4)) * 2
    second = np.eye(4)[codes] / 50

    pool, worth = Pool.fit(first, second, codes)

    assert softmax(second / pool.temperatures[1], axis=1).max(axis=1).mean() == pytest.approx(31 / 32, abs=1e-4)
    assert worth.is_kept
    assert (pool.mixed(first, second).argmax(axis=1) == codes).mean() > (first.argmax(axis=1) == codes).mean()


def test_few_rows_scale_both_opinions_and_weigh_them_the_same():
    """Quiet and loud logits of the same worth: without temperatures the loud ones alone would speak."""
    first, second, codes = planted(n=30, seed=3)

    pool, _ = Pool.fit(100 * first, second, codes)
    same, _ = Pool.fit(first, second, codes)

    assert pool.weight == 0.5
    assert pool.temperatures[0] == pytest.approx(100 * same.temperatures[0], rel=1e-3)
    assert pool.mixed(100 * first, second).argmax(axis=1).tolist() == same.mixed(first, second).argmax(axis=1).tolist()
