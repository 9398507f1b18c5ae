import csv as stdlib_csv
import io
import random
import tracemalloc

import numpy as np
import pytest

from elsewise.data import csv as ours
from elsewise.data.formats import open_rows, open_writer
from elsewise.errors import InputError


def read(data, **options):
    """Columns, rows and notes of these bytes (or this text)."""
    data = data.encode() if isinstance(data, str) else data
    with open_rows("-", stdin=io.BytesIO(data), format="csv", **options) as rows:
        return rows.columns, list(rows), rows.notes


def cells(data, **options):
    return [tuple(row.cells.values()) for row in read(data, **options)[1]]


def written(columns, *rows, **options):
    out = io.BytesIO()
    with open_writer("-", columns, stdout=out, **options) as writer:
        writer.write(rows)
    return out.getvalue()


class Endless(io.RawIOBase):
    """A file of `size` bytes that repeats `block` after `head`, made as it is read."""

    def __init__(self, head, block, size):
        self.held, self.block, self.left = head, block, size

    def readable(self):
        return True

    def readinto(self, buffer):
        while len(self.held) < len(buffer) and self.left > 0:
            self.held += self.block
            self.left -= len(self.block)
        n = min(len(buffer), len(self.held))
        buffer[:n], self.held = self.held[:n], self.held[n:]
        return n


def peak_of_reading(file):
    """The most megabytes held while reading all rows, the number of rows, and the error if any."""
    count, error = 0, None
    tracemalloc.start()
    try:
        with open_rows("-", stdin=io.BufferedReader(file)) as rows:
            for _ in rows:
                count += 1
    except InputError as raised:
        error = str(raised)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak / 1e6, count, error


@pytest.mark.parametrize(
    ("header", "columns", "note"),
    [
        ("text,label", ("text", "label"), "delimiter ',' (read from the header)"),
        ("text;label", ("text", "label"), "delimiter ';' (read from the header)"),
        ("text\tlabel", ("text", "label"), "delimiter tab (read from the header)"),
        ("text", ("text",), "delimiter ',' (assumed: the header has one column)"),
        ('x;"a,b,c"', ("x", "a,b,c"), "delimiter ';' (read from the header)"),
        ('"a,\n,b";c', ("a,\n,b", "c"), "delimiter ';' (read from the header)"),
        ('"say ""a,b,c""";d', ('say "a,b,c"', "d"), "delimiter ';' (read from the header)"),
        ('size 5",text', ('size 5"', "text"), "delimiter ',' (read from the header)"),
        ("a,b;c", ("a", "b;c"), "delimiter ',' (read from the header)"),
    ],
)
def test_the_delimiter_is_read_from_the_header_outside_quotes(header, columns, note):
    found, rows, notes = read(header + "\n")

    assert (found, rows, notes[0]) == (columns, [], note)


@pytest.mark.parametrize(("given", "data"), [("|", "a|b\n1|2\n"), ("\\t", "a\tb\n1\t2\n"), ("tab", "a\tb\n1\t2\n")])
def test_a_given_delimiter_wins(given, data):
    assert cells(data, delimiter=given) == [("1", "2")]


@pytest.mark.parametrize("given", ["||", '"', "\n"])
def test_a_delimiter_that_cannot_be_one_is_refused(given):
    with pytest.raises(InputError, match=r"the delimiter must be one character"):
        read("a,b\n", delimiter=given)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_does_and_line_numbers_count_quoted_ones(end):
    data = end.join(["text,label", f'"one{end}two",a', "", "three,b", ""])

    rows = read(data)[1]

    assert [(row.number, row.line) for row in rows] == [(1, 2), (2, 5)]
    assert rows[0].cells["text"] == f"one{end}two"


def test_line_ends_may_be_mixed():
    rows = read("text,label\r\na,1\rb,2\nc,3\r\r\nd,4")[1]

    assert [(row.line, *row.cells.values()) for row in rows] == [
        (2, "a", "1"),
        (3, "b", "2"),
        (4, "c", "3"),
        (6, "d", "4"),
    ]


def test_only_cr_and_lf_end_a_line():
    assert cells("a,b\nx\x0by\x0cz\x1c\u2028,\x85\u2029\n") == [("x\x0by\x0cz\x1c\u2028", "\x85\u2029")]


def test_cells_are_text_and_nothing_else():
    odd = ("01", "NA", "true", "1.0", "", " x ", "null", "1e5", "=1+1", "\0", "👍🏽")

    assert cells("a,b,c,d,e,f,g,h,i,j,k\n" + ",".join(odd)) == [odd]


def test_blank_lines_are_no_rows_and_quoted_empty_cells_are():
    _, rows, _ = read('\n\ntext\n\n""\n\nhello\n')

    assert [(row.number, row.line, row.cells["text"]) for row in rows] == [(1, 5, ""), (2, 7, "hello")]


