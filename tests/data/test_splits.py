"""Splits: shares, labels kept together, and no text judged that was seen."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elsewise.data.splits import LabelledTexts, hashes, split, text_hash

PARTS = ("train", "tune", "certify", "test")


def rows_of(counts, *, prefix="text"):
    """Distinct texts, `counts[code]` of each label; a code may be -1."""
    codes = np.repeat(list(counts), list(counts.values()))
    return LabelledTexts(tuple(f"{prefix} {i}" for i in range(len(codes))), codes.astype(np.int64))


def sizes(parts):
    return [len(getattr(parts, name)) for name in PARTS]


def pairs(rows):
    return Counter(zip(rows.texts, rows.codes.tolist(), strict=True))


def landed(parts):
    return sum((pairs(getattr(parts, name)) for name in PARTS), Counter())


def test_150_labels_of_20_rows_are_divided_60_10_15_15():
    parts = split(rows_of(dict.fromkeys(range(150), 20)))

    assert sizes(parts) == [1800, 300, 450, 450]
    for name, each in zip(PARTS, (12, 2, 3, 3), strict=True):
        assert set(Counter(getattr(parts, name).codes.tolist()).values()) == {each}


@pytest.mark.parametrize("each", [3, 4, 5, 6, 7, 9, 11, 13])
def test_what_rounding_takes_from_one_label_another_gives_back(each):
    """The shares hold over all labels, and within one label but for two rows."""
    total = 40 * each

    parts = split(rows_of(dict.fromkeys(range(40), each)))

    assert np.abs(np.array(sizes(parts)) - np.array([0.6, 0.1, 0.15, 0.15]) * total).max() <= 2
    for name, share in zip(PARTS, (0.6, 0.1, 0.15, 0.15), strict=True):
        within = np.bincount(getattr(parts, name).codes, minlength=40)
        assert np.abs(within - share * each).max() <= 2
        assert name != "train" or within.min() >= 1


def test_labels_of_one_or_two_rows_stay_in_train():
    parts = split(rows_of({0: 1, 1: 2, 2: 100}))

    assert np.bincount(parts.train.codes)[:2].tolist() == [1, 2]
    assert all(set(getattr(parts, name).codes.tolist()) == {2} for name in PARTS[1:])


def test_held_out_rows_are_divided_one_third_to_two_thirds():
    rows, held_out = rows_of({0: 50, 1: 50}), rows_of({0: 30, 1: 60}, prefix="other")

    parts = split(rows, held_out=held_out)

    assert sizes(parts) == [100, 30, 60, 0]
    assert np.bincount(parts.certify.codes).tolist() == [20, 40]
    assert pairs(parts.tune) + pairs(parts.certify) == pairs(held_out)


def test_out_of_scope_rows_that_fall_to_train_are_left_out_and_counted():
    parts = split(rows_of({0: 50, 1: 50, -1: 20}))

    assert parts.untrained == 12
    assert (parts.train.codes >= 0).all()


@pytest.mark.parametrize("each", [1, 2])
def test_few_held_out_rows_of_each_label_reach_certify_all_the_same(each):
    held_out = rows_of(dict.fromkeys(range(60), each), prefix="other")

    parts = split(rows_of(dict.fromkeys(range(60), 5)), held_out=held_out)

    assert sizes(parts) == [300, 20 * each, 40 * each, 0]


def test_a_given_test_part_is_taken_and_its_share_goes_to_train():
    parts = split(rows_of({0: 100, 1: 100}), test=rows_of({0: 7}, prefix="other"))

    assert sizes(parts) == [150, 20, 30, 7]


def test_held_out_and_test_may_both_be_given():
    parts = split(rows_of({0: 10}), held_out=rows_of({0: 9}, prefix="other"), test=rows_of({0: 4}, prefix="third"))

    assert sizes(parts) == [10, 3, 6, 4]


def test_out_of_scope_rows_never_teach_and_keep_their_share_elsewhere():
    rows = rows_of({-1: 100, 0: 100, 1: 200})

    parts, held = split(rows), split(rows, held_out=rows_of({-1: 30, 0: 60}, prefix="other"))

    assert parts.train.codes.min() == held.train.codes.min() == 0
    assert [int(np.sum(getattr(parts, name).codes == -1)) for name in PARTS] == [0, 10, 15, 15]
    assert len(rows) - sum(sizes(parts)) == 60
    assert (held.tune.codes == -1).sum() == 10


def test_every_row_lands_once_or_is_counted():
    rows = rows_of(dict.fromkeys(range(7), 23))

    parts = split(rows)

    assert landed(parts) == pairs(rows)
    assert (parts.repeated, parts.seen) == (0, 0)


def repeated_rows(texts, labels=3):
    """Rows of few distinct texts, spelled in many ways."""
    spelled = [(t.upper(), f"  {t} ", t.replace(" ", "\u00a0"), t)[i % 4] for i, t in enumerate(texts)]
    return LabelledTexts(tuple(spelled), np.arange(len(spelled)) % labels)


@pytest.mark.parametrize("seed", range(5))
def test_repeated_texts_are_judged_once_and_never_where_they_were_seen(seed):
    rng = np.random.default_rng(seed)
    rows = repeated_rows([f"text {i}" for i in rng.integers(0, 250, size=600)])
    other = repeated_rows([f"text {i}" for i in rng.integers(200, 400, size=300)])

    for parts, inputs in (
        (split(rows, seed=seed), [rows]),
        (split(rows, held_out=other), [rows, other]),
        (split(rows, test=other), [rows, other]),
        (split(rows, held_out=other, test=other), [rows, other, other]),
    ):
        earlier = set()
        for name in PARTS:
            here = hashes(getattr(parts, name).texts)
            assert name == "train" or (len(set(here)) == len(here) and not earlier & set(here))
            earlier |= set(here)
        assert sum(sizes(parts)) + parts.repeated + parts.seen == sum(map(len, inputs))


def test_what_is_dropped_is_counted_by_hand():
    train = LabelledTexts(("seen", "also"), np.array([0, 1]))
    held_out = LabelledTexts(("SEEN", "new", " new ", "also"), np.array([0, 0, 0, 0]))
    test = LabelledTexts(("new", "fresh", "fresh", "Seen"), np.array([0, 0, 1, 1]))

    parts = split(train, held_out=held_out, test=test)

    assert parts.test.texts == ("fresh",)
    assert {text.strip() for text in parts.tune.texts + parts.certify.texts} == {"new"}
    assert parts.repeated + parts.seen == 3 + 3


def test_the_seed_decides_and_nothing_else():
    rows = rows_of(dict.fromkeys(range(5), 30))

    first, again, another = split(rows, seed=3), split(rows, seed=3), split(rows, seed=4)

    assert all(pairs(getattr(first, name)) == pairs(getattr(again, name)) for name in PARTS)
    assert first.train.texts != another.train.texts


def test_no_rows_are_divided_into_none():
    nothing = LabelledTexts((), np.zeros(0, dtype=np.int64))

    assert sizes(split(nothing)) == [0, 0, 0, 0]
    assert sizes(split(rows_of({0: 3}), held_out=nothing)) == [3, 0, 0, 0]


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("Where is  my order?", " where is\tmy ORDER? \n"),
        ("Straße", "STRASSE"),
        ("\uff46\uff55\uff4c\uff4c", "full"),
        ("e\u0301", "\u00e9"),
        ("\ufb01ne", "fine"),
        ("a\u00a0b", "a b"),
    ],
)
def test_spellings_that_count_as_the_same(one, same):
    assert text_hash(one) == text_hash(same)


def test_texts_that_do_not_count_as_the_same():
    assert len({text_hash(t) for t in ("a b", "ab", "a b.", "", "ä", "a", "\ud83d")}) == 7


@settings(derandomize=True, max_examples=60, deadline=None, database=None)
@given(st.lists(st.integers(-1, 6), max_size=80), st.integers(0, 3))
def test_any_labels_are_divided_without_loss(codes, seed):
    rows = LabelledTexts(tuple(map(str, range(len(codes)))), np.array(codes, dtype=np.int64))

    parts = split(rows, seed=seed)

    kept = landed(parts)
    assert all(code == -1 for _, code in pairs(rows) - kept)
    assert not kept - pairs(rows)
    assert set(parts.train.codes.tolist()) == set(codes) - {-1}
