"""Checks of arrays: logits, probabilities and codes are checked here once and trusted afterwards.

Accepted: numpy, lists, torch, TensorFlow and JAX arrays, and the outputs of `transformers` models and trainers.
Nothing here guesses whether numbers are logits or probabilities: the caller says which.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from elsewise.errors import InputError

Floats: TypeAlias = NDArray[np.floating[Any]]
Codes: TypeAlias = NDArray[np.int64]

LARGEST_CODE = 2**53  # floats above are whole numbers too, and do not tell neighbours apart
ABSTAIN = -1  # a code, never a label: the word shown for it ("Other", "Unclassified") is the caller's
NO_VALUE = ("NAType", "NaTType")  # pandas' NA and NaT, which neither equal themselves nor differ from themselves
COLUMNS_SHOWN = 5
BLOCK = 1 << 17  # numbers worked on at a time, so that they stay in the processor's cache
LOWEST = -1e30  # a logit at or below it marks a label that cannot be; sums of such numbers stay finite
FINITE = "logits must be finite, or minus infinity for a label that cannot be"
SUM_TOLERANCE = 1e-2  # 50 probabilities rounded to three decimals, or made in bfloat16, still pass


def to_numpy(values: Any) -> NDArray[Any]:
    """Convert any framework's array, or the logits (n, k) of a `transformers` output, to numpy in the same shape.

    Half precision (float16, bfloat16) becomes float32: in float16 ``exp(12)`` is already infinite.
    """
    for field in ("logits", "predictions"):  # ModelOutput, PredictionOutput
        values = getattr(values, field, values)
    if isinstance(values, tuple) and values and hasattr(values[0], "shape") and len(values[0].shape) > 1:
        values = values[0]  # (logits, hidden states, ...), as transformers gives with return_dict=False
    if hasattr(values, "detach"):  # torch
        values = values.detach().cpu()
        values = values.float() if values.is_floating_point() and values.element_size() < 4 else values  # noqa: PLR2004
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InputError(f"rows must have equal lengths: {error}") from error
    is_half = array.dtype == np.float16 or array.dtype.name == "bfloat16"
    return array.astype(np.float32) if is_half else array


def _as_rows(values: Any, name: str) -> Floats:
    array = to_numpy(values)
    if array.dtype.kind not in "fiu":
        raise InputError(f"{name} must be numbers, got {array.dtype}")
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    if array.ndim != 2 or array.shape[1] < 2:  # noqa: PLR2004
        raise InputError(f"{name} must have shape (n, k) with k >= 2, got {array.shape}")
    return array


def _refuse(bad: NDArray[np.bool_], what: str) -> None:
    if bad.any():
        raise InputError(f"{what}: {int(bad.sum())} of {len(bad)} rows are not, first is row {int(np.argmax(bad))}")


def as_logits(values: Any) -> Floats:
    """Check logits: shape (n, k) with k >= 2, finite, float32 or float64; copied only where needed.

    Minus infinity marks a label that cannot be, and becomes -1e30. InputError for any other shape, text, NaN, plus
    infinity, or a row without a label that can be; the message names the first row.

    Examples
    --------
    >>> as_logits([[1, 2, 3]]).dtype
    dtype('float64')
    >>> as_logits([[1, 2], [3, float("nan")]])
    Traceback (most recent call last):
    elsewise.errors.InputError: logits must be finite, or minus infinity for a label that cannot be: 1 of 2 rows are not, first is row 1
    """  # noqa: E501
    z = _as_rows(values, "logits")
    _refuse(~np.isfinite(z.max(axis=1)), FINITE)
    return _floored(z)


def readable_logits(z: Floats) -> Floats:
    """Make rows (n, k) NaN as a whole where `as_logits` would refuse them; minus infinity elsewhere becomes -1e30.

    Examples
    --------
    >>> readable_logits(np.array([[0.5, -np.inf], [np.inf, 0.0]])).tolist()
    [[0.5, -1e+30], [nan, nan]]
    """
    unreadable = ~np.isfinite(z.max(axis=1))
    return _floored(np.where(unreadable[:, None], z.dtype.type(np.nan), z) if unreadable.any() else z)


def _floored(z: Floats) -> Floats:
    return np.maximum(z, z.dtype.type(LOWEST)) if (z < LOWEST).any() else z


def as_probabilities(values: Any, *, allow_nan_rows: bool = False) -> Floats:
    """Check probabilities: shape (n, k), rows >= 0 that sum to 1 within 0.01.

    With `allow_nan_rows`, a row that holds NaN (an unreadable text) passes, and all of it becomes NaN.

    Examples
    --------
    >>> as_probabilities([[0.2, 0.9]])
    Traceback (most recent call last):
    elsewise.errors.InputError: rows of probabilities must be >= 0 and sum to 1 (of logits, take the softmax): 1 of 1 rows are not, first is row 0
    """  # noqa: E501
    p = _as_rows(values, "probabilities")
    lowest = p.min(axis=1, initial=0)  # NaN where the row holds NaN
    missing = np.isnan(lowest)
    sums = p.sum(axis=1, dtype=np.float64, where=(lowest >= 0)[:, None])
    good = (np.abs(sums - 1) <= SUM_TOLERANCE) & (lowest >= 0)
    if allow_nan_rows:
        good |= missing
    _refuse(~good, "rows of probabilities must be >= 0 and sum to 1 (of logits, take the softmax)")
    if missing.any():
        p = np.where(missing[:, None], p.dtype.type(np.nan), p)
    return p


def as_codes(values: Any, *, like: Floats, allow_abstain: bool = False) -> Codes:
    """Check true codes: shape (n,), whole numbers 0..k-1 for the (n, k) array `like`.

    With `allow_abstain`, -1 marks an out-of-scope row: a text that belongs to none of the labels.

    Examples
    --------
    >>> as_codes([0, 2], like=np.zeros((2, 2)))
    Traceback (most recent call last):
    elsewise.errors.InputError: codes must lie in 0..1, got 2 in row 1
    """
    array = to_numpy(values)
    if array.shape != like.shape[:1]:
        raise InputError(f"codes must have shape {like.shape[:1]}, one for each row, got {array.shape}")
    if array.dtype.kind == "f" and (np.abs(array) < LARGEST_CODE).all() and np.array_equal(array, np.rint(array)):
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu" and array.size:
        raise InputError(f"codes must be whole numbers, 0 for the first label, got {array.dtype}")
    lowest = ABSTAIN if allow_abstain else 0
    bad = (array < lowest) | (array >= like.shape[1]) if array.size else np.zeros(0, dtype=bool)
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(f"codes must lie in {lowest}..{like.shape[1] - 1}, got {array[row]} in row {row}")
    return array.astype(np.int64)


def as_column(values: Any, name: str) -> list[Any]:
    """List the values of one column: a list, a tuple, an array, a column of a data frame, or a generator.

    InputError for what has its values in no order or in several columns: a data frame, whose column names would pass
    for values, a mapping, a set, a single string, or an array of rows.

    Examples
    --------
    >>> as_column({"text": ["one"], "label": ["a"]}, "texts")
    Traceback (most recent call last):
    elsewise.errors.InputError: texts must be one column, got a dict of 'text', 'label'; pass one of them, as in data['text']
    """  # noqa: E501
    if isinstance(values, str | bytes):
        raise InputError(f"{name} must be a list of strings, got one {type(values).__name__}; put it in a list")
    kind, columns = type(values).__name__, _columns_of(values)
    if columns:
        named = f"a {kind} of {', '.join(map(repr, columns[:COLUMNS_SHOWN]))}{', ...' * (len(columns) > COLUMNS_SHOWN)}"
        if twice := [column for column, times in Counter(columns).items() if times > 1]:
            raise InputError(f"{name} must be one column, and several of {named} are called {twice[0]!r}; rename them")
        variable = "data" if isinstance(values, Mapping) else "frame.collect()" if kind == "LazyFrame" else "frame"
        raise InputError(f"{name} must be one column, got {named}; pass one of them, as in {variable}[{columns[0]!r}]")
    if isinstance(values, Mapping | set | frozenset) or not np.iterable(values):
        raise InputError(f"{name} must be a list or an array, got {kind}")
    if len(shape := getattr(values, "shape", (0,))) != 1:
        raise InputError(f"{name} must be one column, got an array of shape {tuple(shape)}")
    return values.to_pylist() if hasattr(values, "to_pylist") else list(values)  # a column of pyarrow


def _columns_of(values: Any) -> list[Any]:
    """Name the columns of a data frame or a table of any library, or the keys of a mapping; none for a column."""
    if hasattr(values, "collect_schema"):  # polars: the names of a lazy frame would warn
        return list(values.collect_schema().names())
    columns = values if isinstance(values, Mapping) else getattr(values, "column_names", getattr(values, "columns", ()))
    return list(columns) if np.iterable(columns) else []


def is_missing(value: Any) -> bool:
    """Tell whether a value of a column is missing: None, NaN, or what pandas writes for it.

    Examples
    --------
    >>> is_missing(None), is_missing(float("nan")), is_missing("nan")
    (True, True, False)
    """
    is_nan = isinstance(value, float | np.floating) and bool(np.isnan(value))
    return value is None or is_nan or type(value).__name__ in NO_VALUE


def as_texts(values: Iterable[str | None]) -> list[str]:
    """Check texts: any column of strings. A missing one becomes the empty text, which no model reads.

    InputError if they are not one column (see `as_column`), or one is neither a string nor missing.

    Examples
    --------
    >>> as_texts(["one", None])
    ['one', '']
    >>> as_texts(["one", 2])
    Traceback (most recent call last):
    elsewise.errors.InputError: texts must be strings, got int in row 1
    """
    texts = as_column(values, "texts")
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            if not is_missing(text):
                raise InputError(f"texts must be strings, got {type(text).__name__} in row {row}")
            texts[row] = ""
    return texts


def as_labels(values: Iterable[Any]) -> tuple[str, ...]:
    """Check the names of labels, in the order of the columns: at least two, all different.

    Examples
    --------
    >>> as_labels(["yes", "no"])
    ('yes', 'no')
    >>> as_labels({"yes", "no"})
    Traceback (most recent call last):
    elsewise.errors.InputError: labels must be a list of names in the order of the columns, got a set
    """
    if isinstance(values, str | bytes | Mapping | set | frozenset) or not isinstance(values, Iterable):
        raise InputError(f"labels must be a list of names in the order of the columns, got a {type(values).__name__}")
    given = as_column(values, "labels")
    names = tuple(str(value.value if isinstance(value, Enum) else value) for value in given)
    if len(names) < 2:  # noqa: PLR2004
        raise InputError(f"there must be at least 2 labels, got {len(names)}")
    if len(set(names)) < len(names):
        times = Counter(names)
        raise InputError(f"labels must differ, got {next(name for name in times if times[name] > 1)!r} twice")
    return names


def label_word(value: Any) -> str | None:
    """Write a label as a word; None for what is none.

    Whole numbers are words, also as floats, as pandas writes them beside a missing value. So are booleans, scalars of
    any framework, and members of an enumeration of them.

    Examples
    --------
    >>> label_word("refund"), label_word(np.float64(2)), label_word(np.True_), label_word(2.5), label_word(" ")
    ('refund', '2', 'True', None, None)
    """
    value = value.value if isinstance(value, Enum) else value
    value = value.item() if hasattr(value, "item") and not getattr(value, "shape", ()) else value
    if isinstance(value, float) and value.is_integer() and abs(value) < LARGEST_CODE:
        value = int(value)
    return str(value) if isinstance(value, str | int) and str(value).strip() else None


def label_words(values: Iterable[Any]) -> list[str]:
    """Write a column of labels as words; InputError, with its row, for the first that is none."""
    given = as_column(values, "labels")
    words = [label_word(value) for value in given]
    if None in words:
        row = words.index(None)
        raise InputError(f"labels must be words or whole numbers, got {given[row]!r} in row {row}")
    return [word for word in words if word is not None]


def row_blocks(array: NDArray[Any], numbers: int = BLOCK) -> Iterator[slice]:
    """Divide the rows of an (n, d) array into slices of about `numbers` numbers, to bound memory.

    Examples
    --------
    >>> [(rows.start, rows.stop) for rows in row_blocks(np.zeros((5, 2)), numbers=4)]
    [(0, 2), (2, 4), (4, 6)]
    """
    step = max(1, numbers // max(array.shape[1], 1))
    return (slice(start, start + step) for start in range(0, len(array), step))


def softmax(logits: Any) -> Floats:
    """Probabilities of logits (k,) or (n, k), in the same shape, without overflow.

    Minus infinity marks an impossible label. A row of minus infinities alone, NaN and plus infinity are refused.

    Examples
    --------
    >>> softmax([1.5, 0.8, -0.2]).round(6).tolist()
    [0.595497, 0.295715, 0.108788]
    >>> softmax([[1000, 1000, 0]]).tolist()
    [[0.5, 0.5, 0.0]]
    """
    z, is_vector = _rows_for_softmax(logits)
    # Shifting by the row maximum leaves the result unchanged and keeps exp() from overflowing.
    p = z - z.max(axis=1, keepdims=True)
    np.exp(p, out=p)
    p /= p.sum(axis=1, keepdims=True)
    return p[0] if is_vector else p


def log_softmax(logits: Any) -> Floats:
    """Log-probabilities of logits (k,) or (n, k), in the same shape; finite where probabilities would round to zero.

    Examples
    --------
    >>> log_softmax([1000.0, 0.0]).tolist()
    [0.0, -1000.0]
    """
    z, is_vector = _rows_for_softmax(logits)
    shifted = z - z.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted[0] if is_vector else shifted


def true_log_softmax(logits: Floats, codes: Codes) -> Floats:
    """Log-probabilities of the true labels, (n,), from checked logits (n, k) and codes (n,)."""
    return log_softmax(logits)[np.arange(len(codes)), codes]


def log_losses(p: Floats, codes: Codes) -> NDArray[np.float64]:
    """Log loss of each row, (n,), 0 or more, from checked probabilities (n, k) and codes (n,).

    Probabilities are floored at the smallest normal number of their dtype: some threads flush smaller ones to 0.

    Examples
    --------
    >>> (log_losses(np.array([[0.5, 0.5], [0.75, 0.25]]), np.array([0, 1])) / np.log(2)).tolist()
    [1.0, 2.0]
    """
    true = np.maximum(p[np.arange(len(codes)), codes], np.finfo(p.dtype).tiny, dtype=np.float64)
    # A row may sum to 1.01, so that its log loss is a little below 0.
    return np.maximum(-np.log(true), 0.0)


def map_rows(function: Callable[[Floats], Any], array: Floats) -> Any:
    """Apply a function of rows (b, k) to an array (n, k) block by block, to bound the memory of its temporaries.

    Examples
    --------
    >>> map_rows(lambda rows: rows.sum(axis=1), np.ones((3, 2))).tolist()
    [2.0, 2.0, 2.0]
    """
    blocks = [function(array[rows]) for rows in row_blocks(array)]
    return np.concatenate(blocks) if blocks else function(array)


def log_sum_exp(logits: Floats) -> NDArray[np.float64]:
    """Log-sum-exp of each row of logits (n, k), shape (n,), in float64; NaN for a row that holds NaN.

    Examples
    --------
    >>> log_sum_exp(np.array([[1000.0, 1000.0]])).round(4).tolist()
    [1000.6931]
    """

    def of(rows: Floats) -> NDArray[np.float64]:
        top = rows.max(axis=1).astype(np.float64)
        return np.asarray(top + np.log(np.exp(rows - top[:, None]).sum(axis=1)))

    return np.asarray(map_rows(of, logits))


def _rows_for_softmax(logits: Any) -> tuple[Floats, bool]:
    array = to_numpy(logits)
    z = _as_rows(array[None, :] if array.ndim == 1 else array, "logits")
    top = z.max(axis=1)  # NaN where the row holds NaN
    _refuse(~np.isfinite(top), FINITE)
    return z, array.ndim == 1
