"""Parts of a run: a file of answers for consecutive rows, and a small JSON beside it that says it is whole.

The JSON files are the journal. Nobody writes to the same file as another process, so parts work on network disks, and
the state of a run is a listing of its folder. A part gets its name after it is on the disk, its JSON after that.
"""

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from os import getpid, path
from pathlib import Path
from platform import node
from typing import Any, Final, NoReturn

from elsewise.batch.answers import Answered, Totals
from elsewise.batch.identity import differences
from elsewise.batch.layout import Layout
from elsewise.batch.rejects import REJECTED, write_rejects
from elsewise.batch.source import Chunk
from elsewise.data.formats import RowWriter
from elsewise.errors import ArtifactError, InputError
from elsewise.messages.wording import counted
from elsewise.storage.atomic import Lock, sync
from elsewise.storage.json_files import Json, read_json
from elsewise.storage.sealed_folder import sha256_of
from elsewise.storage.target_file import open_target, together, try_to_write

FOLDER: Final = ".parts"  # ends the name of the folder beside an output
FORMAT: Final = 1
DIGITS: Final = 12  # of row numbers in names, so that names sort as rows do
END: Final = "end.json"  # says how many rows the input has, once one process has read all of it
OURS: Final = re.compile(r"rows-\d+-\d+(\.[\w.]+)?|end\.json|[\w-]+\.lock|\.elsewise-.*")
WORDS_AT_ONCE: Final = 3  # differences that are named


