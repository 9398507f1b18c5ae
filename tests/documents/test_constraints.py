"""constraints.txt pins every dependency, for every Python, and `make lock` keeps what it must keep."""

import re
import runpy
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
HEAD, *LINES = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
PINS = [Requirement(line) for line in LINES]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"].values()
NEEDED = [Requirement(words) for words in [*PROJECT["dependencies"], *(words for extra in EXTRAS for words in extra)]]
PYTHONS = ["3.11", "3.12", "3.13"]


@pytest.fixture(scope="module")
def locked():
    return runpy.run_path(str(ROOT / "tools" / "lock.py"))["locked"]


def spelt(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(python):
    """The version of each package on one Python; a package must not have two there."""
    there = [pin for pin in PINS if pin.marker is None or pin.marker.evaluate({"python_version": python})]
    assert len({spelt(pin.name) for pin in there}) == len(there)
    return {spelt(pin.name): str(pin.specifier).removeprefix("==") for pin in there}


@pytest.mark.parametrize("python", PYTHONS)
def test_everything_that_is_needed_is_pinned_within_its_limits(python):
    versions = pinned(python)

    needed = [wanted for wanted in NEEDED if wanted.name != PROJECT["name"]]
    assert [str(wanted) for wanted in needed if versions.get(spelt(wanted.name), "none") not in wanted.specifier] == []


def test_the_pins_are_sorted_below_one_line_of_comment():
    assert HEAD.startswith("# ")
    assert sorted(LINES) == LINES
    assert [line for line in LINES if re.search(r"[@/+]", line)] == []


def test_lock_refreshes_this_python_and_keeps_the_lines_of_others(locked):
    old = ['numpy==1; python_version < "3.12"', 'numpy==2; python_version >= "3.12"', "gone==1", "torch==2.13.0"]
    found = ["# Editable install (elsewise==0.1.0)", "-e /there", "Jinja2==3.1", "numpy==1.5", "torch==2.14.0+cpu"]

    assert list(locked(old, found, (3, 11))) == [
        "jinja2==3.1", 'numpy==1.5; python_version < "3.12"', 'numpy==2; python_version >= "3.12"', "torch==2.13.0",
    ]  # fmt: skip
    assert 'numpy==1.5; python_version >= "3.12"' in list(locked(old, found, (3, 13)))


def test_lock_leaves_the_package_itself_and_paths_out(locked):
    found = ["elsewise==0.1.0", "wheel @ file:///there/wheel.whl", "rich==15.0.0"]

    assert list(locked([], found, (3, 11))) == ["rich==15.0.0"]


def test_every_extra_has_its_size_on_the_page_of_installation():
    """`python tools/install_sizes.py` writes the lines; the page tells of `train` in words."""
    sizes = runpy.run_path(str(ROOT / "tools" / "install_sizes.py"))
    rows = dict(sizes["rows_of"]((ROOT / "docs" / "install.md").read_text(encoding="utf-8")))

    assert list(rows) == list(sizes["PURPOSES"])
    assert rows.keys() - {sizes["BASE"]} == PROJECT["optional-dependencies"].keys() - {"train", "docs", "dev"}
    assert all(re.search(r"\| \d+ \| [\d,]+ \|$", line) for line in rows.values())
