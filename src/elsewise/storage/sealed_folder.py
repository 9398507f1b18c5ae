"""Folders with a SHA-256 manifest: written whole or not at all, read only when every byte is unchanged.

A folder may be replaced at any moment, by this program or by another one. `steady` reads one version of it, never parts
of two; `changing` locks it from reading to replacing, so that no change is lost.
"""

import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, TypeVar

from safetensors import SafetensorError

from elsewise.errors import ArtifactError, InputError
from elsewise.storage.atomic import lock_in_place, old_of, put_in_place, refusal, restore, sync, work_folder
from elsewise.storage.json_files import LARGEST_JSON, Json, read_bytes, read_json, write_json
from elsewise.storage.stand_ins import FETCH, is_pointer, leads_out

FORMAT: Final = 2
MANIFEST: Final = "manifest.json"
LARGEST: Final = 32 << 30  # bytes of one file: to hash a sparse file without end would take hours
LARGEST_OF: Final = {".json": LARGEST_JSON, ".xml": LARGEST_JSON, ".onnx": 2 << 30}
DESKTOP: Final = (".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini")
READING, PAUSE = 30.0, 0.01  # seconds to read a folder again that is replaced meanwhile, and between two tries
PATIENCE = 600.0  # seconds to wait for a different program that changes a folder

T = TypeVar("T")
_locked: ContextVar[frozenset[Path]] = ContextVar("_locked", default=frozenset())


def steady(path: Path, read: Callable[[Path], T]) -> T:
    """Give what `read` makes of a folder, from one version of it: read again where it was replaced meanwhile.

    A link is followed once, so `read` gets the folder that it led to.
    """
    end = time.monotonic() + READING
    while time.monotonic() < end:
        real = Path(os.path.realpath(path))
        place = path if str(real) == os.path.normpath(path.absolute()) else real
        before = _version(place)
        try:
            made = read(place)
        except Exception:  # halves of two folders fail in many ways
            if _version(place) == before:
                raise
        else:
            if _version(place) == before:
                return made
        time.sleep(PAUSE)
    raise ArtifactError(f"{path} was changed each time while it was read; wait for what changes it, and load it again")


def _version(place: Path) -> object:
    """Tell versions of a folder apart: renaming it, or writing a file in it, gives another value."""
    try:
        stats = [file.lstat() for file in (place, *sorted(place.rglob("*")))]
    except FileNotFoundError:  # nothing is there, or it is being replaced just now, which equals nothing
        return object() if place.exists() or old_of(place).exists() else None
    except OSError:  # `read` says why
        return None
    return [(at.st_dev, at.st_ino, at.st_size, at.st_mtime_ns, at.st_ctime_ns) for at in stats]


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Lock a folder while it is read and replaced; InputError if a different program keeps it locked for long."""
    place = Path(os.path.realpath(path))
    if place in _locked.get():  # by this thread
        yield
        return
    lock = lock_in_place(place, PATIENCE)
    token = _locked.set(_locked.get() | {place})
    try:
        yield
    finally:
        _locked.reset(token)
        del lock


def check_unchanged(path: Path, seen: str | None) -> None:
    """Raise InputError if a folder has another manifest than `seen`, a SHA-256."""
    if seen is not None and path.exists() and seen != manifest_hash(path):
        raise InputError(
            f"{path} was changed meanwhile, and that change would be lost; run the command again, or load it again"
        )


def manifest_hash(path: Path) -> str:
    """Hash a folder's manifest with SHA-256; empty where there is none."""
    return sha256_of(path / MANIFEST) if (path / MANIFEST).is_file() else ""


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
    foreign = sorted(name for name in _names_in(path, ours) if not _is_of_a_desktop(name))
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
def writing(path: Path, needed: int | None = None, seen: dict[Path, str] | None = None) -> Iterator[Path]:
    """Yield an empty folder to fill; when the block ends it gets its manifest and replaces `path`.

    If the process is killed, `path` is what it was before, or whole and new. InputError if `path` exists and is not a
    model folder, or the disk refuses; the message of a full disk names the bytes `needed`. `seen` has the SHA-256 of
    manifests by folder: InputError if that of `path` is another one by now; that of the new folder is put there.
    """
    path, seen = Path(os.path.realpath(path)), {} if seen is None else seen  # a link stays, and leads to the new folder
    with changing(path):
        check_target(path)
        check_unchanged(path, seen.get(path))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            restore(path)
            with work_folder(path) as work:
                yield work
                write_manifest(work)
                _allow_reading(work, path)
                sync(work / MANIFEST, work)
                check_unchanged(path, seen.get(path))  # again, for disks without locks
                new = sha256_of(work / MANIFEST)
                put_in_place(work, path)
                seen[path] = new
        except (OSError, SafetensorError) as error:
            raise InputError(f"{path} cannot be written: {refusal(error, path.parent, needed)}") from error


