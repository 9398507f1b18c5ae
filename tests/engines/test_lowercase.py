"""Turkish lowercasing as steps of a tokenizer, before the encoder's own."""

import unicodedata

import pytest
import tokenizers
from tokenizers import normalizers

from elsewise.data.language import lowercases_as_english
from elsewise.data.sample import support_texts
from elsewise.engines.encoders import DEFAULT_ENCODER, find_tokenizer
from elsewise.engines.lowercase import lowercase
from elsewise.errors import InputError

DOT = "\N{COMBINING DOT ABOVE}"
SAME = [
    ("ISPARTA", "ısparta"),
    ("İSTANBUL", "istanbul"),
    ("ŞANLIURFA", "şanlıurfa"),
    ("Iğdır İLİ ÇÖZÜM", "ığdır ili çözüm"),
    (f"I{DOT}STANBUL", "istanbul"),  # İ in two characters
    (f"i{DOT}stanbul", "istanbul"),  # what "İSTANBUL".lower() is in Python
    (unicodedata.normalize("NFD", "ŞANLIURFA ÖĞÜÇ"), "şanlıurfa öğüç"),
]
OWN = {
    "none": None,
    "lowercases": normalizers.BertNormalizer(lowercase=True, strip_accents=False),
    "strips accents": normalizers.BertNormalizer(lowercase=True),
    "decomposes": normalizers.NFD(),
}


@pytest.fixture
def backend():
    """The tokenizer of the default encoder."""
    file = find_tokenizer(DEFAULT_ENCODER)
    if file is None:
        pytest.skip("the extra demo is not installed")
    return tokenizers.Tokenizer.from_file(str(file))


def lowering(own):
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0}, "?"))
    if own is not None:
        backend.normalizer = own
    lowercase(backend, "tr")
    return backend.normalizer.normalize_str


@pytest.mark.parametrize("own", OWN)
@pytest.mark.parametrize(("capital", "small"), SAME)
def test_a_word_in_capitals_is_the_word_in_small_letters(capital, small, own):
    lowered = lowering(OWN[own])

    assert lowered(capital) == lowered(small)


@pytest.mark.parametrize("own", ["none", "lowercases"])
@pytest.mark.parametrize(("capital", "small"), SAME)
def test_marks_stay_unless_the_encoder_drops_them(capital, small, own):
    assert lowering(OWN[own])(capital) == small


def test_an_encoder_that_strips_accents_keeps_the_two_letters_apart():
    lowered = lowering(OWN["strips accents"])

    assert lowered("ŞANLIURFA İLİ") == "sanlıurfa ili"
    assert lowered("IĞDIR") == "ıgdır"


def test_lowercasing_twice_is_lowercasing_once():
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0}, "?"))
    for _ in range(2):
        lowercase(backend, "tr")

    assert [backend.normalizer.normalize_str(capital) for capital, _ in SAME] == [small for _, small in SAME]


def test_the_steps_are_in_the_description_of_the_tokenizer_and_places_stay(backend):
    lowercase(backend, "tr")

    again = tokenizers.Tokenizer.from_str(backend.to_str())

    text = f"I{DOT}ptal ISPARTA"
    assert again.encode("ISPARTA").ids == again.encode("ısparta").ids
    offsets = again.encode(text, add_special_tokens=False).offsets
    assert (offsets[0][0], max(end for _, end in offsets)) == (0, len(text))
    assert len(f"I{DOT}ptal") in [end for _, end in offsets]


def test_what_reads_turkish_as_english_is_found_and_does_not_any_more(backend):
    turkish = [row.text for row in support_texts() if row.kind == "turkish"]

    assert lowercases_as_english(backend, turkish)
    assert not lowercases_as_english(backend, [row.text for row in support_texts() if row.kind != "turkish"])
    lowercase(backend, "tr")
    assert not lowercases_as_english(backend, turkish)


def test_a_language_that_is_not_known_is_refused():
    with pytest.raises(InputError, match=r"^lowercase must be 'tr', got 'en'$"):
        lowercase(tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0}, "?")), "en")
