"""Measure the house: how big its rooms are, how imports run, what is said and written twice.

    python tools/measure_house.py [ROOT] [--list] [--check]

ROOT is the folder of the package, in src beside tests. Only reads the source, nothing of it is imported: import
statements are seen, modules that a string names are not.
"""

import argparse
import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations
from math import inf
from pathlib import Path
from statistics import median
from typing import NamedTuple

Function = ast.FunctionDef | ast.AsyncFunctionDef
Graph = dict[str, set[str]]

DOORS = {"__init__", "__main__"}
GROUND = {"messages", "storage"}  # small packages that stand among the files of the ground: no rooms
ROOMS = {"packages": 14, "on the ground": 2, "files": 4}
EXCUSED = {("__main__", "cli"), ("cli", "__init__")}
DIMENSION = r"[a-z0-9](?:_\w+)?(?: ?[-+*] ?\w)?"
SHAPE = re.compile(rf"(?<![\w.])\((?=[^)]*[a-z]){DIMENSION}(?:,|(?:, ?{DIMENSION})+)\)|\bscalar\b")
EXAMPLE = re.compile(r"^\s*(?:>>>|\.\.\.).*$", re.MULTILINE)


class Line(NamedTuple):
    """A line of the table, and what stands behind it."""

    measure: str
    value: str
    asked: str
    over: bool
    behind: Iterable[str]


class Module(NamedTuple):
    """A file of the package."""

    name: str
    path: Path
    text: str
    tree: ast.Module


class Import(NamedTuple):
    """One module imports another: when it is imported itself (`runs`), or later, or for types only."""

    source: str
    target: str
    rooms: tuple[str, str]  # the first-level names of both
    where: str
    runs: bool


class House:
    """The source of the package."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.modules = {module.name: module for module in map(self._read, sorted(root.rglob("*.py")))}
        self.packages = {path.parent.name for path in root.glob("*/*.py")}
        self.rooms = set(map(room_of, self.modules)) - DOORS
        self.imports = [one for module in self.modules.values() for one in self._imports(module)]

    def _read(self, path: Path) -> Module:
        parts = path.relative_to(self.root.parent).with_suffix("").parts
        text = path.read_text(encoding="utf-8")
        name = ".".join(parts[:-1] if path.stem == "__init__" else parts)
        return Module(name, path.relative_to(self.root.parents[1]), text, ast.parse(text))

    def _imports(self, module: Module) -> Iterator[Import]:
        for node, runs in import_nodes(module.tree):
            for target in sorted(self._targets(node) - {module.name}):
                if target.split(".")[0] == self.root.name:
                    rooms = room_of(module.name), room_of(target)
                    yield Import(module.name, target, rooms, f"{module.path}:{node.lineno}", runs)

    def _targets(self, node: ast.Import | ast.ImportFrom) -> set[str]:
        if isinstance(node, ast.Import):
            return {alias.name for alias in node.names}
        inner = {f"{node.module}.{alias.name}" for alias in node.names}
        return {name if name in self.modules else str(node.module) for name in inner}

    def nodes(self, kind: type) -> list[tuple[Module, ast.AST]]:
        """Everything of a kind, with its module."""
        return [(m, node) for m in self.modules.values() for node in ast.walk(m.tree) if isinstance(node, kind)]

    def graph(self, *, every: bool) -> Graph:
        """Give what each module imports; a file of another package is imported together with its __init__."""
        graph: Graph = {name: set() for name in self.modules}
        for one in self.imports:
            package = one.target.rpartition(".")[0]
            inside = f"{one.source}.".startswith(f"{package}.")
            if every or one.runs:
                graph[one.source] |= {one.target} if inside else {one.target, package}
        return {name: targets & graph.keys() for name, targets in graph.items()}

    def graph_of_rooms(self) -> Graph:
        """Give what each first-level name imports when it is imported, the doors aside."""
        pairs = {one.rooms for one in self.imports if one.runs and len({*one.rooms}) > 1}
        return {room: {target for source, target in pairs if source == room} & self.rooms for room in self.rooms}


def room_of(module: str) -> str:
    """Name the first level: `rules` of elsewise.rules.fixed, `__init__` of elsewise."""
    return [*module.split("."), "__init__"][1]


def import_nodes(node: ast.AST, *, runs: bool = True) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Every import below, and whether it runs when the module is imported."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, runs
        elif isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield from import_nodes(ast.Module(child.body, []), runs=False)
            yield from import_nodes(ast.Module(child.orelse, []), runs=runs)
        else:
            yield from import_nodes(child, runs=runs and not isinstance(child, Function | ast.Lambda))


def components(graph: Graph) -> dict[str, frozenset[str]]:
    """Give the strongly connected component of each node, by Warshall's transitive closure."""
    reach = {node: {node} | targets for node, targets in graph.items()}
    for via in graph:
        for node in graph:
            reach[node] |= reach[via] if via in reach[node] else set()
    return {node: frozenset(other for other in reach[node] if node in reach[other]) for node in graph}


