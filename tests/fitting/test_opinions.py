"""A second opinion from `fit` to a loaded folder: kept where tune rows show that it helps, and left out with a word."""

import json
import shutil
import warnings

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import elsewise as ew
from elsewise.classifier.load import load
from elsewise.engines.batching import run_batched
from elsewise.engines.files import INT8, ONNX
from elsewise.engines.mean_pooled import MeanPooled
from elsewise.engines.openvino import core, save_graph
from elsewise.engines.pool import Worth, fine_tuned
from elsewise.engines.second_opinion import SecondOpinion
from elsewise.engines.token_counts import TokenCounts, WithTokenCounts
from elsewise.engines.torch import TorchModel
from elsewise.errors import ArtifactError
from elsewise.fitting import open_threshold
from elsewise.fitting.engine_choice import Rows, measure, serving
from elsewise.fitting.engines_to_try import Wanted, usual_engine
from elsewise.fitting.export import export
from elsewise.fitting.opinions import Opinions, asking_second, learn_opinions, with_opinions
from elsewise.progress import Choice
from elsewise.training.encoder import prepare
from elsewise.training.second_opinion import AsItCame
from support.small_models import LABELS, graph_of, learner_of, model_of, second_files_of, texts, tokenizer
from support.small_training import how

WORDS = ["refund", "invoice", "order", "hello"]
TEXTS = texts(30)
ENGINE = Wanted((usual_engine(),), "f32")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    path = tmp_path_factory.mktemp("encoder")
    model_of("bert", initializer_range=0.1).save_pretrained(path)
    tokenizer().save_pretrained(path)
    return str(path)


def fitted(encoder, n=700, **how):
    rng = np.random.default_rng(0)
    others = ["where", "is", "my", "the", "please", "a", "b", "c"]
    labels = [WORDS[code] for code in rng.integers(4, size=n)]
    rows = [f"{label} {' '.join(rng.choice(others, size=6))}" for label in labels]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ew.fit(
            rows, labels, encoder=encoder, epochs=1, learning_rate=5e-3, target_accuracy=0.6, max_length=32,
            engine="openvino", precision="f32", floor=0, baseline=False, **how,
        )  # fmt: skip


@pytest.fixture(scope="module")
def made(encoder, tmp_path_factory):
    """A classifier that has one, whatever tune rows show; its folder; and what was said."""
    said, path = [], tmp_path_factory.mktemp("models") / "model"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Worth, "is_kept", property(lambda _: True))
        classifier = fitted(encoder, note=said.append)
    classifier.save(path)
    return classifier, path, said


def answers(classifier):
    return classifier.probabilities(TEXTS).tobytes()


def test_a_fit_asks_a_second_opinion_and_says_what_it_is_worth(made):
    classifier, path, said = made

    assert isinstance(classifier.engine, SecondOpinion)
    assert any("the second opinion is kept: the log loss of tune rows" in words for words in said)
    record = json.loads((path / "elsewise.json").read_text(encoding="utf-8"))["record"]["second_opinion"]
    assert record["kept"] is True
    assert record["share_asked"] == 1
    assert record["rows"] == 70
    assert record.keys() >= {"log_loss_gain", "standard_error", "weight", "temperatures"}


def test_its_familiarity_is_measured_in_the_embedding_of_the_encoder_as_it_came(made):
    classifier, *_ = made

    likeness = classifier.familiarity.score.likeness
    evidence = classifier.evidence(TEXTS)

    assert (np.diff(likeness.starts) > 0).all()
    assert likeness.centroids.shape == (4, 32)
    assert ((evidence.familiarity >= 0) & (evidence.familiarity <= 1)).all()


def test_a_loaded_folder_answers_as_what_was_saved_and_can_be_saved_again(made, tmp_path):
    classifier, path, _ = made
    loaded = load(path)

    loaded.with_provenance(history=loaded.provenance.history).save(tmp_path / "again")

    assert answers(loaded) == answers(load(tmp_path / "again")) == answers(classifier)
    assert loaded.engine.fingerprint == classifier.engine.fingerprint
    files, again = (
        {p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file()}
        for place in (path, tmp_path / "again")
    )
    assert files == again
    assert {"second-opinion/model.onnx", "second-opinion/head.safetensors", "second-opinion/tokenizer.json"} < files


def test_files_of_the_second_are_as_readable_as_those_of_the_first(made):
    _, path, _ = made

    modes = {file.stat().st_mode for file in path.rglob("model.onnx")}

    assert len(modes) == 1
    assert (path / "second-opinion").stat().st_mode == path.stat().st_mode


def whole_numbers_by_name(folder, _):
    """Quantising takes half a minute, and is tested elsewhere."""
    (folder / INT8).parent.mkdir()
    save_graph(core().read_model(folder / ONNX), folder / INT8)


