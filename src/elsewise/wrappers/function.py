"""Wrap a Python function, or any other callable, of texts or of the result of `preprocess`; it returns an array."""

from typing import Any

from elsewise.engines.external import ExternalEngine
from elsewise.outputs import Outputs
from elsewise.wrappers.request import WrapRequest, pick


def takes(model: Any) -> bool:
    """Tell whether the object can be called."""
    return callable(model)


def engine(model: Any, request: WrapRequest) -> ExternalEngine:
    """Make the engine; nothing of a function can be hashed."""

    def answer(texts: list[str]) -> Outputs:
        return Outputs(pick(model(request.inputs(texts)), request.output))

    name = getattr(model, "__qualname__", type(model).__qualname__)
    return request.engine(answer, request.named(), request.stated(), name)
