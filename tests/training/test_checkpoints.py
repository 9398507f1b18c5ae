"""Training goes on from its checkpoints: bit for bit, and never from a foreign, damaged or half-written one."""

import json
import multiprocessing
import os
import shutil
import signal
import sys
import time

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from elsewise.errors import ArtifactError, ElsewiseWarning, InputError
from elsewise.training import checkpoints as keeping
from elsewise.training.checkpoint_folder import Unfinished, remove, what_is_kept
from support import small_training
from support.small_training import EPOCHS, STEPS


class StopError(Exception):
    pass


def trained(path=None, stop=None, note=None, seen=None, **changes):
    """Train a small model; `stop` ends it as an interrupt would, after so many steps."""

    def progress(words, done, steps):
        if seen is not None:
            seen.append(done)
        if stop is not None and done >= stop:
            raise StopError

    return small_training.trained(path, progress, note, **changes)


def at_every_step(patch):
    """Write a checkpoint at every step, and report every one."""
    patch.setattr(keeping, "EVERY", 0)
    patch.setattr(keeping, "COST", 1e9)
    patch.setattr("elsewise.training.trainer.SHOWN_EVERY", 0)


@pytest.fixture(autouse=True)
def every_step(monkeypatch):
    at_every_step(monkeypatch)


@pytest.fixture(scope="module")
def unbroken():
    return trained()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The folder of a training that was stopped within its second epoch."""
    path = tmp_path_factory.mktemp("stopped") / "member-0"
    with pytest.MonkeyPatch.context() as patch:
        at_every_step(patch)
        with pytest.raises(StopError):
            trained(path, stop=7)
    return path


@pytest.fixture
def stopped(checkpoint, tmp_path):
    return shutil.copytree(checkpoint, tmp_path / "member-0")


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("stop", [1, STEPS - 1, STEPS, STEPS + 1, EPOCHS * STEPS - 1])
def test_a_training_that_was_stopped_ends_with_the_weights_of_an_unbroken_one(unbroken, tmp_path, stop):
    with pytest.raises(StopError):
        trained(tmp_path / "member-0", stop)

    assert same(trained(tmp_path / "member-0"), unbroken)


def test_stopped_again_and_again_it_still_does(unbroken, tmp_path):
    for stop in (2, 4, 8, 13):
        with pytest.raises(StopError):
            trained(tmp_path / "member-0", stop)

    assert same(trained(tmp_path / "member-0"), unbroken)


def test_it_does_without_tune_rows_too(tmp_path):
    whole = trained(tune=0)
    with pytest.raises(StopError):
        trained(tmp_path / "member-0", STEPS + 2, tune=0)

    assert same(trained(tmp_path / "member-0", tune=0), whole)


def test_early_stopping_counts_the_epochs_before_the_stop(tmp_path):
    """At a rate that spoils the weights, patience 2 ends long before the last epoch: at the same step both times."""
    how = {"epochs": 9, "learning_rate": 0.3, "patience": 2}
    straight, resumed = [], []
    whole = trained(**how, seen=straight)
    with pytest.raises(StopError):
        trained(tmp_path / "member-0", max(straight) - 2, **how)

    assert same(trained(tmp_path / "member-0", **how, seen=resumed), whole)
    assert max(resumed) == max(straight) < 9 * STEPS


def test_writing_checkpoints_changes_nothing(unbroken, tmp_path):
    assert same(trained(tmp_path / "member-0"), unbroken)


def test_telling_how_long_it_may_take_changes_nothing(unbroken):
    assert same(trained(note=lambda _: None), unbroken)


def test_only_the_last_checkpoint_stays_and_then_only_the_trained_weights(stopped):
    assert [path.name for path in stopped.iterdir()] == ["step-00000007"]
    assert what_is_kept(stopped.parent).startswith("step 7 of ")

    trained(stopped)

    (last,) = stopped.iterdir()
    assert what_is_kept(stopped.parent) == "the trained weights"
    assert sorted(path.name for path in last.iterdir()) == ["checkpoint.json", "manifest.json", "model.safetensors"]


def test_what_is_trained_is_not_trained_again(unbroken, stopped):
    trained(stopped)

    weights = trained(stopped, stop=0)

    assert same(weights, unbroken)


def test_it_is_said_from_where_it_continues_and_how_long_which_changes_nothing(unbroken, stopped):
    said = []

    weights = trained(stopped, note=said.append)

    assert same(weights, unbroken)
    assert said[0].startswith(f"training continues from step 7 of 15 ({stopped / 'step-00000007'}, of ")
    assert ": 3 epochs of 5 steps, 8 of them left, on " in said[1]


def test_nothing_in_a_checkpoint_is_a_pickle(stopped):
    files = sorted(path.name for path in (stopped / "step-00000007").iterdir())

    assert files == [
        "best.safetensors",
        "checkpoint.json",
        "manifest.json",
        "model.safetensors",
        "optimizer.safetensors",
        "trainer_state.json",
    ]


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "best.safetensors", "checkpoint.json"])
def test_one_flipped_bit_is_refused_with_the_file_and_the_remedy(stopped, name):
    file = stopped / "step-00000007" / name
    bytes_ = bytearray(file.read_bytes())
    bytes_[len(bytes_) // 2] ^= 1
    file.write_bytes(bytes_)

    with pytest.raises(ArtifactError, match=rf"{name} was changed .*start afresh with restart=True"):
        trained(stopped)


class Malicious:
    """What runs a command when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