def longest_chain(graph: Graph, counted: set[str]) -> list[str]:
    """Name the counted nodes on the path that has most of them; a circle is one stone, with all its nodes."""
    home = components(graph)
    best: dict[frozenset[str], list[str]] = {}

    def longest(groups: Iterable[frozenset[str]]) -> list[str]:
        return max(map(below, groups), key=lambda chain: (len(chain), chain), default=[])

    def below(group: frozenset[str]) -> list[str]:
        if group not in best:
            after = {home[target] for node in group for target in graph[node]} - {group}
            best[group] = sorted(group & counted) + longest(after)
        return best[group]

    return longest(home.values())


def line(measure: str, most: float, behind: Iterable[str], value: int | None = None) -> Line:
    """Make a line of a number, of things behind it unless told, that must not be larger; inf: nothing is asked."""
    n = len(list(behind)) if value is None else value
    shown = "not found" if n == sys.maxsize else f"{n:,}"
    return Line(measure, shown, {0: "0", inf: "-"}.get(most, f"<= {most}"), n > most, behind)


def top(house: House) -> Iterator[Line]:
    """Count what stands at the top of the package, and how high it is piled up."""
    packages = house.packages - GROUND
    found = dict(zip(ROOMS, (packages, house.packages & GROUND, house.rooms - house.packages), strict=True))
    value = ", ".join(f"{len(names)} {kind}" for kind, names in found.items())
    over = any(len(names) > ROOMS[kind] for kind, names in found.items())
    asked = ", ".join(f"{n} {kind}" for kind, n in ROOMS.items())
    yield Line("rooms at the top", value, asked, over, [f"{kind}: {', '.join(sorted(found[kind]))}" for kind in found])
    rooms, modules = house.graph_of_rooms(), house.graph(every=False)
    yield line("longest chain of packages, ground aside", 8, longest_chain(rooms, packages))
    yield line("longest chain of first-level names, ground counted", inf, longest_chain(rooms, house.rooms))
    yield line("longest chain of modules", inf, longest_chain(modules, set(modules)))


def arrows(house: House) -> Iterator[Line]:
    """Count imports between first-level names that do not go down a rank, and modules that import each other."""
    rank = {name: n for n, row in enumerate(literal(house.root.parents[1] / "tests/test_layers.py", "RANKS"))
            for name in row}  # fmt: skip
    back = [f"no rank: {name}" for name in sorted((house.rooms | DOORS) - rank.keys())]
    for one in house.imports:
        here, there = one.rooms
        if here != there and one.rooms not in EXCUSED and rank.get(there, -1) >= rank.get(here, inf):
            back.append(f"{one.where}: {here} (rank {rank[here]}) -> {one.target} (rank {rank[there]})")
    counted = line("arrows back up, all imports; names without a rank", 0, back)
    yield counted if rank else counted._replace(value="no ranks", behind=[])
    for what, every in (("top-level imports", False), ("lazy and TYPE_CHECKING too", True)):
        groups = {tuple(sorted(group)) for group in components(house.graph(every=every)).values()}
        yield line(f"circles of modules, {what}", 0, [", ".join(g) for g in sorted(groups) if len(g) > 1])


def literal(path: Path, name: str) -> list:
    """Read a literal list that a module assigns at its top; empty where there is none."""
    tree = ast.parse(path.read_text(encoding="utf-8") if path.exists() else "")
    assigned = [n for n in tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == name]
    return ast.literal_eval(assigned[0].value) if assigned else []


def sizes(house: House) -> Iterator[Line]:
    """Measure modules, and functions with their signature but without their docstring."""
    modules = [(len(module.text.splitlines()), f"{module.path}") for module in house.modules.values()]
    bodies = [(body_length(node), f"{m.path}:{node.lineno} {node.name}") for m, node in house.nodes(Function)]
    yield line("modules", inf, house.modules, len(modules))
    yield line("source lines", inf, [], sum(length for length, _ in modules))
    yield spread("module lines", modules, (inf, 400, 600))
    yield spread("function bodies, signature counted", bodies, (8, 25, 60))


def body_length(node: Function) -> int:
    """Lines from ``def`` to the end, without those of the docstring."""
    doc = [] if ast.get_docstring(node) is None else node.body[:1]
    return node.end_lineno - node.lineno + 1 - sum(part.end_lineno - part.lineno + 1 for part in doc)


def spread(measure: str, found: list[tuple[int, str]], most: tuple[float, ...]) -> Line:
    """Give median, 90th percentile and largest of lengths; behind it, what is longer than nine tenths may be."""
    n = sorted(length for length, _ in found)
    values = (median(n), n[min(len(n) - 1, int(0.9 * len(n)))], n[-1])
    value, asked = (" / ".join(f"{x:g}".replace("inf", "-") for x in numbers) for numbers in (values, most))
    over = any(x > limit for x, limit in zip(values, most, strict=True))
    behind = [f"{length} {where}" for length, where in sorted(found, reverse=True) if length > most[1]]
    return Line(f"{measure}: median / p90 / max", value, f"<= {asked}", over, behind)


