"""The built-in strange texts: as many as is said, all different, and none about the shop of the sample."""

import json
import unicodedata
from importlib.resources import files

from elsewise.data.sample import support_texts
from elsewise.data.strangers import strange_texts
from elsewise.engines.tokenizer import is_visible

TEXTS = strange_texts()
KINDS = json.loads(files("elsewise.data").joinpath("strangers.json").read_text(encoding="utf-8"))


def test_there_are_two_hundred_different_texts_and_none_is_blank():
    assert len(set(TEXTS)) == len(TEXTS) == 200
    assert all(is_visible(text) and text == text.strip() for text in TEXTS)


def test_every_kind_that_the_sentence_names_is_there():
    assert {"weather", "sports", "greetings and small talk", "other languages", "random letters"} < KINDS.keys()
    assert min(map(len, KINDS.values())) >= 2


def test_many_scripts_are_among_them_and_all_lengths():
    scripts = {unicodedata.name(letter).split()[0] for letter in "".join(TEXTS) if letter.isalpha()}

    assert {"LATIN", "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "CJK", "HIRAGANA", "HANGUL"} < scripts
    assert min(map(len, TEXTS)) <= 3
    assert max(map(len, TEXTS)) > 400


def test_none_is_a_text_of_the_sample():
    assert {row.text for row in support_texts()}.isdisjoint(TEXTS)
