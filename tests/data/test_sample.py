"""The built-in inbox: what the demo trains on must stay deterministic, varied and hard in known proportions."""

import re
from collections import Counter, defaultdict
from dataclasses import FrozenInstanceError
from random import Random

import pytest

from elsewise.data.sample import OUT_OF_SCOPE, SampleRow, _misspelt, _phrases, _shares, _slipped, _Writer, support_texts
from elsewise.errors import InputError


def normalised(text):
    return " ".join(text.casefold().split())


@pytest.fixture(scope="module")
def sample():
    return support_texts(seed=0)


@pytest.fixture(scope="module")
def in_scope(sample):
    return [row for row in sample if row.label != OUT_OF_SCOPE]


def writer(language="en", **options):
    return _Writer(Random(0), _phrases(), language, **options)


def test_there_are_twenty_labels_and_at_least_2600_texts_in_scope(in_scope):
    assert len(in_scope) == 2750
    assert {row.label for row in in_scope} == set(_phrases()["labels"])
    assert len(_phrases()["labels"]) == 20


@pytest.mark.parametrize("seed", range(5))
def test_every_label_has_at_least_100_texts_and_10_turkish_ones(seed):
    rows = support_texts(seed)
    texts = Counter(row.label for row in rows)
    turkish = Counter(row.label for row in rows if row.kind == "turkish")

    assert min(texts.values()) >= 100
    assert set(turkish) == set(_phrases()["labels"])
    assert min(turkish.values()) >= 10


@pytest.mark.parametrize("rows", [240, 1000, 3000, 12_000])
def test_all_texts_are_distinct_and_as_many_as_asked_for(rows):
    texts = {normalised(row.text) for row in support_texts(seed=1, rows=rows)}

    assert len(texts) == rows


@pytest.mark.parametrize("rows", [239, 0, -5, 12_001])
def test_a_number_of_rows_out_of_range_is_refused(rows):
    with pytest.raises(InputError, match=rf"rows must lie in 240\.\.12000, got {rows}"):
        support_texts(rows=rows)


def test_the_same_seed_gives_the_same_rows(sample):
    assert support_texts(seed=0) == sample


def test_another_seed_gives_mostly_other_texts(sample):
    here, there = ({row.text for row in rows} for rows in (sample, support_texts(seed=1)))

    assert len(here & there) < 0.4 * len(here)


def test_python_s_own_random_state_plays_no_part_and_is_left_alone():
    import random

    random.seed(5)
    before = random.getstate()
    rows = support_texts(rows=240)

    assert random.getstate() == before
    assert support_texts(rows=240) == rows


def test_one_text_in_twelve_is_out_of_scope(sample):
    outside = [row for row in sample if row.label == OUT_OF_SCOPE]

    assert len(outside) == 250
    assert {row.kind for row in outside} == {OUT_OF_SCOPE}


@pytest.mark.parametrize(("kind", "share"), [("turkish", 0.10), ("typo", 0.08), ("ambiguous", 0.04), ("plain", 0.78)])
def test_the_kinds_have_their_stated_shares_of_the_texts_in_scope(in_scope, kind, share):
    assert sum(row.kind == kind for row in in_scope) / len(in_scope) == pytest.approx(share, abs=0.005)


def test_ambiguous_texts_carry_each_of_their_two_labels_about_equally_often():
    """Heads minus tails of n fair coins has standard deviation sqrt(n); four of them are allowed."""
    first_of = {
        core: pair["labels"][0] for pair in _phrases()["ambiguous"] for core in pair["texts"] if "{" not in core
    }
    heads = tails = 0
    for row in support_texts(seed=3, rows=12_000):
        core = next((core for core in first_of if core.casefold() in row.text.casefold()), None)
        if row.kind == "ambiguous" and core:
            heads += row.label == first_of[core]
            tails += row.label != first_of[core]

    assert heads + tails > 100
    assert abs(heads - tails) < 4 * (heads + tails) ** 0.5


def test_the_order_is_random_so_that_a_head_of_the_list_holds_every_label(sample):
    assert len({row.label for row in sample[:300]}) == 21


def test_texts_have_2_to_100_words_and_no_trace_of_the_grammar(in_scope):
    for row in in_scope:
        assert 2 <= len(row.text.split()) <= 100, row
        assert not re.search(r"[{}\[\]|~]|  | [.,?!]|^\s|\s$|(?<!\.)\.\.(?!\.)", row.text), row


