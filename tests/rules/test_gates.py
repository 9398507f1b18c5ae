"""Gates: how a margin becomes one, and how rules that were kept before there were gates are read."""

import json
from pathlib import Path

import numpy as np
import pytest

from elsewise.classifier.history import fingerprint_of, restored
from elsewise.classifier.packing import unpack
from elsewise.errors import ArtifactError, InputError
from elsewise.outputs import Evidence
from elsewise.rules import (
    RULES,
    AmbiguityMargin,
    CertifiedThreshold,
    FixedThreshold,
    Floor,
    TargetCoverage,
    Unfamiliar,
    asked_record,
    fit_as_asked,
)
from elsewise.rules.gates import as_gates, with_gates
from elsewise.scores import MaximumProbability
from support.small_rules import evidence_of, fit

KEPT_BEFORE = {
    "certified": """{"kind": "certified", "certificate": {"kind": "certificate", "certified": true,
        "target_accuracy": 0.9, "confidence_level": 0.95, "threshold": 0.7, "rows": 400, "n": 300, "errors": 12,
        "coverage": 0.75, "coverage_low": 0.7, "coverage_high": 0.79, "out_of_scope_share": 0.0,
        "best_accuracy": 0.93, "rows_needed": null, "method": "exact binomial test, fixed sequence", "looks": 1,
        "words": ""}, "score": {"kind": "maximum_probability"}, "ambiguity_margin": 0.125}""",
    "fixed": '{"kind": "fixed", "threshold": 0.6, "score": {"kind": "maximum_probability"}, "ambiguity_margin": 0.125}',
    "coverage": """{"kind": "coverage", "threshold": 0.5, "coverage": 0.8, "score": {"kind": "maximum_probability"},
        "ambiguity_margin": 0.125}""",
}


def read(packed):
    return unpack(packed, {}, Path("elsewise.json"))


@pytest.mark.parametrize("name", KEPT_BEFORE)
def test_a_margin_that_a_folder_kept_as_a_number_is_the_gate_that_it_was(name):
    packed = json.loads(KEPT_BEFORE[name])

    rule = read(packed)

    assert type(rule) is RULES[name]
    assert rule.gates == (AmbiguityMargin(0.125),)
    assert rule([[0.5, 0.45, 0.05], [0.9, 0.1, 0.0]]).reasons.tolist() == ["ambiguous", "answered"]
    assert read({**packed, "ambiguity_margin": 0.0}).gates == ()
    assert packed == json.loads(KEPT_BEFORE[name])  # a history that is read stays what it is


def test_an_earlier_rule_of_an_old_history_is_put_back_with_its_margin():
    score = MaximumProbability()
    kept = {**json.loads(KEPT_BEFORE["coverage"]), "score": fingerprint_of(score)}

    assert restored(kept, score) == TargetCoverage(0.5, 0.8, score, (AmbiguityMargin(0.125),))


@pytest.mark.parametrize("margin", [2, "wide", None, [0.1]])
def test_a_margin_of_a_forged_folder_is_refused(margin):
    packed = {**json.loads(KEPT_BEFORE["fixed"]), "ambiguity_margin": margin}
    if margin is None:
        packed = {**json.loads(KEPT_BEFORE["fixed"]), "gates": [{"kind": "maximum_probability"}]}
        packed.pop("ambiguity_margin")

    with pytest.raises(ArtifactError, match="holds a part that this version cannot read"):
        read(packed)


def test_what_was_asked_before_there_were_gates_makes_the_same_rule():
    rows, codes = evidence_of()

    again = fit_as_asked(
        "coverage", {"coverage": 0.6, "ambiguity_margin": 0.1}, tune=(rows, codes), certify=None, score=None, looks=1
    )

    assert again == TargetCoverage.fit(rows, codes, coverage=0.6, gates=(AmbiguityMargin(0.1),))


def test_settings_of_gates_come_in_the_order_of_the_table_so_that_the_first_reason_is_the_same():
    gates = with_gates((Floor(0.5), AmbiguityMargin(0.1)), {"unfamiliar": 0.02, "floor": 0.6})

    assert gates == (Unfamiliar(0.02), Floor(0.6), AmbiguityMargin(0.1))
    assert with_gates(gates, {"floor": 0, "unfamiliar": None}) == (Unfamiliar(0.02), AmbiguityMargin(0.1))
    assert with_gates((), {"floor": 0.0}) == ()


def test_a_floor_bars_what_is_below_it_and_not_what_reaches_it():
    p = np.array([[0.5, 0.3, 0.2], [0.49, 0.48, 0.03], [np.nan] * 3])

    decisions = FixedThreshold(0.0, gates=(Floor(0.5),))(p)

    assert decisions.reasons.tolist() == ["answered", "unsure", "unreadable"]
    assert decisions.sentence(1) == (
        'Other: the model is not sure, its best label "0" has probability 0.490; that is below this rule\'s floor.'
    )


def test_an_unfamiliar_text_is_barred_whatever_its_probability():
    p = np.array([[0.99, 0.01], [0.99, 0.01], [np.nan, np.nan]])
    rows = Evidence(p, familiarity=np.array([0.02, 0.03, np.nan]))

    decisions = FixedThreshold(0.0, gates=(Unfamiliar(0.02),))(rows)

    assert decisions.reasons.tolist() == ["unfamiliar", "answered", "unreadable"]
    with pytest.raises(InputError, match=r"needs to know how familiar texts are; take Classifier\.evidence$"):
        FixedThreshold(0.0, gates=(Unfamiliar(0.02),))(p)


def test_a_margin_replaces_the_margin_and_leaves_other_gates_alone():
    class Other:
        pass

    other = Other()

    assert as_gates((other, AmbiguityMargin(0.1)), 0.2) == (AmbiguityMargin(0.2), other)
    assert as_gates((other, AmbiguityMargin(0.1)), 0) == (other,)
    with pytest.raises(InputError, match=r"^ambiguity_margin must lie in 0\.\.1, got -1$"):
        as_gates((), -1)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_writes_down_its_margin_by_name_also_where_it_has_none(name):
    rows, codes = evidence_of()

    records = [asked_record(fit(name, rows, codes, ambiguity_margin=margin)) for margin in (0.3, 0)]

    assert [json.loads(json.dumps(record))["ambiguity_margin"] for record in records] == [0.3, 0]
    assert "gates" not in records[0]


def test_the_first_of_two_gates_gives_the_reason():
    class Unfamiliar(AmbiguityMargin):
        reason = "unfamiliar"

    p = np.array([[0.5, 0.45, 0.05], [0.6, 0.3, 0.1], [0.9, 0.1, 0.0]])

    one = FixedThreshold(0.0, gates=(AmbiguityMargin(0.1), Unfamiliar(0.5)))(Evidence(p))
    other = FixedThreshold(0.0, gates=(Unfamiliar(0.5), AmbiguityMargin(0.1)))(Evidence(p))

    assert one.reasons.tolist() == ["ambiguous", "unfamiliar", "answered"]
    assert other.reasons.tolist() == ["unfamiliar", "unfamiliar", "answered"]


def test_gates_and_a_margin_make_the_same_rule():
    rows, codes = evidence_of()
    reference = evidence_of(seed=9)[0]

    one = CertifiedThreshold.fit(rows, codes, reference=reference, ambiguity_margin=0.2)

    assert one == CertifiedThreshold.fit(rows, codes, reference=reference, gates=[AmbiguityMargin(0.2)])
