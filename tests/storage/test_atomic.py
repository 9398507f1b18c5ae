"""What is asked of a disk: folders that change places in one step, leftovers, holds, and words when it is full."""

import errno
import os
import subprocess
import sys

import pytest
from safetensors import SafetensorError

from elsewise.errors import InputError
from elsewise.storage import atomic, sealed_folder
from elsewise.storage.atomic import Lock, exchange, old_of, put_in_place, refusal, restore, work_folder
from elsewise.storage.json_files import write_json
from elsewise.storage.sealed_folder import verify, writing
from elsewise.storage.target_file import open_target


def folder_of(path, word):
    path.mkdir()
    (path / "word").write_text(word)
    return path


def word_of(path):
    return (path / "word").read_text()


@pytest.mark.skipif(os.name != "posix", reason="no folder can be synced elsewhere")
def test_a_folder_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    synced, sync, waiting = set(), os.fsync, []

    def placed(work, path):
        waiting.extend(file.name for file in (work, *work.iterdir()) if file.stat().st_ino not in synced)
        put_in_place(work, path)

    monkeypatch.setattr(os, "fsync", lambda opened: [synced.add(os.fstat(opened).st_ino), sync(opened)])
    monkeypatch.setattr(sealed_folder, "put_in_place", placed)

    with writing(tmp_path / "model") as work:
        (work / "word").write_text("new")

    assert waiting == []
    assert (tmp_path / "model").stat().st_ino in synced
    assert tmp_path.stat().st_ino in synced  # and its name


def test_an_output_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    path, sync, synced = tmp_path / "answers.csv", os.fsync, []
    path.write_text("old")

    def noted(opened):
        synced.append((os.fstat(opened).st_ino, os.fstat(opened).st_size, path.read_text()))
        sync(opened)

    monkeypatch.setattr(os, "fsync", noted)

    with open_target(path) as file:
        file.write(b"new rows")

    assert path.read_text() == "new rows"
    assert synced == [(path.stat().st_ino, 8, "old")]


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="no system call exchanges two names elsewhere")
def test_two_folders_change_places_in_one_step(tmp_path):
    new, old = folder_of(tmp_path / "new", "new"), folder_of(tmp_path / "old", "old")

    assert exchange(new, old)

    assert (word_of(new), word_of(old)) == ("old", "new")


def test_without_such_a_step_the_old_folder_waits_and_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "exchange", lambda *_: False)
    new, path = folder_of(tmp_path / "new", "new"), folder_of(tmp_path / "model", "old")

    put_in_place(new, path)

    assert word_of(path) == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_a_replacement_that_was_cut_short_is_undone(tmp_path):
    path = tmp_path / "model"
    folder_of(old_of(path), "old")

    restore(path)

    assert word_of(path) == "old"


def test_what_was_to_be_removed_does_not_replace_the_new_folder(tmp_path):
    path = folder_of(tmp_path / "model", "new")
    folder_of(old_of(path), "old")

    restore(path)

    assert word_of(path) == "new"
    assert not old_of(path).exists()


def test_leftovers_of_a_killed_run_go_and_those_of_a_running_one_stay(tmp_path):
    dead, alive = (folder_of(tmp_path / f".model.elsewise-writing-{name}", name) for name in ("dead", "alive"))
    mine = folder_of(tmp_path / ".model.backup", "mine")
    hold = Lock(alive)

    with work_folder(tmp_path / "model") as work:
        assert work.is_dir()

    assert [dead.exists(), alive.exists(), mine.exists(), work.exists()] == [False, True, True, False]
    del hold


def test_without_locks_nothing_is_taken_for_a_leftover(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "fcntl", None)
    perhaps_alive = folder_of(tmp_path / ".model.elsewise-writing-alive", "alive")

    with work_folder(tmp_path / "model"):
        assert perhaps_alive.exists()


def test_leftovers_are_found_by_a_name_with_brackets_too(tmp_path):
    dead = folder_of(tmp_path / ".m[1]*.elsewise-writing-dead", "dead")

    with work_folder(tmp_path / "m[1]*"):
        assert not dead.exists()


def test_a_folder_is_held_until_it_is_let_go(tmp_path):
    hold = Lock(tmp_path)
    with pytest.raises(BlockingIOError):
        Lock(tmp_path)

    del hold

    assert Lock(tmp_path)


def test_a_full_disk_is_told_with_what_is_needed_and_free(tmp_path):
    words = refusal(OSError(errno.ENOSPC, "No space left on device"), tmp_path, 372_000_000)

    assert words.startswith("the disk is full (")
    assert f"MB are free in {tmp_path}, about 372 MB are needed); free some space, and run the same command" in words


def test_safetensors_tells_a_full_disk_in_its_own_words(tmp_path):
    full = SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    other = SafetensorError("Error while serializing: I/O error: Permission denied (os error 13)")

    assert refusal(full, tmp_path).startswith("the disk is full")
    assert refusal(other, tmp_path) == str(other)


def test_a_disk_that_really_refuses_leaves_the_old_folder_and_no_half_of_the_new_one(tmp_path):
    """A limit on the size of files stands for the full disk: writes fail in the system, those of safetensors too."""
    pytest.importorskip("resource")
    with writing(tmp_path / "model") as work:
        write_json(work / "word.json", {"word": "old"})
    script = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from safetensors.numpy import save_file
from elsewise.errors import InputError
from elsewise.storage.sealed_folder import writing
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    with writing(Path(sys.argv[1]), 8_000_000) as work:
        save_file({"a": np.zeros(1_000_000)}, work / "a.safetensors")
except InputError as error:
    print(error)
"""

    command = [sys.executable, "-c", script, str(tmp_path / "model")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert "model cannot be written: the disk is full (" in done.stdout, done.stderr
    assert "about 8 MB are needed" in done.stdout
    assert [file.name for file in tmp_path.iterdir()] == ["model"]
    assert list(verify(tmp_path / "model")) == ["word.json"]


def test_what_is_no_model_folder_is_still_refused_and_nothing_is_left(tmp_path):
    folder_of(tmp_path / "mine", "mine")

    with pytest.raises(InputError, match="exists and is not a model folder"), writing(tmp_path / "mine"):
        pass

    assert os.listdir(tmp_path) == ["mine"]  # noqa: PTH208