@pytest.mark.parametrize(
    "name", ["optimizer.pt", "scheduler.pt", "rng_state.pth", "pytorch_model.bin", "training_args.bin"]
)
@pytest.mark.parametrize("forged", [False, True], ids=["planted", "in the manifest"])
def test_a_planted_pickle_is_refused_and_not_executed(stopped, tmp_path, name, forged):
    from elsewise.storage.sealed_folder import write_manifest

    step, marker = stopped / "step-00000007", tmp_path / "executed"
    torch.save(Malicious(marker), step / name)
    if forged:
        (step / "manifest.json").unlink()
        write_manifest(step)

    with pytest.raises(ArtifactError, match=r"(nothing of it was|was not) read.*restart=True"):
        trained(stopped)

    assert not marker.exists()


def test_a_checkpoint_of_another_tool_is_refused(tmp_path):
    (tmp_path / "member-0" / "checkpoint-340").mkdir(parents=True)

    with pytest.raises(ArtifactError, match="checkpoint-340 was not written by elsewise; remove it, or start afresh"):
        trained(tmp_path / "member-0")


def test_a_checkpoint_without_its_manifest_is_refused(stopped):
    (stopped / "step-00000007" / "manifest.json").unlink()

    with pytest.raises(ArtifactError, match=r"has no manifest.json; nothing of it was read: start afresh"):
        trained(stopped)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"max_length": 32}, r"other settings \(max length 256, now 32\)"),
        ({"epochs": 5}, r"other settings \(epochs 3, now 5\)"),
        ({"learning_rate": 2e-3}, r"other settings \(learning rate 0.001, now 0.002\)"),
        ({"class_weights": "balanced"}, r"other settings \(class weights None, now balanced\)"),
    ],
)
def test_other_settings_are_refused_and_named(stopped, change, words):
    with pytest.raises(InputError, match=f"used {words}; continue it with the same command, or start afresh"):
        trained(stopped, **change)


def test_other_rows_are_refused(stopped):
    with pytest.raises(InputError, match="used other rows; continue it"):
        trained(stopped, tune=41)


def test_what_a_kill_left_half_written_is_never_taken_and_goes(unbroken, stopped):
    half = stopped / ".step-00000008.elsewise-writing-abc"
    shutil.copytree(stopped / "step-00000007", half)
    (half / "model.safetensors").write_bytes(b"half")

    assert same(trained(stopped), unbroken)
    assert not half.exists()


