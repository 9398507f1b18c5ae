"""Wrap torch modules: dropout is off while they answer, and their mode is restored afterwards."""

import threading
from collections.abc import Mapping
from typing import Any

from elsewise.engines.external import ExternalEngine
from elsewise.outputs import Outputs
from elsewise.wrappers.request import WrapRequest, pick
from elsewise.wrappers.weights import answering, digest_of, library_of, weights_of


def takes(model: Any) -> bool:
    """Tell whether the object is a torch module."""
    return library_of(model, "torch") and hasattr(model, "modules")  # a tensor is an array


def engine(model: Any, request: WrapRequest) -> ExternalEngine:
    """Make the engine; `preprocess` returns a tensor, a tuple of them, or a mapping of arguments."""
    lock = threading.Lock()

    def answer(texts: list[str]) -> Outputs:
        inputs = _on_device(request.inputs(texts), model)
        with lock, answering(model):
            if isinstance(inputs, Mapping):
                return Outputs(pick(model(**inputs), request.output))
            return Outputs(pick(model(*inputs) if isinstance(inputs, tuple) else model(inputs), request.output))

    digest = request.fingerprint or digest_of(weights_of(model))
    name = type(model).__name__
    return request.engine(answer, request.named(), request.stated(), name, digest)


def _on_device(inputs: Any, model: Any) -> Any:
    """Move tensors to the device of the model."""
    place = next((weight.device for weight in model.parameters()), None)
    if place is None:
        return inputs
    if isinstance(inputs, Mapping):
        return {name: _on_device(value, model) for name, value in inputs.items()}
    if isinstance(inputs, tuple):
        return tuple(_on_device(value, model) for value in inputs)
    return inputs.to(place) if hasattr(inputs, "detach") else inputs