def _allow_reading(work: Path, path: Path) -> None:
    """Give files the permissions of those that they replace; new ones those of the manifest, else of the umask."""
    umask = os.umask(0)
    os.umask(umask)
    folder = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o777 & ~umask
    file = stat.S_IMODE((path / MANIFEST).stat().st_mode) if (path / MANIFEST).exists() else folder & 0o666
    for made in (*work.rglob("*"), work):
        old = path / made.relative_to(work)
        made.chmod(stat.S_IMODE(old.stat().st_mode) if old.exists() else folder if made.is_dir() else file)


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


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a verified folder holds: SHA-256 of the manifest and of every file, and the bytes of some files."""

    manifest: str
    digests: dict[str, str]
    contents: dict[str, bytes]


def verify(path: Path) -> dict[str, str]:
    """Check every file of a model folder as `read_sealed` does, and give their SHA-256 by name."""
    return read_sealed(path).digests


def read_sealed(path: Path, wanted: Collection[str] = ()) -> Sealed:
    """Check every file of a model folder against its manifest; of `wanted` files, give the bytes that were checked.

    ArtifactError if it is not a model folder, is too new, or a file is missing, changed, or was added.
    """
    manifest = path / MANIFEST
    if is_pointer(manifest):
        raise ArtifactError(f"{manifest} {FETCH}")
    if not manifest.is_file():
        make = f"fit DATA -o {path}"
        if (path / "config.json").is_file():  # a model of transformers
            make = f"calibrate {path} HELD_OUT_ROWS -o MODEL"
        raise ArtifactError(f"{path} is not a model folder: it has no {MANIFEST}; make one with: elsewise {make}")
    sealed = read_bytes(manifest)
    saved = read_json(manifest, sealed)
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
        checked = pool.map(lambda name: _verified(path, name, files[name], name in wanted), files)
        contents = dict(zip(files, checked, strict=True))
    # Desktops and version control leave files behind: nothing loads them.
    added = sorted(n for n in _names_in(path, files) if "/." not in f"/{n}" and not _is_of_a_desktop(n))
    if added:
        raise ArtifactError(f"{path / added[0]} was not written by elsewise; remove it")
    return Sealed(
        hashlib.sha256(sealed).hexdigest(),
        {name: known["sha256"] for name, known in files.items()},
        {name: content for name, content in contents.items() if content is not None},
    )


def _names_in(path: Path, known: Collection[str]) -> set[str]:
    """Name the files in a folder that its manifest does not know; a link to a known folder is looked into."""
    folders = {parent.as_posix() for name in known for parent in PurePosixPath(name).parents}
    places = {place.relative_to(path).as_posix(): place for place in path.rglob("*")}
    linked = [place for name, place in places.items() if place.is_symlink() and name in folders]
    places |= {file.relative_to(path).as_posix(): file for place in linked for file in place.rglob("*")}
    found = {name for name, place in places.items() if place.is_symlink() or not place.is_dir()}
    return found - set(known) - folders - {MANIFEST}


def _is_of_a_desktop(name: str) -> bool:
    """Tell a file that a desktop leaves in a folder that it shows; nobody misses it."""
    return PurePosixPath(name).name.lower() in DESKTOP


def _verified(path: Path, name: str, known: Json, is_wanted: bool) -> bytes | None:
    file, relative = path / name, Path(name)
    if ".." in relative.parts or relative.is_absolute() or leads_out(file, path):
        raise ArtifactError(f"{file} leads out of the model folder; put the file itself there")
    if not file.is_file():
        raise ArtifactError(f"{file} is missing; restore the folder from a copy")
    size, most = file.stat().st_size, LARGEST_OF.get(file.suffix, LARGEST)
    if size > most:
        raise ArtifactError(f"{file} has {size:,} bytes, and at most {most:,} are read of such a file")
    if size == known["size"]:
        content = read_bytes(file) if is_wanted else None
        digest = sha256_of(file) if content is None else hashlib.sha256(content).hexdigest()
        if digest == known["sha256"]:
            return content
    if is_pointer(file):
        raise ArtifactError(f"{file} {FETCH}")
    raise ArtifactError(f"{file} was changed since it was written; restore the folder from a copy")
