"""What `--help` shows, and how options come in groups."""

import inspect
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from elsewise.cli import COMMANDS, app
from elsewise.cli.panels import DATA, OUTPUT, Only, PanelCommand, grouped, typed
from elsewise.engines.encoders import DEFAULT_ENCODER
from elsewise.fitting.fit import fit
from elsewise.training.settings import Training


def shown(*words, columns=80):
    done = CliRunner(env={"COLUMNS": str(columns), "TERM": "dumb"}).invoke(app, [*words])
    return done.stdout + done.stderr, done.exit_code


def sections(page):
    """The options of each panel of a page, by the panel's name."""
    parts = re.split(r"(?m)^(\w[\w ]*):\n", page)
    return {
        name: re.findall(r"(?m)^  (?:-\w, )?(--[\w-]+)", body)
        for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }


@pytest.mark.parametrize(
    ("command", "panels"),
    [
        ("fit", ["Arguments", "Data", "Promise", "Training", "Engine", "Output"]),
        ("check", ["Arguments", "Data", "Promise", "Training", "Output"]),
        ("calibrate", ["Arguments", "Data", "Promise", "Engine", "Output"]),
        ("evaluate", ["Arguments", "Data", "Engine", "Output"]),
        ("compare", ["Arguments", "Data", "Engine", "Output"]),
        ("predict", ["Arguments", "Data", "Engine", "Output"]),
        ("threshold", ["Arguments", "Promise", "Threshold without a promise", "Change", "Engine", "Output"]),
    ],
)
def test_the_help_of_a_command_has_panels_with_every_option_once(command, panels):
    found = sections(shown(command, "--help")[0])

    assert list(found) == panels
    names = [name for options in found.values() for name in options]
    wanted = [option.opts[0] for option in typer.main.get_command(app).commands[command].params if option.opts]
    assert sorted(names) == sorted({name for name in (*wanted, "--help") if name.startswith("--")})


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("columns", [80, 120])
def test_help_fits_the_terminal(command, columns):
    page, code = shown(command, "--help", columns=columns)

    assert code == 0
    assert max(map(len, page.splitlines())) <= columns


def test_the_list_of_commands_cuts_no_sentence_and_says_what_exit_codes_mean():
    page, _ = shown("--help")

    assert "..." not in page.split("Commands:")[1]
    assert "Exit codes: 0 done, 1 failed, 2 wrong usage" in page


def test_without_a_command_the_three_to_begin_with_are_shown_and_it_is_wrong_usage():
    page, code = shown()

    assert code == 2
    assert re.findall(r"(?m)^  elsewise (\w+)", page) == ["demo", "check", "fit"]
    assert "elsewise --help" in page


def test_brackets_in_a_help_text_stay():
    small = typer.Typer(rich_markup_mode=None)

    @small.command(cls=PanelCommand)
    def show(name: Annotated[str, DATA(help="A [bold]name[/bold], as in [mail].")] = "x") -> None:
        pass

    assert "A [bold]name[/bold], as in [mail]." in CliRunner().invoke(small, ["--help"]).stdout


def test_help_needs_no_numpy():
    program = "from elsewise.cli import app\napp(['fit', '--help'], standalone_mode=False)\n"
    check = "import sys\nprint([name for name in ('numpy', 'rich.console') if name in sys.modules], file=sys.stderr)"

    done = subprocess.run([sys.executable, "-c", program + check], capture_output=True, text=True, check=True)

    assert done.stderr.strip() == "[]"


def test_the_defaults_of_help_are_those_of_fit_and_training():
    """What `fit` takes in Python is what the command line shows: one number for each."""
    options = {option.name: option for option in typer.main.get_command(app).commands["fit"].params}
    usual = {name: one.default for name, one in inspect.signature(fit).parameters.items()}
    how = Training()

    for name in ("target_accuracy", "confidence_level", "other", "engine", "precision", "score", "baseline"):
        assert options[name].default == usual[name]
    for name in ("batch_size", "max_length", "seed", "epochs", "class_weights"):
        assert options[name].default == getattr(how, name)
    assert DEFAULT_ENCODER in options["encoder"].help


@dataclass(frozen=True)
class Pair:
    first: Annotated[int, DATA(help="One.")]
    second: Annotated[int, OUTPUT(help="Two.")] = 2


def program_of(command):
    small = typer.Typer(rich_markup_mode=None)
    small.command()(grouped(command))
    return lambda *words: CliRunner().invoke(small, [*words])


def test_a_group_is_one_value_of_a_command_and_an_option_for_each_field():
    got = []

    def command(pair: Pair, other: int = 3) -> None:
        got.append((pair, other))

    run = program_of(command)

    assert run("--first", "1", "--other", "4").exit_code == 0
    assert run().exit_code == 2
    assert got == [(Pair(1, 2), 4)]


def test_a_command_may_have_only_some_options_of_a_group():
    got = []

    def command(pair: Annotated[Pair, Only("first")]) -> None:
        got.append(pair)

    run = program_of(command)

    assert run("--first", "1").exit_code == 0
    assert run("--first", "1", "--second", "5").exit_code == 2
    assert got == [Pair(1, 2)]


def test_what_was_typed_is_known_even_where_it_is_the_default():
    got = []

    def command(context: typer.Context, pair: Pair) -> None:
        got.append(typed(context, Pair))

    run = program_of(command)
    run("--first", "1", "--second", "2")
    run("--first", "1")

    assert got == [["--first", "--second"], ["--first"]]
