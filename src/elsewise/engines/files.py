"""The model's files and settings that an engine is opened from."""

import hashlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from elsewise.errors import ArtifactError, InputError
from elsewise.storage.json_files import Json
from elsewise.storage.sealed_folder import sha256_of

ONNX: Final = "model.onnx"
INT8: Final = "openvino/int8.xml"
INT8_WEIGHTS: Final = "openvino/int8.bin"
CONFIG: Final = "config.json"
NATIVE: Final = "native/{}.safetensors"  # of a precision
TOKENIZER: Final = "tokenizer.json"
DESCRIPTION: Final = "elsewise.json"  # holds the settings


class TemporaryPlace:
    """A temporary folder, removed when nothing in the process that made it refers to this object any more."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="elsewise-model-"))
        weakref.finalize(self, _remove, self.path, os.getpid())


def _remove(path: Path, process: int) -> None:
    if os.getpid() == process:  # a forked process may end first
        shutil.rmtree(path, ignore_errors=True)


@dataclass(frozen=True, slots=True, eq=False)
class ModelFiles:
    """Files in one folder, with their expected hashes.

    Attributes
    ----------
    path, place : Path, TemporaryPlace or None
        The folder; `place` keeps a temporary folder alive.
    digests : mapping from name to SHA-256
        Hash of each file; names are relative, with slashes.
    """

    path: Path
    digests: Mapping[str, str]
    place: TemporaryPlace | None = None

    @classmethod
    def of(cls, path: Path, place: TemporaryPlace | None = None) -> Self:
        """Hash every file below `path`."""
        names = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
        return cls(path, {name: sha256_of(path / name) for name in names}, place)

    def __contains__(self, name: str) -> bool:
        """Whether the model has a file of this name."""
        return name in self.digests

    def fingerprint(self, *names: str, of: Any) -> str:
        """Hash the digests of files, together with everything else that answers depend on."""
        return hashlib.sha256(repr(([self.digests[name] for name in names], of)).encode()).hexdigest()[:16]

    def need(self, name: str) -> Path:
        """Give the path of a file; ArtifactError if the model has none of this name."""
        if name not in self:
            raise ArtifactError(f"{self.path} has no {name}; make the model again: elsewise fit")
        return self.path / name

    def below(self, folder: str) -> "ModelFiles":
        """Give the files of one subfolder, under their names there."""
        start = f"{folder}/"
        inside = {name[len(start) :]: hash_ for name, hash_ in self.digests.items() if name.startswith(start)}
        return ModelFiles(self.path / folder, inside, self.place)

    def beside(self, *folders: str) -> "ModelFiles":
        """Give the files that are in none of these subfolders."""
        starts = tuple(f"{folder}/" for folder in folders)
        outside = {name: hash_ for name, hash_ in self.digests.items() if not name.startswith(starts)}
        return ModelFiles(self.path, outside, self.place)

    def copy_to(self, folder: Path) -> None:
        """Copy every file into an existing folder; InputError if one is gone or was changed since."""
        for name, digest in self.digests.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(self.path / name, target)
            except FileNotFoundError as error:
                raise InputError(f"{self.path / name} is gone; fit the model again") from error
            if sha256_of(target) != digest:
                raise InputError(f"{self.path / name} was changed after the model was opened; load the model again")


@dataclass(frozen=True, slots=True, eq=False)
class Opening:
    """What an engine is opened from.

    Attributes
    ----------
    files : ModelFiles
        The files of the model, or of several models.
    labels : tuple of str
        In the order of the columns of logits.
    settings : mapping
        The engine's `settings` when it was saved.
    threads : int or None
        Number of threads; None takes the cores that this process may use.
    """

    files: ModelFiles
    labels: tuple[str, ...]
    settings: Json
    threads: int | None = None
