"""Pictures of a report: places of ticks, lines, dots and cells, which the templates draw as SVG."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from elsewise.report.contents import BandPoint, Bin, Curve, Outcomes
from elsewise.report.thresholds import ThresholdCounts

WIDTH: Final = 460
HEIGHT: Final = 300
LEFT: Final = 56
RIGHT: Final = 24
TOP: Final = 12
BOTTOM: Final = 46
TICKS: Final = 5
COLUMNS: Final = 50  # of the picture of 1,000 texts
ROWS: Final = 20
MOST_LABELS: Final = 150
MOST_CELLS: Final = 2500
STEPS: Final = 300  # points of a line of the explorer

Write = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Scale:
    """A map from values low..high to places start..end."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Give the place of a value, with one decimal; values outside lie at the ends.

        Examples
        --------
        >>> Scale(0, 1, 10, 20)(0.5), Scale(0, 1, 10, 20)(float("inf"))
        (15.0, 20.0)
        """
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, write: Write) -> list[tuple[float, str]]:
        """Give places and words of about five round values."""
        step = _round_step((self.high - self.low) / TICKS)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [(self(i * step), write(round(i * step, 9))) for i in range(first, last + 1)]


def _round_step(rough: float) -> float:
    scale = 10.0 ** math.floor(math.log10(rough))
    return next(step * scale for step in (1, 2, 2.5, 5, 10) if step * scale >= rough * (1 - 1e-9))


@dataclass(frozen=True, slots=True)
class Line:
    """A line by the class of its style, and its path."""

    kind: str
    path: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A dot by the class of its style; `low` and `high` are the ends of a whisker, if it has one."""

    kind: str
    x: float
    y: float
    low: float | None = None
    high: float | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """Two axes with their ticks, and what is drawn on them."""

    x: Scale
    y: Scale
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    lines: Sequence[Line] = ()
    dots: Sequence[Dot] = ()
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the field between the axes."""
        return LEFT, TOP, self.width - RIGHT, self.height - BOTTOM


def chart_of(x: tuple[float, float], y: tuple[float, float], write_x: Write, write_y: Write) -> Chart:
    """Make an empty chart of values x and y, from lowest to highest."""
    across, up = Scale(*x, LEFT, WIDTH - RIGHT), Scale(*y, HEIGHT - BOTTOM, TOP)
    return Chart(across, up, across.ticks(write_x), up.ticks(write_y))


def path_of(points: Iterable[tuple[float, float]]) -> str:
    """Write the path of a line through points."""
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


def reliability_chart(after: Sequence[Bin], before: Sequence[Bin], write: Write) -> Chart:
    """Draw the share of right labels against their probability, with the diagonal of perfect probabilities."""
    chart = chart_of((0, 1), (0, 1), write, write)
    diagonal = Line("even", path_of([(chart.x(0), chart.y(0)), (chart.x(1), chart.y(1))]))
    dots = [_bin_dot(chart, "before", one) for one in before] + [_bin_dot(chart, "after", one) for one in after]
    return Chart(chart.x, chart.y, chart.x_ticks, chart.y_ticks, [diagonal], dots)


def _bin_dot(chart: Chart, kind: str, one: Bin) -> Dot:
    value, low, high = (chart.y(end) for end in (one.right.value, one.right.low, one.right.high))
    return Dot(kind, chart.x(one.probability), value, low, high)


def risk_chart(curves: Sequence[Curve], write: Write) -> Chart:
    """Draw the share of errors among the answers against the share of texts answered."""
    top = max([0.02, *(risk for curve in curves for risk in curve.risk[len(curve.risk) // 5 :])])
    marks = [curve.mark[1] for curve in curves if curve.mark]
    chart = chart_of((0, 1), (0, min(1.0, 1.1 * max([top, *marks]))), write, write)
    lines = [
        Line(curve.name, path_of((chart.x(c), chart.y(r)) for c, r in zip(curve.coverage, curve.risk, strict=True)))
        for curve in curves
        if len(curve.coverage)
    ]
    dots = [Dot(curve.name, chart.x(curve.mark[0]), chart.y(curve.mark[1])) for curve in curves if curve.mark]
    return Chart(chart.x, chart.y, chart.x_ticks, chart.y_ticks, lines[::-1], dots)


def threshold_chart(counts: ThresholdCounts, band: Sequence[BandPoint], write_x: Write, write_y: Write) -> Chart:
    """Draw coverage, accuracy when answered and the promise of the band against the threshold."""
    inner = counts.thresholds[1:-1]
    low, high = (float(inner[0]), float(inner[-1])) if len(inner) else (0.0, 1.0)
    if 0 <= low <= high <= 1:
        low, high = 0.0, 1.0
    if low == high:
        low, high = low - 1, high + 1
    chart = chart_of((low, high), (0, 1), write_x, write_y)
    answered, wrong = counts.whole.answered, counts.whole.wrong
    at = np.unique(np.linspace(0, len(counts.thresholds) - 2, STEPS).round().astype(int)).tolist()
    places = [(chart.x(float(counts.thresholds[i])), int(answered[i]), int(wrong[i])) for i in at]
    rows = max(counts.rows, 1)
    lines = [
        Line("coverage", path_of((x, chart.y(n / rows)) for x, n, _ in places)),
        Line("accuracy", path_of((x, chart.y(1 - e / n)) for x, n, e in places if n)),
    ]
    if band:
        lines.append(Line("band", _steps(chart, band)))
    return Chart(chart.x, chart.y, chart.x_ticks, chart.y_ticks, [line for line in lines if len(line.path) > 1])


def _steps(chart: Chart, band: Sequence[BandPoint]) -> str:
    """Draw a band from loose to strict: at a threshold it promises what its next stricter point does."""
    points: list[tuple[float, float]] = []
    x = chart.x(-math.inf)
    for point in reversed(band):
        y = chart.y(max(point.promised, 0))
        points += [(x, y), (chart.x(point.threshold), y)]
        x = chart.x(point.threshold)
    return path_of(points)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the 1,000 texts: its name, its number, and its rectangles (x, y, width, height) in cells."""

    name: str
    texts: int
    cells: Sequence[tuple[int, int, int, int]]


