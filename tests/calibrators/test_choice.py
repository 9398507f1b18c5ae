"""The calibrator that is chosen: the one that made the rows, or a simpler one."""

import json

import numpy as np
import pytest

from elsewise.calibrators import Identity, LabelScale, Temperature, TemperatureBias, choice
from elsewise.calibrators.choice import choose_calibrator
from elsewise.errors import ElsewiseWarning, InputError


def made(seed, n, k=10, bias=0.0, scale=0.0, temperature=2.5):
    """Rows whose honest logits differ from the given ones by a temperature, and by label where asked."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, k))
    z[np.arange(n), rng.integers(k, size=n)] += rng.uniform(2, 9, size=n)
    biases, scales = rng.normal(size=k) * bias, np.exp(rng.normal(size=k) * scale)
    honest = (z - z.mean(axis=1, keepdims=True)) * scales + biases
    return temperature * z, (honest + rng.gumbel(size=z.shape)).argmax(axis=1)


@pytest.mark.slow
@pytest.mark.parametrize("runs", [10, pytest.param(200, marks=pytest.mark.guarantee)])
@pytest.mark.parametrize("k", [3, 10, 50])
def test_rows_that_a_temperature_made_get_a_temperature(k, runs):
    chosen = [choose_calibrator(*made(seed, 1000, k)).record["chosen"] for seed in range(runs)]

    assert chosen.count("temperature") >= 0.8 * runs


def test_labels_that_are_named_too_often_get_biases():
    choice = choose_calibrator(*made(0, 4000, bias=1.0))

    assert isinstance(choice.calibrator, TemperatureBias)
    assert choice.record["why"] == "clearly the better of 4 in cross-validation"


def test_labels_that_are_too_sure_by_themselves_get_scales():
    assert isinstance(choose_calibrator(*made(1, 4000, bias=0.5, scale=0.5)).calibrator, LabelScale)


@pytest.mark.slow
def test_calibrated_logits_are_left_alone_or_nearly():
    for seed in range(5):
        choice = choose_calibrator(*made(seed, 1500, temperature=1.0))

        assert isinstance(choice.calibrator, Identity | Temperature)
        if isinstance(choice.calibrator, Temperature):
            assert choice.calibrator.temperature == pytest.approx(1, abs=0.15)


@pytest.mark.slow
def test_no_calibrator_is_better_than_one_that_does_not_help():
    """With these rows the temperature is 1 but for chance, and chance went against it."""
    chosen = {choose_calibrator(*made(seed, 1000, 3, temperature=1.0)).record["chosen"] for seed in range(12)}

    assert "identity" in chosen


def test_the_best_label_can_be_kept():
    z, codes = made(0, 4000, bias=1.0)

    choice = choose_calibrator(z, codes, preserve_argmax=True)

    assert isinstance(choice.calibrator, Temperature)
    assert [row["calibrator"] for row in choice.record["compared"]] == ["identity", "temperature"]
    assert all(row["changed"] == 0 for row in choice.record["compared"])


@pytest.mark.parametrize(
    ("n", "k", "chosen", "why"),
    [
        (49, 10, "identity", "fewer than 50 rows"),
        (0, 10, "identity", "fewer than 50 rows"),
        (50, 10, "temperature", "fewer than 1,000 rows"),
        (999, 10, "temperature", "fewer than 1,000 rows"),
        (1499, 150, "temperature", "fewer than 1,500 rows"),
    ],
)
def test_few_rows_are_not_compared_on(n, k, chosen, why):
    record = choose_calibrator(*made(0, n, k, bias=2)).record

    assert record == {"chosen": chosen, "rows": n, "why": why, "compared": []}


def test_a_hundred_labels_on_few_rows_lose_no_accuracy():
    z, codes = made(0, 500, 100)

    assert np.array_equal(choose_calibrator(z, codes).calibrator(z).argmax(axis=1), z.argmax(axis=1))


def test_rows_without_an_error_are_left_as_they_are_and_it_is_said():
    z, _ = made(0, 1200)

    with pytest.warns(ElsewiseWarning, match="no finite temperature is best"):
        choice = choose_calibrator(z, z.argmax(axis=1))

    assert choice.calibrator == Temperature(1.0)
    assert choice.record["why"] == "no error among the rows"


def test_the_record_is_json_with_a_figure_for_each_candidate():
    record = json.loads(json.dumps(choose_calibrator(*made(0, 2000, bias=1.0)).record))

    plain, simple, biased, scaled = record["compared"]
    assert plain["log_loss"] > simple["log_loss"] > biased["log_loss"]
    assert simple["better_by"] == simple["standard_error"] == 0
    assert biased["better_by"] == pytest.approx(simple["log_loss"] - biased["log_loss"])
    assert biased["better_by"] > biased["standard_error"] > 0
    assert 0 < biased["changed"] < 0.5
    assert scaled["calibrator"] == "label_scale"


def test_the_same_rows_give_the_same_choice():
    rows = made(2, 1500, bias=0.3)

    assert choose_calibrator(*rows).record == choose_calibrator(*rows).record


def test_unreadable_and_out_of_scope_rows_are_left_out():
    z, codes = made(3, 1200)
    z_more = np.vstack([z, np.full((5, 10), np.nan), np.full((7, 10), 9.0)])
    codes_more = np.concatenate([codes, np.zeros(5, dtype=int), np.full(7, -1)])

    assert choose_calibrator(z_more, codes_more).record == choose_calibrator(z, codes).record


def test_a_sample_of_many_rows_is_compared_on(monkeypatch):
    monkeypatch.setattr(choice, "MOST_ROWS", 1000)

    folds = choice._folds(5000, 10)

    assert np.bincount(folds + 1).tolist() == [4000, 200, 200, 200, 200, 200]
    assert choose_calibrator(*made(0, 5000, bias=1.0)).record["rows"] == 5000


def test_what_is_wrong_is_refused():
    with pytest.raises(InputError, match=r"logits must have shape \(n, k\)"):
        choose_calibrator([1.0, 2.0], [0, 1])
    with pytest.raises(InputError, match=r"codes must lie in -1\.\.1, got 2 in row 0"):
        choose_calibrator([[1.0, 2.0]], [2])
    with pytest.raises(InputError, match="logits must be numbers"):
        choose_calibrator([["a", "b"]], [0])
