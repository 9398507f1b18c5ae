"""Inputs of several files: a folder, or a pattern such as ``new/*.csv``, as a list of files sorted by name."""

from glob import glob
from pathlib import Path
from typing import Final

from elsewise.data import columnar, excel
from elsewise.data.compressed import plain_name
from elsewise.data.formats import FORMATS, READ_AS
from elsewise.errors import InputError

SIGNS: Final = ("*", "?", "[")
KNOWN: Final = (*FORMATS, *READ_AS, *columnar.ENDINGS, *excel.ENDINGS)


def files_of(path: str) -> list[str]:
    """List the files that a path names: itself, the files of a folder, or those that a pattern finds; sorted.

    Of a folder, hidden files and those that are no files of rows are left out. InputError if no file is left.
    """
    if Path(path).is_dir():
        found = [str(file) for file in Path(path).iterdir() if file.is_file() and _is_of_rows(file)]
        if not found:
            raise InputError(f"{path} is a folder without files of rows ({', '.join(KNOWN)})")
        return sorted(found)
    if path == "-" or Path(path).exists() or not any(sign in path for sign in SIGNS):
        return [path]
    found = [file for file in glob(path, recursive=True) if Path(file).is_file()]  # noqa: PTH207  absolute ones too
    if not found:
        raise InputError(f"{path} finds no file")
    return sorted(found)


def _is_of_rows(file: Path) -> bool:
    return not file.name.startswith(".") and Path(plain_name(file)).suffix.lower() in KNOWN
