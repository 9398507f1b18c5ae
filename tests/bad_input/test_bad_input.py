"""Every bad input of docs/bad-input.md through the command line, and what it says, word for word."""

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest

import elsewise as ew
from bad_input import GROUPS, labels, models, paths
from bad_input.page import PAGE, page
from elsewise.engines.memory import MemoryEngine
from support.running import run
from support.sealed_again import certify
from support.small_folders import classifier_of
from support.small_models import model_of, tokenizer

PLACEHOLDER = re.compile(r"\\\{\w+\\\}")  # {number}: what differs from machine to machine
CASES = [
    pytest.param(case, id=f"{group}: {case.given}".encode("ascii", "backslashreplace").decode())
    for group, (cases, _) in GROUPS.items()
    for case in cases
    if case.command
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Models to give bad input to, and an encoder, all small."""
    place = tmp_path_factory.mktemp("bad-input")
    by_heart = MemoryEngine(("yes", "no"), {"a": [4.0, 0.0], "b": [0.0, 4.0], "c": [0.1, 0.0], "d": [3.0, 0.0]})
    ew.Classifier(by_heart, ew.Identity(), ew.FixedThreshold(0.7)).save(place / "by heart")
    classifier_of().save(place / "text")
    classifier_of("torch").save(place / "torch")
    model_of("bert").save_pretrained(place / "encoder")
    tokenizer().save_pretrained(place / "encoder")
    return place


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


def bring(case, folders):
    """Put a case into the current folder."""
    if "model" in case.command.split():
        shutil.copytree(folders / case.model, "model")
    if "encoder" in case.command.split():
        shutil.copytree(folders / "encoder", "encoder")
    case.make()


def matches(said, line, here):
    pattern = PLACEHOLDER.sub(r"\\S+", re.escape(said.replace("{here}", str(here))))
    return re.fullmatch(pattern, line) is not None


@pytest.mark.parametrize("case", CASES)
def test_a_bad_input_ends_as_the_page_says(case, folders, here):
    if case.given in paths.READ_ONLY and os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    bring(case, folders)
    before = sorted(Path().rglob("*"))

    done = run(*case.command.split())

    lines = done.stderr.splitlines()
    if case.is_refused:
        assert done.returncode == 1, done.stderr
        assert matches(f"elsewise: {case.said}", lines[-1], here), done.stderr
        assert done.stdout == ""
        assert sorted(Path().rglob("*")) == before
    else:
        assert done.returncode == 0, done.stderr
        assert not case.said or any(matches(case.said, line, here) for line in lines), done.stderr
        assert case.holds()


def test_the_page_shows_every_case():
    """To write it anew: python tests/bad_input/page.py"""
    assert PAGE.read_text(encoding="utf-8") == page()


# Labels


@pytest.fixture(scope="module")
def odd(folders, tmp_path_factory):
    """A model fitted from the command line on every odd label, and the answers that it gives to its own texts."""
    place = tmp_path_factory.mktemp("odd")
    shutil.copytree(folders / "encoder", place / "encoder")
    with chdir(place):
        labels.rows_of(labels.LABELS * 3)()
    assert run(*labels.FIT.split(), folder=place).returncode == 0
    for name in ("out.csv", "out.jsonl"):
        assert run("predict", "new", "data.csv", "-o", name, "--top", 99, folder=place).returncode == 0
    return place


def test_odd_labels_stay_what_they_are_in_the_model_folder(odd):
    described = json.loads((odd / "new" / "elsewise.json").read_text(encoding="utf-8"))
    config = json.loads((odd / "new" / "config.json").read_text(encoding="utf-8"))

    assert len(set(labels.LABELS)) == len(labels.LABELS)
    assert sorted(described["labels"]) == sorted(config["id2label"].values()) == sorted(labels.LABELS)
    assert sorted(ew.load(odd / "new").labels) == sorted(labels.LABELS)


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl"])
def test_odd_labels_come_out_as_they_went_in(odd, name):
    from elsewise.data.formats import open_rows

    with open_rows(odd / name) as rows:
        found = [row.cells for row in rows]

    assert [row["input_label"] for row in found] == list(labels.LABELS * 3)
    ranked = [{row[f"label_{place}"] for place in range(1, len(labels.LABELS) + 1)} for row in found]
    assert all(names == set(labels.LABELS) for names in ranked)


# Code and network

WATCHED = """
import json, os, sys

events, place = [], os.getcwd()
CALLS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.bind", "subprocess.Popen", "os.system",
         "os.exec", "os.posix_spawn", "os.startfile", "pickle.find_class", "urllib.Request", "http.client.connect")

def watch(event, values):
    if event in CALLS:
        events.append((event, *map(str, values[:3])))
    elif event == "exec" and str(getattr(values[0], "co_filename", "")).startswith(place):
        events.append((event, values[0].co_filename))
    elif event == "import" and "evil" in str(values[0]):
        events.append((event, str(values[0])))

for name in filter(None, sys.argv[1].split(",")):
    __import__(name)  # what libraries do for themselves when they are imported is not the folder's doing
sys.addaudithook(watch)
from elsewise import cli
for command in sys.argv[2:]:
    folder, *words = command.split()
    os.chdir(os.path.join(place, folder))
    sys.argv = ["elsewise", *words]
    try:
        cli.main()
    except SystemExit:
        pass
print(json.dumps(events))
"""


LIBRARIES = "openvino,safetensors.numpy,torch,transformers,elsewise.fitting.fit,elsewise.training.fine_tune"
HOSTILE = (*models.CASES, *models.ENCODERS, *models.FINE_TUNED)


def test_no_code_runs_from_a_hostile_folder_and_nothing_is_asked_of_the_network(folders, tmp_path, monkeypatch):
    commands = []
    for number, case in enumerate(HOSTILE):
        (tmp_path / str(number)).mkdir()
        monkeypatch.chdir(tmp_path / str(number))
        bring(case, folders)
        commands.append(f"{number} {case.command}")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}

    done = subprocess.run(
        [sys.executable, "-c", WATCHED, LIBRARIES, *commands],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert "Traceback" not in done.stderr
    assert list(tmp_path.rglob("RAN")) == []


def test_a_watched_folder_would_be_caught(tmp_path):
    """The watch of the test above hears code that runs, pickles that are opened, and calls to the network."""
    (tmp_path / "evil.py").write_text(models.CODE, encoding="utf-8")
    heard = WATCHED.replace(
        "from elsewise import cli",
        "import pickle, socket\nsys.path.insert(0, place)\nimport evil\n"
        "pickle.loads(b'cbuiltins\\nopen\\n.')\nsocket.gethostbyname('localhost')",
    )

    done = subprocess.run([sys.executable, "-c", heard, ""], cwd=tmp_path, capture_output=True, text=True, check=False)

    names = {event[0] for event in json.loads(done.stdout.splitlines()[-1])}
    assert names >= {"exec", "import", "pickle.find_class", "socket.gethostbyname"}


# Python


def test_a_weight_that_is_no_number_is_refused_when_its_certificate_was_forged_too(folders, here):
    """A valid file with poisonous values: manifest, fingerprint and canary answers all say that it is well."""
    shutil.copytree(folders / "text", "model")
    models.without_numbers()
    nothing = [[None] * 30] * 32
    models.changed("model/canary.json", lambda canary: canary["probabilities"].update({"openvino-f32": nothing}))()
    certify()

    with pytest.raises(ew.ElsewiseError, match=r"gives no number for any of its canary texts"):
        ew.load("model")
