"""Division of labelled rows into train, tune (calibrator and grid), certify (the promise) and test.

Train may repeat a text. The later parts keep one row per distinct (normalised) text, and drop texts of earlier parts:
repeated texts break the binomial test of a certificate, unless they come as often as in the texts to be answered.
Rows of one group (a customer, a thread, a template) go to one part, and the later parts keep one row of each.
"""

import re
import shlex
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, TypeAlias

import numpy as np

from elsewise.arrays import Codes, Floats, as_column, as_texts, label_words
from elsewise.data.division import Indices, one_of_each, parts_of
from elsewise.data.labels import own_labels
from elsewise.data.marks import numbered_groups, seconds
from elsewise.errors import InputError
from elsewise.messages.certificates import Population

Pairs: TypeAlias = tuple[Any, ...]  # texts and labels; then groups and times, if there are any
PAIR, MARKS = 2, ("groups", "times")
SHARES = (0.60, 0.10, 0.15, 0.15)  # train, tune, certify, test
FRESH_SHARES = (1 / 4, 1 / 2, 1 / 4)  # tune, certify, test, for a trained model
DISTINCT_TEXTS = Population()


@dataclass(frozen=True, slots=True, eq=False)
class LabelledTexts:
    """n texts with their true codes (n,), -1 for out-of-scope; and where known their groups (n,) and times (n,)."""

    texts: tuple[str, ...]
    codes: Codes
    groups: Indices | None = None
    times: Floats | None = None

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.texts)

    def take(self, rows: Indices) -> "LabelledTexts":
        """Select rows by their indices."""
        groups = None if self.groups is None else self.groups[rows]
        times = None if self.times is None else self.times[rows]
        return LabelledTexts(tuple(self.texts[i] for i in rows.tolist()), self.codes[rows], groups, times)


@dataclass(frozen=True, slots=True, eq=False)
class Splits:
    """The four parts, and the numbers of rows left out of them.

    Attributes
    ----------
    train, tune, certify, test : LabelledTexts
        The parts; train has no out-of-scope rows.
    untrained, repeated, seen, grouped : int
        Number of out-of-scope rows left out of train; and of rows left out of tune, certify and test because their text
        was in the same part, or in an earlier part, or because a row of their group was.
    population : Population
        The texts that the certify rows stand for.
    """

    train: LabelledTexts
    tune: LabelledTexts
    certify: LabelledTexts
    test: LabelledTexts
    untrained: int
    repeated: int
    seen: int
    grouped: int = 0
    population: Population = DISTINCT_TEXTS


@dataclass(frozen=True, slots=True, eq=False)
class DividedTexts:
    """Labelled texts in codes, whole and in four parts.

    Attributes
    ----------
    names, out_of_scope_label : tuple of str, str or None
        Labels by code, and the label of code -1.
    rows : LabelledTexts
        All data in its order, without the rows of `held_out` and `test`.
    parts : Splits
        Train, tune, certify and test.
    """

    names: tuple[str, ...]
    out_of_scope_label: str | None
    rows: LabelledTexts
    parts: Splits


def text_hash(text: str, salt: bytes = b"") -> int:
    """Hash a text to 64 bits, after normalising case, blanks and Unicode form; `salt` has up to 16 bytes.

    Examples
    --------
    >>> text_hash("Where is  my order?") == text_hash(" where is my ORDER?")
    True
    """
    normal = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return _hashed(normal.encode("utf-8", "surrogatepass"), salt)


def divide(
    rows: Pairs,
    held_out: Pairs | None,
    test: Pairs | None,
    out_of_scope_label: str | None,
    seed: int,
    names: tuple[str, ...] | None = None,
    *,
    count_repeats: bool = False,
) -> DividedTexts:
    """Check texts and labels, turn labels into codes, and divide the rows as `split` does.

    `rows`, `held_out` and `test` are texts and labels; groups and times may follow, None where there are none.

    `names` are the labels of a trained model, in the order of its codes. Rows need not have all of them, and train is
    empty unless `held_out` is given.

    InputError if lengths differ, there is only one label, a label is not in the training rows or not in `names`, no row
    has the out-of-scope label, a time cannot be read, or groups or times are too few to divide the rows by.
    """
    asked = {"the data": rows, "held_out": held_out, "test": test}
    given = {name: _Given.of(pairs, name) for name, pairs in asked.items() if pairs is not None}
    labels = given["the data"].labels
    if out_of_scope_label is not None:
        everywhere = dict.fromkeys(label for part in given.values() for label in part.labels)
        out_of_scope_label = own_labels([out_of_scope_label], everywhere)[0] or out_of_scope_label
    is_trained = names is not None
    if names is None:
        names = tuple(sorted(set(labels) - {out_of_scope_label}, key=by_number_or_name))
    if len(names) < 2:  # noqa: PLR2004
        got = f"only {names[0]!r}" if names else f"none in {len(labels)} rows"
        raise InputError(f"at least 2 labels are needed to tell texts apart, got {got}")
    known = {name: code for code, name in enumerate(names)}
    if out_of_scope_label is not None:
        if not any(out_of_scope_label in part.labels for part in given.values()):
            raise InputError(f"no row has the out-of-scope label {out_of_scope_label!r}; check its spelling")
        if out_of_scope_label in known:
            raise InputError(f"{out_of_scope_label!r} is one of the model's labels; leave out_of_scope_label= out")
        known[out_of_scope_label] = -1
    trained = f"is none of the model's {len(names):,} labels; rename it, or drop it"
    lacking = trained if is_trained else "is not in the training rows; add some, or drop it"
    coded = _marked({name: _coded(part, known, name, lacking) for name, part in given.items()}, given)
    trains = not is_trained or held_out is not None
    parts = split(
        coded["the data"], held_out=coded.get("held_out"), test=coded.get("test"), seed=seed, trains=trains,
        count_repeats=count_repeats,
    )  # fmt: skip
    if not is_trained and parts.population.newest:
        _check_all_trained(names, parts.train)
    return DividedTexts(names, out_of_scope_label, coded["the data"], parts)


