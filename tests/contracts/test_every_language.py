"""What holds for every language: all messages, with the same numbers in them, and nothing left unfilled."""

import re
from dataclasses import replace
from itertools import product
from string import Formatter
from typing import get_args

import numpy as np
import pytest

from elsewise.arrays import ABSTAIN
from elsewise.errors import InputError
from elsewise.messages import MESSAGES, PLAYGROUND_MESSAGES, REPORT_MESSAGES, messages
from elsewise.messages.certificates import Population, Scope
from elsewise.outputs import Evidence, as_evidence
from elsewise.rules import (
    AccuracyBand,
    AmbiguityMargin,
    ByLabel,
    CertifiedThreshold,
    FixedThreshold,
    Floor,
    Unfamiliar,
    about,
)
from elsewise.rules.decisions import Reason, decide
from elsewise.scores import MaximumProbability
from support.small_rules import saved_and_read

pytestmark = pytest.mark.slow

NAN = float("nan")
P = [[0.9, 0.06, 0.04], [0.45, 0.1, 0.45], [0.5, 0.24, 0.26], [NAN] * 3, [0.55, 0.24, 0.21]]

every_language = pytest.mark.parametrize("language", MESSAGES)


def placeholders(template):
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}


def decisions(threshold=0.6, margin=0.0):
    """All reasons but one by themselves, and the last text unlike the known texts."""
    made = decide(as_evidence(P), MaximumProbability(), threshold, (AmbiguityMargin(margin),))
    last = np.arange(len(P)) == len(P) - 1
    return replace(
        made,
        names=("kargo", "fatura {p}", "iade"),
        reasons=np.where(last & made.abstained, Reason.UNFAMILIAR, made.reasons),
        familiarity=np.full(len(P), 0.0449),
        nearest=np.tile([0, 1], (len(P), 1)),
    )


@pytest.mark.parametrize(("language", "words"), [("en", "training text"), ("tr", "eğitim metin")])
def test_no_sentence_speaks_of_training_texts(language, words):
    """`calibrate` and a model of the user's have none at hand: other texts are the known ones then."""
    said = [text for part in (MESSAGES, REPORT_MESSAGES, PLAYGROUND_MESSAGES) for text in part[language].values()]

    assert [text for text in said if words in text.lower()] == []


@every_language
@pytest.mark.parametrize(
    "catalogue", [MESSAGES, REPORT_MESSAGES, PLAYGROUND_MESSAGES], ids=["", "reports", "playground"]
)
def test_every_message_is_there_with_the_placeholders_of_english(language, catalogue):
    assert {name: placeholders(text) for name, text in catalogue[language].items()} == {
        name: placeholders(text) for name, text in catalogue["en"].items()
    }
    assert MESSAGES.keys() == catalogue.keys()


@every_language
@pytest.mark.parametrize("catalogue", [REPORT_MESSAGES, PLAYGROUND_MESSAGES], ids=["reports", "playground"])
def test_no_message_of_a_page_has_blanks_too_many(language, catalogue):
    assert [name for name, text in catalogue[language].items() if text != text.strip() or "  " in text] == []


@every_language
@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_said_with_numbers_and_without(language, reason):
    assert {reason, f"customer_{reason}", f"explain_reason_{reason}"} <= MESSAGES[language].keys()


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


def rows_alike():
    """Promises and refusals of one threshold, strict or not, with and without gates."""
    p = np.tile([0.9, 0.1], (200, 1))
    for gates, wrong, strict in product(((), (Floor(0.5),)), (0, 20, 150), (True, False)):
        how = {"reference": 0.999 * p, "gates": gates, "strict": strict}
        yield CertifiedThreshold.fit(p, np.repeat([0, 1], [200 - wrong, wrong]), **how).certificate


