"""What `explain` prints, in every language."""

import re
from dataclasses import replace

import pytest

import elsewise as ew
from elsewise.cli.explanation import print_confirmation, print_explanation
from elsewise.engines.memory import MemoryEngine
from elsewise.evaluation import explain
from elsewise.evaluation.receipt import confirm
from elsewise.messages import MESSAGES
from elsewise.outputs import ReadSpan
from elsewise.rules.decisions import Reason
from elsewise.rules.explanation import Neighbour, Pull

CLASSIFIER = ew.Classifier(MemoryEngine(("kargo", "iade"), {"a": [4.0, 0.0]}), ew.Identity(), ew.FixedThreshold(0.6))
LABELS = tuple(f"etiket {i}" for i in range(12))


class Noted(dict):
    """Templates that remember which of them were used."""

    def __init__(self, templates):
        super().__init__(templates)
        self.used = set()

    def __getitem__(self, name):
        self.used.add(name)
        return super().__getitem__(name)


@pytest.fixture(params=MESSAGES)
def language(request, monkeypatch):
    """A language, whose templates are noted."""
    monkeypatch.setitem(MESSAGES, request.param, Noted(MESSAGES[request.param]))
    return request.param


def full(language):
    """An explanation with every part."""
    return replace(
        explain(CLASSIFIER, "a", language=language),
        nearest=LABELS[:2],
        possible=LABELS,
        words=(Pull("a", 0, 1, 1234.5, 0.25), Pull("b", 2, 3, -0.5, 0.75)),
        neighbours=(Neighbour("bir metin", "kargo", 0.987),),
        extent=ReadSpan(1256, ("🦤",), truncated=True, characters=12345, characters_read=6789, last_words="son sözler"),
    )


def changed(receipt, name, value):
    return receipt | {name: value}


def test_every_template_is_used_and_every_number_is_written_as_the_language_does(language, capsys):
    made = full(language)
    receipt = made.receipt

    print_explanation(made, None, language)
    print_explanation(replace(made, confidence=float("nan")), None, language)
    printed = capsys.readouterr().out
    changes = [("text_sha256", "x"), ("model", {**receipt["model"], "engine": "x"}), ("decision_version", "x"),
               ("certificate", {"sentence": "x"})]  # fmt: skip
    changes += [("answer", {**receipt["answer"], "reason": reason, "probability": 0.25}) for reason in Reason]
    told = [confirm(receipt, changed(receipt, *change), language) for change in changes]
    near = confirm(receipt, changed(receipt, "answer", {**receipt["answer"], "probability": 0.98201}), language)
    for one in (*told, near, confirm(receipt, receipt, language)):
        print_confirmation(one, language)

    words = MESSAGES[language]
    of_command = {"explain_written", "explain_not_confirmed"}
    assert {name for name in words if name.startswith("explain_")} - words.used == of_command
    mark, comma = words["decimal"], words["thousands"]
    for number in (f"0{mark}9820", f"+1234{mark}50", f"0{mark}987", f"1{comma}256", f"5{comma}556"):
        assert number in printed, number
    assert all(f"0{mark}25" in one.difference for one in told[4:])
    assert not re.search(r"[{}]", printed)


def test_a_certificate_is_said_in_the_language(language, capsys):
    certificate = ew.CertifiedThreshold.fit([[0.9, 0.1]] * 300, [0] * 300, reference=[[0.9, 0.1]] * 50).certificate

    print_explanation(full(language), certificate, language)

    assert certificate.say(language) in " ".join(capsys.readouterr().out.split())
