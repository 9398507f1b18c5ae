"""What holds for every rule in the table. A new rule needs a line in FITTED of support/small_rules.py."""

import inspect

import numpy as np
import pytest

from elsewise.arrays import ABSTAIN
from elsewise.errors import InputError
from elsewise.outputs import Evidence, Outputs
from elsewise.rules import RULES, CertifiedThreshold
from elsewise.rules.decisions import Reason
from elsewise.scores import SCORES, Energy, MaximumProbability
from support.small_rules import copy_of, evidence_of, fit, same, saved_and_read

TESTED = {name for name, rule in RULES.items() if rule.tested}

every_rule = pytest.mark.parametrize("name", RULES)


@every_rule
def test_a_text_is_answered_exactly_when_its_confidence_reaches_the_threshold(name):
    rows, codes = evidence_of()
    rule = fit(name, rows, codes)

    decisions = rule(rows)

    confidence = MaximumProbability()(rows)
    best = rows.probabilities.argmax(axis=1)
    threshold = np.broadcast_to(rule.threshold, 4)[best]
    assert np.array_equal(decisions.confidence, confidence)
    assert np.array_equal(~decisions.abstained, confidence >= threshold)
    assert np.array_equal(decisions.threshold, threshold)
    assert 0 < decisions.coverage < 1
    assert np.array_equal(decisions.codes, np.where(decisions.abstained, ABSTAIN, best))


@every_rule
@pytest.mark.parametrize("ambiguity_margin", [0.0, 0.1])
def test_what_was_asked_for_makes_the_same_rule_again(name, ambiguity_margin):
    rows, codes = evidence_of()
    rule = fit(name, rows, codes, ambiguity_margin=ambiguity_margin)
    tests = {"reference": evidence_of(n=200, seed=9, models=True)[0]} if name in ("certified", "accuracy_band") else {}
    tests |= {"reference": copy_of(rows)} if name == "by_label" else {}

    again = RULES[name].fit(rows, codes, **saved_and_read(rule).asked, **tests)

    assert again == rule
    assert set(rule.asked) <= set(inspect.signature(RULES[name].fit).parameters)


@every_rule
def test_the_most_probable_label_is_answered_also_with_another_score(name):
    """Energy prefers other texts, and never another label."""
    rows, codes = evidence_of()
    options = {"threshold": 5.0} if name == "fixed" else {}
    rule = (
        RULES[name].fit(rows, codes, score=Energy(), **options) if options else fit(name, rows, codes, score=Energy())
    )

    decisions = rule(rows)

    answered = ~decisions.abstained
    assert 0 < answered.sum() < len(rows)
    assert np.array_equal(decisions.codes[answered], rows.probabilities.argmax(axis=1)[answered])


@every_rule
def test_probabilities_do_where_the_score_needs_no_more(name):
    rows, codes = evidence_of()

    rule = fit(name, rows.probabilities, codes)

    assert rule == fit(name, rows, codes)
    assert same(rule(rows.probabilities), rule(rows))


@every_rule
def test_the_order_of_the_rows_changes_nothing(name):
    rows, codes = evidence_of()
    order = np.random.default_rng(1).permutation(len(rows))
    shuffled = Evidence(rows.probabilities[order], Outputs(rows.logits[order], rows.features[order]))

    rule = fit(name, shuffled, codes[order])

    assert rule == fit(name, rows, codes)
    assert np.array_equal(rule(shuffled).codes, rule(rows).codes[order])


@every_rule
def test_renaming_the_labels_renames_the_answers(name):
    rows, codes = evidence_of()
    order = np.random.default_rng(2).permutation(4)
    where = np.append(np.argsort(order), ABSTAIN)

    renamed = rows.probabilities[:, order]
    decisions = fit(name, renamed, where[codes])(renamed)

    assert np.array_equal(decisions.codes, where[fit(name, rows, codes)(rows).codes])


@every_rule
def test_float32_and_float64_agree(name):
    (double, codes), (single, _) = evidence_of(), evidence_of(dtype=np.float32)

    narrow, wide = fit(name, single, codes), fit(name, double, codes)

    assert np.asarray(narrow.threshold) == pytest.approx(wide.threshold, abs=1e-6)
    assert np.mean(narrow(single).codes != wide(double).codes) <= 2 / len(codes)


@every_rule
def test_an_unreadable_text_is_never_answered(name):
    rows, codes = evidence_of()
    p = rows.probabilities.copy()
    p[3] = np.nan

    decisions = fit(name, rows, codes)(p)

    assert decisions.codes[3] == decisions.best[3] == decisions.second[3] == ABSTAIN
    assert decisions.reasons[3] == Reason.UNREADABLE
    assert (decisions.reasons == Reason.UNREADABLE).sum() == 1


@every_rule
@pytest.mark.parametrize("n", [0, 1])
def test_hardly_any_rows_are_answered_or_refused(name, n):
    rows, codes = evidence_of(n=1)
    try:
        rule = fit(name, rows.probabilities[:n], codes[:n])
    except InputError:
        return

    assert not np.isnan(rule.threshold).any()
    assert len(rule(rows)) == 1
    assert len(rule(rows.probabilities[:0])) == 0


@every_rule
@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_was_saved_decides_with_equal_bytes(name, score, dtype):
    rows, codes = evidence_of(dtype=dtype, models=True)
    rule = fit(name, rows, codes, score=SCORES[score].fit(rows, codes))

    again = saved_and_read(rule)

    assert type(again) is type(rule)
    assert same(again(rows), rule(rows))


@every_rule
def test_only_a_tested_threshold_carries_a_certificate(name):
    rule = fit(name, *evidence_of())

    assert (rule.certificate is not None) == (name in TESTED)


@every_rule
def test_a_margin_bars_the_same_texts_before_fitting_and_after(name):
    """The gate is part of the rule: saved with it, and acting on the rows that it was fitted on."""
    rows, codes = evidence_of()
    top = np.sort(rows.probabilities, axis=1)

    rule = fit(name, rows, codes, ambiguity_margin=0.3)

    decisions = saved_and_read(rule)(rows)
    barred = top[:, -1] - top[:, -2] < 0.3
    assert 0 < barred.sum() < len(rows)
    assert decisions.abstained[barred].all()
    assert (decisions.reasons[barred] == Reason.AMBIGUOUS).all()
    if rule.certificate is not None:
        assert rule.certificate.n == (~decisions.abstained).sum()


@pytest.mark.parametrize("target", [0.8, 0.9999])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_certificate_keeps_its_counts_through_saving(target, dtype):
    """With the second target nothing is certified: the threshold is infinite, and JSON has no number for that."""
    rows, codes = evidence_of(dtype=dtype)
    rule = CertifiedThreshold.fit(rows, codes, reference=evidence_of(seed=9, dtype=dtype)[0], target_accuracy=target)

    again = saved_and_read(rule)

    decisions = again(rows)
    answered = ~decisions.abstained
    assert again.certificate == rule.certificate
    assert again.certificate.certified == (target == 0.8)
    assert again.certificate.n == answered.sum()
    assert again.certificate.errors == (decisions.codes != codes)[answered].sum()
