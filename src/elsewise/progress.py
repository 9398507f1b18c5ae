"""Types of the two optional callbacks of long-running work: progress (stage, done, total) and notes."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
Note = Callable[[str], None]
