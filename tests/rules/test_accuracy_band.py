"""A band over thresholds: exact by hand, and a choice made after looking still carries its promise."""

import numpy as np
import pytest

from elsewise.arrays import softmax
from elsewise.errors import InputError
from elsewise.metrics import clopper_pearson_upper
from elsewise.rules import AccuracyBand
from support.small_rules import copy_of

NAN = float("nan")


def spread(n, seed, k=4):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, k)) * 5
    return softmax(z), (z + rng.gumbel(size=z.shape)).argmax(axis=1)


def band_of(n=2000, **options):
    return AccuracyBand.fit(*spread(n, 0), reference=spread(500, 1)[0], **options)


def test_every_bound_is_the_exact_one_at_its_share_of_delta():
    p, codes = spread(2000, 0)

    band = band_of()

    confidence, wrong = p.max(axis=1), p.argmax(axis=1) != codes
    assert len(band.thresholds) == 21
    assert (np.diff(band.thresholds) < 0).all()
    for t, low, n, errors in zip(band.thresholds, band.accuracy_low, band.n, band.errors, strict=True):
        assert (n, errors) == ((confidence >= t).sum(), wrong[confidence >= t].sum())
        assert low == pytest.approx(1 - clopper_pearson_upper(errors, n, 0.05 / 21))


def test_a_target_takes_the_loosest_threshold_whose_bound_reaches_it():
    band = band_of()
    for target in (0.8, 0.9, 0.95):
        rule = band.rule(target_accuracy=target)
        at = band.thresholds.tolist().index(rule.threshold)

        assert band.accuracy_low[at] >= target
        assert (band.accuracy_low[at + 1 :] < target).all()
        assert rule.certificate.certified
        assert rule.certificate.method == "exact bounds at 21 thresholds at once, Bonferroni"


def test_a_threshold_goes_up_to_the_next_one_that_was_bounded():
    band = band_of()
    between = (band.thresholds[4] + band.thresholds[5]) / 2

    rule = band.rule(between)

    assert rule.threshold == band.thresholds[4]
    assert rule.certificate.target_accuracy == band.accuracy_low[4]
    assert band.rule(band.thresholds[5]).threshold == band.thresholds[5]
    assert band.rule(-np.inf).threshold == -np.inf


def test_what_is_served_on_certify_rows_is_what_is_certified():
    p, codes = spread(2000, 0)

    rule = band_of().rule(target_accuracy=0.9)

    decisions = rule(p)
    answered = ~decisions.abstained
    assert (rule.certificate.n, rule.certificate.errors) == (answered.sum(), (decisions.codes != codes)[answered].sum())


def test_a_target_out_of_reach_is_an_ordinary_answer():
    rule = band_of().rule(target_accuracy=0.9999)

    assert not rule.certificate.certified
    assert rule.threshold == np.inf
    assert rule.certificate.best_accuracy == band_of().accuracy_low.max()
    assert rule.certificate.sentence.startswith("Nothing is promised, and every text becomes Other: 99.99 % right")


def test_all_wrong_and_no_rows_support_nothing():
    p, codes = spread(300, 0)
    wrong = (p.argmax(axis=1) + 1) % 4
    for band in (
        AccuracyBand.fit(p, wrong, reference=copy_of(p)),
        AccuracyBand.fit(p[:0], codes[:0], reference=copy_of(p)),
    ):
        assert (band.accuracy_low == 0).all()
        assert not band.rule(target_accuracy=0.5).certificate.certified
        nothing = band.rule(-np.inf)
        assert not nothing.certificate.certified
        assert nothing(p).coverage == 0
        assert nothing.certificate.sentence.endswith("every text becomes Other: at -inf no accuracy is supported.")


def test_the_order_of_rows_changes_nothing_and_less_confidence_bounds_more():
    p, codes = spread(2000, 0)
    order = np.random.default_rng(3).permutation(2000)

    shuffled = AccuracyBand.fit(p[order], codes[order], reference=spread(500, 1)[0])

    assert np.array_equal(shuffled.accuracy_low, band_of().accuracy_low)
    assert (band_of(confidence_level=0.8).accuracy_low >= band_of().accuracy_low).all()


def test_a_margin_and_earlier_looks_travel_with_the_rules():
    p = spread(2000, 0)[0]
    top = np.sort(p, axis=1)

    rule = band_of(ambiguity_margin=0.2, looks=2).rule(-np.inf)

    assert rule(p).abstained.tolist() == (top[:, -1] - top[:, -2] < 0.2).tolist()
    assert "all 2 looks at them hold together at 90 %" in rule.certificate.sentence


def test_what_cannot_be_made_is_refused():
    band = band_of(n=100)
    for options in ({}, {"threshold": 0.5, "target_accuracy": 0.9}):
        with pytest.raises(InputError, match=r"^a rule of a band needs either a threshold or a target_accuracy$"):
            band.rule(**options)
    for threshold in (1.5, NAN):
        with pytest.raises(InputError, match=r"^threshold must be at most the band's strictest, 0\.\d+, got"):
            band.rule(threshold)
    for target in (0, 1, -1, NAN):
        with pytest.raises(InputError, match=r"^target_accuracy must lie between 0 and 1, got"):
            band.rule(target_accuracy=target)
    p, codes = spread(100, 0)
    for reference, words in ((p, "cannot be their own reference"), (np.full((2, 4), NAN), "at least one readable row")):
        with pytest.raises(InputError, match=words):
            AccuracyBand.fit(p, codes, reference=reference)


def test_a_rule_of_a_band_cannot_be_asked_for_by_a_target_alone():
    assert band_of().rule(target_accuracy=0.9).asked is None
