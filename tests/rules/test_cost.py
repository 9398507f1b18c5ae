"""A threshold by cost: the cheapest by hand and by brute force, and an interval that is honest about the choice."""

import math

import numpy as np
import pytest

from elsewise.errors import InputError
from elsewise.rules import CostThreshold

NAN = float("nan")


def column(confidence):
    s = np.asarray(confidence, dtype=np.float64)
    return np.column_stack([s, 1 - s])


def fit(confidence, wrong, error, review, **options):
    codes = np.asarray(wrong).astype(int)
    return CostThreshold.fit(column(confidence), codes, cost_of_error=error, cost_of_review=review, **options)


@pytest.mark.parametrize(
    ("error", "review", "threshold"), [(10, 1, 0.9), (1, 1, -math.inf), (100, 1, 0.9), (2, 1, 0.9), (1.9, 1, -math.inf)]
)
def test_the_cheapest_threshold_by_hand(error, review, threshold):
    """Answering the ten unsure rows costs 5 errors and saves 10 reviews; at a price of 2 : 1 both, so the strictest."""
    assert fit([0.9] * 10 + [0.6] * 10, [0] * 15 + [1] * 5, error, review).threshold == threshold


def test_reviewing_everything_is_cheapest_where_all_is_wrong():
    rule = fit([0.9, 0.8, 0.7], [1, 1, 1], 3, 1)

    assert rule.threshold == math.inf
    assert (rule.cost_of_answering, rule.cost_of_reviewing) == (3000, 1000)
    assert rule.cost == 1000


def test_answering_everything_is_cheapest_where_all_is_right():
    rule = fit(np.linspace(0.6, 0.9, 50), [0] * 50, 3, 1)

    assert rule.threshold == -math.inf
    assert rule(column([0.51])).codes.tolist() == [0]
    assert rule.cost_of_answering == 0


def test_the_threshold_is_the_best_of_all():
    """Against every threshold tried in turn, ties and unreadable rows included."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        n = int(rng.integers(2, 60))
        s = rng.choice(np.linspace(0.5, 0.95, 10), size=n)
        s[rng.random(n) < 0.1] = NAN
        wrong = rng.random(n) < 0.3
        error, review = rng.uniform(0.5, 10), rng.uniform(0.5, 3)

        rule = fit(s, wrong, error, review)

        def cost(t, s=s, wrong=wrong, error=error, review=review):
            return np.where(s >= t, error * wrong, review).sum()

        tried = [-math.inf, math.inf, *s[~np.isnan(s)]]
        assert cost(rule.threshold) == pytest.approx(min(cost(t) for t in tried))


def test_unreadable_texts_are_reviewed_whatever_it_costs():
    assert fit([NAN, NAN, NAN], [0, 0, 0], 1, 5).cost == 5000
    assert fit([0.9, 0.9, NAN, NAN], [0, 0, 0, 0], 1, 5).cost_of_answering == 2500


def test_scaling_the_prices_scales_the_costs():
    rng = np.random.default_rng(1)
    s, wrong = rng.uniform(0.5, 1, 300), rng.random(300) < 0.2

    one, ten = fit(s, wrong, 4, 1), fit(s, wrong, 40, 10)

    assert one.threshold == ten.threshold
    assert ten.cost == pytest.approx(10 * one.cost)
    assert (ten.cost_low, ten.cost_high) == pytest.approx((10 * one.cost_low, 10 * one.cost_high))


def test_the_cost_is_not_the_one_that_the_threshold_was_chosen_for():
    """Confidence is noise and answering saves nothing: the chosen threshold looks cheaper than reviewing all."""
    rng, in_sample, told = np.random.default_rng(2), [], []
    for _ in range(100):
        s, wrong = rng.uniform(0.5, 1, 200), rng.random(200) < 0.5
        rule = fit(s, wrong, 2, 1)
        in_sample.append(np.where(s >= rule.threshold, 2 * wrong, 1).mean() * 1000)
        told.append(rule.cost)

    assert np.mean(in_sample) < 970
    assert np.mean(told) == pytest.approx(1000, abs=10)


def test_what_the_choice_gained_on_its_own_rows_widens_both_ends():
    rng = np.random.default_rng(3)
    confidence = rng.random(400)
    wrong = rng.random(400) < 0.5
    rule = fit(confidence, wrong, 2, 1)
    spent = np.where(confidence >= rule.threshold, 2.0 * wrong, 1.0)
    luck = rule.cost - 1000 * spent.mean()

    up, down = rule.cost_high - rule.cost, rule.cost - rule.cost_low

    assert luck > 5
    assert up == pytest.approx(down)
    assert up > luck + 1.9 * 1000 * spent.std() / 20


def test_the_interval_holds_the_true_cost():
    """P(right | s) = s, uniform on 0.5..1, error 4, review 1: the best threshold is 0.75. 300 trials."""
    rng, held = np.random.default_rng(3), 0
    for _ in range(300):
        s = rng.uniform(0.5, 1, 400)
        rule = fit(s, rng.random(400) > s, 4, 1)
        t = min(max(rule.threshold, 0.5), 1.0)
        true = 2000 * ((t - 0.5) + 4 * ((1 - t) - (1 - t * t) / 2))
        held += rule.cost_low <= true <= rule.cost_high

    assert held >= 300 * 0.95 - 3 * (300 * 0.95 * 0.05) ** 0.5


def test_it_says_the_costs_and_that_nothing_is_promised():
    rule = fit([0.9] * 10 + [0.6] * 10, [0] * 15 + [1] * 5, 10, 1)

    assert rule.certificate is None
    assert rule.sentence.startswith("1,000 texts are expected to cost 500.00 (95 % interval ")
    assert "answering everything costs 2,500.00, reviewing everything 1,000.00. Nothing is promised" in rule.sentence


@pytest.mark.parametrize("name", ["cost_of_error", "cost_of_review"])
@pytest.mark.parametrize("cost", [0, -1, NAN, math.inf])
def test_a_cost_that_is_no_number_above_0_is_refused(name, cost):
    costs = {"cost_of_error": 5, "cost_of_review": 1, name: cost}

    with pytest.raises(InputError, match=rf"^{name} must be a number above 0, got {cost}$"):
        CostThreshold.fit(column([0.9, 0.8]), [0, 0], **costs)


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_rows_are_refused(n):
    with pytest.raises(InputError, match=rf"^a cost needs at least 2 labelled rows, got {n}$"):
        fit([0.9] * n, [0] * n, 5, 1)
