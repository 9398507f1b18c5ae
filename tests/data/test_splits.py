"""Splits: shares, labels kept together, and no text judged that was seen."""

from collections import Counter
from enum import Enum, IntEnum, StrEnum

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elsewise.data.splits import LabelledTexts, divide, hashes, row_hashes, split, text_hash
from elsewise.errors import InputError
from elsewise.messages.certificates import Population

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


def marked(n=600, each=5, **changed):
    """Texts of groups of `each` rows, a row a minute, of three labels."""
    texts, labels = [f"text {i}" for i in range(n)], ["abc"[i % 3] for i in range(n)]
    given = {"groups": [f"customer {i // each}" for i in range(n)], "times": list(range(n)), **changed}
    return texts, labels, given["groups"], given["times"]


def parts_of_marked(rows, held_out=None, test=None, **how):
    return divide(rows, held_out, test, None, 0, **how).parts


def test_each_later_part_has_one_row_of_each_of_its_groups():
    parts = parts_of_marked(marked(times=None))

    assert sizes(parts) == [360, 12, 18, 18]
    assert parts.grouped == 600 - 360 - 48
    known = [set(getattr(parts, name).groups.tolist()) for name in PARTS]
    assert sum(map(len, known)) == len(set().union(*known)) == 120
    assert parts.population == Population(18, by_group=True)


def test_the_newest_rows_certify_and_test():
    parts = parts_of_marked(marked(groups=None))

    assert [getattr(parts, name).times.min() for name in PARTS] == [0, 360, 420, 510]
    assert parts.population == Population(90, newest=True)


def test_groups_of_the_data_are_left_out_of_held_out_and_test_files():
    texts, labels, *_ = marked(40)
    held_out = ([f"held {i}" for i in range(90)], ["a"] * 90, [f"customer {i}" for i in range(90)])
    test = (["one", "two", "three"], ["a"] * 3, ["customer 1", "customer 89", "new"])

    parts = parts_of_marked((texts, labels, [f"customer {i // 5}" for i in range(40)]), held_out, test)

    assert (len(parts.train), len(parts.tune) + len(parts.certify), parts.test.texts) == (40, 90 - 8, ("three",))
    assert parts.grouped == 8 + 2


def test_marks_are_asked_for_in_every_file():
    with pytest.raises(InputError, match=r"^the data has groups and test has none; hand them over with both$"):
        parts_of_marked(marked(times=None), test=(["x"], ["a"]))
    with pytest.raises(InputError, match=r"^held_out has times and the data has none; hand them over with both$"):
        parts_of_marked(marked(groups=None, times=None), (["x"], ["a"], None, [3]))
    with pytest.raises(InputError, match=r"^the data: texts and groups must have equal lengths, got 600 and 2$"):
        parts_of_marked(marked(groups=["a", "b"]))


def test_a_label_of_the_newest_rows_alone_is_refused():
    texts, labels, _, times = marked()
    labels[-1] = "a new one"

    with pytest.raises(InputError, match=r"^label 'a new one' is in none of the 360 oldest rows, which train; divide"):
        parts_of_marked((texts, labels, None, times))


def test_repeated_texts_are_left_out_and_told_or_counted():
    texts = [f"text {i}" if i % 4 else "hello" for i in range(600)]
    labels = ["abc"[i % 3] for i in range(600)]

    once, counted = (parts_of_marked((texts, labels), count_repeats=count) for count in (False, True))

    assert sizes(counted) == [360, 60, 90, 90]
    assert (counted.repeated, counted.seen, counted.population) == (0, 0, Population(90, counts_repeats=True))
    assert once.population == Population(90, 90 - len(once.certify))
    assert once.population.drops_repeats
    assert not Population(1000, 10).drops_repeats


def test_rows_of_numbers_are_known_to_the_last_bit():
    one, same, other, zero = row_hashes(np.array([[1.0, -0.0], [1.0, 0.0], [1.0, 5e-324], [1.0, 0.0]]))

    assert one == same == zero != other
    assert row_hashes(np.ones((1, 2), dtype=np.float32)) == row_hashes(np.ones((1, 2)))
    assert row_hashes(np.ones((1, 2)), b"salt") != row_hashes(np.ones((1, 2)))


# Labels of every kind


class Topic(StrEnum):
    REFUND, DELIVERY = "refund", "delivery"


class Old(str, Enum):  # noqa: UP042  as people wrote it before StrEnum
    REFUND, DELIVERY = "refund", "delivery"


class Code(IntEnum):
    REFUND, DELIVERY = 1, 2


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (list(Topic), ("delivery", "refund")),
        (list(Old), ("delivery", "refund")),
        (list(Code), ("1", "2")),
        (list(Enum("Plain", {"A": "a", "B": "b"})), ("a", "b")),
        ([True, False], ("False", "True")),
        (np.array([True, False]), ("False", "True")),
        ([1.0, 2.0], ("1", "2")),
        (np.array([1, 2]) * 1.0, ("1", "2")),
        (np.array([1, 2], dtype=np.uint8), ("1", "2")),
        (np.array(["a", "b"]), ("a", "b")),
        (np.array(["a", 2], dtype=object), ("2", "a")),
    ],
)
def test_labels_are_what_they_stand_for(labels, names):
    assert divide(([f"text {i}" for i in range(40)], [*labels] * 20), None, None, None, 0).names == names


@pytest.mark.parametrize("label", [1.5, float("nan"), float("inf"), None, b"a", "", " ", ["a"], 1j])
def test_what_is_no_label_is_refused_with_its_row(label):
    with pytest.raises(InputError, match=r"^labels must be words or whole numbers, got .* in row 1$"):
        divide((["x", "y", "z"], ["a", label, "b"]), None, None, None, 0)


def test_held_out_rows_may_write_labels_otherwise():
    texts = [f"text {i}" for i in range(40)]
    held_out = ([f"new {i}" for i in range(40)], ["1.0", "ü"] * 20)

    divided = divide((texts, [1, "u\N{COMBINING DIAERESIS}"] * 20), held_out, None, None, 0)

    assert divided.names == ("1", "u\N{COMBINING DIAERESIS}")
    assert sorted({*divided.parts.tune.codes.tolist(), *divided.parts.certify.codes.tolist()}) == [0, 1]
