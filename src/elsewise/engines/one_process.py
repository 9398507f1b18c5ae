"""What stays in the process that opened it: threads of native libraries are neither forked nor pickled.

A server may load first and fork then (gunicorn --preload). In the forked process a library waits for ever for threads
that did not come along, when it is called, and when its objects end.
"""

import ctypes
import os
import sys
from typing import Any, Final, NoReturn, Self
from weakref import WeakSet

from elsewise.errors import ElsewiseError

PROCESS: Final = os.getpid()
LOAD: Final = "load in each process: elsewise.load(PATH)"
_OPENED: Final[WeakSet[Any]] = WeakSet()  # in this process


class OneProcess:
    """Stays in its process: pickling it is refused. A copy is the object itself, since nothing changes it."""

    __slots__ = ()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: Any) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise ElsewiseError(f"a {type(self).__name__} is never pickled; save the classifier to PATH, and {LOAD}")


def opened(made: Any) -> Any:
    """Return an object with threads of its own, and note that this process opened it."""
    _OPENED.add(made)
    return made


def of_this_process(made: Any, library: str) -> Any:
    """Return what `opened` noted; ElsewiseError in a process that was forked since."""
    if made not in _OPENED:
        raise ElsewiseError(
            f"{library} cannot run here: it opened a model before this process forked; fork first, then {LOAD}"
        )
    return made


def spare_threads() -> None:
    """Give torch and OpenMP one thread in a process that was forked since: they would wait for the others."""
    if os.getpid() == PROCESS:
        return
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
    if pools := sys.modules.get("threadpoolctl"):  # it comes with scikit-learn
        pools.threadpool_limits(1, user_api="openmp")


def _keep_for_ever() -> None:
    """Never end, in a forked process, what the process before it opened."""
    for made in _OPENED:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(made))
    _OPENED.clear()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_keep_for_ever)
