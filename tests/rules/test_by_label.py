"""Thresholds by label: which labels are tested, at which level, and what is said of the others."""

import math
from dataclasses import replace

import numpy as np
import pytest

import elsewise as ew
from elsewise.arrays import softmax
from elsewise.cli.tables import print_promise
from elsewise.errors import InputError
from elsewise.metrics import binomial_cdf
from elsewise.rules import ByLabel, CertifiedThreshold, threshold_words
from support.small_rules import copy_of

NAN = float("nan")


def sure(best, k, confidence=0.9):
    """Probabilities (n, k) whose best label is `best`, with one confidence or one for each row."""
    s = np.broadcast_to(np.asarray(confidence, dtype=np.float64), (len(best),))
    p = np.repeat(((1 - s) / (k - 1))[:, None], k, axis=1)
    p[np.arange(len(best)), best] = s
    return p


def even(k, each):
    """Rows of k labels, `each` predicted as every one of them, and their codes, all right."""
    best = np.repeat(np.arange(k), each)
    return sure(best, k), best


def spread(n, k, seed, scale=4.0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, k)) * scale
    return softmax(z), (z + rng.gumbel(size=z.shape)).argmax(axis=1)


def fit(p, codes, **options):
    return ByLabel.fit(p, codes, **{"reference": copy_of(p), **options})


@pytest.mark.parametrize(("joint", "fewest"), [(False, 59), (True, 72)])
def test_the_fewest_rows_of_a_label_are_those_of_a_test_at_its_level(joint, fewest):
    """Two labels: ln(0.05) / ln(0.95) = 58.4, ln(0.025) / ln(0.95) = 71.9.

    The reference expects label 1 often enough to test it alone; the certify rows then hold just enough of it, or not.
    """
    reference = even(2, 1000)[0]
    for rows, certified in ((fewest, True), (fewest - 1, False)):
        best = np.repeat([0, 1], [500, rows])
        rule = fit(sure(best, 2), best, joint=joint, reference=reference)

        assert rule.rare == ()
        assert rule.certified_labels.tolist() == [True, certified]


def test_groups_are_tested_at_a_share_of_delta_when_they_hold_together():
    """Three labels of 200 rows, 3 errors each: BinomCDF(3; 200, 0.05) = 0.009, above 0.05 / 10 and below 0.05 / 3."""
    p, codes = even(3, 200)
    codes[[0, 1, 2, 200, 201, 202, 400, 401, 402]] = [1, 1, 1, 2, 2, 2, 0, 0, 0]
    assert 0.05 / 10 < binomial_cdf(3, 200, 0.05) < 0.05 / 3

    rule = fit(p, codes, joint=True)

    assert rule.certified_labels.tolist() == [True] * 3
    assert [c.confidence_level for c in rule.certificates] == pytest.approx([1 - 0.05 / 3] * 3)
    assert not fit(p, codes, joint=True, confidence_level=0.98).certified_labels.any()
    assert fit(p, codes, joint=False, confidence_level=0.98).certified_labels.all()


def test_each_label_alone_is_the_plain_rule_on_its_rows():
    p, codes = spread(3000, 4, seed=0)
    reference = spread(1000, 4, seed=1)[0]

    rule = ByLabel.fit(p, codes, reference=reference, target_accuracy=0.85)

    assert rule.rare == ()
    for label in range(4):
        rows, others = p.argmax(axis=1) == label, reference.argmax(axis=1) == label
        alone = CertifiedThreshold.fit(p[rows], codes[rows], reference=reference[others], target_accuracy=0.85)
        assert rule.threshold[label] == alone.threshold
        got, plain = rule.certificates[label], alone.certificate
        assert (got.n, got.errors, got.rows) == (plain.n, plain.errors, plain.rows)


def test_one_group_of_all_labels_is_the_plain_rule():
    p, codes = spread(1000, 4, seed=0)
    reference = spread(500, 4, seed=1)[0]

    rule = ByLabel.fit(p, codes, reference=reference, target_accuracy=0.85, groups=["all"] * 4, joint=True)

    plain = CertifiedThreshold.fit(p, codes, reference=reference, target_accuracy=0.85)
    assert rule.threshold.tolist() == [plain.threshold] * 4
    assert (rule.certificate.n, rule.certificate.errors) == (plain.certificate.n, plain.certificate.errors)


