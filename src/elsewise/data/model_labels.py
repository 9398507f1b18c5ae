"""Labels of a model that is trained already, and of the rows that it is calibrated on: both must be the same words."""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from elsewise.arrays import as_column, as_labels, label_words
from elsewise.data.labels import label_finder, label_form
from elsewise.errors import InputError
from elsewise.messages.wording import counted, listed

UNNAMED: Final = re.compile(r"LABEL_\d+")  # what `transformers` calls a label that nobody has named
SHOWN: Final = 20


def settle_labels(
    own: Sequence[str], rows: Sequence[Iterable[Any]], names: Iterable[Any] | None = None, outside: str | None = None
) -> tuple[tuple[str, ...], list[list[str]]]:
    """Settle what a model's labels are called, in the order of its codes, and the labels of rows.

    Parameters
    ----------
    own : k strings
        The labels that the model knows.
    rows : sequences of labels
        Labels of one or several files. Whole numbers are codes, unless a label of the model is a number. A label may be
        written otherwise, see `own_labels`.
    names : k strings, optional
        What to call the labels instead. Without names, a model that knows only LABEL_0, LABEL_1, ... is taken to know
        the codes: "0", "1", ...
    outside : str, optional
        The label of out-of-scope rows.

    Raises
    ------
    InputError
        If names do not fit the model, or rows have a label that the model does not have.

    Examples
    --------
    >>> settle_labels(["money", "login"], [[1, 0], ["money"]])
    (('money', 'login'), [['login', 'money'], ['money']])
    >>> settle_labels(["LABEL_0", "LABEL_1"], [["1", "0"]])
    (('0', '1'), [['1', '0']])
    """
    columns = [as_column(part, "labels") for part in rows]
    own_or_codes = [*own, *([] if names is None else as_labels(names)), *map(str, range(len(own))), outside or own[0]]
    find = label_finder(own_or_codes)
    words = [[find(word) or word for word in label_words(part)] for part in columns]
    given = [list(zip(*both, strict=True)) for both in zip(columns, words, strict=True)]
    found = Counter(word for part in given for _, word in part if word != outside)
    known = _known(own, names, found)
    has_numbers = any(re.fullmatch(r"-?\d+", name.strip()) for name in known)
    codes = {} if has_numbers else {str(code): name for code, name in enumerate(known)}
    read = [[codes.get(word, word) if _is_number(label) else word for label, word in part] for part in given]
    unknown = Counter(word for part in read for word in part if word not in known and word != outside)
    if unknown:
        raise _refusal(known, unknown)
    return known, read


def is_unnamed(names: Iterable[str]) -> bool:
    """Tell whether nobody has named the labels of a `transformers` model.

    Examples
    --------
    >>> is_unnamed(["LABEL_0", "LABEL_1"]), is_unnamed(["LABEL_0", "refund"])
    (True, False)
    """
    return all(UNNAMED.fullmatch(name) for name in names)


def _known(own: Sequence[str], names: Iterable[Any] | None, found: Iterable[str]) -> tuple[str, ...]:
    if names is not None:
        given = as_labels(names)
        if len(given) != len(own):
            raise InputError(f"names= must name each of the model's {len(own):,} labels, got {len(given):,} names")
        if given != tuple(own) and set(given) == set(own):
            raise InputError("names= has the model's labels in another order; leave it out, the model knows the order")
        return given
    if not is_unnamed(own) or set(found) <= set(own):
        return tuple(own)
    codes = tuple(map(str, range(len(own))))
    if not set(found) <= set(codes):
        theirs, rows = f"{own[0]} to {own[-1]}", listed(map(repr, sorted(set(found))), most=SHOWN)
        remedy = "say what they are called, in the order of its codes: names="
        raise InputError(f"nobody has named the labels of the model ({theirs}), and the rows have {rows}; {remedy}")
    return codes


def _is_number(label: Any) -> bool:
    return isinstance(label, int | float | np.integer | np.floating) and not isinstance(label, bool)


def _refusal(known: Sequence[str], unknown: Mapping[str, int]) -> InputError:
    """Say which labels of the rows are not the model's, and how to mend them."""
    theirs = listed(map(repr, known), most=SHOWN)
    rows = listed((f"{word!r} ({counted(count, 'row')})" for word, count in unknown.items()), most=SHOWN)
    has = f"the rows have labels that the model does not have: {rows}; it has {theirs}"
    codes = {str(code): name for code, name in enumerate(known)}
    if unknown.keys() <= codes.keys():
        rules = [f"{code}={name}" for code, name in codes.items() if code in unknown]
        return InputError(f"{has}; if they are its codes, pass whole numbers", typed=_typed(rules))
    forms = {label_form(name): name for name in known}
    alike = [f"{word}={forms[label_form(word)]}" for word in unknown if label_form(word) in forms]
    remedy = "mark those that belong to none by out_of_scope_label=, drop them, or rename them"
    return InputError(f"{has}; {remedy}", typed=_typed(alike or ["OLD=NEW"]))


def _typed(rules: Iterable[str]) -> str:
    return " ".join(f"--map {shlex.quote(rule)}" for rule in rules)
