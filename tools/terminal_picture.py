"""Draw a terminal in which commands really ran: docs/pictures/terminal.svg.

    python tools/terminal_picture.py MODEL

MODEL is the model of `elsewise demo`, or one that `fit --quick` makes of the same texts in minutes. The commands run in
a folder where it is called `model`; each shows its first lines. The picture asks for no font and no file.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "terminal.svg"
WIDTH = 100
STRANGE, USUAL = "what is the capital of France", "where is my parcel, it is two weeks late"
COMMANDS = (  # the words, and how many lines are shown
    (("explain", "model", USUAL), 1),
    (("explain", "model", STRANGE), 2),
    (("explain", "model", USUAL, "--language", "tr"), 1),
    (("explain", "model", STRANGE, "--language", "tr"), 2),
)
FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def said(words: tuple[str, ...], lines: int, folder: Path) -> list[str]:
    """Run a command, and give the first lines of its stdout."""
    environment = {**os.environ, "COLUMNS": "1000"}
    done = subprocess.run(  # noqa: S603  the commands above
        [sys.executable, "-m", "elsewise", *words],
        cwd=folder, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()[:lines]


def drawn(model: Path) -> str:
    """Draw the commands and what they said, as SVG."""
    console = Console(record=True, width=WIDTH, file=StringIO(), highlight=False)
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "model").symlink_to(model.resolve())
        for words, lines in COMMANDS:
            typed = f"$ elsewise {shlex.join(words)} | head -{lines}"
            console.print(Text(typed, style="bold green"))
            for line in said(words, lines, Path(place)):
                console.print(Text(line))
    made = console.export_svg(title="elsewise", theme=MONOKAI, unique_id="elsewise")
    made = re.sub(r"<!--.*?-->\s*", "", FONT.sub("", made))
    return made.replace("Fira Code, monospace", "monospace")


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    PICTURE.write_text(drawn(parser.parse_args().model), encoding="utf-8")


if __name__ == "__main__":
    main()
