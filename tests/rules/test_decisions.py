"""Decisions: exact at the threshold, reasons in plain words, and a certificate that says no more than it may."""

from dataclasses import replace

import numpy as np
import pytest

from elsewise.arrays import ABSTAIN
from elsewise.outputs import Evidence, Outputs, as_evidence
from elsewise.rules import AmbiguityMargin, FixedThreshold, TargetCoverage
from elsewise.rules.certificate import Certificate
from elsewise.rules.decisions import PredictionSets, Reason, confidence_of, decide
from elsewise.scores import MaximumProbability

NAN = float("nan")
P = np.array([[0.9, 0.06, 0.04], [0.45, 0.1, 0.45], [0.5, 0.24, 0.26], [NAN] * 3, [0.35, 0.33, 0.32]])


def decided(threshold=0.6):
    return decide(as_evidence(P), MaximumProbability(), threshold)


def test_what_models_disagree_by_comes_with_the_decisions():
    evidence = Evidence(P, Outputs(P, epistemic=np.linspace(0, 0.4, 5)))

    assert decide(evidence, MaximumProbability(), 0.6).epistemic.tolist() == [0, 0.1, 0.2, 0.30000000000000004, 0.4]
    assert decided().epistemic is None


def test_columns_by_hand():
    decisions = decided()

    assert decisions.codes.tolist() == [0, ABSTAIN, ABSTAIN, ABSTAIN, ABSTAIN]
    assert decisions.abstained.tolist() == [False, True, True, True, True]
    assert decisions.best.tolist() == [0, 0, 0, -1, 0]
    assert decisions.second.tolist() == [1, 2, 2, -1, 1]
    assert np.array_equal(decisions.confidence, [0.9, 0.45, 0.5, NAN, 0.35], equal_nan=True)
    assert np.array_equal(decisions.best_probability, [0.9, 0.45, 0.5, NAN, 0.35], equal_nan=True)
    assert np.array_equal(decisions.second_probability, [0.06, 0.45, 0.26, NAN, 0.33], equal_nan=True)
    assert decisions.threshold.tolist() == [0.6] * 5
    assert decisions.coverage == 0.2
    assert len(decisions) == 5


def test_reasons_by_hand():
    """Close means at least half as probable, and the two together at least 0.6."""
    assert decided().reasons.tolist() == ["answered", "ambiguous", "ambiguous", "unreadable", "ambiguous"]
    assert decide(as_evidence([[0.5, 0.24, 0.26]]), MaximumProbability(), 0.5).reasons.tolist() == [Reason.ANSWERED]
    for p in ([0.55, 0.15, 0.15, 0.15], [0.25, 0.25, 0.25, 0.25], [0.3, 0.29, 0.2, 0.21]):
        assert decide(as_evidence([p]), MaximumProbability(), 0.6).reasons.tolist() == [Reason.UNSURE]


SENTENCES = [
    '"billing" with probability 0.900; the confidence 0.900 reaches the threshold 0.600.',
    (
        'Unclear: two labels are close together, "billing" with probability 0.450 and "returns" with 0.450; '
        "the confidence 0.450 is below the threshold 0.600."
    ),
    (
        'Unclear: the model is not sure, its best label "billing" has probability 0.500; '
        "the confidence 0.500 is below the threshold 0.600."
    ),
    "Unclear: the text holds nothing that the model can read.",
]


def test_each_reason_has_its_sentence():
    names = ("billing", "delivery", "returns", "account")
    rows = as_evidence([[0.9, 0.06, 0.04, 0.0], [0.45, 0.1, 0.45, 0.0], [0.5, 0.17, 0.17, 0.16], [NAN] * 4])

    decisions = replace(decide(rows, MaximumProbability(), 0.6), names=names, other="Unclear")

    assert [decisions.sentence(i) for i in range(4)] == SENTENCES


def test_thresholds_without_an_end_are_said_in_words():
    nothing, everything = decided(np.inf), decided(-np.inf)

    assert nothing.coverage == 0
    assert nothing.sentence(0) == (
        'Other: the model is not sure, its best label "0" has probability 0.900; '
        "the confidence 0.900 is not enough, because this rule answers nothing."
    )
    assert everything.codes.tolist() == [0, 0, 0, ABSTAIN, 0]
    assert everything.sentence(4) == ('"0" with probability 0.350; the confidence 0.350 needs to reach no threshold.')


def test_labels_have_names_where_names_are_known():
    named = replace(decided(), names=("billing", "delivery", "returns"), other="Sonstiges")

    assert decided().labels == ["0", "Other", "Other", "Other", "Other"]
    assert named.labels == ["billing", "Sonstiges", "Sonstiges", "Sonstiges", "Sonstiges"]
    assert (named.name(2), named.name(ABSTAIN)) == ("returns", "")


