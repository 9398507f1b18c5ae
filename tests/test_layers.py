"""Imports point down from room to room, entries of a table leave each other alone, and nothing goes in circles."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import elsewise

SRC = Path(elsewise.__file__).parent
RANKS = [  # a room imports only rooms of lower ranks, and not those beside it
    {"errors", "progress"},
    {"arrays", "client", "messages", "reporting", "storage"},
    {"outputs", "metrics", "calibrators"},
    {"scores", "engines", "pages"},
    {"rules"},
    {"data"},
    {"classifier", "training", "wrappers"},
    {"evaluation"},
    {"fitting", "batch", "report", "server"},
    {"cli", "mlflow", "sklearn", "__init__", "__main__"},
]
EXCUSED = {("__main__", "cli")}
RANK = {room: rank for rank, rooms in enumerate(RANKS) for room in rooms}
TABLES = {  # rooms of one file an entry, found through the table in their `__init__` or in the file that is named
    "calibrators": "CALIBRATORS",
    "scores": "SCORES",
    "rules": "RULES",
    "engines": "ENGINES",
    "wrappers": "WRAPPERS",
    "messages": "MESSAGES",
    "data.formats": "FORMATS",
    "cli": "COMMANDS",
}
TORCH = {"torch", "transformers", "accelerate"}
FILES = {
    ".".join([*path.relative_to(SRC.parent).parent.parts, path.stem]).removesuffix(".__init__"): path
    for path in sorted(SRC.rglob("*.py"))
}
SOURCES = {module: path.read_text(encoding="utf-8") for module, path in FILES.items()}


def room_of(module):
    """The first-level name that has a rank: `rules` for elsewise.rules.fixed, `__init__` for elsewise itself."""
    return [*module.split("."), "__init__"][1]


def imported(source):
    """What a source text imports, wherever it stands: at the top, inside functions, and for type checkers."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: absolute imports only, one spelling to search for"
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & FILES.keys()
            yield from inner or {node.module or ""}


def at_the_top(source):
    """What is imported when a module is: not inside functions, and not for type checkers."""
    tree = ast.parse(source)
    tree.body = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    tree.body = [node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node))]
    return imported(ast.unparse(tree))


def ours(modules):
    return {name for name in modules if name.split(".")[0] == "elsewise"}


def entries(room):
    """The modules that a table leads to."""
    table = getattr(__import__(f"elsewise.{room}", fromlist=["_"]), TABLES[room])
    places = (getattr(value, "where", value) for value in table.values())
    leads = (place.partition(":")[0] if isinstance(place, str) else place for place in places)
    if room == "messages":
        return {f"elsewise.messages.{language}" for language in table}
    return {
        lead if isinstance(lead, str) else lead.__name__ if hasattr(lead, "__file__") else lead.__module__
        for lead in leads
    }


def test_imports_are_found_wherever_they_stand():
    source = (
        "import elsewise.arrays\n"
        "from elsewise import outputs, softmax\n"
        "if TYPE_CHECKING:\n    from elsewise.cli import main\n"
        "def f():\n    with x:\n        from elsewise.scores.combined import Combined\n"
    )

    assert set(imported(source)) == {"elsewise.arrays", "elsewise.outputs", "elsewise.cli", "elsewise.scores.combined"}
    assert set(at_the_top(source)) == {"elsewise.arrays", "elsewise.outputs"}


def test_every_room_has_a_rank():
    assert {room_of(module) for module in FILES} == RANK.keys()


def test_imports_point_down():
    upward = [
        f"{module} -> {other}"
        for module, source in SOURCES.items()
        for other in ours(imported(source))
        for pair in [(room_of(module), room_of(other))]
        if pair[0] != pair[1] and pair not in EXCUSED and RANK[pair[1]] >= RANK[pair[0]]
    ]

    # The public names, for tools that do not run code: they lie in rooms of lower ranks.
    assert upward == []


@pytest.mark.parametrize("room", TABLES)
def test_entries_of_a_table_leave_each_other_alone(room):
    """A new one is a file beside the others: it needs none of them, only what they all share."""
    found = entries(room)

    assert found <= FILES.keys()
    assert {name: there for name in found if (there := ours(imported(SOURCES[name])) & (found - {name}))} == {}


def test_nothing_is_imported_in_circles():
    """Imports inside functions and for type checkers count; a package's own `__init__` imports its files."""
    graph = {module: ours(imported(source)) - {module} for module, source in SOURCES.items()}

    assert list(TopologicalSorter(graph).static_order())


def test_torch_is_imported_at_the_top_of_few_files():
    there = {
        module for module, source in SOURCES.items() if {name.split(".")[0] for name in at_the_top(source)} & TORCH
    }
    needing = {
        module for module, source in SOURCES.items() if 'need("torch"' in source or 'need("transformers"' in source
    }

    allowed = {"elsewise.engines.torch", "elsewise.engines.mc_dropout", "elsewise.engines.mean_pooled"}
    assert there == set()
    assert {module for module in needing if room_of(module) != "training"} <= allowed
