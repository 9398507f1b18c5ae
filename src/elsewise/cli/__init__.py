"""The command line: the commands as one program. A new command is a file here and a line in COMMANDS.

Each command parses, calls one function of the Python API, and prints. Heavy imports stay inside the functions. stdout
carries results, stderr words and progress.
"""

import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import Annotated, Any, Final

import typer

from elsewise.cli.calibrate import calibrate
from elsewise.cli.check import check
from elsewise.cli.compare import compare
from elsewise.cli.demo import demo
from elsewise.cli.doctor import doctor
from elsewise.cli.endpoints import say_costs
from elsewise.cli.evaluate import evaluate
from elsewise.cli.explain import explain
from elsewise.cli.export import export
from elsewise.cli.fit import fit
from elsewise.cli.output import to_stderr
from elsewise.cli.panels import PanelCommand, grouped
from elsewise.cli.predict import predict
from elsewise.cli.push import push
from elsewise.cli.serve import serve
from elsewise.cli.stopping import begin, is_put_off, put_off, say_stopped
from elsewise.cli.threshold import threshold
from elsewise.errors import ElsewiseError, ElsewiseWarning, PromiseWarning
from elsewise.progress import clear_now

ABOUT: Final = "Text in, a label you can trust out, or else Other."
BEGIN: Final = """
Begin with:
  elsewise demo                           Fit, certify and predict on built-in texts, offline.
  elsewise check tickets.csv              Report what is in your file and what is wrong with it.
  elsewise fit tickets.csv -o model       Fine-tune an encoder on it and certify its threshold.

elsewise --help lists all commands."""
EXIT_CODES: Final = "Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted."
STOPS: Final = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows lacks the last
PATIENCE: Final = 1.0  # seconds for clearing away; a signal after them ends at once

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
    "serve": serve,
    "evaluate": evaluate,
    "compare": compare,
    "explain": explain,
    "calibrate": calibrate,
    "export": export,
    "threshold": threshold,
    "push": push,
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
    _open_closed()
    _escape_what_cannot_be_shown()
    warnings.showwarning = _show_warning
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ElsewiseWarning)
        warnings.simplefilter("ignore", PromiseWarning)  # it stands above the promise, in bold
    begin()
    with _stopped_by_signals() as came:
        try:
            try:
                app()
            finally:
                say_costs()
                sys.stdout.flush()
        except SystemExit:
            if came or is_put_off():
                say_stopped()
            raise
        except ElsewiseError as error:
            to_stderr(f"elsewise: {error}", typed=error.typed)
            raise SystemExit(1) from None
        except OSError as error:
            _mute()
            if not isinstance(error, BrokenPipeError):  # the reader closed the pipe
                to_stderr(f"elsewise: {error.filename or 'output'}: {error.strerror or error}")
            raise SystemExit(1) from None
        except MemoryError:
            to_stderr("elsewise: this machine has too little memory for that; give it smaller files, or fewer rows")
            raise SystemExit(1) from None


def _open_closed() -> None:
    """Stand in for streams that the caller has closed: nothing to read from stdin, and stdout refuses to be written."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            flags = os.O_RDWR if name == "stderr" else os.O_RDONLY
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode, encoding="utf-8"))


def _escape_what_cannot_be_shown() -> None:
    r"""Write ``\u011f`` where an encoding has no ğ, as that of a Windows console or pipe, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def _stopped_by_signals() -> Iterator[list[float]]:
    """End by SystemExit at the first signal, so that half-written files are cleared away; obey a late second one.

    What is written in parts first writes its part. The yielded list has the moments of all signals that came.
    """
    came: list[float] = []

    def stop(number: int, _: Any) -> None:
        if not came and put_off(number):
            return
        came.append(time.monotonic())
        if len(came) == 1:
            _mute()
            sys.exit(128 + number)
        if came[-1] - came[0] > PATIENCE:
            clear_now()
            os._exit(128 + number)

    numbers = [getattr(signal, name) for name in STOPS if hasattr(signal, name)]
    handled = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]  # as under nohup
    for number in handled:
        signal.signal(number, stop)
    try:
        yield came
    finally:
        for number in handled:
            signal.signal(number, signal.SIG_IGN)  # the end is near, and has its exit code


def _mute() -> None:
    """Let what waits for stdout go nowhere: writing it at the end could fail, or wait for a reader."""
    with suppress(OSError):
        number = sys.stdout.fileno()
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    to_stderr(f"warning: {message}", typed=getattr(message, "typed", ""))
