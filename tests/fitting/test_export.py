"""One more engine for a model that is there: certified on the rows that it keeps, and what was there stays."""

import json
import os
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("onnxruntime")

import elsewise as ew
from elsewise.classifier.kept_rows import population_record, refit_tokens
from elsewise.engines.openvino import OpenVinoModel
from elsewise.errors import ArtifactError, ElsewiseWarning, InputError, MissingExtra
from elsewise.fitting import engine_choice, open_threshold
from elsewise.fitting.calibrate import calibrate
from elsewise.fitting.engines_to_try import usual_engine
from elsewise.fitting.export import export
from elsewise.messages.certificates import Population
from elsewise.rules import Floor, Unfamiliar, asked_record
from elsewise.rules.conformal import ConformalPValue
from elsewise.storage.json_files import write_json
from elsewise.storage.sealed_folder import write_manifest
from support.native import compiled, without_native
from support.small_folders import classifier_of
from support.small_models import encoder_of, texts

TEXTS = texts(40)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folders of one small model, by the precision that each was certified in."""
    place = tmp_path_factory.mktemp("small")
    for precision in set(OpenVinoModel.precisions()):
        classifier_of(precision=precision).save(place / precision)
    return place


@pytest.fixture
def small(made, tmp_path):
    """One that is certified in float32."""
    return shutil.copytree(made / "f32", tmp_path / "small")


@pytest.fixture
def close_enough(monkeypatch):
    """Let the gate pass everything: the weights are random."""
    monkeypatch.setattr(engine_choice, "ACCURACY_MARGIN", 1.0)
    monkeypatch.setattr(engine_choice, "LOG_LOSS_MARGIN", 9.0)


@pytest.fixture
def never_close_enough(monkeypatch):
    monkeypatch.setattr(engine_choice, "ACCURACY_MARGIN", -1.0)


def described(path):
    return json.loads((path / "elsewise.json").read_text(encoding="utf-8"))


def forge(path, **changes):
    """Change elsewise.json, and write a manifest that fits."""
    write_json(path / "elsewise.json", {**described(path), **changes})
    (path / "manifest.json").unlink()
    write_manifest(path)


def answers(path, **chosen):
    return ew.load(path, **chosen).probabilities(TEXTS).tobytes()


def same_certificate(one, other):
    return one.certificate == other.certificate and one.rule == other.rule


def test_every_export_is_one_more_look_and_leaves_the_others_as_they_were(small, close_enough):
    """To onnxruntime, to int8, and back: each new certificate counts the looks before it."""
    first, before = ew.load(small), answers(small)

    onnx = export(small, engine="onnxruntime")
    int8 = export(small, engine="openvino", precision="int8")
    after_two = answers(small, engine="openvino", precision="f32")
    unchanged = ew.load(small, engine="openvino", precision="f32")
    back = export(small, engine="openvino", precision="f32")

    assert [c.certificate.looks for c in (first, onnx, int8, back)] == [1, 2, 3, 1]
    assert after_two == before == answers(small)
    assert same_certificate(unchanged, first)
    assert same_certificate(ew.load(small), first)
    assert described(small)["engine"] == "openvino-f32"
    assert answers(small, engine="onnxruntime") == onnx.probabilities(TEXTS).tobytes()
    assert answers(small, precision="int8") == int8.probabilities(TEXTS).tobytes()
    assert set(described(small)["engines"]) == {"openvino-int8", "onnxruntime-f32", "openvino-f32"}


def test_what_export_returns_is_what_load_gives(small, close_enough):
    made = export(small, engine="openvino", precision="int8")

    again = ew.load(small)

    assert again.engine.settings["precision"] == "int8"
    assert same_certificate(again, made)
    assert again.calibrator == made.calibrator
    assert again.decide(TEXTS).labels == made.decide(TEXTS).labels
    assert [row["engine"] for row in again.provenance.gate] == ["openvino-f32", "openvino-int8"]


def test_the_certificate_is_what_the_new_engine_gives_on_the_rows_that_are_kept(small, close_enough):
    kept = ew.load(small)

    export(small, engine="openvino", precision="int8")

    new = ew.load(small)
    codes, lengths = kept.provenance.arrays["refit.certify.codes"], kept.provenance.arrays["refit.certify.lengths"]
    decisions = new.rule(new.evidence(refit_tokens(kept.provenance.arrays, "certify")))
    answered = ~decisions.abstained
    assert len(lengths) == new.certificate.rows == len(codes)
    assert int(answered.sum()) == new.certificate.n > 0
    assert int((decisions.codes != codes)[answered].sum()) == new.certificate.errors
    assert new.certificate.target_accuracy == kept.certificate.target_accuracy


def test_gates_go_along_and_texts_are_judged_among_the_tune_rows_of_the_new_engine(small, close_enough):
    open_threshold(small).change("certified", unfamiliar=0.2, floor=0.05)
    before = ew.load(small)
    arrays = before.provenance.arrays

    made = export(small, engine="openvino", precision="int8")

    tune, certify = (ew.Evidence.of(made.engine.run(refit_tokens(arrays, name)), made.calibrator)
                     for name in ("tune", "certify"))  # fmt: skip
    p = made.familiarity(certify)
    assert made.rule.gates == before.rule.gates == (Unfamiliar(0.2), Floor(0.05))
    assert made.familiarity.in_scope.values.tolist() == sorted(before.familiarity.score(tune).tolist())
    assert made.familiarity.in_scope.values.tolist() != before.familiarity.in_scope.values.tolist()
    assert p.tolist() == ConformalPValue.fit(before.familiarity.score(tune))(before.familiarity.score(certify)).tolist()
    unfamiliar, floor = made.certificate.barred
    assert unfamiliar.n == (p <= 0.2).sum() > 0
    assert floor.n == (certify.probabilities.max(axis=1) < 0.05).sum()
    assert made.certificate.looks == 3
    again = ew.load(small, precision="int8")
    assert again.decide(TEXTS).reasons.tolist() == made.decide(TEXTS).reasons.tolist()
    assert again.rule == made.rule


def test_what_is_certified_and_answers_otherwise_here_is_certified_again(small):
    """The same engine with another look: what is answered cannot become more."""
    first = ew.load(small).certificate
    canary = json.loads((small / "canary.json").read_text())
    shifted = [[1 / len(row)] * len(row) for row in canary["probabilities"]["openvino-f32"]]
    write_json(small / "canary.json", {**canary, "probabilities": {"openvino-f32": shifted}})
    forge(small)
    with pytest.raises(ArtifactError, match=r"certify it here: elsewise export .*small --engine openvino"):
        ew.load(small)

    second = export(small, engine="openvino", precision="f32").certificate

    assert second.looks == 2
    assert second.threshold >= first.threshold
    assert ew.load(small).certificate == second


def test_the_default_changes_when_the_gate_passed(small, close_enough):
    export(small, engine="openvino", precision="int8")

    assert described(small)["engine"] == "openvino-int8"
    assert ew.load(small).engine.settings["precision"] == "int8"


def test_the_default_stays_when_the_gate_did_not_pass(small, never_close_enough):
    before = answers(small)

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ElsewiseWarning)
        made = export(small, engine="openvino", precision="int8")

    first, second = (str(warning.message) for warning in said if warning.category is ElsewiseWarning)
    assert first.startswith("openvino-int8 is further from float32 than the margins allow")
    assert second == f"{small} still answers by openvino-f32; choose openvino-int8 by engine= and precision="
    assert "Certified on openvino-f32" in (small / "README.md").read_text()

    assert described(small)["engine"] == "openvino-f32"
    assert answers(small) == before
    assert answers(small, precision="int8") == made.probabilities(TEXTS).tobytes()


def test_auto_takes_float32_where_nothing_else_passes(small, never_close_enough):
    made = export(small, engine="openvino")

    assert made.engine.settings["precision"] == "f32"
    assert {row["engine"] for row in made.provenance.gate} == {f"openvino-{p}" for p in OpenVinoModel.precisions()}
    assert [row["passed"] for row in made.provenance.gate] == [True, *[False] * (len(made.provenance.gate) - 1)]


def test_a_model_can_be_exported_to_torch(small):
    before = ew.load(small).probabilities(TEXTS)

    made = export(small, engine="torch", precision="f32")

    assert made.engine.settings["device"] in ("cpu", "cuda")
    assert np.abs(made.probabilities(TEXTS) - before).max() < 1e-4


def test_a_promise_that_was_never_made_is_not_made_up(small):
    replace(ew.load(small), rule=ew.FixedThreshold(0.5)).save(small)

    made = export(small, engine="onnxruntime")

    assert made.certificate is None
    assert ew.load(small, engine="onnxruntime").rule == ew.FixedThreshold(0.5)


@pytest.mark.parametrize(
    ("rule", "asked"),
    [
        ("by_label", {"target_accuracy": 0.5, "joint": True, "rare": "fall_back"}),
        ("certified", {"target_accuracy": 0.5, "ambiguity_margin": 0.01, "out_of_scope_share": 0.0}),
        ("coverage", {"coverage": 0.6}),
        ("cost", {"cost_of_error": 3, "cost_of_review": 1}),
    ],
)
def test_what_a_threshold_was_asked_for_is_asked_for_on_the_new_engine(small, rule, asked):
    open_threshold(small).change(rule, **asked)
    old = ew.load(small)

    new = export(small, engine="onnxruntime").rule

    assert type(new) is type(old.rule)
    assert new.asked == old.rule.asked
    assert asked.items() <= asked_record(new).items()
    assert old.certificate is None or new.certificate.looks == old.certificate.looks + 1
    assert described(small)["history"][-1]["what"] == "exported"


def test_looks_that_were_undone_count_on_another_engine_too(small):
    open_threshold(small).change("certified", target_accuracy=0.5)
    open_threshold(small).undo()

    assert export(small, engine="onnxruntime").certificate.looks == 3


def test_a_change_before_another_certificate_cannot_be_undone(small):
    """The rule of before belongs to what the engine answered on the other machine."""
    open_threshold(small).change("fixed", threshold=0.5)
    canary = json.loads((small / "canary.json").read_text())
    shifted = [[1 / len(row)] * len(row) for row in canary["probabilities"]["openvino-f32"]]
    write_json(small / "canary.json", {**canary, "probabilities": {"openvino-f32": shifted}})
    forge(small)
    export(small, engine="openvino", precision="f32")

    with pytest.raises(InputError, match="there is no change of the threshold of openvino-f32 to undo"):
        open_threshold(small).undo()


def test_a_promise_that_cannot_be_asked_for_again_is_refused_with_what_can(small):
    kept = ew.load(small)
    certificate = replace(kept.certificate, method="exact binomial bounds at 21 thresholds at once, Bonferroni")
    replace(kept, rule=ew.CertifiedThreshold(certificate)).save(small)

    with pytest.raises(
        InputError, match=r"small was certified from Python in a way .*elsewise threshold .*small --target"
    ):
        export(small, engine="onnxruntime")


def test_a_folder_without_rows_is_refused_with_the_remedy(small):
    ew.load(small).with_provenance(arrays={}).save(small)
    before = (small / "manifest.json").read_bytes()

    with pytest.raises(InputError, match=r"small keeps no rows to certify on \(keep_refit_rows=False\); fit it again"):
        export(small, engine="onnxruntime")

    assert (small / "manifest.json").read_bytes() == before


def test_a_model_of_logits_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(600, 3)) * 4
    calibrate(logits, (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)).save(tmp_path / "logits")

    with pytest.raises(InputError, match=r"logits is a model of logits: there is nothing to export"):
        export(tmp_path / "logits")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"engine": "abacus"}, r"unknown engine 'abacus'; choose one of auto, native, openvino, onnxruntime, torch"),
        ({"engine": "memory"}, r"unknown engine 'memory'; choose one of"),
        ({"precision": "int3"}, r"unknown precision 'int3'; choose one of auto, f32, bf16, f16, int8"),
        ({"engine": "openvino", "precision": "f16"}, r"engine openvino does not compute in f16 on this machine"),
        ({"engine": "onnxruntime", "precision": "int8"}, r"engine onnxruntime does not compute in int8 .* but in f32$"),
    ],
)
def test_what_there_is_not_is_refused_and_the_folder_stays(small, asked, words):
    before = (small / "manifest.json").read_bytes()

    with pytest.raises(InputError, match=words):
        export(small, **asked)

    assert (small / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("asked", [{"engine": "abacus"}, {"precision": "int3"}])
def test_load_refuses_an_unknown_name(small, asked):
    with pytest.raises(InputError, match=r"^unknown (engine|precision) '.*'; there are "):
        ew.load(small, **asked)


@pytest.mark.parametrize(
    ("asked", "command"),
    [
        ({"engine": "onnxruntime"}, "--engine onnxruntime"),
        ({"precision": "int8"}, "--engine openvino --precision int8"),
        ({"engine": "torch", "precision": "f32"}, "--engine torch --precision f32"),
    ],
)
def test_load_refuses_what_was_not_certified_with_the_command_that_does(small, asked, command):
    with pytest.raises(ArtifactError) as refusal:
        ew.load(small, **asked)

    assert str(refusal.value).endswith(f"(it has openvino-f32); add one: elsewise export {small} {command}")
    assert f"{small} has no certificate for {' '.join(asked.values())} (" in str(refusal.value)


def test_other_tokens_on_the_canary_texts_are_refused(small):
    canary = json.loads((small / "canary.json").read_text())
    write_json(small / "canary.json", {**canary, "token_ids": [[1], *canary["token_ids"][1:]]})
    forge(small)

    with pytest.raises(
        ArtifactError, match=r"the tokenizer splits texts differently from when .*; (fit it again|pip )"
    ):
        ew.load(small)


@pytest.mark.parametrize(
    ("engine", "remedy"), [("memory", "leave engine= out"), ("laplace", r"fit it again for that: .* --laplace")]
)
def test_load_promises_no_export_to_an_engine_that_has_none(small, engine, remedy):
    with pytest.raises(ArtifactError, match=rf"has no certificate for .* \(it has openvino-f32\); {remedy}$"):
        ew.load(small, engine=engine)


@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_a_machine_without_the_precision_gets_the_command_that_works_there(made, tmp_path, monkeypatch, precision):
    if precision not in OpenVinoModel.precisions():
        pytest.skip(f"this machine cannot make a model in {precision}")
    path = shutil.copytree(made / precision, tmp_path / "small")
    opened, really = [], OpenVinoModel.open
    monkeypatch.setattr(OpenVinoModel, "precisions", staticmethod(lambda: ("f32",)))

    with pytest.raises(ArtifactError) as refusal:
        ew.load(path)
    monkeypatch.setattr(
        OpenVinoModel,
        "open",
        lambda opening: opened.append(opening.settings["precision"]) or really(opening),
    )
    command = str(refusal.value).split("elsewise export ")[1].split()
    export(command[0], engine="openvino", precision=command[2])

    assert f"was certified on openvino-{precision}: engine openvino does not compute in {precision}" in str(
        refusal.value
    )
    assert command == [str(path), "--precision", "f32"]
    assert set(opened) == {"f32"}
    assert ew.load(path).engine.settings["precision"] == "f32"
    assert ew.load(path).certificate.looks == 2


def test_a_processor_without_avx512_gives_the_same_answers_in_float32(made, tmp_path):
    """OpenVINO's kernels can be held to an older processor's instructions, by an environment variable."""
    code = f"import elsewise, numpy; numpy.save({str(tmp_path / 'p.npy')!r}, elsewise.load({str(made / 'f32')!r})"
    older = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}

    subprocess.run([sys.executable, "-c", f"{code}.probabilities({TEXTS!r}))"], env=older, check=True)

    assert np.abs(np.load(tmp_path / "p.npy") - ew.load(made / "f32").probabilities(TEXTS)).max() < 1e-4


def test_a_machine_without_the_default_may_serve_what_else_is_certified(made, tmp_path, monkeypatch):
    path = shutil.copytree(made / "int8", tmp_path / "small")
    export(path, engine="onnxruntime")
    forge(path, engine="openvino-int8")
    monkeypatch.setattr(OpenVinoModel, "precisions", staticmethod(lambda: ("f32",)))

    with pytest.raises(ArtifactError, match=r"or serve it as certified on onnxruntime-f32 \(engine=, precision=\)$"):
        ew.load(path)

    assert ew.load(path, engine="onnxruntime").certificate.looks == 2


def test_int8_without_nncf_is_one_line_with_the_remedy(small, monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)

    with pytest.raises(MissingExtra, match=r"^nncf is not installed; run: pip install 'elsewise\[train\]'$"):
        export(small, engine="openvino", precision="int8")
    assert "openvino-int8" not in {row["engine"] for row in export(small, engine="openvino").provenance.gate}


def test_our_own_engine_is_certified_as_any_other_and_needs_no_train_texts(small, close_enough):
    compiled()
    made = export(small, engine="native", precision="int8")

    assert [row["engine"] for row in made.provenance.gate] == ["native-f32", "native-int8"]
    assert made.certificate.looks == 2
    assert answers(small) == made.probabilities(TEXTS).tobytes()
    assert described(small)["engines"]["native-int8"]["fingerprint"] == made.engine.fingerprint
    assert (small / "native" / "int8.safetensors").exists()
    assert not (small / "native" / "f32.safetensors").exists()
    assert export(small, engine="native", precision="int8").certificate.looks == 2


def test_a_folder_of_our_own_engine_that_is_not_compiled_is_one_line_with_the_remedy(small, monkeypatch):
    compiled()
    export(small, engine="native", precision="f32")
    without_native(monkeypatch)

    with pytest.raises(MissingExtra) as refusal:
        ew.load(small)

    why = "the engine native is not compiled; install a C compiler, and run: python -m elsewise.engines.native_build"
    again = f"or certify it on another engine: elsewise export {small} --engine openvino"
    assert str(refusal.value) == f"{small} was certified on native-f32: {why}; {again}"
    assert ew.load(small, engine="openvino").certificate.looks == 1


def test_our_own_engine_is_refused_before_training_where_it_does_not_compute_the_encoder(tmp_path):
    compiled()
    encoder = encoder_of(tmp_path / "encoder", "albert")
    asked, labels = [f"where is my order {i}" for i in range(60)], ["a", "b"] * 30

    words = r"the engine native does not compute albert, but bert, .*; choose engine="
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ElsewiseWarning)  # of pieces that the encoder does not know
        with pytest.raises(InputError, match=words):
            ew.fit(asked, labels, encoder=str(encoder), engine="native", progress=False)


def without_onnxruntime(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "elsewise.engines.onnxruntime", raising=False)


def test_onnxruntime_that_is_missing_is_one_line_with_the_remedy(small, monkeypatch):
    export(small, engine="onnxruntime")
    without_onnxruntime(monkeypatch)
    line = "onnxruntime is not installed; run: pip install 'elsewise[onnxruntime]'"

    with pytest.raises(MissingExtra) as loading:
        ew.load(small)
    with pytest.raises(MissingExtra) as exporting:
        export(small, engine="onnxruntime")

    again = f"or certify it on another engine: elsewise export {small} --engine native"
    assert str(loading.value) == f"{small} was certified on onnxruntime-f32: {line}; {again}"
    assert str(exporting.value) == line
    assert ew.load(small, engine="openvino").certificate.looks == 1


def test_onnxruntime_that_is_missing_is_named_before_the_certificate_that_is(small, monkeypatch):
    without_onnxruntime(monkeypatch)

    with pytest.raises(
        MissingExtra, match=r"^onnxruntime is not installed; run: pip install 'elsewise\[onnxruntime\]'$"
    ):
        ew.load(small, engine="onnxruntime")


@pytest.mark.parametrize(
    "change",
    [{"max_length": 12}, {"pad": 3}, {"special": [0, 1, 2, 3, 4, 5]}],
    ids=["max_length", "pad", "special"],
)
def test_changed_settings_are_refused_because_the_certificate_is_not_theirs(small, change):
    engines = described(small)["engines"]
    entry = engines["openvino-f32"]
    forge(small, engines={"openvino-f32": {**entry, "settings": {**entry["settings"], **change}}})

    with pytest.raises(ArtifactError, match=r"elsewise.json: the certificate of openvino-f32 belongs to other"):
        ew.load(small)


def test_another_precision_under_the_same_certificate_is_refused(small):
    engines = described(small)["engines"]
    entry = engines["openvino-f32"]
    if "bf16" not in OpenVinoModel.precisions():
        pytest.skip("this machine has no other precision of the same files")
    forge(small, engines={"openvino-f32": {**entry, "settings": {**entry["settings"], "precision": "bf16"}}})

    with pytest.raises(ArtifactError, match=r"belongs to other files or settings"):
        ew.load(small)


def test_labels_in_another_order_are_refused(small):
    forge(small, labels=described(small)["labels"][::-1])

    with pytest.raises(ArtifactError, match=r"belongs to other files or settings"):
        ew.load(small)


def test_a_default_that_the_folder_does_not_have_is_refused(small):
    forge(small, engine="openvino-int8")

    with pytest.raises(ArtifactError, match=r"elsewise.json holds what this version cannot read"):
        ew.load(small)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_a_graph_that_points_to_another_file_is_refused(small, tmp_path, engine):
    """ONNX may keep its data elsewhere: a folder from a stranger would have us read any file.

    Its certificate is of another graph, which is said first; where that is forged too, see the bad input.
    """
    onnx = pytest.importorskip("onnx")
    export(small, engine="onnxruntime")
    (tmp_path / "secret.bin").write_bytes(bytes(10**6))
    model = onnx.load(small / "model.onnx")
    tensor = max(model.graph.initializer, key=lambda t: len(t.raw_data))
    onnx.external_data_helper.set_external_data(tensor, location="../secret.bin")
    tensor.ClearField("raw_data")
    (small / "model.onnx").write_bytes(model.SerializeToString())
    forge(small)

    with pytest.raises(ArtifactError, match="belongs to other files or settings"):
        ew.load(small, engine=engine)
    with pytest.raises(ArtifactError, match=r"model.onnx keeps data in other files \(external data\)"):
        export(small, engine=engine, precision="f32")


@pytest.mark.parametrize("name", ["openvino/int8.xml", "openvino/int8.bin"])
def test_int8_files_are_checked_like_all_others(made, tmp_path, name):
    path = shutil.copytree(made / "int8", tmp_path / "small")
    (path / name).write_bytes((path / name).read_bytes()[:-1] + b"!")

    with pytest.raises(ArtifactError, match=rf"{name} was changed since it was written"):
        ew.load(path)


def test_an_export_into_a_folder_with_a_file_of_yours_is_refused_before_the_work(small, monkeypatch):
    (small / ".notes").write_text("mine")
    monkeypatch.setattr("elsewise.fitting.engine_choice.serving", lambda *_: pytest.fail("it was worked on"))

    with pytest.raises(InputError, match=r"also holds \.notes, which would be lost"):
        export(small, engine="onnxruntime")


def test_progress_says_what_is_tried(small, close_enough):
    said = []

    export(small, engine="openvino", precision="int8", progress=lambda words, done, total: said.append(words))

    assert said == ["trying f32", "trying int8"]


def test_a_real_model_goes_to_onnxruntime_and_int8_and_back(model, fitted, tmp_path, sample):
    """On the encoder that people have, float32 of two libraries agrees, and what was certified stays bit for bit."""
    path = shutil.copytree(model, tmp_path / "model")
    read = [row.text for row in sample[:100]]
    before = fitted.probabilities(read)

    onnx = export(path, engine="onnxruntime", precision="f32")
    int8 = quietly(export, path, engine="openvino", precision="int8")

    again = ew.load(path, engine=usual_engine(), precision="f32")
    assert (onnx.certificate.looks, int8.certificate.looks, again.certificate.looks) == (2, 3, 1)
    assert np.abs(onnx.probabilities(read) - before).max() < 1e-4
    assert again.probabilities(read).tobytes() == before.tobytes()
    assert same_certificate(again, fitted)
    assert (ew.load(path, precision="int8").probabilities(read).argmax(axis=1) == before.argmax(axis=1)).mean() > 0.9
    default = ew.load(path).engine
    assert (default.name, default.settings["precision"]) == (
        ("openvino", "int8") if int8.provenance.gate[-1]["passed"] else ("onnxruntime", "f32")
    )


def quietly(call, *words, **options):
    """Call without the warning that int8 is not close enough: on 90 rows it may or may not be."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ElsewiseWarning)
        return call(*words, **options)


