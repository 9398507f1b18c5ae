"""The command line: the commands as one program, and how it ends.

stdout carries results, stderr words and progress. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
"""

import os
import signal
import sys
import warnings
from typing import Annotated, Any

import typer

from elsewise.commands import COMMANDS
from elsewise.errors import ElsewiseError, ElsewiseWarning
from elsewise.showing import say

app = typer.Typer(
    name="elsewise",
    help="Text in, a label you can trust out, or else Other.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)


@app.callback(invoke_without_command=True)
def version_option(*, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Text in, a label you can trust out, or else Other."""
    if version:
        from elsewise import __version__  # noqa: PLC0415

        typer.echo(__version__)
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
