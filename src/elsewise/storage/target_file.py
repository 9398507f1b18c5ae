"""Write files that appear only when they are whole; stdout, pipes and devices directly."""

import os
import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from os import PathLike, fspath
from pathlib import Path
from typing import IO, Any

from elsewise.errors import InputError


def try_to_write(name: str, act: Callable[..., Any], *arguments: Any) -> Any:
    """Call `act`; an OSError becomes an InputError that names the file."""
    try:
        return act(*arguments)
    except BrokenPipeError:
        raise  # no fault of the file: `elsewise predict ... - | head` ends this way
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise InputError(f"{name} cannot be written: {said}") from error


@contextmanager
def open_target(path: str | PathLike[str], stdout: IO[bytes] | None = None) -> Iterator[IO[bytes]]:
    """Open a file to write bytes: stdout for ``-``, a device or pipe directly, a file atomically."""
    name, target = fspath(path), Path(path)
    if name == "-":
        file = stdout or sys.stdout.buffer
        yield file
        file.flush()
        return
    mode = try_to_write(name, _mode, target)
    if stat.S_ISDIR(mode):
        raise InputError(f"{name} is a folder, not a file")
    is_special = mode and not stat.S_ISREG(mode)  # renaming would replace /dev/null itself
    with _direct(target) if is_special else _replacing(target) as file:
        yield file


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return 0


@contextmanager
def _direct(path: Path) -> Iterator[IO[bytes]]:
    file = try_to_write(str(path), path.open, "wb")
    try:
        yield file
        try_to_write(str(path), file.close)
    finally:
        _drop(file)


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    final = Path(os.path.realpath(path))  # a link stays, what it points to is replaced
    if not final.parent.is_dir():
        raise InputError(f"{path} cannot be written: there is no folder {path.parent}")
    temporary = final.with_name(f".elsewise-{secrets.token_hex(6)}.part")
    file = try_to_write(str(path), temporary.open, "xb", 1 << 16)
    try:
        yield file
        try_to_write(str(path), _commit, file, temporary, final)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        _drop(file)
        raise


def _commit(file: IO[bytes], temporary: Path, final: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()
    if final.exists():
        shutil.copymode(final, temporary)
    temporary.replace(final)


def _drop(file: IO[bytes]) -> None:
    with suppress(OSError):  # closing writes what is left, which on a full disk fails again
        file.close()
