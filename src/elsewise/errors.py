"""Every error and warning a caller may want to catch.

ElsewiseError
├── InputError        the arrays, texts or files handed in are wrong   (also a ValueError)
├── ArtifactError     a saved model folder is damaged, foreign or too new
└── MissingExtra      an optional dependency is not installed          (also an ImportError)

ElsewiseWarning       the answer stands, and something about it should be known   (also a UserWarning)
"""

from importlib import import_module
from types import ModuleType


class ElsewiseError(Exception):
    """Anything that Elsewise raises on purpose."""


class InputError(ElsewiseError, ValueError):
    """The arrays, texts or files handed in are wrong; the message says what, where and the remedy."""


class ArtifactError(ElsewiseError):
    """A saved model folder is damaged, foreign or too new; the message names the file."""


class MissingExtra(ElsewiseError, ImportError):  # noqa: N818  named for what the user lacks
    """An optional dependency is not installed; the message is the command that adds it."""


def in_a_line(error: BaseException) -> str:
    """Name an exception of somebody else's code, with the first line of what it says.

    Examples
    --------
    >>> in_a_line(ZeroDivisionError("division by zero"))
    'ZeroDivisionError: division by zero'
    """
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    kind = type(error).__name__
    return f"{kind}: {first[:200]}" if first else kind


class ElsewiseWarning(UserWarning):
    """The answer stands, and something about it should be known."""


def need(module: str, extra: str) -> ModuleType:
    """Import `module`; if it is absent, raise MissingExtra naming ``pip install 'elsewise[extra]'``.

    Examples
    --------
    >>> need("json", extra="train").loads("[1]")
    [1]
    >>> need("no_such_library", extra="train")
    Traceback (most recent call last):
    elsewise.errors.MissingExtra: no_such_library is not installed; run: pip install 'elsewise[train]'
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".", maxsplit=1)[0]:
            raise  # `module` is there but broken inside: that is not our story to tell
        message = f"{module} is not installed; run: pip install 'elsewise[{extra}]'"
        raise MissingExtra(message) from error
