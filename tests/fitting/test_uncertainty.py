"""Uncertainty beyond softmax from `fit` to a loaded folder: certified on the engine around, kept without pickle."""

import json
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import elsewise as ew
from elsewise.engines.laplace import Laplace
from elsewise.errors import ArtifactError, InputError
from elsewise.fitting import engine_choice, open_threshold
from elsewise.fitting.engines_to_try import usual_engine
from elsewise.fitting.export import export
from elsewise.fitting.uncertainty import UncertaintyMethod
from elsewise.outputs import uncertainty
from elsewise.rules import FixedThreshold
from elsewise.scores import SCORES
from elsewise.storage.json_files import write_json
from elsewise.storage.sealed_folder import write_manifest
from support.running import run
from support.small_models import model_of, texts, tokenizer

WORDS = ["refund", "invoice", "order", "hello"]
HOW = {"ensemble": {"ensemble": 2}, "laplace": {"laplace": True}, "mc_dropout": {"mc_dropout": 3}}
TEXTS = texts(30)


def rows(n=700, seed=0):
    """Texts whose first word is their label, four times in five."""
    rng = np.random.default_rng(seed)
    others = ["where", "is", "my", "the", "please", "a", "b", "c"]
    codes = rng.integers(4, size=n)
    words = [WORDS[code if rng.random() < 0.8 else rng.integers(4)] for code in codes]
    return [f"{word} {' '.join(rng.choice(others, size=6))}" for word in words], [WORDS[code] for code in codes]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    path = tmp_path_factory.mktemp("encoder")
    model_of("bert", initializer_range=0.1).save_pretrained(path)
    tokenizer().save_pretrained(path)
    return str(path)


@pytest.fixture(scope="module", params=HOW)
def made(request, encoder, tmp_path_factory):
    """A fitted classifier, and its folder."""
    path = tmp_path_factory.mktemp("models") / "model"
    classifier = fitted(encoder, **HOW[request.param])
    classifier.save(path)
    return classifier, path


def fitted(encoder, **how):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ew.fit(
            *rows(), encoder=encoder, epochs=4, batch_size=32, learning_rate=5e-3, target_accuracy=0.6, max_length=32,
            precision="f32", **how,
        )  # fmt: skip


def described(path):
    return json.loads((path / "elsewise.json").read_text(encoding="utf-8"))


def test_the_certificate_and_the_calibrator_are_those_of_the_engine_around(made):
    classifier, _ = made
    kept = classifier.provenance.arrays
    readable = kept["refit.tune.codes"] >= 0

    again = ew.Temperature.fit(kept["refit.tune.logits"][readable], kept["refit.tune.codes"][readable])

    assert classifier.engine.name in HOW
    assert classifier.calibrator.temperature == pytest.approx(again.temperature)
    assert classifier.certificate.certified
    assert classifier.certificate.looks == 1
    assert [row["engine"] for row in classifier.provenance.gate][-1] == f"{classifier.engine.name}-f32"
    assert len(classifier.provenance.gate) == 2
    assert classifier.evaluation["classifier"]["accuracy"]["value"] > 0.6


def test_what_is_saved_opens_as_it_was(made):
    classifier, path = made

    again = ew.load(path)

    assert again.probabilities(TEXTS).tobytes() == classifier.probabilities(TEXTS).tobytes()
    assert again.decide(TEXTS).epistemic.tobytes() == classifier.decide(TEXTS).epistemic.tobytes()
    assert again.engine.fingerprint == classifier.engine.fingerprint
    assert again.certificate == classifier.certificate
    assert not [file for file in path.rglob("*") if file.suffix in (".pkl", ".pt", ".bin", ".npy")]


def test_a_folder_that_was_opened_and_saved_again_has_the_same_files(made, tmp_path):
    _, path = made

    ew.load(path).save(tmp_path / "again")

    for file in path.rglob("*"):
        if file.is_file() and file.name not in ("manifest.json", "README.md"):
            assert (tmp_path / "again" / file.relative_to(path)).read_bytes() == file.read_bytes(), file


def test_decisions_and_a_rule_can_use_what_models_disagree_by(made):
    classifier, _ = made
    evidence = classifier.evidence(TEXTS)

    parts = uncertainty(evidence.outputs)
    decisions = FixedThreshold(float(np.median(-parts.epistemic)), SCORES["epistemic"]())(evidence)

    assert (parts.epistemic > 0).all()
    assert parts.total == pytest.approx(parts.aleatoric + parts.epistemic)
    assert decisions.epistemic.tobytes() == parts.epistemic.tobytes()
    assert np.array_equal(decisions.abstained, parts.epistemic > np.median(parts.epistemic))


