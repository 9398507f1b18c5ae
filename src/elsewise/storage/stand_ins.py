"""Files that stand for others: links, and the pointers that Git LFS leaves where a file was not fetched."""

from pathlib import Path
from typing import Final

from elsewise.errors import InputError

POINTER: Final = b"version https://git-lfs.github.com/spec/"
LARGEST_POINTER: Final = 1024  # bytes
FETCH: Final = "is a Git LFS pointer, not the file itself; run: git lfs pull"


def is_pointer(file: Path) -> bool:
    """Tell whether a file is a pointer of Git LFS.

    Source: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md.
    """
    if not file.is_file() or file.stat().st_size > LARGEST_POINTER:
        return False
    return file.read_bytes().startswith(POINTER)


def refuse_pointer(file: Path) -> None:
    """Raise InputError for a file that is a pointer of Git LFS."""
    if is_pointer(file):
        raise InputError(f"{file} {FETCH}")


def leads_out(file: Path, folder: Path) -> bool:
    """Tell whether a file is a link, or lies behind one, that leads out of its folder.

    A snapshot of the hub's cache has its files beside it, in `blobs`: that is no way out.
    """
    home = folder.resolve()
    snapshot = next((place for place in (home, *home.parents) if place.parent.name == "snapshots"), None)
    homes = [home] if snapshot is None else [home, snapshot.parents[1] / "blobs"]
    return not any(file.resolve().is_relative_to(place) for place in homes)
