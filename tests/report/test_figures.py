"""Figures for papers: drawn of the same columns as the page, by matplotlib."""

from dataclasses import replace

import pytest

from elsewise import report
from elsewise.errors import InputError
from support.reported import by_heart, of_logits

pytest.importorskip("matplotlib", reason="no matplotlib: pip install 'elsewise[plot]'")
NAMES = ("reliability", "risk_coverage", "thresholds", "confusion")


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_is_drawn_and_saved(name, tmp_path):
    evaluation = of_logits().provenance.judged

    figure = getattr(report.figures, name)(evaluation)

    figure.savefig(tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").stat().st_size > 5000
    assert figure.axes[0].get_xlabel()
    assert figure.axes[0].get_ylabel()


@pytest.mark.parametrize("name", NAMES)
def test_an_evaluation_without_its_rows_says_so(name):
    evaluation = replace(of_logits().provenance.judged, judged=None)

    with pytest.raises(InputError, match=r"^this evaluation does not hold its rows; evaluate again: "):
        getattr(report.figures, name)(evaluation)


def test_the_dots_are_the_bins_of_the_page():
    from elsewise.evaluation.judged_rows import BestLabels
    from elsewise.report.contents import bins_of

    evaluation = of_logits().provenance.judged
    bins = bins_of(evaluation.judged, BestLabels.of_decisions(evaluation.judged.decisions))

    axes = report.figures.reliability(evaluation).axes[0]

    drawn = next(line for line in axes.get_lines() if line.get_color() == report.figures.ACCENT)
    assert drawn.get_xdata() == pytest.approx([one.probability for one in bins])
    assert drawn.get_ydata() == pytest.approx([one.right.value for one in bins])


def test_the_figure_of_no_error_has_no_label():
    _, evaluation = by_heart(["x", "y", "z"], ["a", "b", "a"])
    right = evaluation.judged.answers
    _, perfect = by_heart(["w", "x", "y"], ["b", "a", "b"])

    assert [tick.get_text() for tick in report.figures.confusion(evaluation).axes[0].get_xticklabels()] == ["a", "b"]
    assert right.correct.sum() == perfect.judged.answers.correct.sum() == 2
