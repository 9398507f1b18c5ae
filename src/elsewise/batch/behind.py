"""One thing that is done in a thread of its own while something else goes on."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class Behind(Generic[T]):
    """Does one thing at a time in a thread, inside its ``with``.

    Without `overlaps` it is done at once, in the thread that asks: a pipe may keep a thread waiting for ever.

    Examples
    --------
    >>> with Behind(overlaps=True) as behind:
    ...     behind.begin(lambda: 7)
    ...     print(list(behind.results()), list(behind.results()))
    [7] []
    """

    def __init__(self, *, overlaps: bool) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="elsewise-writing") if overlaps else None
        self._begun: Future[T] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def begin(self, act: Callable[[], T]) -> None:
        """Begin a thing; the one before must have been taken from `results`. Without overlaps, it may fail here."""
        if self._pool is not None:
            self._begun = self._pool.submit(act)
            return
        result = act()  # what fails has not begun: nobody waits for it
        self._begun = Future()
        self._begun.set_result(result)

    def results(self) -> Iterator[T]:
        """Give the result of what was begun, once; wait for it. Nothing where nothing was. What failed is raised."""
        begun, self._begun = self._begun, None
        if begun is not None:
            yield begun.result()
