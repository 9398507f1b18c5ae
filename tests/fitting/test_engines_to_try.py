"""What `auto` tries: native before OpenVINO on a processor, by what is compiled, installed and computed."""

import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest

from elsewise.engines.openvino import OpenVinoModel
from elsewise.errors import ElsewiseWarning, InputError, MissingExtra
from elsewise.fitting.engines_to_try import Wanted, usual_engine
from support.native import compiled, without_native

BERT, DEBERTA = ({"model_type": name, "hidden_act": "gelu"} for name in ("bert", "deberta-v2"))


@pytest.fixture(autouse=True)
def on_a_processor(monkeypatch):
    """No GPU, and OpenVINO in all its precisions."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(OpenVinoModel, "precisions", staticmethod(lambda: ("f32", "bf16", "int8")))


def without_openvino(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "elsewise.engines.openvino")


def test_auto_is_torch_on_a_gpu(monkeypatch):
    import torch

    from elsewise.engines.torch import TorchModel

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    monkeypatch.setattr(TorchModel, "precisions", staticmethod(lambda: ("f32", "bf16", "f16")))

    assert usual_engine() == "torch"
    assert Wanted.of("auto", "f16") == Wanted(("torch",), "f16")


def test_auto_is_native_on_a_processor_and_openvino_after_it():
    compiled()
    assert Wanted.of("auto", "auto") == Wanted(("native", "openvino"), "auto")
    assert usual_engine() == "native"


def test_auto_needs_no_torch(monkeypatch):
    compiled()
    monkeypatch.setitem(sys.modules, "torch", None)
    assert usual_engine() == "native"


def test_auto_is_openvino_where_native_is_not_compiled(monkeypatch):
    without_native(monkeypatch)
    assert Wanted.of("auto", "auto") == Wanted(("openvino",), "auto")


def test_auto_is_native_alone_where_openvino_is_not_installed(monkeypatch):
    compiled()
    without_openvino(monkeypatch)

    assert Wanted.of("auto", "auto") == Wanted(("native",), "auto")
    with pytest.raises(MissingExtra, match=r"^openvino is not installed; run: pip install 'elsewise\[openvino\]'$"):
        Wanted.of("openvino", "auto")


def test_auto_without_either_says_how_to_get_one(monkeypatch):
    without_native(monkeypatch)
    without_openvino(monkeypatch)

    with pytest.raises(MissingExtra, match=r"^the engine native is not compiled; install a C compiler, and run: "):
        Wanted.of("auto", "auto")


def test_a_precision_is_computed_by_an_engine_that_has_it(monkeypatch):
    compiled()
    assert Wanted.of("auto", "int8").first == "native"
    assert Wanted.of("auto", "bf16") == Wanted(("openvino",), "bf16")

    monkeypatch.setattr(OpenVinoModel, "precisions", staticmethod(lambda: ("f32", "int8")))
    with pytest.raises(InputError, match=r"^engine native does not compute in bf16 on this machine, but in f32, int8$"):
        Wanted.of("auto", "bf16")


def test_an_encoder_that_native_does_not_compute_is_left_to_openvino():
    compiled()
    wanted = Wanted.of("auto", "auto")

    assert wanted.computing(BERT) == wanted
    assert wanted.computing(DEBERTA) == Wanted(("openvino",), "auto")
    with pytest.raises(InputError, match="the engine native does not compute deberta-v2, but bert, "):
        Wanted.of("native", "auto").computing(DEBERTA)


@pytest.mark.parametrize(("engine", "precision"), [("abacus", "auto"), ("auto", "f8"), ("native", "f16")])
def test_names_that_there_are_not_are_refused(engine, precision):
    compiled()
    with pytest.raises(
        InputError, match=r"^unknown (engine|precision) .*; choose one of auto, |does not compute in f16"
    ):
        Wanted.of(engine, precision)


@pytest.mark.parametrize(("is_close", "engines"), [(True, {"native"}), (False, {"native", "openvino"})])
def test_openvino_is_tried_where_native_int8_is_not_close_enough(is_close, engines, monkeypatch):
    """The gate passes, or refuses, int8 of native alone."""
    compiled()
    from elsewise.fitting import engine_choice
    from elsewise.fitting.engine_choice import Rows, serving
    from support.small_models import LABELS, graph_of, texts

    files, learner = graph_of("bert")
    tokens = learner.tokenize(texts(60))
    really = engine_choice.measure

    def measured(engine, *given):
        made = really(engine, *given)
        passes = made.measured.passed if is_close else made.measured.engine != "native-int8"
        return replace(made, measured=replace(made.measured, passed=passes))

    monkeypatch.setattr(engine_choice, "measure", measured)
    monkeypatch.setattr(engine_choice, "ACCURACY_MARGIN", 1.0)
    monkeypatch.setattr(engine_choice, "LOG_LOSS_MARGIN", 10.0)
    codes = np.arange(60) % len(LABELS)
    warnings.simplefilter("ignore", ElsewiseWarning)  # of codes that no temperature fits

    _, table = serving(files, LABELS, learner.tokenize.settings, Wanted.of("auto", "auto"), Rows(tokens, codes, tokens))

    assert {row["engine"].partition("-")[0] for row in table} == engines
    assert table[0]["engine"] == "native-f32"
