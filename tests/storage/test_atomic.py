"""What is asked of a disk: folders that change places in one step, leftovers, holds, and words when it is full."""

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from safetensors import SafetensorError

from elsewise.errors import ArtifactError, InputError
from elsewise.storage import atomic, sealed_folder
from elsewise.storage.atomic import (
    Lock,
    exchange,
    lock_in_place,
    old_of,
    put_in_place,
    refusal,
    restore,
    work_folder,
)
from elsewise.storage.json_files import read_json, write_json
from elsewise.storage.sealed_folder import changing, manifest_hash, steady, verify, writing
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
    assert synced[0] == (path.stat().st_ino, 8, "old")
    assert [(inode, content) for inode, _, content in synced[1:]] == [(tmp_path.stat().st_ino, "new rows")]


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


def sealed(path, word):
    with writing(path) as work:
        write_json(work / "word.json", {"word": word})
    return path


def word_in(path):
    return read_json(path / "word.json")["word"]


def test_a_folder_that_is_replaced_while_it_is_read_is_read_again(tmp_path):
    path, words = sealed(tmp_path / "model", "old"), []

    def read(place):
        words.append(word_in(place))
        if len(words) < 3:
            sealed(path, f"new {len(words)}")
        return words[-1]

    assert steady(path, read) == "new 2"
    assert words == ["old", "new 1", "new 2"]


def test_a_file_that_is_written_while_its_folder_is_read_is_noticed(tmp_path):
    path, tries = sealed(tmp_path / "model", "old"), []

    def read(place):
        tries.append(place)
        if len(tries) == 1:
            (path / "word.json").write_text("changed")
        return (path / "word.json").read_text()

    assert steady(path, read) == "changed"
    assert len(tries) == 2


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="no system call exchanges two names elsewhere")
def test_a_folder_that_comes_back_meanwhile_is_noticed(tmp_path):
    """Every file is the one it was, and in between there was another one under its name."""
    one, other, words = sealed(tmp_path / "one", "one"), sealed(tmp_path / "other", "other"), []

    def read(place):
        time.sleep(0.05)  # the clock of a disk is coarse
        is_first = not words
        if is_first:
            exchange(one, other)
        words.append(word_in(place))
        if is_first:
            exchange(one, other)
        return words[-1]

    assert steady(one, read) == "one"
    assert words == ["other", "one"]


def test_a_link_is_followed_once(tmp_path):
    for name in ("one", "other"):
        sealed(tmp_path / name, name)
    link, places = tmp_path / "link", []
    link.symlink_to(tmp_path / "one")

    def read(place):
        places.append(place)
        link.unlink()
        link.symlink_to(tmp_path / "other")
        return word_in(place)

    assert steady(link, read) == "one"
    assert places == [tmp_path / "one"]


@pytest.mark.parametrize("name", ["model", "nothing"])
def test_what_stays_is_refused_at_once_and_named_as_it_was_given(tmp_path, monkeypatch, name):
    sealed(tmp_path / "model", "old")
    monkeypatch.chdir(tmp_path)
    tries = []

    def read(place):
        tries.append(place)
        raise ArtifactError(f"{place} is damaged")

    with pytest.raises(ArtifactError, match=f"^{name} is damaged$"):
        steady(Path(name), read)

    assert tries == [Path(name)]


def test_a_folder_that_never_stays_is_refused_in_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(sealed_folder, "READING", 0.05)
    path = sealed(tmp_path / "model", "old")

    with pytest.raises(ArtifactError, match="model was changed each time while it was read; wait for what changes it"):
        steady(path, lambda _: sealed(path, "new"))


def test_between_two_renames_a_folder_is_waited_for(tmp_path):
    path = sealed(tmp_path / "model", "old")
    path.rename(old_of(path))

    def read(place):
        if not place.exists():
            old_of(place).rename(place)
            raise ArtifactError("nothing is there")
        return word_in(place)

    assert steady(path, read) == "old"


def is_locked(path):
    try:
        return not Lock(path)
    except BlockingIOError:
        return True


def test_a_change_waits_for_the_change_before_it(tmp_path):
    """The lock is of the folder that has the name: when that was replaced, of the new one."""
    path, order = sealed(tmp_path / "model", "old"), []

    def change():
        with changing(path):
            order.extend([word_in(path), is_locked(path)])

    waiting = threading.Thread(target=change)
    with changing(path):
        waiting.start()
        time.sleep(0.1)
        order.append("first")
        sealed(path, "new")
    waiting.join()

    assert order == ["first", "new", True]
    assert not is_locked(path)


def test_a_folder_that_is_replaced_just_before_it_is_locked_is_not_what_is_locked(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    path, new = folder_of(tmp_path / "model", "old"), [folder_of(tmp_path / "new", "new")]
    lock = fcntl.flock

    def replaced_first(descriptor, how):
        if new:
            put_in_place(new.pop(), path)
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", replaced_first)

    assert lock_in_place(path, seconds=1).is_of(path)


def test_a_change_that_lasts_is_not_waited_for_without_end(tmp_path, monkeypatch):
    path = sealed(tmp_path / "model", "old")
    monkeypatch.setattr(sealed_folder, "PATIENCE", 0.05)
    lock = Lock(path)

    with pytest.raises(InputError, match="model is being changed by another program; run the command again when"):
        sealed(path, "new")

    del lock
    assert word_in(path) == "old"


def test_without_locks_a_change_meanwhile_is_noticed_at_the_end(tmp_path, monkeypatch):
    path = sealed(tmp_path / "model", "old")
    seen = {path: manifest_hash(path)}
    monkeypatch.setattr(atomic, "fcntl", None)
    words = "model was changed meanwhile, and that change would be lost; run the command again"

    def replace_it_while_another_does():
        with writing(path, seen=seen) as work:
            write_json(work / "word.json", {"word": "mine"})
            other = threading.Thread(target=sealed, args=(path, "theirs"))
            other.start()
            other.join()

    with pytest.raises(InputError, match=words):
        replace_it_while_another_does()

    assert word_in(path) == "theirs"
