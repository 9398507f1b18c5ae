"""Draw the rooms of the package by rank, from RANKS of tests/test_layers.py, for the page of the architecture."""

import ast
import html
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
WIDTH: Final = 720
BOX: Final = (112, 28)  # width and height
ROW: Final = 48  # from one rank to the next
GAP: Final = 16  # between two rooms of a rank
HEAD: Final = (
    '<svg viewBox="0 0 {width} {height}" width="100%" role="img" aria-label="The rooms by rank" '
    'font-family="monospace" font-size="13" fill="none" stroke="currentColor">'
)


def ranks() -> list[list[str]]:
    """Read the ranks, the lowest first, each in the order of the alphabet."""
    tree = ast.parse((ROOT / "tests" / "test_layers.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "RANKS":
            return [sorted(rooms) for rooms in ast.literal_eval(node.value)]
    raise LookupError("tests/test_layers.py has no RANKS")


def purpose(room: str) -> str:
    """Give the first sentence of a room's docstring."""
    place = ROOT / "src" / "elsewise" / room
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    said = (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").splitlines()[0]
    return said.split(". ")[0].rstrip(".")


def picture() -> str:
    """Draw one row a rank as SVG, the doors at the top; hovering over a room tells what it is for."""
    rows = ranks()[::-1]
    lines = [HEAD.format(width=WIDTH, height=ROW * len(rows))]
    for i, rooms in enumerate(rows):
        middle = ROW * i + ROW // 2
        lines.append(_words(16, middle, str(len(rows) - 1 - i)))
        if i:
            lines.append(f'<path d="M {WIDTH // 2} {ROW * i - 6} v 12 m -4 -4 l 4 4 l 4 -4"/>')
        for j, room in enumerate(rooms):
            lines.append(_box(WIDTH // 2 + round((j - len(rooms) / 2) * (BOX[0] + GAP)) + GAP // 2, middle, room))
    return "\n".join([*lines, "</svg>", ""])


def table() -> str:
    """List the rooms with what each is for, the doors first, as a table of Markdown."""
    rows = [
        f"| {rank} | `{room}` | {purpose(room)} |"
        for rank, rooms in reversed(list(enumerate(ranks())))
        for room in rooms
    ]
    return "\n".join(["| rank | room | what it is for |", "|---|---|---|", *rows, ""])


def _box(x: int, middle: int, room: str) -> str:
    left = f'<rect x="{x}" y="{middle - BOX[1] // 2}" width="{BOX[0]}" height="{BOX[1]}" rx="4"'
    words = _words(x + BOX[0] // 2, middle, room)
    return f'<g><title>{html.escape(purpose(room))}</title>{left} fill="transparent"/>{words}</g>'


def _words(x: int, middle: int, words: str) -> str:
    return f'<text x="{x}" y="{middle + 4}" text-anchor="middle" fill="currentColor" stroke="none">{words}</text>'
