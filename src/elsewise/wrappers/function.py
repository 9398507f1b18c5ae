"""A plain Python function, or any other callable: texts, or what `preprocess` makes of them, in; an array out."""

from typing import Any

from elsewise.engines.external import WrappedEngine
from elsewise.wrappers.asked import Asked, pick


def takes(model: Any) -> bool:
    """Whether it can be called."""
    return callable(model)


def engine(model: Any, asked: Asked) -> WrappedEngine:
    """Make the engine; nothing of a function can be hashed."""

    def answer(texts: list[str]) -> tuple[Any, Any]:
        return pick(model(asked.inputs(texts)), asked.output), None

    name = getattr(model, "__qualname__", type(model).__qualname__)
    return WrappedEngine(
        asked.named(), asked.stated(), name, answer, asked.fingerprint or "", batch_size=asked.batch_size
    )
