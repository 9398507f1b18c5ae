"""A cascade from `fit` to a loaded folder: kept where tune rows show that it is worth it, else left out in a line."""

import json
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import elsewise as ew
from elsewise.classifier.kept_rows import refit_tokens
from elsewise.classifier.load import load
from elsewise.engines.cascade import Cascade
from elsewise.engines.token_counts import FILE
from elsewise.errors import InputError
from elsewise.evaluation import explain
from elsewise.fitting import open_threshold
from elsewise.fitting.cascade import Asked, cascaded
from elsewise.fitting.engine_choice import Rows, measure
from elsewise.fitting.export import export
from support.small_models import model_of, tokenizer

WORDS = ["refund", "invoice", "order", "hello"]
OTHERS = ["where", "is", "my", "the", "please", "a", "b", "c"]


def rows_of(n, seed=0):
    rng = np.random.default_rng(seed)
    labels = [WORDS[code] for code in rng.integers(4, size=n)]
    return [f"{label} {' '.join(rng.choice(OTHERS, size=6))}" for label in labels], labels


TEXTS = rows_of(40, seed=1)[0]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    path = tmp_path_factory.mktemp("encoder")
    model_of("bert", initializer_range=0.1).save_pretrained(path)
    tokenizer().save_pretrained(path)
    return str(path)


def fitted(encoder, **how):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ew.fit(
            *rows_of(700), encoder=encoder, epochs=2, learning_rate=5e-3, target_accuracy=0.6, max_length=32,
            engine="openvino", precision="f32", floor=0, baseline=False, **how,
        )  # fmt: skip


@pytest.fixture(scope="module")
def made(encoder, tmp_path_factory):
    """A classifier with a cascade, however slow; its folder; and what was said."""
    said, path = [], tmp_path_factory.mktemp("models") / "model"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("elsewise.fitting.cascade.FASTER", 0)
        classifier = fitted(encoder, cascade=True, cascade_change=0.05, second_opinion=False, note=said.append)
    classifier.save(path)
    return classifier, path, said


def answers(classifier):
    return classifier.probabilities(TEXTS).tobytes()


def test_fit_says_in_a_line_what_the_cascade_does(made):
    classifier, path, said = made

    (line,) = (words for words in said if "cascade" in words)
    record = json.loads((path / "elsewise.json").read_text(encoding="utf-8"))["record"]["cascade"]
    assert isinstance(classifier.engine, Cascade)
    assert line == f"the cascade is kept: {record['why']}"
    assert record["why"].startswith(f"{record['early']} of 70 tune rows are answered by token counts, ")
    assert "; 0 of them get another label, at most 4.19 % of all texts (confidence level 95 %)" in line
    assert record["bound"] <= 0.05
    assert f"A cascade was kept: {record['why']}." in (path / "README.md").read_text(encoding="utf-8")


def test_what_both_stages_answer_is_one_engine_with_one_certificate(made):
    classifier, path, _ = made

    evidence, decisions = classifier.evidence(TEXTS), classifier.decide(TEXTS)

    assert 10 < evidence.early.sum() < 40
    assert classifier.certificate.certified
    entry = json.loads((path / "elsewise.json").read_text(encoding="utf-8"))["engines"]["openvino-f32"]
    assert entry["fingerprint"] == classifier.engine.fingerprint
    assert entry["settings"]["cascade"]["change"] == 0.05
    assert decisions.codes[evidence.early].tolist() == evidence.logits[evidence.early].argmax(axis=1).tolist()


def test_a_text_that_token_counts_answer_is_as_familiar_as_can_be(made):
    classifier, *_ = made

    evidence = classifier.evidence([*TEXTS, ""])

    early = evidence.early
    assert (evidence.familiarity[early] == 1).all()
    assert (evidence.familiarity[~early][:-1] < 1).all()
    assert np.isnan(evidence.familiarity[-1])
    assert (evidence.nearest[:-1] >= 0).all()
    assert len(classifier.familiarity.in_scope.values) == 70


def test_distances_are_measured_from_train_texts_that_the_encoder_has_read(made):
    """All of them: not only those that token counts would leave to it."""
    classifier, *_ = made

    assert classifier.familiarity.score.labels.codes.tolist() == [0, 1, 2, 3]


def test_a_loaded_folder_answers_as_what_was_saved_and_can_be_saved_again(made, tmp_path):
    classifier, path, _ = made
    loaded = load(path)

    loaded.with_provenance(history=loaded.provenance.history).save(tmp_path / "again")

    assert answers(loaded) == answers(load(tmp_path / "again")) == answers(classifier)
    assert loaded.engine.fingerprint == classifier.engine.fingerprint
    assert (tmp_path / "again" / FILE).exists()


def test_another_threshold_is_certified_with_it(made, tmp_path):
    path = shutil.copytree(made[1], tmp_path / "model")

    open_threshold(path).change("certified", target_accuracy=0.5)

    assert isinstance(load(path).engine, Cascade)
    assert answers(load(path)) == answers(made[0])


