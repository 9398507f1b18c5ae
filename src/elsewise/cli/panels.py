"""Options in groups: one dataclass is one parameter of a command, and at least one panel of its ``--help``."""

from collections.abc import Callable, Collection
from dataclasses import MISSING, fields, is_dataclass
from functools import partial, wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Any, get_args, get_type_hints

import typer
from typer.core import TyperCommand

from elsewise.storage.paths import at_home

DATA = partial(typer.Option, rich_help_panel="Data")
PROMISE = partial(typer.Option, rich_help_panel="Promise")
THRESHOLD = partial(typer.Option, rich_help_panel="Threshold without a promise")
CHANGE = partial(typer.Option, rich_help_panel="Change")
TRAINING = partial(typer.Option, rich_help_panel="Training")
ENGINE = partial(typer.Option, rich_help_panel="Engine")
SERVER = partial(typer.Option, rich_help_panel="Server")
LIMITS = partial(typer.Option, rich_help_panel="Limits")
WATCH = partial(typer.Option, rich_help_panel="Watch")
OUTPUT = partial(typer.Option, rich_help_panel="Output")
NO_PATHS = (None, "TEXT", "OLD=NEW", "LABEL", "COLUMN", "LANGUAGE", "NAME")  # what metavars say that are not of files
ORDER = (
    "Arguments", "Data", "Promise", "Threshold without a promise", "Change", "Training", "Server", "Limits", "Watch",
    "Engine", "Output",
)  # fmt: skip


class Only:
    """The fields of a group that a command has as options, as in ``Annotated[Files, Only("encoding")]``."""

    def __init__(self, *names: str) -> None:
        self.names = names


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Show typer every field of a group as an option, and call the command with the groups.

    A path may begin with ``~``, the home folder, which no shell replaces after ``=``.
    """
    taken = signature(command).parameters
    hints = get_type_hints(command, include_extras=True)
    groups = {name: group for name in taken if (group := _group(hints[name])) is not None}
    shown: list[Parameter] = []
    for name, parameter in taken.items():
        shown += groups[name][1] if name in groups else [parameter.replace(kind=Parameter.KEYWORD_ONLY)]

    files = {one.name for one in shown if _metavar(one) not in NO_PATHS}

    @wraps(command)
    def run(**typed: Any) -> None:
        typed |= {name: _at_home(typed[name]) for name in files & typed.keys()}
        made = {name: group(**{one.name: typed.pop(one.name) for one in own}) for name, (group, own) in groups.items()}
        command(**typed, **made)

    run.__signature__ = Signature(shown)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: hints.get(parameter.name, parameter.annotation) for parameter in shown}
    return run


def _metavar(parameter: Parameter) -> str | None:
    return next((one.metavar for one in get_args(parameter.annotation)[1:] if hasattr(one, "metavar")), None)


def _at_home(value: Any) -> Any:
    """Replace ``~`` at the beginning of a path, or of each of a list of them."""
    if isinstance(value, list):
        return [_at_home(one) for one in value]
    return type(value)(at_home(value)) if isinstance(value, str | Path) else value


def _group(hint: Any) -> tuple[Callable[..., Any], list[Parameter]] | None:
    """Give a group's class and its options in a command; None for a parameter that is an option itself."""
    group, *more = get_args(hint) or (hint,)
    if not is_dataclass(group) or not isinstance(group, type):
        return None
    names = next((one.names for one in more if isinstance(one, Only)), None)
    hints = get_type_hints(group, include_extras=True)
    return group, [
        Parameter(one.name, Parameter.KEYWORD_ONLY, annotation=hints[one.name],
                  default=Parameter.empty if one.default is MISSING else one.default)
        for one in fields(group) if names is None or one.name in names
    ]  # fmt: skip


def typed(context: typer.Context, group: type[Any], names: Collection[str] | None = None) -> list[str]:
    """List the options of a group that were typed, even with their default value, as ``--batch-size``.

    `names` limits it to some fields of the group.
    """
    options = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    return [
        options[one.name]
        for one in fields(group)
        if (names is None or one.name in names)
        and getattr(context.get_parameter_source(one.name), "name", "") == "COMMANDLINE"
    ]


class PanelCommand(TyperCommand):
    """A command that prints its options by panel in ``--help``, as plain text where brackets stay brackets.

    Where it takes a text, it says how one is given that begins with a dash.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words of a command line; the error of an option that there is not names the way of a text."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            names = [one.metavar or "" for one in self.params if one.param_type_name == "argument"]
            if hasattr(error, "possibilities") and "TEXT" in names:  # a NoSuchOption of typer's or of click's
                way = f"elsewise {ctx.info_name} {' '.join([*names[:-1], '--', names[-1]])}"
                error.message += f". A text that begins with a dash comes after --: {way}"  # type: ignore[attr-defined]
            raise

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then one section a panel."""
        panels: dict[str, list[tuple[str, str]]] = {name: [] for name in ORDER}
        for parameter in self.get_params(ctx):
            usual = "Arguments" if parameter.param_type_name == "argument" else "Output"
            record = parameter.get_help_record(ctx)
            if record is not None:
                panels[getattr(parameter, "rich_help_panel", None) or usual].append(record)
        for name, records in panels.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)
