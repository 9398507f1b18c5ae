"""What holds for every score in the table."""

import json
from pathlib import Path

import numpy as np
import pytest

from elsewise.arrays import softmax
from elsewise.classifier.packing import pack, unpack
from elsewise.errors import InputError
from elsewise.outputs import Evidence, Outputs, entropy
from elsewise.rules import FixedThreshold
from elsewise.scores import SCORES
from elsewise.storage.json_files import finite

every_score = pytest.mark.parametrize("kind", SCORES.values(), ids=SCORES)


def evidence_of(n=300, k=5, seed=0, dtype=np.float64):
    """Texts around k centres, some near and some hardly; logits are products of features and centres."""
    rng = np.random.default_rng(seed)
    codes, near = rng.integers(k, size=n), rng.uniform(0, 3, size=(n, 1))
    features = near * np.eye(k, 8)[codes] + rng.normal(size=(n, 8)) * 0.5
    z = features @ np.eye(8, k) * 3
    z, features = z.astype(dtype), features.astype(dtype)
    codes[::9] = -1
    return Evidence(softmax(z), Outputs(z, features=features, epistemic=disagreement(z))), codes


def disagreement(z):
    """Of models that disagree where they are unsure."""
    return entropy(z) / 10


def taken(evidence, rows, columns=slice(None)):
    z, features, epistemic = evidence.logits[rows][:, columns], evidence.features[rows], evidence.epistemic[rows]
    outputs = Outputs(z, features, epistemic=epistemic)
    return Evidence(evidence.probabilities[rows][:, columns], outputs)


@every_score
def test_there_is_one_finite_number_for_each_text(kind):
    evidence, codes = evidence_of()

    confidence = kind.fit(evidence, codes)(evidence)

    assert confidence.shape == (300,)
    assert confidence.dtype == np.float64
    assert np.isfinite(confidence).all()


@every_score
def test_a_certain_text_has_a_finite_confidence(kind):
    """A confidence of infinity would pass the threshold of infinity that answers nothing."""
    evidence, codes = evidence_of()
    z = np.array([[900.0, 0, 0, 0, 0], [0.0, 0, 0, 0, 0]])
    features = np.array([[1.0, 0, 0, 0, 0, 0, 0, 0], [-1.0, -1, -1, -1, -1, 0, 0, 0]])

    outputs = Outputs(z, features=features, epistemic=np.array([0.0, 0.5]))
    confidence = kind.fit(evidence, codes)(Evidence(softmax(z), outputs))

    assert np.isfinite(confidence).all()
    assert confidence[0] > confidence[1]


@every_score
def test_surer_texts_are_right_more_often(kind):
    """Larger is surer: codes are drawn from the probabilities, so the surer half has fewer errors."""
    evidence, _ = evidence_of(n=2000)
    codes = (evidence.logits + np.random.default_rng(1).gumbel(size=evidence.logits.shape)).argmax(axis=1)

    confidence = kind.fit(evidence, codes)(evidence)

    right = evidence.probabilities.argmax(axis=1) == codes
    sure = confidence >= np.median(confidence)
    assert right[sure].mean() > right[~sure].mean() + 0.05


@every_score
def test_renaming_the_labels_changes_nothing(kind):
    evidence, codes = evidence_of()
    order = np.random.default_rng(2).permutation(5)
    renamed = taken(evidence, slice(None), order)

    confidence = kind.fit(renamed, np.where(codes < 0, -1, np.argsort(order)[codes]))(renamed)

    assert confidence == pytest.approx(kind.fit(evidence, codes)(evidence), abs=1e-6)


@every_score
def test_the_order_of_the_rows_changes_nothing(kind):
    evidence, codes = evidence_of()
    order = np.random.default_rng(3).permutation(300)
    shuffled = taken(evidence, order)

    confidence = kind.fit(shuffled, codes[order])(shuffled)

    assert confidence == pytest.approx(kind.fit(evidence, codes)(evidence)[order], abs=1e-6)


@every_score
def test_a_text_is_scored_by_itself(kind):
    evidence, codes = evidence_of()
    fitted = kind.fit(evidence, codes)

    alone = np.concatenate([fitted(taken(evidence, slice(i, i + 1))) for i in range(20)])

    assert np.array_equal(alone, fitted(evidence)[:20])


@every_score
def test_float32_and_float64_agree(kind):
    (double, codes), (single, _) = evidence_of(), evidence_of(dtype=np.float32)

    assert kind.fit(single, codes)(single) == pytest.approx(kind.fit(double, codes)(double), abs=2e-5)


@every_score
def test_an_unreadable_text_gets_nan_and_leaves_its_neighbours_alone(kind):
    evidence, codes = evidence_of(n=20)
    z = evidence.logits.copy()
    z[7] = np.nan
    features = np.where(np.isnan(z[:, :1]), np.nan, evidence.features)
    gappy = Evidence.of(Outputs(z, features, epistemic=disagreement(z)), softmax)
    fitted = kind.fit(evidence, codes)

    confidence = fitted(gappy)

    assert np.flatnonzero(np.isnan(confidence)).tolist() == [7]
    assert np.array_equal(np.delete(confidence, 7), np.delete(fitted(evidence), 7))


@every_score
@pytest.mark.parametrize("n", [0, 1])
def test_hardly_any_rows_are_answered_or_refused(kind, n):
    evidence, codes = evidence_of(n=1)
    few = taken(evidence, slice(n))
    try:
        confidence = kind.fit(few, codes[:n])(few)
    except InputError:
        return

    assert confidence.shape == (n,)
    assert np.isfinite(confidence).all()


@every_score
def test_what_was_saved_answers_with_equal_bytes(kind):
    evidence, codes = evidence_of()
    fitted, arrays = kind.fit(evidence, codes), {}

    packed = json.loads(json.dumps(finite(pack(fitted, arrays, "score")), allow_nan=False))
    again = unpack(packed, arrays, Path("elsewise.json"))

    assert type(again) is kind
    assert again(evidence).tobytes() == fitted(evidence).tobytes()


@every_score
def test_a_rule_answers_by_it(kind):
    evidence, codes = evidence_of()
    score = kind.fit(evidence, codes)
    confidence = score(evidence)

    decisions = FixedThreshold(float(np.median(confidence)), score)(evidence)

    assert np.array_equal(decisions.abstained, confidence < np.median(confidence))
    assert np.array_equal(decisions.confidence, confidence)