@pytest.mark.parametrize("how", [{"engine": "onnxruntime"}, {"engine": "torch"}, {"precision": "int8"}])
def test_an_export_keeps_it(made, tmp_path, how, monkeypatch):
    monkeypatch.setattr("elsewise.training.int8.write_int8", whole_numbers_by_name)
    path = shutil.copytree(made[1], tmp_path / "model")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # random weights may be far from float32
        exported = export(path, **{"engine": "openvino", "precision": "f32", **how})

    loaded = load(path, engine=exported.engine.name, precision=exported.engine.settings["precision"])

    assert isinstance(loaded.engine, SecondOpinion)
    assert answers(loaded) == answers(exported)
    assert answers(load(path, engine="openvino", precision="f32")) == answers(made[0])
    assert (path / "second-opinion" / "openvino" / "int8.xml").exists() == (how == {"precision": "int8"})


def test_another_threshold_is_certified_with_it(made, tmp_path):
    path = shutil.copytree(made[1], tmp_path / "model")

    open_threshold(path).change("certified", target_accuracy=0.5)

    assert isinstance(load(path).engine, SecondOpinion)
    assert answers(load(path)) == answers(made[0])


@pytest.mark.parametrize("file", ["model.onnx", "tokenizer.json", "head.safetensors", "config.json"])
def test_a_changed_file_of_it_is_refused_by_its_name(made, tmp_path, file):
    path = shutil.copytree(made[1], tmp_path / "model")
    (path / "second-opinion" / file).write_bytes(b"changed")

    with pytest.raises(ArtifactError, match=f"second-opinion/{file}"):
        load(path)


def test_the_card_says_what_other_tools_see_and_what_it_was_worth(made):
    card = (made[1] / "README.md").read_text(encoding="utf-8")

    assert "those of the fine-tuned model alone" in card
    assert "second opinion" in card
    assert "the log loss of tune rows" in card


