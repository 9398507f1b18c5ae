"""Check of an unknown file of labelled texts: how to read it, what is in it, and the `fit` command for it.

Every assumption is reported as an error with the option that states it, and is part of the command.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import signature
from pathlib import Path
from typing import Any, Final

import numpy as np

from elsewise.data.checks import Finding, Findings, check
from elsewise.data.division import Indices
from elsewise.data.encoding_guess import guess_encoding
from elsewise.data.formats import check_readable, is_text
from elsewise.data.labelled_texts import BadRow, LabelledFile, Reading, read_files
from elsewise.data.labels import label_form
from elsewise.data.rows import Row, marks_of, merged_rows, own_names
from elsewise.errors import InputError, refuse_unknown
from elsewise.messages.wording import counted

DISTINCT: Final = 20_001  # values of a column that are counted; a column with more holds no labels
USUAL: Final = {name: parameter.default for name, parameter in signature(check).parameters.items()}
LONG_LABEL: Final = 100  # characters on average
FEWEST_GROUPS: Final = 20
FEWEST_SHARING: Final = 100  # rows whose group came before; fewer say little of how alike they are
MORE_ALIKE: Final = 0.15  # share of the pairs within a group that have the same label, beyond chance
# In the form of `label_form`, in which every i has its dot.
TEXT_NAMES: Final = {
    *("text", "texts", "message", "body", "content", "description", "comment", "question", "query", "utterance"),
    *("sentence", "review", "feedback", "metin", "mesaj", "içerik", "icerik", "açiklama", "aciklama", "yorum", "soru"),
    *("talep", "şikayet", "sikayet"),
}
LABEL_NAMES: Final = {
    *("label", "labels", "category", "class", "intent", "topic", "target", "tag", "type"),
    *("etiket", "kategori", "sinif", "konu", "tür", "tur", "niyet"),
}
GROUP_NAMES: Final = {
    *("customer", "user", "client", "account", "author", "sender", "thread", "conversation", "session", "template"),
    *("müşteri", "musteri", "kullanici", "gönderen", "gonderen", "konuşma", "konusma", "oturum", "şablon", "sablon"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: filled rows, distinct values (20,001 at most are counted), mean length of a cell."""

    name: str
    filled: int
    distinct: int
    mean_length: float
    only: str


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """Result of the check of a file.

    Attributes
    ----------
    path, how, notes : str, Reading, tuple of str
        The file; how it was read, guesses included; and the same in words.
    columns : tuple of Column
        All columns.
    rows, usable : int
        Number of rows in the file, and of usable rows before any is left out for its label.
    findings : Findings
        Findings about the file and its texts and labels.
    options : tuple of str
        Options to type after ``fit DATA``: those given, those that errors require, and those that warnings suggest.
    """

    path: str
    how: Reading
    notes: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: int
    usable: int
    findings: Findings
    options: tuple[str, ...]


@dataclass(slots=True)
class _Survey:
    """Findings about a file so far."""

    how: Reading
    found: list[Finding] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    rows: int = 0
    is_merged: bool = False


