"""Labelled texts from files, for `check`, `fit`, `evaluate` and `compare`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from elsewise.data.formats import open_rows
from elsewise.data.labels import Relabelling
from elsewise.data.rows import (
    Columns,
    Row,
    Rows,
    is_null,
    merged_rows,
    options_of,
    own_names,
    problem_with,
    require_columns,
)
from elsewise.engines.tokenizer import is_visible
from elsewise.errors import InputError
from elsewise.messages.wording import at_lines, counted

DECIMALS = (".", ",")


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read files of rows: columns, format and fixes.

    Attributes
    ----------
    text_column, label_column : str
        Names of columns. Several text columns, separated by commas, are joined, unless a column has that name.
    delimiter, encoding, format, literal_quotes, sheet : str or None, bool
        As in `elsewise.data.formats.open_rows`.
    maps, dropped : tuple of str
        Rules such as ``old=new``, and labels whose rows are left out: see `elsewise.data.labels`.
    skip_bad_rows : bool
        True: leave out unusable rows and rows with a blank text. Default: refuse the file.
    decimal : {".", ","}
        Decimal sign of numbers, where columns hold numbers.
    """

    text_column: str = "text"
    label_column: str = "label"
    delimiter: str | None = None
    encoding: str | None = None
    format: str | None = None
    maps: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    skip_bad_rows: bool = False
    literal_quotes: bool = False
    decimal: str = "."
    sheet: str | None = None

    def __post_init__(self) -> None:
        if self.decimal not in DECIMALS:
            raise InputError(f"the decimal sign must be . or a comma, got {self.decimal!r}")

    def open(self, path: str) -> Rows:
        """Open a file of rows."""
        how = {name: getattr(self, name) for name in ("delimiter", "encoding", "format", "literal_quotes", "sheet")}
        return open_rows(path, **how)

    def text_columns(self, columns: tuple[str, ...], path: str) -> tuple[str, ...]:
        """Find the columns of a header that hold the texts; InputError for a missing column."""
        name = self.text_column
        named = (name,) if own_names([name], columns) != (None,) else tuple(part.strip() for part in name.split(","))
        return require_columns(columns, dict.fromkeys(named, "text_column="), path)


@dataclass(frozen=True, slots=True)
class BadRow:
    """An unusable row: its line, its number among the rows, and its problem, worded to follow "row 3"."""

    line: int
    number: int
    problem: str


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """Texts and labels of a file, in lists of equal length.

    Attributes
    ----------
    texts, labels : lists of str
        Texts, and their labels under the new names.
    lines, numbers : lists of int
        First line of each row in the file, and its number among all rows, from 1.
    notes : tuple of str
        How the file was read, and what was left out.
    bad : tuple of BadRow
        Unusable rows, which were left out.
    renamed, dropped : int
        Number of rows whose label was renamed, and of rows left out for their label.
    columns : mapping
        Cells of the columns in `slices`, by name.
    """

    texts: list[str]
    labels: list[str]
    lines: list[int]
    numbers: list[int]
    notes: tuple[str, ...]
    bad: tuple[BadRow, ...] = ()
    renamed: int = 0
    dropped: int = 0
    columns: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def rejected(self) -> int:
        """Number of unusable rows."""
        return len(self.bad)

    @property
    def record(self) -> dict[str, int]:
        """Number of rows left out or renamed, by kind; empty for none."""
        counts = {"bad": self.rejected, "renamed": self.renamed, "dropped": self.dropped}
        return {name: count for name, count in counts.items() if count}

    def mended(self, relabel: Relabelling) -> "LabelledFile":
        """Rename labels, and leave out the rows of dropped labels."""
        if not relabel.new and not relabel.dropped:
            return self
        new = [relabel(label) for label in self.labels]
        kept = [i for i, label in enumerate(new) if label is not None]
        renamed = sum(label in relabel.new for label in self.labels)
        dropped = len(new) - len(kept)
        counts = ((renamed, "renamed"), (dropped, "left out by label"))
        return replace(
            self,
            texts=[self.texts[i] for i in kept],
            labels=[label for label in new if label is not None],
            lines=[self.lines[i] for i in kept],
            numbers=[self.numbers[i] for i in kept],
            notes=(*self.notes, *(f"{counted(count, 'row')} {words}" for count, words in counts if count)),
            renamed=renamed,
            dropped=dropped,
            columns={name: [cells[i] for i in kept] for name, cells in self.columns.items()},
        )


