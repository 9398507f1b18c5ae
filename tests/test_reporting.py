"""Progress of calls from Python: a bar in a terminal or a notebook, and not a byte elsewhere."""

import builtins
import io
import re
import sys
from contextlib import redirect_stderr
from inspect import signature
from types import ModuleType

import pytest

import elsewise as ew
from elsewise.engines.memory import MemoryEngine
from elsewise.errors import InputError
from elsewise.reporting import NotebookLine, is_notebook, reporting

KNOWN = {f"text {i}": [4.0, 0.0] if i % 2 else [0.0, 4.0] for i in range(1200)}
LABELS = ["no" if i % 2 == 0 or i % 99 == 0 else "yes" for i in range(1200)]


def fit(**how):
    return ew.fit(list(KNOWN), LABELS, engine=MemoryEngine(("yes", "no"), KNOWN), **how)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def on_terminal(monkeypatch):
    """Make the function that runs another on a terminal, and gives what was written to it."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")

    def run(function, **how):
        with redirect_stderr(Terminal()) as stream:  # now: pytest puts its own in place before a test
            function(**how)
        return stream.getvalue()

    return run


@pytest.fixture
def shown(monkeypatch):
    """What a notebook shows: a stand-in for the kernel of one, which hands out lines that can be written again."""
    lines = []

    class Line:
        def __init__(self, place):
            self.place = place

        def update(self, data, *, raw):
            assert raw
            lines[self.place] += [data["text/plain"]]

    def display(data, *, raw, display_id=False):
        assert raw
        lines.append([data["text/plain"]])
        return Line(len(lines) - 1) if display_id else None

    class ZMQInteractiveShell:
        pass

    library = ModuleType("IPython.display")
    library.display = display
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", library)
    monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)
    return lines


@pytest.mark.parametrize("how", [{}, {"progress": "auto"}, {"progress": False}, {"progress": None}])
def test_nothing_is_written_where_there_is_no_terminal(capfd, how):
    fit(**how)

    assert capfd.readouterr() == ("", "")


def test_a_terminal_shows_a_bar_and_notes_above_it_and_nothing_is_left_of_the_bar(on_terminal, capsys):
    written = on_terminal(fit)

    assert "checking the rows" in written
    assert "all 1,200 rows are taken as texts that the model was not trained on\n" in written
    assert not written.endswith("judging")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("progress", [False, None])
def test_a_terminal_shows_nothing_that_is_not_wanted(on_terminal, progress):
    assert on_terminal(fit, progress=progress) == ""


def test_functions_of_the_caller_get_reports_and_notes(on_terminal):
    reports, notes = [], []

    written = on_terminal(fit, progress=lambda *report: reports.append(report), note=notes.append)

    assert ("judging", 0, 0) in reports
    assert len(notes) == 1
    assert written == ""


def test_a_note_of_the_caller_is_taken_beside_a_bar(on_terminal):
    notes = []

    written = on_terminal(fit, note=notes.append)

    assert len(notes) == 1
    assert "judging" in written
    assert notes[0] not in written


def test_a_notebook_shows_one_line_and_prints_notes(shown, capsys):
    fit()

    (line,) = shown
    assert line[0] == "checking the rows"
    assert any(text.startswith("judging") for text in line)
    assert re.fullmatch(r"done in \d+ seconds?", line[-1])
    assert capsys.readouterr() == ("all 1,200 rows are taken as texts that the model was not trained on\n", "")


def test_a_notebook_keeps_the_stage_at_which_the_work_was_stopped(shown):
    def stopped(progress):
        progress("training", 5, 20)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), reporting("auto", None, "begun") as (progress, _):
        stopped(progress)

    assert shown[0][-1] == "training: stopped"


def test_a_line_of_a_notebook_is_written_for_stages_and_ends_and_else_at_times():
    written = []
    line = NotebookLine("begun", written.append)

    for done in range(1001):
        line("training", done, 1000)
    line.expect(90)
    line("certifying", 0, 0)

    assert written[0].startswith("training")
    assert "100 %  1,000 of 1,000" in written[-2]
    assert re.match(r"certifying .* left$", written[-1])
    assert len(written) < 50


def test_a_test_is_no_notebook():
    assert not is_notebook()


@pytest.mark.parametrize("progress", ["on", True, 1, "of"])
def test_what_is_no_way_to_report_is_refused(progress):
    with pytest.raises(InputError, match=rf"^progress must be 'auto', False or a function .*, got {progress!r}$"):
        fit(progress=progress)


@pytest.mark.parametrize("function", [ew.fit, ew.calibrate])
def test_the_default_is_shown_in_help(function):
    assert signature(function).parameters["progress"].default == "auto"
    assert '"auto"' in ew.fit.__doc__
