"""What holds for every gate in the table. A new gate needs a line in MADE, which says how it is made."""

import re

import numpy as np
import pytest

from elsewise.messages import MESSAGES
from elsewise.outputs import Evidence
from elsewise.rules import GATES, RULES, AmbiguityMargin
from elsewise.rules.decisions import Reason, confidence_of, decide
from elsewise.scores import MaximumProbability
from support.small_rules import evidence_of, fit, same, saved_and_read

MADE = {"ambiguity_margin": lambda rows, codes: AmbiguityMargin(0.3)}

every_gate = pytest.mark.parametrize("gate", GATES)


def made(gate):
    rows, codes = evidence_of()
    return MADE[gate](rows, codes), rows, codes


@every_gate
def test_a_flagged_text_is_never_answered_and_has_the_reason_of_the_gate(gate):
    gate, rows, _ = made(gate)

    flagged = gate(rows)

    decisions = decide(rows, MaximumProbability(), -np.inf, (gate,))
    assert 0 < flagged.sum() < len(rows)
    assert np.array_equal(decisions.abstained, flagged)
    assert set(decisions.reasons[flagged]) == {gate.reason}
    assert np.array_equal(np.isnan(confidence_of(rows, MaximumProbability(), (gate,))), flagged)


@every_gate
def test_no_gate_flags_an_unreadable_text_or_takes_its_reason(gate):
    gate, rows, _ = made(gate)
    p = rows.probabilities.copy()
    p[3] = np.nan

    decisions = decide(Evidence(p, rows.outputs), MaximumProbability(), 0.5, (gate,))

    assert decisions.reasons[3] == Reason.UNREADABLE


@every_gate
@pytest.mark.parametrize("rule", RULES)
def test_every_rule_takes_it_keeps_it_and_acts_on_it_before_it_is_fitted(gate, rule):
    gate, rows, codes = made(gate)

    fitted = fit(rule, rows, codes, gates=(gate,))

    again = saved_and_read(fitted)
    assert again.gates == fitted.gates == (gate,)
    assert same(again(rows), fitted(rows))
    assert fitted(rows).abstained[gate(rows)].all()
    if fitted.certificate is not None:
        assert fitted.certificate.n == (~fitted(rows).abstained).sum()


@every_gate
def test_it_is_fitted_again_on_other_rows_and_says_what_it_was_asked_for(gate):
    gate, *_ = made(gate)
    rows, codes = evidence_of(n=300, seed=3)

    again = gate.fit(rows, codes)

    assert type(again) is type(gate)
    assert again.asked == gate.asked > 0
    assert again(rows).shape == (300,)


@every_gate
@pytest.mark.parametrize("language", MESSAGES)
def test_every_language_says_why_nothing_was_compared(gate, language):
    gate, rows, _ = made(gate)
    decisions = decide(rows, MaximumProbability(), 0.5, (gate,))

    said = decisions.sentence(int(np.flatnonzero(gate(rows))[0]), language)

    assert said.endswith(f"{MESSAGES[language][f'barred_{gate.reason}']}.")
    assert not re.search(r"\bnan\b", said)
