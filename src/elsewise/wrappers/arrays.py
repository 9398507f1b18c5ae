"""Wrap answers that were computed before for known texts: arrays of any framework, and files of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from elsewise.arrays import to_numpy
from elsewise.data.labelled_texts import Reading
from elsewise.data.logits import read_logits
from elsewise.engines.memory import MemoryEngine
from elsewise.engines.output_kinds import to_logits
from elsewise.errors import InputError
from elsewise.wrappers.request import WrapRequest


def takes(model: Any) -> bool:
    """Tell whether the object is an array, rows of numbers, the result of `Trainer.predict`, or the path of a file."""
    if isinstance(model, list | tuple):
        return not any(map(callable, model))  # as a model and its tokenizer are
    if isinstance(model, str | Path) or _is_of_transformers(model):
        return True
    return hasattr(model, "shape") and (hasattr(model, "__array__") or hasattr(model, "detach"))


def _is_of_transformers(model: Any) -> bool:
    return hasattr(model, "predictions") or hasattr(model, "logits")


def engine(model: Any, request: WrapRequest) -> MemoryEngine:
    """Make an engine that looks answers up by text; any other text is unreadable, and never answered.

    InputError if the texts are missing or not as many as the rows, or a text comes twice with different answers.
    """
    if isinstance(model, str | Path) and str(model) != "-" and not Path(model).is_file():
        raise InputError(f"{model} is not a file, and models are not looked up by name; load the model and pass it")
    if request.texts is None:
        raise InputError("an array holds answers for texts: pass them too (texts=), or take ew.calibrate")
    if request.preprocess is not None:
        raise InputError("computed answers need no preprocess; leave it out")
    kind = request.stated("logits" if _is_of_transformers(model) else None)
    names = request.labels
    if isinstance(model, str | Path):
        model, columns = read_logits(str(model), Reading(), names)
        names = names or columns
    rows = to_numpy(model)
    if rows.shape[:1] != (len(request.texts),):
        raise InputError(f"there must be one row a text, got {rows.shape} for {len(request.texts)} texts")
    labels = request.named() if names is None else names
    return MemoryEngine(labels, _by_text(request.texts, to_logits(rows, kind, len(labels)).tolist()))


def _by_text(texts: Sequence[str], rows: list[list[float]]) -> dict[str, list[float]]:
    table: dict[str, list[float]] = {}
    for number, (text, row) in enumerate(zip(texts, rows, strict=True)):
        if not np.array_equal(table.setdefault(text, row), row, equal_nan=True):
            first = texts.index(text)
            same = f"texts {first} and {number} (counted from 0) are the same, with different numbers"
            raise InputError(f"{same}; keep one of them: {text[:60]!r}")
    return table