def test_an_export_puts_it_before_the_other_engine_too(made, tmp_path, monkeypatch):
    monkeypatch.setattr("elsewise.fitting.cascade.FASTER", 0)
    path, said = shutil.copytree(made[1], tmp_path / "model"), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = export(path, engine="onnxruntime", precision="f32", note=said.append)

    loaded = load(path, engine="onnxruntime", precision="f32")
    assert isinstance(loaded.engine, Cascade)
    assert said[0].startswith("the cascade is kept: ")
    assert answers(loaded) == answers(exported)
    assert answers(load(path, engine="openvino")) == answers(made[0])
    assert exported.certificate.looks == 2


def test_an_export_of_the_same_engine_is_no_new_look(made, tmp_path):
    path = shutil.copytree(made[1], tmp_path / "model")

    again = export(path, engine="openvino", precision="f32")

    assert again.certificate.looks == 1
    assert answers(load(path)) == answers(made[0])


def without(classifier, files):
    """The same classifier without its cascade, with these files in its folder."""
    inside = classifier.engine.engine.with_files(files)
    return replace(classifier, engine=inside)


def test_an_export_may_add_one_to_a_folder_that_has_token_counts(made, tmp_path, monkeypatch):
    """As an opinion, say. It is one more look at the certify rows."""
    monkeypatch.setattr("elsewise.fitting.cascade.FASTER", 0)
    path = tmp_path / "model"
    without(made[0], load(made[1]).engine.files).save(path)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export(path, engine="openvino", precision="f32", cascade=True, cascade_change=0.05)

    loaded = load(path)
    assert loaded.engine.fingerprint == made[0].engine.fingerprint
    assert loaded.certificate.looks == 2
    assert answers(loaded) == answers(made[0])


def test_an_export_that_leaves_it_out_is_no_new_look(made, tmp_path, monkeypatch):
    monkeypatch.setattr("elsewise.fitting.cascade.FASTER", 1e9)
    path, said = tmp_path / "model", []
    without(made[0], load(made[1]).engine.files).save(path)

    export(path, engine="openvino", precision="f32", cascade=True, cascade_change=0.05, note=said.append)

    assert said[0].startswith("the cascade is left out: ")
    assert not isinstance(load(path).engine, Cascade)
    assert load(path).certificate.looks == 1


def test_a_folder_without_token_counts_gets_none(made, tmp_path):
    path = tmp_path / "model"
    without(made[0], made[0].engine.engine.files).save(path)

    with pytest.raises(InputError, match=r"model has no token counts to answer first; fit it again with cascade=True"):
        export(path, engine="openvino", precision="f32", cascade=True)


def test_neighbours_of_a_text_that_token_counts_answer_are_found(made):
    classifier, *_ = made
    sure = TEXTS[int(classifier.evidence(TEXTS).early.argmax())]

    explanation = explain(classifier, sure, neighbours=rows_of(30, seed=2))

    assert len(explanation.neighbours) == 5
    assert explanation.words


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"cascade": True, "ensemble": 2}, "ensemble= and cascade=True are two engines around one; leave one out"),
        ({"cascade": True, "score": "mahalanobis"}, "score 'mahalanobis' needs features of every text, and a cascade"),
        ({"cascade": True, "cascade_change": 0.0}, "cascade_change must lie between 0 and 1, got 0.0"),
        ({"cascade_change": 0.02}, "cascade_change is about a cascade; add cascade=True"),
        ({"cascade": True, "keep": "baseline"}, "has no encoder that cascade= could be about; leave one out"),
    ],
)
def test_what_does_not_go_with_it_is_refused_before_anything_is_trained(asked, words):
    with pytest.raises(InputError, match=words):
        ew.fit(["a", "b"], ["x", "y"], **{"baseline": True, **asked})


@pytest.fixture(scope="module")
def parts(made):
    """The engine without its cascade, measured on tune rows; its token counts; and these rows."""
    arrays, cascade = made[0].provenance.arrays, made[0].engine
    tune, codes = refit_tokens(arrays, "tune"), arrays["refit.tune.codes"]
    return measure(cascade.engine, tune, codes), cascade.counts, Rows(tune, codes, tune)


def test_a_slow_cascade_is_left_out(parts, monkeypatch):
    monkeypatch.setattr("elsewise.fitting.cascade.FASTER", 1e9)
    said = []

    served, record = cascaded(*parts[:2], Asked(0.05), parts[2], said.append)

    assert served is parts[0]
    assert record["kept"] is False
    assert said[0].startswith(
        f"the cascade is left out: {record['early']} of 70 tune rows are answered by token counts"
    )
    assert said[0].endswith("times is the least that is worth it")


def test_bad_token_counts_are_left_out(parts):
    best, counts, rows = parts
    wrong = replace(counts, weights=counts.weights[::-1].copy(), biases=counts.biases[::-1].copy())
    said = []

    served, _ = cascaded(best, wrong, Asked(0.05), rows, said.append)

    assert served is best
    unsure = "token counts are nowhere sure enough for at most 5 % of labels to change"
    assert said == [f"the cascade is left out: {unsure}"]


def test_few_tune_rows_leave_it_out(parts):
    said = []

    cascaded(*parts[:2], Asked(0.01), parts[2], said.append)

    too_few = "70 tune rows are too few to show that at most 1 % of labels change (299 needed)"
    assert said == [f"the cascade is left out: {too_few}"]


def test_without_token_counts_it_is_left_out(parts):
    assert cascaded(parts[0], None, Asked(0.01), parts[2])[1]["why"] == "there are no token counts to answer first"
