"""Model folders on a hub: what is pushed is what is loaded, and customer texts stay behind."""

import shutil

import numpy as np
import pytest

import elsewise as ew
from elsewise.classifier.hub import push
from elsewise.engines.files import ModelFiles
from elsewise.engines.memory import MemoryEngine
from elsewise.errors import ArtifactError, InputError
from support.running import run
from support.serving import by_heart
from support.workshop import linked

pytest.importorskip("huggingface_hub")
from support.hub import small_hub

TEXTS = ["where is my parcel", "send it back", ""]


@pytest.fixture
def heart(tmp_path):
    """A folder that knows four texts."""
    by_heart().save(tmp_path / "by heart")
    return tmp_path / "by heart"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with small_hub(monkeypatch, tmp_path / "cache") as running:
        yield running


def test_a_pushed_folder_answers_as_before(hub, heart):
    address = push(heart, "me/model")
    again, before = ew.load(address), ew.load(heart)

    assert address == "hf://me/model"
    assert np.array_equal(again.probabilities(TEXTS), before.probabilities(TEXTS), equal_nan=True)
    assert again.decide(TEXTS).labels == before.decide(TEXTS).labels
    assert again.certificate == before.certificate
    assert hub.repositories["me/model"].private is True
    assert "Bearer a-token" in hub.tokens


def test_only_files_of_the_folder_are_fetched(hub, heart):
    push(heart, "me/model")
    hub.repositories["me/model"].files |= {"pickle.bin": b"no", "more/notes.txt": b"hello"}

    assert ew.load("hf://me/model").labels
    fetched = {path.rsplit("/", 1)[-1] for method, path in hub.asked if method == "GET" and "/resolve/" in path}
    assert "pickle.bin" not in fetched
    assert "notes.txt" not in fetched


def test_a_file_that_was_changed_on_the_hub_is_refused(hub, heart):
    push(heart, "me/model")
    hub.repositories["me/model"].files["memory.json"] += b" "

    with pytest.raises(ArtifactError, match=r"memory\.json was changed since it was written"):
        ew.load("hf://me/model")


def test_a_repository_that_is_no_model_folder_is_refused(hub, heart):
    push(heart, "me/model")
    hub.repositories["me/model"].files.pop("elsewise.json")

    with pytest.raises(ArtifactError, match=r"^hf://me/model is not a model folder: .*: elsewise push MODEL me/model$"):
        ew.load("hf://me/model")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (
            "hf://me/nothing",
            r"^hf://me/nothing cannot be fetched: there is no such repository, .*; log in with",
        ),
        ("hf://me/model@other", r"^hf://me/model cannot be fetched: there is no such revision$"),
        ("hf://model", r"^a repository is written OWNER/NAME, got 'model'$"),
        ("hf://me/model/more", r"^a repository is written OWNER/NAME, got 'me/model/more'$"),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(hub, heart, address, words):
    push(heart, "me/model")

    with pytest.raises(InputError, match=words):
        ew.load(address)


def test_a_hub_that_refuses_says_how_to_log_in(hub, heart):
    hub.refusal = 401

    with pytest.raises(InputError, match=r"^me/model cannot be pushed: .*; log in with: hf auth login$"):
        push(heart, "me/model")


def test_nobody_is_asked_offline(hub, heart, monkeypatch):
    from huggingface_hub import constants

    push(heart, "me/model")
    before = ew.load("hf://me/model").decide(TEXTS).labels
    asked = len(hub.asked)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    assert ew.load("hf://me/model").decide(TEXTS).labels == before
    with pytest.raises(InputError, match=r"cannot be pushed: HF_HUB_OFFLINE is set; leave it out once$"):
        push(heart, "me/model")
    with pytest.raises(InputError, match=r"it is not in the cache, and the hub cannot be reached$"):
        ew.load("hf://me/other")
    assert len(hub.asked) == asked


def test_a_folder_that_was_changed_is_not_pushed(hub, heart, tmp_path):
    folder = linked(heart, tmp_path / "model")
    (folder / "README.md").unlink()
    (folder / "README.md").write_text("mine", encoding="utf-8")

    with pytest.raises(ArtifactError, match=r"README\.md was changed since it was written"):
        push(folder, "me/model")
    assert hub.asked == []


def test_commands_push_and_predict(hub, heart, tmp_path):
    (tmp_path / "new.csv").write_text("text\nwhere is my parcel\n", encoding="utf-8")
    shutil.copytree(heart, tmp_path / "model")

    pushed = run("push", "model", "me/model", "--json", folder=tmp_path)
    plain = run("push", "model", "me/model", folder=tmp_path)
    answered = run("predict", "hf://me/model", "new.csv", "-o", "out.csv", folder=tmp_path)

    assert pushed.returncode == plain.returncode == 0, pushed.stderr
    assert '"address": "hf://me/model"' in pushed.stdout
    assert plain.stdout == "hf://me/model\n"
    assert "stay here: they hold your texts" in plain.stderr
    assert answered.returncode == 0, answered.stderr
    assert len((tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()) == 2


@pytest.fixture
def whole(heart, tmp_path):
    """A folder with rows to certify again, and with a baseline."""
    known = {f"text {i}": [0.0, 3.0] if (i + (i % 40 == 9)) % 2 else [3.0, 0.0] for i in range(900)}
    engine = MemoryEngine(("even", "odd"), known)
    made = ew.fit(list(known), [("even", "odd")[i % 2] for i in range(900)], engine=engine)
    made.with_provenance(baseline=ModelFiles.of(heart)).save(tmp_path / "whole")
    return tmp_path / "whole"


def test_what_holds_texts_stays_behind_unless_it_is_asked_for(hub, whole):
    push(whole, "me/model")
    push(whole, "me/whole", refit_rows=True, private=False)

    less, more = (hub.repositories[name] for name in ("me/model", "me/whole"))
    missing = more.files.keys() - less.files.keys()
    assert "refit.safetensors" in missing
    assert "baseline/memory.json" in missing
    assert missing == {name for name in more.files if name.startswith(("refit.", "baseline/"))}
    assert b"refit.safetensors" not in less.files["README.md"]
    assert more.private is False
    again = ew.load("hf://me/model")
    assert again.certificate == ew.load(whole).certificate
    assert not any(name.startswith("refit.") for name in again.provenance.arrays)
    assert (whole / "refit.safetensors").is_file()


def test_a_push_leaves_no_other_file_there(hub, whole):
    push(whole, "me/model", refit_rows=True)
    hub.repositories["me/model"].files["old/weights.bin"] = b"old"
    push(whole, "me/model")

    files = hub.repositories["me/model"].files
    assert ".gitattributes" in files
    assert not {"old/weights.bin", "refit.safetensors", "baseline/memory.json"} & files.keys()
    assert ew.load("hf://me/model@main").labels == ("even", "odd")
