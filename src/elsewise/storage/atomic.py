"""Replace folders in one step, lock them for one process, sync them to the disk, and explain a full disk."""

import ctypes
import errno
import os
import re
import shutil
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from safetensors import SafetensorError

from elsewise.errors import InputError

try:
    import fcntl
except ImportError:  # Windows: no locks, so that leftovers stay
    fcntl = None  # type: ignore[assignment]

MB: Final = 1e6
PAUSE: Final = 0.02  # seconds between two tries to lock a folder
FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
HERE: Final = -100  # AT_FDCWD: paths are taken as they are
EXCHANGE: Final = 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS


class Lock:
    """Locks a folder or file for this process, until the object is deleted or the process ends, even by a crash.

    BlockingIOError if a different process has locked it. `is_sure` is False where files cannot be locked: on Windows,
    and on some network disks.
    """

    def __init__(self, path: Path) -> None:
        self.is_sure = False
        if fcntl is None:
            return
        self.descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.descriptor)
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.is_sure = True
        except BlockingIOError:
            raise
        except OSError:
            return  # the disk knows no locks

    def is_of(self, folder: Path) -> bool:
        """Whether what is locked still has this name."""
        return os.path.samestat(os.fstat(self.descriptor), folder.stat())


def lock_in_place(path: Path, seconds: float) -> Lock | None:
    """Lock the folder that has this name, also where it was replaced meanwhile; None where there is none.

    InputError if a different program keeps it locked for so many seconds.
    """
    until = time.monotonic() + seconds
    while os.access(path, os.R_OK) and path.is_dir():
        with suppress(BlockingIOError, FileNotFoundError):
            lock = Lock(path)
            if not lock.is_sure or lock.is_of(path):
                return lock
            del lock
        if time.monotonic() > until:
            raise InputError(f"{path} is being changed by another program; run the command again when it has ended")
        time.sleep(PAUSE)
    return None


@contextmanager
def work_folder(path: Path) -> Iterator[Path]:
    """Yield a new hidden folder beside `path`, locked while it is filled, and remove it afterwards.

    Leftovers of killed runs are removed first, unless their process still holds the lock.
    """
    prefix = f".{path.name}.elsewise-writing-"
    sweep(path.parent, f"{glob_name(prefix)}*")
    work, lock = locked(lambda: Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent)))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        del lock


def glob_name(name: str) -> str:
    """Write a name as a pattern that matches only itself."""
    return re.sub(r"([*?\[])", r"[\1]", name)


def sweep(folder: Path, pattern: str) -> None:
    """Remove leftovers of killed runs: hidden files and folders of this pattern that no process has locked."""
    for left in folder.glob(pattern):
        with suppress(OSError):
            lock = Lock(left)
            if lock.is_sure:
                shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink()
            del lock


def locked(make: Callable[[], Path]) -> tuple[Path, Lock]:
    """Make a hidden file or folder, and lock it."""
    while True:
        made = make()
        with suppress(BlockingIOError, FileNotFoundError):  # taken for a leftover before it was locked: again
            lock = Lock(made)
            if made.exists():
                return made, lock


def old_of(path: Path) -> Path:
    """Name the hidden folder that keeps the old folder during a replacement in two steps."""
    return path.with_name(f".{path.name}.elsewise-old")


def restore(path: Path) -> None:
    """Bring back a folder whose replacement was interrupted between two steps."""
    old = old_of(path)
    if old.is_dir() and not path.exists():
        old.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def put_in_place(work: Path, path: Path) -> None:
    """Rename `work` to `path`; at every moment the old folder or the new one has that name.

    Where the system cannot exchange two names, the old folder waits under a hidden name, and `restore` brings it back.
    """
    if path.exists() and exchange(work, path):
        sync(path.parent)
        return  # what was at `path` is at `work` now
    old = old_of(path)
    if path.exists():
        path.rename(old)
    try:
        work.rename(path)
    except BaseException:
        if old.exists():
            old.rename(path)
        raise
    try:
        sync(path.parent)
    finally:
        shutil.rmtree(old, ignore_errors=True)


def exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where the system or the disk cannot."""
    names = os.fsencode(one), os.fsencode(other)
    try:
        system = ctypes.CDLL(None)
        if sys.platform == "darwin":
            return bool(system.renamex_np(*names, EXCHANGE) == 0)
        return bool(system.renameat2(HERE, names[0], HERE, names[1], EXCHANGE) == 0)
    except (AttributeError, OSError, TypeError):
        return False


def sync(*paths: Path) -> None:
    """Write files and folders through to the disk before they replace older ones."""
    if os.name != "posix":
        return  # elsewhere a folder cannot be opened, nor synced through a handle that only reads
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def refusal(error: OSError | SafetensorError, folder: Path, needed: int | None = None) -> str:
    """Say why the disk refused; when it is full, how much is free in `folder`, how much is `needed`, and what to do.

    Examples
    --------
    >>> refusal(PermissionError(13, "Permission denied"), Path("."))
    'Permission denied'
    """
    if not is_full(error):
        return (error.strerror if isinstance(error, OSError) else None) or str(error)
    there = f"{shutil.disk_usage(folder).free / MB:,.0f} MB are free in {folder}"
    much = "" if needed is None else f", about {needed / MB:,.0f} MB are needed"
    return f"the disk is full ({there}{much}); free some space, and run the same command again"


def is_full(error: OSError | SafetensorError) -> bool:
    """Tell whether a disk, a quota or a size limit is full; safetensors says it in its message."""
    if isinstance(error, OSError):
        return error.errno in FULL
    found = re.search(r"\(os error (\d+)\)", str(error))
    return found is not None and int(found[1]) in FULL
