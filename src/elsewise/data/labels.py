"""Renaming and dropping of labels while a file is read.

Rules apply to the labels in the file, and a label is renamed once: with ``a=b`` and ``b=c``, a becomes b.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Self

from elsewise.errors import InputError

BLANKS = str.maketrans("_-", "  ")
DOTS = str.maketrans({"\N{LATIN SMALL LETTER DOTLESS I}": "i", "\N{COMBINING DOT ABOVE}": None})
WHOLE = re.compile(r"(-?\d+)[.,]0{1,2}")  # 2.0 of pandas beside a missing value, and 2,0 of Turkish Excel
NEAR_SHOWN = 3


def label_form(label: str) -> str:
    """Normalise a label: no case, extra blanks, underscores, dots on the i, other Unicode forms, and 2 for 2.0.

    Examples
    --------
    >>> label_form(" İade_Talebi") == label_form("IADE  TALEBİ")
    True
    """
    visible = "".join(c for c in unicodedata.normalize("NFKC", label) if unicodedata.category(c) not in ("Cf", "Cc"))
    plain = " ".join(visible.casefold().translate(DOTS).translate(BLANKS).split())
    return WHOLE.sub(r"\1", plain) if WHOLE.fullmatch(plain) else plain


def own_labels(labels: Iterable[str], known: Iterable[str]) -> list[str | None]:
    """Find labels among known ones: each the same, or the only one that is written otherwise; else None.

    Written otherwise are other Unicode forms, 2.0 or 2,0 for 2, and true for True.

    Examples
    --------
    >>> own_labels(["2.0", "u\N{COMBINING DIAERESIS}", "true", "Refund"], ["2", "ü", "True", "refund"])
    ['2', 'ü', 'True', None]
    """
    return list(map(label_finder(known), labels))


def label_finder(known: Iterable[str]) -> Callable[[str], str | None]:
    """Make the function that finds one label as `own_labels` does."""
    names = dict.fromkeys(known)
    alike: dict[str, list[str]] = defaultdict(list)
    for name in names:
        alike[_plain(name)].append(name)

    @cache
    def find(label: str) -> str | None:
        own = [label] if label in names else alike.get(_plain(label), [])
        return own[0] if len(own) == 1 else None

    return find


def _plain(label: str) -> str:
    form = unicodedata.normalize("NFC", label)
    whole = WHOLE.fullmatch(form)
    return whole[1] if whole else form.lower() if form.lower() in ("true", "false") else form


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
                raise InputError(f"maps= renames {old!r} twice, to {new[old]!r} and to {name!r}; keep one of them")
        gone: list[str] = []
        for label, own in zip(dropped, own_labels(dropped, known), strict=True):
            if own is None:
                raise InputError(f"dropped={label!r}: {_absent(label, known)}")
            if own in new:
                raise InputError(f"label {label!r} is both renamed and dropped; keep maps= or dropped=")
            gone.append(own)
        return cls(new, frozenset(gone))

    def __call__(self, label: str) -> str | None:
        """Return the new label, or None for a row to leave out."""
        return None if label in self.dropped else self.new.get(label, label)


def _parted(rule: str, known: Collection[str]) -> tuple[str, str]:
    ways = [(rule[:at], rule[at + 1 :]) for at, sign in enumerate(rule) if sign == "="]
    if not ways:
        raise InputError(f'maps= takes "old=new", got {rule!r}')
    own = own_labels((old for old, _ in ways), known)
    possible = [(old, new) for old, (_, new) in zip(own, ways, strict=True) if old is not None]
    if not possible:
        raise InputError(f"maps={rule!r}: {_absent(ways[0][0], known)}")
    if len(possible) > 1:
        (old, new), (other, newer) = possible[:2]
        meanings = f"{old!r} to {new!r} or {other!r} to {newer!r}"
        raise InputError(f"maps={rule!r} can mean {meanings}; rename one of them in the file")
    if not possible[0][1].strip():
        raise InputError(f"maps={rule!r} has no new label after the =; dropped= leaves a label out")
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

    A label may be written otherwise, see `own_labels`, and a code with a decimal: 2.0. Unknown labels are counted in
    `unknown`, as -1; without it they are refused.

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

    name_of, number_of = label_finder(known), label_finder(numbers)

    def code_of(label: str) -> int:
        name, number = name_of(label), number_of(label.strip())
        if name is not None:
            return known[name]
        if number is None and unknown is not None:
            unknown[label] += 1
            return -1
        if number is None:
            remedy = "name the columns with names="
            if any(name != str(i) for i, name in enumerate(known)):
                remedy = f"if it marks out-of-scope rows, add out_of_scope_label={label!r}"
            raise InputError(f"label {label!r} is neither one of the {len(known)} names nor a code; {remedy}")
        return numbers[number]

    return code_of