def types(house: House) -> Iterator[Line]:
    """Count mappings to anything, as written, and the parts of the two types that all others hang on."""
    found = [(len(re.findall(r"\b(?:Mapping|dict)\[str, Any\]", m.text)), m.path) for m in house.modules.values()]
    untyped = [f"{n} {path}" for n, path in sorted(found, reverse=True) if n]
    yield line("`Mapping[str, Any]` and `dict[str, Any]`", 60, untyped, sum(n for n, _ in found))
    classes = [node for _, node in house.nodes(ast.ClassDef)]
    fields = [parts(node, ast.AnnAssign) for node in classes if node.name == "Classifier"]
    yield line("fields of Classifier", 8, max(fields, key=len, default=()), None if fields else sys.maxsize)
    protocols = [node for node in classes if node.name == "Engine" and "Protocol" in map(ast.unparse, node.bases)]
    members = [parts(node, ast.AnnAssign | Function) for node in protocols]
    yield line("members of Engine", 2, max(members, key=len, default=()), None if members else sys.maxsize)


def parts(node: ast.ClassDef, kinds: type) -> dict[str, None]:
    """Name what a class annotates or defines, each once."""
    found = [part for part in node.body if isinstance(part, kinds)]
    return dict.fromkeys(ast.unparse(part.target) if isinstance(part, ast.AnnAssign) else part.name for part in found)


def shapes(house: House) -> Iterator[Line]:
    """Count public functions with arrays in their signature, and those of them whose docstring gives a shape."""
    defined = [n for _, n in house.nodes(ast.AnnAssign) if n.value and ast.unparse(n.value).startswith("NDArray[")]
    arrays = re.compile(rf"\b({'|'.join(['ArrayLike', 'NDArray', 'ndarray', *(n.target.id for n in defined)])})\b")
    every = [(m, f) for m in house.modules.values() if "._" not in m.name for f in public(m.tree.body)]
    found = [(m, f) for m, f in every if arrays.search(f"{ast.unparse(f.args)} {ast.unparse(f.returns or f.args)}")]
    missing = [f"{m.path}:{f.lineno} {f.name}" for m, f in found
               if not SHAPE.search(EXAMPLE.sub("", ast.get_docstring(f) or ""))]  # fmt: skip
    given = len(found) - len(missing)
    value = f"{given} of {len(found)}, {given / max(len(found), 1):.0%}"
    yield Line("public functions with arrays that give shapes", value, "100%", bool(missing), missing)


def public(body: list[ast.stmt]) -> Iterator[Function]:
    """Functions and methods without an underscore before their name or their class's; ``__call__`` too."""
    for node in body:
        if isinstance(node, Function | ast.ClassDef) and (node.name[0] != "_" or node.name == "__call__"):
            yield from [node] if isinstance(node, Function) else public(node.body)


def doors(house: House) -> Iterator[Line]:
    """Count options that commands repeat, and public names."""
    # Written out: annotated with a call of Option, no alias, in several files. Shared: whichever way. Both by name.
    files = [m for m in house.modules.values() if m.path.parent.name in ("commands", "cli")]
    written, taken = defaultdict(set), defaultdict(set)
    for module in files:
        for part in (part for part in ast.walk(module.tree) if isinstance(part, ast.arg) and part.annotation):
            if re.search(r"\bOption\(", ast.unparse(part.annotation)):
                written[part.arg].add(f"{module.path}")
        for node in module.tree.body:
            if isinstance(node, Function) and node.name == module.path.stem:
                taken[node.name] = {part.arg for part in ast.walk(node.args) if isinstance(part, ast.arg)}
    twice = [f"{name}: {', '.join(sorted(where))}" for name, where in written.items() if len(where) > 1]
    yield line("options written out by two commands", 0, twice)
    shared = sorted((len(taken[a] & taken[b]), f"{a}, {b}") for a, b in combinations(sorted(taken), 2)) or [(0, "")]
    yield line("parameters that two commands share, at most", inf, [shared[-1][1]], shared[-1][0])
    yield line("public names", 20, names := literal(house.root / "__init__.py", "__all__"), len(names))


def main() -> int:
    """Print the table, and with --list what stands behind each line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).parents[1] / "src" / "elsewise")
    parser.add_argument("--list", action="store_true", help="print what stands behind each line")
    parser.add_argument("--check", action="store_true", help="exit 1 if a line is over what is asked")
    given = parser.parse_args()
    house = House(given.root.resolve())
    lines = [one for measure in (top, arrows, sizes, types, shapes, doors) for one in measure(house)]
    table = ["| measure | value | asked |\n|---|---|---|"]
    table += [f"| {one.measure} | {'**' * one.over}{one.value}{'**' * one.over} | {one.asked} |" for one in lines]
    for one in lines if given.list else []:
        table += ["", f"{one.measure}: {one.value}", *(f"  {what}" for what in one.behind)]
    sys.stdout.write("\n".join(table) + "\n")
    return int(given.check and any(one.over for one in lines))


if __name__ == "__main__":
    sys.exit(main())
