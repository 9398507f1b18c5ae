"""The kinds of a model's numbers, as the caller or a library states them, and the logits that they mean.

Nothing here guesses: numbers that contradict the stated kind are refused, with what they look like.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import SUM_TOLERANCE, Floats, readable_logits, to_numpy
from elsewise.errors import InputError, warn_caller

KINDS: Final = ("logits", "probabilities", "log_probabilities", "sigmoid")
SMALLEST: Final = 1e-12  # replaces a probability of zero
SUMS_TO_ONE: Final = 1e-3  # by chance no logits do, row after row; float16 probabilities of many labels do
ROWS_FOR_SIGNS: Final = 32  # below, rows that are all unsure may be an accident
LOG_ROUNDING: Final = 1e-3  # of float16
SURE: Final = 0.99

Numbers = NDArray[np.int64]  # of the rows, where some that hold NaN are left out


def to_logits(values: Any, kind: str, k: int) -> Floats:
    """Turn a model's outputs into logits, and refuse what contradicts their kind.

    Parameters
    ----------
    values : (n, k), or (n,) or (n, 1) for two labels
        One column for two labels is the second label's.
    kind : str
        A name in KINDS. The numbers of a sigmoid for each label become their log-odds, which a calibrator then takes as
        logits of labels that exclude each other.
    k : int
        How many labels there are.

    Returns
    -------
    (n, k)
        Float32 or float64. A row that holds NaN, or a logit of plus infinity, is NaN as a whole; a logit of minus
        infinity marks a label that cannot be.

    Raises
    ------
    InputError
        For an unknown kind, a wrong shape, no numbers, or numbers that cannot be of this kind.

    Warns
    -----
    ElsewiseWarning
        If every row looks like a softmax of probabilities.

    Examples
    --------
    >>> to_logits([[0.5, 0.5], [1.0, 0.0]], "probabilities", 2).round(2).tolist()
    [[-0.69, -0.69], [0.0, -27.63]]
    >>> to_logits([[0.5], [0.9]], "sigmoid", 2).round(2).tolist()
    [[0.0, 0.0], [0.0, 2.2]]
    """
    check_kind(kind)
    array = _shaped(values, k)
    if kind == "logits":
        array = readable_logits(array)
    unreadable = np.isnan(array).any(axis=1)
    readable = array[~unreadable] if unreadable.any() else array  # no copy where none is needed
    _check(readable, kind, np.flatnonzero(~unreadable))
    made = _two_columns(readable, kind) if array.shape[1] < k else _logits(readable, kind)
    if not unreadable.any():
        return made
    logits = np.full((len(array), k), np.nan, dtype=made.dtype)
    logits[~unreadable] = made
    return logits


def check_logits(logits: Floats) -> None:
    """Raise InputError if every row of `logits` (n, k) holds probabilities.

    Examples
    --------
    >>> check_logits(np.array([[0.9, 0.1], [0.4, 0.6]]))
    Traceback (most recent call last):
    elsewise.errors.InputError: all 2 rows of logits are >= 0 and sum to 1, as probabilities do: of probabilities p hand over numpy.log(numpy.maximum(p, 1e-12))
    """  # noqa: E501
    unread = np.isnan(logits).any(axis=1)
    read = len(logits) - int(unread.sum())
    if read > 1 and (_are_probabilities(logits, SUMS_TO_ONE) | unread).all():
        raise InputError(
            f"all {read:,} rows of logits are >= 0 and sum to 1, as probabilities do: of probabilities p hand "
            f"over numpy.log(numpy.maximum(p, {SMALLEST}))"
        )


def check_kind(kind: str) -> None:
    """Raise InputError if `kind` is not in KINDS."""
    if kind not in KINDS:
        raise InputError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")


def _shaped(values: Any, k: int) -> Floats:
    array = to_numpy(values)
    if array.dtype.kind not in "fiu":
        raise InputError(f"a model must give numbers, got {array.dtype}")
    if array.ndim == 1 and k == 2:  # noqa: PLR2004
        array = array[:, None]
    fitting = (1, 2) if k == 2 else (k,)  # noqa: PLR2004
    if array.ndim != 2 or array.shape[1] not in fitting:  # noqa: PLR2004
        wanted = f"one row a text and one column a label, (n, {k})"
        raise InputError(f"a model of {k} labels must give {wanted}, got {array.shape}")
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def _logits(array: Floats, kind: str) -> Floats:
    if kind == "logits":
        return array
    if kind == "log_probabilities":
        return np.maximum(array, array.dtype.type(np.log(SMALLEST)))
    logs: Floats = np.log(np.maximum(array, SMALLEST))
    return logs if kind == "probabilities" else logs - np.log(np.maximum(1 - array, SMALLEST))


def _two_columns(array: Floats, kind: str) -> Floats:
    """Give the first of two labels the logit 0, so that softmax is the sigmoid of the second's."""
    chances = np.exp(array) if kind == "log_probabilities" else array
    ahead = array if kind == "logits" else _logits(chances, "sigmoid")
    return np.hstack([np.zeros_like(ahead), ahead])


