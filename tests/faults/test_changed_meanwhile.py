"""A folder that is replaced while it is read, and changed by many at once: no mixture is loaded, no change is lost."""

import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

import elsewise as ew
from elsewise.classifier.model_folder import ModelFolder
from elsewise.errors import ElsewiseError
from elsewise.fitting.calibrate import calibrate

loads_each = pytest.mark.parametrize("loads", [30, pytest.param(1000, marks=pytest.mark.faults)])
changes_each = pytest.mark.parametrize("changes", [8, pytest.param(200, marks=pytest.mark.faults)])

REPLACE = """
import os, sys, time
from pathlib import Path
import elsewise as ew
from elsewise.storage.atomic import exchange
place, way = Path(sys.argv[1]), sys.argv[2]
a, b, old, link, new = (place / name for name in ("a", "b", ".a.elsewise-old", "link", "new-link"))
two = [ew.load(path) for path in (a, b)]
number = 0
while True:
    number += 1
    if way == "saved":  # by this library
        two[number % 2].with_provenance(seen={}).save(a)
    if way == "exchanged":  # in one step
        assert exchange(a, b)
    if way == "in_two_steps":  # as `put_in_place` does where the system cannot exchange two names
        a.rename(old), b.rename(a), old.rename(b)
    if way == "link_switched":  # as a deployment does it
        new.symlink_to((a, b)[number % 2])
        os.replace(new, link)
    print("replaced", flush=True)
    time.sleep(0.02)
"""
LOOP = """
import json, sys
from elsewise.errors import InputError
from elsewise.fitting import open_threshold
path, changes, loop = sys.argv[1], int(sys.argv[2]), sys.argv[3]
said = []
for number in range(changes):
    note = f"{loop}-{number}"
    try:
        opened = open_threshold(path)
        opened.undo(note=note) if loop == "0" else opened.change("certified", target_accuracy=0.8, note=note)
        said.append((note, "done"))
    except InputError as error:
        said.append((note, str(error)))
print(json.dumps(said))
"""


def model_of(seed):
    """A classifier of logits; its word for Other, its calibrator and its rows all tell the seed."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(900, 4)) * 4
    codes = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    return calibrate((2 + seed) * z, codes, labels=list("abcd"), other=f"Other {seed}", target_accuracy=0.8)


@pytest.fixture(scope="module")
def two():
    return [model_of(0), model_of(1)]


def parts_of(classifier):
    """What of one model must never stand beside a part of the other: from elsewise.json, and from the arrays."""
    rows = classifier.provenance.arrays["refit.certify.logits"]
    return classifier.other, repr(classifier.calibrator), repr(classifier.rule), rows.tobytes()


@loads_each
@pytest.mark.parametrize("way", ["saved", "exchanged", "in_two_steps", "link_switched"])
def test_what_is_loaded_while_it_is_replaced_is_one_model(two, tmp_path, way, loads):
    for name, classifier in zip("ab", two, strict=True):
        classifier.save(tmp_path / name)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    whole = {parts_of(ew.load(tmp_path / name)): name for name in "ab"}
    path, found = tmp_path / ("link" if way == "link_switched" else "a"), Counter()
    worker = subprocess.Popen([sys.executable, "-c", REPLACE, str(tmp_path), way], stdout=subprocess.PIPE)
    assert worker.stdout.readline() == b"replaced\n"
    try:
        for _ in range(loads):
            try:
                found[whole.get(parts_of(ew.load(path)), "mixed")] += 1
            except (ElsewiseError, OSError) as error:
                found[f"refused: {error}"] += 1
    finally:
        worker.kill()
        times = worker.communicate()[0].count(b"replaced") + 1

    print(f"{way}: {loads} loads, replaced {times} times: {dict(found)}")  # noqa: T201  seen with -s
    assert set(found) <= {"a", "b"}, found


@changes_each
def test_no_change_that_was_done_is_lost_when_many_change_a_folder(two, tmp_path, changes):
    """Four processes at once: what is told done stands in the history, and each certification counts as a look."""
    path = tmp_path / "model"
    two[0].save(path)
    words = [sys.executable, "-c", LOOP, str(path), str(changes // 4)]
    loops = [subprocess.Popen([*words, str(n)], stdout=subprocess.PIPE) for n in range(4)]
    said = dict(one for loop in loops for one in json.loads(loop.communicate()[0]))

    folder = ModelFolder.read(path)
    done = {note for note, words in said.items() if words == "done"}
    refused = Counter(words.split(";")[0].replace(str(path), "model") for words in said.values() if words != "done")
    certified = [entry for entry in folder.history if entry["what"] == "changed"]
    print(f"{len(said)} changes: {len(done)} done, {len(folder.history)} kept, {dict(refused)}")  # noqa: T201  -s
    assert [entry["note"] for entry in folder.history if entry["note"] not in done] == []
    assert len(folder.history) == len(done)
    assert done
    assert folder.looks == 1 + len(certified)
    assert sorted(entry["certificate"]["looks"] for entry in certified) == list(range(2, 2 + len(certified)))
    assert set(refused) <= {
        "model was changed meanwhile, and that change would be lost",
        "model: there is no change of the threshold of logits to undo",
    }
    assert [file.name for file in tmp_path.iterdir()] == ["model"]
