"""The options of the command line, where messages name parameters of Python.

Messages outside this room name a parameter as ``encoding=`` or ``encoding='cp1254'``; here they are --encoding and
--encoding cp1254. A remedy that has no parameter in Python is the `typed` of its error, warning or finding.
"""

import re
import shlex
from ast import literal_eval
from collections.abc import Mapping
from typing import Any, Final

CALLED: Final = {  # parameters of Python, where an option has a different name
    "groups": "group_column",
    "times": "time_column",
    "keep_refit_rows": "refit_rows",
    "threshold": "at",
}
QUOTED: Final = r"(?<!\w)(?:'[^']*'|\"[^\"]*\")(?!\w)"
PARAMETER: Final = re.compile(rf"(?P<quoted>{QUOTED})|(?<![\w.])(?P<name>\w+)=(?P<value>{QUOTED}|\w+)?(?=[\s,;:.?)]|$)")

Names = Mapping[str, tuple[str, str]]  # the option of a parameter, and the one that switches it off, or ""


def names_of(program: Any) -> Names:
    """List the options of all commands of a program of click, by their parameters."""
    options = [option for command in program.commands.values() for option in command.params]
    return {
        option.name: (option.opts[0], next(iter(option.secondary_opts), ""))
        for option in options
        if option.opts[0].startswith("--")
    }


def in_options(words: str, names: Names, typed: str = "") -> str:
    """Name options where a message names parameters, and add how its remedy is typed; quoted words stay as they are.

    Examples
    --------
    >>> in_options("try encoding='cp1254', or leave 'a=b' out", {"encoding": ("--encoding", "")})
    "try --encoding cp1254, or leave 'a=b' out"
    >>> in_options("start afresh: restart=True", {"restart": ("--restart", "")})
    'start afresh: --restart'
    """
    said = PARAMETER.sub(lambda found: _option(found, names), words)
    return f"{said} ({typed})" if typed else said


def _option(found: re.Match[str], names: Names) -> str:
    name, value = found["name"], found["value"] or ""
    on, off = names.get(CALLED.get(name, name), ("", ""))
    if found["quoted"] or not on:
        return found[0]
    if value in ("True", "False"):
        return on if value == "True" else off or found[0]
    try:
        return f"{on} {shlex.quote(str(literal_eval(value)))}" if value else on
    except (SyntaxError, ValueError):  # a word of Python, as in engine=model
        return f"{on} {value}"
