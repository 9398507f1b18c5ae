"""What a terminal shows: one live line below the messages, words that are whole, and nothing that stays behind."""

import re
import sys
from pathlib import Path

import pytest

import elsewise as ew
from elsewise.cli.output import columns_of, folded, print_table, to_stderr, to_stdout
from elsewise.cli.tables import show_fitted
from elsewise.engines.memory import MemoryEngine
from elsewise.progress import PLAIN_SIGNS, Bar, counting, sharing, showing, tick
from support.terminal import in_terminal, on_terminal

GATE = ("", "texts/s", "MB", "accuracy", "log loss", "ECE", "other label", "worst change", "99 %", "close enough")
ROWS = [(f"openvino-{name}", "7,366", "8", "0.3824", "1.8188", "0.0731", "0.00%", "0.0000", "0.0000", "yes")
        for name in ("f32", "bf16", "int8")]  # fmt: skip


def test_messages_stand_above_the_line_and_no_line_stays():
    with on_terminal() as terminal:
        with showing("opening the model") as bar:
            to_stderr("a note")
            bar("training", 1, 4)
            to_stdout("a result")
            bar.live.refresh()
            during = terminal.screen
        after = terminal.screen

    assert during.text.split("\n")[:2] == ["a note", "a result"]
    assert during.text.split("\n")[2].startswith("training")
    assert during.hidden
    assert after.text == "a note\na result"
    assert not after.hidden


def test_no_line_stays_behind_an_error():
    with on_terminal() as terminal, pytest.raises(KeyError), showing("opening the model"):
        raise KeyError

    assert terminal.screen.text == ""


def test_a_bar_inside_a_bar_is_the_same_one():
    with on_terminal(), showing("one") as outer:
        with showing("two") as inner:
            assert inner is outer

        assert outer.live.is_started


@pytest.mark.parametrize("kind", ["dumb", "unknown"])
def test_a_terminal_that_cannot_redraw_shows_no_bar(kind):
    with on_terminal(kind=kind) as terminal, showing("opening the model") as bar:
        to_stderr("a note")

    assert bar is None
    assert terminal.sent == "a note\n"


def test_a_pipe_shows_no_bar_and_folds_nothing(capsys):
    with showing("opening the model") as bar:
        to_stderr("word " * 100)

    assert bar is None
    assert capsys.readouterr().err == "word " * 100 + "\n"
    assert columns_of(sys.stdout) is None


def test_the_time_left_is_that_of_the_present_pace():
    """Ten rows a second at first, then two: what is left follows within a minute."""
    bar = Bar("opening the model")
    for second in range(101):
        bar("predicting", 10 * second, 2000, now=float(second))
    before = bar.text(80, now=100.0, signs=PLAIN_SIGNS)
    for second in range(101, 201):
        bar("predicting", 1000 + 2 * (second - 100), 2000, now=float(second))

    assert before == "predicting  ##############---------------   50 %  1,000 of 2,000  2 minutes left"
    assert bar.text(80, now=200.0, signs=PLAIN_SIGNS).endswith("60 %  1,200 of 2,000  7 minutes left")


def test_a_stage_without_a_total_shows_how_long_it_takes():
    bar = Bar("opening the model")
    bar("measuring", 0, 0, now=10.0)

    assert bar.text(80, now=22.0) == "measuring  12 seconds"


def test_what_is_expected_of_the_whole_work_is_its_share_and_its_end(monkeypatch):
    bar = Bar("opening the encoder")
    bar.began = 0.0
    monkeypatch.setattr("elsewise.progress.time.monotonic", lambda: 30.0)
    bar.expect(90)
    bar("training", 5, 100)

    assert bar.text(80, now=60.0, signs=PLAIN_SIGNS).endswith("  50 %  60 seconds left")


def test_rows_are_counted_once_by_an_ensemble_and_never_above_the_total():
    seen = []
    with counting(lambda *report: seen.append(report), "answering", 8):
        with sharing(2):
            tick(4)
            tick(4)
        tick(99)
    tick(1)  # nobody counts

    assert seen[-1] == ("answering", 8, 8)
    assert ("answering", 2, 8) in seen


