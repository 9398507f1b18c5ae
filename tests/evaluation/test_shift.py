"""Whether a promise can be believed for texts without labels: estimated from confidences, against certify rows."""

import json

import numpy as np
import pytest

import elsewise as ew
from elsewise.evaluation.shift import BINS, Reference, Shift, Standing, Tally, reference_of, shift
from elsewise.metrics import clopper_pearson_lower, clopper_pearson_upper
from elsewise.rules.decisions import decide
from elsewise.scores import MaximumProbability

LABELS = ("kargo", "fatura", "iade")


def texts(n, seed, low=1.0, mix=(0.5, 0.3, 0.2)):
    """Calibrated probabilities (n, 3) and true codes that are drawn from them."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 3))
    z[np.arange(n), rng.choice(3, size=n, p=mix)] += rng.uniform(low, 7, size=n)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    return p, (p.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)


def decided(p):
    return decide(ew.Evidence(p), MaximumProbability(), 0.8)


def reference(n=600):
    p, codes = texts(n, seed=0)
    return Reference.of(0.9, decided(p), codes)


def test_counts_of_parts_add_up_to_the_counts_of_all():
    p, _ = texts(1000, seed=1)
    p[3] = np.nan

    parts = [Tally.of(decided(p[at : at + 130])) for at in range(0, 1000, 130)]
    whole, added = Tally.of(decided(p)), sum(parts, start=Tally())

    assert (added.labels, added.reasons, added.bins, added.rows) == (whole.labels, whole.reasons, whole.bins, 1000)
    assert added.probability == pytest.approx(whole.probability)
    assert added.variance == pytest.approx(whole.variance)
    assert sum(whole.bins) == 999
    assert whole.reasons["unreadable"] == 1
    assert Tally.read(json.loads(json.dumps(whole.as_dict()))) == whole


def test_probabilities_of_zero_and_one_have_a_bin():
    tally = Tally.of(decided(np.array([[1.0, 0.0], [0.5, 0.5]])))

    assert (tally.bins[BINS - 1], tally.bins[BINS // 2], sum(tally.bins)) == (1, 1, 2)


@pytest.mark.parametrize(("right", "value"), [(376, 0.96), (384, 0.96), (340, 0.96 - 0.11)])
def test_the_estimate_is_the_mean_probability_corrected_where_certify_rows_show_that_it_is_off(right, value):
    known = Reference(0.9, 0.2, Tally({"a": 400}, {"unsure": 100}, probability=384.0, variance=15.0), right=right)
    tally = Tally({"a": 10_000}, {"unsure": 2500}, probability=9600.0, variance=384.0)

    found = shift(tally, known)

    chance = 2.2414 * np.sqrt(384.0) / 10_000
    assert found.accuracy.value == pytest.approx(value)
    assert found.accuracy.low == pytest.approx(clopper_pearson_lower(right, 400, 0.0125) - chance, abs=1e-5)
    assert found.accuracy.high == pytest.approx(min(clopper_pearson_upper(right, 400, 0.0125) + chance, 1), abs=1e-5)
    assert found.standing is (Standing.BELOW if right == 340 else Standing.BELIEVED)


@pytest.mark.slow
def test_a_few_certify_rows_raise_no_alarm_by_their_own_chance():
    """Of 300 files like the certify rows, of which 60 are known."""
    alarms = 0
    for seed in range(300):
        (p, codes), (q, _) = texts(60, seed=1000 + seed), texts(2000, seed=5000 + seed)
        alarms += shift(Tally.of(decided(q)), Reference.of(0.9, decided(p), codes)).standing is Standing.BELOW

    assert alarms <= 15


@pytest.mark.parametrize("seed", range(5))
def test_texts_like_the_certify_rows_raise_no_alarm_however_many(seed):
    p, _ = texts(100_000, seed=10 + seed)

    found = shift(Tally.of(decided(p)), reference())

    assert found.standing is Standing.BELIEVED
    assert not found.is_warning


@pytest.mark.slow
def test_the_interval_holds_the_true_accuracy():
    """Certify rows and texts are drawn 300 times: the interval misses in at most 5 %, and some more by chance."""
    missed = 0
    for seed in range(300):
        (p, codes), (q, truth) = texts(300, seed=1000 + seed), texts(2000, seed=5000 + seed)
        made = decided(q)
        found = shift(Tally.of(made), Reference.of(0.9, decided(p), codes)).accuracy
        right = np.mean(made.codes[~made.abstained] == truth[~made.abstained])
        missed += not found.low <= right <= found.high

    assert missed <= 25  # a binomial of 300 at 0.05 is above that once in a thousand


def test_texts_that_make_the_model_less_sure_put_the_promise_in_doubt():
    p = np.full((5000, 3), 0.06)
    p[:, 0] = 0.88

    found = shift(Tally.of(decided(p)), Reference(0.9, 0.1))

    assert found.standing is Standing.BELOW
    assert found.accuracy.value == pytest.approx(0.88)
    assert found.sentence == (
        "The promise is in doubt for these 5,000 texts: an estimated 88.0 % (87.0 to 89.0) of the 5,000 answers are "
        "right, and at least 90 % is promised; label some of these texts, and evaluate."
    )


def test_a_share_of_other_beyond_its_margin_is_told():
    p, _ = texts(5000, seed=2, low=-4)

    found = shift(Tally.of(decided(p)), reference())

    assert found.standing is Standing.OTHER
    assert found.other_share.value > found.expected_other_share + 0.1
    assert f"{100 * found.other_share.value:.1f} % of them are Other" in found.sentence


def test_another_mix_of_labels_is_told():
    p, _ = texts(5000, seed=3, mix=(0.1, 0.2, 0.7))

    found = shift(Tally.of(decided(p)), reference())

    assert found.standing is Standing.LABELS
    assert 0.35 < found.label_distance < 0.55
    assert "of the answers would need another label" in found.sentence


def test_few_texts_of_many_labels_are_no_other_mix():
    labels = {f"label {i}": 1 for i in range(100)}
    here = {f"label {i}": 1 for i in range(50, 150)}

    found = shift(Tally(here, probability=97.0, variance=3.0), Reference(0.9, 0.0, Tally(labels, probability=97.0), 97))

    assert found.standing is Standing.BELIEVED


def test_too_few_answers_tell_nothing():
    found = shift(Tally({"a": 29}, {"unsure": 900}, probability=15.0), Reference(0.9, 0.1))

    assert found.standing is Standing.FEW
    assert not found.is_warning
    assert np.isnan(shift(Tally(), Reference(0.9, 0.1)).accuracy.value)


@pytest.mark.parametrize("standing", Standing)
def test_every_standing_has_a_sentence_in_turkish(standing):
    found = shift(Tally({"a": 2900}, {"unsure": 100}, probability=2800.5), Reference(0.9, 0.1))
    words = Shift(standing, *(getattr(found, name) for name in list(Shift.__dataclass_fields__)[1:])).say("tr")

    assert "%90" in words
    assert "2.900" in words
    assert "{" not in words


def test_certify_rows_that_a_folder_keeps_are_the_reference():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(900, 3)) * 4
    made = ew.calibrate(2 * z, (z + rng.gumbel(size=z.shape)).argmax(axis=1), target_accuracy=0.8)

    whole, some, none = reference_of(made), reference_of(made, most=40), reference_of(made, most=0)

    certificate = made.certificate
    assert (whole.tally.rows, whole.tally.answered) == (certificate.rows, certificate.n)
    assert whole.tally.answered - whole.right == certificate.errors
    assert some.tally.rows == 40
    assert (none.tally, none.other_share) == (None, 1 - certificate.coverage)


def test_a_threshold_without_a_promise_has_no_reference():
    from elsewise.engines.memory import MemoryEngine

    assert reference_of(ew.Classifier(MemoryEngine(("a", "b"), {}), ew.Identity(), ew.FixedThreshold(0.5))) is None