def meanwhile(act):
    """A `progress` that acts once, while the export works."""
    left = [act]
    return lambda *_: left.pop()() if left else None


@pytest.mark.parametrize("gate", ["close_enough", "never_close_enough"])
def test_a_threshold_that_was_changed_meanwhile_stays_and_its_look_counts(small, request, gate):
    request.getfixturevalue(gate)
    change = meanwhile(lambda: open_threshold(small).change("certified", target_accuracy=0.5, note="sales"))

    made = quietly(export, small, precision="int8", progress=change)

    assert made.certificate.looks == 3
    assert made.certificate.target_accuracy == 0.5
    assert [entry["what"] for entry in described(small)["history"]] == ["changed", "exported"]
    assert described(small)["history"][0]["note"] == "sales"
    assert ew.load(small, precision="f32").certificate.looks == 2
    assert same_certificate(ew.load(small, precision="int8"), made)


def test_two_exports_at_once_keep_both_engines(small, close_enough):
    inner = meanwhile(lambda: export(small, engine="openvino", precision="int8"))

    outer = export(small, engine="onnxruntime", progress=inner)

    assert outer.certificate.looks == 3
    assert set(described(small)["engines"]) == {"openvino-f32", "openvino-int8", "onnxruntime-f32"}
    assert ew.load(small, precision="int8").certificate.looks == 2
    assert ew.load(small, engine="onnxruntime").certificate.looks == 3