def test_a_row_with_the_wrong_number_of_fields_has_a_problem_and_keeps_its_text():
    short, good, long = read('a,b\n1\n1,2\n1,"2\n3",4\n')[1]

    assert (short.problem, short.raw, short.cells) == ("has 1 field, the header has 2", "1", {})
    assert (good.problem, good.line) == (None, 3)
    assert (long.problem, long.raw, long.line) == ("has 3 fields, the header has 2", '1,"2\n3",4', 4)


def test_text_after_a_closing_quote_is_a_problem_and_the_next_line_is_read():
    bad, good = read('a,b\n"x"y,1\nz,2\n')[1]

    assert bad.problem.startswith("is badly quoted")
    assert (bad.raw, bad.line) == ('"x"y,1', 2)
    assert (good.number, good.line, good.cells) == (2, 3, {"a": "z", "b": "2"})


def test_a_stray_quote_costs_its_own_line_and_not_those_it_swallowed():
    data = 'a,b\n"stray,1\n' + "x,2\n" * 50 + 'y,"quoted"\n"two\nlines",3\n'

    bad, *good = read(data)[1]

    assert (bad.line, bad.raw) == (2, '"stray,1')
    assert [row.problem for row in good] == [None] * 52
    assert [row.line for row in good] == [*range(3, 53), 53, 54]
    assert good[-1].cells["a"] == "two\nlines"


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ('a,b\nx,1\n"y,2\nz,3\n', 3),
        ('a,b\nx,1\n"two\nlines","open\nz,3', 4),
        ('a,b\r\nx,1\r\ny,"', 3),
        ('a,"b\nx,1\n', 1),
    ],
)
def test_an_unclosed_quote_is_refused_with_the_line_that_opened_it(data, line):
    with pytest.raises(InputError, match=rf"^stdin line {line}: a quote opened here is not closed to the end"):
        read(data)


def test_an_unclosed_quote_does_not_hold_the_whole_file():
    peak, count, error = peak_of_reading(Endless(b'a,b\n1,2\n3,"', b"%s\n" % (b"some more text, " * 4096), 100_000_000))

    assert count == 1
    assert error.startswith("stdin line 3: a quote opened here is not closed for 16,777,")
    assert peak < 200


def test_quotes_wrong_in_every_line_end_in_an_error_and_not_in_hours(monkeypatch):
    monkeypatch.setattr(ours, "REREAD_LIMIT", 10_000)

    with pytest.raises(InputError, match=r"too many cells are badly quoted"):
        read("a,b\n" + 'x","y\n' * 2000 + '"z"z\n')


@pytest.mark.parametrize("data", ["", "\n\n", "\ufeff", "\ufeff\n"])
def test_an_empty_file_is_refused(data):
    with pytest.raises(InputError, match=r"^stdin is empty$"):
        read(data)


def test_a_header_alone_is_no_rows():
    assert read("text,label")[:2] == (("text", "label"), [])


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("a,b,a,c,b\n", "stdin has more than one column named 'a', 'b'; rename all but one"),
        ("a,, \n", "stdin: column 2, 3 of 3 has no name in the header; give it one"),
        ('"a"x,b\n', "stdin: the header is badly quoted"),
    ],
)
def test_a_header_that_names_nothing_or_twice_is_refused(header, message):
    with pytest.raises(InputError) as raised:
        read(header)

    assert str(raised.value).startswith(message)


@pytest.mark.parametrize("size", [2_000_000, 10_000_000])
def test_a_huge_cell_passes(size):
    [(text, label)] = cells("text,label\n" + "x" * size + ",1\n")

    assert (len(text), label) == (size, "1")


def test_the_process_wide_field_limit_is_only_ever_raised():
    before = stdlib_csv.field_size_limit(1 << 40)
    try:
        read("a\n1\n")
        assert stdlib_csv.field_size_limit() == 1 << 40
    finally:
        stdlib_csv.field_size_limit(before)


@pytest.mark.slow
def test_reading_50_megabytes_holds_less_than_10():
    rows = b"".join(b'%d,"%s",label\n' % (i, b"some, text of a ticket. " * 100) for i in range(100))

    peak, count, error = peak_of_reading(Endless(b"id,text,label\n", rows, 50_000_000))

    assert (error, count % 100) == (None, 0)
    assert count > 20_000
    assert peak < 10


def test_agrees_with_the_csv_module_wherever_that_finds_nothing_wrong():
    """A thousand scrambled files: the same cells as csv.reader(strict=True), and no line is lost."""
    draw = random.Random(1)
    for _ in range(1000):
        body = "".join(draw.choices(['"', ",", "\n", "\r\n", "a", "é", '""', 'b"', '"c",'], k=draw.randrange(25)))
        data = "p,q\n" + body
        try:
            expected = [row for row in stdlib_csv.reader(io.StringIO(data, newline=""), strict=True) if row][1:]
        except stdlib_csv.Error:
            expected = None

        try:
            rows = read(data)[1]
        except InputError as error:
            assert "is not closed to the end" in str(error)  # noqa: PT017  one of two outcomes
            assert expected is None
            continue

        kept = "".join(row.raw for row in rows)
        assert kept.replace("\r", "").replace("\n", "") == body.replace("\r", "").replace("\n", "")
        if expected is not None:
            assert [list(row.cells.values()) for row in rows if not row.problem] == [c for c in expected if len(c) == 2]
            assert len(rows) == len(expected)


