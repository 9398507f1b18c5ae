"""CSV and TSV: a header, then one record a row (RFC 4180), all cells text.

Reads ``,`` ``;`` and tab, any line ends, line breaks in quoted cells, NUL, and the line ``sep=;`` of Excel. Writes
UTF-8 with LF line ends. Types are not guessed, and formulas are written as they are: the output is for programs, unless
it is asked for Excel.
"""

import csv
import math
import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from elsewise.data.lines import LIMIT, Lines
from elsewise.data.rows import Cells, Row, Rows, column_names, is_null, refuse_repeats
from elsewise.errors import InputError
from elsewise.messages.wording import counted

HAS_HEADER = True
DELIMITERS = (",", ";", "\t")  # the first wins a tie
SPOKEN = {"\\t": "\t", "tab": "\t"}  # what people type for a tab in a shell
HEADER_LIMIT = 1 << 16  # characters looked at to find the delimiter
REREAD_LIMIT = 1 << 26  # characters: a file with a bad quote in every line must not take quadratic time
FIELD_LIMIT = 2 * LIMIT  # characters; above LIMIT, whose error names the line
QUOTED = r'"[^"]*+(?:""[^"]*+)*+("?)'  # group 1 is empty if the quote is never closed
SEP_LINE = re.compile(r'"?sep=([^"\r\n])"?[\r\n]*', re.IGNORECASE)  # Excel's: it names the delimiter, and is no header
FORMULA = re.compile(r"[=+@\t\r-]")  # what Excel takes for the beginning of one
NO_FORMULA = re.compile(r"[+-][\d\s.,:/()%-]*")  # a number, a date or a telephone number
LITERAL = "read quotes as characters with literal_quotes=True"
Record = tuple[int, int, list[str], str, str | None]  # line, bytes before it, cells, raw text, problem
LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def read(lines: Lines, delimiter: str | None = None, *, literal_quotes: bool = False) -> Rows:
    r"""Read the header, and return the rows, which are read lazily.

    Blank lines are skipped; in a file of one column an empty cell is written ``""``. A row with a wrong number of
    fields, or with text after a closing quote, has a problem; in the second case only its first line is dropped. With
    `literal_quotes` a quote is a character like any other. Raises ``csv.field_size_limit``, which holds for the whole
    process, and never lowers it.

    InputError for no header, a column without a name, a repeated column name, or a delimiter that is not one character;
    while reading, for a byte not in the encoding, and a quote that is never closed.
    """
    csv.field_size_limit(max(csv.field_size_limit(), FIELD_LIMIT))
    feed = _Feed(lines)
    chosen, how = _delimiter(delimiter, _sep_line(feed), feed, literal_quotes=literal_quotes)
    records = _records(feed, chosen, literal_quotes=literal_quotes)
    _, _, columns, raw, problem = next(records, (0, 0, [], "", None))
    if problem:
        raise InputError(f"{lines.name}: the header {problem}: {raw[:80]!r}")
    _check_header(columns, lines.name)
    shown = "tab" if chosen == "\t" else f"'{chosen}'"
    merged: list[int] = []
    rows = _rows(records, tuple(columns), merged if chosen == "\t" else None)
    return Rows(lines, tuple(columns), (f"delimiter {shown} ({how})",), rows, chosen, merged)


def _check_header(columns: list[str], name: str) -> None:
    if not columns:
        raise InputError(f"{name} is empty")
    blank = [number for number, column in enumerate(columns, 1) if not column.strip()]
    if blank:
        which = ", ".join(map(str, blank[:12]))
        raise InputError(f"{name}: column {which} of {len(columns)} has no name in the header; give it one")
    if any("\0" in column for column in columns):
        way = "be" if columns[0].startswith("\0") else "le"
        raise InputError(f"{name} has NUL in its header: {column_names(columns)}; is it encoding='utf-16-{way}'?")
    refuse_repeats(columns, name)


