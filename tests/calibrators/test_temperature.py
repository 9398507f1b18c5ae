"""Temperature scaling against closed forms, planted temperatures and a grid."""

import tracemalloc

import numpy as np
import pytest
from scipy.special import logsumexp

from elsewise.arrays import BLOCK, softmax
from elsewise.calibrators import Temperature
from elsewise.calibrators.best_temperature import best_temperature, mask_depth
from elsewise.errors import ElsewiseWarning, InputError

REFUSED = "no finite temperature is best on these rows; probabilities stay uncalibrated"


def sampled(rng, n, k):
    """Logits whose plain softmax the codes are drawn from."""
    logits = rng.normal(size=(n, k)) * 3
    return logits, (logits + rng.gumbel(size=(n, k))).argmax(axis=1)


def log_loss(logits, codes, temperature):
    z = logits / temperature
    return float(np.mean(logsumexp(z, axis=1) - z[np.arange(len(z)), codes]))


def test_matches_the_closed_form_for_one_shared_margin():
    """With margin m everywhere and accuracy a, the best temperature is m / logit(a)."""
    margin, right, wrong = 3.0, 90, 10
    logits = np.tile([margin, 0.0], (right + wrong, 1))
    codes = np.repeat([0, 1], [right, wrong])

    fitted = Temperature.fit(logits, codes)

    assert fitted.temperature == pytest.approx(margin / np.log(right / wrong), rel=1e-9)


def test_matches_the_closed_form_with_many_equal_rivals():
    """One label m ahead of k - 1 equal ones: accuracy a asks for m / T = ln(a (k - 1) / (1 - a))."""
    logits = np.tile([4.0, *[0.0] * 9], (10, 1))
    codes = [0] * 7 + [1, 2, 3]

    assert Temperature.fit(logits, codes).temperature == pytest.approx(4 / np.log(0.7 * 9 / 0.3), rel=1e-9)


@pytest.mark.parametrize(
    ("k", "n", "runs", "spread"), [(3, 1000, 40, 0.147), (50, 500, 40, 0.087), (50, 1000, 40, 0.058)]
)
def test_finds_a_planted_temperature(k, n, runs, spread):
    """The codes follow softmax(z), the logits given are 2.5 z: the answer is 2.5, as far as n rows can say.

    `spread` is the published standard deviation of one fit, for logits that say less than these.
    """
    rng = np.random.default_rng(k + n)
    found = []
    for _ in range(runs):
        logits, codes = sampled(rng, n, k)
        found.append(Temperature.fit(2.5 * logits, codes).temperature)

    assert np.mean(found) == pytest.approx(2.5, abs=0.03 + 3 * spread / runs**0.5)
    assert np.std(found) < 1.5 * spread


def test_leaves_calibrated_logits_nearly_alone():
    logits, codes = sampled(np.random.default_rng(0), 2000, 20)

    assert Temperature.fit(logits, codes).temperature == pytest.approx(1, abs=0.06)


def test_no_other_temperature_has_less_log_loss():
    rng = np.random.default_rng(1)
    for _ in range(5):
        logits, codes = sampled(rng, 300, 12)
        logits *= rng.choice([0.3, 1.0, 4.0])
        best = Temperature.fit(logits, codes).temperature

        least = log_loss(logits, codes, best)

        assert all(least <= log_loss(logits, codes, t) + 1e-9 for t in np.geomspace(best / 50, best * 50, 200))
        assert least <= log_loss(logits, codes, 1.0)


@pytest.mark.parametrize("scale", [1e-6, 0.01, 100.0, 1e6])
def test_scales_with_the_logits(scale):
    logits, codes = sampled(np.random.default_rng(2), 400, 8)

    fitted = Temperature.fit(logits * scale, codes)

    assert fitted.temperature == pytest.approx(scale * Temperature.fit(logits, codes).temperature, rel=1e-9)


def test_a_constant_added_to_each_row_changes_nothing():
    rng = np.random.default_rng(3)
    logits, codes = sampled(rng, 400, 8)

    shifted = Temperature.fit(logits + rng.normal(size=(400, 1)) * 20, codes)

    assert shifted.temperature == pytest.approx(Temperature.fit(logits, codes).temperature, rel=1e-9)


