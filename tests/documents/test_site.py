"""The pages build as a site without a warning, offline, and the page of errors has every message of the source."""

import html
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from test_layers import RANKS

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("sphinx")
    target = tmp_path_factory.mktemp("site")
    words = ["-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going", "-b", "html", str(DOCS), str(target)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def words_of(page):
    """What a reader sees of a page, its blanks as one."""
    return " ".join(html.unescape(re.sub("<[^>]+>", "", page.read_text(encoding="utf-8"))).split())


def test_the_reference_of_commands_comes_from_the_command_line(site):
    from elsewise.cli import COMMANDS

    page = words_of(site / "generated" / "commands.html")

    assert [name for name in COMMANDS if f"$ elsewise {name} [OPTIONS]" not in page] == []


def test_the_reference_of_python_has_every_public_name(site):
    import elsewise

    page = (site / "python.html").read_text(encoding="utf-8")

    assert [name for name in elsewise.__all__ if f'id="elsewise.{name}"' not in page] == []


@pytest.mark.parametrize("room", ["calibrators", "metrics", "rules", "scores"])
def test_the_reference_of_python_has_every_public_name_of_a_room(site, room):
    import elsewise

    page = (site / "python.html").read_text(encoding="utf-8")
    names = [name for name in import_module(f"elsewise.{room}").__all__ if not name.isupper()]  # those are tables
    places = {name: f"elsewise.{name}" if name in elsewise.__all__ else f"elsewise.{room}.{name}" for name in names}

    assert [place for place in places.values() if f'id="{place}"' not in page] == []


def test_the_picture_of_the_rooms_is_on_its_page(site):
    page = (site / "architecture.html").read_text(encoding="utf-8")

    assert "<svg" in page
    assert [room for rooms in RANKS for room in rooms if f">{room}</text>" not in page] == []


@pytest.mark.parametrize("words", ["is not a model folder: it has no", "must be one character, not a quote"])
def test_the_page_of_errors_has_the_messages(site, words):
    assert words in words_of(site / "errors.html")


def test_the_site_loads_nothing_from_elsewhere(site):
    loading = [
        page.name
        for page in site.rglob("*.html")
        for mark in ('src="http', 'src="//', 'rel="stylesheet" type="text/css" href="http')
        if mark in page.read_text(encoding="utf-8")
    ]

    assert loading == []
