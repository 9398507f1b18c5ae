"""Division of labelled rows into train, tune (calibrator and grid), certify (the promise) and test.

Train may repeat a text. The later parts keep one row per distinct (normalised) text, and drop texts of earlier parts:
repeated texts break the binomial test of a certificate.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes, as_texts
from elsewise.errors import InputError

Pairs = tuple[Iterable[str], Iterable[Any]]
Indices = NDArray[np.int64]
SHARES = (0.60, 0.10, 0.15, 0.15)  # train, tune, certify, test
FRESH_SHARES = (1 / 4, 1 / 2, 1 / 4)  # tune, certify, test, for a trained model


@dataclass(frozen=True, slots=True, eq=False)
class LabelledTexts:
    """Texts with their true codes, -1 for out-of-scope."""

    texts: tuple[str, ...]
    codes: Codes

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.texts)

    def take(self, rows: Indices) -> "LabelledTexts":
        """Select rows by their indices."""
        return LabelledTexts(tuple(self.texts[i] for i in rows.tolist()), self.codes[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Splits:
    """The four parts, and the numbers of rows left out of them.

    Attributes
    ----------
    train, tune, certify, test : LabelledTexts
        The parts; train has no out-of-scope rows.
    untrained, repeated, seen : int
        Number of out-of-scope rows left out of train; and of rows left out of tune, certify and test because their text
        was in the same part, or in an earlier part.
    """

    train: LabelledTexts
    tune: LabelledTexts
    certify: LabelledTexts
    test: LabelledTexts
    untrained: int
    repeated: int
    seen: int


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
    return int.from_bytes(blake2b(normal.encode("utf-8", "surrogatepass"), digest_size=8, salt=salt).digest(), "big")


def divide(
    rows: Pairs,
    held_out: Pairs | None,
    test: Pairs | None,
    out_of_scope_label: str | None,
    seed: int,
    names: tuple[str, ...] | None = None,
) -> DividedTexts:
    """Check texts and labels, turn labels into codes, and divide the rows as `split` does.

    `names` are the labels of a trained model, in the order of its codes. Rows need not have all of them, and train is
    empty unless `held_out` is given.

    InputError if lengths differ, there is only one label, a label is not in the training rows or not in `names`, or no
    row has the out-of-scope label.
    """
    asked = {"the data": rows, "held_out": held_out, "test": test}
    given = {name: _pairs(pairs, name) for name, pairs in asked.items() if pairs is not None}
    texts, labels = given["the data"]
    is_trained = names is not None
    if names is None:
        names = tuple(sorted(set(labels) - {out_of_scope_label}, key=_by_number_or_name))
    if len(names) < 2:  # noqa: PLR2004
        got = f"only {names[0]!r}" if names else f"none in {len(texts)} rows"
        raise InputError(f"at least 2 labels are needed to tell texts apart, got {got}")
    known = {name: code for code, name in enumerate(names)}
    if out_of_scope_label is not None:
        if not any(out_of_scope_label in part for _, part in given.values()):
            raise InputError(f"no row has the out-of-scope label {out_of_scope_label!r}; check its spelling")
        if out_of_scope_label in known:
            raise InputError(f"{out_of_scope_label!r} is one of the model's labels; leave out_of_scope_label= out")
        known[out_of_scope_label] = -1
    trained = f"is none of the model's {len(names):,} labels; rename it, or drop it"
    lacking = trained if is_trained else "is not in the training rows; add some, or drop it"
    coded = {name: _coded(*pairs, known, name, lacking) for name, pairs in given.items()}
    trains = not is_trained or held_out is not None
    parts = split(coded["the data"], held_out=coded.get("held_out"), test=coded.get("test"), seed=seed, trains=trains)
    return DividedTexts(names, out_of_scope_label, coded["the data"], parts)


def _by_number_or_name(label: str) -> tuple[int, int, str]:
    """Order labels that are whole numbers as numbers, so that labels 0..k-1 are their own codes."""
    is_number = re.fullmatch(r"-?\d+", label, re.ASCII) is not None
    return (0, int(label), label) if is_number else (1, 0, label)


def _pairs(pairs: Pairs, name: str) -> tuple[list[str], list[str]]:
    texts, labels = as_texts(pairs[0]), [_label(label, row) for row, label in enumerate(pairs[1])]
    if len(texts) != len(labels):
        raise InputError(f"{name}: texts and labels must have equal lengths, got {len(texts)} and {len(labels)}")
    return texts, labels


def _label(label: Any, row: int) -> str:
    if isinstance(label, str | int | np.integer) and str(label).strip():
        return str(label)
    raise InputError(f"labels must be words or whole numbers, got {label!r} in row {row}")


def _coded(texts: list[str], labels: list[str], known: Mapping[str, int], name: str, lacking: str) -> LabelledTexts:
    for row, label in enumerate(labels):
        if label not in known:
            raise InputError(f"{name}: label {label!r} in row {row} {lacking}")
    return LabelledTexts(tuple(texts), np.array([known[label] for label in labels], dtype=np.int64))


def split(
    rows: LabelledTexts,
    *,
    held_out: LabelledTexts | None = None,
    test: LabelledTexts | None = None,
    seed: int = 0,
    trains: bool = True,
) -> Splits:
    """Divide rows 60 / 10 / 15 / 15 %, stratified by label; a label with 1 or 2 rows keeps them in train.

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
    """
    rng = np.random.default_rng(seed)
    if trains and held_out is None:
        shares: Sequence[float] = SHARES if test is None else (SHARES[0] + SHARES[3], *SHARES[1:3], 0)
        train, *later = (rows.take(part) for part in stratified(rows.codes, shares, rng))
    else:
        train = rows.take(np.empty(0, dtype=np.int64)) if held_out is None else rows
        source = rows if held_out is None else held_out
        shares = FRESH_SHARES if held_out is None and test is None else (1 / 3, 2 / 3, 0)
        later = [source.take(part) for part in stratified(source.codes, shares, rng, whole=0)]
    tune, certify, own_test = later
    return _without_leaks(train, tune, certify, own_test if test is None else test)


def stratified(codes: Codes, shares: Sequence[float], rng: np.random.Generator, *, whole: int = 2) -> list[Indices]:
    """Divide rows with codes (n,) by `shares`, stratified by label; returns the sorted indices of each part.

    A label of up to `whole` rows goes to the first part as a whole.
    """
    parts: list[list[Indices]] = [[] for _ in shares]
    owed = np.zeros(len(shares))  # rounding so far, to balance rare labels
    for code in np.unique(codes):
        members = rng.permutation(np.flatnonzero(codes == code))
        wanted = np.array(shares) * len(members) + owed
        counts = _rounded(wanted, len(members), whole)
        owed = wanted - counts
        for part, chunk in zip(parts, np.split(members, np.cumsum(counts)[:-1]), strict=True):
            part.append(chunk)
    return [np.sort(np.concatenate(part)) if part else np.empty(0, dtype=np.int64) for part in parts]


def _rounded(wanted: NDArray[np.float64], total: int, whole: int) -> Indices:
    """Round to whole numbers >= 0 with the given total; the first is all of up to `whole` rows, else at least 1."""
    if total <= whole:
        return np.array([total, *[0] * (len(wanted) - 1)])
    lowest = np.array([min(whole, 1), *[0] * (len(wanted) - 1)])
    counts = np.maximum(np.floor(wanted).astype(np.int64), lowest)
    while counts.sum() < total:
        counts[np.argmax(wanted - counts)] += 1
    while counts.sum() > total:
        counts[np.argmax(np.where(counts > lowest, counts - wanted, -np.inf))] -= 1
    return counts


def _without_leaks(given: LabelledTexts, tune: LabelledTexts, certify: LabelledTexts, test: LabelledTexts) -> Splits:
    train = given.take(np.flatnonzero(given.codes >= 0))
    known = set(hashes(train.texts))
    parts = [_fresh(part, known) for part in (tune, certify, test)]
    (tune, certify, test), repeated, seen = zip(*parts, strict=True)
    return Splits(train, tune, certify, test, len(given) - len(train), sum(repeated), sum(seen))


def hashes(texts: Iterable[str], salt: bytes = b"") -> list[int]:
    """Hash every text."""
    return [text_hash(text, salt) for text in texts]


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
