"""The baseline beside the encoder, judged on the same rows, at the same promise."""

import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

import elsewise as ew
from elsewise.classifier.load import kept_aside, open_baseline
from elsewise.data.sample import OUT_OF_SCOPE
from elsewise.data.splits import LabelledTexts, Splits
from elsewise.engines.memory import MemoryEngine
from elsewise.errors import ArtifactError
from elsewise.fitting import open_threshold
from elsewise.fitting.baseline import MOST_ROWS, train_baseline
from elsewise.fitting.engines_to_try import usual_engine
from elsewise.rules import ByLabel, CertifiedThreshold
from support.small_rules import copy_of

pytest.importorskip("sklearn")

LABELS = ("yes", "no")
PROMISE = {"target_accuracy": 0.6, "confidence_level": 0.9}


def judging(right, n, rule=None):
    """A classifier that is right, and sure, on the first texts of n, all "yes"; then wrong, and less sure."""
    table = {f"text {i}": [4.0, 0.0] if i < right else [0.0, 1.0] for i in range(n)}
    return ew.Classifier(MemoryEngine(LABELS, table), ew.Identity(), rule or ew.FixedThreshold(0.5))


def promising(right):
    """A rule that is certified to answer what is surer than 0.9, or all, or nothing."""
    p = np.array([[0.98, 0.02]] * right + [[0.3, 0.7]] * (200 - right))
    return CertifiedThreshold.fit(p, np.zeros(200, dtype=int), reference=p.copy(), **PROMISE)


def judged(encoder, baseline, n=200):
    texts = [f"text {i}" for i in range(n)]
    return ew.evaluate(encoder.with_provenance(baseline=kept_aside(baseline)), texts, ["yes"] * n).baseline


def test_the_difference_is_paired_by_row():
    found = judged(judging(180, 200), judging(150, 200))

    accuracy = found.difference.accuracy
    assert found.accuracy.value == 0.75
    assert accuracy.value == pytest.approx(0.15)
    assert accuracy.high - accuracy.low == pytest.approx(2 * 1.96 * np.sqrt(0.15 * 0.85 / 199), rel=0.05)
    assert found.difference.log_loss.value < 0


def test_an_encoder_that_answers_more_texts_right_at_the_same_promise_is_worth_it():
    found = judged(judging(180, 200, promising(180)), judging(60, 200, promising(60)))

    assert found.same_promise
    assert found.sentence.startswith("The encoder is worth it here: 60.0 points (53.1 to 66.9) more texts are")
    assert found.sentence.endswith("than by the baseline, at the same promise.")


def test_a_baseline_that_answers_more_texts_right_is_said_to_and_where_it_is():
    found = judged(judging(60, 200, promising(60)), judging(180, 200, promising(180)))

    assert found.sentence.startswith("The baseline is better here: 60.0 points (53.1 to 66.9) more texts are")
    assert "at the same promise; it is a model folder too: MODEL/baseline." in found.sentence


def test_a_difference_that_chance_may_have_made_is_not_claimed():
    """Five rows that only the encoder gets right: 2 / 2 ** 5 is more than 5 %."""
    found = judged(judging(185, 200, promising(185)), judging(180, 200, promising(180)))

    assert found.p_value == pytest.approx(2 / 2**5)
    assert found.sentence.startswith("No difference to the baseline is shown here: 2.5 points (")


def test_three_rows_that_both_get_right_do_not_make_them_equal():
    accuracy = judged(judging(3, 3), judging(3, 3), n=3).difference.accuracy

    assert accuracy.value == 0
    assert accuracy.high == -accuracy.low > 0.5


def test_who_cannot_make_the_promise_is_named():
    nothing = judging(5, 200, promising(5))

    one, neither = judged(judging(180, 200, promising(180)), nothing), judged(nothing, nothing)

    assert one.sentence.endswith("The baseline cannot make this promise.")
    assert one.coverage.value == 0
    assert neither.sentence.endswith("by the encoder, Other aside. Neither can make this promise.")


def test_under_different_promises_only_labels_are_compared():
    found = judged(judging(180, 200, ew.FixedThreshold(0.99)), judging(150, 200, promising(150)))

    assert not found.same_promise
    assert "more texts get the right label by it than by the baseline, Other aside." in found.sentence