def check_file(
    path: str, how: Reading | None = None, *, held_out: str | None = None, test: str | None = None,
    group_column: str | None = None, time_column: str | None = None, **asked: Any,
) -> CheckedFile:  # fmt: skip
    """Check a file of labelled texts, without training.

    Parameters
    ----------
    path : str
        A file; not stdin or a pipe (InputError), as it is read more than once.
    how : Reading, optional
        Columns, format and fixes. If they do not fit the file, fitting ones are searched and reported.
    held_out, test : str, optional
        Files, as for ``elsewise fit``.
    group_column, time_column : str, optional
        Columns with the groups and the times, as for ``elsewise fit``.
    **asked
        count_repeats, out_of_scope_label, target_accuracy, confidence_level, encoder, max_length, lowercase, seed, as
        for
        `elsewise.data.check`.
    """
    refuse_unknown("check_file", asked, [*USUAL, *signature(check_file).parameters])
    if path != "-" and not Path(path).exists():
        raise InputError(f"{path} does not exist")
    if path == "-" or not Path(path).is_file():
        raise InputError(f"{path} is not a file that can be read more than once; save it as a file first")
    survey = _Survey(how or Reading())
    given = survey.how
    check_readable(path, given.encoding, given.format)
    read: list[LabelledFile] = []
    files = {"data": path} | {name: file for name, file in (("held_out", held_out), ("test", test)) if file}
    marks = {"group_column=": group_column, "time_column=": time_column}
    columns = {column: parameter for parameter, column in marks.items() if column is not None}
    try:
        _find_encoding(path, survey)
        _survey(path, survey)
        _find_columns(survey)
        read = read_files(list(files.values()), survey.how, strict=False, slices=columns)
    except InputError as error:
        survey.found.append(Finding("error", "refused", str(error), typed=error.typed))
    checked = Findings(())
    if read:
        for one, file in zip(read, files.values(), strict=True):
            survey.found += _bad(one, file, survey)
        survey.found += _headless(survey, read[0])
        rows = {
            name: (one.texts, one.labels, *marks_of(one.columns, marks.values()))
            for name, one in zip(files, read, strict=True)
        }
        groups, times = rows["data"][2:]
        apart = {"held_out": rows.get("held_out"), "test": rows.get("test"), "groups": groups, "times": times}
        checked = check(read[0].texts, read[0].labels, lines=read[0].lines, **(asked | apart))
        survey.found += _likely_groups(path, survey, set(columns)) if group_column is None else []
    found = [*survey.found, *(_as_taken(finding, survey.how) for finding in checked.findings)]
    command = _options(
        given, found, held_out, test, {"group_column": group_column, "time_column": time_column, **asked}
    )
    usable = survey.rows - read[0].rejected if read else 0
    known = len(survey.notes) + survey.is_merged + bool(read[0].bad) if read else 0  # merged and bad rows are findings
    mended = read[0].notes[known:] if read else ()
    notes, findings = (*survey.notes, *mended), replace(checked, findings=tuple(found))
    return CheckedFile(path, survey.how, notes, survey.columns, survey.rows, usable, findings, command)


def _find_encoding(path: str, survey: _Survey) -> None:
    guess = guess_encoding(path) if survey.how.encoding is None and is_text(path, survey.how.format) else None
    if guess is None:
        return
    fault = f"byte 0x{guess.byte:02x} is not UTF-8"
    if guess.encoding is None:
        remedy = "rewrite these lines in UTF-8; no option can fix them"
        survey.found.append(Finding("error", "encoding", f"{fault}: {guess.why}", remedy, where=guess.lines))
        raise InputError(f"{path} could not be read to the end; fix these lines and check again")
    words = f"{fault}; assumed: {guess.encoding}, for {guess.why}"
    remedy = f"look at a few texts, and read it with encoding={guess.encoding!r}"
    survey.found.append(Finding("error", "encoding", words, remedy, ("--encoding", guess.encoding), guess.lines))
    survey.how = replace(survey.how, encoding=guess.encoding)


def _survey(path: str, survey: _Survey) -> None:
    """Read the file once for its columns."""
    with survey.how.open(path) as rows:
        if len(rows.columns) == 1 and "|" in rows.columns[0] and survey.how.delimiter is None:
            words = "the header is one column, with | in it; assumed: delimiter |"
            survey.found.append(Finding("error", "delimiter", words, "delimiter='|'", ("--delimiter", "|")))
            survey.how = replace(survey.how, delimiter="|")
            return _survey(path, survey)
        survey.notes = rows.notes
        survey.rows, survey.columns = _columns(rows.columns, rows)
        survey.is_merged = bool(rows.merged)
        if rows.merged:
            words, remedy = merged_rows(rows.merged)
            where, options = tuple(rows.merged), ("--literal-quotes",)
            survey.found.append(Finding("warning", "merged_rows", words, remedy, options, where))
    named = {*survey.how.text_column.split(","), survey.how.text_column, survey.how.label_column}
    for column in survey.columns:
        if not column.filled:
            words = f"column {column.name!r} is empty"
        elif column.distinct == 1 and column.filled > 1 and column.name not in named:
            words = f"column {column.name!r} holds no value but {column.only!r}"
        else:
            continue
        survey.found.append(Finding("note", "empty_column", words))
    return None


