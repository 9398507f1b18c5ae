"""docs/bad-input.md, made of the cases: python tests/bad_input/page.py"""

import re
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from bad_input import GROUPS

PAGE = Path(__file__).parents[2] / "docs" / "bad-input.md"
TOP = """# Bad input

What is wrong with what you give, and what happens then. Each line is a test, and this page is written from those \
tests, which compare the messages word for word; only `{number}`, `{name}` and `{here}` differ from place to place. \
A refusal is exit code 1 and a last line on stderr that begins with `elsewise: `; stdout stays empty and no file is \
made. Everything else on this page is no reason to stop.
"""


def code(text):
    """Write text as code in a cell of a table, whatever it holds."""
    shown = text.replace("o" * 300, "ooo...").replace("|", "\\|")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def outcome(case):
    if case.is_refused:
        return f"refused: {code(case.said)}"
    return f"{case.then}; said: {code(case.said)}" if case.said else case.then


def page():
    parts = [TOP]
    for group, (cases, words) in GROUPS.items():
        rows = [f"| {case.given} | {outcome(case)} |" for case in cases]
        parts.append(
            "\n".join([f"## {group}\n\n{words}\n", "| what you give | what happens |", "| --- | --- |", *rows])
        )
    return "\n".join(f"{part.rstrip()}\n" for part in parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
