"""Renaming and dropping of labels while a file is read.

Rules apply to the labels in the file, and a label is renamed once: with ``a=b`` and ``b=c``, a becomes b.
"""

import shlex
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Self

from elsewise.errors import InputError

BLANKS = str.maketrans("_-", "  ")
DOTS = str.maketrans({"\N{LATIN SMALL LETTER DOTLESS I}": "i", "\N{COMBINING DOT ABOVE}": None})
NEAR_SHOWN = 3


def label_form(label: str) -> str:
    """Normalise a label: without case, extra blanks, underscores, dots on the i and differences of Unicode form.

    Examples
    --------
    >>> label_form(" İade_Talebi") == label_form("IADE  TALEBİ")
    True
    """
    visible = "".join(c for c in unicodedata.normalize("NFKC", label) if unicodedata.category(c) not in ("Cf", "Cc"))
    return " ".join(visible.casefold().translate(DOTS).translate(BLANKS).split())


def near_duplicates(labels: Iterable[str]) -> list[list[str]]:
    """Group labels of equal `label_form`: groups of two or more, in the order of their first labels.

    Examples
    --------
    >>> near_duplicates(["Fatura", "Kargo", "fatura "])
    [['Fatura', 'fatura ']]
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        groups[label_form(label) or label].append(label)
    return [group for group in groups.values() if len(group) > 1]


@dataclass(frozen=True, slots=True)
class Relabelling:
    """New names of labels, and labels to drop."""

    new: Mapping[str, str]
    dropped: frozenset[str]

    @classmethod
    def of(cls, maps: Sequence[str], dropped: Sequence[str], known: Collection[str]) -> Self:
        """Parse rules like ``old=new``, given the known labels.

        A label may hold ``=``: the rule is split where its left side is a label. InputError if a label is unknown, or a
        rule is ambiguous, names no new label or contradicts an earlier rule.

        Examples
        --------
        >>> Relabelling.of(["a=b=c"], [], {"a=b"}).new
        {'a=b': 'c'}
        """
        new: dict[str, str] = {}
        for rule in maps:
            old, name = _parted(rule, known)
            if new.setdefault(old, name) != name:
                raise InputError(f"--map renames {old!r} twice, to {new[old]!r} and to {name!r}; keep one of them")
        for label in dropped:
            if label not in known:
                raise InputError(f"--drop-label {label!r}: {_absent(label, known)}")
            if label in new:
                raise InputError(f"label {label!r} is both renamed and dropped; keep --map or --drop-label")
        return cls(new, frozenset(dropped))

    def __call__(self, label: str) -> str | None:
        """Return the new label, or None for a row to leave out."""
        return None if label in self.dropped else self.new.get(label, label)


def _parted(rule: str, known: Collection[str]) -> tuple[str, str]:
    ways = [(rule[:at], rule[at + 1 :]) for at, sign in enumerate(rule) if sign == "="]
    if not ways:
        raise InputError(f'--map takes "old=new", got {rule!r}')
    possible = [way for way in ways if way[0] in known]
    if not possible:
        raise InputError(f"--map {rule!r}: {_absent(ways[0][0], known)}")
    if len(possible) > 1:
        (old, new), (other, newer) = possible[:2]
        meanings = f"{old!r} to {new!r} or {other!r} to {newer!r}"
        raise InputError(f"--map {rule!r} can mean {meanings}; rename one of them in the file")
    if not possible[0][1].strip():
        raise InputError(f"--map {rule!r} has no new label after the =; --drop-label leaves a label out")
    return possible[0]


def near_labels(label: str, known: Collection[str]) -> list[str]:
    """Find the known labels that are written nearly as a label, the nearest first.

    Examples
    --------
    >>> near_labels("refnd", ["delivery", "refund"]), near_labels("Refund ", ["refunds", "refund"])
    (['refund'], ['refund'])
    """
    same = [name for name in known if label_form(name) == label_form(label)]
    return (sorted(same) or get_close_matches(label, sorted(known), NEAR_SHOWN))[:NEAR_SHOWN]


def _absent(label: str, known: Collection[str]) -> str:
    near = near_labels(label, known)
    words = f"; near it: {', '.join(map(repr, near))}" if near else ""
    return f"no row has the label {label!r}{words}"


def label_codes(
    names: Iterable[str], out_of_scope_label: str | None = None, unknown: Counter[str] | None = None
) -> Callable[[str], int]:
    """Make the function from a label to its code; it accepts codes too, unless some label is a number.

    Unknown labels are counted in `unknown`, as -1; without it they are refused.

    Examples
    --------
    >>> code_of = label_codes(["yes", "no"])
    >>> code_of("no"), code_of("-1")
    (1, -1)
    """
    known = {name: code for code, name in enumerate(names)}
    numbers = {} if any(name.strip().isdigit() for name in known) else {str(code): code for code in range(len(known))}
    if out_of_scope_label in known:
        raise InputError(f"{out_of_scope_label!r} is one of the model's labels, and cannot mark other texts")
    numbers |= {"-1": -1} if out_of_scope_label is None else {out_of_scope_label: -1}

    def code_of(label: str) -> int:
        code = known.get(label, numbers.get(label.strip()))
        if code is None and unknown is not None:
            unknown[label] += 1
            return -1
        if code is None:
            remedy = "name the columns with --names"
            if any(name != str(i) for i, name in enumerate(known)):
                remedy = f"if it marks out-of-scope rows, add --out-of-scope-label {shlex.quote(label)}"
            raise InputError(f"label {label!r} is neither one of the {len(known)} names nor a code; {remedy}")
        return code

    return code_of
