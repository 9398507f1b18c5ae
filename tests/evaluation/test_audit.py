"""The alarm is false no more often than it says, and finds a fall early and late."""

import math

import numpy as np
import pytest

from elsewise.errors import InputError
from elsewise.evaluation.audit import BETS, MeanTest


@pytest.mark.parametrize("values", [[1.1], [-0.1], [np.nan]])
def test_values_outside_0_to_1_are_refused(values):
    with pytest.raises(InputError, match=r"within 0\.\.1"):
        MeanTest(0.5).after(values)


@pytest.mark.parametrize("least", [0.0, 1.0, -1.0])
def test_a_claim_is_a_share(least):
    with pytest.raises(InputError, match="least must lie"):
        MeanTest(least)


def test_one_value_by_hand():
    """Half of the capital bets on the first value; each bet of size c / (1 - m) grows by 1 + c (m - x) / (1 - m)."""
    found = MeanTest(0.5).after([0.0])

    grown = [0.5 * (1 + 2 * bet * 0.5) for bet in BETS]
    assert found.wealth == pytest.approx(grown)
    assert found.evidence == pytest.approx(np.mean(grown) + 0.5)


def test_bets_that_begin_later_are_summed_as_one_by_one():
    x, m = np.random.default_rng(1).random(150), 0.6
    slow = 0.0
    for bet in BETS:
        for j in range(150):
            slow += np.prod(1 + bet / (1 - m) * (m - x[j:])) / ((j + 1) * (j + 2))

    assert MeanTest(m).after(x).evidence == pytest.approx(slow / len(BETS) + 1 / 151)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["right or wrong", "probabilities", "alternating with the past"])
def test_alarms_are_seldom_false_however_long_one_looks(kind):
    """At rate 5 %, in 400 runs of 3,000 values whose mean is as claimed: at most 5 % plus three standard errors."""
    rng, least, runs = np.random.default_rng(2), 0.9, 400
    false = 0
    for _ in range(runs):
        if kind == "right or wrong":
            x = rng.random(3000) < least
        elif kind == "probabilities":
            x = rng.beta(9, 1, size=3000)
        else:  # never independent: wild after a wrong answer, but with the same mean
            x = np.where(rng.random(3000) < 0.5, rng.random(3000) < least, least)
        false += MeanTest(least).after(x.astype(float)).alarms(0.05)

    assert false <= runs * 0.05 + 3 * math.sqrt(runs * 0.05 * 0.95)


@pytest.mark.parametrize(("before", "within"), [(0, 700), (20_000, 1500)])
def test_a_fall_is_found_early_and_late(before, within):
    """From 95 % right to 85 %: the days that went well cost little."""
    rng = np.random.default_rng(3)
    test = MeanTest(0.95).after((rng.random(before) < 0.97).astype(float))
    assert not test.alarms(0.01)

    after = test.after((rng.random(within) < 0.85).astype(float))

    assert after.alarms(0.01)


def test_an_alarm_stays():
    raised = MeanTest(0.9).after(np.zeros(100))

    assert raised.after(np.ones(100_000)).alarms(0.01)
