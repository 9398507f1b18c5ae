"""The folder of an unfinished training: checkpoints from which the same command continues.

    MODEL.unfinished/
      member-0/step-00000340/    the last checkpoint of the first model, or its trained weights
      member-1/...               the same for each further model of an ensemble

A checkpoint is written whole or not at all, and read only when every byte is unchanged. It holds safetensors and JSON:
nothing in it can be executed.
"""

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from elsewise.errors import ArtifactError, InputError
from elsewise.storage.atomic import MB, Lock
from elsewise.storage.json_files import Json, read_json
from elsewise.storage.sealed_folder import MANIFEST, verify, writing

WEIGHTS: Final = "model.safetensors"  # this and STATE are the names that the Trainer reads
BEST: Final = "best.safetensors"
OPTIMIZER: Final = "optimizer.safetensors"
STATE: Final = "trainer_state.json"
DESCRIPTION: Final = "checkpoint.json"
FILES: Final = {WEIGHTS, BEST, OPTIMIZER, STATE, DESCRIPTION, MANIFEST}
MEMBER: Final = re.compile(r"member-\d+")
STEP: Final = re.compile(r"step-\d{8}")


@dataclass(frozen=True, slots=True, eq=False)
class Unfinished:
    """A folder of checkpoints, locked for one process as long as `lock` lives."""

    path: Path
    lock: Lock

    @classmethod
    def open(cls, path: str | Path, *, restart: bool = False) -> Self:
        """Create the folder, or open an existing one; `restart` clears it.

        InputError if it holds anything but unfinished training, is in use, or cannot be written.
        """
        path = Path(path)
        foreign = sorted(file.name for file in _listed(path) if not _is_member(file))
        if foreign:
            raise InputError(f"{path} also holds {foreign[0]}, and is not an unfinished training; choose another name")
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            opened = cls(path, Lock(path))
        except BlockingIOError as error:
            raise InputError(f"{path} is in use by another training; wait for it, or choose another name") from error
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
        if restart:
            _clear(path)
        return opened


def remove(path: Path) -> None:
    """Remove the folder of an unfinished training, once its model is saved."""
    _clear(path)
    if path.exists() and not _listed(path):
        path.rmdir()


def _clear(path: Path) -> None:
    for member in _listed(path):
        if _is_member(member):
            shutil.rmtree(member, ignore_errors=True)


def _listed(path: Path) -> list[Path]:
    try:
        return list(path.iterdir()) if path.exists() else []
    except OSError as error:
        raise InputError(f"{path} exists and is not a readable folder; choose another name") from error


def _is_member(path: Path) -> bool:
    return bool(MEMBER.fullmatch(path.name)) and path.is_dir() and not path.is_symlink()


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The checkpoints of one model in the folder `path`: at most the last one, and the next while it is written."""

    path: Path

    def newest(self) -> Path | None:
        """Give the folder of the last checkpoint, unread, or None; ArtifactError if something else is there."""
        there = sorted(file for file in _listed(self.path) if not file.name.startswith("."))
        foreign = [file for file in there if not STEP.fullmatch(file.name)]
        if foreign:
            words = f"{foreign[0]} was not written by elsewise"
            raise ArtifactError(f"{words}; remove it, or start afresh with restart=True")
        return there[-1] if there else None

    def settings(self) -> Json | None:
        """Give the training settings of the last checkpoint; None where there is none."""
        newest = self.newest()
        return None if newest is None else _description(newest).get("settings")

    def checked(self, settings: Json) -> tuple[Path, Json] | None:
        """Give the last checkpoint and its description, every byte verified; None where there is none.

        ArtifactError if it is foreign or damaged, InputError if its settings differ; the message names the file or
        setting.
        """
        newest = self.newest()
        if newest is None:
            return None
        try:
            files = verify(newest)
        except ArtifactError as error:
            what = str(error).partition(";")[0]
            raise ArtifactError(f"{what}; nothing of it was read: start afresh with restart=True") from error
        if set(files) - FILES or not {WEIGHTS, DESCRIPTION} <= set(files):
            words = f"{newest} is no checkpoint of elsewise, and was not read"
            raise ArtifactError(f"{words}; start afresh with restart=True")
        description = _description(newest)
        before = description["settings"]
        for name, value in settings.items():
            if before.get(name) != value:
                words = name.replace("_", " ")
                is_whole = name in ("rows", "initial weights")
                other = words if is_whole else f"settings ({words} {before.get(name)}, now {value})"
                raise InputError(
                    f"the unfinished training in {self.path.parent} used other {other}; continue it with the same "
                    "command, or start afresh with restart=True"
                )
        return newest, description

    @contextmanager
    def writing(self, step: int, needed: int) -> Iterator[Path]:
        """Yield a folder to fill with the checkpoint of a step, of `needed` bytes; older ones are removed afterwards.

        If the disk refuses, InputError is raised and the checkpoint before is unchanged.
        """
        path = self.path / f"step-{step:08d}"
        self._clear_but(self.newest())
        with writing(path, needed) as work:
            yield work
        self._clear_but(path)

    def _clear_but(self, kept: Path | None) -> None:
        """Remove older checkpoints, and unfinished ones of a killed run."""
        for file in _listed(self.path):
            if file != kept and file.name.startswith(("step-", ".step-")):
                shutil.rmtree(file, ignore_errors=True)

    def check_space(self, checkpoint: int, model: int) -> None:
        """Raise InputError unless two checkpoints and the model, in bytes, fit on the disk."""
        place = next(parent for parent in self.path.absolute().parents if parent.exists())
        more = 1 if self.newest() else 2
        check_space({place: more * checkpoint + model, Path(tempfile.gettempdir()): model})


def what_is_kept(path: Path) -> str:
    """Say what an unfinished training in a folder keeps; empty for nothing. ArtifactError if it cannot be told."""
    for member in sorted(filter(_is_member, _listed(path)), reverse=True):
        newest = Checkpoints(member).newest()
        if newest is not None:
            found = _description(newest)
            told = "the trained weights" if found["trained"] else f"step {found['step']:,} of {found['steps']:,}"
            return told if member.name == "member-0" else f"{told} of {member.name}"
    return ""


def member_of(unfinished: Unfinished | None, number: int) -> Checkpoints | None:
    """Give the checkpoints of one model; None without an unfinished folder."""
    return None if unfinished is None else Checkpoints(unfinished.path / f"member-{number}")


def check_space(needed: Mapping[Path, int]) -> None:
    """Raise InputError unless each disk has the bytes that the folders on it will take.

    Examples
    --------
    >>> check_space({Path("."): 1})
    """
    disks: dict[int, list[Path]] = {}
    for place in needed:
        disks.setdefault(place.stat().st_dev, []).append(place)
    for places in disks.values():
        least, free = sum(needed[place] for place in places), shutil.disk_usage(places[0]).free
        if least > free:
            raise InputError(
                f"{' and '.join(map(str, places))}: training needs about {least / MB:,.0f} MB for checkpoints and the "
                f"model, and {free / MB:,.0f} MB are free; free some space, or choose another place"
            )


def _description(checkpoint: Path) -> Json:
    description = read_json(checkpoint / DESCRIPTION)
    if not isinstance(description.get("settings"), dict) or not isinstance(description.get("trained"), bool):
        raise ArtifactError(f"{checkpoint / DESCRIPTION} is damaged; start afresh with restart=True")
    return description
