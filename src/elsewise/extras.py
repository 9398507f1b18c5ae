"""Optional dependencies: import one, or say in one line how to get it."""

from importlib import import_module
from types import ModuleType

from elsewise.errors import MissingExtra


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
