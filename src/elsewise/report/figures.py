"""Figures of an evaluation for papers, by matplotlib (the extra `plot`).

    figure = report.figures.reliability(evaluation)
    figure.savefig("reliability.pdf")

Each function takes an evaluation as `elsewise.evaluate` gives it, with its rows, and gives a matplotlib figure.
"""

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from elsewise.errors import InputError, need
from elsewise.evaluation.evaluate import Evaluation
from elsewise.evaluation.judged_rows import BestLabels, JudgedRows
from elsewise.report.contents import bins_of, curves_of
from elsewise.report.contents import confusion as confused
from elsewise.report.pictures import matrix
from elsewise.report.thresholds import ThresholdCounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from elsewise.report.contents import Bin

ACCENT: Final = "#006478"
NAMES: Final = {"classifier": "this classifier", "softmax": "plain softmax", "baseline": "TF-IDF baseline"}
STYLES: Final = {"classifier": "-", "softmax": "--", "baseline": ":"}


def reliability(evaluation: Evaluation) -> Any:
    """Draw the share of right labels against the stated probability, before and after calibration.

    InputError for an evaluation without its rows, MissingExtra without matplotlib; so for all figures here.
    """
    rows = _rows(evaluation)
    figure, axes = _axes("stated probability", "share that is right")
    axes.plot([0, 1], [0, 1], color="0.5", linewidth=1, linestyle=":", label="perfect")
    if rows.before is not None:
        _bins(axes, bins_of(rows, rows.before), "before calibration", "0.5", "white")
    _bins(axes, bins_of(rows, BestLabels.of_decisions(rows.decisions)), "calibrated", ACCENT, ACCENT)
    axes.legend(frameon=False)
    return figure


def _bins(axes: Any, bins: "Sequence[Bin]", name: str, colour: str, face: str) -> None:
    x, y = [one.probability for one in bins], [one.right.value for one in bins]
    whiskers = [[one.right.value - one.right.low for one in bins], [one.right.high - one.right.value for one in bins]]
    axes.errorbar(x, y, whiskers, fmt="o", color=colour, markerfacecolor=face, elinewidth=1, label=name)


def risk_coverage(evaluation: Evaluation) -> Any:
    """Draw errors among the answers against the share of texts answered: this classifier, softmax and baseline."""
    figure, axes = _axes("share of texts answered", "errors among the answers")
    for curve in curves_of(_rows(evaluation)):
        colour = ACCENT if curve.name == "classifier" else "0.3"
        axes.plot(curve.coverage, curve.risk, STYLES[curve.name], color=colour, label=NAMES[curve.name])
        if curve.mark is not None:
            axes.plot(*curve.mark, "o", color=colour)
    axes.legend(frameon=False)
    return figure


def thresholds(evaluation: Evaluation) -> Any:
    """Draw coverage and accuracy when answered against the threshold."""
    counts = ThresholdCounts.of(_rows(evaluation))
    kept = np.isfinite(counts.thresholds)
    answered, wrong = counts.whole.answered[kept], counts.whole.wrong[kept]
    figure, axes = _axes("threshold", "share")
    axes.plot(counts.thresholds[kept], answered / max(counts.rows, 1), "--", color="0.3", label="texts answered")
    right = 1 - wrong / np.where(answered, answered, math.nan)
    axes.plot(counts.thresholds[kept], right, color=ACCENT, label="right when answered")
    axes.legend(frameon=False)
    return figure


def confusion(evaluation: Evaluation) -> Any:
    """Draw confused labels: true ones down, most probable ones across, those confused with each other side by side."""
    rows = _rows(evaluation)
    found = matrix(confused(rows), rows.decisions.names)
    k = len(found.names)
    table = np.zeros((k, k))
    for cell in found.cells:
        table[round((cell.y - found.margin) / found.size), round((cell.x - found.margin) / found.size)] = cell.share
    figure, axes = _axes("most probable label", "true label")
    if k:
        axes.imshow(table, cmap="Greys", vmin=0, vmax=1)
    axes.set_xticks(range(k), found.names, rotation=90, fontsize=max(3, 9 - k // 20))
    axes.set_yticks(range(k), found.names, fontsize=max(3, 9 - k // 20))
    return figure


def _rows(evaluation: Evaluation) -> JudgedRows:
    if evaluation.judged is None:
        raise InputError("this evaluation does not hold its rows; evaluate again: elsewise.evaluate(classifier, ...)")
    return evaluation.judged


def _axes(x: str, y: str) -> tuple[Any, Any]:
    figure = need("matplotlib.figure", extra="plot").Figure(layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
