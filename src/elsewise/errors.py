"""Errors and warnings of Elsewise.

ElsewiseError
├── InputError        the given arrays, texts or files are wrong       (also a ValueError)
├── ArtifactError     a saved model folder is damaged, foreign or too new
└── MissingExtra      an optional dependency is not installed          (also an ImportError)

ElsewiseWarning       the result is valid, but read the warning    (also a UserWarning)
└── PromiseWarning    less is promised than was asked for, or nothing
"""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from inspect import currentframe
from os import PathLike
from types import ModuleType
from typing import Final

NEAR: Final = 0.7  # share of letters in common, of two words of which one may be meant by the other


class _Typed:
    """What is said to a user, in words of Python.

    Attributes
    ----------
    typed : str
        How the remedy is typed on the command line, which adds it, where Python has no parameter for it.
    """

    typed: str

    def __init__(self, *words: object, typed: str = "") -> None:
        super().__init__(*words)
        self.typed = typed


class ElsewiseError(_Typed, Exception):
    """Base class of the errors of Elsewise."""


class InputError(ElsewiseError, ValueError):
    """The given arrays, texts or files are wrong; the message says what, where and the remedy."""


class ArtifactError(ElsewiseError):
    """A saved model folder is damaged, foreign or too new; the message names the file."""


class MissingExtra(ElsewiseError, ImportError):  # noqa: N818  named for what the user lacks
    """An optional dependency is not installed; the message gives the command that installs it."""


def in_a_line(error: BaseException) -> str:
    """Describe an exception in one line: its class, and the first line of its message.

    Examples
    --------
    >>> in_a_line(ZeroDivisionError("division by zero"))
    'ZeroDivisionError: division by zero'
    """
    first, kind = _first_line(error), type(error).__name__
    return f"{kind}: {first}" if first else kind


def _first_line(error: BaseException) -> str:
    return next((line.strip()[:200] for line in str(error).splitlines() if line.strip()), "")


def is_failure(error: BaseException) -> bool:
    """Tell an error from an interrupt: a panic of a library in Rust is no Exception, and no class to import."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


@contextmanager
def reading(file: str | PathLike[str], wrong: str = "cannot be read") -> Iterator[None]:
    """Turn whatever is raised by the reading of a file into an ArtifactError: one line, with the file's name.

    Examples
    --------
    >>> with reading("model/laplace.safetensors"):
    ...     {}["vectors"]
    Traceback (most recent call last):
    elsewise.errors.ArtifactError: model/laplace.safetensors cannot be read: 'vectors'
    """
    try:
        yield
    except (ArtifactError, MissingExtra):
        raise
    except BaseException as error:
        if not is_failure(error):
            raise
        raise ArtifactError(f"{file} {wrong}: {_first_line(error) or type(error).__name__}") from error


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Name the known word that is nearest to a word, or holds it, to end a message; empty where there is none.

    Examples
    --------
    >>> did_you_mean("learnig_rate", ["epochs", "learning_rate"]), did_you_mean("lr", ["epochs", "learning_rate"])
    ('; did you mean learning_rate?', '')
    """
    from difflib import get_close_matches  # noqa: PLC0415  0.01 s to import

    names = list(known)
    near = get_close_matches(word, names, 1, NEAR) or [name for name in names if word in name]
    return f"; did you mean {near[0]}?" if near else ""


def refuse_unknown(function: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise TypeError, as Python does, for the first keyword that a function does not take, and name the nearest.

    Examples
    --------
    >>> refuse_unknown("fit", ["epoch"], ["epochs", "learning_rate"])
    Traceback (most recent call last):
    TypeError: fit() got an unexpected keyword argument 'epoch'; did you mean epochs?
    """
    names = list(known)
    for name in given:
        if name not in names:
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}{did_you_mean(name, names)}")


class ElsewiseWarning(_Typed, UserWarning):
    """The result is valid, but the message says what to know about it."""


class PromiseWarning(ElsewiseWarning):
    """Less is promised than was asked for, or nothing; the certificate says why."""


def warn_caller(words: str, *, kind: type[ElsewiseWarning] = ElsewiseWarning, typed: str = "") -> None:
    """Warn of some kind, attributed to the line outside this package that called into it."""
    frame, level, outermost = currentframe(), 0, 0
    while frame is not None:
        level += 1
        if frame.f_globals.get("__name__", "").partition(".")[0] == __name__.partition(".")[0]:
            outermost = level
        frame = frame.f_back
    warnings.warn(kind(words, typed=typed), stacklevel=outermost + 1)


def need(module: str, extra: str | None = None) -> ModuleType:
    """Import `module`, or raise MissingExtra with the command ``pip install 'elsewise[extra]'``.

    No extra is needed for what only its users want: then the command installs the module.

    Examples
    --------
    >>> need("json", extra="train").loads("[1]")
    [1]
    >>> need("no_such_library", extra="train")
    Traceback (most recent call last):
    elsewise.errors.MissingExtra: no_such_library is not installed; run: pip install 'elsewise[train]'
    >>> need("no_such_library")
    Traceback (most recent call last):
    elsewise.errors.MissingExtra: no_such_library is not installed; run: pip install no_such_library
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".", maxsplit=1)[0]:
            raise  # `module` is there but broken inside: the import's own error says more
        package = module if extra is None else f"'elsewise[{extra}]'"
        raise MissingExtra(f"{module} is not installed; run: pip install {package}") from error