def test_words_fold_between_words_and_names_stay_whole():
    words = "the folder /a/very/long/path/of/a/model lacks 'two words' (0.1 to 0.2); run: elsewise fit x.csv -o model"

    assert folded(words, 30).split("\n") == [
        "the folder",
        "/a/very/long/path/of/a/model",
        "lacks 'two words'",
        "(0.1 to 0.2); run:",
        "elsewise fit x.csv -o model",
    ]
    assert folded(words, 200) == words


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_table_folds_no_name(width):
    with on_terminal(width) as terminal:
        print_table("Engines", GATE, ROWS)

    lines = terminal.screen.text.split("\n")
    assert max(map(len, terminal.screen.lines)) <= width
    for name, speed, *_ in ROWS:
        assert any(name in line and (width < 120 or speed in line) for line in lines)
    assert all(word in terminal.sent for word in ("accuracy", "enough"))


def test_a_piped_table_is_as_wide_as_its_names(capsys):
    label = "a label of many words " * 8
    print_table("Labels", ("label", "rows"), [(label, "7")])

    assert f"{label}   7" in capsys.readouterr().out


def test_an_interval_is_whole_in_a_narrow_column():
    with on_terminal(70) as terminal:
        print_table("", ("", *(f"model {i}" for i in range(3))), [("accuracy", *["0.412 (0.362 to 0.463)"] * 3)])

    assert terminal.sent.count("(0.362 to 0.463)") == 3


@pytest.fixture(scope="module")
def by_heart(tmp_path_factory):
    """A folder with a model of two texts, and a file of them."""
    folder = tmp_path_factory.mktemp("by_heart")
    ew.Classifier(MemoryEngine(("yes", "no"), {"a": [4.0, 0.0]}), ew.Identity(), ew.FixedThreshold(0.7)).save(
        folder / "model"
    )
    (folder / "rows.csv").write_text("text,label\na,yes\nb,no\n", encoding="utf-8")
    return folder


def test_a_command_in_a_real_terminal_leaves_words_and_no_bar(by_heart):
    code, screen, sent = in_terminal("predict", "model", "rows.csv", "-o", "out.csv", width=60, folder=by_heart)

    assert code == 0, screen.text
    assert screen.text.split("\n")[0] == "rows.csv: delimiter ',' (read from the header)"
    assert "opening model" in sent
    assert "opening model" not in screen.text
    assert not screen.hidden


def test_rows_on_the_terminal_have_no_bar_among_them(by_heart):
    code, screen, sent = in_terminal("predict", "model", "rows.csv", folder=by_heart)

    assert code == 0, screen.text
    assert screen.text.startswith("text,input_label,label,")
    assert "opening model" not in sent


def test_without_colour_nothing_is_coloured(by_heart):
    code, screen, sent = in_terminal("evaluate", "model", "rows.csv", folder=by_heart, environment={"NO_COLOR": "1"})

    assert code == 0, screen.text
    assert not re.search(r"\x1b\[(?:[0-9;]*;)?[34][0-9]", sent)


def test_a_fit_is_shown_in_few_lines_with_the_promise_first(fitted):
    """Four more lines come before: how the file was read, how long it takes, what fine-tuning begins with."""
    with on_terminal(80) as terminal:
        show_fitted(fitted, Path("model"), as_json=False)
    short = terminal.screen.text.split("\n")
    with on_terminal(80) as terminal:
        show_fitted(fitted, Path("model"), as_json=False, verbose=True)
    long = terminal.screen.text.split("\n")

    assert len(short) <= 21
    assert len(long) > 2 * len(short)
    assert " ".join(short).count(fitted.certificate.sentence.partition(". ")[0]) == 1
    assert short[-1] == "written: model; its card is model/README.md"
    assert any(line.startswith("Of ") and "test rows" in line for line in short)
    assert fitted.evaluation["verdict"]["sentence"][:30] in " ".join(short)
