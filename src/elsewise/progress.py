"""How long work speaks to whoever called it: through two callables, both optional everywhere."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
Note = Callable[[str], None]