def _check(rows: Floats, kind: str, numbers: Numbers) -> None:
    if not len(rows):
        return
    if rows.shape[1] == 1:
        _check_one_column(rows, kind, numbers)
    elif kind == "logits":
        if len(rows) > 1 and _are_probabilities(rows, SUMS_TO_ONE).all():
            stated = f"stated as logits, and all {len(rows)} rows are >= 0 and sum to 1, as probabilities do"
            raise InputError(f"{stated}; say kind='probabilities'")
    elif kind == "sigmoid":
        _refuse((rows < 0) | (rows > 1), "sigmoid", "do not lie in 0..1", "logits", numbers)
        unsure = int((rows.max(axis=1) < SURE).sum())  # 1 for one label and 0 for the others is what sigmoids give too
        if unsure > 1 and rows.shape[1] > 2 and _are_probabilities(rows, SUMS_TO_ONE).all():  # noqa: PLR2004
            stated = f"stated as a sigmoid for each label, and all {len(rows)} rows sum to 1, as those of a softmax do"
            raise InputError(f"{stated}; say kind='probabilities'")
    elif kind == "probabilities":
        _check_probabilities(rows, numbers)
    else:
        bad = ~_are_probabilities(np.exp(np.minimum(rows, 1)))
        remedy = "probabilities" if _are_probabilities(rows).all() else "logits"
        _refuse(bad, "log-probabilities", "are not logarithms of what sums to 1", remedy, numbers)
        _say_twice(_logits(rows, kind))


def _check_one_column(column: Floats, kind: str, numbers: Numbers) -> None:
    if kind == "log_probabilities":
        _refuse(column > 0, "log-probabilities", "are above 0", "logits", numbers)
    elif kind != "logits":
        _refuse((column < 0) | (column > 1), kind, "do not lie in 0..1", "logits", numbers)


def _check_probabilities(rows: Floats, numbers: Numbers) -> None:
    if (rows <= 0).all() and _are_probabilities(np.exp(rows)).all():
        remedy = "log_probabilities"
    elif ((rows >= 0) & (rows <= 1)).all():
        remedy = "sigmoid"
    else:
        remedy = "logits"
    what = "do not sum to 1, and lie in 0..1 each" if remedy == "sigmoid" else "are not >= 0 with the sum 1"
    _refuse(~_are_probabilities(rows), "probabilities", what, remedy, numbers)
    _say_twice(_logits(rows, "probabilities"))


def _say_twice(logs: Floats) -> None:
    k = logs.shape[1]
    # Rows are a softmax of probabilities q iff log rows + a constant are such q: they sum to 1, and are they >= 0?
    twice = logs.min(axis=1) >= logs.mean(axis=1) - 1 / k - LOG_ROUNDING
    if len(logs) >= ROWS_FOR_SIGNS and twice.all():
        low = f"no probability of {len(logs)} rows is above {np.e / (np.e + k - 1):.3f}, as after two softmaxes"
        warn_caller(f"{low} over {k} labels: pass the logits, before softmax")


def _are_probabilities(rows: Floats, tolerance: float = SUM_TOLERANCE) -> NDArray[np.bool_]:
    is_one = np.abs(rows.sum(axis=1, dtype=np.float64) - 1) <= tolerance
    return np.asarray(is_one & (rows >= 0).all(axis=1))


def _refuse(bad: NDArray[np.bool_], stated: str, what: str, remedy: str, numbers: Numbers) -> None:
    rows: NDArray[np.bool_] = np.asarray(bad if bad.ndim == 1 else bad.any(axis=1))
    if rows.any():
        found = f"{int(rows.sum())} of {len(rows)} rows {what}, first is row {int(numbers[np.argmax(rows)])}"
        words = "a sigmoid for each label" if remedy == "sigmoid" else remedy.replace("_", "-")
        raise InputError(f"stated as {stated}, and {found}; if they are {words}, say kind={remedy!r}")
