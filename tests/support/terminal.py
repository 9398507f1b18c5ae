"""A terminal of a given width: a command runs in it, and what its screen shows is given as lines."""

import fcntl
import os
import pty
import re
import struct
import sys
import termios
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

CODE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+")


@dataclass
class Screen:
    """The lines of a terminal that scrolls without end, and where its cursor is."""

    width: int
    lines: list
    row: int = 0
    column: int = 0
    hidden: bool = False  # the cursor

    def feed(self, text):
        for part in CODE.findall(text):
            if part == "\r":
                self.column = 0
            elif part == "\n":
                self._down()
            elif part.startswith("\x1b["):
                self._obey(part[2:-1], part[-1])
            else:
                for letter in part:
                    self._write(letter)
        return self

    def _down(self):
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append("")

    def _write(self, letter):
        if self.column == self.width:
            self._down()
            self.column = 0
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[: self.column] + letter + line[self.column + 1 :]
        self.column += 1

    def _obey(self, numbers, command):
        if command == "A":
            self.row -= int(numbers or 1)
        elif command == "K":
            self.lines[self.row] = "" if numbers == "2" else self.lines[self.row][: self.column]
        elif numbers == "?25":
            self.hidden = command == "l"
        elif command != "m":
            raise NotImplementedError(numbers + command)

    @property
    def text(self):
        return "\n".join(line.rstrip() for line in self.lines).rstrip("\n")


class Stream:
    """A stream that says it is a terminal, and keeps what it is sent."""

    encoding = "utf-8"

    def __init__(self, width):
        self.width, self.sent = width, ""

    def write(self, text):
        self.sent += text
        return len(text)

    def flush(self):
        pass

    def isatty(self):
        return True

    def fileno(self):
        raise OSError

    @property
    def screen(self):
        return Screen(self.width, [""]).feed(self.sent.replace("\n", "\r\n"))


@contextmanager
def on_terminal(width=60, kind="xterm"):
    """Let stdout and stderr be one terminal of this width."""
    stream = Stream(width)
    with ExitStack() as whole:
        whole.enter_context(patch.dict(os.environ, COLUMNS=str(width), TERM=kind))
        whole.enter_context(redirect_stdout(stream))
        whole.enter_context(redirect_stderr(stream))
        yield stream


def in_terminal(*words, width=80, folder=None, environment=None, stop=None):
    """Run a command in a process with a terminal of its own: exit code, the screen at the end, and all it was sent.

    `stop` is (words, signal): the signal is sent when the words are on the screen.
    """
    child, master = pty.fork()
    if child == 0:  # pragma: no cover
        try:
            os.chdir(folder or ".")
            os.environ.update({"TERM": "xterm", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", **(environment or {})})
            os.execv(sys.executable, [sys.executable, "-m", "elsewise", *map(str, words)])  # noqa: S606
        finally:
            os._exit(127)
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    sent = b""
    while True:
        try:
            block = os.read(master, 1 << 16)
        except OSError:  # the other end is closed
            break
        if not block:
            break
        sent += block
        if stop and stop[0] in sent.decode(errors="ignore"):
            os.kill(child, stop[1])
            stop = None
    os.close(master)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    text = sent.decode()
    return code, Screen(width, [""]).feed(text), text
