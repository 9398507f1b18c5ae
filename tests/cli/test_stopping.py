"""Commands that are stopped by a signal, or whose standard streams are closed: an exit code, and no traceback."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

import elsewise as ew
from elsewise.engines.memory import MemoryEngine
from support.running import run

STOPPED = "stopped; no file was changed, and nothing is kept\nNext: python -m elsewise predict model {} -o out.csv\n"
pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names there")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to work in, with a model and two rows."""
    engine = MemoryEngine(("yes", "no"), {"a": [4.0, 0.0]})
    ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.7)).save(tmp_path / "model")
    (tmp_path / "rows.csv").write_text("text\na\na\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def started(*words, ignoring=False, **streams):
    """Start a command; a shell in the background may have told it to ignore signals."""

    def prepare():
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignoring else signal.SIG_DFL)

    command = [sys.executable, "-m", "elsewise", *words]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=prepare, **streams)  # noqa: PLW1509


def until(true):
    """Wait until something is true."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def ended(process, number, times=1):
    """Send a signal, several times, and give the exit code and stderr."""
    for _ in range(times):
        process.send_signal(number)
        time.sleep(0.01)
    _, words = process.communicate(timeout=10)
    return process.returncode, words


@pytest.mark.parametrize(("name", "times"), [("SIGINT", 3), ("SIGTERM", 1), ("SIGHUP", 1)])
def test_a_signal_ends_a_command_that_waits_for_a_silent_pipe(here, name, times):
    os.mkfifo("rows")
    process = started("predict", "model", "rows", "-o", "out.csv")
    with open("rows", "wb", buffering=0) as pipe:
        pipe.write(b"text\na\n")
        until(lambda: any(path.suffix == ".part" for path in here.iterdir()))
        number = getattr(signal, name)

        assert ended(process, number, times) == (128 + number, STOPPED.format("rows"))

    assert sorted(os.listdir()) == ["model", "rows", "rows.csv"]  # noqa: PTH208


def test_a_signal_ends_a_command_that_waits_for_stdin(here):
    reading, writing = os.pipe()
    os.write(writing, b"text\na\n")
    process = started("predict", "model", "-", "-o", "out.csv", stdin=reading)
    until(lambda: any(path.suffix == ".part" for path in here.iterdir()))

    assert ended(process, signal.SIGINT) == (130, STOPPED.format("-"))

    os.close(reading)
    os.close(writing)


def test_a_signal_ends_a_command_whose_reader_does_not_read(here):
    (here / "rows.csv").write_text("text\n" + "a\n" * 20_000)
    reading, writing = os.pipe()
    process = started("predict", "model", "rows.csv", stdout=writing)
    os.close(writing)
    os.read(reading, 1)
    time.sleep(1)  # until the pipe is full

    assert ended(process, signal.SIGTERM)[0] == 143

    os.close(reading)


@pytest.mark.parametrize("times", [1, 2])
def test_a_signal_waits_for_the_part_and_the_same_command_goes_on(here, times):
    (here / "rows.csv").write_text("text\n" + "a\n" * 80_000)
    words = ("predict", "model", "rows.csv", "-o", "out.csv")
    process = started(*words)
    until(lambda: any((here / "out.csv.parts").glob("*.json")) if (here / "out.csv.parts").exists() else False)

    code, said = ended(process, signal.SIGINT, times)

    last = said.splitlines()[-2:]
    parts = len(list((here / "out.csv.parts").glob("*.json")))
    assert code == 130
    assert not (here / "out.csv").exists()
    kept = re.fullmatch(r"stopped; kept: [\d,]+ rows in (\d+) parts? \(out.csv.parts\)", last[0])
    told = 0 if last[0] == "stopped; no file was changed, and nothing is kept" else int(kept[1])
    assert told in ((parts,) if times == 1 else (parts, parts - 1))  # the second stops before the last part is counted
    assert last[1] == "Next: python -m elsewise predict model rows.csv -o out.csv"
    done = run(*words)
    assert (done.returncode, (here / "out.csv").read_text().count("\n")) == (0, 80_001)
    assert not (here / "out.csv.parts").exists()


def test_what_a_failed_run_keeps_is_told(here):
    (here / "rows.csv").write_text("text\n" + "a\n" * 20_000 + '"a\n')

    done = run("predict", "model", "rows.csv", "-o", "out.csv")

    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == (
        "kept: 16,384 rows in 1 part (out.csv.parts); the same command goes on from there"
    )


def test_what_was_written_before_the_signal_is_told(here, monkeypatch):
    """The signal comes while the summary of a finished output is shown."""

    def stopped(*_):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(sys.modules["elsewise.cli.predict"], "say_threshold_next", stopped)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background ignores it

    done = run("predict", "model", "rows.csv", "-o", "out.csv")

    signal.signal(signal.SIGINT, before)

    assert done.returncode == 130
    assert done.stderr.splitlines()[-1] == "stopped; written before that: out.csv"
    assert (here / "out.csv").exists()


def test_a_command_that_ignores_hangups_goes_on(here):
    os.mkfifo("rows")
    process = started("predict", "model", "rows", "-o", "out.csv", ignoring=True)
    with open("rows", "wb", buffering=0) as pipe:
        pipe.write(b"text\na\n")
        until(lambda: any(path.suffix == ".part" for path in here.iterdir()))
        process.send_signal(signal.SIGHUP)
        pipe.write(b"a\n")

    _, words = process.communicate(timeout=30)
    assert (process.returncode, words.splitlines()[-2]) == (0, "2 rows = 2 answered + 0 Other + 0 rejected")


@pytest.mark.parametrize(
    ("words", "code", "last"),
    [
        ("predict model - <&-", 1, "elsewise: stdin is empty"),
        ("predict model rows.csv >&-", 1, "elsewise: output: Bad file descriptor"),
        ("predict model rows.csv -o out.csv <&- >&-", 0, "Next: python -m elsewise threshold model"),
        ("predict model rows.csv -o out.csv 2>&-", 0, ""),
        ("threshold model >&-", 1, "elsewise: output: Bad file descriptor"),
        ("doctor >/dev/full", 1, "elsewise: output: No space left on device"),
        ("predict model rows.csv >/dev/full", 1, "elsewise: - cannot be written: no space left on device"),
    ],
)
def test_closed_and_full_streams_are_told_in_a_line(here, words, code, last):
    done = subprocess.run(
        f"{sys.executable} -m elsewise {words}", shell=True, capture_output=True, text=True, check=False, cwd=here
    )

    assert (done.returncode, (done.stderr.splitlines() or [""])[-1]) == (code, last)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_too_little_memory_is_told_in_a_line(here, monkeypatch):
    def greedy(*_, **__):
        raise MemoryError

    monkeypatch.setattr("elsewise.batch.predict.open_source", greedy)

    done = run("predict", "model", "rows.csv", "-o", "out.csv")

    said = "elsewise: this machine has too little memory for that; give it smaller files, or fewer rows\n"
    assert (done.returncode, done.stderr) == (1, said)
