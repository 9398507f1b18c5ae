"""Files that appear when they are whole: several together, as private as before, and no leftovers."""

import os
import stat
from pathlib import Path

import pytest

from elsewise.errors import InputError
from elsewise.storage.atomic import Lock
from elsewise.storage.sealed_folder import writing
from elsewise.storage.target_file import open_target, together


def mode_of(path):
    return oct(stat.S_IMODE(path.stat().st_mode))


def put(folder, **texts):
    """Write files together, in this order."""
    with together() as parts:
        for name, text in texts.items():
            with open_target(folder / name, parts=parts) as file:
                file.write(text.encode())


def found(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_files_get_their_names_together(tmp_path):
    with together() as parts:
        with open_target(tmp_path / "a", parts=parts) as file:
            file.write(b"new")
        with open_target(tmp_path / "b", parts=parts):
            assert not (tmp_path / "a").exists()

    assert found(tmp_path) == {"a": "new", "b": ""}


@pytest.mark.parametrize("old", [{"rejects": "old", "out": "old"}, {"out": "old"}, {"rejects": "old"}, {}])
def test_if_one_cannot_get_its_name_none_does(tmp_path, monkeypatch, old):
    put(tmp_path, **old)
    replace = os.replace

    def refusing(source, target):
        if Path(target).name == "out" and Path(source).name.count(".") == 2:  # what is new, not what comes back
            raise OSError(5, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refusing)

    with pytest.raises(InputError, match=r"out cannot be written: input/output error"):
        put(tmp_path, rejects="new", out="new")

    assert found(tmp_path) == old


def test_an_older_output_never_stands_beside_new_rejects(tmp_path, monkeypatch):
    states = []

    def noted(function):
        def act(*names):
            function(*names)
            states.append({path.name: path.read_text() for path in tmp_path.glob("[!.]*")})

        return act

    put(tmp_path, rejects="old", out="old")
    monkeypatch.setattr(os, "rename", noted(os.rename))
    monkeypatch.setattr(os, "replace", noted(os.replace))

    put(tmp_path, rejects="new", out="new")

    assert states == [{"rejects": "old"}, {}, {"rejects": "new"}, {"rejects": "new", "out": "new"}]


def test_a_hidden_file_that_was_removed_takes_the_older_one_with_it(tmp_path):
    put(tmp_path, rejects="old", out="old")

    with together() as parts:
        for name in ("rejects", "out"):
            with open_target(tmp_path / name, parts=parts) as file:
                file.write(b"new")
        parts[0].hidden.unlink()

    assert found(tmp_path) == {"out": "new"}


def test_hidden_files_of_killed_runs_go_and_those_of_running_ones_stay(tmp_path):
    dead, alive, mine = (tmp_path / name for name in (".elsewise-0.part", ".elsewise-1.part", ".notes.part"))
    for path in (dead, alive, mine):
        path.touch()
    lock = Lock(alive)

    put(tmp_path, out="new")

    assert sorted(found(tmp_path)) == [".elsewise-1.part", ".notes.part", "out"]
    del lock


def test_a_hidden_file_is_as_private_as_its_output_before_it_holds_anything(tmp_path):
    out, rejects = tmp_path / "out", tmp_path / "rejects"
    put(tmp_path, out="old")
    out.chmod(0o600)

    with open_target(out), open_target(rejects, like=out):
        assert {mode_of(path) for path in tmp_path.glob(".elsewise-*")} == {"0o600"}

    assert mode_of(out) == mode_of(rejects) == "0o600"


def test_an_output_that_may_only_be_read_is_replaced_and_stays_so(tmp_path):
    put(tmp_path, out="old")
    (tmp_path / "out").chmod(0o440)

    put(tmp_path, out="new")

    assert (found(tmp_path), mode_of(tmp_path / "out")) == ({"out": "new"}, "0o440")


def test_a_private_model_folder_stays_private_and_a_new_one_has_the_usual_permissions(tmp_path):
    def write(path):
        with writing(path) as work:
            (work / "openvino").mkdir()
            (work / "openvino" / "word").write_text("new")

    def modes(path):
        return {mode_of(file) for file in (path, path / "openvino")}, mode_of(path / "openvino" / "word")

    model, usual = tmp_path / "model", os.umask(0o022)
    try:
        write(model)
        assert modes(model) == ({"0o755"}, "0o644")
        for path, mode in ((model, 0o700), (model / "manifest.json", 0o600)):
            path.chmod(mode)
        write(model)
        assert (mode_of(model), mode_of(model / "manifest.json")) == ("0o700", "0o600")
        (model / "openvino" / "word").chmod(0o640)
        write(model)
        assert mode_of(model / "openvino" / "word") == "0o640"
        (tmp_path / "empty").mkdir(mode=0o700)
        write(tmp_path / "empty")
        assert modes(tmp_path / "empty") == ({"0o700"}, "0o600")
    finally:
        os.umask(usual)
