"""Ensembles: means of probabilities, files of each member, one tokenisation."""

import numpy as np
import pytest

from elsewise.arrays import softmax
from elsewise.engines import ENGINES, engine_class
from elsewise.engines.ensemble import Ensemble
from elsewise.engines.files import ModelFiles, Opening
from elsewise.engines.memory import MemoryEngine
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import ArtifactError, InputError
from support.small_models import LABELS, graph_of, learner_of, texts

LABEL_PAIR = ("yes", "no")


def table(*logits):
    return MemoryEngine(LABEL_PAIR, dict(zip("abc", map(list, logits), strict=False)))


@pytest.fixture(scope="module")
def members():
    pytest.importorskip("torch")
    made = [graph_of("bert", seed=seed) for seed in range(3)]
    settings = {**made[0][1].tokenize.settings, "precision": "f32"}
    return [engine_class("openvino").open(Opening(files, LABELS, settings)) for files, _ in made]


def test_probabilities_are_the_mean_of_the_members_and_features_the_first_ones(members):
    outputs = Ensemble(members).run(texts(40))

    each = [member.run(texts(40)) for member in members]
    assert softmax(outputs.logits) == pytest.approx(np.mean([softmax(one.logits) for one in each], axis=0), abs=1e-6)
    assert outputs.features.tobytes() == each[0].features.tobytes()
    assert outputs.logits.dtype == np.float32


def test_the_order_of_the_others_changes_no_probability(members):
    one, other = Ensemble(members).run(texts(40)), Ensemble(members[::-1]).run(texts(40))

    assert one.logits == pytest.approx(other.logits, abs=1e-5)
    assert one.epistemic == pytest.approx(other.epistemic, abs=1e-12)


def test_members_that_are_one_model_answer_as_it_does(members):
    outputs = Ensemble([members[0]] * 3).run(texts(40))

    assert softmax(outputs.logits) == pytest.approx(softmax(members[0].run(texts(40)).logits), abs=1e-6)
    assert outputs.epistemic == pytest.approx(0, abs=1e-12)


def test_texts_become_tokens_once(members, monkeypatch):
    calls = []
    tokenizer = type(members[0].tokenizer)
    monkeypatch.setattr(
        tokenizer, "_chunk", lambda self, chunk, old=tokenizer._chunk: calls.append(1) or old(self, chunk)
    )

    Ensemble(members).run(texts(40))

    assert len(calls) == 1
    assert isinstance(Ensemble(members).prepare(["a"]), Tokens)


def test_members_with_other_tokenizers_read_the_texts_themselves(members):
    _, learner = graph_of("bert")
    shorter = {**learner.tokenize.settings, "precision": "f32", "max_length": 8}
    other = engine_class("openvino").open(Opening(members[1].files, LABELS, shorter))
    ensemble = Ensemble([members[0], other])

    outputs = ensemble.run(texts(20))

    mean = (softmax(members[0].run(texts(20)).logits) + softmax(other.run(texts(20)).logits)) / 2
    assert ensemble.prepare(["a"]) == ["a"]
    assert softmax(outputs.logits) == pytest.approx(mean, abs=1e-6)
    assert ensemble.quick_run(texts(20)).logits == pytest.approx(outputs.logits, abs=1e-4)


def test_every_member_has_its_own_folder_and_the_first_the_model_folder(members, tmp_path):
    Ensemble(members).save(tmp_path)

    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"member-2", "member-3"}
    for home, member in zip((tmp_path, tmp_path / "member-2", tmp_path / "member-3"), members, strict=True):
        assert (home / "model.onnx").read_bytes() == (member.files.path / "model.onnx").read_bytes()
        assert (home / "config.json").is_file()


def test_a_member_that_was_changed_or_left_out_changes_the_fingerprint(members, tmp_path):
    ensemble = Ensemble(members)
    ensemble.save(tmp_path)
    for file in ("model.onnx", "tokenizer.json"):
        (tmp_path / "member-2" / file).write_bytes((members[2].files.path / file).read_bytes())

    changed = Ensemble.open(Opening(ModelFiles.of(tmp_path), LABELS, ensemble.settings))

    assert len({one.fingerprint for one in (ensemble, changed, Ensemble(members[:2]), Ensemble(members[::-1]))}) == 4


def test_a_member_that_is_gone_is_refused(members, tmp_path):
    Ensemble(members).save(tmp_path)
    (tmp_path / "member-3" / "model.onnx").unlink()

    with pytest.raises(ArtifactError, match=r"member-3 has no model\.onnx; make the model again"):
        Ensemble.open(Opening(ModelFiles.of(tmp_path), LABELS, Ensemble(members).settings))


def test_float32_and_float64_members_agree():
    z = np.random.default_rng(0).normal(size=(2, 30, 2)) * 3
    engine = engine_class("logits")(LABEL_PAIR)
    double, single = (Ensemble([engine, engine]).run(part) for part in (z[0], z[0].astype(np.float32)))

    assert (double.logits.dtype, single.logits.dtype) == (np.float64, np.float32)
    assert single.logits == pytest.approx(double.logits, abs=1e-5)


def test_a_text_that_one_member_cannot_read_is_unreadable():
    outputs = Ensemble([table([1, 0], [2, 0]), table([0, 1])]).run(["a", "b"])

    assert np.isnan(outputs.logits).any(axis=1).tolist() == np.isnan(outputs.epistemic).tolist() == [False, True]


def test_one_member_or_members_of_other_labels_are_refused():
    with pytest.raises(InputError, match="an ensemble needs at least 2 members, got 1"):
        Ensemble([table([1, 0])])
    with pytest.raises(InputError, match="members must have the same labels in the same order"):
        Ensemble([table([1, 0]), MemoryEngine(("no", "yes"), {})])


def test_files_of_the_first_member_are_those_outside_the_others_folders(tmp_path):
    for name in ("a", "member-2/a", "member-20/a", "openvino/b"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    files = ModelFiles.of(tmp_path)

    assert set(files.beside("member-2").digests) == {"a", "member-20/a", "openvino/b"}
    assert set(files.below("member-2").digests) == {"a"}
    assert files.below("member-2").need("a").read_text() == "member-2/a"


def test_engines_around_engines_are_in_the_table():
    assert {"ensemble", "laplace", "mc_dropout"} <= set(ENGINES)


def test_a_tokenizer_file_of_another_content_is_another_tokenizer(members):
    assert learner_of("bert").tokenize.settings.items() <= members[0].settings.items()
    assert Ensemble(members)._shares_tokens
