import io
import os
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elsewise.data import lines as lines_module
from elsewise.data.formats import FORMATS, open_rows, open_writer, same_file
from elsewise.data.rows import output_names, require_columns
from elsewise.errors import InputError

ODD = ["", " ", ",", ";", "\t", '"', '""', "a\nb", "a\r\nb", "\r", "👍🏽", "\0", "007", "NA", "true", "1.0", "null"]
ODD += ["\ufeff", "\u2028", "\x85", "\\", "\\n", "=1+1", "{", "'", "NaN", "\U0010ffff", "\u0131 İ ß"]
NAMES = {"csv": "tickets.csv", "jsonl": "tickets.jsonl"}

every_format = pytest.mark.parametrize("suffix", FORMATS)


def round_trip(suffix, columns, rows):
    out = io.BytesIO()
    with open_writer("-", columns, format=suffix, stdout=out) as writer:
        writer.write(rows)
    with open_rows("-", format=suffix, stdin=io.BytesIO(out.getvalue())) as found:
        return found.columns, [row.cells for row in found]


@every_format
def test_odd_cells_come_back_as_they_were(suffix):
    rows = [{"text": cell, "label": other} for cell, other in zip(ODD, reversed(ODD), strict=True)]

    assert round_trip(suffix, ["text", "label"], rows) == (("text", "label"), rows)


@every_format
def test_odd_cells_of_an_only_column_come_back_as_they_were(suffix):
    rows = [{"text": cell} for cell in ODD]

    assert round_trip(suffix, ["text"], rows) == (("text",), rows)


@every_format
@settings(derandomize=True, max_examples=60, deadline=None, database=None)
@given(
    st.lists(
        st.tuples(st.text(), st.text(alphabet=st.sampled_from(',;\t"\n\r\0 a\ud83d'), max_size=8)),
        min_size=1,
        max_size=4,
    )
)
def test_any_cells_come_back_as_they_were(suffix, cells):
    rows = [{"text": text, "label": label.replace("\ud83d", "é")} for text, label in cells]

    assert round_trip(suffix, ["text", "label"], rows)[1] == rows


@every_format
def test_no_rows_are_written_as_no_rows(suffix, tmp_path):
    path = tmp_path / f"none{suffix}"
    with open_writer(path, ["text"]):
        pass

    assert path.read_bytes() in (b"text\n", b"")


@every_format
def test_a_failure_midway_leaves_the_old_file_and_nothing_else(suffix, tmp_path):
    path = tmp_path / f"out{suffix}"
    path.write_text("old")

    def rows():
        yield {"text": "new"}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), open_writer(path, ["text"]) as writer:
        writer.write(rows())

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "out.csv"
    with open_writer(path, ["text"]) as writer:
        writer.write([{"text": "a"}])
        assert not path.exists()

    assert path.read_text() == "text\na\n"


def test_a_file_keeps_its_permissions_and_a_link_its_place(tmp_path):
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)

    with open_writer(link, ["text"]):
        pass

    assert link.is_symlink()
    assert (real.read_text(), real.stat().st_mode & 0o777) == ("text\n", 0o640)


def test_a_device_is_written_to_and_not_replaced():
    with open_writer("/dev/null", ["text"]) as writer:
        writer.write([{"text": "a"}])

    assert not os.path.isfile("/dev/null")  # noqa: PTH113  False for a device


def test_a_full_disk_is_one_line():
    with (
        pytest.raises(InputError, match=r"^/dev/full cannot be written: no space left on device$"),
        open_writer("/dev/full", ["text"]) as writer,
    ):
        writer.write({"text": "a" * 10_000} for _ in range(10))


def test_a_broken_pipe_is_left_to_the_caller():
    reading, writing = os.pipe()
    os.close(reading)
    pipe = os.fdopen(writing, "wb", buffering=0)
    with pytest.raises(BrokenPipeError), pipe, open_writer("-", ["text"], stdout=pipe) as writer:
        writer.write([{"text": "a"}])


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", " is a folder, not a file"),
        ("no/out.csv", "cannot be written: there is no folder"),
        ("file.csv/out.csv", "cannot be written: not a directory"),
        ("out.docx", "cannot tell the format from '.docx'; name it with format= (csv, tsv, jsonl, ndjson)"),
    ],
)
def test_a_place_that_cannot_be_written_is_one_line(tmp_path, path, message):
    (tmp_path / "file.csv").touch()

    with pytest.raises(InputError) as raised, open_writer(tmp_path / path, ["text"]):
        pass

    assert message in str(raised.value)