def test_a_full_disk_is_a_warning_and_the_checkpoint_before_stays(unbroken, stopped, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keeping, "_save", full)
    before = sorted(path.name for path in stopped.iterdir())

    with pytest.warns(ElsewiseWarning) as said:
        weights = trained(stopped)

    assert same(weights, unbroken)
    assert sorted(path.name for path in stopped.iterdir()) == before
    words = str(said[0].message)
    assert words.startswith("no checkpoint at step 8: ")
    assert "the disk is full (" in words
    assert "training continues, and the last checkpoint is kept" in words


def test_too_little_space_is_said_before_training(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1))

    with pytest.raises(InputError, match=r"training needs about \d+ MB .* and 0 MB are free; free some space"):
        trained(tmp_path / "member-0", stop=0)


def test_checkpoints_cost_at_most_a_small_share_of_the_time(tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "COST", 1e-9)  # the first shows what one costs

    with pytest.raises(StopError):
        trained(tmp_path / "member-0", stop=EPOCHS * STEPS - 1)

    assert [path.name for path in (tmp_path / "member-0").iterdir()] == ["step-00000001"]


def test_two_runs_do_not_train_in_one_folder(tmp_path):
    first = Unfinished.open(tmp_path / "model.unfinished")
    assert first.path.stat().st_mode & 0o777 == 0o700  # the model may be private

    with pytest.raises(InputError, match=r"model.unfinished is in use by another training"):
        Unfinished.open(tmp_path / "model.unfinished")

    assert first


def test_a_folder_of_something_else_is_never_trained_in_nor_cleared(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(
        InputError, match=r"also holds notes\.txt, and is not an unfinished training; choose another name"
    ):
        Unfinished.open(tmp_path, restart=True)

    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_restart_clears_a_damaged_training(stopped):
    (stopped / "step-00000007" / "model.safetensors").write_bytes(b"damaged")

    Unfinished.open(stopped.parent, restart=True)

    assert not stopped.exists()


def test_removing_leaves_what_is_not_ours(stopped):
    (stopped.parent / "notes.txt").write_text("mine")

    remove(stopped.parent)

    assert [path.name for path in stopped.parent.iterdir()] == ["notes.txt"]


def test_settings_can_be_read_as_json(stopped):
    settings = json.loads((stopped / "step-00000007" / "checkpoint.json").read_text())["settings"]

    assert (settings["epochs"], settings["seed"], settings["precision"]) == (3, 0, "f32")


@pytest.fixture(scope="module")
def processes():
    """Processes that have the libraries already when they begin."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        pytest.skip("needs processes that fork")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "transformers", "elsewise.training.fine_tune", "support.small_training"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        begun = context.Process(target=time.sleep, args=(0,))
        begun.start()  # the libraries are opened once
    begun.join()
    return context


@pytest.fixture(scope="module")
def whole(processes, tmp_path_factory):
    """What an unbroken training in a process makes, and how many seconds one takes."""
    folder, began = tmp_path_factory.mktemp("whole") / "member-0", time.monotonic()
    run(processes, folder)
    seconds = time.monotonic() - began
    (made,) = folder.iterdir()
    return (made / "model.safetensors").read_bytes(), seconds


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_killed_at_any_moment_it_goes_on(processes, whole, tmp_path, share):
    """kill -9, which nothing can catch, at moments spread over the run; then the same training, to its end."""
    weights, seconds = whole

    killed = run(processes, tmp_path / "member-0", share * seconds)
    ended = run(processes, tmp_path / "member-0")

    assert killed in (-signal.SIGKILL, 0)
    assert ended == 0
    (made,) = (tmp_path / "member-0").iterdir()
    assert (made / "model.safetensors").read_bytes() == weights


def run(processes, path, seconds=None):
    process = processes.Process(target=small_training.train_in_a_process, args=(path,))
    process.start()
    process.join(seconds)
    process.kill()
    process.join()
    return process.exitcode
