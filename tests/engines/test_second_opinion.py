"""A second opinion beside a fine-tuned engine: when it is asked, and what is refused of a folder that holds it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from elsewise.errors import ArtifactError

pytest.importorskip("torch")
pytest.importorskip("transformers")

from elsewise.engines import engine_class, entry_of, open_entry
from elsewise.engines.files import ModelFiles, Opening
from support.small_models import LABELS, asking_a_second, graph_of, texts

KNOWN = texts(64)


def asking(name="openvino", precision="f32"):
    files, learner = graph_of("bert")
    kind = engine_class(name)
    if precision not in kind.precisions():
        pytest.skip(f"{name} does not compute in {precision} here")
    engine = kind.open(Opening(files, LABELS, {**learner.tokenize.settings, "precision": precision}))
    return asking_a_second(engine, learner)


@pytest.fixture(scope="module")
def made():
    return asking()


@pytest.fixture
def folder(made, tmp_path):
    made.save(tmp_path)
    return tmp_path


def opened(folder, engine, **settings):
    entry = entry_of(engine)
    entry["settings"] = {**entry["settings"], **settings}
    return open_entry(json.loads(json.dumps(entry)), Opening(ModelFiles.of(folder), LABELS, {}))


@pytest.mark.parametrize(("name", "precision"), [("openvino", "f32"), ("openvino", "bf16"), ("onnxruntime", "f32")])
def test_the_second_is_asked_about_some_texts_and_mixed_with_the_first(name, precision):
    engine = asking(name, precision)

    outputs, first, second = engine.run(KNOWN), engine.engine.run(KNOWN), engine.other.run(KNOWN)

    asked = engine.pool.asks(first.logits)
    assert 15 < asked.sum() < 50
    assert np.isfinite(outputs.embedding).all(axis=1).tolist() == asked.tolist()
    assert outputs.logits[asked].tobytes() == engine.pool.mixed(first.logits, second.logits)[asked].tobytes()
    assert outputs.logits[~asked].tobytes() == engine.pool.mixed(first.logits)[~asked].tobytes()
    assert outputs.embedding[asked].tobytes() == second.features[asked].tobytes()
    assert np.linalg.norm(outputs.embedding[asked], axis=1) == pytest.approx(1, abs=0.01)
    assert outputs.features.tobytes() == first.features.tobytes()


def test_the_second_is_not_run_for_other_texts(made):
    seen = []

    class Other:
        model = made.other.model

        def run(self, tokens):
            seen.append(len(tokens))
            return made.other.run(tokens)

    engine = replace(made, other=Other())
    engine.run(KNOWN)
    replace(engine, pool=replace(made.pool, energy=-np.inf, confidence=-np.inf)).run(KNOWN)

    assert seen == [int(made.pool.asks(made.engine.run(KNOWN).logits).sum()), 0]


def test_a_text_without_a_number_from_the_second_has_none(made):
    """A text that is asked about and stays without embedding would pass for a familiar one."""

    class Silent:
        model = made.other.model

        def run(self, tokens):
            outputs = made.other.run(tokens)
            return replace(outputs, logits=np.full_like(outputs.logits, np.nan))

    outputs = replace(made, other=Silent()).run(KNOWN)

    asked = made.pool.asks(made.engine.run(KNOWN).logits)
    assert np.isnan(outputs.logits).all(axis=1).tolist() == asked.tolist()


def test_a_quick_run_asks_about_every_text(made):
    """Canary texts are compared on other processors, where another text may be at the edge of being asked about."""
    outputs = made.quick_run(made.prepare([*KNOWN, ""]))

    assert np.isfinite(outputs.embedding).all(axis=1).tolist() == [True] * len(KNOWN) + [False]
    assert np.isnan(outputs.logits[-1]).all()


def test_the_fingerprint_is_of_both_models_and_of_how_they_are_mixed(made):
    fingerprints = {
        made.fingerprint,
        made.engine.fingerprint,
        replace(made, pool=replace(made.pool, weight=0.5)).fingerprint,
        replace(made, other=made.engine).fingerprint,
    }

    assert len(fingerprints) == 4


def test_other_tools_find_the_fine_tuned_model_alone(made, folder):
    transformers = pytest.importorskip("transformers")
    found = transformers.AutoModelForSequenceClassification.from_pretrained(folder)

    assert found.config.num_labels == len(LABELS)
    assert (folder / "second-opinion" / "head.safetensors").exists()
    assert not (folder / "head.safetensors").exists()


@pytest.mark.parametrize("name", ["openvino", "onnxruntime", "torch"])
def test_a_damaged_file_of_the_second_is_refused_by_its_name(folder, made, name):
    file = "head.safetensors" if name == "torch" else "model.onnx"
    (folder / "second-opinion" / file).write_bytes(b"no model")

    with pytest.raises(ArtifactError) as said:
        open_entry({**entry_of(made), "name": name}, Opening(ModelFiles.of(folder), LABELS, {}))

    assert f"{folder}/second-opinion" in str(said.value)
    assert "\n" not in str(said.value)


def test_a_folder_without_the_second_is_refused(folder, made):
    files = ModelFiles.of(folder).beside("second-opinion")

    with pytest.raises(ArtifactError, match=r"second-opinion has no model.onnx; make the model again"):
        open_entry(entry_of(made), Opening(files, LABELS, {}))


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ({"weight": 7}, "must lie in 0..1, got 7.0"),
        ({"weight": None}, "float"),
        ({"weight": []}, "float"),
        ({"energy": None}, "float"),
        ({"temperatures": [1.0]}, "values to unpack"),
        ({"temperatures": [1.0, -1.0]}, "must be above 0"),
        ({"temperatures": "no"}, "could not convert"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_a_line_before_a_library_opens_a_file(folder, made, kept, words):
    settings = {**made.settings["second_opinion"], **kept}
    for file in folder.rglob("*.onnx"):
        file.write_bytes(b"no model")

    with pytest.raises(ArtifactError) as said:
        opened(folder, made, second_opinion=settings)

    assert str(said.value).startswith(f"{folder}/elsewise.json holds a second opinion that cannot be read: ")
    assert words in str(said.value)
    assert "\n" not in str(said.value)


@pytest.mark.parametrize("kept", [None, 3, [], {}, "no"])
def test_settings_of_another_kind_are_refused(folder, made, kept):
    with pytest.raises(ArtifactError, match=r"elsewise.json holds a second opinion that cannot be read: "):
        opened(folder, made, second_opinion=kept)