def test_a_lower_promise_is_named_beside_the_one_that_was_asked_for():
    """97 % is asked of three: 200 rows hold it, hold 87.5 %, and hold nothing."""

    def of(wrong):
        p, how = np.tile([0.98, 0.02], (200, 1)), {"target_accuracy": 0.97, "strict": False}
        rule = CertifiedThreshold.fit(p, np.repeat([0, 1], [200 - wrong, wrong]), reference=copy_of(p), **how)
        return judging(200 - wrong, 200, rule)

    high, low, none = of(0), of(16), of(150)

    assert judged(high, low).sentence.endswith(" Other aside. The encoder promises 97 %, the baseline 87.5 %.")
    assert judged(low, none).sentence.endswith(" Other aside. The encoder promises 87.5 %, the baseline nothing.")
    assert judged(high, none).sentence.endswith("at the same promise. The baseline cannot make this promise.")


def test_a_promise_for_each_label_is_another_than_that_of_the_baseline():
    p = np.array([[0.98, 0.02], [0.02, 0.98]] * 100)
    by_label = ByLabel.fit(p, np.arange(200) % 2, reference=p.copy(), **PROMISE)

    found = judged(judging(180, 200, by_label), judging(150, 200, promising(150)))

    assert not found.same_promise
    assert "by the baseline, Other aside." in found.sentence


def test_without_an_in_scope_row_it_says_that_nothing_can_be_told():
    encoder = judging(1, 2).with_provenance(baseline=kept_aside(judging(1, 2)))

    found = ew.evaluate(encoder, ["text 0", "text 1"], codes=[-1, -1]).baseline

    assert found.sentence.endswith("there is no in-scope row to compare on.")


def test_out_of_scope_rows_are_never_answered_right():
    """Both certified, so that answers count: of 200 texts, the 20 that are out-of-scope are right for neither."""
    codes = np.repeat([0, -1], [180, 20])
    baseline = kept_aside(judging(150, 200, promising(150)))
    encoder = judging(180, 200, promising(180)).with_provenance(baseline=baseline)

    found = ew.evaluate(encoder, [f"text {i}" for i in range(200)], codes=codes).baseline

    assert found.difference.answered_right.value == pytest.approx(30 / 200)
    assert found.answered_right.value == 150 / 200


def test_what_the_baseline_cannot_read_it_gets_wrong():
    knows_half = replace(judging(200, 200), engine=MemoryEngine(LABELS, {f"text {i}": [4, 0] for i in range(100)}))

    found = judged(judging(200, 200), knows_half)

    assert found.accuracy.value == 0.5
    assert found.coverage.value == 0.5


@pytest.mark.parametrize(("only_one", "only_other"), [(0, 0), (6, 0), (3, 9), (40, 20)])
def test_the_exact_test_is_that_of_scipy(only_one, only_other):
    one = np.repeat([True, False, True], [only_one, only_other, 30])
    other = np.repeat([False, True, True], [only_one, only_other, 30])

    n = only_one + only_other
    assert ew.metrics.mcnemar(one, other).p_value == pytest.approx(binomtest(only_one, n, 0.5).pvalue if n else 1.0)


def parts_of(n, k=2):
    rows = LabelledTexts(tuple(f"text {i % 3}" for i in range(n)), np.arange(n) % k)
    few = rows.take(np.arange(min(n, 4)))
    return Splits(rows, few, few, few, 0, 0, 0)


@pytest.mark.parametrize(
    ("n", "k", "said"),
    [
        (MOST_ROWS + 1, 2, "200,001 train rows are more than the 200,000 that it learns in minutes"),
        (10_000, 10_000, "10,000 labels are more than the 1,000 that it learns in minutes"),
        (1, 1, "no word or piece of a word is in 2 of 1 texts"),
    ],
)
def test_where_it_would_take_too_long_or_learn_nothing_it_is_left_out(n, k, said):
    notes = []

    assert train_baseline(parts_of(n, k), tuple(map(str, range(k))), notes.append) is None
    assert notes == [f"the baseline is left out: {said}"]


def test_without_scikit_learn_it_is_left_out_with_the_pip_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.delitem(sys.modules, "sklearn.linear_model", raising=False)
    notes = []

    assert train_baseline(parts_of(20), ("a", "b"), notes.append) is None
    assert len(notes) == 1
    assert notes[0].endswith("is not installed; run: pip install 'elsewise[sklearn]'")


