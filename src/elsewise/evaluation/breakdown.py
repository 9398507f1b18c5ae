"""Figures by label, by slice of the rows, and by the share of out-of-scope texts among future texts."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes, as_column
from elsewise.errors import InputError
from elsewise.evaluation.answers import Answers, Flags
from elsewise.metrics import Estimate, wilson
from elsewise.rules.out_of_scope_share import Strata, mixed_risk

MOST_VALUES = 20  # shown values of a slice; rarer ones are pooled
LONGEST = (16, 32, 64, 128, 256, 512)  # most tokens in each band of lengths
SHARES = (0.0, 0.05, 0.10, 0.20)  # of out-of-scope texts among future texts
DELTA = 0.05 / 2 / 3  # two ends at 95 %, each made of the bounds of three measured shares


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Recall, precision and F1 of one label, with Wilson's intervals.

    The interval of F1 is that of J = hits / (rows that have or got the label), because F1 = 2 J / (1 + J).
    """

    recall: Estimate
    precision: Estimate
    f1: Estimate


@dataclass(frozen=True, slots=True)
class ShippedRetrieval(Retrieval):
    """Recall, precision and F1 of one label's answers on all rows, and what became of the label's own rows."""

    coverage: Estimate
    accuracy_when_answered: Estimate
    other_share: Estimate


@dataclass(frozen=True, slots=True)
class LabelRow:
    """Figures of one label: most probable labels on its readable in-scope rows, and answers on all rows."""

    label: str
    rows: int
    classifier: Retrieval
    system: ShippedRetrieval


@dataclass(frozen=True, slots=True)
class SliceRow:
    """Figures of the rows with one value in a column; None for `pooled` rarer values together.

    Accuracy is that of the most probable label on readable in-scope rows; the other figures are on all rows.
    """

    value: str | None
    pooled: int
    rows: int
    accuracy: Estimate
    coverage: Estimate
    accuracy_when_answered: Estimate


@dataclass(frozen=True, slots=True)
class AtShare:
    """Coverage and accuracy of the threshold where this share of the texts is out-of-scope."""

    share: float
    coverage: Estimate
    accuracy_when_answered: Estimate


@dataclass(frozen=True, slots=True)
class OutOfScopeShares:
    """Coverage and accuracy of the same threshold at several shares of out-of-scope texts.

    Attributes
    ----------
    worst_case : bool
        True without out-of-scope rows: then every out-of-scope text is assumed to be answered.
    in_scope_coverage, in_scope_risk, out_of_scope_answered : Estimate
        The three measured shares, with exact intervals.
    shares : list of AtShare
        Each share of out-of-scope texts. The intervals hold at 95 % (Bonferroni, over the three).
    """

    worst_case: bool
    in_scope_coverage: Estimate
    in_scope_risk: Estimate
    out_of_scope_answered: Estimate
    shares: list[AtShare]


def by_label(answers: Answers, labels: Iterable[str]) -> list[LabelRow]:
    """Judge each label, in the order of the labels."""
    names = list(labels)
    a, k = answers, len(names)

    def count(codes: Codes, chosen: Flags) -> list[int]:
        return np.bincount(codes[chosen], minlength=k).tolist()

    rows, readable = count(a.truth, a.in_scope), count(a.truth, a.in_scope & a.readable)
    said, hits = count(a.best, a.in_scope & a.readable), count(a.truth, a.correct)
    covered, given = count(a.truth, a.in_scope & a.answered), count(a.decided, a.answered)
    right = count(a.truth, a.correct & a.answered)
    return [
        LabelRow(
            label=name,
            rows=rows[i],
            classifier=Retrieval(*_retrieval(hits[i], readable[i], said[i])),
            system=ShippedRetrieval(
                *_retrieval(right[i], rows[i], given[i]),
                coverage=wilson(covered[i], rows[i]),
                accuracy_when_answered=wilson(right[i], covered[i]),
                other_share=wilson(rows[i] - covered[i], rows[i]),
            ),
        )
        for i, name in enumerate(names)
    ]


def _retrieval(hits: int, true: int, said: int) -> tuple[Estimate, Estimate, Estimate]:
    """Count recall, precision and F1: the fields of `Retrieval`."""
    shared = wilson(hits, true + said - hits)
    f1 = Estimate(*(2 * share / (1 + share) for share in (shared.value, shared.low, shared.high)))
    return wilson(hits, true), wilson(hits, said), f1


def as_columns(columns: Mapping[str, Iterable[Any]], n: int) -> dict[str, list[str]]:
    """Check columns of n values and turn the values into strings; InputError for another number of values.

    Examples
    --------
    >>> as_columns({"channel": ["mail", 7]}, 2)
    {'channel': ['mail', '7']}
    """
    given = {str(name): as_column(values, f"slice {str(name)!r}") for name, values in columns.items()}
    words = {name: list(map(str, values)) for name, values in given.items()}
    for name, values in words.items():
        if len(values) != n:
            raise InputError(f"slice {name!r} must have a value for each of {n} rows, got {len(values)}")
    return words


