"""The benchmarks run, on few made-up rows (make bench-smoke): no change of the product leaves them behind."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import elsewise as ew
from elsewise.data.sample import OUT_OF_SCOPE, support_texts
from elsewise.engines.files import ModelFiles
from elsewise.engines.token_counts import FILE, TokenCounts
from support.native import compiled
from support.running import run
from support.workshop import fit_sample

pytestmark = pytest.mark.bench
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SIZES = {"train": 600, "val": 2600, "test": 2000}
FEW = ["pipeline, 32", "ONNX Runtime f32, sorted", "OpenVINO int8, free shapes", "elsewise int8"]


@pytest.fixture(scope="module")
def data(sample, tmp_path_factory):
    """A folder as the benchmarks read: train.csv, val.csv, test.csv, out-of-scope rows `oos`, domains.json.

    val.csv begins with the rows that the model was fitted on, its tune rows among them.
    """
    folder = tmp_path_factory.mktemp("data")
    rows = iter(support_texts(seed=1, rows=sum(SIZES.values())))
    for name, size in SIZES.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            for row in [*(sample if name == "val" else ()), *islice(rows, size)]:
                writer.writerow([row.text, "oos" if row.label == OUT_OF_SCOPE else row.label])
    labels = sorted({row.label for row in sample} - {OUT_OF_SCOPE})
    (folder / "domains.json").write_text(json.dumps({"first": labels[:10], "second": labels[10:]}))
    return folder


@pytest.fixture(scope="module")
def few(data, tmp_path_factory):
    """The first rows of each file."""
    folder = tmp_path_factory.mktemp("few")
    for name in SIZES:
        lines = (data / f"{name}.csv").read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / f"{name}.csv").write_text("".join(lines[:61]), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def models(sample, tiny_encoder, tmp_path_factory):
    """A small model under the names that benchmarks give theirs, so that none of them trains; it has dropout."""
    folder = tmp_path_factory.mktemp("bench-models")
    shutil.copytree(tiny_encoder, folder / "encoder")
    config = json.loads((folder / "encoder" / "config.json").read_text(encoding="utf-8"))
    (folder / "encoder" / "config.json").write_text(json.dumps({**config, "hidden_dropout_prob": 0.1}))
    with pytest.MonkeyPatch.context() as patch:  # opinions that are worth nothing here are asked all the same
        patch.setattr("elsewise.engines.pool.SURE", -np.inf)
        fit_sample(sample, encoder=str(folder / "encoder"), epochs=3, target_accuracy=0.3).save(folder / "clinc150")
    for precision in ("f32", "int8"):
        done = run("export", folder / "clinc150", "--engine", "openvino", "--precision", precision)
        assert not done.returncode, done.stderr
    for name in ("documents", "bert-base", "clinc150-0", "clinc150-1"):
        shutil.copytree(folder / "clinc150", folder / name)
    return folder


def page_of(tmp_path, script, *arguments):
    """Run a benchmark as a user does; give the page that it writes."""
    page = tmp_path / "benchmarks.md"
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / f"{script}.py"), *map(str, arguments)],
        env={**os.environ, "ELSEWISE_BENCHMARKS_PAGE": str(page), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    return page.read_text(encoding="utf-8")


def test_the_engines_side_by_side(data, few, models, tmp_path):
    made = page_of(tmp_path, "engines", "--data", few, "--documents", few, "--models", models, "--peers", *FEW)
    for peer in FEW:
        assert f"| {peer} |" in made or f"| **{peer}** |" in made
    assert "`python benchmarks/engines.py --data FOLDER --documents FOLDER --models FOLDER --peers" in made
    assert str(data.parent) not in made


def test_clinc150(data, models, tmp_path):
    made = page_of(tmp_path, "clinc150", "--data", data, "--models", models, "--seeds", 2)
    assert "| elsewise, seed 1 |" in made


def test_uncertainty(data, models, tmp_path):
    made = page_of(tmp_path, "uncertainty", "--data", data, "--models", models / "clinc150-0", models / "clinc150-1")
    assert "Laplace" in made


def test_other(data, few, models, tmp_path):
    folders = ("--models", models / "clinc150-0", models / "clinc150-1", "--far", few)
    made = page_of(tmp_path, "other", "--data", data, *folders)
    assert "| without it |" in made


def test_quick(few, models, tmp_path):
    made = page_of(tmp_path, "quick", "--data", few, "--encoder", models / "encoder")
    assert "| in-scope accuracy | log loss |" in made


def test_layers(data, models, tmp_path):
    made = page_of(tmp_path, "layers", "--data", data, "--models", models / "clinc150-0", "--layers", 1, 2)
    assert "| layer 2 alone |" in made


def test_cascade(data, sample, models, tmp_path):
    classifier = ew.load(models / "clinc150")
    engine, known = classifier.engine, [row for row in sample if row.label in classifier.labels]
    tokens, codes = engine.prepare([row.text for row in known]), classifier.codes([row.label for row in known])
    counts = TokenCounts.learn(tokens, codes, len(classifier.labels), engine.tokenizer.special)
    engine.save(tmp_path)
    (tmp_path / FILE).write_bytes(counts.content)
    replace(classifier, engine=engine.with_files(ModelFiles.of(tmp_path))).save(tmp_path / "counted")

    made = page_of(tmp_path, "cascade", "--data", data, "--model", tmp_path / "counted")

    assert "| a cascade, `--cascade-change 0.02` |" in made
    assert "`--cascade-change 0.01` | the cascade is " in made


def test_long_documents(few, models, tmp_path):
    made = page_of(tmp_path, "long_documents", "--data", few, "--models", models / "clinc150-0", models / "clinc150-1")
    assert "| fine-tuned encoder alone |" in made


def test_windows(data, models, tmp_path):
    how = ("--encoder", models / "encoder", "--max-length", 12)
    made = page_of(tmp_path, "windows", "--data", data, *how)
    assert "| longer than 12 tokens |" in made


def test_one_text(few, models, tmp_path):
    made = page_of(tmp_path, "one_text", "--data", few, "--model", models / "clinc150")
    assert "| 0 of 1,300 |" in made


def test_server(few, models, tmp_path):
    made = page_of(tmp_path, "server", "--data", few, "--model", models / "clinc150", "--seconds", 1)
    assert "| elsewise, 429 asks again after 0.2 s | 640 |" in made


def test_native(few, models, tmp_path):
    compiled()
    made = page_of(tmp_path, "native", "--data", few, "--documents", few, "--model", models / "clinc150")
    assert re.search(r"\b0 of \d+ texts get other bits", made)


def test_resplits(data, models, tmp_path):
    pytest.importorskip("mapie")
    made = page_of(tmp_path, "resplits", "--data", data, "--model", models / "clinc150-0", "--splits", 3)
    assert "| **elsewise**, jointly |" in made


def test_promises(tmp_path):
    made = page_of(tmp_path, "promises", "--draws", 2)
    assert made.count("| **elsewise**, all labelled rows certify |") == 3
    assert "not installed: " in made


def test_baseline(few, models, tmp_path):
    made = page_of(tmp_path, "baseline", "--data", few, "--model", models / "clinc150-0")
    assert ": encoder, openvino" in made


def test_explain(few, models, tmp_path):
    made = page_of(tmp_path, "explain", "--data", few, "--model", models / "clinc150-0")
    assert "| usual, and the nearest of 60 texts |" in made


def test_stream(data, models, tmp_path):
    made = page_of(tmp_path, "stream", "--data", data, "--model", models / "clinc150", "--rows", 10_000)
    assert "| 10,000 |" in made


def test_bulk(data, models, tmp_path):
    how = ("--data", data, "--model", models / "clinc150", "--rows", 40_000, "--some", 40_000, "--few", 60)
    made = page_of(tmp_path, "bulk", *how)
    assert "the same bytes" in made
    assert "| ValueError |" in made


@pytest.mark.parametrize(("script", "rows"), [("million_rows", 3_000), ("check", 11_000), ("report", 2_000)])
def test_many_rows(script, rows, tmp_path):
    assert "Command: `python benchmarks/" in page_of(tmp_path, script, "--rows", rows)
