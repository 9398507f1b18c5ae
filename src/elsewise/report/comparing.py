"""What the page of a comparison shows: figures and pairs as rows of words, and the picture at equal coverage."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from elsewise.evaluation.comparison import ChangedRow, Comparison, Said
from elsewise.evaluation.paired_bootstrap import AT_COVERAGE, LabelPair, Pair
from elsewise.pages.words import NOTHING, Words
from elsewise.report.pictures import Chart, Dot, Line, chart_of, path_of

AS_NUMBERS: Final = ("log_loss", "brier", "augrc", "ece", "auc")
KINDS: Final = ("classifier", "softmax", "baseline", "even")  # styles of the lines, one a model
MOST_CHANGED: Final = 50
MOST_LABELS: Final = 15


@dataclass(frozen=True, slots=True)
class FigureRow:
    """A figure of every model: value and interval."""

    words: str
    cells: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """A figure's difference of two models."""

    words: str
    value: str
    interval: str
    p: str
    shown: bool


@dataclass(frozen=True, slots=True)
class ShownPair:
    """Two models, their differences, and the labels whose recall differs most."""

    a: str
    b: str
    rows: Sequence[DifferenceRow]
    labels: Sequence[LabelPair]


@dataclass(frozen=True, slots=True)
class ShownChange:
    """A row, counted from 1, that is decided differently; its text where texts are shown."""

    row: int
    text: str | None
    label: str | None
    said: Sequence[Said]


def shown_of(comparison: Comparison, words: Words, texts: Any, most: int) -> dict[str, Any]:
    """Give the values of the template, with at most so many rows that are decided differently."""
    names = list(comparison.models)
    return {
        "verdict": _verdict(comparison, words),
        "notes": _notes(comparison, words),
        "figures": [_figure(name, comparison, words) for name in next(iter(comparison.models.values())).figures],
        "pairs": [_pair(pair, comparison, words) for pair in comparison.pairs],
        "changed": [_changed(row, names, texts) for row in comparison.changed[:most]],
        "chart": coverage_chart(comparison, words),
        "chart_names": [(KINDS[i % len(KINDS)], words.label(name)) for i, name in enumerate(names)],
    }


def _verdict(comparison: Comparison, words: Words) -> Markup:
    """Say which model is better, as far as the rows show it."""
    board = comparison.leaderboard
    if board[0].figure.value != board[0].figure.value:
        return words("compare_none")
    figures = Markup(", ").join(
        Markup("{} {}").format(words.label(place.name), words.share(place.figure.value, 2)) for place in board
    )
    worse = Markup(", ").join(words.label(place.name) for place in board if place.shown)
    if worse:
        return words("compare_better", best=words.label(board[0].name), others=worse, figures=figures)
    return words("compare_open", figures=figures)


def _notes(comparison: Comparison, words: Words) -> list[Markup]:
    rows = comparison.rows
    left_out, repeated = sum(rows.left_out.values()), rows.repeated
    return [
        words(f"compare_{name}", rows=words.count(n))
        for name, n in (("left_out", left_out), ("repeated", repeated))
        if n
    ]


def _name_of(figure: str, comparison: Comparison, words: Words) -> str:
    if figure in AT_COVERAGE:
        return str(words("compare_at_coverage", share=words.share(float(figure.rpartition("_")[2]), 0)))
    if figure == "coverage_at_accuracy":
        return str(words("compare_at_accuracy", share=words.promise(comparison.primary.target_accuracy)))
    known = {"coverage": "compare_coverage", "wrong": "compare_wrong", "right": "compare_primary_right",
             "accuracy_when_answered": "accuracy_when_answered"}  # fmt: skip
    name = known.get(figure, f"figure_{figure}")
    return str(words(name)) if words.has(name) else figure.upper()


def _figure(figure: str, comparison: Comparison, words: Words) -> FigureRow:
    cells = []
    for model in comparison.models.values():
        measured = model.figures[figure]
        value = words.number(measured.value) if figure in AS_NUMBERS else words.share(measured.value)
        cells.append((value, words.interval(measured, percent=figure not in AS_NUMBERS)))
    return FigureRow(_name_of(figure, comparison, words), cells)


def _pair(pair: Pair, comparison: Comparison, words: Words) -> ShownPair:
    rows = []
    for figure, found in pair.figures.items():
        percent, apart = figure not in AS_NUMBERS, found.difference
        value = words.share(apart.value) if percent else words.number(apart.value)
        p = getattr(found, "p_value", None)
        rows.append(
            DifferenceRow(
                _name_of(figure, comparison, words), value, words.interval(apart, percent=percent),
                NOTHING if p is None else words.number(p, 4), found.shown,
            )
        )  # fmt: skip
    labels = sorted(pair.labels, key=lambda row: -abs(row.difference.value))[:MOST_LABELS]
    return ShownPair(pair.a, pair.b, rows, labels)


def _changed(row: ChangedRow, names: Sequence[str], texts: Any) -> ShownChange:
    text = None if texts is None else str(texts[row.row])
    return ShownChange(row.row + 1, text, row.label, [row.models[name] for name in names])


def coverage_chart(comparison: Comparison, words: Words) -> Chart:
    """Draw the accuracy of the surest texts of each model, at the coverages that were measured."""
    coverages = [float(name.rpartition("_")[2]) for name in AT_COVERAGE]
    lowest = min((model.figures[name].low for model in comparison.models.values() for name in AT_COVERAGE), default=0.0)
    lowest = 0.0 if lowest != lowest else lowest  # noqa: PLR0124  NaN: no row
    empty = chart_of((min(coverages), 1), (min(max(0.0, lowest - 0.02), 0.95), 1), words.tick, words.tick)
    lines, dots = [], []
    for i, model in enumerate(comparison.models.values()):
        kind = KINDS[i % len(KINDS)]
        found = [(c, model.figures[name]) for c, name in zip(coverages, AT_COVERAGE, strict=True)]
        found = [(c, figure) for c, figure in found if figure.value == figure.value]
        if found:
            lines.append(Line(kind, path_of((empty.x(c), empty.y(figure.value)) for c, figure in found)))
        dots += [Dot(kind, empty.x(c), empty.y(f.value), empty.y(f.low), empty.y(f.high)) for c, f in found]
    return Chart(empty.x, empty.y, empty.x_ticks, empty.y_ticks, lines, dots)
