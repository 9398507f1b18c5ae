"""The command line: the commands as one program, and how it ends. A new one is a file here and a line in COMMANDS.

Each parses, calls one function that Python users can call too, and shows. Heavy imports stay inside the functions.

stdout carries results, stderr words and progress. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
"""

import os
import signal
import sys
import warnings
from collections.abc import Callable
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
from elsewise.cli.output import say
from elsewise.cli.predict import predict
from elsewise.cli.threshold import threshold
from elsewise.errors import ElsewiseError, ElsewiseWarning

app = typer.Typer(
    name="elsewise",
    help="Text in, a label you can trust out, or else Other.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
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
    app.command(_name)(_command)


@app.callback(invoke_without_command=True)
def version_option(*, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Text in, a label you can trust out, or else Other."""
    if version:
        from importlib.metadata import version as installed

        typer.echo(installed("elsewise"))
        raise typer.Exit


def main() -> None:
    """Run the command line; an error of the user's is one or two lines and exit 1, one of ours a traceback."""
    warnings.showwarning = _show_warning
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that half-written files are cleared away
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ElsewiseWarning)
    try:
        app()
    except ElsewiseError as error:
        say(f"elsewise: {error}")
        raise SystemExit(1) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left: nothing more to say
        raise SystemExit(1) from None
    except OSError as error:
        say(f"elsewise: {error.filename or 'output'}: {error.strerror or error}")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    say(f"warning: {message}")