def test_numbers_booleans_and_nothing_are_written_by_rule():
    columns = tuple("abcdefgh")
    values = (True, 0.1, float("nan"), float("inf"), None, np.float64(1e-7), np.bool_(0), np.int64(3))

    data = written(columns, dict(zip(columns, values, strict=True)))

    assert data == b"a,b,c,d,e,f,g,h\ntrue,0.1,,inf,,1e-07,false,3\n"


def test_line_breaks_and_commas_are_quoted_and_the_file_ends_lines_in_lf():
    assert written(["a", "b"], {"a": "x\ry", "b": "1,2"}, {"b": "\n"}) == b'a,b\n"x\ry","1,2"\n,"\n"\n'


def test_an_empty_cell_of_the_only_column_is_quoted_lest_it_be_a_blank_line():
    assert written(["a"], {"a": ""}) == b'a\n""\n'


def test_a_lone_surrogate_becomes_the_replacement_character():
    assert written(["a"], {"a": "x\ud800y"}).decode() == "a\nx\ufffdy\n"


def test_a_column_that_the_header_lacks_is_refused_and_not_dropped():
    with pytest.raises(InputError, match=r"a row has 'b', which the header of the CSV file lacks"):
        written(["a"], {"b": "1"})


def test_a_list_is_no_cell():
    with pytest.raises(TypeError, match=r"a CSV cell must be"):
        written(["a"], {"a": [1]})


def test_tsv_means_tab_both_ways(tmp_path):
    path = tmp_path / "x.TSV"
    with open_writer(path, ["a;b", "c"]) as writer:
        writer.write([{"a;b": "1,2", "c": "3\t4"}])

    assert path.read_bytes() == b'a;b\tc\n1,2\t"3\t4"\n'
    with open_rows(path) as rows:
        assert [row.cells for row in rows] == [{"a;b": "1,2", "c": "3\t4"}]


# The line sep= of Excel


@pytest.mark.parametrize("first", ["sep=;\r\n", "SEP=;\n", '"sep=;"\r\n', "\ufeffsep=;\n"])
def test_the_first_line_of_excel_names_the_delimiter_and_is_no_header(first):
    columns, rows, notes = read(first + "text;label\r\nwhere, is it;delivery\r\n")

    assert columns == ("text", "label")
    assert [(row.number, row.line, row.cells["text"]) for row in rows] == [(1, 3, "where, is it")]
    assert notes[0] == "delimiter ';' (named by its first line, sep=;)"


def test_the_first_line_of_excel_is_dropped_where_the_delimiter_is_given():
    assert cells("sep=;\na|b\n1|2\n", delimiter="|") == [("1", "2")]


@pytest.mark.parametrize("header", ["sep=;,text", "sep=,text", "sep,text"])
def test_sep_is_a_header_like_any_other_beside_other_columns(header):
    assert read(f"{header}\n1,2\n")[0] == tuple(header.split(","))


# Quotes that enclose nothing

BARE = 'text\tlabel\n"quoted first\ta\nplain\ta\nplain too"\tb\nlast\tb\n'


def test_tab_separated_rows_that_a_quote_has_merged_are_counted_with_their_line():
    with open_rows("-", stdin=io.BytesIO(BARE.encode()), format="tsv") as rows:
        found = list(rows)

    assert len(found) == 2
    assert rows.merged == [2]


def test_a_quote_may_be_a_character_like_any_other():
    assert cells(BARE, delimiter="\t", literal_quotes=True) == [
        ('"quoted first', "a"), ("plain", "a"), ('plain too"', "b"), ("last", "b")
    ]  # fmt: skip
    assert cells('"a;b"\n"1;"2\n', literal_quotes=True) == [('"1', '"2')]


@pytest.mark.parametrize("data", ['text\tlabel\n"two\nlines"\ta\n"a\ttab"\tb\n', 'text,label\n"two,\nlines\t"\ta\n'])
def test_quoted_cells_with_line_ends_alone_or_in_files_with_commas_are_no_merged_rows(data):
    with open_rows("-", stdin=io.BytesIO(data.encode())) as rows:
        assert list(rows)

    assert list(rows.merged) == []


@pytest.mark.parametrize("data", ['a\tb\n"never closed\t1\nx\t2\n', 'a\tb\n"x"y\t1\n'])
def test_a_quote_that_is_wrong_in_a_tab_separated_file_may_be_a_character(data):
    try:
        said = read(data, delimiter="\t")[1][0].problem
    except InputError as error:
        said = str(error)

    assert said.endswith("or read quotes as characters with literal_quotes=True")
    assert "literal" not in str(read('a,b\n"x"y,1\n')[1][0].problem)