@dataclass(frozen=True, slots=True)
class DonePart:
    """A part that is on the disk, as its JSON describes it.

    Attributes
    ----------
    first, last : int
        Numbers of its first and its last row, from 1.
    name, sha256, size : str, str, int
        Its file, and what that file must hold.
    rejects, rejects_sha256 : str or None
        The file of its rejected rows, where there are some.
    totals : Totals
        Counts of its rows.
    run, processor : mapping, str
        What the answers depend on, and the processor that gave them.
    """

    first: int
    last: int
    name: str
    sha256: str
    size: int
    rejects: str | None
    rejects_sha256: str | None
    totals: Totals
    run: Mapping[str, Any] = field(repr=False)
    processor: str

    def as_dict(self) -> Json:
        """All fields (JSON)."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def read(cls, file: Path) -> "DonePart | None":
        """Read the JSON of a part; None for one that is not whole, or of another format."""
        with suppress(ArtifactError, TypeError, KeyError):
            said = read_json(file)
            if said.pop("format") == FORMAT:
                return cls(**{**said, "totals": Totals.read(said["totals"])})
        return None

    def is_whole(self, folder: Path) -> bool:
        """Tell whether the files of the part hold what they held when it was written."""
        files = {self.name: self.sha256, **({self.rejects: self.rejects_sha256} if self.rejects else {})}
        with suppress(OSError):
            return all(sha256_of(folder / name) == known for name, known in files.items())
        return False


def folder_of(out: str) -> Path:
    """Name the folder for the parts of an output; where that is a link, beside what it points to."""
    return Path(f"{path.realpath(out) if Path(out).is_symlink() else out}{FOLDER}")


def read_parts(folder: Path) -> dict[int, DonePart]:
    """Read the journal of a run: the parts by their first row; InputError for a folder that holds something else."""
    names = sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []
    foreign = next((name for name in names if not OURS.fullmatch(name)), None)
    if foreign is not None:
        raise InputError(f"{folder / foreign} is no part of a run; move it, or choose another name for the output")
    found = (DonePart.read(folder / name) for name in names if re.fullmatch(r"rows-\d+-\d+\.json", name))
    return {part.first: part for part in found if part is not None}


def check_same_run(folder: Path, parts: Iterable[DonePart], run: Json) -> None:
    """Raise InputError, saying what changed, if parts are of another run."""
    known = list(parts)
    other = next((part for part in known if part.run != run), None)
    if other is not None:
        refuse_other_run(f"{folder} holds {counted(len(known), 'part')}", other.run, run)


def refuse_other_run(what: str, before: Mapping[str, Any], now: Json) -> NoReturn:
    """Raise InputError, saying what changed since a run made what is there, as in "a folder holds 3 parts"."""
    changed = differences(before, now)
    more = f", and {len(changed) - WORDS_AT_ONCE} more" if len(changed) > WORDS_AT_ONCE else ""
    raise InputError(
        f"{what} of another run. Changed since: {'; '.join(changed[:WORDS_AT_ONCE])}{more}. "
        "Undo that to go on, or begin anew with overwrite=True"
    )


def check_same_processor(folder: Path, parts: Iterable[DonePart], processor: str) -> None:
    """Raise InputError if another kind of processor answered one of the parts: its last digits may differ."""
    other = next((part.processor for part in parts if part.processor != processor), None)
    if other is not None:
        raise InputError(
            f"{folder} has parts from another kind of processor ({other}, here {processor}), whose last digits may "
            "differ; go on there, or begin anew with mixed_processors=True, which adds a column that tells them apart"
        )


def write_part(folder: Path, chunk: Chunk, answers: Answered, layout: Layout, run: Json, processor: str) -> DonePart:
    """Write the answers to a chunk: its file, its rejected rows, and last its JSON; InputError if the disk refuses."""
    stem = f"rows-{chunk.first:0{DIGITS}}-{chunk.last:0{DIGITS}}"
    with together() as placed:
        with layout.open(folder / f"{stem}{layout.ending}", placed) as writer:
            writer.write(layout.cells(chunk, answers))
        if chunk.rejected:
            write_rejects(folder / f"{stem}{REJECTED}", chunk.rejected, placed)
        hashes = [sha256_of(file.hidden) for file in placed]
        part = DonePart(
            chunk.first, chunk.last, f"{stem}{layout.ending}", hashes[0], placed[0].hidden.stat().st_size,
            f"{stem}{REJECTED}" if chunk.rejected else None, hashes[1] if chunk.rejected else None,
            answers.totals, run, processor,
        )  # fmt: skip
        with open_target(folder / f"{stem}.json", parts=placed) as file:
            try_to_write(str(folder), file.write, (json.dumps(part.as_dict(), indent=1) + "\n").encode())
    return part


def write_end(folder: Path, rows: int, run: Json) -> None:
    """Note how many rows the input has."""
    with open_target(folder / END) as file:
        try_to_write(str(folder), file.write, (json.dumps({"rows": rows, "run": run}, indent=1) + "\n").encode())


def check_complete(folder: Path, parts: Iterable[DonePart], run: Json) -> None:
    """Raise InputError unless parts, in order, hold all rows of the input and are whole."""
    end: Json = {}
    with suppress(ArtifactError):
        end = read_json(folder / END)
    if end.get("run") != run:
        raise InputError(f"no shard of {folder} has read the input to its end yet; wait for the shards, and join then")
    row = 0
    for part in parts:
        if part.first != row + 1 or not part.is_whole(folder):
            break
        row = part.last
    if row != end["rows"]:
        raise InputError(f"{folder} has no rows from {row + 1:,} on; run the shard that lacks, or leave join=True out")


def append_parts(writer: RowWriter, folder: Path, parts: Iterable[DonePart]) -> None:
    """Append the rows of parts to an output; InputError if one of them is damaged."""
    for part in parts:
        if not part.is_whole(folder):
            raise InputError(f"{folder / part.name} was changed since it was written; run the same command again")
        writer.append(folder / part.name)


def remove_parts(folder: Path) -> None:
    """Remove the parts of a finished run: first their name, so that nobody takes some of them for all."""
    away = _away(folder)
    shutil.rmtree(away, ignore_errors=True)
    with suppress(OSError):
        folder.rename(away)
        sync(folder.parent)
    shutil.rmtree(away, ignore_errors=True)


def _away(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.elsewise-old")


@contextmanager
def holding(folder: Path, out: str, who: str) -> Iterator[None]:
    """Make the folder for parts, and lock it for one process; InputError names the process that has it already.

    `who` is "run", which nobody may share, or as in "shard-1-of-3", which the other shards of three may.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, and parts of the output would go there; move it, or name another output")
    if not folder.parent.exists():
        raise InputError(f"{out} cannot be written: there is no folder {Path(out).parent}")
    shutil.rmtree(_away(folder), ignore_errors=True)
    file = folder / f"{who}.lock"
    lock = _locked(folder, file, out)
    try:
        _refuse_others(folder, file, out)
        owner = {"process": getpid(), "machine": node(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
        try_to_write(out, file.write_text, json.dumps(owner))
        yield
    finally:
        with suppress(OSError):
            file.unlink(missing_ok=True)
        with suppress(OSError):
            folder.rmdir()  # where no part is in it
        del lock


def _locked(folder: Path, file: Path, out: str) -> Lock:
    while True:
        try_to_write(out, _made, folder, file)
        try:
            with suppress(FileNotFoundError):
                lock = Lock(file)
                if not lock.is_sure or (file.exists() and lock.is_of(file)):
                    return lock
        except BlockingIOError:
            raise InputError(_taken(out, file)) from None


def _made(folder: Path, file: Path) -> None:
    folder.mkdir(exist_ok=True)
    with suppress(FileNotFoundError):  # removed meanwhile by the process that had it
        file.touch()


def _refuse_others(folder: Path, own: Path, out: str) -> None:
    """Raise InputError if a process has the folder that may not share it; the locks of dead ones do not count."""
    shards = re.sub(r"^shard-\d+", "", own.stem)
    for other in folder.glob("*.lock"):
        if other == own or (own.stem != "run" and other.stem.endswith(shards)):
            continue
        try:
            Lock(other)
        except BlockingIOError:
            raise InputError(_taken(out, other)) from None
        except OSError:  # it ended meanwhile
            continue


def _taken(out: str, file: Path) -> str:
    owner: Mapping[str, Any] = {}
    with suppress(ArtifactError, OSError):
        owner = read_json(file)
    who = "process {process} on {machine} since {since}".format_map({**dict.fromkeys(
        ("process", "machine", "since"), "?"), **owner})  # fmt: skip
    return f"{out} is being written by another run ({who}); wait for it, or choose another name"
