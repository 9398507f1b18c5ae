"""One bad input, and small ways to make one. They write into the current folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """What somebody gives, and what happens.

    `said` is all that stands on stderr for a refusal (exit 1), after "elsewise: "; a line of it otherwise. `then` says
    what happens where it is not refused, and `holds` looks whether it did, once the command is done.
    """

    given: str
    make: Callable[[], object]
    command: str = "predict model data.csv -o out.csv"
    said: str = ""
    then: str = ""
    holds: Callable[[], bool] | None = None
    model: str = "by heart"

    @property
    def is_refused(self) -> bool:
        return not self.then


def write(content, name="data.csv"):
    """Make the function that writes a file."""
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    return lambda: Path(name).write_bytes(data)


def each(*steps):
    """Make the function that does one thing after the other."""
    return lambda: [step() for step in steps]


def out(name="out.csv"):
    """Read what was written, as text."""
    return Path(name).read_bytes().decode("utf-8")
