"""Run over the chunks of an input: in one stream, or in parts that a later run goes on from."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import cycle, starmap
from pathlib import Path
from typing import Any, Final, TypeVar

from elsewise.batch import source
from elsewise.batch.answers import Answered, Ledger, MoreColumns, Totals, Values, answered, outputs_of
from elsewise.batch.behind import Behind
from elsewise.batch.identity import FilesState, identity_of
from elsewise.batch.layout import Layout
from elsewise.batch.meter import Meter, Watch
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
    refuse_other_run,
    remove_parts,
    write_end,
    write_part,
)
from elsewise.batch.rejects import REJECT_COLUMNS, reject_rows, rejects_of
from elsewise.batch.source import Chunk, Seen, Source, chunks
from elsewise.batch.summary import Pace, Summary, run_of, whole_run, write_summary
from elsewise.classifier.classifier import Classifier
from elsewise.data.formats import RowWriter, open_writer
from elsewise.data.labelled_texts import Reading
from elsewise.data.paths import files_of
from elsewise.engines import prepared, reads_logits
from elsewise.engines.batching import prefetch
from elsewise.engines.machine import processor
from elsewise.errors import ElsewiseError
from elsewise.outputs import Outputs
from elsewise.progress import Progress
from elsewise.storage.json_files import Json
from elsewise.storage.target_file import Part, together

MOST_TEXTS: Final = 1 << 17  # whose answers are kept, for the same texts in later chunks
MOST_VALUES: Final = 4_000_000  # in these answers: about 300 MB at most
Wrote = TypeVar("Wrote")
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
    stops : callable
        Whether to stop, with KeyboardInterrupt, when the present part is written.
    """

    overwrite: bool = False
    mixed_processors: bool = False
    shard: tuple[int, int] | None = None
    join: bool = False
    stays_in_parts: bool = False
    after_part: AfterPart | None = None
    stops: Callable[[], bool] = lambda: False


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
    progress, watch : callable or None
        They are told of the rows done; `watch` also of the pace: see `elsewise.batch.meter`.
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
    watch: Watch | None = None

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
    totals, meter = Totals(), Meter(job)
    with together() as placed:
        with job.layout.open(job.out, placed) as writer, _open_rejects(rejects_of(job.out), job.out, placed) as rejects:

            def write(chunk: Chunk, answers: Answered) -> Answered:
                writer.write(job.layout.cells(chunk, answers))
                if rejects is not None:
                    reject_rows(rejects, chunk.rejected)
                return answers

            for chunk, answers in _written(job, meter, write, overlaps=False):
                if answers is not None:
                    totals += answers.totals
                    check_balance(totals.ledger, chunk.last)
        summary = job.summary(totals, meter.pace)
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
        if not known and (done := _done(job, run, going_on)) is not None:
            return done
        if going_on.join:
            ordered, pace = [known[first] for first in sorted(known)], Pace()
            check_complete(folder, ordered, run)
        else:
            ordered, pace = _answer_parts(job, folder, known, run, files, going_on)
        totals = sum((part.totals for part in ordered), start=Totals())
        summary = job.summary(totals, pace)
        if going_on.stays_in_parts and shard is None:
            write_end(folder, summary.read, run)
            with together() as placed:
                write_summary(summary, job.out, placed)
        elif shard is None:
            _merge(job, folder, ordered, summary, partial(run_of, run, totals))
            remove_parts(folder)
    return summary


def _answer_parts(
    job: Job, folder: Path, known: dict[int, DonePart], run: Json, files: Mapping[str, FilesState], going_on: GoingOn
) -> tuple[list[DonePart], Pace]:
    """Answer the parts that lack, of all or of a shard; give those that are there then, in order, and the pace."""
    ordered: list[DonePart] = []
    here, meter, rows, counted = processor(), Meter(job), 0, 0
    place, of = going_on.shard or (1, 1)
    turn = cycle(range(1, of + 1))

    def is_wanted(first: int, last: int) -> bool:
        part = known.get(first)
        if next(turn) != place:
            known.pop(first, None)
            return False
        return part is None or part.last != last or not part.is_whole(folder)

    def write(chunk: Chunk, answers: Answered) -> DonePart:
        part = write_part(folder, chunk, answers, job.layout, run, here)
        for file in files.values():
            file.check_unchanged()
        return part

    for chunk, new in _written(job, meter, write, is_wanted, going_on.stops):
        part = known.get(chunk.first) if new is None else new
        rows = chunk.last
        if part is None:
            continue  # another shard's
        ordered.append(part)
        counted += part.totals.ledger.read
        check_balance(part.totals.ledger, chunk.last - chunk.first + 1)
        if going_on.after_part:
            going_on.after_part(folder, len(ordered), counted)
    for file in files.values():
        file.check_unchanged()
    if going_on.shard is not None:
        write_end(folder, rows, run)
    return ordered, meter.pace