def _columns(names: Sequence[str], rows: Iterable[Row]) -> tuple[int, tuple[Column, ...]]:
    filled: Counter[str] = Counter()
    lengths: Counter[str] = Counter()
    values: dict[str, set[str]] = {name: set() for name in names}
    count = 0
    for row in rows:
        count += 1
        for name, cell in row.cells.items():
            if not cell.strip():
                continue
            filled[name] += 1
            lengths[name] += len(cell)
            seen = values.setdefault(name, set())
            if len(seen) < DISTINCT:
                seen.add(cell)
    mean = {name: lengths[name] / max(filled[name], 1) for name in values}
    columns = [Column(name, filled[name], len(seen), mean[name], next(iter(seen), "")) for name, seen in values.items()]
    return count, tuple(columns)


def _find_columns(survey: _Survey) -> None:
    """Guess the text and label columns if the file has no columns of the default names."""
    names = [column.name for column in survey.columns]
    text_column, label_column = survey.how.text_column, survey.how.label_column
    own_text, own_label = own_names([text_column, label_column], names)
    survey.how = replace(survey.how, text_column=own_text or text_column, label_column=own_label or label_column)
    how = survey.how
    label = text = None
    if how.label_column == "label" and "label" not in names:
        label = _likely_label(survey.columns, how.text_column)
    if how.text_column == "text" and "text" not in names:
        text = _likely_text(survey.columns, label.name if label else how.label_column)
    if text is not None:
        _assume("text", text.name, f"{text.mean_length:.0f} characters a row", survey)
        survey.how = replace(survey.how, text_column=text.name)
    if label is not None:
        _assume("label", label.name, f"{label.distinct:,} values", survey)
        survey.how = replace(survey.how, label_column=label.name)


def _assume(what: str, column: str, holds: str, survey: _Survey) -> None:
    words = f"no column is called {what!r}; assumed: {column!r} ({holds}) holds the {what}s"
    remedy = f"name the right one with {what}_column="
    finding = Finding("error", f"{what}_column", words, remedy, (f"--{what}-column", column))
    survey.found.append(finding)


