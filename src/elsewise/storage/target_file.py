"""Write files that appear only when they are whole; stdout, pipes and devices directly."""

import os
import secrets
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import IO, Any, Final

from elsewise.errors import InputError
from elsewise.storage.atomic import Lock, locked, sweep, sync

HIDDEN: Final = ".elsewise-"
SUFFIX: Final = ".part"


def try_to_write(name: str, act: Callable[..., Any], *arguments: Any) -> Any:
    """Call `act`; an OSError becomes an InputError that names the file."""
    try:
        return act(*arguments)
    except BrokenPipeError:
        raise  # no fault of the file: `elsewise predict ... - | head` ends this way
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise InputError(f"{name} cannot be written: {said}") from error


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A written hidden file, locked by this process, that is to be at `path`; if it is gone, no file is to be there."""

    hidden: Path
    path: Path
    lock: Lock


@contextmanager
def together() -> Iterator[list[Part]]:
    """Collect written files in a list; at its end all get their names, in order, or after a fault none."""
    parts: list[Part] = []
    try:
        yield parts
        if parts:
            try_to_write(str(parts[-1].path), _place, parts)
    finally:
        _remove(part.hidden for part in parts)


@contextmanager
def open_target(
    path: str | PathLike[str], stdout: IO[bytes] | None = None, *,
    parts: list[Part] | None = None, like: str | PathLike[str] | None = None,
) -> Iterator[IO[bytes]]:  # fmt: skip
    """Open a file to write bytes: stdout for ``-``, a device or pipe directly, a file atomically.

    The file is as private as the one that it replaces, else as the file `like`. With the `parts` of `together`, it gets
    its name with theirs.
    """
    name, target = fspath(path), Path(path)
    if name == "-":
        file = stdout or sys.stdout.buffer
        yield file
        file.flush()
        return
    mode = try_to_write(name, _mode, target)
    if stat.S_ISDIR(mode):
        raise InputError(f"{name} is a folder, not a file")
    if mode and not stat.S_ISREG(mode):  # renaming would replace /dev/null itself
        with _direct(target) as file:
            yield file
        return
    alike = (target, *([] if like is None else [Path(like)]))
    with together() if parts is None else nullcontext(parts) as ready, _hidden(target, alike, ready) as file:
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
        file.raw.close()  # after an error, what is left is not written: the pipe may be full


@contextmanager
def _hidden(path: Path, alike: Sequence[Path], parts: list[Part]) -> Iterator[IO[bytes]]:
    """Open a hidden file, as private as the first of `alike` that exists; once it is on the disk it is one of `parts`.

    Hidden files of killed runs in this folder are removed first.
    """
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise InputError(f"{path} cannot be written: there is no folder {path.parent}")
    sweep(folder, f"{HIDDEN}*{SUFFIX}")
    hidden, lock = try_to_write(str(path), locked, lambda: _made(folder))
    file = None
    try:
        file = try_to_write(str(path), hidden.open, "r+b", 1 << 16)
        if mode := next((mode for other in alike if (mode := _mode(other))), 0):
            try_to_write(str(path), hidden.chmod, stat.S_IMODE(mode))
        yield file
        try_to_write(str(path), _finish, file)
        parts.append(Part(hidden, path, lock))
    except BaseException:
        _remove([hidden])
        if file is not None:
            _drop(file)
        raise


def _made(folder: Path) -> Path:
    made = folder / f"{HIDDEN}{secrets.token_hex(6)}{SUFFIX}"
    made.touch(exist_ok=False)
    return made


def _finish(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()


def _place(parts: Sequence[Part]) -> None:
    """Rename hidden files; if one of them cannot be, what was there comes back.

    The last one is the output, and what is before it belongs to it. The older output is taken away first, so that it
    never stands beside what belongs to another.
    """
    names = [(part, Path(os.path.realpath(part.path))) for part in parts]  # a link stays, what it points to is replaced
    with ExitStack() as undo:
        if any(part.hidden.exists() or final.exists() for part, final in names[:-1]):
            for part, final in reversed(names):
                if final.exists():
                    final.rename(_old_of(part))
                    undo.callback(_old_of(part).replace, final)
        for part, final in names:
            if part.hidden.exists():
                part.hidden.replace(final)
                undo.callback(final.unlink)
        sync(*{final.parent for _, final in names})
        undo.pop_all()
    _remove(_old_of(part) for part in parts)


def _old_of(part: Part) -> Path:
    return part.hidden.with_suffix(f".old{SUFFIX}")


def _remove(files: Iterable[Path]) -> None:
    for file in files:
        with suppress(OSError):
            file.unlink(missing_ok=True)


def _drop(file: IO[bytes]) -> None:
    with suppress(OSError):  # closing writes what is left, which on a full disk fails again
        file.close()
