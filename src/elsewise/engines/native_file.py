"""The native engine's file of weights: a safetensors file that is read in place.

Nothing in it is believed: whoever opens a file of a stranger gets an error, and never a read outside of it.
"""

import json
import mmap
import os
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from elsewise.engines.native_library import Opened, Shape, open_model
from elsewise.errors import ArtifactError, reading

FORMAT: Final = "elsewise native 1"  # another number for other arithmetic: it is part of what a certificate belongs to
TYPES: Final[Mapping[str, np.dtype[Any]]] = {"I8": np.dtype("<i1"), "I32": np.dtype("<i4"), "F32": np.dtype("<f4")}
LINE: Final = 64  # bytes of a line of the cache, where tensors begin
LARGEST_HEADER: Final = 16 << 20
LARGEST_NUMBER: Final = 2**31 - 1

Tensors = Mapping[str, NDArray[Any]]


def write_file(file: Path, shape: Shape, tensors: Tensors) -> None:
    """Write a model: tensors in the order in which the library takes them."""
    names = {value: name for name, value in TYPES.items()}
    header: dict[str, Any] = {"__metadata__": {"format": FORMAT, "shape": json.dumps(asdict(shape))}}
    arrays = [np.ascontiguousarray(tensor, tensor.dtype.newbyteorder("<")) for tensor in tensors.values()]
    at = 0
    for name, array in zip(tensors, arrays, strict=True):
        place = [at, at + array.nbytes]
        header[name] = {"dtype": names[array.dtype], "shape": list(array.shape), "data_offsets": place}
        at += array.nbytes
    words = json.dumps(header).encode()
    words += b" " * (-(8 + len(words)) % LINE)
    with file.open("wb") as out:
        out.write(len(words).to_bytes(8, "little"))
        out.write(words)
        for array in arrays:
            out.write(array.data)


def open_file(file: Path) -> Opened:
    """Map a file into memory and open the model in it; ArtifactError if it is damaged, or of another version."""
    with reading(file, "holds no weights that this version can read"):
        with file.open("rb") as opened:
            if os.fstat(opened.fileno()).st_size < LINE:
                raise ArtifactError(f"{file} is empty, or cut off")
            content = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        shape, tensors = _read(content)
        for name, tensor in tensors.items():
            if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
                raise ArtifactError(f"{file} is damaged: {name} has infinite numbers")
        return open_model(shape, list(tensors.values()), file)


def _read(content: mmap.mmap) -> tuple[Shape, Tensors]:
    """Find the shape and the tensors, in the order of the file; ValueError and others for what is damaged."""
    size = int.from_bytes(content[:8], "little")
    if size > min(LARGEST_HEADER, len(content) - 8):
        raise ValueError(f"its header is said to have {size} bytes")
    header = json.loads(content[8 : 8 + size])
    said = header.pop("__metadata__")
    if said["format"] != FORMAT:
        raise ValueError(f"it is of the format {said['format']!r:.40}, and this version reads {FORMAT!r}")
    if (8 + size) % LINE:
        raise ValueError(f"its tensors begin at {8 + size}")
    data = np.frombuffer(content, dtype=np.uint8, offset=8 + size)
    return _shape(json.loads(said["shape"])), {name: _tensor(data, entry) for name, entry in header.items()}


def _shape(said: Mapping[str, Any]) -> Shape:
    numbers = {each.name: said[each.name] for each in fields(Shape)}
    for name, number in numbers.items():
        wanted = float if name == "epsilon" else int
        if type(number) is not wanted or not abs(number) <= LARGEST_NUMBER:
            raise ValueError(f"its {name} is {number!r:.40}")
    return Shape(**numbers)


def _tensor(data: NDArray[np.uint8], entry: Mapping[str, Any]) -> NDArray[Any]:
    """View a tensor, as a vector: the library knows how large it must be."""
    kind, (start, end) = TYPES[entry["dtype"]], entry["data_offsets"]
    for place in (start, end):
        if type(place) is not int or place % LINE or not 0 <= place <= len(data):
            raise ValueError(f"a tensor lies at {place!r:.40}")
    return data[start:end].view(kind)
