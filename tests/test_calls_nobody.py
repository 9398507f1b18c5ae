"""No command writes into the home folder, looks a host up or connects to one."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from elsewise.cli import COMMANDS
from support.small_folders import classifier_of
from support.small_models import model_of, texts, tokenizer

pytest.importorskip("onnxruntime")
pytest.importorskip("nncf")
PROGRAM = """
import json, socket, sys, time
calls = set()
WATCHED = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}
sys.addaudithook(lambda event, given: calls.add(f"{event} {given[-1]}") if event in WATCHED else None)
from elsewise.cli import main
codes = []
for words in json.loads(sys.argv[1]):
    sys.argv = ["elsewise", *words]
    try:
        main()
        codes.append(0)
    except SystemExit as end:
        codes.append(end.code or 0)
time.sleep(2)  # for those that call in a thread
print(json.dumps({"codes": codes, "calls": sorted(calls)}), file=sys.stderr)
"""
FIT = ["--encoder", "./encoder", "--epochs", "1", "--no-baseline", "--max-length", "16"]
RUNS = {
    "check": ["check", "data.csv"],
    "fit": ["fit", "data.csv", "-o", "fitted", *FIT],
    "fit in int8": ["fit", "data.csv", "-o", "fitted again", *FIT, "--seed", "1", "--precision", "int8"],
    "predict": ["predict", "model", "data.csv", "-o", "answers.csv"],
    "evaluate": ["evaluate", "model", "data.csv"],
    "compare": ["compare", "fitted", "fitted again", "data.csv"],
    "explain": ["explain", "model", "where is my order"],
    "calibrate": ["calibrate", "--logits", "z.npy", "--labels", "y.npy", "-o", "of logits"],
    "export to int8": ["export", "model", "--precision", "int8"],
    "export to ONNX Runtime": ["export", "model", "--engine", "onnxruntime"],
    "threshold": ["threshold", "model", "--target-accuracy", "0.5"],
    "doctor": ["doctor"],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nobody")
    made = classifier_of()
    made.save(folder / "model")
    model_of("bert").save_pretrained(folder / "encoder")
    tokenizer().save_pretrained(folder / "encoder")
    rows = list(dict.fromkeys(texts(400)))
    lines = [f"{text},label {i % 3}" for i, text in enumerate(rows)]
    (folder / "data.csv").write_text("\n".join(["text,label", *lines, ""]), encoding="utf-8")
    codes = np.arange(400) % 3
    np.save(folder / "y.npy", codes)
    np.save(folder / "z.npy", 3 * np.eye(3)[codes] + np.random.default_rng(0).normal(size=(400, 3)))
    return folder


def watched(program, given, place, home):
    """Run a program with an empty home; what Python and, with strace, native code asks of the network."""
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "HF_", "ORT_"))}
    environment |= {"HOME": str(home), "USERPROFILE": str(home), "OMP_NUM_THREADS": "1", "CI": ""}
    trace = home.with_suffix(".trace")
    strace = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", str(trace)]
    words = [*(strace if shutil.which("strace") else []), sys.executable, "-c", program, json.dumps(given)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=place, env=environment)
    native = trace.read_text(encoding="utf-8", errors="replace").splitlines() if trace.exists() else []
    return done, [line for line in native if "AF_INET" in line]


def test_every_command_is_tried():
    assert {words[0] for words in RUNS.values()} == set(COMMANDS) - {"demo"}  # it is `fit`, and takes long


def test_no_command_writes_into_the_home_folder_or_asks_a_host(place, tmp_path):
    home = tmp_path / "home"

    done, native = watched(PROGRAM, list(RUNS.values()), place, home)

    told = json.loads(done.stderr.splitlines()[-1])
    assert dict(zip(RUNS, told["codes"], strict=True)) == dict.fromkeys(RUNS, 0), done.stderr
    assert told["calls"] == []
    assert native == []
    assert [str(path.relative_to(home)) for path in home.rglob("*")] == []


def test_the_watch_sees_a_library_that_calls_home(tmp_path):
    """ONNX Runtime as it is without Elsewise writes an id into the home folder; a look-up is seen too."""
    import onnxruntime

    if tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 32) or sys.platform != "linux":
        pytest.skip("this ONNX Runtime has no telemetry on this system")
    program = (
        "import onnxruntime, socket, time; time.sleep(1); socket.socket(socket.AF_INET, 2).connect(('127.0.0.1', 9))"
    )

    _, native = watched(program, [], tmp_path, tmp_path / "home")

    assert list((tmp_path / "home").rglob("*"))
    assert native or not shutil.which("strace")


@pytest.mark.parametrize(("given", "then"), [(None, "1"), ("0", "0")])
def test_telemetry_of_onnx_runtime_is_off_unless_it_was_asked_for(given, then):
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {} if given is None else {"ORT_DISABLE_TELEMETRY": given}
    program = "import os, elsewise; print(os.environ['ORT_DISABLE_TELEMETRY'])"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)

    assert done.stdout.strip() == then
