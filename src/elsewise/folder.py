"""The model folder: written whole or not at all, read only when every byte is the one that was written.

Nothing here is a pickle. Fitted parts (calibrators, scores, rules, certificates) are frozen dataclasses of
numbers and arrays: they are saved through their fields as JSON, their arrays as safetensors.
"""

import dataclasses
import hashlib
import json
import math
import os
import types
import typing
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors import SafetensorError

from elsewise.calibrators import CALIBRATORS, Calibrator
from elsewise.conformal import ConformalPValue, SplitConformal
from elsewise.decisions import Certificate
from elsewise.disk import put_in_place, refusal, restore, sync, work_folder
from elsewise.distances import LabelGaussians
from elsewise.errors import ArtifactError, InputError
from elsewise.familiarity import FamiliarityTest
from elsewise.modelfiles import digest
from elsewise.rules import RULES, Rule
from elsewise.scores import SCORES, Score

FORMAT: Final = 2
MANIFEST: Final = "manifest.json"
PARTS: Final = {
    "certificate": Certificate,
    "label_gaussians": LabelGaussians,
    "familiarity_test": FamiliarityTest,
    "conformal_p_value": ConformalPValue,
    "split_conformal": SplitConformal,
}
KINDS: Final[dict[str, Any]] = {**CALIBRATORS, **SCORES, **RULES, **PARTS}
NAMES: Final = {kind: name for name, kind in KINDS.items()}
SEAMS: Final[dict[Any, Any]] = {Calibrator: CALIBRATORS, Score: SCORES, Rule: RULES}


