"""What holds for every gate in the table. A new gate needs a line in MADE, which says how it is made."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import beta

from elsewise.arrays import ABSTAIN
from elsewise.errors import InputError
from elsewise.messages import MESSAGES
from elsewise.rules import GATES, RULES, AccuracyBand, AmbiguityMargin, Floor, Unfamiliar, plan
from elsewise.rules.decisions import Reason, confidence_of, decide
from elsewise.scores import MaximumProbability
from support.small_rules import evidence_of, fit, same, saved_and_read

MADE = {"ambiguity_margin": AmbiguityMargin(0.3), "floor": Floor(0.7), "unfamiliar": Unfamiliar(0.1)}

every_gate = pytest.mark.parametrize("gate", GATES)


def made(gate):
    rows, codes = evidence_of()
    return MADE[gate], rows, codes


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

    decisions = decide(replace(rows, probabilities=p), MaximumProbability(), 0.5, (gate,))

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
def test_it_is_made_again_from_what_it_was_asked_for_and_refuses_what_is_no_share(gate):
    assert GATES[gate](MADE[gate].asked) == MADE[gate]
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match=rf"^{gate} must lie in 0\.\.1, got {wrong}$"):
            GATES[gate](wrong)


@every_gate
@pytest.mark.parametrize("rule", RULES)
def test_a_rule_whose_gate_bars_every_row_is_made_and_answers_nothing(gate, rule):
    rows, codes = evidence_of()

    made = fit(rule, rows, codes, gates=(GATES[gate](1.0),))

    assert made(rows).abstained.all()
    assert made.certificate is None or not made.certificate.certified
    assert made.certificate is None or made.certificate.barred[0].high == 1


@every_gate
def test_a_band_and_a_plan_are_made_of_rows_that_a_gate_bars(gate):
    (rows, codes), (reference, _) = evidence_of(), evidence_of(n=100, seed=1)
    gates = (GATES[gate](1.0),)

    assert AccuracyBand.fit(rows, codes, reference=reference, gates=gates).thresholds.tolist() == [-np.inf]
    assert {step.chance for step in plan(rows, codes, reference=reference, gates=gates).steps} == {0}


@every_gate
@pytest.mark.parametrize("rule", ["certified", "by_label"])
def test_a_certificate_counts_what_it_bars_of_both_kinds_of_rows(gate, rule):
    gate, rows, codes = made(gate)
    flagged, inside = gate(rows), codes != ABSTAIN

    certificate = fit(rule, rows, codes, gates=(gate,)).certificate

    (barred,), caught = certificate.barred, certificate.caught
    assert (barred.reason, barred.rows, barred.n) == (gate.reason, inside.sum(), (flagged & inside).sum())
    assert barred.high == pytest.approx(beta.ppf(0.95, barred.n + 1, barred.rows - barred.n), abs=1e-12)
    assert (caught.rows, caught.n) == ((~inside).sum(), (flagged & ~inside).sum())
    assert caught.low == pytest.approx(
        beta.ppf(0.05, caught.n, caught.rows - caught.n + 1) if caught.n else 0, abs=1e-12
    )


@every_gate
@pytest.mark.parametrize("language", MESSAGES)
def test_every_language_says_in_a_certificate_what_it_bars(gate, language):
    gate, rows, codes = made(gate)
    certificate = fit("certified", rows, codes, gates=(gate,)).certificate
    assert certificate.certified

    said = certificate.say(language)

    words = MESSAGES[language]
    assert words[f"gate_{gate.reason}"].partition("{")[0] in said
    assert f"{certificate.barred[0].n} " in said
    assert words["gates_caught"].partition("{")[0] in said
    assert words["gates_caught_none"] in replace(certificate, caught=None).say(language)
    assert said.startswith(replace(certificate, barred=()).say(language))


@every_gate
@pytest.mark.parametrize("language", MESSAGES)
def test_every_language_says_why_nothing_was_compared(gate, language):
    gate, rows, _ = made(gate)
    decisions = decide(rows, MaximumProbability(), 0.5, (gate,))

    said = decisions.sentence(int(np.flatnonzero(gate(rows))[0]), language)

    assert said.endswith(f"{MESSAGES[language][f'barred_{gate.reason}']}.")
    assert not re.search(r"\bnan\b", said)
