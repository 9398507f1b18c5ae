"""What the terminal is given: what would steer it is shown as an escape; files and JSON hold what was there."""

import json

import pytest

from elsewise.cli.fit import _worth_saying
from elsewise.cli.output import print_json, print_table, to_stderr, to_stdout, visible
from elsewise.progress import Choice

STEERING = "\x1b[2Jcleared \u202exe.txt \u2066a\u2069 \u200f\r\x07\x9b31m\u2028 \ud83d"
SHOWN = r"\x1b[2Jcleared \u202exe.txt \u2066a\u2069 \u200f\r\x07\x9b31m\u2028 \ud83d"


def test_what_steers_a_terminal_is_shown_as_its_escape():
    assert visible(STEERING) == SHOWN


@pytest.mark.parametrize(
    "text",
    ["two\nlines\tand a tab", "Iğdır İZMİR ısı", "مرحبا שלום", "👩🏽\u200d🚀", "نمی\u200cخواهم", "e\u0301", "\\x1b"],
)
def test_what_is_text_in_some_language_is_left_alone(text):
    assert visible(text) == text


def test_a_cell_of_a_table_is_one_line_and_steers_nothing(capsys):
    print_table("A \x1b title", ("a \u202e head",), [("two\nlines\tand [red]a tab",), ("\x1b[2J\ud83d",)])

    shown = capsys.readouterr().out
    assert [line.strip() for line in shown.splitlines() if line.strip(" ─")] == [
        r"A \x1b title",
        r"a \u202e head",
        r"two\nlines\tand [red]a tab",
        r"\x1b[2J\ud83d",
    ]


def test_words_steer_nothing_on_either_stream(capsys):
    to_stderr(f"{STEERING}: a file")
    to_stdout(f"{STEERING}: a label")

    captured = capsys.readouterr()
    assert captured.err == f"{SHOWN}: a file\n"
    assert captured.out == f"{SHOWN}: a label\n"


def test_json_holds_what_was_there(capsysbinary):
    print_json({"label": STEERING})

    assert json.loads(capsysbinary.readouterr().out.decode("utf-8")) == {"label": STEERING}


def test_fit_leaves_out_notes_by_their_kind_and_not_by_their_words(capsys):
    words = "the second opinion is kept: the log loss of tune rows falls by 0.1 with it"

    _worth_saying(words)
    _worth_saying(Choice("token counts are left out"))

    assert capsys.readouterr().err == f"{words}\n"
