"""The options of the command line, where messages name parameters of Python.

Messages outside this room name a parameter as ``encoding=`` or ``encoding='cp1254'``; here they are --encoding and
--encoding cp1254. A remedy that has no parameter in Python is the `typed` of its error, warning or finding.
"""

import re
import shlex
from ast import literal_eval
from collections.abc import Mapping
from functools import cache
from typing import Final

import typer
from typer.main import get_command

CALLED: Final = {  # parameters of Python, where an option has a different name
    "groups": "group_column",
    "times": "time_column",
    "keep_refit_rows": "refit_rows",
    "threshold": "at",
}
QUOTED: Final = r"(?<!\w)(?:'[^']*'|\"[^\"]*\")(?!\w)"
VALUE: Final = rf"{QUOTED}|True|False|\d[\d.e-]*"
PARAMETER: Final = re.compile(
    rf"(?P<quoted>{QUOTED}|`[^`]*`)|(?<![\w.])(?P<name>\w+)=(?P<value>{VALUE})?(?=[\s,;:.?)]|$)"
)
PROGRAM: Final[list[typer.Typer]] = []  # the program whose options these are; its commands use this room

Names = Mapping[str, tuple[str, str]]  # the option of a parameter, and the one that switches it off, or ""


@cache
def option_names() -> Names:
    """List the options of all commands of the program, by their parameters."""
    commands = [command for program in PROGRAM for command in getattr(get_command(program), "commands", {}).values()]
    options = [(option.name, option.opts[0], option.secondary_opts) for one in commands for option in one.params]
    return {name: (on, next(iter(off), "")) for name, on, off in options if on.startswith("--")}


def in_options(words: str, typed: str = "") -> str:
    """Name options where a message names parameters, and add how its remedy is typed; quoted words stay as they are.

    Examples
    --------
    >>> from elsewise.cli.parameters import in_options
    >>> in_options("try encoding='cp1254', or leave 'format=csv' out")
    "try --encoding cp1254, or leave 'format=csv' out"
    >>> in_options("leave its rows out", typed="--drop-label spam")
    'leave its rows out (--drop-label spam)'
    """
    said = PARAMETER.sub(_option, words)
    return f"{said} ({typed})" if typed else said


def _option(found: re.Match[str]) -> str:
    name, value = found["name"], found["value"] or ""
    on, off = option_names().get(CALLED.get(name, name), ("", ""))
    if not on:  # quoted words, too
        return found[0]
    if value in ("True", "False"):
        return on if value == "True" else off or found[0]
    try:
        return f"{on} {shlex.quote(str(literal_eval(value)))}" if value else on
    except (SyntaxError, ValueError):
        return found[0]