def read_labelled(path: str, how: Reading, *, strict: bool, slices: Columns = ()) -> LabelledFile:
    """Read texts and labels of one file, as `read_files` does."""
    return read_files([path], how, strict=strict, slices=slices)[0]


def read_files(paths: Sequence[str], how: Reading, *, strict: bool, slices: Columns = ()) -> list[LabelledFile]:
    """Read the labelled texts of several files, or of stdin for ``-``.

    Every label named by `maps` or `dropped` must occur in one of them. `strict` refuses a file with an unusable row,
    unless `how` skips them; else they are left out. `slices` are further columns to read, or a mapping from them to the
    options that name them; cells are empty for keys that a row of JSON Lines lacks.

    InputError if a file or a column is missing, or, when strict, a row is unusable; the message names the line.
    """
    read = [_read(path, how, strict=strict, slices=slices) for path in paths]
    relabel = Relabelling.of(how.maps, how.dropped, {label for one in read for label in one.labels})
    return [one.mended(relabel) for one in read]


def _read(path: str, how: Reading, *, strict: bool, slices: Columns) -> LabelledFile:
    read = LabelledFile([], [], [], [], (), columns={name: [] for name in slices})
    bad: list[BadRow] = []
    with how.open(path) as file:
        columns = how.text_columns(file.columns, path)
        (label,) = require_columns(file.columns, {how.label_column: "label_column="}, path)
        own = dict(zip(read.columns, require_columns(file.columns, options_of(slices), path), strict=True))
        how = replace(how, label_column=label)
        for row in file:
            text, problem = labelled_text(row, columns, how)
            if problem:
                bad.append(BadRow(row.line, row.number, problem))
                continue
            read.texts.append(text)
            read.labels.append(row.cells[label])
            read.lines.append(row.line)
            read.numbers.append(row.number)
            for name, cells in read.columns.items():
                cells.append(row.cells.get(own[name], ""))
        notes = (*file.notes, *noted(file))
    if bad and strict and not how.skip_bad_rows:
        raise InputError(_refusal(path, bad))
    if bad:
        first = bad[0]
        left_out = f"{counted(len(bad), 'row')} left out: {at_lines([one.line for one in bad])}"
        found = f"first of the rejected rows: line {first.line} {first.problem}"
        notes = (*notes, left_out, found) if strict else (*notes, found)
    return replace(read, notes=notes, bad=tuple(bad))


def noted(file: Rows) -> tuple[str, ...]:
    """Say of a file that was read to its end which rows seem to be several."""
    if not file.merged:
        return ()
    words, remedy = merged_rows(file.merged)
    return (f"{words} ({at_lines(file.merged)}); {remedy}",)


def _refusal(path: str, bad: Sequence[BadRow]) -> str:
    first = f"{path} line {bad[0].line}: row {bad[0].number} {bad[0].problem}"
    if len(bad) == 1:
        return f"{first}; mend the row, or leave it out with skip_bad_rows=True"
    where = at_lines([row.line for row in bad])
    remedy = "elsewise check shows them all, skip_bad_rows=True leaves them out"
    return f"{first}\n{counted(len(bad), 'row')} cannot be used ({where}): {remedy}"


def labelled_text(row: Row, columns: tuple[str, ...], how: Reading) -> tuple[str, str | None]:
    """Read the text of a labelled row, and the problem of the row or None."""
    text, problem = text_of(row, columns)
    problem = problem or problem_with(row, (how.label_column,))
    if problem is None and not row.cells[how.label_column].strip():
        problem = f"has an empty label in {how.label_column!r}"
    if problem is None and how.skip_bad_rows and not is_visible(text):
        problem = "has a blank text"
    return text, problem


def text_of(row: Row, columns: tuple[str, ...]) -> tuple[str, str | None]:
    """Read the text of a row, several cells joined by blanks, and the problem of the row or None.

    Examples
    --------
    >>> row = Row(1, 2, {"subject": "Refund", "tags": " ", "body": "Where is it?"}, None, "")
    >>> text_of(row, ("subject", "tags", "body"))
    ('Refund Where is it?', None)
    """
    if len(columns) == 1 or row.problem:
        problem = problem_with(row, columns)
        return ("", problem) if problem else (row.cells[columns[0]], None)
    there = [name for name in columns if not is_null(row.cells.get(name))]
    problem = problem_with(row, there or columns)
    return ("", problem) if problem else (" ".join(row.cells[name] for name in there if row.cells[name].strip()), None)