def check_target(path: Path) -> None:
    """Raise InputError unless a model folder can be written here: nothing that we did not write is replaced."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        there = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
        if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
            raise InputError(
                f"{path} cannot be written: {there} is no folder that may be written to; choose another name"
            )
        return
    ours = _manifest(path) if path.is_dir() else None
    if ours is None:
        raise InputError(f"{path} exists and is not a model folder; choose another name")
    foreign = sorted(set(_listed(path)) - set(ours) - {MANIFEST})
    if foreign:
        raise InputError(f"{path} also holds {foreign[0]}, which would be lost; move it, or choose another name")


def _manifest(path: Path) -> dict[str, Any] | None:
    """Give the files of a sound manifest of this format, or None."""
    try:
        saved = read_json(path / MANIFEST)
    except ArtifactError:
        return None
    return saved["files"] if saved.get("format") == FORMAT and _is_sound(saved) else None


def _is_sound(manifest: Mapping[str, Any]) -> bool:
    """Whether a manifest says of each file what it should be, and nobody changed that by accident."""
    files = manifest.get("files")
    if not isinstance(files, dict) or manifest.get("sha256") != _digest(files):
        return False
    return all(isinstance(known, dict) and {"sha256", "size"} <= known.keys() for known in files.values())


@contextmanager
def writing(path: Path, needed: int | None = None) -> Iterator[Path]:
    """Give an empty folder to fill; when the block ends it gets its manifest and takes the place of `path`.

    At whatever moment the process is killed, `path` is what it was before, or whole and new.

    Parameters
    ----------
    path : Path
        Where the folder will be.
    needed : int, optional
        How many bytes it takes, to be told when the disk is full.

    Raises
    ------
    InputError
        If `path` is there and is not a model folder: nothing that we did not write is replaced; or the disk refuses.
    """
    path = Path(os.path.realpath(path))  # a link stays, and leads to the new folder
    check_target(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        restore(path)
        with work_folder(path) as work:
            yield work
            _write_manifest(work)
            _allow_reading(work)
            sync(work / MANIFEST, work)
            put_in_place(work, path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} cannot be written: {refusal(error, path.parent, needed)}") from error


def _allow_reading(work: Path) -> None:
    """Give folder and files the permissions that the umask allows: temporary ones are private, a model is not."""
    umask = os.umask(0)
    os.umask(umask)
    for path in (work, *work.rglob("*")):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)


def _write_manifest(folder: Path) -> None:
    files = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            sync(file)
            files[file.relative_to(folder).as_posix()] = {"sha256": digest(file), "size": file.stat().st_size}
    write_json(folder / MANIFEST, {"format": FORMAT, "files": files, "sha256": _digest(files)})


def _digest(files: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps([FORMAT, files], sort_keys=True).encode()).hexdigest()


def verify(path: Path) -> dict[str, str]:
    """Check every file of a model folder against its manifest, and give their SHA-256 by name.

    Raises
    ------
    ArtifactError
        If it is not a model folder, is too new, or a file is missing, changed, or was added; the message names it.
    """
    manifest = path / MANIFEST
    if not manifest.is_file():
        raise ArtifactError(
            f"{path} is not a model folder: it has no {MANIFEST}; make one with: elsewise fit DATA -o {path}"
        )
    saved = read_json(manifest)
    written = saved.get("format")
    if isinstance(written, int) and written > FORMAT:
        raise ArtifactError(
            f"{manifest}: format {written} is newer than this version of elsewise reads ({FORMAT}); upgrade elsewise"
        )
    if isinstance(written, int) and 0 < written < FORMAT:
        raise ArtifactError(f"{manifest}: format {written} is older than this version reads ({FORMAT}); fit it again")
    if written != FORMAT or not _is_sound(saved):
        raise ArtifactError(f"{manifest} is damaged; restore the folder from a copy")
    files = saved["files"]
    with ThreadPoolExecutor() as pool:  # hashing leaves the interpreter to the others
        list(pool.map(lambda item: _verify_file(path, *item), files.items()))
    added = sorted(name for name in set(_listed(path)) - set(files) - {MANIFEST} if not _is_hidden(name))
    if added:
        raise ArtifactError(f"{path / added[0]} was not written by elsewise; remove it")
    return {name: known["sha256"] for name, known in files.items()}


def _is_hidden(name: str) -> bool:
    """Whether a file is one that desktops and version control leave behind, and that nothing loads."""
    return any(part.startswith(".") for part in Path(name).parts)


def _listed(path: Path) -> Iterator[str]:
    for file in path.rglob("*"):
        if file.is_symlink() or not file.is_dir():
            yield file.relative_to(path).as_posix()


def _verify_file(path: Path, name: str, known: Mapping[str, Any]) -> None:
    file = path / name
    if (
        ".." in Path(name).parts
        or Path(name).is_absolute()
        or any(p.is_symlink() for p in (file, *file.parents[: name.count("/")]))
    ):
        raise ArtifactError(f"{file} leads out of the model folder")
    if not file.is_file():
        raise ArtifactError(f"{file} is missing; restore the folder from a copy")
    if file.stat().st_size != known["size"] or digest(file) != known["sha256"]:
        raise ArtifactError(f"{file} was changed since it was written; restore the folder from a copy")


def write_json(path: Path, value: Any) -> None:
    """Write JSON: sorted as given, readable, infinity as the string "inf"."""
    text = json.dumps(finite(value), indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def finite(value: Any) -> Any:
    """Replace what JSON has no number for: infinities by the strings "inf" and "-inf", NaN by null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list | tuple) else value


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; ArtifactError names a file that holds none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise ArtifactError(f"{path} holds no JSON object")
    return value


def read_arrays(file: Path) -> dict[str, Any]:
    """Read arrays by name; none where there is no such file. ArtifactError names a file that holds no arrays."""
    from safetensors import SafetensorError  # noqa: PLC0415
    from safetensors.numpy import load_file  # noqa: PLC0415

    try:
        return load_file(file) if file.is_file() else {}
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{file} cannot be read: {error}") from error


def check_description(described: Mapping[str, Any]) -> None:
    """Check what elsewise.json says beside fitted parts, which know their own limits.

    Raises
    ------
    InputError
        If labels are not different words, or a value is of another type.
    KeyError, TypeError, AttributeError
        If something is missing.
    """
    labels, entries = described["labels"], described["engines"]
    if not isinstance(labels, list) or not all(isinstance(label, str) and label.strip() for label in labels):
        raise InputError("labels must be words")
    if len(set(labels)) < len(labels):
        raise InputError(
            f"labels must differ, got {next(label for label in labels if labels.count(label) > 1)!r} twice"
        )
    entries[described["engine"]]  # it is there
    shapes: list[tuple[Any, dict[str, Any]]] = [
        (described, {"other": str, "out_of_scope_label": str | None, "record": dict}),
        *((entry, {"name": str, "settings": dict, "fingerprint": str, "gate": list}) for entry in entries.values()),
    ]
    for values, shape in shapes:
        for name, type_ in shape.items():
            if not isinstance(values[name], type_):
                raise InputError(f"{name!r} cannot be {values[name]!r}")


