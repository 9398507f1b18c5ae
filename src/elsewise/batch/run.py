"""Run over the chunks of an input: in one stream, or in parts that a later run goes on from."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from elsewise.batch import source
from elsewise.batch.answers import Answered, Ledger, MoreColumns, Totals, answered
from elsewise.batch.identity import FileState, identity_of
from elsewise.batch.layout import Layout
from elsewise.batch.parts import (
    DonePart,
    append_parts,
    check_same_processor,
    check_same_run,
    folder_of,
    holding,
    read_parts,
    remove_parts,
    write_part,
)
from elsewise.batch.rejects import REJECT_COLUMNS, reject_rows, rejects_of
from elsewise.batch.source import Chunk, Source, chunks
from elsewise.batch.summary import Pace, Summary, write_summary
from elsewise.classifier.classifier import Classifier
from elsewise.data.formats import Writer, open_writer
from elsewise.data.labelled_texts import Reading
from elsewise.engines import prepared
from elsewise.engines.batching import prefetch
from elsewise.engines.machine import processor
from elsewise.errors import ElsewiseError
from elsewise.progress import Progress, counting
from elsewise.storage.json_files import Json
from elsewise.storage.target_file import Part, together

AfterPart = Callable[[Path, int, int], None]  # folder, parts and rows that are on the disk; it may raise to stop


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
        return {**self.layout.described, **asdict(self.more), **cut}

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


def in_parts(job: Job, *, overwrite: bool, mixed_processors: bool, after_part: AfterPart | None) -> Summary:
    """Write the answers in parts, and at the end all parts as one file; the parts of an earlier run are not redone."""
    folder = folder_of(job.out)
    with holding(folder, job.out, "run"):
        files = {"input": FileState.of(job.data, job.progress)}
        if job.features is not None:
            files["features"] = FileState.of(job.features, job.progress)
        run = identity_of(job.classifier, files, job.how, job.described)
        known = _known(folder, run, overwrite=overwrite, mixed_processors=mixed_processors)
        ordered, totals, now, began = [], Totals(), Totals(), time.monotonic()
        for part, is_new in _parts(job, folder, known, run):
            for file in files.values():
                file.check_unchanged()
            ordered.append(part)
            totals += part.totals
            now += part.totals if is_new else Totals()
            check_balance(totals.ledger, part.last)
            if after_part:
                after_part(folder, len(ordered), totals.ledger.read)
        summary = job.summary(totals, Pace.since(began, now.ledger.read, now.tokens))
        _merge(job, folder, ordered, summary)
        remove_parts(folder)
    return summary


def check_balance(ledger: Ledger, rows: int) -> None:
    """Raise ElsewiseError unless rows read are answered + Other + rejected: a fault of this program."""
    if ledger.read != rows:
        raise ElsewiseError(
            f"{rows:,} rows were read, and {ledger.read:,} came out ({ledger.answered:,} answered + {ledger.other:,} "
            f"Other + {ledger.rejected:,} rejected); nothing is written; report this at the project's page"
        )


def _known(folder: Path, run: Json, *, overwrite: bool, mixed_processors: bool) -> dict[int, DonePart]:
    """Give the parts of this run that are there; those of another run are refused, or removed to begin anew."""
    known = read_parts(folder)
    if overwrite and any(part.run != run for part in known.values()):
        for file in folder.glob("rows-*"):
            file.unlink()
        return {}
    check_same_run(folder, known.values(), run)
    if not mixed_processors:
        check_same_processor(folder, known.values(), processor())
    return known


def _parts(job: Job, folder: Path, known: dict[int, DonePart], run: Json) -> Iterator[tuple[DonePart, bool]]:
    """Give each part in order, and whether it is new: as it is known and whole, or answered and written now."""
    here, done, total = processor(), 0, job.source.count() if job.progress else 0

    def is_wanted(first: int, last: int) -> bool:
        part = known.get(first)
        return part is None or part.last != last or not part.is_whole(folder)

    for chunk in prefetch(chunks(job.source.items, job.prepare, is_wanted)):
        if chunk.is_wanted:
            answers = _answered(job, chunk, done, total)
            yield write_part(folder, chunk, answers, job.layout, run, here), True
        else:
            yield known[chunk.first], False
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


def _open_rejects(path: Path | None, out: str, placed: list[Part]) -> AbstractContextManager[Writer | None]:
    return nullcontext() if path is None else open_writer(path, REJECT_COLUMNS, parts=placed, like=out)