def test_fifty_labels_of_forty_rows_certify_none_by_itself_and_it_says_so():
    """C35. The fewest that could pass are 59; jointly 135."""
    p, codes = even(50, 40)

    rule = fit(p, codes, joint=True)

    assert not rule.certified_labels.any()
    assert len(rule.rare) == 50
    assert rule.names == ("rare labels",)
    assert rule.certificate.sentence.startswith("No label is certified by itself. At least 95 % of what is answered ")
    assert "with 50 rare labels taken as one group is right" in rule.certificate.sentence
    assert "not certified per label" in rule.certificate.sentence


def test_labels_that_fall_back_use_the_threshold_of_all_and_nothing_is_promised_of_them():
    p, codes = even(50, 40)
    codes[::25] = 49

    rule = fit(p, codes, rare="fall_back")

    plain = CertifiedThreshold.fit(p, codes, reference=copy_of(p))
    assert not rule.certified_labels.any()
    assert rule.threshold.tolist() == [plain.threshold] * 50
    assert rule.certificate.sentence == "No label is certified by itself. " + plain.certificate.sentence
    assert not rule.certificates[0].certified
    assert rule.certificates[0].sentence.startswith("Nothing is promised of 50 labels too rare to be certified per la")


def mixed_sizes():
    """Labels 0 and 1 with 300 rows each, the second half wrong, and ten labels of 20 rows."""
    best = np.repeat(np.arange(12), [300, 300] + [20] * 10)
    codes = best.copy()
    codes[300:450] = 0
    return sure(best, 12), codes


def test_frequent_labels_stand_alone_and_rare_ones_together():
    p, codes = mixed_sizes()

    rule = fit(p, codes, joint=True)

    assert rule.rare == tuple(range(2, 12))
    assert rule.groups == (0, 1, *[2] * 10)
    assert rule.names == ("0", "1", "rare labels")
    assert rule.threshold.tolist() == [-math.inf, math.inf, *[-math.inf] * 10]
    assert rule.certified_labels.tolist() == [True] + [False] * 11
    assert (rule.certificate.n, rule.certificate.errors, rule.certificate.threshold) == (500, 0, -math.inf)
    assert rule.certificate.sentence == (
        "At least 95 % of what is answered with one label and with 10 rare labels taken as one group is right, at "
        "confidence level 95 % for all of these promises together: of 800 labelled texts kept aside for this test, 500 "
        "were answered and 0 of those wrongly (exact binomial test, fixed sequence, in each group by itself). The "
        "confidence is over the draw of those texts: at most 5 % of such draws would promise too much. So at least "
        "95 % of everything that is answered is right, too. 1 label could not be certified and is never answered. "
        "There are 10 labels too rare to be certified per label: the promise is for them taken together, not certified "
        "per label. It holds for texts that come from the same source, 0 % of them out-of-scope; another share of "
        "out-of-scope texts is not covered."
    )


def test_promises_that_hold_singly_say_what_is_left_of_them_together():
    p, codes = mixed_sizes()

    sentence = fit(p, codes).certificate.sentence

    assert "at confidence level 95 % for each of these promises by itself" in sentence
    assert "for each promise, at most 5 % of such draws would promise too much" in sentence
    assert "Nothing is promised of all answers at once: all 3 promises hold together at 85 % only." in sentence


def test_groups_that_were_asked_for_are_named():
    p, codes = even(4, 100)

    rule = fit(p, codes, groups=["money", "money", "travel", "travel"], joint=True)

    assert rule.names == ("money", "travel")
    assert rule.groups == (0, 0, 1, 1)
    assert rule.certificates[1].sentence.startswith('At least 95 % of what is answered with the group "travel" is')
    assert "with each of 2 groups of labels is right" in rule.certificate.sentence


def test_certify_labels_have_no_say_in_who_is_tested():
    """Predictions and the reference decide: other codes change thresholds, never groups or levels."""
    p, codes = spread(2000, 12, seed=0)
    reference = spread(700, 12, seed=1)[0]
    for joint in (False, True):
        one = ByLabel.fit(p, codes, reference=reference, joint=joint)
        other = ByLabel.fit(p, (codes + 1) % 12, reference=reference, joint=joint)

        assert (one.groups, one.rare, one.names) == (other.groups, other.rare, other.names)
        levels = [[c.confidence_level for c in rule.certificates] for rule in (one, other)]
        assert levels[0] == levels[1]


def test_what_is_served_on_certify_rows_is_what_is_certified():
    p, codes = spread(3000, 5, seed=0)
    p[::100] = NAN
    codes[5::50] = -1

    rule = fit(p, codes, target_accuracy=0.85, joint=True, ambiguity_margin=0.05)

    decisions = rule(p)
    answered = ~decisions.abstained
    assert rule.certificate.n == answered.sum() == sum(c.n for c in rule.certificates)
    assert rule.certificate.errors == (decisions.codes != codes)[answered].sum()
    assert rule.certificate.rows == 3000