def by_number_or_name(label: str) -> tuple[int, int, str]:
    """Order labels that are whole numbers as numbers, so that labels 0..k-1 are their own codes."""
    is_number = re.fullmatch(r"-?\d+", label, re.ASCII) is not None
    return (0, int(label), label) if is_number else (1, 0, label)


@dataclass(frozen=True, slots=True, eq=False)
class _Given:
    """Texts and labels as somebody gave them, and the groups and times, None where there are none."""

    texts: list[str]
    labels: list[str]
    groups: list[Any] | None
    times: list[Any] | None

    @classmethod
    def of(cls, pairs: Pairs, name: str) -> "_Given":
        texts, labels, *marks = as_pairs(pairs, name)
        read = as_texts(texts), label_words(labels)
        named = zip(MARKS, (*marks, None, None), strict=False)
        columns = [None if column is None else as_column(column, what) for what, column in named]
        for what, column in zip(("labels", *MARKS), (read[1], *columns), strict=True):
            if column is not None and len(column) != len(read[0]):
                lengths = f"got {len(read[0])} and {len(column)}"
                raise InputError(f"{name}: texts and {what} must have equal lengths, {lengths}")
        return cls(*read, *columns)


def as_pairs(pairs: Any, name: str) -> Pairs:
    """Check texts and labels, which groups and times may follow: a tuple or list of columns.

    Examples
    --------
    >>> as_pairs({"text": ["a"], "label": ["b"]}, "test")
    Traceback (most recent call last):
    elsewise.errors.InputError: test must be a pair, as in (frame['text'], frame['label']), got dict
    """
    if not isinstance(pairs, tuple | list) or not PAIR <= len(pairs) <= PAIR + len(MARKS):
        got = f"got {type(pairs).__name__}"
        raise InputError(f"{name} must be a pair, as in (frame['text'], frame['label']), {got}")
    return tuple(pairs)


def _coded(given: _Given, known: Mapping[str, int], name: str, lacking: str) -> LabelledTexts:
    own = own_labels(given.labels, known)
    if None in own:
        row = own.index(None)
        raise InputError(f"{name}: label {given.labels[row]!r} in row {row} {lacking}")
    codes = np.array([known[label] for label in own if label is not None], dtype=np.int64)
    return LabelledTexts(tuple(given.texts), codes)


def _marked(coded: Mapping[str, LabelledTexts], given: Mapping[str, _Given]) -> dict[str, LabelledTexts]:
    """Add the groups, numbered alike in all files, and the times."""
    for what, needed in (("groups", ("held_out", "test")), ("times", ("held_out",))):
        has = [name for name, part in given.items() if getattr(part, what) is not None]
        lacks = [name for name in given if name not in has and name in ("the data", *needed)]
        if has and lacks:
            raise InputError(f"{has[0]} has {what} and {lacks[0]} has none; hand them over with both")
    groups = numbered_groups([part.groups for part in given.values()])
    return {
        name: replace(rows, groups=own, times=None if part.times is None else seconds(part.times, name))
        for (name, rows), part, own in zip(coded.items(), given.values(), groups, strict=True)
    }


def _check_all_trained(names: Sequence[str], train: LabelledTexts) -> None:
    """Raise InputError for the first label that none of the oldest rows has: a model could not learn it."""
    lacking = sorted(set(range(len(names))) - set(train.codes.tolist()))
    if lacking:
        label = names[lacking[0]]
        raise InputError(
            f"label {label!r} is in none of the {len(train):,} oldest rows, which train; "
            "divide without the times, or leave its rows out",
            typed=f"--drop-label {shlex.quote(label)}",
        )