def test_a_real_label_may_be_called_other():
    decisions = replace(decide(as_evidence([[0.9, 0.1], [0.5, 0.5]]), MaximumProbability(), 0.6), names=("Other", "x"))

    assert decisions.labels == ["Other", "Other"]
    assert decisions.abstained.tolist() == [False, True]
    assert decisions.sentence(0).startswith('"Other" with probability 0.900')


def test_no_texts_have_no_coverage():
    decisions = decide(as_evidence(np.zeros((0, 3))), MaximumProbability(), 0.6)

    assert len(decisions) == 0
    assert decisions.labels == []
    assert decisions.reasons.tolist() == []
    assert np.isnan(decisions.coverage)


def test_a_score_has_no_say_on_an_unreadable_text():
    """Certifying and serving go by the same confidence, so a score that is blind to NaN cannot part them."""
    evidence = Evidence(np.array([[0.9, 0.1], [NAN, NAN]]))

    def blind(evidence):
        return np.ones(len(evidence))

    assert np.array_equal(confidence_of(evidence, blind), [1, NAN], equal_nan=True)
    assert decide(evidence, blind, -np.inf).codes.tolist() == [0, ABSTAIN]
    assert TargetCoverage.fit(evidence, coverage=0.5, score=blind)(evidence).coverage == 0.5


def test_a_readable_text_without_confidence_is_never_answered():
    decisions = decide(as_evidence([[0.9, 0.1]]), lambda e: np.full(len(e), NAN), -np.inf)

    assert decisions.codes.tolist() == [ABSTAIN]
    assert decisions.reasons.tolist() == [Reason.UNREADABLE]


def test_equal_probabilities_take_the_first_label():
    decisions = FixedThreshold(0.0)([[0.4, 0.4, 0.2], [0.0, 0.5, 0.5]])

    assert decisions.best.tolist() == [0, 1]
    assert decisions.second.tolist() == [1, 2]


CERTIFICATE = Certificate(
    certified=True,
    target_accuracy=0.95,
    confidence_level=0.95,
    threshold=0.71,
    rows=1234,
    n=1000,
    errors=35,
    coverage=1000 / 1234,
    coverage_low=0.78,
    coverage_high=0.83,
    out_of_scope_share=0.1,
    best_accuracy=0.951,
)
PROMISE = (
    "At least 95 % of what is answered is right, at confidence level 95 %: of 1,234 labelled texts kept aside for this "
    "test, 1,000 were answered and 35 of those wrongly (exact binomial test, fixed sequence). The confidence is over "
    "the draw of those texts: at most 5 % of such draws would promise too much{looks}. It holds for texts that come "
    "from the same source, 10 % of them out-of-scope; another share of out-of-scope texts is not covered."
)


@pytest.mark.parametrize(
    ("looks", "words"),
    [
        (1, ""),
        (2, ", and all 2 looks at them hold together at 90 %"),
        (3, ", and all 3 looks at them hold together at 85 %"),
        (30, ", and all 30 looks at them hold together at 0 %"),
    ],
)
def test_the_promise_in_words(looks, words):
    assert replace(CERTIFICATE, looks=looks).sentence == PROMISE.format(looks=words)


@pytest.mark.parametrize(
    ("rows_needed", "best", "ends"),
    [
        (59, 0.0, "about 59 such rows would be needed, as far as these tell. These rows support no accuracy."),
        (
            1234,
            0.90356,
            (
                "about 1,234 such rows would be needed, as far as these tell. "
                "These rows support an accuracy of 90.35 %, all thresholds taken together."
            ),
        ),
        (
            None,
            0.8,
            (
                "more certify rows would not help this model; a better model or a lower target would. "
                "These rows support an accuracy of 80 %, all thresholds taken together."
            ),
        ),
    ],
)
def test_the_refusal_in_words(rows_needed, best, ends):
    refused = replace(CERTIFICATE, certified=False, threshold=np.inf, rows_needed=rows_needed, best_accuracy=best)

    assert str(refused) == refused.sentence
    assert refused.sentence == (
        "Nothing is promised, and every text becomes Other: 95 % right among what is answered could not be certified "
        f"at confidence level 95 % on 1,234 labelled rows kept aside for this test; {ends}"
    )


def test_a_promise_is_never_rounded_up_and_a_risk_never_down():
    sentence = replace(CERTIFICATE, target_accuracy=0.99999, confidence_level=0.99996).sentence

    assert "At least 99.99 % of what is answered is right, at confidence level 99.99 %" in sentence
    assert "at most 0.01 % of such draws" in sentence


