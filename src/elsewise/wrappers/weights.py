"""Weights of other libraries' models: the name of the library, the tensors, and a hash of them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Final

import numpy as np

from elsewise.arrays import to_numpy

INSIDE: Final = {"OptimizedModule": "_orig_mod", "DataParallel": "module", "DistributedDataParallel": "module"}


def library_of(model: Any, *libraries: str) -> bool:
    """Tell whether an object's class or a base of it is of one of these libraries; nothing is imported."""
    return any(cls.__module__.partition(".")[0] in libraries for cls in type(model).__mro__)


def unwrapped(model: Any) -> Any:
    """Give the model inside what torch makes of it to compile it or to copy it to several devices."""
    while (name := INSIDE.get(type(model).__name__)) and library_of(model, "torch"):
        model = getattr(model, name)
    return model


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
