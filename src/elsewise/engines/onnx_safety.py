"""Check that an ONNX file is self-contained: no tensor makes its reader open a different file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from elsewise.errors import ArtifactError

# What of an ONNX file may hold a tensor: message -> {field number: message}. From onnx.proto.
_MESSAGES: Final[dict[str, dict[int, str]]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # fields of a tensor
_DEEPEST: Final = 64


def check_onnx(file: Path) -> None:
    """Raise ArtifactError for a file that is no ONNX file, or that would make its reader open a different file.

    External data of tensors: https://onnx.ai/onnx/repo-docs/ExternalData.html; the wire format is protobuf's.
    """
    import mmap  # noqa: PLC0415

    try:
        with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
            outside = _points_outside(data, 0, len(data), "model", 0)
    except (ValueError, IndexError) as error:
        raise ArtifactError(f"{file} is no ONNX file that can be read: {error}") from error
    if outside:
        raise ArtifactError(f"{file} keeps data in other files (external data), which is not allowed; export it again")


def _points_outside(data: Any, start: int, end: int, message: str, depth: int) -> bool:
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    for number, value in _fields(data, start, end):
        if message == "tensor" and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0)):
            return True
        inner = _MESSAGES.get(message, {}).get(number)
        if inner and isinstance(value, tuple) and _points_outside(data, *value, inner, depth + 1):
            return True
    return False


def _fields(data: Any, at: int, end: int) -> Iterator[tuple[int, int | tuple[int, int]]]:
    """Yield the fields of a protobuf message: the number, and the value or the range of its bytes."""
    while at < end:
        key, at = _varint(data, at)
        if key >> 32 or not key >> 3:  # readers drop what is above 32 bits: they would see a different number
            raise ValueError("a field of a number that protobuf does not have")
        kind, value, size = key & 7, 0, 0
        if kind == 0:
            value, at = _varint(data, at)
        elif kind == 2:  # noqa: PLR2004  bytes, a string or a message
            size, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError("a field of a kind that protobuf does not have")
        if at + size > end:
            raise ValueError("it ends too early")
        if kind in (0, 2):
            yield key >> 3, (at, at + size) if kind else value
        at += size


def _varint(data: Any, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004
            return value, at
        if shift > 63:  # noqa: PLR2004
            raise ValueError("a number of more than 64 bits")