def test_an_engine_that_got_its_certificate_before_keeps_a_threshold_that_was_changed_meanwhile(small, monkeypatch):
    checked = []

    def change_first(path):
        if not checked:
            checked.append(open_threshold(path).change("fixed", threshold=0.4))

    monkeypatch.setattr("elsewise.fitting.export.check_target", change_first)

    made = export(small, engine="openvino", precision="f32")

    assert made.rule == ew.load(small).rule == ew.FixedThreshold(0.4)


def test_a_model_that_came_meanwhile_is_not_replaced(small):
    now = ew.load(small)
    codes = now.provenance.arrays["refit.certify.codes"][::-1].copy()
    newer = now.with_provenance(arrays={**now.provenance.arrays, "refit.certify.codes": codes})

    with pytest.raises(InputError, match=r"small was replaced by a different model meanwhile; run the command again"):
        export(small, engine="onnxruntime", progress=meanwhile(lambda: newer.save(small)))

    assert set(described(small)["engines"]) == {"openvino-f32"}


def test_files_that_were_changed_since_are_not_saved_with_the_certificate(small, tmp_path):
    """A folder that was replaced after it was loaded: the classifier answers, and cannot be saved with other files."""
    loaded = ew.load(small)
    (small / "model.onnx").write_bytes(b"another")

    with pytest.raises(InputError, match=r"model.onnx was changed after the model was opened; load the model again"):
        loaded.save(tmp_path / "copy")

    assert not (tmp_path / "copy").exists()


