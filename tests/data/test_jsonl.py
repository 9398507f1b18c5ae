import io
import json
import time

import numpy as np
import pytest

from elsewise.data.formats import open_rows, open_writer
from elsewise.data.rows import JsonText, problem_with
from elsewise.errors import InputError


def read(data, **options):
    data = data.encode() if isinstance(data, str) else data
    with open_rows("-", stdin=io.BytesIO(data), format="jsonl", **options) as rows:
        return rows.columns, list(rows), rows.notes


def written(*rows):
    out = io.BytesIO()
    with open_writer("-", ["text"], format="jsonl", stdout=out) as writer:
        writer.write(rows)
    return out.getvalue()


def test_columns_are_the_keys_of_the_first_object_and_later_rows_may_differ():
    columns, rows, notes = read('{"text": "a", "label": "x"}\n\n  \n{"label": "y", "more": "z"}\n')

    assert columns == ("text", "label")
    assert [(row.number, row.line) for row in rows] == [(1, 1), (2, 4)]
    assert rows[1].cells == {"label": "y", "more": "z"}
    assert notes == ("json lines", "encoding utf-8")


def test_a_stream_that_starts_with_a_brace_is_json_lines():
    with open_rows("-", stdin=io.BytesIO(b'\xef\xbb\xbf\n {"text": "a"}')) as rows:
        assert (rows.columns, rows.notes[0]) == (("text",), "json lines")


def test_values_that_are_not_strings_go_through_unchanged():
    line = '{"id": 10000000000000000000001, "p": 0.10, "ok": true, "no": null, "in": {"a": [1.50, "é\\n", false]}}'

    [row] = read(line)[1]

    assert row.cells["id"] == "10000000000000000000001"
    assert row.cells["p"] == "0.10"
    assert row.cells["ok"] == "true"
    assert written(row.cells).decode() == line + "\n"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("[1]", "is a list, not a JSON object"),
        ('"text"', "is a string, not a JSON object"),
        ("7", "is a number, not a JSON object"),
        ("null", "is null, not a JSON object"),
        ("true", "is a boolean, not a JSON object"),
        ("{'a': 1}", "is not JSON: expecting property name enclosed in double quotes at character 2"),
        ('{"a": 1} x', "is not JSON: extra data at character 10"),
        ('{"a": "x', "is not JSON: unterminated string starting at character 7"),
        ('{"a": NaN}', "holds NaN, which is not JSON; write null or a string"),
        ('{"a": [-Infinity]}', "holds -Infinity, which is not JSON; write null or a string"),
        ('{"a": 1, "b": 2, "a": 3}', "has the key 'a' twice"),
        ('{"a": {"b": 2, "b": 3}}', "has the key 'b' twice"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "is nested too deeply"),
    ],
)
def test_a_line_that_is_not_one_clean_object_has_a_problem_and_keeps_its_text(line, problem):
    good, bad, after = read(f'{{"a": "1"}}\r\n{line}\r\n{{"a": "2"}}\r\n')[1]

    assert (bad.problem, bad.raw, bad.cells, bad.line) == (problem, line, {}, 2)
    assert (good.cells, after.cells) == ({"a": "1"}, {"a": "2"})


def test_bad_lines_before_the_first_object_are_rows_too():
    columns, rows, _ = read('oops\n{"a": "1"}\n')

    assert columns == ("a",)
    assert [row.number for row in rows] == [1, 2]
    assert rows[0].problem.startswith("is not JSON")


@pytest.mark.parametrize("data", ['[\n{"text": "a"}\n]'[:1] + "\n" + "1\n" * 10, "x\n" * 1000])
def test_a_file_of_something_else_is_refused(data):
    with pytest.raises(InputError, match=r"^stdin is not JSON Lines \(one object a line\): line 1 is not JSON"):
        read(data)


@pytest.mark.parametrize("data", ["", "\n \n"])
def test_an_empty_file_is_refused(data):
    with pytest.raises(InputError, match=r"^stdin is empty$"):
        read(data)


def test_a_line_separator_inside_a_string_is_text():
    [row] = read('{"a": "x\u2028y\x85z"}\n')[1]

    assert row.cells["a"] == "x\u2028y\x85z"


def test_lone_surrogates_come_in_and_go_out_as_escapes():
    line = '{"a": "x\\ud800", "b": ["\\udfff"], "\\ud801": ""}'

    [row] = read(line)[1]

    assert row.cells["a"] == "x\ud800"
    assert written(row.cells).decode() == line + "\n"


def test_numbers_are_written_as_json_and_what_json_lacks_by_rule():
    values = {"nan": float("nan"), "inf": float("inf"), "low": -np.inf, "p": np.float64(0.1), "n": np.int64(3)}
    values |= {"ok": np.bool_(1), "none": None, "top": [("a", 0.5)], "h": np.float32(0.5)}

    back = json.loads(written(values))

    assert back == {
        "nan": None,
        "inf": "inf",
        "low": "-inf",
        "p": 0.1,
        "n": 3,
        "ok": True,
        "none": None,
        "top": [["a", 0.5]],
        "h": 0.5,
    }


def test_text_stays_readable():
    assert written({"text": "çok iyi 👍"}).decode() == '{"text": "çok iyi 👍"}\n'


def test_what_is_no_json_value_is_refused():
    with pytest.raises(TypeError, match=r"a JSON value must be"):
        written({"text": {1, 2}})


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"text": "a"}', None),
        ('{"text": 7}', None),
        ('{"text": "null"}', None),
        ('{"text": ""}', None),
        ('{"body": "a"}', "has no 'text'"),
        ('{"text": null}', "has null in 'text', not text"),
        ('{"text": ["a"]}', "has a list in 'text', not text"),
        ('{"text": {}}', "has an object in 'text', not text"),
    ],
)
def test_a_row_without_the_text_can_say_so(line, problem):
    [row] = read(line)[1]

    assert problem_with(row, ["text"]) == problem


def test_null_is_an_empty_cell_in_csv():
    out = io.BytesIO()
    with open_writer("-", ["a", "b"], stdout=out) as writer:
        writer.write([{"a": JsonText("null"), "b": JsonText("[1, 2]")}])

    assert out.getvalue() == b'a,b\n,"[1, 2]"\n'


def test_a_key_twice_among_many_is_found_in_no_time():
    line = "{" + ", ".join(f'"key {n}": 1' for n in [*range(60_000), 59_999]) + "}\n"
    began = time.process_time()

    _, rows, _ = read('{"text": "a"}\n' + line)

    assert rows[1].problem == "has the key 'key 59999' twice"
    assert time.process_time() - began < 5  # seconds; comparing each with each takes 40


def test_a_long_line_that_drips_in_is_read_in_no_time():
    class Dripping(io.RawIOBase):
        left = b'{"text": "' + b"a" * 60_000 + b'"}\n'

        def read(self, _=-1):
            piece, self.left = self.left[:1], self.left[1:]
            return piece

    began = time.process_time()

    with open_rows("-", stdin=Dripping(), format="jsonl") as rows:
        assert len(next(iter(rows)).cells["text"]) == 60_000

    assert time.process_time() - began < 5  # seconds; counting anew for each piece takes 40
