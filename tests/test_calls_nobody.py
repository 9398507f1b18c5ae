"""No command writes outside the folders it is told of, looks a host up or connects to one."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from elsewise.cli import COMMANDS
from support.native import is_compiled
from support.small_folders import classifier_of
from support.small_models import model_of, texts, tokenizer

pytest.importorskip("onnxruntime")
pytest.importorskip("nncf")
pytest.importorskip("uvicorn")
PROGRAM = """
import json, logging, os, signal, sys, time
from functools import partial
from pathlib import Path

CALLS = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}
CHANGES = {"os.mkdir", "os.rename", "os.link", "os.symlink", "os.remove", "os.rmdir", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
calls, written = set(), set()

def watch(event, given):
    if event in CALLS:
        calls.add(f"{event} {given[-1]}")
    elif event in CHANGES or (event == "open" and isinstance(given[2], int) and given[2] & WRITING):
        paths = [path for path in given[:2] if isinstance(path, str | bytes | os.PathLike)]
        written.update(os.path.abspath(os.fsdecode(path)) for path in paths[: 2 if event != "open" else 1])

def stop_when_ready(record):
    if '"ready"' in record.getMessage():
        os.kill(os.getpid(), signal.SIGTERM)
    return True

sys.addaudithook(watch)
import elsewise.data.sample, elsewise.engines.encoders
from elsewise.cli import main

elsewise.engines.encoders._cached = lambda name, *files: Path.cwd() / "encoder" / files[0]  # for the demo
elsewise.data.sample.support_texts = partial(elsewise.data.sample.support_texts, rows=500)
codes = []
for words in json.loads(sys.argv[1]):
    sys.argv = ["elsewise", *words]
    if words[0] == "serve":
        logging.getLogger("elsewise.server").addFilter(stop_when_ready)
    try:
        main()
        codes.append(0)
    except SystemExit as end:
        codes.append(end.code or 0)
time.sleep(2)  # for those that call in a thread
print(json.dumps({"codes": codes, "calls": sorted(calls), "written": sorted(written)}), file=sys.stderr)
"""
FIT = ["--encoder", "./encoder", "--epochs", "1", "--no-baseline", "--max-length", "16"]
RUNS = {
    "version": ["--version"],
    "help": ["fit", "--help"],
    "demo": ["demo", "--epochs", "1"],
    "check": ["check", "data.csv"],
    "fit": ["fit", "data.csv", "-o", "fitted", *FIT],
    "fit in int8": ["fit", "data.csv", "-o", "fitted again", *FIT, "--seed", "1", "--precision", "int8"],
    "predict": ["predict", "model", "data.csv", "-o", "answers.csv"],
    "evaluate": ["evaluate", "model", "data.csv"],
    "compare": ["compare", "fitted", "fitted again", "data.csv"],
    "explain": ["explain", "model", "where is my order"],
    "calibrate": ["calibrate", "--logits", "z.npy", "--labels", "y.npy", "-o", "of logits"],
    "export to int8 of OpenVINO": ["export", "model", "--engine", "openvino", "--precision", "int8"],
    "export to ONNX Runtime": ["export", "model", "--engine", "onnxruntime"],
    **({"export to native": ["export", "model", "--engine", "native"]} if is_compiled() else {}),
    "threshold": ["threshold", "model", "--target-accuracy", "0.5"],
    "doctor": ["doctor"],
    "serve": ["serve", "model", "--port", "0", "--drain", "0"],
}


WRITTEN = {  # by RUNS, beside what was there
    "elsewise-demo", "fitted", "fitted again", "answers.csv", "answers.csv.summary.json", "of logits",
}  # fmt: skip
NETWORK, FILES = "connect,sendto,sendmsg,sendmmsg", "openat,open,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink"
CALL = re.compile(r"^\d+ +(?P<call>\w+)\((?P<given>.*)\) += (?P<result>-?\d+)")
PLACE = re.compile(r"(?:(?:AT_FDCWD|\d+)<(?P<folder>[^>]*)>, )?\"(?P<name>[^\"]*)\"")
LEFT_ASIDE = ("XDG_", "HF_", "ORT_", "TORCHINDUCTOR_")  # what would send files elsewhere than by default
SYSTEM = ("/dev/", "/proc/", "/sys/")  # no files of anybody


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
    """Run a program with an empty home; the network that native code asks, and the files that it writes: by strace."""
    home.mkdir()
    temporary = home.with_name("temporary")
    temporary.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(LEFT_ASIDE)}
    environment |= {"HOME": str(home), "USERPROFILE": str(home), "OMP_NUM_THREADS": "1", "CI": ""}
    environment |= {"TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}
    trace = home.with_suffix(".trace")
    strace = ["strace", "-f", "--seccomp-bpf", "-qq", "-y", "-e", f"trace={NETWORK},{FILES}", "-o", str(trace)]
    words = [*(strace if shutil.which("strace") else []), sys.executable, "-c", program, json.dumps(given)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=place, env=environment)
    native = trace.read_text(encoding="utf-8", errors="replace").splitlines() if trace.exists() else []
    return done, [line for line in native if "AF_INET" in line], written_by(native, place)


def written_by(lines, place):
    """The paths that successful calls write, make, rename or remove."""
    found = set()
    for call in filter(None, map(CALL.match, lines)):
        is_read = call["call"] in ("open", "openat") and not re.search(r"O_WRONLY|O_RDWR|O_CREAT", call["given"])
        if int(call["result"]) >= 0 and not is_read and call["call"] not in NETWORK:
            paths = (Path(at["folder"] or place, at["name"]) for at in PLACE.finditer(call["given"]))
            found |= {str(Path(os.path.normpath(path))) for path in paths}
    return found


def elsewhere(paths, *allowed):
    """The paths that are none of the folders, and lie in none."""
    inside = (*(f"{folder}/" for folder in allowed), *SYSTEM)
    return sorted(path for path in paths if not f"{path}/".startswith(inside))


def test_every_command_is_tried():
    assert {words[0] for words in RUNS.values()} >= set(COMMANDS) - {"push"}  # whose purpose it is to ask a host


def test_no_command_writes_elsewhere_than_it_is_told_or_asks_a_host(place, tmp_path):
    home, temporary, before = tmp_path / "home", tmp_path / "temporary", {path.name for path in place.iterdir()}

    done, asked, written = watched(PROGRAM, list(RUNS.values()), place, home)

    told = json.loads(done.stderr.splitlines()[-1])
    assert dict(zip(RUNS, told["codes"], strict=True)) == dict.fromkeys(RUNS, 0), done.stderr
    assert told["calls"] == []
    assert asked == []
    assert list(home.rglob("*")) == []
    left = [path for path in temporary.rglob("*") if not path.match("torchinductor_*")]  # empty: torch makes it
    assert left == []
    assert {path.name for path in place.iterdir()} - before == WRITTEN
    assert elsewhere(told["written"], place, temporary) == []
    assert elsewhere(written, place, temporary) == []
    assert str(place / "answers.csv") in told["written"]
    assert str(place / "answers.csv") in written or not shutil.which("strace")


def test_the_watch_sees_a_library_that_calls_home(tmp_path):
    """ONNX Runtime as it is without Elsewise writes an id into the home folder; a look-up is seen too."""
    import onnxruntime

    if tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 32) or sys.platform != "linux":
        pytest.skip("this ONNX Runtime has no telemetry on this system")
    program = (
        "import onnxruntime, socket, time; time.sleep(1); socket.socket(socket.AF_INET, 2).connect(('127.0.0.1', 9))"
    )

    _, asked, written = watched(program, [], tmp_path, tmp_path / "home")

    assert list((tmp_path / "home").rglob("*"))
    assert asked or not shutil.which("strace")
    assert elsewhere(written, tmp_path / "temporary") or not shutil.which("strace")


@pytest.mark.parametrize(("given", "then"), [(None, "1"), ("0", "0")])
def test_telemetry_of_onnx_runtime_is_off_unless_it_was_asked_for(given, then):
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {} if given is None else {"ORT_DISABLE_TELEMETRY": given}
    program = "import os, elsewise; print(os.environ['ORT_DISABLE_TELEMETRY'])"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)

    assert done.stdout.strip() == then
