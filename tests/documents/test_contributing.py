"""The documents for contributors name files and tables that exist, and the picture of the rooms has every room."""

import ast
import re
import runpy
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from test_layers import RANKS, TABLES

ROOT = Path(__file__).resolve().parents[2]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PLACE = re.compile(
    r"^\| (?P<what>[^|]+) \| `(?P<file>[^`|]+)` \| `(?P<table>[A-Z]+)` in `(?P<home>[^`|]+)` \| (?P<tests>[^|]+) \|$",
    re.MULTILINE,
)
PLACES = {place["what"]: place for place in PLACE.finditer(CONTRIBUTING)}
HOOKS = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")


def assigned(file):
    """The names that a file sets at its top."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            yield from (ast.unparse(name) for name in getattr(node, "targets", None) or [node.target])


def drawn(name):
    """What docs/rooms.py makes with one of its functions."""
    return runpy.run_path(str(ROOT / "docs" / "rooms.py"))[name]()


@pytest.mark.parametrize("what", PLACES)
def test_a_new_part_goes_where_its_table_stands(what):
    place = PLACES[what]

    assert (ROOT / place["file"]).parent == (ROOT / place["home"]).parent
    assert place["table"] in assigned(ROOT / place["home"])


@pytest.mark.parametrize("what", PLACES)
def test_the_tests_that_pick_a_new_part_up_are_there_and_know_its_table(what):
    named = re.findall(r"`(tests/[^`]+\.py)`", PLACES[what]["tests"].split("write")[0])

    assert named
    assert [name for name in named if PLACES[what]["table"] not in (ROOT / name).read_text(encoding="utf-8")] == []


def test_every_table_has_its_line():
    assert {place["table"] for place in PLACES.values()} >= set(TABLES.values())


@pytest.mark.parametrize("name", ["picture", "table"])
def test_every_room_is_drawn(name):
    made = drawn(name)

    assert [room for rooms in RANKS for room in rooms if not re.search(rf"[>`]{room}[<`]", made)] == []


def test_the_lanes_are_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    lanes = set(re.findall(r"`make ([\w-]+)", CONTRIBUTING))

    assert {"quick", "test", "check", "guarantees", "faults", "bench-smoke", "docs", "bench"} <= lanes
    assert [lane for lane in lanes if f"\n{lane}:" not in makefile] == []


def test_the_citation_is_of_this_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()

    assert {f"version: {project['version']}", f"license: {project['license']}"} <= set(citation)


def test_the_hooks_are_tools_of_the_virtual_environment():
    """A hook of another repository would be fetched over the network."""
    assert re.findall(r"repo: (.+)", HOOKS) == ["local"]
    assert {line.split("/")[1] for line in re.findall(r"entry: \.venv/(.+)", HOOKS)} == {
        "ruff check --force-exclude",
        "ruff format --force-exclude",
        "mypy",
    }


@pytest.mark.skipif(shutil.which("make") is None, reason="no make there")
@pytest.mark.parametrize(
    ("target", "extras"), [("demo", ["train,demo"]), ("wheel", ["train,demo"]), ("quick", ["train,demo", "dev"])]
)
def test_a_target_installs_what_it_needs_and_no_more(target, extras, tmp_path):
    """One environment that grows, in an empty copy of what make looks at."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)

    done = subprocess.run(["make", "-n", target], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert re.findall(r"-e '\.\[([^]]+)\]'", done.stdout) == extras
