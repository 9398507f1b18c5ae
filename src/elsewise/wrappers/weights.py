"""Weights of other libraries' models: the name of the library, the tensors, and a hash of them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import numpy as np

from elsewise.arrays import to_numpy


def library_of(model: Any, *libraries: str) -> bool:
    """Tell whether an object's class or a base of it is of one of these libraries; nothing is imported."""
    return any(cls.__module__.partition(".")[0] in libraries for cls in type(model).__mro__)


@contextmanager
def answering(model: Any) -> Iterator[None]:
    """Switch a torch model's dropout and gradients off, and restore the mode of every part afterwards."""
    import torch  # noqa: PLC0415  the caller has it

    training = [part for part in model.modules() if part.training]
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for part in training:
            part.training = True


def weights_of(model: Any) -> Iterator[Any]:
    """Yield the tensors of a torch model, with packed and quantised ones; anything without bytes is left out."""
    for value in model.state_dict().values():
        for part in value if isinstance(value, tuple) else (value,):
            if hasattr(part, "detach"):
                yield part.dequantize() if part.is_quantized else part


def digest_of(arrays: Iterable[Any]) -> str:
    """Hash weights, with their shapes."""
    made = sha256()
    for values in arrays:
        array = to_numpy(values)
        made.update(repr((array.shape, array.dtype.str)).encode())
        made.update(np.ascontiguousarray(array).data)
    return made.hexdigest()[:16]