def split(
    rows: LabelledTexts,
    *,
    held_out: LabelledTexts | None = None,
    test: LabelledTexts | None = None,
    seed: int = 0,
    trains: bool = True,
    count_repeats: bool = False,
) -> Splits:
    """Divide rows 60 / 10 / 15 / 15 %, stratified by label; a label with 1 or 2 rows keeps them in train.

    Rows with groups are divided by whole groups. Rows with times are divided by age, the oldest for train.

    Parameters
    ----------
    rows : LabelledTexts
        Rows to divide; all are train if `held_out` is given.
    held_out : LabelledTexts, optional
        Rows for tune (one third) and certify (two thirds).
    test : LabelledTexts, optional
        Rows of the test part, which is empty with `held_out` alone.
    trains : bool
        False for a trained model that has seen none of `rows`: train is empty, and the rows become tune, certify and
        test, 25 / 50 / 25 %, or, with `test`, tune and certify, one third and two thirds.
    count_repeats : bool
        Keep repeated texts in tune, certify and test: rows that are a draw of all texts that come in.
    """
    rng = np.random.default_rng(seed)
    if trains and held_out is None:
        shares: Sequence[float] = SHARES if test is None else (SHARES[0] + SHARES[3], *SHARES[1:3], 0)
        train, *later = (rows.take(part) for part in parts_of(rows.codes, shares, rng, rows.groups, rows.times))
    else:
        train = rows.take(np.empty(0, dtype=np.int64)) if held_out is None else rows
        source = rows if held_out is None else held_out
        shares = FRESH_SHARES if held_out is None and test is None else (1 / 3, 2 / 3, 0)
        parts = parts_of(source.codes, shares, rng, source.groups, source.times, whole=0)
        later = [source.take(part) for part in parts]
    tune, certify, own_test = later
    later = [tune, certify, own_test if test is None else test]
    return _without_leaks(train, later, rng, count_repeats=count_repeats)


def _without_leaks(
    given: LabelledTexts, later: Sequence[LabelledTexts], rng: np.random.Generator, *, count_repeats: bool
) -> Splits:
    train = given.take(np.flatnonzero(given.codes >= 0))
    tune, certify, test = _one_a_group(given, later, rng)
    grouped = sum(map(len, later)) - len(tune) - len(certify) - len(test)
    marks = {"by_group": given.groups is not None, "newest": certify.times is not None}
    untrained = len(given) - len(train)
    if count_repeats:
        population = Population(len(certify), 0, counts_repeats=True, **marks)
        return Splits(train, tune, certify, test, untrained, 0, 0, grouped, population)
    known = set(hashes(train.texts))
    fresh = [_fresh(part, known) for part in (tune, certify, test)]
    population = Population(len(certify), len(certify) - len(fresh[1][0]), **marks)
    (tune, certify, test), repeated, seen = zip(*fresh, strict=True)
    return Splits(train, tune, certify, test, untrained, sum(repeated), sum(seen), grouped, population)


def _one_a_group(
    train: LabelledTexts, later: Sequence[LabelledTexts], rng: np.random.Generator
) -> Sequence[LabelledTexts]:
    """Draw one row of each group in the later parts, and drop groups of earlier parts; all rows without groups."""
    if train.groups is None:
        return later
    kept, known = [], train.groups
    for part in later:
        groups = np.empty(0, dtype=np.int64) if part.groups is None else part.groups
        new = np.flatnonzero(~np.isin(groups, known))
        kept.append(part.take(np.sort(new[one_of_each(groups[new], rng)])))
        known = np.append(known, groups)
    return kept


def hashes(texts: Iterable[str], salt: bytes = b"") -> list[int]:
    """Hash every text."""
    return [text_hash(text, salt) for text in texts]


def row_hashes(rows: Floats, salt: bytes = b"") -> list[int]:
    """Hash every row of numbers (n, d) to 64 bits, to the last bit; `salt` has up to 16 bytes.

    Examples
    --------
    >>> one, other, again = row_hashes(np.array([[0.5, 1.0], [0.5, 2.0], [0.5, 1.0]]))
    >>> one == again, one == other
    (True, False)
    """
    return [_hashed((np.asarray(row, dtype=np.float64) + 0.0).tobytes(), salt) for row in rows]  # 0.0 is -0.0


def _hashed(data: bytes, salt: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8, salt=salt).digest(), "big")


def _fresh(rows: LabelledTexts, known: set[int]) -> tuple[LabelledTexts, int, int]:
    """Keep the first row of every new text, which is `known` from now on; count repeated rows and known texts."""
    first: dict[int, int] = {}
    repeated = seen = 0
    for i, digest in enumerate(hashes(rows.texts)):
        if digest in known:
            seen += 1
        elif digest in first:
            repeated += 1
        else:
            first[digest] = i
    known.update(first)
    return rows.take(np.array(list(first.values()), dtype=np.int64)), repeated, seen
