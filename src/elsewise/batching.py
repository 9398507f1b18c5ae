"""Token batches of fixed shape, so that a text gets the same answer whatever its neighbours.

Matrix kernels depend on the shape of a batch: a text alone and the same text among 63 others differ
in the last digits, in half precision in the third. Here every text of one length runs at one shape,
which its own length gives; short batches are filled up with copies that are thrown away. The number
of shapes, and so the memory behind them, is bounded by the number of lengths.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

TOKEN_BUDGET = 256  # measured: filler rows stay few, and one text alone is not slowed by many copies
EXACT_LENGTHS = 64  # above, lengths are rounded up to a multiple of 16: fewer shapes, a few masked tokens
STEP = 16

TokenIds = Sequence[int]
Forward = Callable[[NDArray[np.int64], NDArray[np.int64]], tuple[NDArray[np.float32], ...]]


def shape(length: int, longest: int, budget: int = TOKEN_BUDGET) -> tuple[int, int]:
    """Give the one shape (rows, tokens) at which every text of `length` tokens runs.

    Examples
    --------
    >>> shape(10, longest=512), shape(70, longest=512), shape(509, longest=510)
    ((25, 10), (3, 80), (1, 510))
    """
    tokens = length if length <= EXACT_LENGTHS else min(-(-length // STEP) * STEP, max(longest, length))
    return max(1, budget // tokens), tokens


def run_in_batches(
    ids: Sequence[TokenIds], forward: Forward, *, longest: int, pad: int
) -> tuple[NDArray[np.float32], ...]:
    """Run n >= 1 tokenised texts through `forward` at fixed shapes, and put the rows back in order.

    `forward` takes token ids and mask, both (rows, tokens), and returns arrays with as many rows.
    """
    columns: list[NDArray[np.float32]] = []
    for at, (rows, tokens) in _groups(ids, longest):
        results = forward(*_filled([ids[i] for i in at], rows, tokens, pad))
        if not columns:
            columns = [np.empty((len(ids), *result.shape[1:]), dtype=np.float32) for result in results]
        for column, result in zip(columns, results, strict=True):
            column[at] = result[: len(at)]
    return tuple(columns)


def _groups(ids: Sequence[TokenIds], longest: int) -> Iterator[tuple[NDArray[np.int64], tuple[int, int]]]:
    """Give the indices of the texts of one shape, as many at a time as it has rows; short texts first."""
    shapes = np.array([shape(len(i), longest) for i in ids], dtype=np.int64).reshape(len(ids), 2)
    for tokens in np.unique(shapes[:, 1]):
        members = np.flatnonzero(shapes[:, 1] == tokens)
        rows = int(shapes[members[0], 0])
        for start in range(0, len(members), rows):
            yield members[start : start + rows], (rows, int(tokens))


def _filled(ids: Sequence[TokenIds], rows: int, tokens: int, pad: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    batch = np.full((rows, tokens), pad, dtype=np.int64)
    mask = np.zeros((rows, tokens), dtype=np.int64)
    for row in range(rows):
        text = ids[min(row, len(ids) - 1)]
        batch[row, : len(text)], mask[row, : len(text)] = text, 1
    return batch, mask