def test_two_labels_closer_than_the_margin_are_not_answered():
    """0.5 - 0.375 is 0.125 in binary too: exactly the margin is not closer."""
    rows = as_evidence([[0.5, 0.375, 0.125], [0.5, 0.4, 0.1], [0.75, 0.25, 0.0], [NAN] * 3])

    decisions = decide(rows, MaximumProbability(), 0.5, (AmbiguityMargin(0.125),))

    assert decisions.codes.tolist() == [0, ABSTAIN, 0, ABSTAIN]
    assert decisions.reasons.tolist() == ["answered", "ambiguous", "answered", "unreadable"]
    assert np.array_equal(decisions.confidence, [0.5, NAN, 0.75, NAN], equal_nan=True)
    assert decisions.sentence(1) == (
        'Other: two labels are close together, "0" with probability 0.500 and "1" with 0.400; '
        "that is closer than this rule's margin."
    )


def test_the_margin_bars_also_what_a_rule_without_a_threshold_would_answer():
    rows = as_evidence([[0.5, 0.4, 0.1], [0.9, 0.1, 0.0]])

    assert decide(rows, MaximumProbability(), -np.inf, (AmbiguityMargin(0.2),)).codes.tolist() == [ABSTAIN, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_margin_gates_the_same_texts_whatever_the_block(dtype):
    """Against a plain partition of all rows at once; 9,000 rows of 40 are several blocks."""
    p = np.random.default_rng(0).dirichlet(np.full(40, 0.1), size=9000).astype(dtype)
    top = np.sort(p.astype(np.float64), axis=1)

    decisions = decide(Evidence(p), MaximumProbability(), 0.4, (AmbiguityMargin(0.1),))

    barred = top[:, -1] - top[:, -2] < 0.1
    assert np.array_equal(decisions.best_probability, top[:, -1])
    assert np.array_equal(decisions.second_probability, top[:, -2])
    assert np.array_equal(np.isnan(decisions.confidence), barred)
    assert np.array_equal(decisions.abstained, barred | (top[:, -1] < 0.4))


def test_a_threshold_for_each_label_is_that_of_the_best_label():
    rows = as_evidence([[0.6, 0.4], [0.4, 0.6], [NAN, NAN]])

    decisions = decide(rows, MaximumProbability(), np.array([0.5, 0.7]))

    assert decisions.threshold.tolist() == [0.5, 0.7, 0.7]
    assert decisions.codes.tolist() == [0, ABSTAIN, ABSTAIN]


def full():
    """Decisions with every column that a rule may leave out."""
    sets = PredictionSets(np.packbits(P > 0.3, axis=1), 3, ("a", "b", "c"))
    more = {"familiarity": np.linspace(0, 1, 5), "nearest": np.arange(10).reshape(5, 2) % 3, "sets": sets}
    more |= {"epistemic": np.linspace(0, 0.4, 5), "truncated": np.arange(5) == 2, "texts": list("vwxyz")}
    return replace(decided(), names=("a", "b", "c"), **more)


def test_a_decision_is_a_row_of_the_columns():
    decisions = full()

    one = decisions[2]

    assert (one.label, one.abstained, one.reason, one.best_label, one.text) == ("Other", True, "ambiguous", "a", "x")
    assert (one.confidence, one.probability, one.truncated) == (0.5, 0.5, True)
    assert decisions[-1].text == "z"
    assert decisions[np.int64(0)].label == "a"
    assert [each.label for each in decisions] == decisions.labels
    assert one == decisions[2:][0]
    assert one.sentence("tr") == decisions.sentence(2, "tr")
    assert one.customer_sentence() == decisions.customer_sentence(2)
    assert one.explain() == decisions.explain(2)
    with pytest.raises(IndexError):
        decisions[5]


@pytest.mark.parametrize("rows", [slice(1, 4), [1, 2, 3], np.array([1, 2, 3]), np.array([0, 1, 1, 1, 0], dtype=bool)])
def test_a_part_of_decisions_says_of_its_texts_what_the_whole_says(rows):
    whole = full()

    part = whole[rows]

    assert len(part) == 3
    assert repr([part.explain(i).as_dict() for i in (0, 2)]) == repr([whole.explain(i).as_dict() for i in (1, 3)])
    assert repr(list(part)) == repr(list(whole)[1:4])
    assert part.columns["truncated"] == whole.columns["truncated"][1:4]
    assert part.texts == ["w", "x", "y"]
    assert len(whole[5:]) == 0
    assert list(whole[5:]) == []


def test_decisions_print_a_line_a_text_that_steers_no_terminal():
    shown = str(replace(full(), texts=["a\x1b[2J", None, "a  b", "y" * 99, "z"])).splitlines()

    assert shown[:3] == [
        "Decisions(n=5, answered=1, abstained=4)",
        "a      0.900  answered    'a\\x1b[2J'",
        "Other  0.450  ambiguous",
    ]
    assert shown[3].endswith("  'a b'")
    assert len(shown[4]) < 100
    many = FixedThreshold(0.6)(np.tile([0.9, 0.1], (12, 1)))
    assert str(many).splitlines()[-1] == "... and 2 more"