def test_without_it_the_encoder_is_not_opened_again(encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(AsItCame, "learn", lambda *_: pytest.fail("it was asked"))

    classifier = fitted(encoder, second_opinion=False)
    classifier.save(tmp_path / "model")

    assert not (tmp_path / "model" / "second-opinion").exists()
    assert "second_opinion" not in classifier.provenance.record
    assert classifier.familiarity.score.likeness is None


def test_an_encoder_without_an_embedding_is_fine_tuned_all_the_same(encoder, monkeypatch):
    """... and the note says what it lacks, in a line."""
    monkeypatch.setattr("transformers.AutoModel.from_pretrained", refuse)
    said = []

    classifier = fitted(encoder, note=said.append)

    assert "the second opinion is left out: ValueError: no embedding" in said
    assert not isinstance(classifier.engine, SecondOpinion)


def refuse(*_, **__):
    raise ValueError("no embedding\nat all")


def known_of(learner):
    return learner.tokenize(texts(60)), np.arange(60) % len(LABELS)


@pytest.mark.parametrize("n", [0, 19])
def test_few_tune_rows_leave_it_out(n):
    said = []

    codes = np.concatenate([np.zeros(n, dtype=np.int64), np.full(90, -1)])
    assert learn_opinions(None, None, (None, None), ("a", "b"), codes, said.append) == Opinions()

    few = f"{n} tune rows are too few to show whether they help (20 needed)"
    assert said == [f"the second opinion is left out, and token counts too: {few}"]


def test_many_labels_leave_it_out():
    said = []

    labels = tuple(map(str, range(1001)))
    assert learn_opinions(None, None, (None, None), labels, np.zeros(60, dtype=np.int64), said.append) == Opinions()

    many = "1,001 labels are more than the 1,000 that are learnt in minutes"
    assert said == [f"the second opinion is left out, and token counts too: {many}"]


def test_an_interrupt_is_no_failure_of_the_encoder(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(AsItCame, "learn", interrupted)
    learner = learner_of("bert")
    with pytest.raises(KeyboardInterrupt):
        learn_opinions(learner, None, known_of(learner), LABELS, np.zeros(60, dtype=np.int64))


@pytest.mark.parametrize("whose", ["first", "second"])
def test_tune_rows_decide_whether_it_is_kept(whose):
    """Codes that are drawn from one of two models of random weights: the other has nothing to say about them."""
    files, learner = graph_of("bert")
    second, tune = second_files_of("bert"), learner.tokenize(texts(400))
    settings = {**learner.tokenize.settings, "precision": "f32"}
    model = {"first": files, "second": second}[whose]
    logits = serving(model, LABELS, settings, ENGINE, Rows(tune, np.zeros(400, dtype=np.int64), tune))[0]
    drawn = np.random.default_rng(0).gumbel(size=logits.outputs.logits.shape) / 4
    rows = Rows(tune, (logits.outputs.logits + drawn).argmax(axis=1), tune)
    best, _ = serving(files, LABELS, settings, ENGINE, rows)
    said = []

    served, record = with_opinions(best, Opinions(as_it_came=AsItCame(None, second, np.empty(0))), rows, said.append)
    record = record["second_opinion"]

    assert record["kept"] == isinstance(served.engine, SecondOpinion) == (whose == "second")
    assert (served is best) == (whose == "first")
    assert said[0].startswith(f"the second opinion is {'kept' if record['kept'] else 'left out'}: the log loss of tune")


@pytest.mark.parametrize(("n", "better", "everywhere"), [(400, 0, False), (400, 1, True), (150, 0, True)])
def test_the_second_is_asked_everywhere_where_it_is_the_better_one_or_few_rows_tell(n, better, everywhere):
    files, learner = graph_of("bert")
    second, tune = second_files_of("bert"), learner.tokenize(texts(400)).take(range(n))
    settings = {**learner.tokenize.settings, "precision": "f32"}
    rows = Rows(tune, np.zeros(n, dtype=np.int64), tune)
    logits = serving((files, second)[better], LABELS, settings, ENGINE, rows)[0].outputs.logits
    codes = (logits + np.random.default_rng(0).gumbel(size=logits.shape)).argmax(axis=1)
    best, _ = serving(files, LABELS, settings, ENGINE, Rows(tune, codes, tune))

    pool = asking_second(best, second, Rows(tune, codes, tune))[1]

    assert np.isinf(pool.energy) == everywhere


@pytest.mark.parametrize("helps", [True, False])
def test_tune_rows_decide_whether_token_counts_are_kept(helps):
    """Codes that follow the first token of a text, or a model of random weights; counts know the first token."""
    files, learner = graph_of("bert")
    known, tune = learner.tokenize(texts(200)), learner.tokenize(texts(400)[200:])
    first, said = ([int(ids[1]) % len(LABELS) for ids in tokens] for tokens in (known, tune))
    counts = TokenCounts.learn(known, np.array(first), len(LABELS), learner.tokenize.special)
    settings = {**learner.tokenize.settings, "precision": "f32"}
    engine = serving(files, LABELS, settings, ENGINE, Rows(tune, np.array(said), tune))[0].engine
    drawn = engine.run(tune).logits + np.random.default_rng(0).gumbel(size=(200, len(LABELS))) / 4
    rows = Rows(tune, np.array(said) if helps else drawn.argmax(axis=1), tune)
    notes = []

    served, record = with_opinions(measure(engine, tune, rows.codes), Opinions(counts), rows, notes.append)

    assert record["token_counts"]["kept"] == isinstance(served.engine, WithTokenCounts) == helps
    kept = "kept" if helps else "left out"
    assert notes[0].startswith(f"the opinion of token counts is {kept}: the log loss of tune rows")
    assert isinstance(notes[0], Choice)


@pytest.fixture(scope="module")
def quick(encoder, tmp_path_factory):
    said, path = [], tmp_path_factory.mktemp("models") / "model"
    classifier = fitted(encoder, quick=True, note=said.append)
    classifier.save(path)
    return classifier, path, said


def test_a_quick_fit_serves_the_encoder_as_it_came(quick, encoder):
    classifier, _, said = quick

    learner = prepare(classifier.labels, how(encoder=encoder, max_length=32))
    embedding = run_embedding(learner, TEXTS)
    assert fine_tuned(classifier.engine).run(TEXTS).features == pytest.approx(embedding, abs=1e-3)
    assert "the encoder as it came is served, without fine-tuning" in said
    assert any(words.startswith("without fine-tuning, ") and "of 70 tune rows" in words for words in said)
    assert not any("training takes" in words for words in said)


def run_embedding(learner, texts):
    model = TorchModel.of(MeanPooled(learner.model.model.base_model), "f32")
    tokens = learner.tokenize(texts)
    return run_batched(tokens, learner.tokenize, model.forward, model.widths, model.budget).features


def test_a_quick_folder_is_like_any_other(quick, tmp_path):
    classifier, saved, _ = quick
    path = shutil.copytree(saved, tmp_path / "model")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = export(path, engine="torch", precision="f32")
    open_threshold(path).change("certified", target_accuracy=0.5)

    assert answers(load(saved)) == answers(classifier)
    assert exported.probabilities(TEXTS) == pytest.approx(classifier.probabilities(TEXTS), abs=1e-3)
    card = (path / "README.md").read_text(encoding="utf-8")
    assert "as it came, with a logistic regression on its embedding" in card
    assert "pipeline(" not in card


@pytest.mark.parametrize("method", [{"ensemble": 2}, {"laplace": True}])
def test_a_quick_fit_takes_no_uncertainty_method(encoder, method):
    with pytest.raises(ew.InputError, match=f"{next(iter(method))}= is about training, and quick=True trains nothing"):
        fitted(encoder, quick=True, **method)


def test_a_quick_fit_of_what_cannot_be_taught_is_refused(encoder, monkeypatch):
    monkeypatch.setattr("transformers.AutoModel.from_pretrained", refuse)

    with pytest.raises(ew.InputError, match="quick=True serves the encoder as it came, and that is left out here"):
        fitted(encoder, quick=True)
