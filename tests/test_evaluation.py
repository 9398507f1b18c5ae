"""Every number of an evaluation, against its own definition."""

import json

import numpy as np
import pytest

import elsewise as ew
from elsewise.engines.logits import LogitsEngine
from elsewise.errors import InputError


@pytest.fixture
def judged():
    """Ten in-scope rows of which one is wrong and one is left as Other, and two out-of-scope rows."""
    classifier = ew.Classifier(
        LogitsEngine(("a", "b")), ew.Identity(), ew.FixedThreshold(0.7), out_of_scope_label="none"
    )
    z = np.array([[3.0, 0.0]] * 8 + [[0.0, 3.0], [0.5, 0.0], [0.1, 0.0], [0.0, 4.0]])
    labels = ["a"] * 8 + ["a", "a", "none", "none"]
    return ew.evaluate(classifier, z, labels)


def test_rows_are_counted(judged):
    assert judged.rows == {"in_scope": 10, "out_of_scope": 2, "unreadable": 0, "seen": 0, "rejected": 0}


def test_the_bare_classifier_is_judged_on_in_scope_rows(judged):
    """9 of 10 right; log loss by hand."""
    surprise = [np.log1p(np.exp(-3))] * 8 + [np.log1p(np.exp(3)), np.log1p(np.exp(-0.5))]

    assert judged.classifier["accuracy"].value == pytest.approx(0.9)
    assert judged.classifier["log_loss"].value == pytest.approx(np.mean(surprise))


def test_the_system_is_judged_on_all_rows_and_on_in_scope_rows(judged):
    """Answered: 9 in-scope rows, 8 right, and one out-of-scope row, which is an error."""
    assert judged.system["coverage"].value == pytest.approx(10 / 12)
    assert judged.system["accuracy_when_answered"].value == pytest.approx(8 / 10)
    assert judged.system["other_share"].value == pytest.approx(2 / 12)
    assert judged.system["reasons"] == {"ambiguous": 2, "answered": 10}
    assert judged.system["in_scope"]["coverage"].value == pytest.approx(0.9)
    assert judged.system["in_scope"]["accuracy_when_answered"].value == pytest.approx(8 / 9)


def test_out_of_scope_rows_are_judged(judged):
    """One of two is left as Other; its confidence is below all, the other's above all."""
    assert judged.out_of_scope["recall"].value == pytest.approx(0.5)
    assert judged.out_of_scope["auroc"].value == pytest.approx(0.5)


def test_an_evaluation_is_json_with_value_low_and_high(judged):
    written = json.loads(json.dumps(ew.folder.finite(judged.as_dict())))

    assert set(written) == {"rows", "classifier", "system", "out_of_scope", "certificate", "engine"}
    assert set(written["classifier"]["accuracy"]) == {"value", "low", "high"}
    assert set(written["classifier"]["ece"]) == {"value", "low", "high", "null"}
    assert set(written["engine"]) == {"name", "precision", "fingerprint"}


def test_an_unknown_label_is_named_with_the_remedy():
    classifier = ew.Classifier(LogitsEngine(("a", "b")), ew.Identity(), ew.FixedThreshold(0.7))

    with pytest.raises(InputError, match=r"the model has no label 'c', which row 1 has .*out_of_scope_label"):
        ew.evaluate(classifier, [[1.0, 0.0], [1.0, 0.0]], ["a", "c"])


def test_no_rows_and_other_lengths_are_refused():
    classifier = ew.Classifier(LogitsEngine(("a", "b")), ew.Identity(), ew.FixedThreshold(0.7))

    with pytest.raises(InputError, match=r"at least one labelled text, got 0"):
        ew.evaluate(classifier, [], [])
    with pytest.raises(InputError, match=r"equal lengths, got 1 and 2"):
        ew.evaluate(classifier, [[1.0, 0.0]], ["a", "b"])
    with pytest.raises(InputError, match=r"either labels or codes"):
        ew.evaluate(classifier, [[1.0, 0.0]])
    with pytest.raises(InputError, match=r"codes must be whole numbers"):
        ew.evaluate(classifier, [[1.0, 0.0]], codes=[0.7])


def test_out_of_scope_rows_can_be_named_when_judging():
    classifier = ew.Classifier(LogitsEngine(("a", "b")), ew.Identity(), ew.FixedThreshold(0.7))

    judged = ew.evaluate(classifier, [[3.0, 0.0], [0.1, 0.0]], ["a", "oos"], out_of_scope_label="oos")

    assert judged.rows["out_of_scope"] == 1
    assert judged.out_of_scope["recall"].value == 1


def test_unreadable_rows_count_for_the_system_and_not_for_the_bare_classifier():
    classifier = ew.Classifier(LogitsEngine(("a", "b")), ew.Identity(), ew.FixedThreshold(0.7))

    judged = ew.evaluate(classifier, np.array([[3.0, 0.0], [np.nan, 0.0]]), ["a", "a"])

    assert judged.rows["unreadable"] == 1
    assert judged.classifier["accuracy"].value == 1
    assert judged.system["coverage"].value == 0.5
    assert judged.system["reasons"] == {"answered": 1, "unreadable": 1}


def test_texts_that_made_the_model_are_counted(fitted, sample):
    judged = ew.evaluate(fitted, [row.text for row in sample[:50]], [row.label for row in sample[:50]])

    assert 20 <= judged.rows["seen"] <= 50


def test_a_promise_is_not_contradicted_by_the_test_rows(fitted):
    """Fixed seeds: the upper end of the interval reaches what was promised."""
    assert fitted.certificate.certified
    assert fitted.evaluation["system"]["accuracy_when_answered"]["high"] >= fitted.certificate.target_accuracy
