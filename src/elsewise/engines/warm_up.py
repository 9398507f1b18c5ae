"""Warm up the shapes of short texts before anyone waits for them, and compare their short batches.

A shape takes time when it first comes. A short batch is compared before it is used (`elsewise.engines.short_batches`).
A server does both for common lengths before it is ready, instead of while its first clients wait.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from elsewise.engines.batching import shape
from elsewise.engines.short_batches import gives_the_same_bits
from elsewise.engines.text import TextEngine

LENGTHS: Final = range(3, 33)  # tokens of common short texts
ROWS: Final = (1, 2, 4)


def warm_up(engine: Any, lengths: Sequence[int] = LENGTHS, rows: Sequence[int] = ROWS) -> int:
    """Run the shapes of these lengths in every text engine inside an engine; return how many short batches agree."""
    return sum(_warm(one, lengths, rows) for one in text_engines(engine))


def text_engines(engine: Any) -> Iterator[TextEngine]:
    """Yield the engines with a tokenizer and a model that an engine is, or asks."""
    if isinstance(engine, TextEngine):
        yield engine
        return
    for inside in (getattr(engine, "engine", None), getattr(engine, "other", None), *getattr(engine, "members", ())):
        if inside is not None:
            yield from text_engines(inside)


def _warm(engine: TextEngine, lengths: Sequence[int], rows: Sequence[int]) -> int:
    model, short = engine.model, getattr(engine.model, "short", None)
    if short is None:
        return 0
    rng, agreeing = np.random.default_rng(0), 0
    for length in lengths:
        full, tokens = shape(length, engine.at_once, model.budget)
        ids = rng.integers(0, engine.tokenizer.backend.get_vocab_size(), tokens).astype(np.int32)
        for few in rows:
            if few < full and (few, tokens) not in short.same:
                short.same[few, tokens] = gives_the_same_bits(few, full, ids, model.forward)
                agreeing += short.same[few, tokens]
    return agreeing
