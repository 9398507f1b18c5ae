"""Folders with a SHA-256 manifest: written whole or not at all, read only when every byte is unchanged."""

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from safetensors import SafetensorError

from elsewise.errors import ArtifactError, InputError
from elsewise.storage.atomic import put_in_place, refusal, restore, sync, work_folder
from elsewise.storage.json_files import LARGEST_JSON, Json, read_json, write_json

FORMAT: Final = 2
MANIFEST: Final = "manifest.json"
LARGEST: Final = 32 << 30  # bytes of one file: to hash a sparse file without end would take hours
LARGEST_OF: Final = {".json": LARGEST_JSON, ".xml": LARGEST_JSON, ".onnx": 2 << 30}


def sha256_of(file: Path) -> str:
    """Hash a file with SHA-256."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def check_target(path: Path) -> None:
    """Raise InputError unless a model folder can be written here: only model folders are replaced."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        there = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
        if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
            raise InputError(f"{path} cannot be written: {there} is not a writable folder; choose another name")
        return
    ours = _manifest(path) if path.is_dir() else None
    if ours is None:
        raise InputError(f"{path} exists and is not a model folder; choose another name")
    foreign = sorted(set(_names_in(path)) - set(ours) - {MANIFEST})
    if foreign:
        raise InputError(f"{path} also holds {foreign[0]}, which would be lost; move it, or choose another name")


def _manifest(path: Path) -> Json | None:
    """Give the files of a valid manifest of this format, or None."""
    try:
        saved = read_json(path / MANIFEST)
    except ArtifactError:
        return None
    return saved["files"] if saved.get("format") == FORMAT and _is_sound(saved) else None


def _is_sound(manifest: Json) -> bool:
    """Tell whether a manifest is complete and matches its own hash."""
    files = manifest.get("files")
    if not isinstance(files, dict) or manifest.get("sha256") != _seal(files):
        return False
    return all(isinstance(known, dict) and {"sha256", "size"} <= known.keys() for known in files.values())


@contextmanager
def writing(path: Path, needed: int | None = None) -> Iterator[Path]:
    """Yield an empty folder to fill; when the block ends it gets its manifest and replaces `path`.

    If the process is killed, `path` is what it was before, or whole and new. InputError if `path` exists and is not a
    model folder, or the disk refuses; the message of a full disk names the bytes `needed`.
    """
    path = Path(os.path.realpath(path))  # a link stays, and leads to the new folder
    check_target(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        restore(path)
        with work_folder(path) as work:
            yield work
            write_manifest(work)
            _allow_reading(work)
            sync(work / MANIFEST, work)
            put_in_place(work, path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} cannot be written: {refusal(error, path.parent, needed)}") from error


def _allow_reading(work: Path) -> None:
    """Give folder and files the permissions of the umask: temporary folders are private, a model is not."""
    umask = os.umask(0)
    os.umask(umask)
    for path in (work, *work.rglob("*")):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)


def write_manifest(folder: Path) -> None:
    """Write the manifest of a folder's files, each synced to the disk first."""
    files = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            sync(file)
            files[file.relative_to(folder).as_posix()] = {"sha256": sha256_of(file), "size": file.stat().st_size}
    write_json(folder / MANIFEST, {"format": FORMAT, "files": files, "sha256": _seal(files)})


def _seal(files: Json) -> str:
    return hashlib.sha256(json.dumps([FORMAT, files], sort_keys=True).encode()).hexdigest()


def verify(path: Path) -> dict[str, str]:
    """Check every file of a model folder against its manifest, and give their SHA-256 by name.

    ArtifactError if it is not a model folder, is too new, or a file is missing, changed, or was added.
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
            f"{manifest}: format {written} is newer than this version reads ({FORMAT}); run: pip install -U elsewise"
        )
    if isinstance(written, int) and 0 < written < FORMAT:
        raise ArtifactError(f"{manifest}: format {written} is older than this version reads ({FORMAT}); fit it again")
    if written != FORMAT or not _is_sound(saved):
        raise ArtifactError(f"{manifest} is damaged; restore the folder from a copy")
    files = saved["files"]
    with ThreadPoolExecutor() as pool:  # hashing releases the interpreter lock
        list(pool.map(lambda item: _verify_file(path, *item), files.items()))
    # Desktops and version control leave hidden files behind: nothing loads them.
    added = sorted(name for name in set(_names_in(path)) - set(files) - {MANIFEST} if "/." not in f"/{name}")
    if added:
        raise ArtifactError(f"{path / added[0]} was not written by elsewise; remove it")
    return {name: known["sha256"] for name, known in files.items()}


def _names_in(path: Path) -> Iterator[str]:
    for file in path.rglob("*"):
        if file.is_symlink() or not file.is_dir():
            yield file.relative_to(path).as_posix()


def _verify_file(path: Path, name: str, known: Json) -> None:
    file, relative = path / name, Path(name)
    is_linked = any(place.is_symlink() for place in (file, *file.parents[: name.count("/")]))
    if is_linked or ".." in relative.parts or relative.is_absolute():
        raise ArtifactError(f"{file} leads out of the model folder")
    if not file.is_file():
        raise ArtifactError(f"{file} is missing; restore the folder from a copy")
    size, most = file.stat().st_size, LARGEST_OF.get(file.suffix, LARGEST)
    if size > most:
        raise ArtifactError(f"{file} has {size:,} bytes, and at most {most:,} are read of such a file")
    if size != known["size"] or sha256_of(file) != known["sha256"]:
        raise ArtifactError(f"{file} was changed since it was written; restore the folder from a copy")
