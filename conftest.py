"""Run the Python blocks of README.md and of the pages in docs/ as tests.

Each document has a namespace of its own and runs in a temporary folder, so that what its blocks write vanishes. Where
they name no encoder, a tiny one is taken.
The doctests of the source are not collected here: ``--doctest-modules`` does that.
With pytest-xdist, the blocks of one document must stay together: ``-n 2 --dist loadfile``.
"""

import gc
import sys
from contextlib import ExitStack, chdir
from doctest import ELLIPSIS
from importlib.machinery import ModuleSpec, PathFinder
from tempfile import TemporaryDirectory
from types import ModuleType
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
    parser.addoption("--quick", action="store_true", help="skip what is slow, imports a framework or starts a process")


def pytest_collection(session: pytest.Session) -> None:
    """Watch what tests do, if only quick ones are wanted: whoever does something slow is skipped there and then."""
    if session.config.option.quick:
        sys.meta_path.insert(0, SlowImports())
        sys.addaudithook(lambda event, _: _skip(event) if event in PROCESSES else None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave slow tests out, if only quick ones are wanted."""
    if config.option.quick:
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


def pytest_collection_finish() -> None:
    """Leave what the imports made out of every later collection: each training collects all garbage."""
    gc.collect()
    gc.freeze()


def _skip(what: str) -> None:
    pytest.skip(f"not quick: {what}", allow_module_level=True)


class SlowImports(PathFinder):
    """Finds a framework, and skips whoever loads it."""

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Find a framework, with this class as its loader."""
        found = PathFinder.find_spec(name, path, target) if name in HEAVY else None
        if found:
            found.loader = cls()  # type: ignore[assignment]
        return found

    def create_module(self, spec: ModuleSpec) -> None:
        """Skip."""
        _skip(f"import {spec.name}")

    def exec_module(self, module: ModuleType) -> None:
        """Never called; what makes this a loader."""
