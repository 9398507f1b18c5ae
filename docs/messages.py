"""List every message of the package, from its source, for the page of errors.

A value in a message, such as a path, is written as …; words that are chosen are listed with all choices.
"""

import ast
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).parents[1] / "src" / "elsewise"
SPOKEN: Final = ("InputError", "ArtifactError", "MissingExtra", "ElsewiseError", "warn_caller")
MOST_FORMS: Final = 4  # of one message; with more choices than that, a choice is written as …

AREAS: Final = {  # what a user was about, and the rooms that speak of it
    "files": ("data", "batch", "storage"),
    "labels-and-texts": ("fitting", "evaluation", "report", "pages", "cli"),
    "training": ("training", "errors", "reporting"),
    "model-folders": ("classifier", "messages"),
    "engines": ("engines", "wrappers", "sklearn", "mlflow"),
    "serving": ("server", "client"),
    "promises": ("rules",),
    "arrays": ("arrays", "outputs", "calibrators", "scores", "metrics"),
}


def area_of(module: str) -> str:
    """Name the area of a room; KeyError for one that has none yet."""
    return {name: area for area, names in AREAS.items() for name in names}[module]


@cache
def messages() -> tuple[tuple[str, str], ...]:
    """Give the room and the text of every message that can be raised or warned."""
    return tuple(_found())


def _found() -> Iterator[tuple[str, str]]:
    for file in sorted(SOURCE.rglob("*.py")):
        module = file.relative_to(SOURCE).with_suffix("").parts[0]
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef):
                for expression in _spoken(function):
                    for text in _forms(expression, _assigned(function)):
                        if len(text.strip(" …")):
                            yield module, text


def _spoken(function: ast.FunctionDef) -> Iterator[ast.expr]:
    """Find what is raised or warned in a function, the functions inside it apart."""
    inner = {node for child in function.body for node in _inside(child)}
    for node in ast.walk(function):
        if node in inner:
            continue
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = ast.unparse(node.func)
        if name in SPOKEN:
            yield node.args[0]


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    """Give what lies in functions below a statement."""
    for child in ast.walk(node):
        if isinstance(child, ast.FunctionDef):
            yield from (below for below in ast.walk(child) if below is not child)


def _assigned(function: ast.FunctionDef) -> dict[str, list[ast.expr]]:
    """Collect what each name of a function is set to."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.setdefault(node.targets[0].id, []).append(node.value)
    return found


def _forms(node: ast.expr, names: dict[str, list[ast.expr]]) -> list[str]:  # noqa: PLR0911  one for each kind
    """Write an expression out as the texts that it can become; … where that is not known."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            return _joined([_forms(part, names) for part in parts])
        case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
            return _forms(value, names)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return _joined([_forms(left, names), _forms(right, names)])
        case ast.IfExp(body=body, orelse=orelse):
            return list(dict.fromkeys([*_forms(body, names), *_forms(orelse, names)]))
        case ast.Name(id=name) if name in names:
            others = {key: value for key, value in names.items() if key != name}
            return list(dict.fromkeys(text for value in names[name] for text in _forms(value, others)))
        case _:
            return ["…"]


def _joined(parts: list[list[str]]) -> list[str]:
    while len(forms := ["".join(choice) for choice in product(*parts)]) > MOST_FORMS:
        most = max(range(len(parts)), key=lambda i: len(parts[i]))
        parts = [["…"] if i == most else part for i, part in enumerate(parts)]
    return forms


def listing(area: str) -> str:
    """Lay out the messages of one area as a list, in the order of the alphabet."""
    found = {text for module, text in messages() if area_of(module) == area}
    return "\n".join(f"- ``{text.replace('``', '')}``" for text in sorted(found, key=_by_words)) + "\n"


def _by_words(text: str) -> str:
    return text.lstrip("… ").casefold()
