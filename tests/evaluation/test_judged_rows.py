"""The rows behind an evaluation: beside it, not in its JSON; and the labels before calibration."""

import numpy as np
import pytest

import elsewise as ew
from elsewise.calibrators import LabelScale, TemperatureBias
from elsewise.evaluation.judged_rows import unfolded
from support.reported import drawn, of_logits


def test_the_rows_are_beside_the_evaluation_and_not_in_its_json():
    evaluation = of_logits().provenance.judged

    rows = evaluation.judged
    assert len(rows) == evaluation.rows.in_scope + evaluation.rows.out_of_scope
    assert rows.answers.answered.mean() == evaluation.system.coverage.value
    assert "judged" not in evaluation.as_dict()


def test_before_calibration_a_model_of_logits_says_plain_softmax():
    classifier = of_logits()
    z, _ = drawn(4, 300, seed=1)

    before = classifier.provenance.judged.judged.before

    assert before.probability == pytest.approx(ew.softmax(z).max(axis=1))


def test_a_saved_classifier_does_not_keep_the_rows(tmp_path):
    of_logits().save(tmp_path / "model")

    assert ew.load(tmp_path / "model").provenance.judged is None


@pytest.mark.parametrize(
    "calibrator",
    [
        ew.Temperature(0.4),
        ew.Identity(),
        TemperatureBias(2.5, np.array([0.5, -1.0, 0.2, 0.3])),
        LabelScale(np.array([0.5, 2.0, 1.0, 0.7]), np.array([0.1, 0.2, -0.3, 0.0])),
    ],
)
def test_folding_is_undone_whatever_was_folded(calibrator):
    rng = np.random.default_rng(0)
    weight, bias, features = rng.normal(size=(4, 6)), rng.normal(size=4), rng.normal(size=(50, 6))
    folded_weight, folded_bias = calibrator.fold(weight, bias)

    raw = features @ weight.T + bias
    again = unfolded(calibrator, features @ folded_weight.T + folded_bias)

    assert ew.softmax(again) == pytest.approx(ew.softmax(raw), abs=1e-9)


@pytest.mark.parametrize("around", ["token counts", "a second opinion", "both", "a cascade"])
def test_before_calibration_the_fine_tuned_model_alone_is_heard_and_reads_no_text_twice(around, monkeypatch):
    from elsewise.engines import engine_class
    from elsewise.engines.files import Opening
    from elsewise.engines.pool import fine_tuned
    from elsewise.engines.text import TextEngine
    from elsewise.evaluation.judged_rows import before_calibration
    from support import small_models

    files, learner = small_models.graph_of("bert")
    settings = {**learner.tokenize.settings, "precision": "f32"}
    engine = engine_class("openvino").open(Opening(files, small_models.LABELS, settings))
    if around in ("token counts", "both"):
        engine = small_models.with_token_counts(engine, learner)
    if around in ("a second opinion", "both"):
        engine = small_models.asking_a_second(engine, learner)
    if around == "a cascade":
        engine = small_models.before(small_models.with_token_counts(engine, learner), learner)
    classifier, texts = ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.6)), [*small_models.texts(64), ""]
    evidence, alone = classifier.evidence(texts), fine_tuned(engine).run(texts).logits
    early = evidence.outputs.early
    read, really = [], TextEngine.run
    monkeypatch.setattr(TextEngine, "run", lambda self, given: read.append(len(given)) or really(self, given))

    found = before_calibration(classifier, texts, evidence)

    assert found.probability[:-1] == pytest.approx(ew.softmax(alone[:-1]).max(axis=1), abs=1e-6)
    assert found.best[:-1].tolist() == alone[:-1].argmax(axis=1).tolist()
    assert np.isnan(found.probability[-1])
    assert read == ([] if early is None else [early.sum()])
    assert (evidence.probabilities[:-1].argmax(axis=1) != found.best[:-1]).any()
