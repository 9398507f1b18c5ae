"""Model folders of every engine with one random change, sealed again: refused in one line, or answered.

A graph whose certificate was forged too is read by a native library, which may crash: SECURITY.md says so.
"""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import elsewise as ew
from support import mutated
from support.native import is_compiled
from support.small_folders import classifier_of
from support.small_models import LABELS, asking_a_second, graph_of, learner_of, texts

pytest.importorskip("torch")
WORKER = Path(mutated.__file__)
ENGINES = ("openvino", *(["native"] if is_compiled() else []), "onnxruntime", "torch")


def table():
    """A classifier by heart, with every figure that `evaluate` gives."""
    from elsewise.engines.memory import MemoryEngine

    rng = np.random.default_rng(0)
    known = {text: rng.normal(size=3).tolist() for text in [*texts(40), *mutated.TEXTS]}
    bare = ew.Classifier(MemoryEngine(("a", "b", "c"), known), ew.Identity(), ew.FixedThreshold(0.5))
    codes = rng.integers(-1, 3, size=40)
    return bare.with_provenance(evaluation=ew.evaluate(bare, texts(40), codes=codes).as_dict())


def logits():
    rng = np.random.default_rng(0)
    codes = rng.integers(3, size=900)
    return ew.calibrate(np.eye(3)[codes] * 2 + rng.normal(size=(900, 3)), codes, target_accuracy=0.8)


def around():
    """Engines around other engines."""
    from elsewise.engines import engine_class
    from elsewise.engines.files import Opening

    def opened(name, seed=0):
        files, learner = graph_of("bert", seed=seed)
        return engine_class(name).open(Opening(files, LABELS, {**learner.tokenize.settings, "precision": "f32"}, 1))

    inside = opened("openvino")
    yield "ensemble", engine_class("ensemble")((inside, opened("openvino", 1)))
    yield "laplace", engine_class("laplace").fit(inside, texts(60), texts(64), np.full(64, -1))
    yield "mc_dropout", engine_class("mc_dropout")(opened("torch"), passes=2)
    yield "second opinion", asking_a_second(inside, learner_of("bert"))


def baseline():
    from elsewise.engines.tfidf import TfidfEngine

    known = texts(60)
    return TfidfEngine.fit(known, np.arange(60) % 3, ("a", "b", "c"), known, np.arange(60) % 3)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("folders")
    made = {"table": table(), "logits": logits(), "int8": classifier_of("openvino", "int8")}
    made |= {engine: classifier_of(engine) for engine in ENGINES}
    engines = {**dict(around()), "baseline": baseline()}
    made |= {name: ew.Classifier(one, ew.Identity(), ew.FixedThreshold(0.2)) for name, one in engines.items()}
    for name, classifier in made.items():
        classifier.save(place / name)
    return place


def outcomes(folders, work, count):
    """What came of each folder; a process that dies is started again behind the folder that killed it."""
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "ELSEWISE_COMPILE_CACHE": str(work / "cache"),
        "PYTHONPATH": os.pathsep.join([str(WORKER.parents[1]), os.environ.get("PYTHONPATH", "")]),
    }
    found, first = [], 0
    while first < count:
        words = [sys.executable, WORKER, folders, work, first, count - first]
        with (work / "stderr").open("w") as stderr:
            done = subprocess.run(
                list(map(str, words)), stdout=subprocess.PIPE, stderr=stderr, text=True, check=False, env=environment
            )
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        found += [{**made, **came} for made, came in zip(lines[::2], lines[1::2], strict=False)]
        if len(lines) % 2:
            is_graph = lines[-1]["certified"] and lines[-1]["file"].endswith((".onnx", ".xml", ".bin"))
            how = "hang" if done.returncode == -signal.SIGXCPU else "crash of a library" if is_graph else "crash"
            found.append({**lines[-1], "outcome": how, "words": str(done.returncode), "events": []})
        assert len(found) > first, (work / "stderr").read_text()
        first = len(found)
    return found


@pytest.mark.parametrize("count", [30, pytest.param(5000, marks=pytest.mark.faults)])
def test_a_changed_folder_is_refused_in_one_line_or_answered(folders, tmp_path, count):
    """No code runs, no traceback, no hang over 10 seconds of a processor."""
    found = outcomes(folders, tmp_path, count)

    counts = Counter(one["outcome"] for one in found)
    slowest = max(one.get("seconds", 0) for one in found)
    print(f"{count} folders: {dict(counts)}, the slowest {slowest:.1f} s of a processor")  # noqa: T201  seen with -s
    fine = ("refused", "answered", "crash of a library")
    bad = [one for one in found if one["outcome"] not in fine or one["events"]]
    assert not bad, json.dumps(bad[:20], indent=1)
    assert counts["refused"] > count / 2
    assert counts["crash of a library"] <= count / 200