class _Feed:
    """Lines for csv.reader; keeps the lines of the present record, to read them again."""

    def __init__(self, lines: Lines) -> None:
        self.name = lines.name
        self.lines = iter(lines)
        self.again: deque[str] = deque()  # lines to read again
        self.taken: list[str] = []  # lines of the present record
        self.line = 1  # first line of that record
        self.byte = lines.start  # bytes before it
        self.size = lines.size
        self.ended = False
        self.reread = 0

    def next_line(self) -> str | None:
        """Take the next line; None at the end."""
        return self.again.popleft() if self.again else next(self.lines, None)

    def __iter__(self) -> Iterator[str]:
        size, again, lines = 0, self.again, self.lines
        while True:
            line = again.popleft() if again else next(lines, None)
            if line is None:
                self.ended = True
                return
            size = size + len(line) if self.taken else len(line)
            self.taken.append(line)
            if size > LIMIT and len(self.taken) > 1:
                return  # csv.reader now raises as at the end of the file
            yield line

    def done(self, lines: int) -> str:
        """Mark the first `lines` of the record as read, the others as unread; return the text of the read ones."""
        gone, rest, self.taken = self.taken[:lines], self.taken[lines:], []
        self.again.extendleft(reversed(rest))
        self.reread += sum(map(len, rest))
        self.line += lines
        self.byte += sum(map(self.size, gone))
        return "".join(gone).rstrip("\r\n")


def _sep_line(feed: _Feed) -> str | None:
    """Drop the line ``sep=;`` where the file begins with it, and give the delimiter that it names."""
    line = feed.next_line()
    found = SEP_LINE.fullmatch(line or "")
    if found:
        feed.line += 1
        feed.byte += feed.size(found[0])
        return found[1]
    feed.again.extend([] if line is None else [line])
    return None


def _delimiter(given: str | None, named: str | None, feed: _Feed, *, literal_quotes: bool) -> tuple[str, str]:
    if given is not None:
        delimiter = SPOKEN.get(given, given)
        if len(delimiter) != 1 or delimiter in '"\r\n':
            raise InputError(f"the delimiter must be one character, not a quote or a line end, got {given!r}")
        return delimiter, "given"
    if named:
        return named, f"named by its first line, sep={named}"
    header = _header(feed, literal_quotes=literal_quotes)
    counts = [header.count(delimiter) for delimiter in DELIMITERS]
    found = max(counts)
    return DELIMITERS[counts.index(found)], "read from the header" if found else "assumed: the header has one column"


def _header(feed: _Feed, *, literal_quotes: bool) -> str:
    """Return the header without its quoted cells; its lines are read again later."""
    cell = re.compile("(?!)" if literal_quotes else r"(?:^|(?<=[,;\t]))" + QUOTED)
    text, looked = "", []
    while (line := feed.next_line()) is not None:
        looked.append(line)
        text = (text + line).lstrip("\r\n")
        is_open = any(not match[1] for match in cell.finditer(text))
        if (text and not is_open) or len(text) > HEADER_LIMIT:
            break
    feed.again.extend(looked)
    return cell.sub("", text)


def _records(feed: _Feed, delimiter: str, *, literal_quotes: bool) -> Iterator[Record]:
    """Yield line, byte, cells, raw text and problem of each record that is not blank."""
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    if literal_quotes:
        reader = csv.reader(feed, delimiter=delimiter, strict=True, quoting=csv.QUOTE_NONE)
    remedy = f", or {LITERAL}" if delimiter == "\t" else ""
    while True:
        line, byte = feed.line, feed.byte
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            _refuse_unclosed(feed, delimiter, remedy)
            raw = feed.done(1)
            yield line, byte, [], raw, f"is badly quoted ({error}); double the quotes inside a quoted cell{remedy}"
            continue
        raw = feed.done(len(feed.taken))
        if cells:
            yield line, byte, cells, raw, None