@pytest.mark.usefixtures("close_enough")
def test_the_promise_of_a_new_engine_is_about_the_same_texts(small):
    population = Population(12, by_group=True, newest=True)
    ew.load(small).with_provenance(record=population_record(population)).save(small)

    assert export(small, engine="onnxruntime").certificate.population == population


def test_a_record_of_other_texts_than_there_are_is_refused(small):
    forge(small, record={"population": {"kind": "population", "rows": "many"}})

    with pytest.raises(ArtifactError, match=r"^elsewise.json holds a part that this version cannot read: population"):
        open_threshold(small).change("certified")


def test_a_graph_is_written_where_torch_is_and_the_message_says_so_elsewhere(tmp_path, monkeypatch):
    compiled()
    classifier_of("native").save(tmp_path / "model")
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "torch", None)
        without.delitem(sys.modules, "elsewise.training.onnx_graph", raising=False)
        with pytest.raises(MissingExtra, match=r"torch is not installed; run: pip install 'elsewise\[train\]'"):
            export(tmp_path / "model", engine="openvino", precision="f32")
    assert not (tmp_path / "model" / "model.onnx").exists()

    made = export(tmp_path / "model", engine="openvino", precision="f32")

    assert (tmp_path / "model" / "model.onnx").exists()
    assert made.probabilities(TEXTS) == pytest.approx(
        ew.load(tmp_path / "model", engine="native").probabilities(TEXTS), abs=1e-3
    )
