"""Run over the chunks of an input: in one stream, or in parts that a later run goes on from."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

from elsewise.batch import source
from elsewise.batch.answers import Answered, Ledger, MoreColumns, Totals, answered
from elsewise.batch.identity import FilesState, identity_of
from elsewise.batch.layout import Layout
from elsewise.batch.parts import (
    END,
    DonePart,
    append_parts,
    check_complete,
    check_same_processor,
    check_same_run,
    folder_of,
    holding,
    read_parts,
    remove_parts,
    write_end,
    write_part,
)
from elsewise.batch.rejects import REJECT_COLUMNS, reject_rows, rejects_of
from elsewise.batch.source import Chunk, Source, chunks
from elsewise.batch.summary import Pace, Summary, write_summary
from elsewise.classifier.classifier import Classifier
from elsewise.data.formats import RowWriter, open_writer
from elsewise.data.labelled_texts import Reading
from elsewise.data.paths import files_of
from elsewise.engines import prepared
from elsewise.engines.batching import prefetch
from elsewise.engines.machine import processor
from elsewise.errors import ElsewiseError
from elsewise.progress import Progress, counting
from elsewise.storage.json_files import Json
from elsewise.storage.target_file import Part, together

AfterPart = Callable[[Path, int, int], None]  # folder, parts and rows that are on the disk; it may raise to stop


@dataclass(frozen=True, slots=True)
class GoingOn:
    """How a run deals with parts that are there, and which ones it makes.

    Attributes
    ----------
    overwrite, mixed_processors : bool
        Begin anew where parts are of another run; take parts of another kind of processor.
    shard : (int, int) or None
        (2, 3): make the second of every three parts, and no output.
    join : bool
        Make no part: write the output of parts that are all there.
    stays_in_parts : bool
        Leave the answers in parts, beside a summary, and write no output.
    after_part : callable or None
        Called with (folder, parts, rows) after each part.
    """

    overwrite: bool = False
    mixed_processors: bool = False
    shard: tuple[int, int] | None = None
    join: bool = False
    stays_in_parts: bool = False
    after_part: AfterPart | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """What is answered, and how that is written.

    Attributes
    ----------
    classifier : Classifier
        It answers.
    source, layout : Source, Layout
        The open input, and how its answers are laid out.
    data, out : str
        Names of the input and of the output.
    how, features, more : Reading, str or None, MoreColumns
        How the input is read, the file of features, and the optional columns.
    progress : callable or None
        It is told of the rows done.
    """

    classifier: Classifier
    source: Source
    layout: Layout
    data: str
    out: str
    how: Reading
    features: str | None
    more: MoreColumns
    progress: Progress | None

    @property
    def described(self) -> Json:
        """What of the output its bytes depend on (JSON)."""
        cut = {"rows of a part": source.CHUNK_ROWS, "characters of a part": source.CHUNK_CHARACTERS}
        return {**self.layout.described, **self.more.described, **cut}

    def summary(self, totals: Totals, pace: Pace) -> Summary:
        """Sum up the run, once the source is read."""
        notes = (*self.source.notes, *self.layout.notes)
        return Summary.of(self.classifier, totals, pace, rejects_of(self.out), notes)

    @property
    def prepare(self) -> Callable[[Any], Any]:
        """Tokenise, where the engine reads tokens."""
        return partial(prepared, self.classifier.engine)


def stream(job: Job) -> Summary:
    """Write the answers as they come: to stdout, a pipe, a device, or a file that appears when it is whole."""
    totals, began = Totals(), time.monotonic()
    rejects_path, total = rejects_of(job.out), job.source.count() if job.progress else 0
    with together() as placed:
        with job.layout.open(job.out, placed) as writer, _open_rejects(rejects_path, job.out, placed) as rejects:
            for chunk in prefetch(chunks(job.source.items, job.prepare)):
                answers = _answered(job, chunk, totals.ledger.read, total)
                writer.write(job.layout.cells(chunk, answers))
                if rejects is not None:
                    reject_rows(rejects, chunk.rejected)
                totals += answers.totals
                check_balance(totals.ledger, chunk.last)
                total = _told(job, totals.ledger.read, total)
        summary = job.summary(totals, Pace.since(began, totals.ledger.read, totals.tokens))
        _finish(summary, job.out, placed)
    return summary


def in_parts(job: Job, going_on: GoingOn) -> Summary:
    """Write the answers in parts, and at the end all parts as one file; the parts of an earlier run are not redone."""
    folder, shard = folder_of(job.out), going_on.shard
    with holding(folder, job.out, "run" if shard is None else f"shard-{shard[0]}-of-{shard[1]}"):
        files = {"input": FilesState.of(files_of(job.data), job.progress)}
        if job.features is not None:
            files["features"] = FilesState.of([job.features], job.progress)
        run = identity_of(job.classifier, files, job.how, job.described)
        known = _known(folder, run, going_on)
        if going_on.join:
            ordered, pace = [known[first] for first in sorted(known)], Pace()
            check_complete(folder, ordered, run)
        else:
            ordered, pace = _answer_parts(job, folder, known, run, files, going_on)
        summary = job.summary(sum((part.totals for part in ordered), start=Totals()), pace)
        if going_on.stays_in_parts and shard is None:
            write_end(folder, summary.read, run)
            with together() as placed:
                write_summary(summary, job.out, placed)
        elif shard is None:
            _merge(job, folder, ordered, summary)
            remove_parts(folder)
    return summary


def _answer_parts(
    job: Job, folder: Path, known: dict[int, DonePart], run: Json, files: Mapping[str, FilesState], going_on: GoingOn
) -> tuple[list[DonePart], Pace]:
    """Answer the parts that lack, of all or of a shard; give those that are there then, in order, and the pace."""
    ordered: list[DonePart] = []
    now, began, rows, skipped = Totals(), time.monotonic(), 0, 0
    for chunk, part, is_new in _parts(job, folder, known, run, going_on.shard):
        for file in files.values():
            file.check_unchanged()
        rows = chunk.last
        if part is None:
            skipped += chunk.last - chunk.first + 1
            continue
        ordered.append(part)
        now += part.totals if is_new else Totals()
        check_balance(part.totals.ledger, chunk.last - chunk.first + 1)
        if going_on.after_part:
            going_on.after_part(folder, len(ordered), rows - skipped)
    if going_on.shard is not None:
        write_end(folder, rows, run)
    return ordered, Pace.since(began, now.ledger.read, now.tokens)


def check_balance(ledger: Ledger, rows: int) -> None:
    """Raise ElsewiseError unless rows read are answered + Other + rejected: a fault of this program."""
    if ledger.read != rows:
        raise ElsewiseError(
            f"{rows:,} rows were read, and {ledger.read:,} came out ({ledger.answered:,} answered + {ledger.other:,} "
            f"Other + {ledger.rejected:,} rejected); nothing is written; report this at the project's page"
        )


def _known(folder: Path, run: Json, going_on: GoingOn) -> dict[int, DonePart]:
    """Give the parts of this run that are there; those of another run are refused, or removed to begin anew."""
    known = read_parts(folder)
    if going_on.overwrite and any(part.run != run for part in known.values()):
        for file in (*folder.glob("rows-*"), *folder.glob(END)):
            file.unlink()
        return {}
    check_same_run(folder, known.values(), run)
    if not going_on.mixed_processors:
        own = next((part.processor for part in known.values()), "") if going_on.join else processor()
        check_same_processor(folder, known.values(), own)
    return known


def _parts(
    job: Job, folder: Path, known: dict[int, DonePart], run: Json, shard: tuple[int, int] | None
) -> Iterator[tuple[Chunk, DonePart | None, bool]]:
    """Give each chunk in order with its part, and whether that is new: known and whole, or answered and written now.

    None for the parts of other shards.
    """
    here, done, total = processor(), 0, job.source.count() if job.progress else 0
    place, of = shard or (1, 1)
    turn = cycle(range(1, of + 1))

    def is_wanted(first: int, last: int) -> bool:
        part = known.get(first)
        if next(turn) != place:
            known.pop(first, None)
            return False
        return part is None or part.last != last or not part.is_whole(folder)

    for chunk in prefetch(chunks(job.source.items, job.prepare, is_wanted)):
        if chunk.is_wanted:
            answers = _answered(job, chunk, done, total)
            yield chunk, write_part(folder, chunk, answers, job.layout, run, here), True
        else:
            yield chunk, known.get(chunk.first), False
        done = chunk.last
        total = _told(job, done, total)


def _answered(job: Job, chunk: Chunk, done: int, total: int) -> Answered:
    with counting(job.progress, "predicting", total, done):
        return answered(job.classifier, chunk, job.more)


def _told(job: Job, done: int, total: int) -> int:
    """Tell how many rows are done, and give the total; 0 where it turns out to be miscounted."""
    total = total if total >= done else 0
    if job.progress:
        job.progress("predicting", done, total)
    return total


def _merge(job: Job, folder: Path, parts: list[DonePart], summary: Summary) -> None:
    """Write parts, in order, as one output with its rejected rows and its summary; they get their names together."""
    with together() as placed:
        with job.layout.open(job.out, placed) as writer, _open_rejects(rejects_of(job.out), job.out, placed) as rejects:
            append_parts(writer, folder, parts)
            for part in parts:
                if rejects is not None and part.rejects:
                    rejects.append(folder / part.rejects)
        _finish(summary, job.out, placed)


def _finish(summary: Summary, out: str, placed: list[Part]) -> None:
    """Let no file of rejects be there, not even an older one, where no row was rejected; and add the summary."""
    for unneeded in placed[:-1] if not summary.rejected else ():
        unneeded.hidden.unlink()
    if placed:
        write_summary(summary, out, placed)


def _open_rejects(path: Path | None, out: str, placed: list[Part]) -> AbstractContextManager[RowWriter | None]:
    return nullcontext() if path is None else open_writer(path, REJECT_COLUMNS, parts=placed, like=out)
