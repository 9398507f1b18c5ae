"""How Sphinx builds these pages: ``make docs``.

The pages are Markdown (MyST). Made from the code: the commands by Typer, the Python names by autodoc, the messages by
messages.py, the picture of the rooms by rooms.py.
"""

import sys
from importlib import metadata
from pathlib import Path
from subprocess import run

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import messages  # noqa: E402  beside this file
import rooms  # noqa: E402  beside this file

project = "Elsewise"
author = "the Elsewise authors"
project_copyright = author
release = metadata.version("elsewise")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "generated/messages-*", "generated/rooms.md"]
html_theme = "furo"
html_title = f"Elsewise {release}"
html_copy_source = False
html_show_sphinx = False

myst_heading_anchors = 4
myst_links_external_new_tab = False
# Links to files beside docs/, such as the changelog: tests follow them. Names such as k, which several classes have.
suppress_warnings = ["myst.xref_missing", "ref.python"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the sections Parameters and Returns say it in words
default_role = "code"  # single quotes of this kind are names in the docstrings
napoleon_numpy_docstring = True
napoleon_google_docstring = False


def write_generated() -> None:
    """Write what is made from the code: the page of the commands, the messages and the picture of the rooms."""
    folder = HERE / "generated"
    folder.mkdir(exist_ok=True)
    words = [
        sys.executable,
        "-m",
        "typer",
        "elsewise.cli",
        "utils",
        "docs",
        "--name",
        "elsewise",
        "--title",
        "Commands",
    ]
    made = run(words, check=True, capture_output=True, text=True).stdout  # noqa: S603
    (folder / "commands.md").write_text(made, encoding="utf-8")
    for area in messages.AREAS:
        (folder / f"messages-{area}.md").write_text(messages.listing(area), encoding="utf-8")
    (folder / "rooms.svg").write_text(rooms.picture(), encoding="utf-8")
    (folder / "rooms.md").write_text(rooms.table(), encoding="utf-8")


write_generated()
