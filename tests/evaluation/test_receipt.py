"""Receipts: the same model, the same answer, or the one thing that differs."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest

import elsewise as ew
from elsewise.calibrators import TemperatureBias
from elsewise.engines.memory import MemoryEngine
from elsewise.errors import ArtifactError
from elsewise.evaluation import explain
from elsewise.evaluation.receipt import confirm, decision_version, read_receipt, receipt_of
from elsewise.storage.json_files import write_json

ENGINE = MemoryEngine(("yes", "no"), {"a secret": [4.0, 0.0], "b": [0.1, 0.0]})
CLASSIFIER = ew.Classifier(ENGINE, ew.Identity(), ew.FixedThreshold(0.6))


def changed(receipt, *path, to):
    """A copy of a receipt with one value changed."""
    made = copy.deepcopy(receipt)
    inner = made
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = to
    return made


def test_a_receipt_confirms_itself_and_holds_no_text():
    receipt = explain(CLASSIFIER, "a secret").receipt

    assert receipt == receipt_of(CLASSIFIER, "a secret")
    assert "secret" not in json.dumps(receipt)
    assert confirm(receipt, receipt).answer == "identical"
    assert confirm(receipt, receipt).confirmed


def test_the_text_is_known_by_its_bytes():
    """SHA-256 of "abc", from FIPS 180-2, appendix B.1."""
    assert receipt_of(CLASSIFIER, "abc")["text_sha256"].startswith("ba7816bf8f01cfea414140de5dae2223")
    assert receipt_of(CLASSIFIER, "\udcff")["text_sha256"] != receipt_of(CLASSIFIER, "\ufffd")["text_sha256"]


def test_a_saved_model_has_the_receipts_of_the_one_that_was_saved(tmp_path):
    """A threshold of 1 is read again as 1.0."""
    classifier = replace(CLASSIFIER, rule=ew.FixedThreshold(1))
    classifier.save(tmp_path / "model")

    assert receipt_of(ew.load(tmp_path / "model"), "b") == receipt_of(classifier, "b")


def test_a_real_folder_has_the_receipts_of_the_one_that_was_saved(tmp_path):
    """With a certificate, a familiarity test and prediction sets, which hold arrays."""
    pytest.importorskip("torch")
    from support.small_folders import classifier_of

    classifier = classifier_of()
    classifier.save(tmp_path / "model")
    receipt = receipt_of(classifier, "where is my order")
    write_json(tmp_path / "receipt.json", receipt)

    assert receipt["certificate"]["looks"] == 1
    assert confirm(
        read_receipt(tmp_path / "receipt.json"), receipt_of(ew.load(tmp_path / "model"), "where is my order")
    ).confirmed
    fewer = replace(classifier, familiarity=None)
    assert decision_version(fewer) != decision_version(classifier)


@pytest.mark.parametrize(
    "other",
    [
        replace(CLASSIFIER, rule=ew.FixedThreshold(0.7)),
        replace(CLASSIFIER, calibrator=ew.Temperature(2.0)),
        replace(CLASSIFIER, other="A person"),
    ],
    ids=["threshold", "calibrator", "other"],
)
def test_what_decides_differently_is_another_version_of_the_same_model(other):
    found = confirm(receipt_of(CLASSIFIER, "b"), receipt_of(other, "b"))

    assert found.model
    assert not found.decision_version
    assert found.difference.startswith(
        "the model is that of the receipt, and its calibrator, rule, threshold or certificate is not: decision version "
    )


def test_another_model_is_named_with_both_fingerprints():
    other = replace(CLASSIFIER, engine=MemoryEngine(("yes", "no"), {"b": [0.2, 0.0]}))

    found = confirm(receipt_of(CLASSIFIER, "b"), receipt_of(other, "b"))

    assert (found.text, found.model, found.decision_version) == (True, False, True)
    assert found.difference == (
        f"the model is not that of the receipt: memory {ENGINE.fingerprint} there, "
        f"memory {other.engine.fingerprint} here"
    )


def test_another_text_is_the_first_thing_that_is_said():
    found = confirm(receipt_of(CLASSIFIER, "b"), receipt_of(CLASSIFIER, "b "))

    assert found.difference.startswith("the text is not that of the receipt, SHA-256 ")
    assert (found.confirmed, found.text, found.model) == (False, False, True)


def test_a_probability_may_differ_as_between_processors_and_no_more():
    receipt = receipt_of(CLASSIFIER, "a secret")
    p = receipt["answer"]["probability"]

    near = confirm(changed(receipt, "answer", "probability", to=p - 0.0009), receipt)
    far = confirm(changed(receipt, "answer", "probability", to=p - 0.0011), receipt)

    assert (near.answer, near.confirmed) == ("close", True)
    assert (far.answer, far.confirmed) == ("different", False)
    assert far.difference.startswith('the answer is not that of the receipt: "yes" (answered, probability 0.98')


@pytest.mark.parametrize(
    ("name", "to"), [("label", "no"), ("abstained", True), ("reason", "unsure"), ("best_label", "")]
)
def test_an_answer_that_was_changed_in_the_receipt_is_not_confirmed(name, to):
    receipt = receipt_of(CLASSIFIER, "a secret")

    assert confirm(changed(receipt, "answer", name, to=to), receipt).answer == "different"


def test_a_certificate_that_was_changed_in_the_receipt_is_not_confirmed():
    receipt = receipt_of(CLASSIFIER, "a secret")
    promising = changed(receipt, "certificate", to={"sentence": "All is well."})

    assert confirm(promising, receipt).difference == (
        'the certificate is not that of the receipt: {"sentence": "All is well."} there, null here'
    )


def test_an_unreadable_text_has_a_receipt_too(tmp_path):
    receipt = receipt_of(CLASSIFIER, "never seen")
    write_json(tmp_path / "receipt.json", receipt)

    assert receipt["answer"]["probability"] is None
    assert confirm(read_receipt(tmp_path / "receipt.json"), receipt).answer == "identical"


def test_what_explain_printed_is_a_receipt_too(tmp_path):
    made = explain(CLASSIFIER, "a secret")
    write_json(tmp_path / "explained.json", made.as_dict())

    assert read_receipt(tmp_path / "explained.json") == made.receipt


SOUND = receipt_of(CLASSIFIER, "b")
WITHOUT = {name: {key: value for key, value in SOUND.items() if key != name} for name in SOUND}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"label": "yes"}, "holds no receipt; write one: elsewise explain MODEL TEXT --receipt-out FILE"),
        (
            {**SOUND, "receipt": 2},
            "receipt format 2 is newer than this version reads (1); run: pip install --upgrade elsewise",
        ),
        (WITHOUT["model"], "holds a damaged receipt: model is missing or has the wrong type; use an unchanged copy"),
        (WITHOUT["certificate"], "damaged receipt: certificate "),
        (changed(SOUND, "model", "engine", to=["memory"]), "damaged receipt: model.engine "),
        (changed(SOUND, "answer", to={}), "damaged receipt: answer.label "),
        (changed(SOUND, "text_sha256", to=5), "damaged receipt: text_sha256 "),
        ([SOUND], "holds no JSON object"),
    ],
)
def test_a_damaged_or_foreign_receipt_is_named(tmp_path, value, words):
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps(value), encoding="utf-8")

    with pytest.raises(ArtifactError) as caught:
        read_receipt(file)

    assert words in str(caught.value)
    assert str(caught.value).startswith(str(file))


def test_arrays_of_a_part_are_of_the_version():
    one, again, other = (
        replace(CLASSIFIER, calibrator=TemperatureBias(1.0, np.array(bias)))
        for bias in ([0.0, 0.1], [0.0, 0.1], [0, 0.2])
    )

    assert decision_version(one) == decision_version(again) != decision_version(other)
