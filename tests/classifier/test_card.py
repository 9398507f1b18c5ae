"""The card of a model folder shows the figures that were measured, each in its own row."""

import numpy as np
import pytest

import elsewise as ew
from elsewise.engines.memory import MemoryEngine

TEXTS = [f"text {i}" for i in range(10)]
TRUE = [0] * 8 + [1, -1]


@pytest.fixture
def card(tmp_path):
    """The card after ten texts: all say "a" with 0.9 or 0.6, seven are answered, and six of these are right."""
    sure, unsure = (np.log([p, 1 - p]).tolist() for p in (0.9, 0.6))
    table = {text: unsure if i in (0, 1, 9) else sure for i, text in enumerate(TEXTS)}
    bare = ew.Classifier(MemoryEngine(("a", "b"), table), ew.Identity(), ew.FixedThreshold(0.8))
    judged = bare.with_provenance(evaluation=ew.evaluate(bare, TEXTS, codes=TRUE).as_dict())
    judged.save(tmp_path / "model")
    return (tmp_path / "model" / "README.md").read_text(encoding="utf-8")


def test_figures_by_hand(card):
    assert "On 9 in-scope and 1 out-of-scope test texts." in card
    assert "| Accuracy | 0.8889 |" in card  # 8 of 9 in-scope texts
    assert "| Coverage | 0.7000 |" in card
    assert "| Accuracy when answered | 0.8571 |" in card  # 6 of 7
    assert "| Brier score | 0.2644 |" in card  # (6 * 0.02 + 2 * 0.32 + 1.62) / 9


def test_figures_have_the_intervals_of_wilson(card):
    low, high = (f"{end:.4f}" for end in (ew.metrics.wilson(7, 10).low, ew.metrics.wilson(7, 10).high))

    assert f"| Coverage | 0.7000 | {low} to {high} |" in card


def test_a_threshold_by_hand_promises_nothing(card):
    assert "None: the threshold 0.8 was not tested for one." in card


def test_strange_texts_are_told_of_the_engine_and_the_threshold_that_answer(card):
    assert "random letters) none would get a label. Some may belong to a label of this model." in card


HOSTILE = [
    "<script>alert(1)</script>",
    "[click](http://evil.example)",
    "# A heading",
    "a`b",
    "two\n\n# lines",
    "![x](y)",
]


def test_labels_and_names_are_shown_as_they_are_whatever_they_hold(tmp_path):
    """No HTML, no link, no picture, no heading and no new paragraph comes of a label."""
    ew.Classifier(MemoryEngine(HOSTILE, {}, [0.0] * 6), ew.Identity(), ew.FixedThreshold(0.8)).save(tmp_path / "model")

    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")

    labels = card.partition("## Labels\n\n6: ")[2]
    assert labels == (
        "&lt;script&gt;alert(1)&lt;/script&gt;, \\[click\\](http\\://evil.example), \\# A heading, a\\`b, "
        "two \\# lines, \\!\\[x\\](y)\n"
    )


WORTH = {"kept": True, "log_loss_gain": 0.0431, "standard_error": 0.004, "share_asked": 0.268}
LEFT_OUT = {"kept": False, "log_loss_gain": -0.002, "standard_error": 0.001, "share_asked": 0.3}


@pytest.mark.parametrize(
    ("worth", "words"),
    [
        (
            WORTH,
            "is asked about 27% of texts: the log loss of tune rows falls by 0.0431 with it (standard error 0.0040).",
        ),
        (LEFT_OUT, "was left out: the log loss of tune rows rises by 0.0020 with it (standard error 0.0010)."),
    ],
)
def test_the_worth_of_a_second_opinion_is_told(tmp_path, worth, words):
    bare = ew.Classifier(MemoryEngine(("a", "b"), {"x": [1.0, 0.0]}), ew.Identity(), ew.FixedThreshold(0.8))

    bare.with_provenance(record={"second_opinion": worth}).save(tmp_path / "model")

    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert f"A second opinion, of the encoder as it came, {words}" in card