def by_slice(
    answers: Answers,
    columns: Mapping[str, list[str]],
    *,
    tokens: NDArray[np.int64] | None = None,
    truncated: Flags | None = None,
) -> dict[str, list[SliceRow]]:
    """Judge the rows of each value of some columns, and of bands of text lengths.

    Parameters
    ----------
    answers : Answers
        Answers of n rows.
    columns : mapping from name to n values
        From `as_columns`. A column called tokens or truncated replaces the built-in column.
    tokens, truncated : (n,), optional
        How long the texts are, and whether they were cut.

    Returns
    -------
    dict of lists of SliceRow
        For each column its values, the most frequent first (lengths in their order); the rarer values are the last row.
    """
    judged: dict[str, list[SliceRow]] = {}
    if tokens is not None:
        judged["tokens"] = _slices(answers, np.searchsorted(LONGEST, tokens, side="left"), _bands())
    if truncated is not None:
        judged["truncated"] = _slices(answers, truncated.astype(np.int64), ["no", "yes"])
    return judged | {name: _by_value(answers, values) for name, values in columns.items()}


def _bands() -> list[str | None]:
    """Name the bands of lengths: up to 16 tokens, 17 to 32, and so on."""
    between = [f"{low + 1} to {high}" for low, high in pairwise(LONGEST)]
    return [f"up to {LONGEST[0]}", *between, f"more than {LONGEST[-1]}"]


def _by_value(answers: Answers, words: list[str]) -> list[SliceRow]:
    ranked = sorted(Counter(words).items(), key=lambda item: (-item[1], item[0]))
    kept: list[str | None] = [word for word, _ in ranked[:MOST_VALUES]]
    place = {word: i for i, word in enumerate(kept)}
    which = np.array([place.get(word, MOST_VALUES) for word in words], dtype=np.int64)
    return _slices(answers, which, [*kept, None], pooled=len(ranked) - len(kept))


def _slices(answers: Answers, which: Codes, values: list[str | None], *, pooled: int = 0) -> list[SliceRow]:
    """Judge the rows of each value; `which` is a row's place among the values."""
    bare = answers.readable & answers.in_scope
    flags = (bare, bare & answers.correct, answers.answered, answers.answered & answers.correct)
    rows, *counts = (np.bincount(which[chosen], minlength=len(values)).tolist() for chosen in (slice(None), *flags))
    return [
        SliceRow(
            value=value,
            pooled=0 if value is not None else pooled,
            rows=n,
            accuracy=wilson(hits, judged),
            coverage=wilson(answered, n),
            accuracy_when_answered=wilson(right, answered),
        )
        for value, n, judged, hits, answered, right in zip(values, rows, *counts, strict=True)
        if n
    ]


def by_out_of_scope_share(answers: Answers) -> OutOfScopeShares:
    """Compute coverage and accuracy of the threshold at other shares of out-of-scope texts."""
    answered = np.where(answers.answered, 1.0, np.nan)
    strata = Strata.of(answered, ~answers.correct, answers.truth, share=1.0)
    at, delta = np.array([1.0]), DELTA * strata.parts
    worst, (f_low, c_high, r_low) = strata.bounds(at, delta), strata.best_bounds(at, delta)
    ends = (worst.f, f_low, worst.f_high), (worst.c, worst.c_low, c_high), (worst.r, r_low, worst.r_high)
    f, c, r = (Estimate(*(float(end[0]) for end in three)) for three in ends)
    c = c if strata.inside.rows else replace(c, value=math.nan)
    return OutOfScopeShares(
        worst_case=not strata.outside.rows,
        in_scope_coverage=c,
        in_scope_risk=r if c.value > 0 else replace(r, value=math.nan),
        out_of_scope_answered=f,
        shares=[AtShare(share, _coverage(share, f, c), _accuracy(share, f, c, r)) for share in SHARES],
    )


def _coverage(pi: float, f: Estimate, c: Estimate) -> Estimate:
    return Estimate(*(pi * a + (1 - pi) * b for a, b in ((f.value, c.value), (f.low, c.low), (f.high, c.high))))


def _accuracy(pi: float, f: Estimate, c: Estimate, r: Estimate) -> Estimate:
    """Combine three shares into an accuracy, which rises with in-scope answers and falls with errors."""
    ends = ((f.value, c.value, r.value), (f.high, c.low, r.high), (f.low, c.high, r.low))
    value, low, high = (1 - float(mixed_risk(pi, *shares)) for shares in ends)
    return Estimate(value if pi * f.value + (1 - pi) * c.value > 0 else math.nan, low if c.low else 0.0, high)
