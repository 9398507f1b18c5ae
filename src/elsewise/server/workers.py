"""Several serving processes on one socket: started, told of signals, and replaced if one dies."""

import multiprocessing
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from multiprocessing.connection import wait
from typing import Any, Final

from elsewise.server.lifecycle import FAILED, run
from elsewise.server.logs import log_json, say
from elsewise.server.measures import SHARED
from elsewise.server.settings import Settings

PAUSE: Final = 1.0  # seconds before a dead worker is replaced
FORWARDED: Final = ("SIGTERM", "SIGINT", "SIGHUP")


def run_workers(settings: Settings, opened: socket.socket) -> int:
    """Serve by several processes until a signal comes; return the exit code."""
    numbers = tempfile.mkdtemp(prefix="elsewise-measures-")
    os.environ[SHARED] = numbers
    crew = _Crew(settings, opened)
    before = {name: signal.signal(getattr(signal, name), crew.told) for name in FORWARDED if hasattr(signal, name)}
    try:
        return crew.work()
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
        os.environ.pop(SHARED, None)
        shutil.rmtree(numbers, ignore_errors=True)


class _Crew:
    """The workers of a server, and the process that looks after them."""

    def __init__(self, settings: Settings, opened: socket.socket) -> None:
        self.settings, self.opened = settings, opened
        self.context = multiprocessing.get_context("spawn")
        self.workers: list[Any] = []
        self.stopping = False

    def told(self, number: int, _: Any) -> None:
        """Tell every worker of a signal."""
        is_swap = number == getattr(signal, "SIGHUP", None)
        self.stopping = self.stopping or not is_swap
        for worker in self.workers:
            if worker.is_alive():
                os.kill(worker.pid, number if is_swap else signal.SIGTERM)

    def work(self) -> int:
        """Start the workers, replace those that die, and wait for the end of all."""
        self.workers = [self._start() for _ in range(self.settings.workers)]
        code = 0
        while alive := [worker for worker in self.workers if worker.is_alive()]:
            wait([worker.sentinel for worker in alive], timeout=PAUSE)
            for place, worker in enumerate(self.workers):
                if worker.is_alive() or self.stopping:
                    continue
                if worker.exitcode == FAILED:  # the model cannot be opened: the next one could not either
                    code = FAILED
                    self.told(signal.SIGTERM, None)
                    break
                say("worker_died", code=worker.exitcode)
                time.sleep(PAUSE)
                self.workers[place] = self._start()
        return code or max((worker.exitcode or 0 for worker in self.workers), default=0)

    def _start(self) -> Any:
        made = self.context.Process(target=_work, args=(self.settings, self.opened), name="elsewise-worker")
        made.start()
        return made


def _work(settings: Settings, opened: socket.socket) -> None:
    """Serve, in a process of its own."""
    log_json()
    sys.exit(run(settings, opened))
