"""Fewer rows for few texts: proved, on this machine, to give the same bits as a full batch.

A text alone would compute a batch of twelve. Which kernels a library takes depends on the shape of a batch. So for each
length it is tried, on random tokens, whether fewer rows give the bits of a full batch, in logits and features. Where
they do, short batches have fewer rows. Where they do not, nothing changes. A server does this before it is ready.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from elsewise.engines.batching import Batch, Result, shape
from elsewise.engines.text import TextEngine

LENGTHS: Final = range(3, 33)  # tokens: longer texts fill a batch by few
SIZES: Final = (1, 4)  # rows: each further shape takes some megabytes
DRAWS: Final = 2  # full batches of random tokens that are compared


def prove_row_sizes(engine: Any, lengths: Sequence[int] = LENGTHS, sizes: Sequence[int] = SIZES) -> int:
    """Find the fewer rows that give the same bits, for every text engine inside an engine; return how many shapes."""
    return sum(_prove(one, lengths, sizes) for one in text_engines(engine))


def text_engines(engine: Any) -> Iterator[TextEngine]:
    """Yield the engines with a tokenizer and a model that an engine is, or asks."""
    if isinstance(engine, TextEngine):
        yield engine
        return
    for inside in (getattr(engine, "engine", None), getattr(engine, "other", None), *getattr(engine, "members", ())):
        if inside is not None:
            yield from text_engines(inside)


def _prove(engine: TextEngine, lengths: Sequence[int], sizes: Sequence[int]) -> int:
    rng = np.random.default_rng(0)
    for length in lengths:
        rows, tokens = shape(length, engine.tokenizer.max_length, engine.model.budget)
        draws = [_random(engine, rng, rows, tokens) for _ in range(DRAWS)]
        whole = [_run(engine, draw) for draw in draws]
        same = [
            size for size in sizes if size < rows and all(map(_agrees, [engine] * DRAWS, draws, whole, [size] * DRAWS))
        ]
        if same:
            engine.fewer[tokens] = tuple(same)
    return sum(map(len, engine.fewer.values()))


def _random(engine: TextEngine, rng: np.random.Generator, rows: int, tokens: int) -> Batch:
    vocabulary = engine.tokenizer.backend.get_vocab_size()
    return rng.integers(0, vocabulary, size=(rows, tokens)), np.ones((rows, tokens), dtype=np.int64)


def _run(engine: TextEngine, batch: Batch) -> Result:
    return next(iter(engine.model.forward([batch])))


def _agrees(engine: TextEngine, batch: Batch, whole: Result, size: int) -> bool:
    """Tell whether the first, second, ... rows of a batch give the same bits by themselves."""
    ids, mask = batch
    for start in range(0, len(ids) - size + 1, size):
        rows = slice(start, start + size)
        part = _run(engine, (ids[rows], mask[rows]))
        if any(one.tobytes() != all_[rows].tobytes() for one, all_ in zip(part, whole, strict=True)):
            return False
    return True
