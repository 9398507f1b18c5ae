"""Divide labelled rows: train teaches the weights, tune the calibrator and the grid, certify the promise, test reports.

Training may repeat a text. The other parts keep one row per distinct (normalised) text and drop texts that
an earlier part has: repeated texts break the binomial that a certificate rests on.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes

Rows = NDArray[np.int64]
SHARES = (0.60, 0.10, 0.15, 0.15)  # train, tune, certify, test


@dataclass(frozen=True, slots=True, eq=False)
class LabelledTexts:
    """Texts with their true codes, -1 for out-of-scope."""

    texts: tuple[str, ...]
    codes: Codes

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.texts)

    def take(self, rows: Rows) -> "LabelledTexts":
        """Select rows by their indices."""
        return LabelledTexts(tuple(self.texts[i] for i in rows.tolist()), self.codes[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Splits:
    """The four parts, and how many rows were dropped so that no text is judged that was seen.

    Attributes
    ----------
    train, tune, certify, test : LabelledTexts
        `train` holds no out-of-scope rows.
    untrained : int
        Out-of-scope rows that fell to train and were left out there.
    repeated, seen : int
        Rows of tune, certify and test dropped because their text came twice there, or in an earlier part.
    """

    train: LabelledTexts
    tune: LabelledTexts
    certify: LabelledTexts
    test: LabelledTexts
    untrained: int
    repeated: int
    seen: int


def text_hash(text: str) -> int:
    """Hash a text to 64 bits after normalising case, blanks and Unicode form: equal for texts that count as the same.

    Examples
    --------
    >>> text_hash("Where is  my order?") == text_hash(" where is my ORDER?")
    True
    """
    normal = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return int.from_bytes(blake2b(normal.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def split(
    rows: LabelledTexts, *, held_out: LabelledTexts | None = None, test: LabelledTexts | None = None, seed: int = 0
) -> Splits:
    """Divide rows 60 / 10 / 15 / 15 %, stratified by label; a label with 1 or 2 rows keeps them in train.

    Parameters
    ----------
    rows : LabelledTexts
        All of them are train when `held_out` is given.
    held_out : LabelledTexts, optional
        Divided one third tune, two thirds certify.
    test : LabelledTexts, optional
        Taken as the test part; without it, and with `held_out`, test is empty.
    """
    rng = np.random.default_rng(seed)
    if held_out is not None:
        train = rows
        tune, certify = (held_out.take(part) for part in stratified(held_out.codes, (1 / 3, 2 / 3), rng, whole=0))
        own_test = held_out.take(np.empty(0, dtype=np.int64))
    elif test is not None:
        train, tune, certify = (
            rows.take(part) for part in stratified(rows.codes, (SHARES[0] + SHARES[3], *SHARES[1:3]), rng)
        )
        own_test = test
    else:
        train, tune, certify, own_test = (rows.take(part) for part in stratified(rows.codes, SHARES, rng))
    return _without_leaks(train, tune, certify, own_test if test is None else test)


def stratified(codes: Codes, shares: Sequence[float], rng: np.random.Generator, *, whole: int = 2) -> list[Rows]:
    """Divide the rows of every label by `shares`; the first part gets a label of up to `whole` rows as a whole."""
    parts: list[list[Rows]] = [[] for _ in shares]
    owed = np.zeros(len(shares))  # what rounding took from each part so far, so that rare labels even out
    for code in np.unique(codes):
        members = rng.permutation(np.flatnonzero(codes == code))
        wanted = np.array(shares) * len(members) + owed
        counts = _rounded(wanted, len(members), whole)
        owed = wanted - counts
        for part, chunk in zip(parts, np.split(members, np.cumsum(counts)[:-1]), strict=True):
            part.append(chunk)
    return [np.sort(np.concatenate(part)) if part else np.empty(0, dtype=np.int64) for part in parts]


def _rounded(wanted: NDArray[np.float64], total: int, whole: int) -> Rows:
    """Round to whole numbers >= 0 with the given total; the first is all of up to `whole` rows, and then at least 1."""
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
    learned = set(hashes(train.texts))
    tune_rows, tune_repeated, tune_seen = _fresh(tune, learned)
    known = learned | set(hashes(tune_rows.texts))
    certify_rows, certify_repeated, certify_seen = _fresh(certify, known)
    test_rows, test_repeated, test_seen = _fresh(test, known | set(hashes(certify_rows.texts)))
    repeated = tune_repeated + certify_repeated + test_repeated
    seen = tune_seen + certify_seen + test_seen
    return Splits(train, tune_rows, certify_rows, test_rows, len(given) - len(train), repeated, seen)


def hashes(texts: Iterable[str]) -> list[int]:
    """Hash every text."""
    return [text_hash(text) for text in texts]


def _fresh(rows: LabelledTexts, known: set[int]) -> tuple[LabelledTexts, int, int]:
    """Keep the first row of every text that is not known yet; count the repeated and the seen."""
    first: dict[int, int] = {}
    repeated = seen = 0
    for i, digest in enumerate(hashes(rows.texts)):
        if digest in known:
            seen += 1
        elif digest in first:
            repeated += 1
        else:
            first[digest] = i
    return rows.take(np.array(list(first.values()), dtype=np.int64)), repeated, seen
