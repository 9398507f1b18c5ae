"""Tokens: the same for a text alone and in company, cut at a length, and bounded in what is read."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elsewise.engines import tokenizer as tokens_module
from elsewise.engines.tokenizer import CHARACTERS_A_TOKEN, CHUNK, TextTokenizer, Tokens
from elsewise.errors import ArtifactError
from support.small_models import WORDS, texts, tokenizer

PAD, UNK, CLS, SEP, MASK = SPECIAL_IDS = range(5)
WHERE = 5  # the first of WORDS
LONGEST = 16


@pytest.fixture(scope="module")
def description():
    return tokenizer().backend_tokenizer.to_str()


@pytest.fixture(scope="module")
def tokenize(description):
    return TextTokenizer.of(description, max_length=LONGEST, pad=PAD, special=SPECIAL_IDS)


class Recorder:
    """A backend that remembers what it was given to read."""

    def __init__(self, backend):
        self.backend, self.read = backend, []

    def encode_batch_fast(self, given):
        self.read.append(list(given))
        return self.backend.encode_batch_fast(given)


def rows(tokens):
    return [ids.tolist() for ids in tokens]


def same(one, other):
    return all(
        getattr(one, name).dtype == getattr(other, name).dtype
        and np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("ids", "lengths", "truncated")
    )


# Tokens


@pytest.mark.parametrize("ids", [[], [[]], [[], []], [[1]], [[1, 2], [], [3]], [[], [1, 2, 3]], [[1], [2], []]])
def test_lists_go_in_and_come_out(ids):
    tokens = Tokens.of(ids)

    assert rows(tokens) == ids
    assert len(tokens) == len(ids)
    assert tokens.lengths.tolist() == [len(text) for text in ids]
    assert tokens.truncated.tolist() == [False] * len(ids)
    assert (tokens.ids.dtype, tokens.lengths.dtype, tokens.truncated.dtype) == (np.int32, np.int32, np.bool_)


def test_what_was_truncated_is_kept():
    assert Tokens.of([[1], [2], []], truncated=[True, False, True]).truncated.tolist() == [True, False, True]


@pytest.mark.parametrize("kind", [list, tuple, lambda rows: np.array(rows, dtype=np.int64)])
@pytest.mark.parametrize("wanted", [[], [0], [2, 0], [1, 1, 3], [3, 2, 1, 0], [-1]])
def test_rows_are_taken_in_the_order_asked(wanted, kind):
    ids, truncated = [[1, 2], [], [3], [4, 5, 6]], [False, False, True, True]

    taken = Tokens.of(ids, truncated).take(kind(wanted))

    assert same(taken, Tokens.of([ids[row] for row in wanted], [truncated[row] for row in wanted]))


def test_nothing_can_be_taken_of_nothing():
    assert same(Tokens.of([]).take([]), Tokens.of([]))
    with pytest.raises(IndexError):
        Tokens.of([]).take([0])


def test_texts_that_hold_a_token_that_is_not_special():
    tokens = Tokens.of([[2, 3], [2, 7, 3], [], [7], [2, 0, 1, 3], [2, 2, 2, 9]])

    assert tokens.hold_any_but(SPECIAL_IDS).tolist() == [False, True, False, True, False, True]
    assert tokens.hold_any_but([]).tolist() == [True, True, False, True, True, True]
    assert tokens.hold_any_but([2, 3, 7]).tolist() == [False, False, False, False, True, True]


def test_no_texts_hold_nothing():
    for ids in ([], [[]], [[], []]):
        held = Tokens.of(ids).hold_any_but([1])
        assert held.tolist() == [False] * len(ids)
        assert held.dtype == np.bool_


# TextTokenizer


def test_tokens_are_those_of_the_library(tokenize):
    given = texts(200)

    tokens = tokenize(given)

    assert rows(tokens) == tokenizer()(given, truncation=True, max_length=LONGEST)["input_ids"]
    whole = tokenizer()(given)["input_ids"]
    assert tokens.truncated.tolist() == [len(ids) > LONGEST for ids in whole]
    assert 0 < sum(tokens.truncated) < len(given)


@pytest.mark.parametrize(("words", "truncated"), [(LONGEST - 3, False), (LONGEST - 2, False), (LONGEST - 1, True)])
def test_truncation_by_tokens_begins_where_one_is_lost(tokenize, words, truncated):
    tokens = tokenize([" ".join(["where"] * words)])

    assert tokens.truncated.tolist() == [truncated]
    assert tokens.lengths.tolist() == [min(words + 2, LONGEST)]
    assert rows(tokens) == [[CLS, *[WHERE] * min(words, LONGEST - 2), SEP]]


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_truncation_by_characters_begins_where_one_is_not_read(tokenize, more):
    blanks = CHARACTERS_A_TOKEN * LONGEST - len("where")

    tokens = tokenize(["where" + " " * (blanks + more), " " * (blanks + more) + "where"])

    assert tokens.truncated.tolist() == [more > 0] * 2
    assert rows(tokens) == [[CLS, WHERE, SEP], [CLS, UNK, SEP] if more > 0 else [CLS, WHERE, SEP]]


def test_ten_million_characters_cost_what_a_page_costs(tokenize):
    recorder = Recorder(tokenize.backend)

    tokens = replace(tokenize, backend=recorder)(["where " * 1_700_000, "a", "\ud83d" * 10_000_000, " " * 10_000_000])

    assert [len(text) for text in recorder.read[0]] == [CHARACTERS_A_TOKEN * LONGEST, 1] + [
        CHARACTERS_A_TOKEN * LONGEST
    ] * 2
    assert tokens.lengths.tolist() == [LONGEST, 3, 0, 0]
    assert tokens.truncated.tolist() == [True, False, True, True]


def test_texts_of_special_tokens_hold_nothing_else(tokenize):
    tokens = tokenize(["[CLS] [SEP]", "[PAD]", "[MASK][MASK]", "unheard of", "[UNK] where", "a"])

    assert tokens.hold_any_but(tokenize.special).tolist() == [False, False, False, False, True, True]
    assert rows(tokens)[:3] == [[CLS, CLS, SEP, SEP], [CLS, PAD, SEP], [CLS, MASK, MASK, SEP]]
    assert (tokens.lengths > 0).all()


@pytest.mark.parametrize(
    "text", ["", " ", "\t\r\n", "\u00a0\u2003\u3000", "\x00", "\x07\x1b", "\u200b\u200d\ufeff", "\u202e", "\ue000"]
)
def test_a_text_with_nothing_to_see_has_no_tokens(tokenize, text):
    tokens = tokenize(["a", text, "b"])

    assert tokens.lengths.tolist() == [3, 0, 3]
    assert rows(tokens)[1] == []


@pytest.mark.parametrize(
    "text", ["\ud83d", "where \ud83d is", "\udc00where", "where\udfff", "\udc00\ud83d a", "a\ud83d\ud83d"]
)
def test_lone_surrogates_are_read_as_the_replacement_character(tokenize, text):
    recorder = Recorder(tokenize.backend)
    expected = "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)

    tokens = replace(tokenize, backend=recorder)([text])

    assert recorder.read == [[expected]]
    is_seen = any(c.isascii() for c in text)
    assert rows(tokens) == (rows(tokenize([expected])) if is_seen else [[]])


@pytest.mark.parametrize("text", ["\ufeffwhere", "é\u0301", "😀 where", "\U0010ffff", "ﷺ", "हिन्दी"])
def test_other_texts_reach_the_library_as_they_are(tokenize, text):
    recorder = Recorder(tokenize.backend)

    replace(tokenize, backend=recorder)([text])

    assert recorder.read == [[text]]


@pytest.mark.parametrize("n", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 5])
def test_any_number_of_texts_are_read_as_one_by_one(tokenize, n):
    given = [*texts(40), "", "\ud83d", "where " * 500] * 60
    single = {text: rows(tokenize([text]))[0] for text in set(given)}
    recorder = Recorder(tokenize.backend)

    tokens = replace(tokenize, backend=recorder)(given[:n])

    assert rows(tokens) == [single[text] for text in given[:n]]
    assert all(len(chunk) <= CHUNK for chunk in recorder.read)
    assert same(tokens, Tokens.of(rows(tokens), tokens.truncated.tolist()))


@settings(derandomize=True, max_examples=150, deadline=None, database=None)
@given(
    st.lists(
        st.one_of(
            st.text(st.characters(exclude_categories=()), max_size=40),
            st.lists(
                st.sampled_from([*WORDS, "[CLS]", "[PAD]", " ", "\n", "\x00", "\ud83d", "\ude00", "ß", "\u0301"]),
                max_size=40,
            ).map("".join),
            st.text("where\u200b\ud83d ", min_size=CHARACTERS_A_TOKEN * 4 - 2, max_size=CHARACTERS_A_TOKEN * 4 + 2),
        ),
        max_size=12,
    ),
    st.integers(1, 5),
)
def test_odd_texts_give_the_same_tokens_alone_and_in_company(given, chunk):
    short = TextTokenizer.of(tokenizer().backend_tokenizer.to_str(), max_length=4, pad=PAD, special=SPECIAL_IDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens_module, "CHUNK", chunk)
        company = short(given)

    alone = [short([text]) for text in given]

    assert len(company) == len(given)
    assert rows(company) == [rows(one)[0] for one in alone]
    assert company.truncated.tolist() == [bool(one.truncated[0]) for one in alone]
    assert (company.lengths <= 4).all()


# tokenizer.json


def baked(description, **more):
    return json.dumps({**json.loads(description), **more})


@pytest.mark.parametrize("direction", ["Left", "Right"])
def test_padding_and_truncation_in_the_file_are_dropped(description, tokenize, direction):
    padding = {
        "strategy": {"Fixed": 40},
        "direction": direction,
        "pad_to_multiple_of": 8,
        "pad_id": 7,
        "pad_type_id": 0,
        "pad_token": "is",
    }
    truncation = {"direction": direction, "max_length": 5, "strategy": "OnlyFirst", "stride": 2}

    other = TextTokenizer.of(
        baked(description, padding=padding, truncation=truncation), max_length=LONGEST, pad=PAD, special=SPECIAL_IDS
    )

    given = [*texts(50), "", "a"]
    assert same(other(given), tokenize(given))


def test_what_was_opened_says_how_to_open_it_again(description, tokenize, tmp_path):
    file = tmp_path / "tokenizer.json"
    file.write_text(description, encoding="utf-8")
    kept = json.loads(json.dumps(tokenize.settings))

    opened = TextTokenizer.open(file, {**kept, "precision": "f32"})

    assert kept == opened.settings == {"max_length": LONGEST, "pad": PAD, "special": list(SPECIAL_IDS)}
    assert same(opened(texts(50)), tokenize(texts(50)))


def test_only_padding_on_the_left_is_kept_so_that_older_folders_stay_as_they_were(description, tmp_path):
    file = tmp_path / "tokenizer.json"
    file.write_text(description, encoding="utf-8")
    left = TextTokenizer.of(description, max_length=8, pad=PAD, special=SPECIAL_IDS, padding_side="left")

    assert TextTokenizer.open(file, left.settings).padding_side == left.settings["padding_side"] == "left"
    with pytest.raises(ArtifactError, match=r"padding_side must be 'right' or 'left', got 'top'"):
        TextTokenizer.open(file, {**left.settings, "padding_side": "top"})


def test_special_ids_are_sorted(description):
    assert TextTokenizer.of(description, max_length=8, pad=0, special=[3, 0, 2]).special == (0, 2, 3)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"null", b"[]", b"not json", b'{"model": {"type": "WordPiece"}}', b"\xff\xfe\x00", b"\x00"]
)
def test_a_damaged_file_is_named(tokenize, tmp_path, content):
    file = tmp_path / "tokenizer.json"
    file.write_bytes(content)

    with pytest.raises(ArtifactError, match=r"tokenizer\.json cannot be read: "):
        TextTokenizer.open(file, tokenize.settings)


def test_a_file_cut_anywhere_is_named(description, tokenize, tmp_path):
    file = tmp_path / "tokenizer.json"
    whole = description.strip()
    for start, end in pairwise(range(0, len(whole), len(whole) // 40)):
        file.write_text(whole[: (start + end) // 2], encoding="utf-8")
        with pytest.raises(ArtifactError, match=r"tokenizer\.json cannot be read: "):
            TextTokenizer.open(file, tokenize.settings)


def test_a_file_that_is_not_there_is_named(tokenize, tmp_path):
    with pytest.raises(ArtifactError, match=r"tokenizer\.json cannot be read: .*No such file"):
        TextTokenizer.open(tmp_path / "tokenizer.json", tokenize.settings)


@pytest.mark.parametrize("wrong", [{"max_length": "many"}, {"max_length": -1}, {"special": None}])
def test_settings_that_fit_no_tokenizer_are_refused(description, tokenize, tmp_path, wrong):
    file = tmp_path / "tokenizer.json"
    file.write_text(description, encoding="utf-8")

    with pytest.raises(ArtifactError, match=r"tokenizer\.json cannot be read: "):
        TextTokenizer.open(file, {**tokenize.settings, **wrong})