def test_a_label_that_the_certify_rows_do_not_have_is_not_certified():
    """Predicted in the reference, never in the certify rows; and one that nothing predicts is rare."""
    reference = even(3, 200)[0][:400]
    best = np.zeros(200, dtype=int)

    rule = fit(sure(best, 3), best, reference=reference)

    assert rule.certified_labels.tolist() == [True, False, False]
    assert rule.rare == (2,)
    assert rule.certificates[1].rows_needed == 59
    assert rule(reference).codes.tolist() == [0] * 200 + [-1] * 200


def test_ten_thousand_labels_are_pooled():
    k = 10_000
    best = np.arange(200) * 50

    rule = fit(sure(best, k), best, joint=True)

    assert len(rule.rare) == k
    assert rule.threshold.shape == (k,)
    assert rule.certificates[0].certified


@pytest.mark.parametrize("rare", ["pool", "fall_back"])
@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("n", [0, 1])
def test_hardly_any_rows_certify_nothing(n, joint, rare):
    p, codes = even(3, 1)

    rule = fit(p[:n], codes[:n], reference=copy_of(p), joint=joint, rare=rare)

    assert not rule.certificate.certified
    assert (rule.threshold == math.inf).all()
    assert "Nothing is promised" in rule.certificate.sentence


def test_all_wrong_certifies_nothing():
    p, codes = even(3, 300)

    rule = fit(p, (codes + 1) % 3, joint=True)

    assert (rule.threshold == math.inf).all()
    assert rule.certificate.sentence.startswith(
        "No label is certified by itself. Nothing is promised, and every text becomes Other: 95 % right"
    )


def test_what_cannot_be_fitted_is_refused():
    p, codes = even(3, 10)
    for options, words in (
        ({"groups": ["a", "b"]}, r"^groups must hold one name or number for each of 3 labels, got 2$"),
        ({"rare": "drop"}, r"^rare must be 'pool' or 'fall_back', got 'drop'$"),
        ({"looks": 0}, r"^looks must be at least 1, as this certification counts too, got 0$"),
        ({"target_accuracy": 1.0}, r"^target_accuracy must lie between 0 and 1, got 1.0$"),
        ({"reference": p}, r"^the certify rows cannot be their own reference"),
        ({"reference": np.full((3, 3), NAN)}, r"^the reference rows place the grid"),
        ({"reference": np.zeros((0, 3))}, r"^the reference rows place the grid"),
    ):
        with pytest.raises(InputError, match=words):
            fit(p, codes, **options)
    with pytest.raises(InputError, match=r"^this rule was fitted for 3 labels, got 2$"):
        fit(p, codes)([[0.5, 0.5]])


def test_a_model_folder_keeps_it_and_its_card_says_what_is_promised(tmp_path, capsys):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(1200, 3)) * 6
    codes = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    rule = ByLabel.fit(softmax(z), codes, reference=copy_of(softmax(z[::2])), target_accuracy=0.8, joint=True)
    classifier = replace(ew.calibrate(z, codes, labels=("a", "b", "c")), rule=rule)

    classifier.save(tmp_path / "model")
    again = ew.load(tmp_path / "model")

    assert again.rule == rule
    assert again.decide(z[:50]).codes.tolist() == classifier.decide(z[:50]).codes.tolist()
    assert rule.certificate.sentence in (tmp_path / "model" / "README.md").read_text()
    print_promise(again)
    printed = capsys.readouterr().out
    assert " ".join(rule.certificate.sentence.split()) in " ".join(printed.split())
    assert "No threshold is needed: 100.0 %" in printed


def test_thresholds_in_words():
    p, codes = mixed_sizes()

    assert threshold_words(fit(p, codes)) == "-inf to inf"
    assert threshold_words(fit(p, codes), digits=4) == "-inf to inf"


@pytest.mark.parametrize(
    "options", [{"joint": True}, {"rare": "fall_back"}, {"groups": ["money", "money", "post", "post"], "joint": True}]
)
def test_it_remembers_what_it_was_asked_for(options):
    p, codes = spread(800, 4, seed=3)

    rule = fit(p, codes, **options)

    asked = rule.asked
    assert fit(p, codes, **asked) == rule
    assert {name: asked[name] for name in options} == options


def test_what_was_not_remembered_is_not_made_up():
    """Folders of before do not tell whether the promises hold together."""
    p, codes = even(2, 200)

    assert replace(fit(p, codes), joint=None).asked is None