def test_two_output_columns_of_one_name_are_refused():
    with pytest.raises(InputError, match=r"the output has more than one column named 'a'"), open_writer("-", "aba"):
        pass


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none.csv", "none.csv does not exist"),
        ("", " is a folder, not a file"),
        ("data.docx", "cannot tell the format from '.docx'; name it with format= (csv, tsv, jsonl, ndjson)"),
        ("a\0b.csv", "cannot be read: embedded null byte"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(tmp_path, path, message):
    (tmp_path / "data.docx").write_text("text\n")

    with pytest.raises(InputError) as raised:
        open_rows(tmp_path / path if path else tmp_path)

    assert message in str(raised.value)


def test_an_unknown_format_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(InputError, match=r"unknown format 'xml'; the formats are csv, tsv, jsonl, ndjson"):
        open_rows("-", format="xml", stdin=io.BytesIO(b"a"))


def test_a_format_given_wins_over_the_suffix(tmp_path):
    path = tmp_path / "tickets.txt"
    path.write_text("text\thello\n")

    with open_rows(path, format="tsv") as rows:
        assert rows.columns == ("text", "hello")


def test_a_path_without_suffix_is_looked_into(tmp_path):
    path = tmp_path / "63"
    path.write_text('{"text": "a"}\n')

    with open_rows(path) as rows:
        assert rows.columns == ("text",)


@pytest.mark.parametrize(
    ("data", "encoding", "note"),
    [
        ("text,ü\nş,1\n".encode(), None, "encoding utf-8"),
        ("text,ü\nş,1\n".encode("utf-8-sig"), None, "encoding utf-8 with byte order mark"),
        ("text,ü\nş,1\n".encode("utf-8-sig"), "UTF8", "encoding utf-8 with byte order mark"),
        ("text,ü\nş,1\n".encode("utf-16"), "utf-16", "encoding utf-16 with byte order mark"),
        ("\ufefftext,ü\nş,1\n".encode("utf-16-be"), "utf-16-be", "encoding utf-16-be with byte order mark"),
        ("text,ü\nş,1\n".encode("utf-16-le"), "utf-16-le", "encoding utf-16-le"),
        ("text,ü\nş,1\n".encode("cp1254"), "cp1254", "encoding cp1254"),
    ],
)
@pytest.mark.parametrize("block", [1, 3, 1 << 18])
def test_an_encoding_is_obeyed_and_said(data, encoding, note, block, monkeypatch):
    monkeypatch.setattr(lines_module, "BLOCK", block)
    with open_rows("-", encoding=encoding, stdin=io.BytesIO(data)) as rows:
        assert rows.columns == ("text", "ü")
        assert rows.notes[-1] == note
        assert [row.cells for row in rows] == [{"text": "ş", "ü": "1"}]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("block", [1, 2, 5, 1 << 18])
def test_a_byte_of_another_encoding_is_named_with_its_line_and_a_remedy(end, block, monkeypatch):
    monkeypatch.setattr(lines_module, "BLOCK", block)
    data = (
        end.join(["text,label", "iyi,1", "kötü,2", "\u0131ş\u0131k"])
        .encode("cp1254")
        .replace(b"\xf6\x74\xfc", "ötü".encode())
    )

    with pytest.raises(InputError) as raised, open_rows("-", stdin=io.BytesIO(data)) as rows:
        list(rows)

    remedy = "try encoding='cp1254' (Turkish Excel) or cp1252"
    assert str(raised.value) == f"stdin line 4: byte 0xfd is not utf-8; {remedy}"


def test_rows_before_a_bad_byte_are_given_first():
    found = []
    with (
        pytest.raises(InputError, match=r"line 3: byte 0xff"),
        open_rows("-", stdin=io.BytesIO(b"text\na\n\xff\n")) as rows,
    ):
        found.extend(row.cells["text"] for row in iter(rows))

    assert found == ["a"]


def test_a_character_cut_off_at_the_end_is_a_bad_byte():
    with (
        pytest.raises(InputError, match=r"stdin line 2: byte 0xc3 is not utf-8"),
        open_rows("-", stdin=io.BytesIO(b"text\na\xc3")) as rows,
    ):
        list(rows)


def test_a_byte_that_cp1252_lacks_is_refused_with_other_remedies():
    with (
        pytest.raises(InputError, match=r"byte 0x81 is not cp1252; try encoding='utf-8' or cp1254"),
        open_rows("-", encoding="cp1252", stdin=io.BytesIO(b"text\n\x81\n")) as rows,
    ):
        list(rows)


@pytest.mark.parametrize(("encoding", "data"), [("utf-16", "text\n"), ("utf-32", "text\n")])
def test_the_byte_order_mark_of_another_encoding_names_it(encoding, data):
    with pytest.raises(InputError, match=rf"stdin starts with the byte order mark of {encoding}; read it with enc"):
        open_rows("-", stdin=io.BytesIO(data.encode(encoding)))


def test_a_utf_8_mark_under_another_encoding_is_no_silent_mojibake():
    with pytest.raises(InputError, match=r"the byte order mark of utf-8; read it with encoding='utf-8'"):
        open_rows("-", encoding="cp1254", stdin=io.BytesIO("\ufefftext\n".encode()))


def test_utf_16_without_a_mark_is_guessed_at_in_the_message():
    with pytest.raises(InputError, match=r"NUL in its header: .*; is it encoding='utf-16-le'"):
        open_rows("-", stdin=io.BytesIO("text,label\n".encode("utf-16-le")))


@pytest.mark.parametrize("name", ["cp12540", "hex", "rot13", "a\0b"])
def test_an_unknown_encoding_is_refused(name):
    with pytest.raises(InputError, match=r"unknown encoding .*; try utf-8, utf-16, cp1254 or cp1252"):
        open_rows("-", encoding=name, stdin=io.BytesIO(b"a"))


@every_format
def test_a_line_without_end_is_refused_and_not_held(suffix):
    block = b'{"text": "a"}\n' if "j" in suffix or "n" in suffix else b"text\n"
    data = block + b"x" * (lines_module.LIMIT + lines_module.BLOCK * 2)

    with (
        pytest.raises(InputError, match=r"stdin line 2 is longer than 16,777,216 characters"),
        open_rows("-", format=suffix, stdin=io.BytesIO(data)) as rows,
    ):
        list(rows)


def test_reading_error_is_one_line():
    class Broken(io.RawIOBase):
        def read(self, size=-1):
            raise OSError(5, "Input/output error")

    with pytest.raises(InputError, match=r"^stdin cannot be read: input/output error$"):
        open_rows("-", stdin=Broken())


def test_rows_of_a_pipe_come_as_they_are_written():
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb", buffering=0) as source:
        source.write(b"text\nfirst\n")
        with open_rows("-", stdin=pipe) as rows:
            assert next(iter(rows)).cells == {"text": "first"}
            assert not pipe.closed
        assert not pipe.closed


def test_stdin_and_stdout_are_the_real_ones_unless_said(monkeypatch):
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"text\na\n")))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out))

    with open_rows("-") as rows, open_writer("-", rows.columns) as writer:
        writer.write(row.cells for row in rows)

    assert out.getvalue() == b"text\na\n"


