"""What the answers of a run depend on, and in words what differs between two runs."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np

from elsewise.classifier.classifier import Classifier, canary_probabilities
from elsewise.classifier.packing import NAMES, pack
from elsewise.data.labelled_texts import Reading
from elsewise.engines import key_of, prepared
from elsewise.errors import InputError
from elsewise.progress import Progress
from elsewise.storage.json_files import Json

BLOCK: Final = 1 << 22  # bytes
LONG: Final = 1 << 28  # bytes of a file, whose hashing is worth a line of progress
SHOWN: Final = 12  # digits of a hash
READING: Final = ("text_column", "delimiter", "encoding", "format", "literal_quotes", "decimal", "sheet")
FILES: Final = ("input", "features")
WORDS: Final = {  # of the model, where there is no better name than the field's own
    "calibrator": "the calibrator of the model",
    "familiarity": "the model's test of familiarity",
    "files": "the model or one of its files",
    "labels": "the labels of the model",
    "other": "the model's word for an abstention",
    "rule": "the threshold of the model, or how it decides",
    "sets": "the model's prediction sets",
}


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it was when a run began: its size in bytes, its time in nanoseconds, and its SHA-256."""

    path: str
    size: int
    time: int
    sha256: str

    @classmethod
    def of(cls, path: str, progress: Progress | None = None) -> "FileState":
        """Hash a file; InputError if it cannot be read."""
        digest, done = hashlib.sha256(), 0
        try:
            with open(path, "rb") as file:  # noqa: PTH123  as every input
                stats = os.fstat(file.fileno())
                while block := file.read(BLOCK):
                    digest.update(block)
                    done += len(block)
                    if progress and stats.st_size > LONG:
                        progress(f"hashing {path}", done, stats.st_size)
        except FileNotFoundError:
            raise InputError(f"{path} does not exist") from None
        except OSError as error:
            raise InputError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error
        return cls(path, done, stats.st_mtime_ns, digest.hexdigest())

    def check_unchanged(self) -> None:
        """Raise InputError if the file has another size or time by now, or is gone."""
        try:
            now = Path(self.path).stat()
        except OSError:
            raise InputError(f"{self.path} is gone, while it was read; bring it back, and run it again") from None
        if (now.st_size, now.st_mtime_ns) != (self.size, self.time):
            was = f"{self.size:,} bytes, now {now.st_size:,}" if now.st_size != self.size else "it was written to"
            raise InputError(f"{self.path} was changed while it was read ({was}); begin anew with overwrite=True")

    @property
    def fingerprint(self) -> Json:
        """Size and SHA-256 (JSON): a copy under a different name is the same input."""
        return {"bytes": self.size, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class FilesState:
    """Several files that are one input, as they were when a run began."""

    files: tuple[FileState, ...]

    @classmethod
    def of(cls, paths: Iterable[str], progress: Progress | None = None) -> "FilesState":
        """Hash files; InputError if one cannot be read."""
        return cls(tuple(FileState.of(path, progress) for path in paths))

    def check_unchanged(self) -> None:
        """Raise InputError if one of the files has another size or time by now, or is gone."""
        for file in self.files:
            file.check_unchanged()

    @property
    def fingerprint(self) -> Json:
        """Size and SHA-256 of the only file, or of all (JSON)."""
        if len(self.files) == 1:
            return self.files[0].fingerprint
        whole = hashlib.sha256("".join(file.sha256 for file in self.files).encode()).hexdigest()
        return {"bytes": sum(file.size for file in self.files), "sha256": whole, "files": len(self.files)}


def identity_of(classifier: Classifier, files: Mapping[str, FilesState], how: Reading, output: Json) -> Json:
    """Describe everything that the answers to a file depend on (JSON).

    `files` are the input, and features where there are some; `output` says which columns are written, and how.
    """
    made = {
        "elsewise": version("elsewise"),
        **{name: file.fingerprint for name, file in files.items()},
        "model": model_identity(classifier),
        "reading": {name: getattr(how, name) for name in READING},
        "output": output,
    }
    return json.loads(json.dumps(made))  # as it is read again


def model_identity(classifier: Classifier) -> Json:
    """Describe the model and everything in it that answers depend on (JSON)."""
    engine, own = classifier.engine, []
    if engine.name == "given":  # whose fingerprint does not know the model's numbers
        answers = canary_probabilities(classifier, prepared(engine, engine.canaries))
        own = [np.round(answers, 6).tolist()]
    return {
        "engine": key_of(engine),
        "files": _hash(engine.fingerprint, *own),
        "labels": _hash(list(classifier.labels)),
        "other": classifier.other,
        **{name: _hash_of(getattr(classifier, name)) for name in ("calibrator", "rule", "familiarity", "sets")},
    }


def _hash(*values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _hash_of(part: Any) -> str | None:
    """Hash the numbers and arrays of a fitted part; of a part of your own its class."""
    if part is None:
        return None
    arrays: dict[str, Any] = {}
    packed = pack(part, arrays, "part") if type(part) in NAMES else {"kind": type(part).__qualname__}
    digests = [hashlib.sha256(array.tobytes()).hexdigest() for _, array in sorted(arrays.items())]
    return _hash(packed, digests)


def differences(before: Json, now: Json) -> list[str]:
    """Say in words what differs between the identities of two runs.

    Examples
    --------
    >>> before = {"elsewise": "0.1.0", "input": {"bytes": 9, "sha256": "aa"}, "output": {"top": 0}}
    >>> differences(before, {"elsewise": "0.1.0", "input": {"bytes": 7, "sha256": "bb"}, "output": {"top": 3}})
    ['the input (9 bytes with SHA-256 aa, now 7 bytes with SHA-256 bb)', 'top (0, now 3)']
    """
    return list(_differences(before, now))


def _differences(before: Json, now: Json) -> Iterator[str]:
    for name in dict.fromkeys((*before, *now)):
        was, new = before.get(name), now.get(name)
        if was == new:
            continue
        if name in FILES:
            what = "the features" if name == "features" else "the input"
            yield f"{what} ({_file_words(was)}, now {_file_words(new)})"
        elif isinstance(was, dict) and isinstance(new, dict):
            yield from _differences(was, new)
        elif name in WORDS and name != "other":
            yield WORDS[name]
        else:
            yield f"{WORDS.get(name, name.replace('_', ' '))} ({_shown(was)}, now {_shown(new)})"


def _file_words(file: Any) -> str:
    if not isinstance(file, dict):
        return "none"
    return f"{file.get('bytes', 0):,} bytes with SHA-256 {str(file.get('sha256'))[:SHOWN]}"


def _shown(value: Any) -> str:
    return "none" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
