"""The command line: the commands as one program. A new command is a file here and a line in COMMANDS.

Each command parses, calls one function of the Python API, and prints. Heavy imports stay inside the functions. stdout
carries results, stderr words and progress.
"""

import os
import re
import signal
import sys
import warnings
from collections.abc import Callable
from inspect import signature
from typing import Annotated, Any, Final

import typer

from elsewise.cli.calibrate import calibrate
from elsewise.cli.check import check
from elsewise.cli.compare import compare
from elsewise.cli.demo import demo
from elsewise.cli.doctor import doctor
from elsewise.cli.evaluate import evaluate
from elsewise.cli.explain import explain
from elsewise.cli.export import export
from elsewise.cli.fit import fit
from elsewise.cli.output import to_stderr
from elsewise.cli.panels import PanelCommand, grouped
from elsewise.cli.predict import predict
from elsewise.cli.threshold import threshold
from elsewise.errors import ElsewiseError, ElsewiseWarning

ABOUT: Final = "Text in, a label you can trust out, or else Other."
BEGIN: Final = """
Begin with:
  elsewise demo                           Fit, certify and predict on built-in texts, offline.
  elsewise check tickets.csv              Report what is in your file and what is wrong with it.
  elsewise fit tickets.csv -o model       Fine-tune an encoder on it and certify its threshold.

elsewise --help lists all commands."""
EXIT_CODES: Final = "Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted."

app = typer.Typer(
    name="elsewise",
    help=ABOUT,
    epilog=EXIT_CODES,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"max_content_width": 100},
)

COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "demo": demo,
    "check": check,
    "fit": fit,
    "predict": predict,
    "evaluate": evaluate,
    "compare": compare,
    "explain": explain,
    "calibrate": calibrate,
    "export": export,
    "threshold": threshold,
    "doctor": doctor,
}
for _name, _command in COMMANDS.items():
    app.command(_name, cls=PanelCommand)(grouped(_command))


@app.callback(invoke_without_command=True, help=ABOUT)
def program(
    context: typer.Context, *, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> None:
    """Print the version, or the commands to begin with where no command is named."""
    if version:
        from importlib.metadata import version as installed

        typer.echo(installed("elsewise"))
        raise typer.Exit
    if context.invoked_subcommand is None:
        to_stderr(f"{ABOUT}\n{BEGIN}")
        raise typer.Exit(2)


def main() -> None:
    """Run the command line; a user's error is one or two lines and exit 1, a bug is a traceback."""
    warnings.showwarning = _show_warning
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that half-written files are cleared away
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ElsewiseWarning)
    try:
        app()
    except ElsewiseError as error:
        to_stderr(f"elsewise: {_with_options(str(error))}")
        raise SystemExit(1) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader closed the pipe
        raise SystemExit(1) from None
    except OSError as error:
        to_stderr(f"elsewise: {error.filename or 'output'}: {error.strerror or error}")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _with_options(words: str) -> str:
    """Name options where a message names parameters of Python: --engine for ``engine=``."""
    known = {name for command in COMMANDS.values() for name in signature(grouped(command)).parameters}
    return re.sub(
        r"\b(\w+)=(?=[\s,;.)]|$)",
        lambda found: f"--{found[1].replace('_', '-')}" if found[1] in known else found[0],
        words,
    )


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    to_stderr(f"warning: {message}")
