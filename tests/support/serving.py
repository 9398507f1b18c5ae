"""Serve a model as `elsewise serve` does, on a real socket: in a thread of this process, or in a process of its own."""

import contextlib
import json
import logging
import os
import re
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

import elsewise as ew
from elsewise.engines.memory import MemoryEngine
from elsewise.server.lifecycle import Life, listen, run
from elsewise.server.settings import Settings

LABELS = ("billing", "delivery", "returns")
TEXTS = {
    "where is my parcel": (0.0, 4.0, 0.0),
    "an invoice too many": (5.0, 0.0, 0.0),
    "send it back": (0.0, 0.5, 3.0),
    "parcel or invoice": (1.0, 1.0, 0.0),
}


def by_heart(threshold=0.6, **engine):
    """A classifier that knows four texts."""
    made = MemoryEngine(LABELS, TEXTS, default=engine.pop("default", (0.2, 0.1, 0.0)))
    return ew.Classifier(made, ew.Identity(), ew.FixedThreshold(threshold))


@dataclass
class Served:
    """A server that answers."""

    port: int
    life: Life | None = None
    process: subprocess.Popen | None = None
    log: list = field(default_factory=list)
    client: httpx.Client = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def decide(self, *texts, **options):
        return self.client.post("/v1/decide", json={"texts": list(texts), **options})

    def events(self, name):
        return [line for line in self.log if line.get("event") == name]

    def begin(self, what):
        """Drain, or swap, as a signal would."""
        loop = self.life.loop
        loop.call_soon_threadsafe(self.life.begin, getattr(self.life, what))

    def socket(self, timeout=10.0):
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)


class Kept(logging.Handler):
    """Keeps what the server logs."""

    def __init__(self, lines):
        super().__init__()
        self.lines = lines

    def emit(self, record):
        message = record.getMessage()
        self.lines.append(json.loads(message) if message.startswith("{") else {"message": message})


@contextlib.contextmanager
def serving(folder, load=ew.load, **settings):
    """Serve a folder in a thread; wait until it is ready."""
    lines, lives = [], []
    handler = Kept(lines)
    logger = logging.getLogger("elsewise.server")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    made = Settings(Path(folder), load, port=0, **{"drain_seconds": 0.0, **settings})
    opened = listen(made)
    codes, port = [], opened.getsockname()[1]
    thread = threading.Thread(target=lambda: codes.append(run(made, opened, lives.append)), daemon=True)
    thread.start()
    key = {"authorization": f"Bearer {made.keys[0]}"} if made.keys else {}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=key, timeout=30) as client:
        served = Served(port, log=lines, client=client)
        wait_until(lambda: _is_ready(client) or codes)
        served.life = lives[0]
        try:
            yield served
        finally:
            if not codes:
                served.begin("drain")
            thread.join(20)
            logger.removeHandler(handler)
    assert codes, "the server did not end"


@contextlib.contextmanager
def serving_process(folder, *options, **environment):
    """Serve a folder by `elsewise serve` in a process of its own; wait until it is ready."""
    words = [sys.executable, "-m", "elsewise", "serve", str(folder), "--port", "0", *options]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", **environment}
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment)
    first = process.stderr.readline()
    port = re.search(r"http://127\.0\.0\.1:(\d+)", first)
    assert port, first + process.stderr.read()
    with httpx.Client(base_url=f"http://127.0.0.1:{port[1]}", timeout=30) as client:
        served = Served(int(port[1]), process=process, client=client)
        reader = threading.Thread(target=_read, args=(process, served.log), daemon=True)
        reader.start()
        try:
            wait_until(lambda: _is_ready(client) or process.poll() is not None, 60)
            yield served
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(20)
            reader.join(5)
            process.stderr.close()


def _is_ready(client):
    try:
        return client.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def _read(process, log):
    for line in process.stderr:
        log.append(json.loads(line) if line.startswith("{") else {"said": line})


def wait_until(is_so, seconds=20.0):
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := is_so():
            return found
        time.sleep(0.01)
    raise AssertionError(f"not so after {seconds} s")
