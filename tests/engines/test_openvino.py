"""The OpenVINO engine: what it refuses, and what it leaves behind."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from elsewise.engines.files import INT8, INT8_WEIGHTS, ONNX, ModelFiles, Opening
from elsewise.engines.openvino import COMPILE_CACHE, OpenVinoModel
from elsewise.errors import ArtifactError
from elsewise.fitting.engine_choice import quantised
from support.small_models import LABELS, graph_of, texts

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def made():
    files, learner = graph_of("bert")
    return quantised(files, learner.tokenize(texts(60))), learner.tokenize.settings


@pytest.fixture
def copied(made, tmp_path):
    made[0].copy_to(tmp_path)
    return tmp_path


def opened(path, made, precision="f32"):
    return OpenVinoModel.open(Opening(ModelFiles.of(path), LABELS, {**made[1], "precision": precision}))


def test_int8_is_a_quarter_of_the_size_and_near_f32(made):
    exact, int8 = (OpenVinoModel.open(Opening(made[0], LABELS, {**made[1], "precision": p})) for p in ("f32", "int8"))
    graph = made[0].path / INT8

    one, other = exact.run(texts(64)).logits, int8.run(texts(64)).logits

    assert b"FakeQuantize" in graph.read_bytes()
    assert 0 < np.abs(one - other).max() < 0.5 * np.abs(one).max()
    assert exact.fingerprint != int8.fingerprint


@pytest.mark.parametrize(("precision", "name"), [("f32", ONNX), ("int8", INT8), ("int8", INT8_WEIGHTS)])
def test_a_graph_that_is_missing_or_cut_short_is_refused_by_name(copied, made, precision, name):
    data = (copied / name).read_bytes()
    (copied / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(ArtifactError, match=Path(name).stem):
        opened(copied, made, precision)

    (copied / name).unlink()
    with pytest.raises(ArtifactError, match=rf"has no {name}; make the model again"):
        opened(copied, made, precision)


def test_a_graph_that_points_to_another_file_is_refused(copied, made):
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(copied / ONNX)
    onnx.save_model(graph, copied / ONNX, save_as_external_data=True, location="weights.data", size_threshold=0)

    with pytest.raises(ArtifactError, match=r"model.onnx keeps data in other files .* not allowed; export it again"):
        opened(copied, made)


@pytest.mark.parametrize("precision", ["f32", "int8"])
def test_compiled_graphs_are_kept_where_one_says(copied, made, tmp_path, monkeypatch, precision):
    before = opened(copied, made, precision).run(texts(8)).logits
    monkeypatch.setenv(COMPILE_CACHE, str(tmp_path / "compiled"))

    answers = [opened(copied, made, precision).run(texts(8)).logits for _ in range(2)]

    assert len(list((tmp_path / "compiled").glob("*/*.blob"))) == 1
    assert all(after.tobytes() == before.tobytes() for after in answers)


def test_a_kept_graph_is_never_taken_for_another_of_the_same_name_size_and_time(copied, made, tmp_path, monkeypatch):
    """As copies with their times leave them, and images in which all times are one."""
    onnx = pytest.importorskip("onnx")
    monkeypatch.setenv(COMPILE_CACHE, str(tmp_path / "compiled"))
    opened(copied, made)
    before = (copied / ONNX).stat()
    graph = onnx.load(copied / ONNX)
    for tensor in graph.graph.initializer:
        tensor.raw_data = (2 * onnx.numpy_helper.to_array(tensor)).tobytes()
    onnx.save_model(graph, copied / ONNX)
    os.utime(copied / ONNX, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (copied / ONNX).stat().st_size == before.st_size

    answers = opened(copied, made).run(texts(8)).logits

    monkeypatch.delenv(COMPILE_CACHE)
    assert answers.tobytes() == opened(copied, made).run(texts(8)).logits.tobytes()


def test_a_kept_graph_that_is_damaged_is_compiled_again(copied, made, tmp_path, monkeypatch):
    monkeypatch.setenv(COMPILE_CACHE, str(tmp_path / "compiled"))
    before = opened(copied, made).run(texts(8)).logits
    (kept,) = (tmp_path / "compiled").glob("*/*.blob")
    kept.chmod(0o600)
    os.truncate(kept, kept.stat().st_size // 2)

    assert opened(copied, made).run(texts(8)).logits.tobytes() == before.tobytes()


def test_a_folder_for_kept_graphs_that_cannot_be_made_is_named(copied, made, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv(COMPILE_CACHE, str(tmp_path / "file"))

    with pytest.raises(
        ArtifactError, match=r"ELSEWISE_COMPILE_CACHE: .*file/.* cannot be made: .*; name another folder"
    ):
        opened(copied, made)


def test_nothing_is_sent_home(copied, tmp_path):
    """`import openvino` on its own writes an id into the home folder, and starts a thread that sends what it counts."""
    home = tmp_path / "home"
    home.mkdir()
    code = "import elsewise.engines.openvino, sys, threading; print(threading.active_count())"
    environment = {**os.environ, "HOME": str(home), "CI": ""}

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)

    assert done.stdout.strip() == "1"
    assert list(home.rglob("*")) == []