def _refuse_unclosed(feed: _Feed, delimiter: str, remedy: str) -> None:
    if feed.reread > REREAD_LIMIT:
        raise InputError(f"{feed.name} line {feed.line}: too many cells are badly quoted; write the file anew")
    size = sum(map(len, feed.taken))
    if not feed.ended and size <= LIMIT:
        return
    text = "".join(feed.taken)
    cells = re.finditer(f"(?:^|(?<={re.escape(delimiter)}))" + QUOTED, text)
    start = max((match.start() for match in cells if not match[1]), default=0)
    line = feed.line + len(re.findall("\r\n|\r|\n", text[:start]))
    till = "to the end of the file" if feed.ended else f"for {size:,} characters"
    words = f"a quote opened here is not closed {till}; close it or take it out{remedy}"
    raise InputError(f"{feed.name} line {line}: {words}")


def _rows(records: Iterator[Record], columns: tuple[str, ...], merged: list[int] | None) -> Iterator[Row]:
    """Yield rows; put the lines of those with tabs and a line end in one cell into `merged`, if that is a list."""
    width = len(columns)
    for number, (line, byte, cells, raw, problem) in enumerate(records, 1):
        if merged is not None and "\n" in raw and any("\n" in cell and "\t" in cell for cell in cells):
            merged.append(line)
        if len(cells) == width:
            yield Row(number, line, dict(zip(columns, cells, strict=True)), None, raw, byte)
        else:
            ragged = f"has {counted(len(cells), 'field')}, the header has {width}"
            yield Row(number, line, {}, problem or ragged, raw, byte)


def encoder(
    columns: tuple[str, ...], delimiter: str = ",", *, excel: bool = False, safe: bool = False
) -> Callable[[Cells], bytes]:
    r"""Make the function that encodes one row; a missing column is an empty cell.

    For Excel, and where it is to be safe in spreadsheets, a text that would be a formula begins with an apostrophe. For
    Excel, numbers have a comma beside semicolons.

    Booleans are true and false, floats in shortest exact form or ``inf``, NaN and None empty. A lone surrogate, which
    UTF-8 cannot encode, becomes U+FFFD. The function raises InputError for a column that the header lacks.

    Examples
    --------
    >>> encoder(("text", "label", "confidence"))({"text": "yes, please", "label": "01", "confidence": 0.1})
    b'"yes, please",01,0.1\n'
    """
    # csv.writer quotes CR and LF only if they are in its line end, which is why it ends in both.
    known = frozenset(columns)
    quote = csv.writer(_Echo(), delimiter=SPOKEN.get(delimiter, delimiter), lineterminator="\r\n").writerow
    has_commas = excel and delimiter == ";"

    def encode(row: Cells) -> bytes:
        cells = [value if type(value := row.get(column)) is str else _cell(value) for column in columns]
        if excel or safe:
            given = (row.get(column) for column in columns)
            cells = [_for_excel(cell, value, has_commas=has_commas) for cell, value in zip(cells, given, strict=True)]
        if not known.issuperset(row):
            late = column_names(sorted(row.keys() - known))
            raise InputError(f"a row has {late}, which the header of the CSV file lacks; write a .jsonl file instead")
        text = str(quote(cells))[:-2] + "\n"
        return (text if text.isascii() else LONE_SURROGATE.sub("\ufffd", text)).encode()

    return encode


def _for_excel(cell: str, value: object, *, has_commas: bool) -> str:
    r"""Write a cell so that Excel shows the text, and reads the number of a country that writes decimal commas.

    Examples
    --------
    >>> [_for_excel(cell, cell, has_commas=True) for cell in ("=1+1", "-5", "+90 212 123", "2.5")]
    ["'=1+1", '-5', '+90 212 123', '2.5']
    """
    if isinstance(value, str):
        return f"'{cell}" if FORMULA.match(cell) and not NO_FORMULA.fullmatch(cell) else cell
    return cell.replace(".", ",") if has_commas else cell


class _Echo:
    """A file for csv.writer that returns the line, as writerow returns what write returns."""

    def write(self, line: str) -> str:
        return line


def _cell(value: Any) -> str:
    if is_null(value):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "" if math.isnan(value) else float.__repr__(value)  # repr of a numpy float is np.float64(...)
    if isinstance(value, (str, int)):
        return str(value)
    if hasattr(value, "item"):  # a numpy scalar
        return _cell(value.item())
    raise TypeError(f"a CSV cell must be text, a number, a boolean or None, got {type(value).__name__}")
