"""The options of the command line, where messages name parameters of Python.

Messages outside this room name a parameter as ``encoding=`` or ``encoding='cp1254'``; here they are --encoding and
--encoding cp1254. A remedy that has no parameter in Python is the `typed` of its error, warning or finding.
"""

import re
import shlex
import sys
from ast import literal_eval
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

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

Names = Mapping[str, tuple[str, str]]  # the option of a parameter, and the one that switches it off, or ""


@cache
def option_names() -> Names:
    """List the options of all commands of the program, by their parameters."""
    program: Any = get_command(sys.modules[__package__].app)  # its commands use this module, and it comes after them
    options = [option for command in program.commands.values() for option in command.params]
    return {
        option.name: (option.opts[0], next(iter(option.secondary_opts), ""))
        for option in options
        if option.opts[0].startswith("--")
    }


def in_options(words: str, typed: str = "") -> str:
    """Name options where a message names parameters, and add how its remedy is typed; quoted words stay as they are.

    Examples
    --------
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
