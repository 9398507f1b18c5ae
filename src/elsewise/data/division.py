"""Division of rows into parts by shares: by label, by whole groups, or by age."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes, Floats
from elsewise.errors import InputError
from elsewise.messages.wording import counted

Indices: TypeAlias = NDArray[np.int64]


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


def parts_of(
    codes: Codes, shares: Sequence[float], rng: np.random.Generator, groups: Indices | None = None,
    times: Floats | None = None, *, whole: int = 2,
) -> list[Indices]:  # fmt: skip
    """Divide rows with codes (n,) by `shares`, stratified by label; returns the sorted indices of each part.

    Parameters
    ----------
    groups : (n,), optional
        Whole groups go to one part. They are stratified by a row of each, drawn by chance. A group with a label that
        no row of the first part would have goes to the first part.
    times : (n,), optional
        The oldest rows go to the first part. Groups go by their oldest row, and equal times are never divided.
    whole : int
        As for `stratified`.

    Raises
    ------
    InputError
        If groups or times are too few to give each part one.

    Examples
    --------
    >>> years = np.array([2020.0, 2024, 2022, 2021, 2023])
    >>> [part.tolist() for part in parts_of(np.zeros(5), (0.6, 0.4), np.random.default_rng(0), times=years)]
    [[0, 2, 3], [1, 4]]
    """
    if groups is None and times is None:
        return stratified(codes, shares, rng, whole=whole)
    unit = np.arange(len(codes)) if groups is None else np.unique(groups, return_inverse=True)[1]
    n, wanted = len(np.unique(unit)), sum(share > 0 for share in shares)
    if n < wanted and len(codes):
        raise InputError(
            f"rows of {counted(n, 'group')} cannot be divided into {wanted} parts: whole groups go to one part; "
            "take smaller groups"
        )
    if times is None:
        chosen = stratified(codes[one_of_each(unit, rng)], shares, rng, whole=whole)
    else:
        oldest = np.full(n, np.inf)
        np.minimum.at(oldest, unit, times)
        chosen = _by_age(oldest, shares)
    part = np.empty(n, dtype=np.int64)
    for i, units in enumerate(chosen):
        part[units] = i
    if whole and times is None:
        lacking = np.setdiff1d(codes[codes >= 0], codes[part[unit] == 0])
        part[unit[np.isin(codes, lacking)]] = 0
    return [np.flatnonzero(part[unit] == i) for i in range(len(shares))]


def one_of_each(unit: Indices, rng: np.random.Generator) -> Indices:
    """Draw a row of each unit by chance, given the units (n,) of the rows; sorted by unit.

    Examples
    --------
    >>> one_of_each(np.array([7, 3, 3, 7]), np.random.default_rng(0)).tolist()
    [2, 0]
    """
    shuffled = rng.permutation(len(unit))
    return shuffled[np.unique(unit[shuffled], return_index=True)[1]]


def _by_age(times: Floats, shares: Sequence[float]) -> list[Indices]:
    """Divide rows with times (n,) by `shares`, the oldest first; equal times go where the first of them goes."""
    _, inverse, counts = np.unique(times, return_inverse=True, return_counts=True)
    cuts = np.rint(np.cumsum(shares) * len(times))[:-1]
    part = np.searchsorted(cuts, np.cumsum(counts) - counts, side="right")[inverse]
    parts = [np.flatnonzero(part == i) for i in range(len(shares))]
    if len(times) and any(share > 0 and not len(rows) for share, rows in zip(shares, parts, strict=True)):
        wanted = sum(share > 0 for share in shares)
        raise InputError(
            f"{counted(len(times), 'row')} with {counted(len(counts), 'time')} cannot be divided by time into "
            f"{wanted} parts; take finer times, or divide without them"
        )
    return parts