def test_more_rows_than_one_block_are_summed_over_blocks():
    """The same rows three times over have the same best temperature."""
    logits, codes = sampled(np.random.default_rng(4), BLOCK // 100, 50)

    thrice = Temperature.fit(np.tile(logits, (3, 1)), np.tile(codes, 3))

    assert thrice.temperature == pytest.approx(Temperature.fit(logits, codes).temperature, rel=1e-9)


def test_float32_and_float64_agree():
    logits, codes = sampled(np.random.default_rng(5), 2000, 50)

    single, double = Temperature.fit(logits.astype(np.float32), codes), Temperature.fit(logits, codes)

    assert single.temperature == pytest.approx(double.temperature, rel=1e-5)
    assert single(logits.astype(np.float32)).dtype == np.float32
    assert single(logits.astype(np.float32)) == pytest.approx(double(logits), abs=1e-5)


def test_the_top_label_never_changes():
    logits = np.random.default_rng(6).normal(size=(10_000, 11)) * 3

    for temperature in (0.05, 0.7, 30.0):
        assert np.array_equal(Temperature(temperature)(logits).argmax(axis=1), logits.argmax(axis=1))


def test_dividing_the_last_layer_is_the_same_as_dividing_the_logits():
    rng = np.random.default_rng(7)
    features, weight, bias = rng.normal(size=(20, 6)), rng.normal(size=(4, 6)), rng.normal(size=4)
    calibrate = Temperature(1.7)

    folded_weight, folded_bias = calibrate.fold(weight, bias)
    only_weight, no_bias = calibrate.fold(weight, None)

    assert softmax(features @ folded_weight.T + folded_bias) == pytest.approx(calibrate(features @ weight.T + bias))
    assert softmax(features @ only_weight.T) == pytest.approx(calibrate(features @ weight.T))
    assert no_bias is None


@pytest.mark.parametrize(
    ("logits", "codes"),
    [
        ([[2.0, 0.0], [0.0, 3.0]], [0, 1]),
        ([[2.0, 0.0], [0.0, 3.0]], [1, 0]),
        ([[2.0, 0.0]], [0]),
        ([[1.0, 1.0], [5.0, 5.0]], [0, 1]),
        ([[2.0, 0.0]] * 2, [0, 1]),
    ],
    ids=["all-right", "all-wrong", "one-row", "constant-rows", "no-better-than-chance"],
)
def test_says_so_when_no_temperature_is_best(logits, codes):
    assert best_temperature(logits, codes) is None
    with pytest.warns(ElsewiseWarning, match=REFUSED):
        fitted = Temperature.fit(logits, codes)

    assert fitted == Temperature(1.0)


def test_the_warning_points_at_the_caller():
    with pytest.warns(ElsewiseWarning, match=REFUSED) as caught:
        Temperature.fit([[2.0, 0.0]], [0])

    assert caught[0].filename == __file__


@pytest.mark.parametrize("mask", [-30.0, -300.0, -3000.0, -3e4, -1e9, float(np.finfo(np.float32).min), -np.inf])
def test_a_column_that_no_text_can_have_changes_no_temperature(mask):
    logits, codes = sampled(np.random.default_rng(3), 400, 8)
    known = Temperature.fit(logits, codes).temperature

    fitted = Temperature.fit(np.column_stack([logits, np.full(len(logits), mask)]).astype(np.float32), codes)

    assert fitted.temperature == pytest.approx(known, rel=1e-5)


def test_a_row_whose_true_label_is_masked_says_nothing_of_the_temperature():
    logits, codes = sampled(np.random.default_rng(3), 400, 8)
    known = Temperature.fit(logits[1:], codes[1:]).temperature
    logits[0, codes[0]] = -1e9

    assert Temperature.fit(logits, codes).temperature == pytest.approx(known, rel=1e-9)


def test_logits_of_large_numbers_are_no_masks():
    """A row that leads by as much as masks lie below, as decisions of a linear model without scaled features do."""
    logits, _ = sampled(np.random.default_rng(3), 400, 8)

    assert mask_depth(logits * 1e8) == np.inf
    assert mask_depth(np.column_stack([logits, np.full(len(logits), -1e9)])) < 1e5


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(InputError, match=r"^a temperature cannot be fitted on 0 rows$"):
        Temperature.fit(np.zeros((0, 3)), [])
    with pytest.raises(InputError, match=r"codes must lie in 0\.\.1, got -1 in row 0"):
        Temperature.fit([[1.0, 0.0]], [-1])
    for value in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"^temperature must be positive and finite, got"):
            Temperature(value)


def test_fitting_needs_less_memory_than_a_second_copy():
    logits, codes = sampled(np.random.default_rng(8), 20_000, 150)
    logits = logits.astype(np.float32)

    tracemalloc.start()
    Temperature.fit(logits, codes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 2 * logits.nbytes


def test_many_rows_are_solved_as_exactly_as_few():
    """60,000 rows take the short way over some of them; four copies of 15,000 rows do not change the answer."""
    z, codes = planted_rows(15_000)

    few = Temperature.fit(z, codes).temperature
    many = Temperature.fit(np.tile(z, (4, 1)), np.tile(codes, 4)).temperature

    assert many == pytest.approx(few, rel=1e-8)


def test_rows_in_an_order_that_misleads_the_short_way_are_solved_all_the_same():
    """Every third row is right without exception: these rows alone have no best temperature."""
    z, codes = planted_rows(60_000)
    codes[::3] = z[::3].argmax(axis=1)
    order = np.random.default_rng(1).permutation(len(z))

    assert Temperature.fit(z, codes).temperature == pytest.approx(
        Temperature.fit(z[order], codes[order]).temperature, rel=1e-8
    )


def planted_rows(n):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(n, 3)) * 3
    return 2.5 * z, (z + rng.gumbel(size=z.shape)).argmax(axis=1)
