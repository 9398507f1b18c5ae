"""Priors that are known, and priors that are found again."""

import json
from pathlib import Path

import numpy as np
import pytest

from elsewise.arrays import softmax
from elsewise.calibrators import Identity, PriorCorrection, Temperature, TemperatureBias
from elsewise.classifier.packing import pack, unpack
from elsewise.errors import InputError

EVEN = np.full(5, 0.2)
SHIFTED = np.array([0.45, 0.25, 0.15, 0.1, 0.05])


def drawn(rng, n, priors, distance=2.0):
    """Logits that are right under even priors, of texts that come with other ones; and their codes."""
    codes = rng.choice(len(priors), size=n, p=priors)
    x = rng.normal(size=(n, len(priors))) + distance * np.eye(len(priors))[codes]
    return distance * x, codes


@pytest.mark.parametrize("seed", range(5))
def test_planted_priors_are_found(seed):
    z, _ = drawn(np.random.default_rng(seed), 5000, SHIFTED)

    correct = PriorCorrection.estimate(z, EVEN)

    assert correct.weights * EVEN == pytest.approx(SHIFTED, abs=0.02)
    assert (correct.estimated, correct.rows) == (True, 5000)


def test_old_priors_need_not_be_even():
    """Logits right under SHIFTED, of texts that come evenly."""
    z, _ = drawn(np.random.default_rng(5), 5000, EVEN)

    correct = PriorCorrection.estimate(z + np.log(SHIFTED), SHIFTED)

    assert correct.weights * SHIFTED == pytest.approx(EVEN, abs=0.02)


def test_it_estimates_through_its_calibrator():
    z, _ = drawn(np.random.default_rng(6), 5000, SHIFTED)

    plain = PriorCorrection.estimate(z, EVEN)
    scaled = PriorCorrection.estimate(3 * z, EVEN, inner=Temperature(3.0))

    assert scaled.weights == pytest.approx(plain.weights, rel=1e-6)
    assert scaled(3 * z) == pytest.approx(plain(z), abs=1e-6)


def test_the_estimate_is_where_no_other_priors_are_more_likely():
    """Log likelihood of the texts, and of the one more, under priors q: it cannot be raised along any simplex edge."""
    z, _ = drawn(np.random.default_rng(7), 300, SHIFTED)
    p, found = softmax(z), PriorCorrection.estimate(z, EVEN).weights * EVEN

    def likelihood(q):
        return np.log(p @ (q / EVEN)).sum() + EVEN @ np.log(q)

    for i in range(5):
        for j in range(5):
            other = found + 1e-3 * (np.eye(5)[i] - np.eye(5)[j])
            assert likelihood(found) >= likelihood(other)


def test_log_loss_gets_better_where_priors_moved():
    z, codes = drawn(np.random.default_rng(8), 5000, SHIFTED)

    def log_loss(p):
        return -np.log(p[np.arange(len(p)), codes]).mean()

    given, found = PriorCorrection.known(EVEN, SHIFTED), PriorCorrection.estimate(z, EVEN)

    assert log_loss(given(z)) < log_loss(softmax(z)) - 0.02
    assert log_loss(found(z)) == pytest.approx(log_loss(given(z)), abs=0.002)


def test_weights_of_one_leave_every_bit_alone():
    z, _ = drawn(np.random.default_rng(9), 50, EVEN)
    inner = Temperature(1.7)

    for unchanged in (PriorCorrection(np.ones(5), inner), PriorCorrection.known(SHIFTED, SHIFTED, inner=inner)):
        assert unchanged(z).tobytes() == inner(z).tobytes()


def test_no_traffic_changes_nothing():
    correct = PriorCorrection.estimate(np.zeros((0, 5)), SHIFTED)

    assert correct.weights.tolist() == [1] * 5


def test_a_label_that_does_not_come_keeps_a_small_prior():
    z, codes = drawn(np.random.default_rng(10), 2000, EVEN, distance=4)
    z = z[codes != 4]

    new = PriorCorrection.estimate(z, EVEN).weights * EVEN

    assert 0 < new[4] < 0.01
    assert new.sum() == pytest.approx(1)


@pytest.mark.parametrize("inner", [None, Identity(), Temperature(1.7), TemperatureBias(1.7, [0.3, -0.1, 0, 0.5, 0.2])])
def test_it_folds_where_what_it_is_around_folds(inner):
    rng = np.random.default_rng(11)
    features, weight, bias = rng.normal(size=(20, 6)), rng.normal(size=(5, 6)), rng.normal(size=5)
    correct = PriorCorrection.known(EVEN, SHIFTED, inner=inner)

    for b in (bias, None):
        w_folded, b_folded = correct.fold(weight, b)
        logits = features @ weight.T + (0 if b is None else b)
        assert softmax(features @ w_folded.T + b_folded) == pytest.approx(correct(logits), abs=1e-12)


def test_it_is_saved_with_what_it_is_around():
    z, _ = drawn(np.random.default_rng(12), 20, EVEN)
    correct = PriorCorrection.estimate(z, EVEN, inner=TemperatureBias(1.7, [0.3, -0.1, 0, 0.5, 0.2]))
    arrays = {}

    packed = json.loads(json.dumps(pack(correct, arrays, "part")))
    again = unpack(packed, arrays, Path("elsewise.json"))

    assert again(z).tobytes() == correct(z).tobytes()
    assert again.sentence == correct.sentence


def test_sentences_say_what_is_known_and_what_is_not():
    z, _ = drawn(np.random.default_rng(13), 100, EVEN)

    uncovered = "; a certificate made before does not cover this until it is certified again"
    assert PriorCorrection(np.ones(2)).sentence == "Label frequencies as they were"
    assert PriorCorrection.known([0.5, 0.5], [0.75, 0.25], inner=Temperature(2.0)).sentence == (
        "Temperature 2.0000, then probabilities weighted by 0.5 to 1.5 for other label frequencies, as given"
        f"{uncovered}"
    )
    estimated = PriorCorrection.estimate(z, EVEN).sentence
    assert estimated.endswith(f"for other label frequencies, estimated from 100 texts without labels{uncovered}")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ([0.5, 0.5], [1.0, 0.0], r"^new priors must be positive, got 0.0 for label 1$"),
        ([1.5, -0.5], [0.5, 0.5], r"^old priors must be positive, got -0.5 for label 1$"),
        ([0.5, 0.5], [0.5, 0.6], r"^new priors must sum to 1, got 1.1$"),
        ([0.5, 0.5], [0.2, 0.3, 0.5], r"^old and new priors must be equally many, got 2 and 3$"),
        ([0.5, np.nan], [0.5, 0.5], r"^old priors must be finite: number 1 is not$"),
        ([[0.5, 0.5]], [0.5, 0.5], r"^old priors must have shape \(k,\)"),
    ],
)
def test_priors_that_cannot_be_are_refused(old, new, message):
    with pytest.raises(InputError, match=message):
        PriorCorrection.known(old, new)


def test_other_numbers_of_labels_are_refused():
    with pytest.raises(InputError, match=r"^logits have 3 columns, got 5 old priors$"):
        PriorCorrection.estimate(np.zeros((2, 3)), EVEN)
    with pytest.raises(InputError, match=r"^logits must have 5 columns, one for each weight, got 3$"):
        PriorCorrection.known(EVEN, SHIFTED)(np.zeros((2, 3)))
    with pytest.raises(InputError, match=r"^weights must be positive, got 0.0 for label 1$"):
        PriorCorrection([1.0, 0.0])
