"""Token batches of fixed shape, so that a text gets the same answer whatever its neighbours.

Matrix kernels depend on the shape of a batch: a text alone and the same text among 63 others differ in the last digits,
in half precision in the third. Here every text of one length runs at one shape, which depends on its length alone.
Short batches are filled with copies whose results are dropped, or have fewer rows where that is shown to give the same
bits (`elsewise.engines.short_batches`). The number of lengths bounds the number of shapes, and
so the memory behind them.

Steps: window -> tokens (of the next window while the model runs) -> different texts -> batches by length -> engine ->
original order.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from elsewise.engines.tokenizer import RIGHT, TextTokenizer, Tokens
from elsewise.outputs import Outputs
from elsewise.progress import tick

TOKEN_BUDGET: Final = 128  # measured: as fast as 256, with half the filler rows, and half the wait for one text
EXACT_LENGTHS: Final = 64  # above, lengths are rounded up to a multiple of 16: fewer shapes, a few masked tokens
STEP: Final = 16
WINDOW: Final = 16_384  # texts that are sorted by length together: the more, the fewer filler rows

T = TypeVar("T")
Rows = NDArray[np.int64]
Batch = tuple[NDArray[np.int64], NDArray[np.int64]]  # token ids and mask, both (rows, tokens)
Result = tuple[NDArray[np.float32], NDArray[np.float32]]  # logits (rows, k) and features (rows, d)
Forward = Callable[[Iterable[Batch]], Iterator[Result]]  # in the order of the batches; several may be under way
Answers = Callable[[Sequence[NDArray[np.int32]], Rows], Iterator[tuple[Rows, Result]]]
Fewer = Callable[[int, int, NDArray[np.int32]], int]  # texts, rows of a whole batch, ids of a text -> rows


def shape(length: int, longest: int, budget: int = TOKEN_BUDGET, exact: int = EXACT_LENGTHS) -> tuple[int, int]:
    """Give the one shape (rows, tokens) at which every text of `length` tokens runs.

    Examples
    --------
    >>> shape(10, longest=512), shape(70, longest=512), shape(509, longest=510)
    ((12, 10), (1, 80), (1, 510))
    """
    tokens = length if length <= exact else min(-(-length // STEP) * STEP, max(longest, length))
    return max(1, budget // tokens), tokens


def run_batched(
    texts: Sequence[str] | Tokens,
    tokenizer: TextTokenizer,
    forward: Forward,
    widths: tuple[int, int],
    budget: int = TOKEN_BUDGET,
    exact: int = EXACT_LENGTHS,
    fewer: Fewer | None = None,
) -> Outputs:
    """Run n texts through an engine in batches and bounded memory, and return the outputs in the order of the texts.

    Parameters
    ----------
    texts : n strings, or their tokens
        Texts with the same tokens are computed once in each window of 16,384.
    tokenizer : TextTokenizer
        Gives the padding id, and the ids that carry no text.
    forward : callable
        The engine: an iterable of (ids, mask) -> an iterator of (logits, features).
    widths : (k, d)
        Columns of logits and of features.
    budget, exact : int
        Tokens in a batch, and the length above which lengths are rounded up.
    fewer : callable, optional
        Gives the rows of a short batch (`elsewise.engines.short_batches`). Default: each has all its rows.

    Returns
    -------
    Outputs
        Rows of NaN for texts that hold only special tokens.
    """

    def answers(ids: Sequence[NDArray[np.int32]], wanted: Rows) -> Iterator[tuple[Rows, Result]]:
        groups = _groups(ids, wanted, lambda length: shape(length, tokenizer.max_length, budget, exact))
        if fewer:
            groups = [_short(group, ids, fewer) for group in groups]
        filled = (_filled([ids[row] for row in rows.tolist()], shape_, tokenizer) for rows, shape_ in groups)
        for (rows, _), (logits, features) in zip(groups, forward(filled), strict=True):
            yield rows, (logits[: len(rows)], features[: len(rows)])  # the rest are filler rows

    return run_windows(texts, tokenizer, answers, widths)


def run_windows(
    texts: Sequence[str] | Tokens, tokenizer: TextTokenizer, answers: Answers, widths: tuple[int, int]
) -> Outputs:
    """Run n texts window by window, each different text once; `answers` gives the results of a window's texts.

    Parameters and result are those of `run_batched`. `answers` takes the ids of all texts of a window, and the rows to
    answer; it yields every row once, with its logits and features, in any order.
    """
    logits, features = (np.full((len(texts), width), np.nan, dtype=np.float32) for width in widths)
    lengths, truncated = np.zeros(len(texts), dtype=np.int64), np.zeros(len(texts), dtype=bool)
    start, starts = 0, range(0, len(texts), WINDOW)
    windows = [texts] if isinstance(texts, Tokens) else (tokenizer(texts[at : at + WINDOW]) for at in starts)
    for tokens in windows if len(starts) < 2 else prefetch(windows):  # noqa: PLR2004  one has nothing to overlap with
        place = slice(start, start + len(tokens))
        lengths[place], truncated[place] = tokens.lengths, tokens.truncated
        ids = list(tokens)
        different, (again, before) = _one_of_each(ids, tokens.hold_any_but(tokenizer.special))
        for rows, results in answers(ids, different):
            for column, result in zip((logits, features), results, strict=True):
                column[start + rows] = result
            tick(len(rows))
        for column in (logits, features):
            column[start + again] = column[start + before]
        tick(len(tokens) - len(different))
        start += len(tokens)
    return Outputs(logits, features, lengths, truncated)


def prefetch(items: Iterable[T]) -> Iterator[T]:
    """Prefetch: yield items in order while a thread makes the next one."""
    asked: SimpleQueue[bool] = SimpleQueue()
    made: SimpleQueue[tuple[T] | BaseException | None] = SimpleQueue()
    source = iter(items)

    def make() -> None:
        while asked.get():
            try:
                made.put(next(((item,) for item in source), None))
            except BaseException as error:  # noqa: BLE001  whoever asked gets it
                made.put(error)

    # A daemon, so that Ctrl-C works while a slow pipe is read.
    Thread(target=make, name="elsewise-prefetch", daemon=True).start()
    asked.put(True)  # noqa: FBT003
    try:
        while (got := made.get()) is not None:
            if isinstance(got, BaseException):
                raise got
            asked.put(True)  # noqa: FBT003
            yield got[0]
    finally:
        asked.put(False)  # noqa: FBT003


def _one_of_each(ids: Sequence[NDArray[np.int32]], readable: NDArray[np.bool_]) -> tuple[Rows, tuple[Rows, Rows]]:
    """Give the first row of each different readable text, then the repeated rows with the row that each repeats."""
    first: dict[bytes, int] = {}
    rows = np.flatnonzero(readable)
    seen = np.array([first.setdefault(ids[row].tobytes(), row) for row in rows.tolist()], dtype=np.int64)
    return rows[seen == rows], (rows[seen != rows], seen[seen != rows])


def _groups(
    ids: Sequence[NDArray[np.int32]], wanted: Rows, shape_of: Callable[[int], tuple[int, int]]
) -> list[tuple[Rows, tuple[int, int]]]:
    """Divide the wanted rows into batches of one shape each, short texts first."""
    shapes = np.array([shape_of(len(ids[row])) for row in wanted.tolist()], dtype=np.int64).reshape(-1, 2)
    groups = []
    for tokens in np.unique(shapes[:, 1]):
        members = np.flatnonzero(shapes[:, 1] == tokens)
        rows = int(shapes[members[0], 0])
        groups += [(wanted[members[at : at + rows]], (rows, int(tokens))) for at in range(0, len(members), rows)]
    return groups


def _short(group: tuple[Rows, tuple[int, int]], ids: Sequence[NDArray[np.int32]], fewer: Fewer) -> Any:
    """Give a batch fewer rows where it may have them; a padded one keeps all."""
    rows, (full, tokens) = group
    first = ids[rows[0]]
    return (rows, (fewer(len(rows), full, first), tokens)) if len(first) == tokens else group


def _filled(texts: Sequence[NDArray[np.int32]], shape_: tuple[int, int], tokenizer: TextTokenizer) -> Batch:
    """Pad texts to a batch, on the tokenizer's side; free rows repeat the last text."""
    batch, mask = np.full(shape_, tokenizer.pad, dtype=np.int64), np.zeros(shape_, dtype=np.int64)
    for row, ids in enumerate(texts):
        place = slice(len(ids)) if tokenizer.padding_side == RIGHT else slice(shape_[1] - len(ids), None)
        batch[row, place], mask[row, place] = ids, 1
    batch[len(texts) :], mask[len(texts) :] = batch[len(texts) - 1], mask[len(texts) - 1]
    return batch, mask
