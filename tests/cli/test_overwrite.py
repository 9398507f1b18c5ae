"""What is there is not replaced unless that is asked for, and the refusal comes before any work."""

import csv

import numpy as np
import pytest

import elsewise as ew
from elsewise.engines.memory import MemoryEngine
from support.running import run


@pytest.fixture
def here(tmp_path):
    """A folder with a model in `model`, and a file in `there`; logits and rows to work on."""
    engine = MemoryEngine(("yes", "no"), {"a": [4.0, 0.0], "b": [0.0, 4.0]})
    for name in ("model", "other"):
        ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.7)).save(tmp_path / name)
    (tmp_path / "rows.csv").write_text("text,label\na,yes\nb,no\n", encoding="utf-8")
    (tmp_path / "there.csv").write_text("mine", encoding="utf-8")
    rng = np.random.default_rng(0)
    z = rng.normal(size=(400, 3)) * 4
    np.save(tmp_path / "z.npy", z)
    np.save(tmp_path / "y.npy", (z + rng.gumbel(size=z.shape)).argmax(axis=1))
    return tmp_path


COMMANDS = {
    "calibrate": ("calibrate", "--logits", "z.npy", "--labels", "y.npy", "-o", "model"),
    "predict": ("predict", "model", "rows.csv", "-o", "there.csv"),
    "compare": ("compare", "model", "other", "rows.csv", "-o", "there.csv"),
    "explain": ("explain", "model", "a", "--receipt-out", "there.csv"),
}


def state(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS.keys())
def test_what_is_there_stays_until_overwrite_is_typed(here, words):
    before = state(here)
    out = words[-1]
    what = "holds a model already" if out == "model" else "exists already"

    refused = run(*words, folder=here)
    between = state(here)
    done = run(*words, "--overwrite", folder=here)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == f"elsewise: {out} {what}; to replace it, add --overwrite, or choose another name\n"
    assert between == before
    assert done.returncode == 0, done.stderr
    assert state(here) != before


def test_predict_again_is_done_at_once_and_ends_well(here):
    words = ("predict", "model", "rows.csv", "-o", "new.csv")
    first = run(*words, folder=here)
    before = state(here)

    again, other = run(*words, folder=here), run(*words, "--top", "1", folder=here)

    assert (first.returncode, again.returncode, state(here)) == (0, 0, before)
    assert "no row was answered again" in again.stderr
    assert other.returncode == 1
    assert other.stderr.startswith("elsewise: new.csv holds the answers of another run. Changed since: columns")
    assert other.stderr.endswith("top (0, now 1). Undo that to go on, or begin anew with --overwrite\n")


def test_fit_refuses_before_it_reads_a_row(here):
    refused = run("fit", "no-such-file.csv", "-o", "model", folder=here)

    assert refused.stderr == (
        "elsewise: model holds a model already; to replace it, add --overwrite, or choose another name\n"
    )


def test_what_is_no_model_is_never_replaced(here):
    (here / "model" / "notes.txt").write_text("mine", encoding="utf-8")

    refused = run("fit", "rows.csv", "-o", "model", "--overwrite", folder=here)

    assert refused.returncode == 1
    assert "model also holds notes.txt, which would be lost; move it, or choose another name" in refused.stderr


def test_an_empty_folder_and_a_device_are_written_to(here):
    (here / "empty").mkdir()
    into_folder = run("calibrate", "--logits", "z.npy", "--labels", "y.npy", "-o", "empty", folder=here)
    into_device = run("predict", "model", "rows.csv", "-o", "/dev/null", folder=here)

    assert into_folder.returncode == into_device.returncode == 0, into_folder.stderr + into_device.stderr


def test_check_names_a_folder_that_is_free(here):
    with (here / "data.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *((f"text {i}", "ab"[i % 2]) for i in range(200))])
    (here / "model-2").mkdir()

    said = run("check", "data.csv", folder=here).stdout

    assert said.splitlines()[-1].startswith("Next: elsewise fit data.csv -o model-3")
