"""Evidence: what is known of n texts, and what is not."""

import numpy as np
import pytest

from elsewise.calibrators import Temperature
from elsewise.errors import InputError
from elsewise.outputs import Evidence, Outputs, as_evidence

NAN = float("nan")


def test_unreadable_rows_never_reach_the_calibrator():
    logits = np.array([[2.0, 0.0], [NAN, NAN], [0.0, 2.0]])
    seen = []

    evidence = Evidence.of(Outputs(logits), lambda z: seen.append(z) or Temperature(2.0)(z))

    assert len(evidence) == 3
    assert [z.tolist() for z in seen] == [[[2.0, 0.0], [0.0, 2.0]]]
    assert evidence.probabilities[[0, 2]] == pytest.approx(Temperature(2.0)(logits[[0, 2]]))
    assert np.isnan(evidence.probabilities[1]).all()


@pytest.mark.parametrize("rows", [0, 2])
def test_a_batch_of_nothing_readable_is_answered(rows):
    def calibrator(z):
        return np.full(z.shape, 0.5)

    evidence = Evidence.of(Outputs(np.full((rows, 2), NAN, np.float32)), calibrator)

    assert evidence.probabilities.shape == (rows, 2)
    assert np.isnan(evidence.probabilities).all()


def test_evidence_passes_through_and_probabilities_are_wrapped():
    evidence = Evidence(np.array([[0.5, 0.5]]))

    assert as_evidence(evidence) is evidence
    assert as_evidence([[0.5, 0.5], [NAN, NAN]]).outputs is None
    with pytest.raises(InputError, match="rows of probabilities must be >= 0 and sum to 1"):
        as_evidence([[2.0, 0.0]])


def test_what_is_not_known_is_said():
    bare, without_features = as_evidence([[0.5, 0.5]]), Evidence(np.ones((1, 2)) / 2, Outputs(np.zeros((1, 2))))

    with pytest.raises(
        InputError, match=r"^this score needs logits, got only probabilities; pass an Evidence with outputs$"
    ):
        _ = bare.logits
    for evidence in (bare, without_features):
        with pytest.raises(InputError, match=r"^this score needs features, and the engine gives none$"):
            _ = evidence.features


def test_a_score_of_disagreement_needs_an_engine_that_gives_it():
    for evidence in (as_evidence([[0.5, 0.5]]), Evidence(np.ones((1, 2)) / 2, Outputs(np.zeros((1, 2))))):
        with pytest.raises(InputError, match=r"^this score needs a mutual information, and the engine gives none; fit"):
            _ = evidence.epistemic


def test_what_is_known_is_given():
    evidence = Evidence(np.ones((1, 2)) / 2, Outputs(np.zeros((1, 2)), features=np.ones((1, 4))))

    assert evidence.logits.tolist() == [[0, 0]]
    assert evidence.features.tolist() == [[1, 1, 1, 1]]