def every_certificate():
    """Every kind of promise and of refusal: labels 4 and 5 are rare, and 2 and 3 always wrong in the second round."""
    rng = np.random.default_rng(5)
    for hard in ([], [2, 3]):
        p = rng.dirichlet([3, 2, 1, 1, 0.15, 0.15], size=2000)
        best = p.argmax(axis=1)
        codes = np.where(np.isin(best, hard) | (rng.random(2000) > p.max(axis=1) ** 0.1), (best + 1) % 6, best)
        codes[::100] = ABSTAIN
        reference = {"reference": p[1200:], "reference_codes": codes[1200:]}
        for target, n in product((0.6, 0.9, 0.9999), (30, 200, 1200)):
            promise = {**reference, "target_accuracy": target, "looks": 2 if n == 1200 else 1}
            for share, rows in product((None, 0.0, 0.05), (np.arange(n), np.flatnonzero(codes[:n] >= 0))):
                how = {**promise, "out_of_scope_share": share, "strict": n == 1200}
                yield CertifiedThreshold.fit(p[rows], codes[rows], **how).certificate
            for joint, rare, groups in product((False, True), ("pool", "fall_back"), (None, "aabccd", "abcdee")):
                how = {**promise, "joint": joint, "rare": rare, "groups": groups and list(groups)}
                rule = ByLabel.fit(p[:n], codes[:n], **how)
                yield from (rule.certificate, *rule.certificates)
    band = AccuracyBand.fit(p[:300], codes[:300], reference=p[1200:])
    yield from (band.rule(target_accuracy=target).certificate for target in (0.1, 0.99))
    yield AccuracyBand.fit(p[:20], np.full(20, ABSTAIN), reference=p[1200:]).rule(-np.inf).certificate
    yield CertifiedThreshold.fit(p[:600], np.full(600, ABSTAIN), reference=p[1200:]).certificate
    strict = np.repeat([[0.9, 0.1], [0.6, 0.4]], [90, 900], axis=0)  # the surest rows are the worst
    reference = {"reference": strict.copy(), "target_accuracy": 0.8}
    yield CertifiedThreshold.fit(strict, np.repeat([1, 0], [90, 900]), **reference).certificate
    plain = CertifiedThreshold.fit(p[:1200], codes[:1200], reference=p[1200:], target_accuracy=0.6)
    for about_whom in POPULATIONS:
        yield about(plain, about_whom).certificate
        yield from about(rule, about_whom).certificates
    gates = (Unfamiliar(0.02), Floor(0.5), AmbiguityMargin(0.1))
    reference = Evidence(p[1200:], familiarity=np.ones(800))
    for rows in (np.arange(1200), np.flatnonzero(codes[:1200] >= 0)):
        judged = Evidence(p[rows], familiarity=rng.random(len(rows)))
        for target, kind in product((0.6, 0.9999), (CertifiedThreshold, ByLabel)):
            yield kind.fit(judged, codes[rows], reference=reference, target_accuracy=target, gates=gates).certificate


POPULATIONS = (
    Population(),
    Population(1234, 56, by_group=True),
    Population(1234, counts_repeats=True, newest=True),
)


@pytest.fixture(scope="module")
def certificates():
    return [*every_certificate(), *rows_alike()]


class Noted(dict):
    """Templates that remember which of them were used."""

    def __init__(self, templates):
        super().__init__(templates)
        self.used = set()

    def __getitem__(self, name):
        self.used.add(name)
        return super().__getitem__(name)


@every_language
def test_every_certificate_is_a_whole_sentence_in_the_numbers_of_the_language(language, certificates):
    comma, point = MESSAGES[language]["thousands"], MESSAGES[language]["decimal"]

    for certificate in certificates:
        said, english = certificate.say(language), certificate.sentence
        said, english = (
            f"{certificate.headline(language)} {said}".strip(),
            f"{certificate.headline()} {english}".strip(),
        )
        assert said.endswith((".", "!"))
        assert not re.search(r"[{}]|\bnan\b|  ", said)
        assert sorted(re.findall(r"\d[\d.,]*\d|\d", said)) == sorted(
            number.translate({ord(","): comma, ord("."): point}) for number in re.findall(r"\d[\d.,]*\d|\d", english)
        )


def test_every_template_of_a_certificate_is_used_by_one(monkeypatch, certificates):
    words = Noted(MESSAGES["en"])
    monkeypatch.setitem(MESSAGES, "en", words)
    for certificate in certificates:
        certificate.say()
        certificate.headline()

    of_decisions = {*Reason, "customer", "how", "barred", "explain", "verdict", "shift", "watch"}
    of_decisions = {name for name in words if name.split("_")[0] in of_decisions}
    of_decisions |= {"and", "possible", "reaches", "below", "nothing", "everything"}
    assert words.keys() - words.used - of_decisions == set()


def test_a_certificate_by_hand_in_turkish():
    p = np.tile([0.9, 0.1], (1059, 1))
    certificate = CertifiedThreshold.fit(p, np.zeros(1059), reference=p.copy()).certificate

    assert certificate.say("tr") == (
        "Etiket verilen metinlerde doğruluk oranı en az %95, güven düzeyi %95: bu sınama için ayrılan 1.059 etiketli "
        "metinden 1.059 tanesine etiket verildi, bunlardan 0 tanesi yanlıştı (kesin binom sınaması, sabit sıra). "
        "Güven düzeyi bu metinlerin rastgele seçilmesiyle ilgilidir: gereğinden fazlasını vaat eden seçimlerin oranı "
        "en fazla %5. Bu vaat, aynı kaynaktan gelen ve kapsam dışı metin oranı %0 olan metinler için geçerlidir; "
        "kapsam dışı metinlerin başka bir oranda olması bu vaadin dışındadır."
    )
    assert certificate.say() == certificate.sentence == str(certificate)


def test_a_certificate_of_an_older_folder_keeps_its_sentence(certificates):
    certificate = replace(certificates[0], words="At least 90 % of it is right.")

    assert certificate.say("tr") == certificate.sentence == "At least 90 % of it is right."
    with pytest.raises(InputError, match=r"^unknown language 'de'; there are en, tr$"):
        certificate.say("de")


def test_what_a_certificate_says_survives_saving(certificates):
    again = [saved_and_read(certificate) for certificate in certificates]

    assert again == certificates
    assert {type(certificate.scope) for certificate in again} == {*get_args(Scope), type(None)}


def test_turkish_by_hand():
    assert decisions().sentence(4, "tr") == (
        "Other: metin, bilinen metinlere benzemiyor (kapsam içi metinlerde bu kadar farklı olanların oranı en fazla "
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