@pytest.mark.parametrize("columns", [[], ["body", "topic"], [f"c{i}" for i in range(50)]])
def test_a_missing_column_is_named_with_those_there_and_the_option(columns):
    with pytest.raises(InputError) as raised:
        require_columns(columns, {"text": "text_column="}, "tickets.csv")

    message = str(raised.value)
    assert message.startswith("tickets.csv has no column 'text'; it has ")
    assert message.endswith("; name the right one with text_column=")
    assert len(message) < 200


def test_columns_that_are_there_pass():
    require_columns(["label", "text"], {"text": "text_column=", "label": "label_column="}, "tickets.csv")


def test_an_input_column_that_collides_gets_another_name_and_this_is_said():
    names, words = output_names(["text", "label", "input_label", "reason"], ["label", "reason", "confidence"])

    assert names == {"label": "input_label_2", "reason": "input_reason", "confidence": "input_confidence"}
    assert words == (
        "the input column 'label' is written as 'input_label_2'",
        "the input column 'reason' is written as 'input_reason'",
    )


def test_one_file_is_the_same_by_every_spelling(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").touch()
    (tmp_path / "b.csv").touch()
    (tmp_path / "link.csv").symlink_to("a.csv")

    assert same_file("a.csv", tmp_path / "link.csv")
    assert same_file("new.csv", tmp_path / "new.csv")
    assert not same_file("a.csv", "b.csv")
    assert not same_file("-", "-")