def test_a_text_alone_has_the_answer_it_has_among_others(made):
    classifier, _ = made
    alone = [classifier.decide([text]) for text in TEXTS[:8]]

    together = classifier.decide(TEXTS)

    assert np.concatenate([one.confidence for one in alone]).tobytes() == together.confidence[:8].tobytes()
    assert np.concatenate([one.epistemic for one in alone]).tobytes() == together.epistemic[:8].tobytes()


def test_the_card_says_what_other_tools_show(made):
    classifier, path = made
    card = (path / "README.md").read_text(encoding="utf-8")
    said = {
        "ensemble": "They are those of the first member alone; here they are the mean of 2, re-calibrated.",
        "laplace": "They are those before Laplace, which here makes some texts less sure.",
        "mc_dropout": "They are those of the whole model; here they are the mean of 3 thinned ones, re-calibrated.",
    }

    assert said[classifier.engine.name] in card
    assert ("seeds 0 to 1" in card) == ("of the first member." in card) == (classifier.engine.name == "ensemble")


def test_other_tools_open_the_folder_and_show_the_plain_or_first_model(made):
    import transformers

    classifier, path = made
    pipeline = transformers.pipeline("text-classification", model=str(path), top_k=None, truncation=True)
    inside = classifier.engine.members[0] if classifier.engine.name == "ensemble" else classifier.engine.engine

    shown = [{entry["label"]: entry["score"] for entry in entries} for entries in pipeline(TEXTS[:5])]

    plain = ew.softmax(inside.run(TEXTS[:5]).logits)
    assert np.array([[row[label] for label in classifier.labels] for row in shown]) == pytest.approx(plain, abs=1e-5)


def test_a_changed_setting_is_refused(made, tmp_path):
    """A manifest that fits does not help: the certificate belongs to a fingerprint."""
    classifier, path = made
    copy, key = shutil.copytree(path, tmp_path / "copy"), f"{classifier.engine.name}-f32"
    changed = described(copy)
    settings = changed["engines"][key]["settings"]
    if classifier.engine.name == "ensemble":
        settings["members"] = settings["members"] * 2
        shutil.copytree(copy / "member-2", copy / "member-3")
        shutil.copytree(copy / "member-2", copy / "member-4")
    elif classifier.engine.name == "laplace":
        settings["prior_precision"] *= 2
    else:
        settings["passes"] += 1
    write_json(copy / "elsewise.json", changed)
    (copy / "manifest.json").unlink()
    write_manifest(copy)

    with pytest.raises(ArtifactError, match=f"the certificate of {key} belongs to other files or settings"):
        ew.load(copy)


def test_a_changed_file_is_refused(made, tmp_path):
    classifier, path = made
    copy = shutil.copytree(path, tmp_path / "copy")
    read = {"native": "native/f32.safetensors", "openvino": "model.onnx"}[usual_engine()]
    name = {"ensemble": f"member-2/{read}", "laplace": "laplace.safetensors"}.get(
        classifier.engine.name, "model.safetensors"
    )
    content = bytearray((copy / name).read_bytes())
    content[-1] ^= 1
    (copy / name).write_bytes(content)

    with pytest.raises(ArtifactError, match=name):
        ew.load(copy)


def test_export_says_that_this_is_fitted_again(made):
    classifier, path = made

    with pytest.raises(InputError, match=rf"answers by {classifier.engine.name}, .* fit it again with engine="):
        export(path, engine="openvino", precision="f32")
    with pytest.raises(ArtifactError, match=r"; fit it again for that: elsewise fit DATA -o .* --"):
        ew.load(path, engine=classifier.engine.name, precision="int8")


def test_members_come_from_seeds_of_their_own(encoder):
    classifier = fitted(encoder, ensemble=2, seed=5)
    one, other = classifier.engine.members

    assert classifier.provenance.record["training"]["ensemble"] == 2
    assert "second_opinion" not in classifier.provenance.record
    assert (
        fitted(encoder, seed=5, second_opinion=False).engine.run(TEXTS).logits.tobytes()
        == one.run(TEXTS).logits.tobytes()
    )
    assert not np.allclose(one.run(TEXTS).logits, other.run(TEXTS).logits, atol=0.1)


