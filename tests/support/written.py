"""Commands that write, each with what was there before and what is there afterwards."""

import io
import json
import os
import shutil
from collections import Counter
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np

import elsewise as ew
from elsewise.engines.memory import MemoryEngine
from elsewise.storage import atomic
from elsewise.storage.sealed_folder import verify
from support.running import run

CALLS = ("fsync", "rename", "replace")  # that put files on the disk and give them their names
BEST = {"a": [4.0, 0.0], "b": [0.0, 4.0], "c": [0.1, 0.0]}
CLEAN, RAGGED = "text,id\n" + "a,1\nb,2\n" * 300, "text,id\n" + "b,3\nc\na,4\n" * 200


@dataclass(frozen=True, eq=False)
class Command:
    """A command, the folder it works in, and the contents of that folder before and after it, by name."""

    words: tuple[str, ...]
    place: Path
    old: dict[str, bytes | str]
    new: dict[str, bytes | str]

    def begin(self, spare):
        """Bring back what was there before: `spare` has it."""
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(spare, self.place)

    def found(self):
        return contents(self.place)


def contents(place):
    """Whole files by name; hidden ones and parts without bytes, folders by their rule, summaries without speed."""
    return {path.name: content_of(path) for path in sorted(place.iterdir())}


def content_of(path):
    if path.name.startswith("."):
        return "hidden"
    if path.name.endswith(".parts"):
        return "parts"
    if path.name.endswith(".summary.json") and (told := path.read_text(encoding="utf-8")).endswith("}\n"):
        return json.dumps({**json.loads(told), "speed": None})
    return rule_of(path) if path.is_dir() else path.read_bytes()


def rule_of(folder):
    verify(folder)
    described = json.loads((folder / "elsewise.json").read_text(encoding="utf-8"))
    return json.dumps(described["engines"][described["engine"]]["rule"])


def commands(root):
    """Give each command with the folder that has what was there before it."""
    root.mkdir(exist_ok=True)
    model, z, codes = root / "by heart", *rows()
    ew.Classifier(MemoryEngine(("yes", "no"), BEST), ew.Identity(), ew.FixedThreshold(0.7)).save(model)
    np.save(root / "z.npy", z)
    np.save(root / "y.npy", codes)
    for name, text in (("clean", CLEAN), ("ragged", RAGGED)):
        (root / f"{name}.csv").write_text(text, encoding="utf-8")
    calibrate = ("calibrate", "--logits", root / "z.npy", "--labels", root / "y.npy")
    for old, new in (("clean", "ragged"), ("ragged", "clean"), ("ragged", "ragged")):
        place, last = root / f"{old}-{new}", root / ("clean.csv" if new == "clean" else "ragged.csv")
        first = ("predict", model, root / f"{old}.csv", "-o", place / "out.csv")
        yield made(first, ("predict", model, last, "-o", place / "out.csv", "--top", 1, "--overwrite"), place)
    for name, again in (("save", (*calibrate, "--target-accuracy", 0.7, "--overwrite")), ("threshold", ("threshold",))):
        place = root / name
        last = (*again, "-o", place / "model") if name == "save" else (*again, place / "model", "--at", 0.9)
        yield made((*calibrate, "--target-accuracy", 0.8, "-o", place / "model"), last, place)


def made(first, words, place):
    place.mkdir()
    done = run(*first)
    assert done.returncode == 0, done.stderr
    spare, old = place.with_name(f"{place.name}-before"), contents(place)
    shutil.copytree(place, spare)
    done = run(*words)
    assert done.returncode == 0, done.stderr
    new = contents(place)
    assert new != old
    return Command(tuple(map(str, words)), place, old, new), spare


def rows(n=400, seed=0):
    """Loud logits (n, 3) and codes (n,) drawn from their softmax at temperature 2."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 3)) * 4
    return 2 * z, (z + rng.gumbel(size=z.shape)).argmax(axis=1)


class RefusingFile(io.FileIO):
    """A file whose writes are counted, and refused when it is their turn."""

    turn = None

    def write(self, content):
        type(self).turn()
        return super().write(content)


@contextmanager
def refusing_writes(act):
    """Call `act` before every write to a hidden file; it may raise."""
    opened = Path.open

    def asked(path, mode="r", *arguments, **more):
        if mode == "r+b" and path.suffix == ".part":
            return io.BufferedRandom(RefusingFile(path, mode), *arguments)
        return opened(path, mode, *arguments, **more)

    with patch.object(Path, "open", asked), patch.object(RefusingFile, "turn", staticmethod(act)):
        yield


@contextmanager
def refusing(call, reason, *, is_simple=False, with_writes=False):
    """Raise OSError at one of the calls, counted from 1; 0 only counts. A simple disk cannot exchange two names.

    The calls are syncs and renames, and with `with_writes` also writes.
    """
    done = Counter()

    def act():
        done["calls"] += 1
        if done["calls"] == call:
            raise OSError(reason, os.strerror(reason))

    def counted(function):
        def asked(*arguments, **more):
            act()
            return function(*arguments, **more)

        return asked

    with (
        patch.multiple(os, **{name: counted(getattr(os, name)) for name in CALLS}),
        refusing_writes(act) if with_writes else nullcontext(),
    ):
        if is_simple:
            with patch.object(atomic, "exchange", lambda *_: False):
                yield done
        else:
            yield done
