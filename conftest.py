"""Run the Python blocks of README.md and of the pages in docs/ as tests.

Each document has a namespace of its own and runs in a temporary folder, so that what its blocks write vanishes.
The doctests of the source are not collected here: ``--doctest-modules`` does that.
With pytest-xdist, the blocks of one document must stay together: ``-n 2 --dist loadfile``.
"""

from contextlib import ExitStack, chdir
from doctest import ELLIPSIS
from tempfile import TemporaryDirectory
from typing import Any

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

collect_ignore = ["docs/conf.py", "docs/_build", "docs/generated"]


def enter_temporary_folder(namespace: dict[str, Any]) -> None:
    """Work in an empty folder from the first block of a document on."""
    leave = namespace["__leave__"] = ExitStack()
    leave.enter_context(chdir(leave.enter_context(TemporaryDirectory())))


def leave_temporary_folder(namespace: dict[str, Any]) -> None:
    """Go back after the last block, and remove the folder."""
    namespace["__leave__"].close()


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS), SkipParser()],
    patterns=["README.md", "docs/*.md", "docs/how-to/*.md"],
    setup=enter_temporary_folder,
    teardown=leave_temporary_folder,
).pytest()