def _likely_label(columns: Sequence[Column], text_column: str) -> Column | None:
    likely = [
        column
        for column in columns
        if column.name != text_column
        and 1 < column.distinct <= min(max(2, column.filled // 2), DISTINCT - 1)
        and column.mean_length <= LONG_LABEL
    ]

    def rank(column: Column) -> tuple[bool, bool, int]:
        """First a telling name; then words before numbers and dates; then the most distinct values."""
        return label_form(column.name) in LABEL_NAMES, any(map(str.isalpha, column.only)), column.distinct

    return max(likely, key=rank, default=None)


def _likely_text(columns: Sequence[Column], label_column: str) -> Column | None:
    likely = [column for column in columns if column.name != label_column and column.distinct > 1]
    longest = max((column.mean_length for column in likely), default=0.0)

    def rank(column: Column) -> tuple[bool, float]:
        """First a telling name, where the column is about as long as the longest; then length."""
        return label_form(column.name) in TEXT_NAMES and 2 * column.mean_length >= longest, column.mean_length

    return max(likely, key=rank, default=None)


def _bad(read: LabelledFile, path: str, survey: _Survey) -> Iterable[Finding]:
    """Group the unusable rows by problem."""
    groups: dict[str, list[BadRow]] = {}
    for row in read.bad:
        groups.setdefault(row.problem, []).append(row)
    is_skipped = survey.how.skip_bad_rows
    level, what = ("warning", "is left out") if is_skipped else ("error", "cannot be used")
    for problem, rows in groups.items():
        count = len(rows)
        words = f"{counted(count, 'row')} of {path} {what if count == 1 else what.replace('is', 'are')}: {problem}"
        remedy = "" if is_skipped else "mend them, or leave them out with skip_bad_rows=True"
        options = () if is_skipped else ("--skip-bad-rows",)
        yield Finding(level, "bad_rows", words, remedy, options, tuple(row.line for row in rows))


def _headless(survey: _Survey, read: LabelledFile) -> Iterable[Finding]:
    if survey.how.label_column in set(read.labels):
        words = f"the first line seems to be a row and not a header: {survey.how.label_column!r} is a label too"
        yield Finding("warning", "no_header", words, "put a line with the names of the columns above it", where=(1,))


def _likely_groups(path: str, survey: _Survey, taken: set[str]) -> Iterable[Finding]:
    """Find columns whose values look like customers, threads or templates: they repeat, and tell of the label."""
    text = {survey.how.text_column, *survey.how.text_column.split(",")}
    likely = [
        column.name
        for column in survey.columns
        if column.name not in {*text, survey.how.label_column, *taken}
        and FEWEST_GROUPS <= column.distinct < min(DISTINCT, column.filled - FEWEST_SHARING + 1)
    ]
    read = read_files([path], survey.how, strict=False, slices=dict.fromkeys(likely, "group_column="))[0]
    labels = np.unique(read.labels, return_inverse=True)[1] if likely else np.empty(0)
    for name in likely:
        cells = np.array(marks_of(read.columns, [name])[0])
        filled = np.array([bool(cell.strip()) for cell in cells.tolist()], dtype=bool)
        alike, chance = _agreement(np.unique(cells[filled], return_inverse=True)[1], labels[filled])
        is_named = not GROUP_NAMES.isdisjoint(label_form(name).split())
        if not is_named and alike < chance + MORE_ALIKE:
            continue
        values = counted(len(np.unique(cells[filled])), "value")
        words = f"column {name!r} looks like groups of rows: {values} in {counted(int(filled.sum()), 'row')}"
        same = f"{alike:.0%} of the pairs of rows within one have the same label, {chance:.0%} of all pairs"
        remedy = f"if rows of one group are alike, divide them by it: group_column={name!r}"
        yield Finding("note", "likely_groups", f"{words}; {same}", remedy)


def _agreement(groups: Indices, labels: Indices) -> tuple[float, float]:
    """Share of the pairs of rows with equal labels, given groups (n,) and labels (n,): within groups, and of all."""
    _, pairs = np.unique(np.column_stack([groups, labels]), axis=0, return_counts=True)
    same, within, equal, every = (
        float((counts * (counts - 1)).sum())
        for counts in (pairs, np.bincount(groups), np.bincount(labels), np.array([len(labels)]))
    )
    return same / max(within, 1), equal / max(every, 1)


def _as_taken(finding: Finding, how: Reading) -> Finding:
    """Drop --skip-bad-rows from a finding's options if it was given: blank texts are already left out."""
    return replace(finding, options=()) if how.skip_bad_rows and "--skip-bad-rows" in finding.options else finding


def _options(
    given: Reading, found: Iterable[Finding], held_out: str | None, test: str | None, asked: Mapping[str, object]
) -> tuple[str, ...]:
    """Options of the command: those given, needed and suggested."""
    reading = ("text_column", "label_column", "delimiter", "encoding", "format", "literal_quotes")
    usual = {name: getattr(Reading(), name) for name in reading} | USUAL
    values = {**{name: getattr(given, name) for name in reading}, **asked, "held_out": held_out, "test": test}
    words: list[str] = []
    for name, value in values.items():
        if value is not None and value is not False and value != usual.get(name):
            option = f"--{name.replace('_', '-')}"
            words += [option] if value is True else [option, str(value)]
    words += [word for rule in given.maps for word in ("--map", rule)]
    words += [word for label in given.dropped for word in ("--drop-label", label)]
    words += ["--skip-bad-rows"] * given.skip_bad_rows
    for finding in found:
        if finding.options != ("--skip-bad-rows",) or "--skip-bad-rows" not in words:
            words += finding.options
    return tuple(words)
