"""`fit` and `calibrate` with windows: how they are joined is chosen on tune rows, and what it brings is said."""

import re

import numpy as np
import pytest

import elsewise as ew
from elsewise.data.sample import OUT_OF_SCOPE, support_texts
from elsewise.engines.pool import fine_tuned
from elsewise.fitting.export import export
from support.workshop import fit_sample

pytest.importorskip("torch")

FILLER = "well you know what it is like these days and so on " * 6  # more than an encoder of 32 tokens reads at once
SHORT = {"max_length": 32, "baseline": False, "second_opinion": False, "epochs": 3}


def long_rows(seed, n):
    """Rows of the sample that begin with words about nothing."""
    rows = [row for row in support_texts(seed, n) if row.label != OUT_OF_SCOPE]
    return [FILLER + row.text for row in rows], [row.label for row in rows]


@pytest.fixture(scope="module")
def made(tiny_encoder, sample, tmp_path_factory):
    said = []
    how = {"encoder": str(tiny_encoder), "held_out": long_rows(3, 700), "test": long_rows(4, 300), **SHORT}
    classifier = fit_sample(sample, windows=8, note=said.append, **how)
    path = tmp_path_factory.mktemp("long") / "model"
    classifier.save(path)
    return classifier, path, " ".join(said)


def test_texts_are_read_to_their_end_and_the_surest_window_answers_where_the_others_say_nothing(made):
    classifier, _, said = made

    engine = fine_tuned(classifier.engine)
    assert (engine.windows.size, engine.windows.join, engine.at_once) == (32, "surest", 32)
    words = r"100 % of tune rows are longer than the 32 tokens that are read at once: read in windows, [\d.]+ a row, "
    words += r"a text gets the answer of its surest window, and ([\d.]+) % of the long ones get the right label "
    found = re.search(words + r"\(([\d.]+) % when they are cut\)", said)
    after, before = map(float, found.groups())
    assert after > before + 30
    assert classifier.provenance.judged.classifier.accuracy.value > before / 100 + 0.2
    assert not classifier.decide(long_rows(5, 240)[0]).truncated.any()


def test_a_folder_reads_as_it_was_certified_also_when_it_is_exported(made, tmp_path):
    classifier, path, _ = made
    texts, _ = long_rows(6, 240)

    again = ew.load(path)
    other = export(path, engine="torch", precision="f32")

    assert again.probabilities(texts).tobytes() == classifier.probabilities(texts).tobytes()
    assert fine_tuned(other.engine).windows == fine_tuned(classifier.engine).windows
    assert other.probabilities(texts) == pytest.approx(classifier.probabilities(texts), abs=0.05)


def test_a_fine_tuned_folder_is_calibrated_in_windows(my_bert, held_out):
    rows = [row for row in held_out[:700] if row.label != OUT_OF_SCOPE]
    texts, labels = [f"{row.text} {FILLER * 20}" for row in rows], [row.label for row in rows]
    said = []

    made = ew.calibrate(my_bert, texts, labels, windows=8, target_accuracy=0.5, precision="f32", note=said.append)

    assert "read in windows" in " ".join(said)
    assert fine_tuned(made.engine).windows.size == fine_tuned(ew.load(my_bert.parent / "model").engine).at_once
    assert np.isfinite(made.probabilities(texts[:3])).all()


def test_the_encoder_as_it_came_reads_in_windows_too(tiny_encoder, sample):
    said = []
    how = {"encoder": str(tiny_encoder), "held_out": long_rows(3, 700), "max_length": 32, "baseline": False}

    made = fit_sample(sample, windows=6, quick=True, note=said.append, **how)

    assert "read in windows" in " ".join(said)
    assert fine_tuned(made.engine).windows.size == 32


@pytest.mark.parametrize("windows", [0, -1])
def test_no_windows_at_all_are_refused(windows, my_bert):
    with pytest.raises(ew.InputError, match="windows must be at least 1"):
        ew.fit(["a", "b"], ["x", "y"], windows=windows)
    with pytest.raises(ew.InputError, match="windows must be at least 1"):
        ew.calibrate(my_bert, ["a", "b"], ["x", "y"], windows=windows)
    with pytest.raises(ew.InputError, match="windows= is about a folder"):
        ew.calibrate(np.zeros((4, 2)), [0, 1, 0, 1], windows=2)
