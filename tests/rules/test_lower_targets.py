"""A lower target where the one asked for cannot be certified: by hand, and what must not change."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from elsewise.arrays import ABSTAIN
from elsewise.messages.certificates import LOWEST
from elsewise.rules import ByLabel, CertifiedThreshold, FixedThreshold, asked_record
from elsewise.rules.fixed_sequence import LADDER, BinomialTest
from elsewise.rules.gates import Floor
from support.small_rules import copy_of, saved_and_read


def rows(right, wrong, confidence=0.9):
    return np.tile([confidence, 1 - confidence], (right + wrong, 1)), np.repeat([0, 1], [right, wrong])


def flat(n, right, seed):
    """Rows that are right as often at every confidence."""
    rng = np.random.default_rng(seed)
    s = rng.uniform(0.5, 1, n)
    return np.column_stack([s, 1 - s]), (rng.random(n) >= right).astype(int)


def certify(p, codes, *, strict=False, **options):
    given = {"reference": copy_of(p), **options}
    return CertifiedThreshold.fit(p, codes, strict=strict, **given).certificate


def test_the_ladder_goes_down_to_where_an_answer_is_as_likely_wrong_as_right():
    assert list(LADDER) == sorted(set(LADDER), reverse=True)
    assert LADDER[-1] == LOWEST
    assert {0.99, 0.95, 0.9, 0.8} < set(LADDER)


@pytest.mark.parametrize("wrong", [0, 3, 8, 15, 40, 60])
def test_of_rows_alike_the_highest_target_that_passes_by_itself_is_promised(wrong):
    """One confidence and so one threshold: what the table of single binomial tests says."""
    certificate = certify(*rows(100 - wrong, wrong))

    passed = [target for target in (0.95, *LADDER) if target <= 0.95 and binom.cdf(wrong, 100, 1 - target) <= 0.05]
    assert certificate.certified == bool(passed)
    assert certificate.target_accuracy == (max(passed) if passed else 0.95)
    assert certificate.asked_for == 0.95
    assert (certificate.n, certificate.errors) == ((100, wrong) if passed else (0, 0))


@pytest.mark.parametrize("labelled", [True, False])
def test_where_the_asked_target_is_certified_nothing_changes(labelled):
    for seed in range(20):
        (p, codes), (tune, tune_codes) = flat(1000, 0.962, seed), flat(500, 0.962, 100 + seed)
        options = {"reference": tune, "reference_codes": tune_codes if labelled else None}

        strict, usual = (certify(p, codes, strict=only, **options) for only in (True, False))

        if strict.certified:
            assert usual == replace(strict, ladder=True)
            assert usual.sentence == strict.sentence


def test_a_lower_target_is_promised_where_the_first_threshold_passes_for_it():
    """200 sure rows with 12 errors, 800 unsure ones with many: 90 % holds for the sure ones, and 95 % for none."""
    p = np.vstack([rows(188, 12)[0], rows(500, 300, 0.6)[0]])
    codes = np.concatenate([rows(188, 12)[1], rows(500, 300)[1]])

    certificate = certify(p, codes, reference=p * (1 - 2**-20))

    assert binom.cdf(12, 200, 0.1) <= 0.05 < binom.cdf(12, 200, 0.09)
    assert (certificate.target_accuracy, certificate.asked_for, certificate.looks) == (0.9, 0.95, 1)
    assert (certificate.n, certificate.errors, certificate.coverage) == (200, 12, 0.2)


def test_a_target_without_a_chance_gives_way_to_one_that_is_likely_at_every_threshold():
    """Nine in ten are right at every confidence: labelled reference rows show it, and 87.5 % answers everything."""
    (p, codes), (tune, tune_codes) = flat(2000, 0.9, 0), flat(1000, 0.9, 1)

    told = certify(p, codes, reference=tune, reference_codes=tune_codes)
    untold = certify(p, codes, reference=tune)

    assert (told.target_accuracy, told.threshold) == (0.875, -math.inf)
    assert untold.threshold < 1
    assert untold.coverage < 0.2  # where 95 % would have begun


def test_a_target_with_a_chance_is_tried():
    """Reference rows make 97 % look doubtful: where the certify rows certify it all the same, it is promised."""
    pairs = []
    for seed in range(10):
        (p, codes), (tune, tune_codes) = flat(1000, 0.985, seed), flat(500, 0.965, 100 + seed)
        how = {"reference": tune, "reference_codes": tune_codes, "target_accuracy": 0.97}
        pairs.append([certify(p, codes, strict=only, **how) for only in (True, False)])

    certified = [(strict, usual) for strict, usual in pairs if strict.certified]
    assert len(certified) > 2
    assert all(usual == replace(strict, ladder=True) for strict, usual in certified)


def test_fewer_rows_than_could_pass_promise_what_they_can():
    """40 rows without an error: 92 % is the best of the ladder, 0.92 ** 40 = 0.036 and 0.93 ** 40 = 0.055."""
    certificate = certify(*rows(40, 0))

    assert (certificate.target_accuracy, certificate.rows_needed) == (0.92, 59)
    assert "which could not be certified: at least 59 such rows would be needed" in certificate.sentence


def test_where_no_target_holds_the_asked_one_is_refused():
    certificate = certify(*rows(40, 60))

    assert not certificate.certified
    assert (certificate.target_accuracy, certificate.asked_for, certificate.threshold) == (0.95, 0.95, math.inf)
    assert certificate.sentence.startswith("Nothing is promised, and every text becomes Other: 95 % right")
    assert certificate.sentence.endswith("No lower target, down to 50 %, could be certified either.")
    assert "more certify rows would not help this model; a better model would" in certificate.sentence


@pytest.mark.parametrize("target", [0.5, 0.3])
def test_there_is_no_target_below_the_lowest(target):
    assert BinomialTest.of(target, 0.95).lower() == ()
    assert not certify(*rows(10, 90), target_accuracy=target).certified


def test_a_stated_share_of_out_of_scope_texts_has_lower_targets_too():
    p, codes = flat(2000, 0.93, 5)
    codes[::50] = ABSTAIN

    strict, usual = (certify(p, codes, strict=only, out_of_scope_share=0.05) for only in (True, False))

    assert not strict.certified
    assert usual.certified
    assert usual.target_accuracy < 0.9
    assert "up to 5 % of the texts are out-of-scope" in usual.sentence
    assert "This promise is less than the 95 % that was asked for" in usual.sentence


def test_a_rule_asks_again_for_what_was_asked():
    (p, codes), reference = flat(1000, 0.9, 6), flat(500, 0.9, 7)[0]
    rule = CertifiedThreshold.fit(p, codes, reference=reference, strict=False)

    again = CertifiedThreshold.fit(p, codes, reference=reference, **rule.asked)

    assert rule.certificate.target_accuracy < 0.95
    assert again == rule == saved_and_read(rule)
    assert (asked_record(rule)["target_accuracy"], asked_record(rule)["strict"]) == (0.95, False)
    assert rule.certificate.as_dict()["asked_accuracy"] == 0.95
    assert asked_record(CertifiedThreshold.fit(p, codes, reference=reference))["strict"] is True


def test_a_certificate_written_before_there_were_lower_targets_asked_for_what_it_promised():
    made = certify(*rows(196, 4), strict=True)

    assert (made.asked_accuracy, made.asked_for, made.as_dict()["asked_accuracy"]) == (None, 0.95, 0.95)


LESS = "Less is promised than was asked for: 87.5 %, because 95 % could not be certified."
HEADLINES = {
    "less": (rows(184, 16), (), f"{LESS} All 200 labelled texts kept aside for the test were answered."),
    "all": (rows(196, 4), (), "Every text that can be read is answered: 95 % holds without a threshold."),
    "gates": (
        rows(196, 4),
        (Floor(0.5),),
        "Every text that the gates let through is answered: 95 % holds without a threshold.",
    ),
    "none": (rows(40, 60), (), "Nothing is promised, and every text becomes Other: 95 % could not be certified."),
}


@pytest.mark.parametrize("name", HEADLINES)
def test_what_must_not_be_missed_is_said_in_one_line(name):
    (p, codes), gates, expected = HEADLINES[name]

    assert certify(p, codes, gates=gates).headline() == expected


def test_a_promise_as_asked_at_a_threshold_needs_no_such_line():
    p = np.vstack([rows(200, 0)[0], rows(100, 100, 0.6)[0]])
    codes = np.concatenate([rows(200, 0)[1], rows(100, 100)[1]])

    assert certify(p, codes).headline() == ""


def test_a_label_that_is_always_answered_is_not_every_text():
    p = np.repeat([[0.9, 0.1], [0.1, 0.9]], 100, axis=0)
    rule = ByLabel.fit(p, np.repeat([0, 1, 0], [100, 50, 50]), reference=copy_of(p))

    assert rule.certificate.threshold == -math.inf
    assert rule.certificate.headline() == ""
    assert FixedThreshold(0.5).certificate is None