def test_lengths_run_from_a_few_words_to_several_sentences(in_scope):
    words = sorted(len(row.text.split()) for row in in_scope)

    assert words[len(words) // 20] <= 6
    assert words[-len(words) // 20] >= 30


def test_some_senders_drop_capitals_and_punctuation_and_some_shout(in_scope):
    share = {
        "lower": sum(row.text.islower() for row in in_scope) / len(in_scope),
        "bare": sum(not re.search(r"[.,!?]", row.text) for row in in_scope) / len(in_scope),
        "shouted": sum(row.text.isupper() for row in in_scope) / len(in_scope),
    }

    assert 0.10 < share["lower"] < 0.30
    assert 0.10 < share["bare"] < 0.35
    assert 0.005 < share["shouted"] < 0.05


def test_no_five_opening_words_start_more_than_7_percent_of_the_texts_of_a_label(in_scope):
    starts = defaultdict(Counter)
    for row in in_scope:
        starts[row.label][" ".join(row.text.casefold().split()[:5])] += 1

    assert max(count.most_common(1)[0][1] / count.total() for count in starts.values()) < 0.07


def test_every_label_has_a_dozen_english_and_five_turkish_core_phrases_of_its_own():
    cores = Counter()
    for entry in _phrases()["labels"].values():
        assert len(set(entry["en"])) >= 12
        assert len(set(entry["tr"])) >= 5
        cores.update(entry["en"] + entry["rare"] + entry["tr"])

    assert max(cores.values()) == 1


def test_every_slot_that_a_phrase_names_exists():
    def strings(node):
        if isinstance(node, str):
            yield node
        else:
            for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
                yield from strings(child)

    book = _phrases()
    named = {name.lower() for text in strings(book) for name in re.findall(r"\{(\w+)\*?\}", text)}

    assert named <= {*book["slots"]["en"], *book["slots"]["tr"]}
    assert all(text.count("[") == text.count("]") for text in strings(book))


def test_turkish_texts_use_the_letters_of_turkish(sample):
    turkish = [row.text for row in sample if row.kind == "turkish"]

    assert sum(bool(re.search("[çğıöşüâÇĞİÖŞÜ]", text)) for text in turkish) > 0.95 * len(turkish)


def test_capitals_follow_the_turkish_dotted_and_dotless_i():
    assert writer("tr")._upper("iptal \u0131l\u0131k") == "\u0130PTAL ILIK"
    assert writer("tr")._lower("\u0130PTAL ILIK") == "iptal \u0131l\u0131k"
    assert writer("en")._upper("it") == "IT"


def test_lower_case_turkish_holds_no_combining_dot(sample):
    assert not any("\u0307" in row.text for row in sample)


def test_a_slot_keeps_its_filler_within_a_text_and_a_star_asks_for_another():
    for _ in range(50):
        first, again, other = writer().fill("{product} / {product} / {product*}").split(" / ")

        assert first == again != other


def test_a_capital_slot_starts_with_a_capital_and_a_tilde_is_a_digit():
    assert writer("tr", slots={"tr": {"ürün": ["iskele"]}}).fill("{Ürün}, {ürün}") == "\u0130skele, iskele"
    assert re.fullmatch("[1-9]{4}", writer().fill("~~~~"))


def test_choices_may_hold_slots_and_nothing():
    texts = {w.fill("pay[ {amount}|] now") for w in [writer()] for _ in range(60)}

    assert "pay now" in texts
    assert any(text.startswith(("pay £", "pay €", "pay $")) for text in texts)


def test_typing_errors_always_change_a_text_and_never_by_much(sample):
    for row in sample:
        if row.kind == "plain":
            mistyped = _misspelt(Random(7), row.text)

            assert mistyped != row.text
            assert abs(len(mistyped) - len(row.text)) <= 4


def test_nearly_every_typo_row_has_a_word_that_no_clean_text_has(sample):
    words = {
        kind: [set(re.findall(r"\w+", row.text.casefold())) for row in sample if row.kind == kind]
        for kind in ("plain", "typo")
    }
    clean = set().union(*words["plain"])

    assert sum(bool(found - clean) for found in words["typo"]) > 0.9 * len(words["typo"])


def test_a_slip_swaps_drops_doubles_or_hits_the_next_key():
    slips = {_slipped(Random(seed), "abcd") for seed in range(200)}

    assert {"acbd", "acd", "abbcd", "abdc", "abd", "abccd"} <= slips
    assert slips - {"acbd", "acd", "abbcd", "abdc", "abd", "abccd"} == {"avcd", "ancd", "abxd", "abvd"}


def test_shares_are_whole_numbers_that_add_up():
    assert _shares({"a": 1, "b": 1, "c": 2}, 10) == {"a": 2, "b": 3, "c": 5}


def test_a_row_cannot_be_changed():
    row = SampleRow("where is my order", "late_delivery", "plain")

    with pytest.raises(FrozenInstanceError):
        row.label = "refund"
