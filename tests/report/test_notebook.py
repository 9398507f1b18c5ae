"""What a notebook and `print` show: short, escaped, with the numbers of the evaluation."""

import numpy as np
import pytest

import elsewise as ew
from support.reported import HOSTILE, by_heart, of_logits


@pytest.fixture(scope="module")
def shown():
    texts = [f"{word} {i}" for i, word in enumerate(HOSTILE * 2)]
    classifier, evaluation = by_heart(texts, list(HOSTILE) * 2, other="<i>Other</i>")
    compared = ew.compare(classifier, classifier, texts, list(HOSTILE) * 2, names=("<b>a</b>", "b"))
    return classifier, classifier.decide(texts), evaluation, compared, of_logits().certificate


def test_everything_is_a_table_in_a_notebook_and_escaped(shown):
    for value in shown:
        html = value._repr_html_()
        assert html.startswith("<table><caption>")
        assert html.endswith("</table>")
        assert not any(tag in html for tag in ("<script", "<img", "<i>", "<b>", "<svg"))


def test_decisions_are_shown_with_label_or_other_and_reason(shown):
    html = shown[1]._repr_html_()

    assert html.count("<tr>") == 21
    assert "&lt;i&gt;Other&lt;/i&gt;" in html
    assert "answered" in html


def test_an_evaluation_prints_as_a_short_table(shown):
    lines = str(of_logits().provenance.judged).splitlines()

    assert len(lines) <= 10
    assert max(len(line) for line in lines if not line.startswith("verdict")) <= 100
    assert lines[1].startswith("accuracy, every row answered")
    assert any(line.startswith("promise") and "80 % at level 95 %" in line for line in lines)


def test_the_printed_numbers_are_those_of_the_evaluation():
    evaluation = of_logits().provenance.judged

    for figure in (evaluation.classifier.accuracy, evaluation.system.coverage, evaluation.classifier.ece):
        assert f"{figure.value:.4f}  {figure.low:.4f} to {figure.high:.4f}" in str(evaluation)
        assert f"{figure.value:.4f}" in evaluation._repr_html_()


def test_nothing_answered_is_printed_too():
    classifier, evaluation = by_heart(["x", "y"], ["a", "b"], threshold=np.inf)

    assert "coverage                                      0.0000" in str(evaluation)
    assert "inf" in classifier._repr_html_()