def thousand(outcomes: Outcomes) -> list[Part]:
    """Lay 1,000 texts out in 50 columns of 20, column by column.

    Examples
    --------
    >>> [(part.name, part.cells) for part in thousand(Outcomes(100, 97, 3, {}))]
    [('right', [(0, 0, 48, 20), (48, 0, 1, 10)]), ('wrong', [(48, 10, 1, 10), (49, 0, 1, 20)])]
    """
    parts, start = [], 0
    for name, texts in outcomes.in_thousand.items():
        parts.append(Part(name, texts, _cells(start, start + texts)))
        start += texts
    return parts


def _cells(start: int, end: int) -> list[tuple[int, int, int, int]]:
    """Cover the cells start..end with at most three rectangles."""
    cells = []
    column, offset = divmod(start, ROWS)
    if offset and start < end:
        taken = min(end - start, ROWS - offset)
        cells.append((column, offset, 1, taken))
        start, column = start + taken, column + 1
    whole = (end - start) // ROWS
    if whole > 0:
        cells.append((column, 0, whole, ROWS))
        start, column = start + whole * ROWS, column + whole
    if start < end:
        cells.append((column, 0, 1, end - start))
    return cells


@dataclass(frozen=True, slots=True)
class Cell:
    """A pair of labels in the picture of confusions: places, names, rows, and the share of the true label's rows."""

    x: float
    y: float
    true: str
    best: str
    rows: int
    share: float


@dataclass(frozen=True, slots=True)
class Matrix:
    """True labels (down) and most probable labels (across), in an order that puts confused ones side by side.

    `left_out` counts the labels that are not shown: those without any error, or with few where there are many.
    """

    names: Sequence[str]
    size: int
    margin: int
    cells: Sequence[Cell] = field(default_factory=list)
    left_out: int = 0

    @property
    def extent(self) -> int:
        """Width and height of the whole picture."""
        return self.margin + self.size * len(self.names) + 8


def matrix(cells: Sequence[tuple[int, int, int]], names: Sequence[str]) -> Matrix:
    """Lay out confusions (true, best, rows) of labels; only labels with an error are shown."""
    k = len(names)
    table = np.zeros((k, k), dtype=np.int64)
    for true, best, rows in cells:
        table[true, best] = rows
    errors = table - np.diag(np.diag(table))
    by_label = errors.sum(axis=0) + errors.sum(axis=1)
    shown = np.sort(np.argsort(-by_label, kind="stable")[: min(MOST_LABELS, int((by_label > 0).sum()))])
    order = shown[_side_by_side(errors[np.ix_(shown, shown)])]
    size = 16 if len(order) <= 30 else 12 if len(order) <= 80 else 9  # noqa: PLR2004
    margin = 12 + 7 * min(22, max((len(names[i]) for i in order), default=0)) * min(size, 12) // 12
    totals = np.maximum(table.sum(axis=1), 1)
    place = {int(code): i for i, code in enumerate(order)}
    drawn = sorted(
        (-int(table[a, b]), a, b) for a in place for b in place if table[a, b] and (a != b)
    )[:MOST_CELLS]  # fmt: skip
    diagonal = [(-int(table[a, a]), a, a) for a in place if table[a, a]]
    return Matrix(
        [names[i] for i in order],
        size,
        margin,
        [
            Cell(
                margin + size * place[b], margin + size * place[a], names[a], names[b], -n,
                float(table[a, b] / totals[a]),
            )
            for n, a, b in [*diagonal, *drawn]
        ],
        k - len(order),
    )  # fmt: skip


def _side_by_side(
    errors: "np.ndarray[tuple[int, int], np.dtype[np.int64]]",
) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Order labels so that those confused with each other lie side by side (average linkage)."""
    if len(errors) < 3:  # noqa: PLR2004
        return np.arange(len(errors))
    from scipy.cluster.hierarchy import leaves_list, linkage  # noqa: PLC0415
    from scipy.spatial.distance import squareform  # noqa: PLC0415

    both = errors + errors.T
    distance = 1 / (1.0 + both)
    np.fill_diagonal(distance, 0)
    return np.asarray(leaves_list(linkage(squareform(distance, checks=False), "average")), dtype=np.int64)
