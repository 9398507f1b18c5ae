"""The same figures by label, by slice of the rows, and by the share of out-of-scope texts among those to come.

The last is the mixture identity: of texts of which a share pi is out-of-scope, f the share of those that is answered,
c the share of the others that is answered and r the risk there, (1 - pi) c (1 - r) / (pi f + (1 - pi) c) of what is
answered is right.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes
from elsewise.errors import InputError
from elsewise.evaluation.answers import Answers, Flags
from elsewise.metrics import Estimate, clopper_pearson_lower, clopper_pearson_upper, wilson

MOST_VALUES = 20  # of a slice; the rarer ones are pooled
LONGEST = (16, 32, 64, 128, 256, 512)  # tokens of a band of lengths
SHARES = (0.0, 0.05, 0.10, 0.20)  # of out-of-scope texts among those to come
DELTA = 0.05 / 2 / 3  # two ends at 95 %, each made of the bounds of three measured shares


def by_label(answers: Answers, labels: Iterable[str]) -> list[dict[str, Any]]:
    """Judge each label, in the order of the labels.

    Returns
    -------
    list of dict
        For each label: `label`; `rows`, the in-scope rows that have it; `classifier`, with recall, precision and f1 of
        the best label on readable in-scope rows; `system`, with the same of what was answered, on all rows, and
        coverage, accuracy_when_answered and other_share on the label's own rows. All with Wilson's intervals; that of
        F1 is of J = hits / (rows that have or got the label), because F1 = 2 J / (1 + J).
    """
    names = list(labels)
    a, k = answers, len(names)

    def count(codes: Codes, chosen: Flags) -> list[int]:
        return np.bincount(codes[chosen], minlength=k).tolist()

    rows, readable = count(a.truth, a.in_scope), count(a.truth, a.in_scope & a.readable)
    said, hits = count(a.best, a.in_scope & a.readable), count(a.truth, a.correct)
    covered, given = count(a.truth, a.in_scope & a.answered), count(a.decided, a.answered)
    right = count(a.truth, a.correct & a.answered)
    return [
        {
            "label": name,
            "rows": rows[i],
            "classifier": _retrieval(hits[i], readable[i], said[i]),
            "system": {
                **_retrieval(right[i], rows[i], given[i]),
                "coverage": wilson(covered[i], rows[i]),
                "accuracy_when_answered": wilson(right[i], covered[i]),
                "other_share": wilson(rows[i] - covered[i], rows[i]),
            },
        }
        for i, name in enumerate(names)
    ]


def _retrieval(hits: int, true: int, said: int) -> dict[str, Estimate]:
    shared = wilson(hits, true + said - hits)
    f1 = Estimate(*(2 * share / (1 + share) for share in (shared.value, shared.low, shared.high)))
    return {"recall": wilson(hits, true), "precision": wilson(hits, said), "f1": f1}


def as_columns(columns: Mapping[str, Iterable[Any]], n: int) -> dict[str, list[str]]:
    """Check columns of n values at the door; values are compared as strings.

    Raises
    ------
    InputError
        If a column does not have n values.

    Examples
    --------
    >>> as_columns({"channel": ["mail", 7]}, 2)
    {'channel': ['mail', '7']}
    """
    words = {str(name): [str(value) for value in values] for name, values in columns.items()}
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
) -> dict[str, list[dict[str, Any]]]:
    """Judge the rows of each value of some columns, and of some lengths.

    Parameters
    ----------
    answers : Answers
        Of n rows.
    columns : mapping from name to n values
        As `as_columns` gives them. One called tokens or truncated takes the place of ours.
    tokens, truncated : (n,), optional
        How long the texts are, and whether they were cut.

    Returns
    -------
    dict of lists
        For each column its values, the most frequent first (lengths in their order): `value`; `pooled`, 0, or for
        the last entry the number of rarer values in it, whose `value` is None; `rows`; accuracy of the best label on
        readable in-scope rows; coverage and accuracy_when_answered on all rows, with Wilson's intervals.
    """
    judged: dict[str, list[dict[str, Any]]] = {}
    if tokens is not None:
        judged["tokens"] = _slices(answers, np.searchsorted(LONGEST, tokens, side="left"), _bands())
    if truncated is not None:
        judged["truncated"] = _slices(answers, truncated.astype(np.int64), ["no", "yes"])
    return judged | {name: _by_value(answers, values) for name, values in columns.items()}


def _bands() -> list[str | None]:
    """Name the bands of lengths: up to 16 tokens, 17 to 32, and so on."""
    between = [f"{low + 1} to {high}" for low, high in pairwise(LONGEST)]
    return [f"up to {LONGEST[0]}", *between, f"more than {LONGEST[-1]}"]


def _by_value(answers: Answers, words: list[str]) -> list[dict[str, Any]]:
    ranked = sorted(Counter(words).items(), key=lambda item: (-item[1], item[0]))
    kept: list[str | None] = [word for word, _ in ranked[:MOST_VALUES]]
    place = {word: i for i, word in enumerate(kept)}
    which = np.array([place.get(word, MOST_VALUES) for word in words], dtype=np.int64)
    return _slices(answers, which, [*kept, None], pooled=len(ranked) - len(kept))


def _slices(answers: Answers, which: Codes, values: list[str | None], *, pooled: int = 0) -> list[dict[str, Any]]:
    """Judge the rows of each value that some rows have; `which` is its place among the values."""
    bare = answers.readable & answers.in_scope
    flags = (bare, bare & answers.correct, answers.answered, answers.answered & answers.correct)
    rows, *counts = (np.bincount(which[chosen], minlength=len(values)).tolist() for chosen in (slice(None), *flags))
    return [
        {
            "value": value,
            "pooled": 0 if value is not None else pooled,
            "rows": n,
            "accuracy": wilson(hits, judged),
            "coverage": wilson(answered, n),
            "accuracy_when_answered": wilson(right, answered),
        }
        for value, n, judged, hits, answered, right in zip(values, rows, *counts, strict=True)
        if n
    ]


def by_out_of_scope_share(answers: Answers) -> dict[str, Any]:
    """Say what the same threshold does when another share of the texts is out-of-scope.

    Returns
    -------
    dict
        The three measured shares, with exact intervals: in_scope_coverage, in_scope_risk and out_of_scope_answered;
        `worst_case`, true without out-of-scope rows, when all such texts are taken to be answered; and `shares`, for
        each share of out-of-scope texts coverage and accuracy_when_answered. Their ends hold at 95 % (Bonferroni, over
        the three).
    """
    outside, answered = ~answers.in_scope, answers.answered
    inside = int((~outside).sum())
    covered, right = int((answered & ~outside).sum()), int((answered & answers.correct).sum())
    worst_case = not outside.any()
    c, r = _exact(covered, inside), _exact(covered - right, covered)
    f = Estimate(1.0, 1.0, 1.0) if worst_case else _exact(int((answered & outside).sum()), int(outside.sum()))
    return {
        "worst_case": worst_case,
        "in_scope_coverage": c,
        "in_scope_risk": r,
        "out_of_scope_answered": f,
        "shares": [
            {"share": pi, "coverage": _coverage(pi, f, c), "accuracy_when_answered": _accuracy(pi, f, c, r)}
            for pi in SHARES
        ],
    }


def _exact(k: int, n: int) -> Estimate:
    """Give a share with its exact bounds, each at the level that three of them need to hold together."""
    value = k / n if n else math.nan
    return Estimate(value, float(clopper_pearson_lower(k, n, DELTA)), float(clopper_pearson_upper(k, n, DELTA)))


def _coverage(pi: float, f: Estimate, c: Estimate) -> Estimate:
    return Estimate(*(pi * a + (1 - pi) * b for a, b in ((f.value, c.value), (f.low, c.low), (f.high, c.high))))


def _accuracy(pi: float, f: Estimate, c: Estimate, r: Estimate) -> Estimate:
    """Combine three shares: more in-scope answers, fewer others and fewer errors can only raise it."""
    value = _mixed(pi, f.value, c.value, r.value if c.value else 0.0, nothing=math.nan)
    return Estimate(
        value, _mixed(pi, f.high, c.low, r.high, nothing=0.0), _mixed(pi, f.low, c.high, r.low, nothing=1.0)
    )


def _mixed(pi: float, f: float, c: float, r: float, *, nothing: float) -> float:
    """Share of right ones among the answered; `nothing` where none is answered.

    Examples
    --------
    A tenth out-of-scope, a tenth of those answered; of the others 0.9, with risk 0.02: 1 - 0.0320.

    >>> round(_mixed(0.1, 0.1, 0.9, 0.02, nothing=0.0), 4)
    0.968
    """
    answered = pi * f + (1 - pi) * c
    return (1 - pi) * c * (1 - r) / answered if answered else nothing