def test_fit_makes_one_that_promises_the_same_and_counts_a_second_look(fitted):
    baseline = open_baseline(fitted)
    mine, other = fitted.certificate, baseline.certificate

    assert baseline.labels == fitted.labels
    assert (other.target_accuracy, other.confidence_level) == (mine.target_accuracy, mine.confidence_level)
    assert (mine.looks, other.looks) == (1, 2)
    assert fitted.evaluation["baseline"]["same_promise"]
    assert baseline.provenance.record["splits"] == fitted.provenance.record["splits"]


def test_the_baseline_is_a_model_folder_in_the_model_folder(fitted, model, sample):
    texts = [row.text for row in sample[:40]]

    made = open_baseline(fitted)

    alone, beside = ew.load(model / "baseline"), open_baseline(ew.load(model))

    for loaded in (alone, beside):
        assert loaded.probabilities(texts).tobytes() == made.probabilities(texts).tobytes()
        assert loaded.certificate == made.certificate
        assert loaded.out_of_scope_label == OUT_OF_SCOPE


def test_a_loaded_model_and_what_it_answers_are_shown_in_a_few_lines(model, sample):
    loaded = ew.load(model)
    lines = str(loaded).splitlines()

    assert lines == [repr(loaded), loaded.certificate.sentence]
    assert lines[0].startswith(f"Classifier({len(loaded.labels)} labels or 'Other', {usual_engine()}-")
    for shown in (loaded.engine, open_baseline(loaded).engine, loaded.decide([row.text for row in sample])):
        assert len(repr(shown)) < 3_000


def test_a_loaded_model_is_judged_beside_its_baseline(model, sample):
    with pytest.warns(ew.errors.ElsewiseWarning, match="the figures flatter it"):
        found = ew.evaluate(ew.load(model), [row.text for row in sample], [row.label for row in sample])

    assert found.baseline.engine.name == "sklearn"
    assert found.as_dict()["baseline"]["difference"]["accuracy"].keys() == {"value", "low", "high"}


def test_a_model_saved_again_keeps_its_baseline_and_one_without_has_none(model, tmp_path):
    loaded = ew.load(model)

    loaded.save(tmp_path / "again")
    loaded.with_provenance(baseline=None).save(tmp_path / "without")

    assert open_baseline(ew.load(tmp_path / "again")).engine.fingerprint == open_baseline(loaded).engine.fingerprint
    assert not (tmp_path / "without" / "baseline").exists()
    assert open_baseline(ew.load(tmp_path / "without")) is None


def test_a_baseline_is_opened_when_it_is_asked_for_and_only_that_of_the_folder_that_was_opened(model, tmp_path):
    for name in ("model", "other"):
        ew.load(model).save(tmp_path / name)
    open_threshold(tmp_path / "other" / "baseline").change("fixed", threshold=0.7)
    late = ew.load(tmp_path / "model")
    assert open_baseline(late).labels == late.labels

    shutil.rmtree(tmp_path / "model" / "baseline")

    for there in (None, "other"):
        if there:
            shutil.copytree(tmp_path / there / "baseline", tmp_path / "model" / "baseline")
        with pytest.raises(ArtifactError, match="no longer what was opened; load"):
            open_baseline(late)


def test_another_threshold_keeps_the_baseline_and_sets_its_figures_apart(model, tmp_path):
    ew.load(model).save(tmp_path / "model")

    open_threshold(tmp_path / "model").change("fixed", threshold=0.7)

    kept = json.loads((tmp_path / "model" / "evaluation.json").read_text())
    assert "baseline" not in kept
    assert kept["outdated"]["baseline"]["same_promise"]
    assert open_baseline(ew.load(tmp_path / "model")) is not None


def test_a_damaged_baseline_is_named(model, tmp_path):
    ew.load(model).save(tmp_path / "model")
    file = tmp_path / "model" / "baseline" / "vocabulary.json"
    file.write_text(file.read_text().replace("a", "b", 1))

    with pytest.raises(ArtifactError, match=r"baseline/vocabulary\.json was changed since it was written"):
        ew.load(tmp_path / "model")


def test_the_card_tells_what_the_encoder_is_worth(fitted, model):
    card, baseline_card = ((folder / "README.md").read_text(encoding="utf-8") for folder in (model, model / "baseline"))

    assert "## Is the encoder worth it?" in card
    assert fitted.evaluation["baseline"]["sentence"] in card
    assert "transformers" not in baseline_card
