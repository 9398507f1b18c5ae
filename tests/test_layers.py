"""Imports point down, siblings leave each other alone, and nothing goes in circles."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import elsewise

SRC = Path(elsewise.__file__).parent
LAYERS = [  # a module may import from its own row or from rows above it
    {
        "errors",
        "progress",
        "storage",
        "arrays",
        "outputs",
        "messages",
        "explanation",
        "decisions",
        "scaling",  # what several calibrators solve with
        "affine",
        "calibrators",
        "scores",
        "rules",
        "metrics",
        "distances",
        "familiarity",
        "calibrator_choice",
        "score_choice",
        "conformal",
        "planning",
        "band",
        "certifying",
        "mixture",
        "kinds",
    },
    {
        "engines",
        "formats",
        "batching",
        "canaries",
        "disk",
        "encoders",
        "machine",
        "modelfiles",
        "text_engine",
        "tokens",
    },
    {
        "data",
        "wrappers",
        "classifier",
        "training",
        "fitting",
        "evaluation",
        "report",
    },
    {
        "batch",
        "predict",
        "calibrate",
        "commands",
        "demo",
        "doctor",
        "options",
        "showing",
        "cli",
        "cluster",
        "server",
        "client",
        "__init__",
        "__main__",
    },
]
RANK = {name: rank for rank, row in enumerate(LAYERS) for name in row}
OPEN_SETS = {
    "calibrators",
    "scores",
    "rules",
    "engines",
    "commands",
    "messages",
    "wrappers",
}  # one file each, found through a table and not through a sibling
HELPERS = {  # what several of them share
    "elsewise.messages.wording",
    "elsewise.calibrators.best_temperature",
    "elsewise.calibrators.scale_and_bias",
    "elsewise.scores.distances",
    "elsewise.wrappers.asked",
    "elsewise.wrappers.weights",
    "elsewise.engines.text",
    "elsewise.engines.tokenizer",
    "elsewise.engines.batching",
    "elsewise.engines.files",
    "elsewise.engines.canaries",
    "elsewise.engines.machine",
    "elsewise.engines.encoders",
    "elsewise.engines.output_kinds",
    "elsewise.engines.onnx_safety",
    "elsewise.rules.decisions",
    "elsewise.rules.explanation",
    "elsewise.rules.certificate",
    "elsewise.rules.fixed_sequence",
    "elsewise.rules.out_of_scope_share",
    "elsewise.rules.accuracy_band",
    "elsewise.rules.sample_size",
    "elsewise.rules.conformal",
    "elsewise.rules.familiarity",
}

FILES = sorted(SRC.rglob("*.py"))
every_file = pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(SRC)) for path in FILES])


def module_of(path):
    parts = path.relative_to(SRC.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path) for path in FILES}


def home(module):
    """The first-level name that has a rank: `rules` for elsewise.rules.fixed, `__init__` for elsewise itself."""
    return [*module.split("."), "__init__"][1]


def is_for_types(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def statements(node, *, deep):
    """Every statement below, those under TYPE_CHECKING apart; functions are entered only when `deep`."""
    for child in ast.iter_child_nodes(node):
        if is_for_types(child) or (not deep and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)):
            continue
        yield child
        yield from statements(child, deep=deep)


def imports(source, *, deep=True):
    """The modules of this package that a source text imports, at the top and, when `deep`, inside functions."""
    for node in statements(ast.parse(source), deep=deep):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "elsewise")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: absolute imports only, one spelling to search for"
            if (node.module or "").split(".")[0] == "elsewise":
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                yield from (inner & MODULES) or {node.module}


def test_imports_are_found_wherever_they_stand():
    source = (
        "import elsewise.arrays\n"
        "from elsewise import arrays, softmax\n"
        "from elsewise.rules import fixed\n"
        "if TYPE_CHECKING:\n    from elsewise.cli import main\n"
        "else:\n    pass\n"
        "def f():\n    with x:\n        from elsewise.scores.margin import Margin\n"
    )

    top = ["elsewise.arrays", "elsewise.arrays", "elsewise.rules.fixed"]
    assert list(imports(source)) == [*top, "elsewise.scores.margin"]
    assert list(imports(source, deep=False)) == top


@every_file
def test_imports_point_down(path):
    here = home(module_of(path))

    too_high = [name for name in imports(path.read_text()) if RANK[home(name)] > RANK[here]]

    assert too_high == []


@every_file
def test_siblings_in_an_open_folder_leave_each_other_alone(path):
    here = module_of(path)
    if home(here) not in OPEN_SETS or path.name == "__init__.py":
        return

    siblings = [
        name
        for name in imports(path.read_text())
        if home(name) == home(here) and name.count(".") > 1 and name not in HELPERS
    ]

    assert siblings == []


def test_nothing_is_imported_in_circles():
    """A package's own table imports its files; a file that imported the table back would be a circle."""
    graph = {module_of(path): set(imports(path.read_text(), deep=False)) - {module_of(path)} for path in FILES}

    assert list(TopologicalSorter(graph).static_order())