def test_laplace_stands_around_int8_too(encoder):
    pytest.importorskip("nncf")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier = ew.fit(
            *rows(), encoder=encoder, epochs=1, batch_size=64, max_length=32, precision="int8", laplace=True
        )

    assert isinstance(classifier.engine, Laplace)
    inside = usual_engine()
    assert [row["engine"] for row in classifier.provenance.gate] == [f"{inside}-f32", f"{inside}-int8", "laplace-int8"]
    assert classifier.engine.engine.settings["precision"] == "int8"


def test_the_gate_measures_it_as_it_does_others(made):
    classifier, _ = made
    row = classifier.provenance.gate[-1]

    assert row["megabytes"] > 0
    assert row["texts_per_second"] > 0


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"ensemble": 3, "laplace": True}, "choose one of ensemble=, mc_dropout= and laplace=, got ensemble= and lap"),
        ({"ensemble": 3, "mc_dropout": 10}, "choose one of .*, got ensemble= and mc_dropout="),
        ({"ensemble": 1}, "ensemble must be at least 2, got 1"),
        ({"mc_dropout": 0}, "mc_dropout must be at least 2, got 0"),
        ({"mc_dropout": 10, "engine": "openvino"}, "mc_dropout= runs on engine torch, got 'openvino'; laplace= takes"),
    ],
)
def test_what_does_not_go_together_is_refused_before_training(how, words):
    with pytest.raises(InputError, match=words):
        ew.fit(["x", "y"], ["a", "b"], **how)


@pytest.mark.parametrize("passed", [True, False])
def test_what_answers_worse_than_what_is_inside_is_said(encoder, monkeypatch, passed):
    monkeypatch.setattr(engine_choice, "ACCURACY_MARGIN", 1.0 if passed else -1.0)
    monkeypatch.setattr(engine_choice, "LOG_LOSS_MARGIN", 99.0)

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        ew.fit(*rows(), encoder=encoder, epochs=1, batch_size=64, max_length=32, precision="f32", laplace=True)

    words = f"laplace-f32 answers worse on tune rows than {usual_engine()}-f32 inside it does"
    assert any(words in str(warning.message) for warning in said) == (not passed)


def test_nothing_stands_around_by_default():
    assert UncertaintyMethod().record == {}
    assert UncertaintyMethod().inside("auto") == "auto"


@pytest.fixture
def data(tmp_path):
    file = tmp_path / "in.csv"
    lines = [f"{text},{label}" for text, label in zip(*rows(300), strict=True)]
    file.write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    return file


def test_one_option_of_the_command_line_is_enough(data, encoder, tmp_path):
    done = run("fit", data, "-o", tmp_path / "model", "--encoder", encoder, "--epochs", 1, "--precision", "f32",
                 "--max-length", 32, "--laplace", "--json")  # fmt: skip

    assert done.returncode == 0, done.stderr
    served = json.loads(done.stdout)["served"]
    assert (served["engine"], served["around"]["name"], served["precision"]) == ("laplace", usual_engine(), "f32")
    answered = run("predict", tmp_path / "model", data, "-o", tmp_path / "out.csv", "--engine", "laplace")
    assert answered.returncode == 0, answered.stderr


def test_two_at_a_time_are_one_line_and_exit_1(data, tmp_path):
    done = run("fit", data, "-o", tmp_path / "model", "--ensemble", 2, "--mc-dropout", 5)

    errors = [line for line in done.stderr.splitlines() if line.startswith("elsewise: ")]
    assert done.returncode == 1
    assert errors == ["elsewise: choose one of --ensemble, --mc-dropout and --laplace, got --ensemble and --mc-dropout"]


def test_an_ensemble_of_one_is_wrong_usage(data, tmp_path):
    assert run("fit", data, "-o", tmp_path / "model", "--ensemble", 1).returncode == 2


def test_another_threshold_is_made_on_the_engine_around(made, tmp_path):
    """The kept rows are run through all of it: by a score of what models disagree on, nothing else would do."""
    classifier, path = made
    path = shutil.copytree(path, tmp_path / "model")
    replace(classifier, rule=FixedThreshold(-1.0, SCORES["epistemic"]())).save(path)

    placed = open_threshold(path).change("coverage", coverage=0.5).after
    promised = open_threshold(path).change("certified", target_accuracy=0.5).after

    assert placed.measured.coverage.value == pytest.approx(0.5, abs=0.05)
    assert promised.certificate.looks == 1
    assert ew.load(path).rule == promised.rule
