"""The files of a text model, which every engine reads its part of, and the check that an ONNX file stays in itself."""

import hashlib
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from elsewise.errors import ArtifactError, InputError
from elsewise.storage.sealed_folder import digest

ONNX: Final = "model.onnx"
INT8: Final = "openvino/int8.xml"
INT8_WEIGHTS: Final = "openvino/int8.bin"
TOKENIZER: Final = "tokenizer.json"


class TemporaryPlace:
    """A temporary folder that lives for as long as somebody holds this."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="elsewise-model-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


@dataclass(frozen=True, slots=True, eq=False)
class ModelFiles:
    """Files in one folder, with what they should be.

    Attributes
    ----------
    path : Path
        The folder.
    digests : mapping from name to SHA-256
        Of each file; names are relative, with slashes.
    place : TemporaryPlace or None
        Held where the folder is temporary.
    """

    path: Path
    digests: Mapping[str, str]
    place: TemporaryPlace | None = None

    @classmethod
    def of(cls, path: Path, place: TemporaryPlace | None = None) -> Self:
        """Take every file below `path`."""
        names = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
        return cls(path, {name: digest(path / name) for name in names}, place)

    def __contains__(self, name: str) -> bool:
        """Whether there is such a file."""
        return name in self.digests

    def fingerprint(self, *names: str, of: Any) -> str:
        """Hash files, by what they should hold, together with all else that answers depend on."""
        return hashlib.sha256(repr(([self.digests[name] for name in names], of)).encode()).hexdigest()[:16]

    def need(self, name: str) -> Path:
        """Give the path of a file.

        Raises
        ------
        ArtifactError
            If there is no such file.
        """
        if name not in self:
            raise ArtifactError(f"{self.path} has no {name}; make the model again: elsewise fit")
        return self.path / name

    def below(self, folder: str) -> "ModelFiles":
        """Give the files of one folder in this one, under their names there."""
        inside = {
            name.removeprefix(f"{folder}/"): hash_ for name, hash_ in self.digests.items() if _is_in(name, folder)
        }
        return ModelFiles(self.path / folder, inside, self.place)

    def beside(self, *folders: str) -> "ModelFiles":
        """Give the files that lie in none of these folders."""
        outside = {name: hash_ for name, hash_ in self.digests.items() if not any(_is_in(name, f) for f in folders)}
        return ModelFiles(self.path, outside, self.place)

    def copy_to(self, folder: Path) -> None:
        """Copy every file into an existing folder.

        Raises
        ------
        InputError
            If the folder that they were opened from is gone.
        """
        for name in self.digests:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(self.path / name, target)
            except FileNotFoundError as error:
                raise InputError(f"{self.path / name} is gone, and the model's files with it; fit it again") from error


def _is_in(name: str, folder: str) -> bool:
    return name.startswith(f"{folder}/")


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
    """Refuse an ONNX file that would have its reader open another file: its data must lie in itself.

    Raises
    ------
    ArtifactError
        If a tensor points to external data, or the file is no ONNX file.

    Notes
    -----
    https://onnx.ai/onnx/repo-docs/ExternalData.html; the wire format is protobuf's.
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
        if message == "tensor":
            if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0):
                return True
        elif (
            isinstance(value, tuple)
            and (inner := _MESSAGES[message].get(number))
            and _points_outside(data, *value, inner, depth + 1)
        ):
            return True
    return False


def _fields(data: Any, at: int, end: int) -> Iterator[tuple[int, int | tuple[int, int]]]:
    """Give the fields of a protobuf message: the number, and the value or where the bytes lie."""
    while at < end:
        key, at = _varint(data, at)
        if key >> 32 or not key >> 3:  # readers drop what is above 32 bits: the number would be another one to them
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
