"""What holds for every language: all messages, with the same numbers in them, and nothing left unfilled."""

import re
from dataclasses import replace
from string import Formatter

import numpy as np
import pytest

from elsewise.errors import InputError
from elsewise.messages import MESSAGES, en, messages
from elsewise.outputs import as_evidence
from elsewise.rules import FixedThreshold
from elsewise.rules.decisions import Reason, decide
from elsewise.scores import MaximumProbability

NAN = float("nan")
P = [[0.9, 0.06, 0.04], [0.45, 0.1, 0.45], [0.5, 0.24, 0.26], [NAN] * 3, [0.55, 0.24, 0.21]]

every_language = pytest.mark.parametrize("language", MESSAGES)


def placeholders(template):
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}


def decisions(threshold=0.6, margin=0.0):
    """All reasons but one by themselves, and the last text unlike the training texts."""
    made = decide(as_evidence(P), MaximumProbability(), threshold, margin)
    last = np.arange(len(P)) == len(P) - 1
    return replace(
        made,
        names=("kargo", "fatura {p}", "iade"),
        reasons=np.where(last & made.abstained, Reason.UNFAMILIAR, made.reasons),
        familiarity=np.full(len(P), 0.0449),
        nearest=np.tile([0, 1], (len(P), 1)),
    )


@every_language
def test_every_message_is_there_with_the_placeholders_of_english(language):
    assert {name: placeholders(text) for name, text in MESSAGES[language].items()} == {
        name: placeholders(text) for name, text in en.MESSAGES.items()
    }


@every_language
@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_said_with_numbers_and_without(language, reason):
    assert {reason, f"customer_{reason}"} <= MESSAGES[language].keys()


@every_language
@pytest.mark.parametrize("threshold", [0.6, np.inf, -np.inf])
def test_every_sentence_is_whole(language, threshold):
    """A label may hold braces; they are the label's."""
    made = decisions(threshold, margin=0.01)

    for i in range(len(made)):
        for said in (made.sentence(i, language), made.customer_sentence(i, language)):
            assert said.endswith(".")
            assert not re.search(r"[{}]", said.replace("fatura {p}", ""))
            assert not re.search(r"\bnan\b|\binf\b", said)


@every_language
def test_a_customer_reads_no_numbers(language):
    made = replace(decisions(), names=("kargo", "fatura", "iade"))

    assert not any(re.search(r"\d", made.customer_sentence(i, language)) for i in range(len(made)))


@every_language
def test_numbers_are_written_as_the_language_writes_them(language):
    said = [decisions().sentence(i, language) for i in range(len(P))]
    mark = MESSAGES[language]["decimal"]

    assert f"0{mark}900" in said[0]
    assert all(set(re.findall(r"\d([.,])\d", one)) <= {mark} for one in said)


def test_turkish_by_hand():
    assert decisions().sentence(4, "tr") == (
        "Other: metin, eğitim metinlerine benzemiyor (kapsam içi metinlerde bu kadar farklı olanların oranı en fazla "
        '%4,49); en yakın etiketler "kargo" ve "fatura {p}"; '
        "güven değeri (0,550) eşik değerinin (0,600) altında kalıyor."
    )
    assert decisions().sentence(0, "tr") == (
        'Etiket: "kargo", olasılığı 0,900; güven değeri (0,900) eşik değerine (0,600) ulaşıyor.'
    )
    assert decisions().customer_sentence(1, "tr") == (
        'Bu metin otomatik olarak sınıflandırılamadı: hem "kargo" hem de "iade" başlığına uygun görünüyor. '
        "Metni bir görevlimiz inceleyecektir."
    )


def test_where_nothing_is_answered_a_customer_does_not_hear_that_the_text_is_to_blame():
    made = FixedThreshold(np.inf)([[0.9, 0.1], [NAN, NAN]])

    assert made.customer_sentence(0) == "This text was not sorted automatically. A person will look at it."
    assert "nothing in it that can be read" in made.customer_sentence(1)


def test_an_unknown_language_names_those_that_there_are():
    with pytest.raises(InputError, match=r"^unknown language 'de'; there are en, tr$"):
        messages("de")
