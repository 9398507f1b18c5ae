"""Wrap Keras 3 models, on any backend.

A functional or sequential model shows its last layer. Its logits are taken from before the last activation, and the
input of the last layer is the features. A subclassed model shows nothing: the caller states what it returns. Files are
not loaded here: a .keras file may hold code.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from elsewise.arrays import to_numpy
from elsewise.engines.external import Answer, ExternalEngine
from elsewise.errors import InputError
from elsewise.outputs import Outputs
from elsewise.wrappers.request import SAY_SIGMOID, WrapRequest, of_texts, pick
from elsewise.wrappers.weights import digest_of, library_of

KINDS: Final = {
    "softmax": "probabilities", "linear": "logits", "sigmoid": "sigmoid", "log_softmax": "log_probabilities",
}  # fmt: skip


class Ending(NamedTuple):
    """The last layer of a model: its kind of output, its tensors, and the function from them to logits."""

    kind: str  # kind of the model's own output
    tensors: list[Any]  # features where there are any, and the input of `logits`
    logits: Callable[[Any, Any], Any] | None  # of the tensors; None: the model's own output is used


def takes(model: Any) -> bool:
    """Tell whether the object is a Keras 3 model."""
    return library_of(model, "keras") and hasattr(model, "predict_on_batch")


def engine(model: Any, request: WrapRequest) -> ExternalEngine:
    """Make the engine.

    InputError if `kind` contradicts the last activation, or that is a sigmoid for several labels and `kind` is missing.
    """
    from keras import ops  # noqa: PLC0415  the caller has it

    labels, name = request.named(), type(model).__name__
    ending = _ending(model, request.output)
    if ending is None:
        kind, answer = request.stated(), _own(model, request)
    else:
        _agree(ending.kind, request.kind, len(labels), ending.tensors[-1].shape[-1])
        kind = ending.kind if ending.logits is None else "logits"
        answer = _inside(model, request, ending)
    digest = request.fingerprint or digest_of(ops.convert_to_numpy(weight) for weight in model.weights)
    return request.engine(answer, labels, kind, name, digest)


def _agree(known: str, stated: str | None, labels: int, units: int | None) -> None:
    if units == 1 and known in ("probabilities", "log_probabilities"):
        raise InputError("the model ends in softmax over one unit, which is 1 for every text; take two units")
    if known == "sigmoid" and stated is None and not (labels == 2 and units == 1):  # noqa: PLR2004
        raise InputError(f"the model ends in a sigmoid for each label; these need not sum to 1. {SAY_SIGMOID}")
    if stated in (None, known) or (known, stated) == ("logits", "sigmoid"):
        return
    if known == "logits":
        raise InputError(f"kind={stated!r} was stated, and the model ends in a linear layer, which gives logits")
    raise InputError(f"kind={stated!r} was stated, and the model's last activation gives {known}; leave kind out")


def _own(model: Any, request: WrapRequest) -> Answer:
    """Give the function that returns the model's own output; Keras switches dropout off in `predict`."""
    return lambda texts: Outputs(pick(model.predict_on_batch(request.inputs(texts)), request.output))


def _inside(model: Any, request: WrapRequest, ending: Ending) -> Answer:
    from keras import Model  # noqa: PLC0415

    # `input` keeps names where there are several; a sequential model has `inputs` only
    part = Model(getattr(model, "input", model.inputs[0]), ending.tensors)

    def answer(texts: list[str]) -> Outputs:
        given = part.predict_on_batch(request.inputs(texts))
        *features, last = given if isinstance(given, list | tuple) else [given]
        read = features[0] if features else None
        return Outputs(last if ending.logits is None else ending.logits(read, last), of_texts(read))

    return answer


def _ending(model: Any, output: str | int | None) -> Ending | None:
    """Find the last layer of a functional or sequential model; None where the model does not show it."""
    outputs = getattr(model, "outputs", None)
    if not outputs or not getattr(model, "inputs", None) or not isinstance(output, int | None):
        return None
    if output is None and len(outputs) > 1:
        layers = ", ".join(map(repr, model.output_names))  # sorted by key, where the model gives a dictionary
        raise InputError(f"the model has outputs of the layers {layers}; say which holds the labels: output=0 or 1 ...")
    if not -len(outputs) <= (output or 0) < len(outputs):
        raise InputError(f"the model has {len(outputs)} outputs, and none is {output}")
    last = outputs[output or 0]
    layer, before = _made(last)
    if _is(layer, "Softmax", "Activation"):
        kind = KINDS.get(_activation(layer))
        if kind not in ("probabilities", "logits", "sigmoid"):
            return None if kind is None else Ending(kind, [last], None)
        below, read = _made(before)
        if kind == "probabilities" and _activation(below) == "softmax":
            raise InputError(f"the model applies softmax twice, in {below.name!r} and in {layer.name!r}; take one away")
        features = [read] if _is(below, "Dense") and _activation(below) == "linear" else []
        return Ending(kind, [*features, before], lambda _, z: z)
    if not _is(layer, "Dense") or _activation(layer) not in KINDS:
        return None
    kind = KINDS[_activation(layer)]
    if getattr(layer, "quantization_mode", None) is not None:
        return Ending(kind, [before, last], None)
    return Ending(kind, [before, last], lambda read, _: _linear(layer, read))


def _linear(layer: Any, features: Any) -> Any:
    """Compute what a dense layer gives before its activation."""
    from keras import ops  # noqa: PLC0415

    logits = to_numpy(features) @ ops.convert_to_numpy(layer.kernel).astype(np.float32)
    return logits + ops.convert_to_numpy(layer.bias) if layer.use_bias else logits


def _made(tensor: Any) -> tuple[Any, Any]:
    """Give the layer that made a tensor, and the input of that call."""
    layer, call, _ = tensor._keras_history  # noqa: SLF001  Keras has no other way to ask
    return layer, next(iter(layer._inbound_nodes[call].input_tensors), None)  # noqa: SLF001


def _is(layer: Any, *names: str) -> bool:
    """Tell whether a layer is of one of these Keras classes, and not of a subclass or a class of the same name."""
    return type(layer).__name__ in names and type(layer).__module__.startswith("keras.")


def _activation(layer: Any) -> str:
    if _is(layer, "Softmax"):
        return "softmax" if layer.axis in (-1, 1) else ""
    function = getattr(layer, "activation", None)
    is_its_own = getattr(function, "__module__", "").startswith("keras.")
    return getattr(function, "__name__", "") if is_its_own else ""
