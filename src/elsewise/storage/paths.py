"""Paths as people write them: ``~`` is the home folder, also where no shell has replaced it."""

import os
from pathlib import Path


def at_home(path: str | Path) -> str:
    """Replace ``~`` at the beginning of a path by the home folder, as a shell does; ``./~`` is a file of that name.

    Examples
    --------
    >>> at_home("models/~"), at_home("~/model") == str(Path.home() / "model")
    ('models/~', True)
    """
    return os.path.expanduser(path)  # noqa: PTH111  Path.expanduser raises where ~name is no user