def pack(part: Any, arrays: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Turn a fitted part into JSON; its arrays go into `arrays` under names that begin with `prefix`."""
    packed: dict[str, Any] = {"kind": NAMES[type(part)]}
    for field in dataclasses.fields(part):
        value, name = getattr(part, field.name), f"{prefix}.{field.name}"
        if type(value) in NAMES:
            value = pack(value, arrays, name)
        elif isinstance(value, tuple) and value and all(type(item) in NAMES for item in value):
            value = [pack(item, arrays, f"{name}.{i}") for i, item in enumerate(value)]
        elif isinstance(value, np.ndarray):
            arrays[name], value = value, {"array": name}
        packed[field.name] = value
    return packed


def unpack(packed: Any, arrays: Mapping[str, Any], file: Path, type_: Any = Any) -> Any:
    """Make the fitted part again that `pack` was given.

    Parameters
    ----------
    packed : JSON
        What `pack` gave.
    arrays : mapping of arrays
        Those that it took out.
    file : Path
        Where it stood, for messages.
    type_ : type
        What the part must be: Calibrator, Score, Rule, or a class of PARTS.

    Raises
    ------
    ArtifactError
        If a kind or a field is unknown, or a value is out of its range or of another type.
    """
    try:
        kind = KINDS[packed["kind"]]
        hints = typing.get_type_hints(kind)
        values = {name: _unpacked(value, arrays, file, hints[name]) for name, value in packed.items() if name != "kind"}
        wrong = [name for name, value in values.items() if not _is_a(value, hints[name])]
        part = kind(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{file} holds a part that this version cannot read: {error}") from error
    if wrong or not _is_a(part, type_):
        what = f"{wrong[0]!r} of another type" if wrong else "what belongs elsewhere"
        raise ArtifactError(f"{file} holds a part that this version cannot read: {packed['kind']} has {what}")
    return part


def _unpacked(value: Any, arrays: Mapping[str, Any], file: Path, type_: Any) -> Any:
    type_ = _meant(type_)
    if isinstance(value, dict):
        return arrays[value["array"]] if "array" in value else unpack(value, arrays, file)
    if type_ is float:
        return math.nan if value is None else float(value)
    if isinstance(value, list) and typing.get_origin(type_) is tuple:
        return tuple(_unpacked(item, arrays, file, typing.get_args(type_)[0]) for item in value)
    return value


def _is_a(value: Any, type_: Any) -> bool:
    """Whether a value has the type that a field of a part is annotated with."""
    type_ = _meant(type_)
    if type_ is Any:
        return True
    if type_ in SEAMS:
        return type(value) in SEAMS[type_].values()
    origin, inner = typing.get_origin(type_), typing.get_args(type_)
    if origin in (types.UnionType, typing.Union):
        return any(_is_a(value, one) for one in inner)
    if origin is typing.Literal:
        return value in inner
    if origin is tuple:
        return isinstance(value, tuple) and all(_is_a(item, inner[0]) for item in value)
    return isinstance(value, origin or type_) and (type_ is not int or not isinstance(value, bool))


def _meant(type_: Any) -> Any:
    """Give what an alias made by a ``type`` statement stands for: numpy's NDArray is one from numpy 2.5 on."""
    alias = typing.get_origin(type_) or type_
    if isinstance(alias, type) or not hasattr(alias, "__value__"):
        return type_
    meant, given = alias.__value__, dict(zip(alias.__type_params__, typing.get_args(type_), strict=False))
    if parameters := getattr(meant, "__parameters__", ()):
        meant = meant[tuple(given.get(parameter, Any) for parameter in parameters)]
    return _meant(meant)
