"""Scores by hand, their direction, and what each of them cannot see."""

import numpy as np
import pytest

from elsewise.arrays import softmax
from elsewise.errors import InputError
from elsewise.outputs import Evidence, Outputs
from elsewise.scores import Energy, Margin, MaximumProbability, NegativeEntropy

P = np.array([[0.5, 0.3, 0.2], [0.0, 1.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])


def evidence_of(logits):
    z = np.asarray(logits, dtype=np.float64)
    return Evidence(softmax(z), Outputs(z))


@pytest.mark.parametrize(
    ("score", "confidence"),
    [
        (MaximumProbability(), [0.5, 1.0, 1 / 3]),
        (Margin(), [0.2, 1.0, 0.0]),
        (NegativeEntropy(), [0.5 * np.log(0.5) + 0.3 * np.log(0.3) + 0.2 * np.log(0.2), 0.0, -np.log(3)]),
    ],
)
def test_scores_of_probabilities_by_hand(score, confidence):
    assert score(P) == pytest.approx(np.array(confidence), abs=1e-12)


def test_energy_by_hand():
    """ln(1 + 2 + 3) for logits ln 1, ln 2, ln 3; and no overflow at 1000."""
    assert Energy()(evidence_of([np.log([1, 2, 3])]))[0] == pytest.approx(np.log(6))
    assert Energy()(evidence_of([[1000.0, 1000.0]]))[0] == pytest.approx(1000 + np.log(2))


def test_energy_sees_a_constant_that_probabilities_do_not():
    z = np.random.default_rng(0).normal(size=(40, 5))
    plain, shifted = evidence_of(z), evidence_of(z + 7.25)

    assert Energy()(shifted) == pytest.approx(Energy()(plain) + 7.25)
    for score in (MaximumProbability(), Margin(), NegativeEntropy()):
        assert score(shifted) == pytest.approx(score(plain), abs=1e-12)


@pytest.mark.parametrize("score", [MaximumProbability(), Margin(), NegativeEntropy(), Energy()])
def test_a_longer_lead_is_surer(score):
    confidence = score(evidence_of([[lead, 0.0, 0.0] for lead in (0.0, 0.5, 1.0, 4.0, 20.0)]))

    assert (np.diff(confidence) > 0).all()


@pytest.mark.parametrize("score", [MaximumProbability(), Margin(), NegativeEntropy(), Energy()])
def test_an_unreadable_text_has_no_confidence(score):
    z = np.array([[1.0, 0.0], [np.nan, np.nan]])

    confidence = score(Evidence.of(Outputs(z), softmax))

    assert np.isnan(confidence).tolist() == [False, True]


def test_energy_of_bare_probabilities_is_refused():
    with pytest.raises(InputError, match="this score needs logits, and only probabilities were given"):
        Energy()(P)