def _written(
    job: Job, meter: Meter, write: Callable[[Chunk, Answered], Wrote],
    is_wanted: Callable[[int, int], bool] = lambda *_: True, stops: Callable[[], bool] = lambda: False,
    *, overlaps: bool = True,
) -> Iterator[tuple[Chunk, Wrote | None]]:  # fmt: skip
    """Answer and write the chunks that are wanted, in order, and give each with what `write` gave, None for the others.

    One thread reads and tokenises the next chunk, this one runs the model, and a third decides and writes the last
    chunk; see `Behind`. KeyboardInterrupt once `stops` and all that was begun is written.
    """
    texts, known = seen_by(job.classifier, len(job.layout.columns)), dict[str, Values]()

    def finish(chunk: Chunk, outputs: Outputs | None) -> tuple[Chunk, Wrote, Totals]:
        answers = answered(job.classifier, chunk, job.more, outputs, known)
        return chunk, write(chunk, answers), answers.totals

    behind: Behind[tuple[Chunk, Wrote, Totals]] = Behind(overlaps=overlaps)
    with behind:
        try:
            for chunk in prefetch(chunks(job.source.items, job.prepare, is_wanted, texts)):
                if stops() or not chunk.is_wanted:
                    yield from starmap(meter.finished, behind.results())
                if stops():
                    break
                if not chunk.is_wanted:
                    meter.skipped(chunk)
                    yield chunk, None
                    continue
                with meter.counting(chunk):
                    outputs = outputs_of(job.classifier, chunk)
                yield from starmap(meter.finished, behind.results())
                behind.begin(partial(finish, chunk, outputs))
        except Exception:  # what was answered before is worth keeping
            yield from starmap(meter.finished, behind.results())
            raise
        yield from starmap(meter.finished, behind.results())
    if stops():
        raise KeyboardInterrupt


def seen_by(classifier: Classifier, columns: int) -> Seen | None:
    """Make the memory of texts that came before; None where an engine's answers may depend on a text's neighbours."""
    if reads_logits(classifier.engine) or classifier.engine.name == "given":
        return None
    return Seen(min(MOST_TEXTS, MOST_VALUES // columns))


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


def _done(job: Job, run: Json, going_on: GoingOn) -> Summary | None:
    """Sum up a run that wrote its output before; None where it did not.

    InputError, saying what changed, where another run wrote an output that would be replaced.
    """
    before = None if going_on.overwrite or going_on.stays_in_parts else whole_run(job.out)
    if before is None:
        return None
    identity, totals = before
    if identity != run:
        refuse_other_run(f"{job.out} holds the answers", identity, run)
    return job.summary(totals, Pace())


def _merge(job: Job, folder: Path, parts: list[DonePart], summary: Summary, run: Callable[[int], Json]) -> None:
    """Write parts, in order, as one output with its rejected rows and its summary; they get their names together."""
    with together() as placed:
        with job.layout.open(job.out, placed) as writer, _open_rejects(rejects_of(job.out), job.out, placed) as rejects:
            append_parts(writer, folder, parts)
            for part in parts:
                if rejects is not None and part.rejects:
                    rejects.append(folder / part.rejects)
        _finish(summary, job.out, placed, run(placed[-1].hidden.stat().st_size))


def _finish(summary: Summary, out: str, placed: list[Part], run: Json | None = None) -> None:
    """Let no file of rejects be there, not even an older one, where no row was rejected; and add the summary."""
    for unneeded in placed[:-1] if not summary.rejected else ():
        unneeded.hidden.unlink()
    if placed:
        write_summary(summary, out, placed, run)


def _open_rejects(path: Path | None, out: str, placed: list[Part]) -> AbstractContextManager[RowWriter | None]:
    return nullcontext() if path is None else open_writer(path, REJECT_COLUMNS, parts=placed, like=out)
