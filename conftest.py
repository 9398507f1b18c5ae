"""Run the Python blocks of README.md and of the pages in docs/ as tests.

Each document has a namespace of its own and runs in a temporary folder, so that what its blocks write vanishes. Where
they name no encoder, a tiny one is taken.
The doctests of the source are not collected here: ``--doctest-modules`` does that.
With pytest-xdist, the blocks of one document must stay together: ``-n 2 --dist loadfile``.
"""

import sys
from contextlib import ExitStack, chdir
from doctest import ELLIPSIS
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

pytest_plugins = ["support.workshop"]
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
    fixtures=["tiny_default"],
).pytest()


HEAVY = {"torch", "tensorflow", "keras", "jax", "transformers"}
PROCESSES = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "os.exec"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take --quick."""
    parser.addoption("--quick", action="store_true", help="skip what imports a framework or starts a process")


def pytest_collection(session: pytest.Session) -> None:
    """Watch what tests do, if only quick ones are wanted: whoever does something slow is skipped there and then."""
    if session.config.option.quick:
        sys.addaudithook(_skip_slow)


def _skip_slow(event: str, values: tuple[Any, ...]) -> None:
    if (event == "import" and values[0] in HEAVY) or event in PROCESSES:
        pytest.skip(f"not quick: {event} {values[0] if event == 'import' else ''}", allow_module_level=True)
