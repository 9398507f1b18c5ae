"""Ask a server from many connections, each again as soon as it is answered, and print what came of it as JSON.

python benchmarks/load_generator.py --url http://127.0.0.1:8000 --bodies FILE --connections 64 --seconds 10

FILE has the body of one request a line. A process of its own, so that it does not wait for the server's Python.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httptools

HEAD = "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"


class Asking(asyncio.Protocol):
    """One connection: a request, its answer, and the next request."""

    def __init__(self, load: "Load") -> None:
        self.load = load
        self.start: float | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.parser = httptools.HttpResponseParser(self)
        self.load.open.add(self)
        self.ask()

    def ask(self) -> None:
        if time.perf_counter() >= self.load.end:
            self.transport.close()
            return
        self.body = bytearray()
        self.start = time.perf_counter()
        self.transport.write(self.load.next())

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        now = time.perf_counter()
        status = self.parser.get_status_code()
        self.load.saw(status, now - self.start, bytes(self.body))
        keeps = self.parser.should_keep_alive()
        self.parser = httptools.HttpResponseParser(self)
        self.start = None
        if not keeps:
            self.transport.close()
        elif status in (429, 503) and self.load.pause:
            asyncio.get_running_loop().call_later(self.load.pause, self.ask)
        else:
            asyncio.get_running_loop().call_soon(self.ask)

    def connection_lost(self, _: Exception | None) -> None:
        self.load.open.discard(self)
        if self.start is not None:
            self.load.lost += 1
        self.load.lose()


class Load:
    """What is sent, and what came back."""

    def __init__(self, url: str, bodies: list[bytes], seconds: float, path: str, pause: float) -> None:
        at = urlsplit(url)
        self.host, self.port = at.hostname, at.port
        self.requests = [HEAD.format(path=path, host=at.netloc, length=len(body)).encode() + body for body in bodies]
        self.begin = time.perf_counter()
        self.end, self.pause = self.begin + seconds, pause
        self.at, self.lost, self.open, self.refused = 0, 0, set(), 0
        self.statuses, self.seconds, self.models, self.when = Counter(), [], Counter(), []

    def next(self) -> bytes:
        self.at += 1
        return self.requests[self.at * 7919 % len(self.requests)]

    def saw(self, status: int, seconds: float, body: bytes) -> None:
        self.statuses[status] += 1
        if status == 200:
            self.seconds.append(seconds)
            self.when.append(time.perf_counter() - self.begin)
            self.models[body[10:26].decode("ascii", "replace")] += 1

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        while time.perf_counter() < self.end:
            try:
                await loop.create_connection(lambda: Asking(self), self.host, self.port)
            except OSError:
                self.refused += 1
                await asyncio.sleep(0.02)
            else:
                return

    def lose(self) -> None:
        if time.perf_counter() < self.end:
            self.task = asyncio.get_running_loop().create_task(self.connect())

    def report(self) -> dict[str, Any]:
        found = sorted(self.seconds)

        def at(share: float) -> float | None:
            return round(found[min(len(found) - 1, int(share * len(found)))] * 1000, 2) if found else None

        took = time.perf_counter() - self.begin
        return {
            "seconds": round(took, 3), "answers": len(found), "per_second": round(len(found) / took, 1),
            "statuses": dict(self.statuses), "lost": self.lost, "refused": self.refused, "models": dict(self.models),
            "p50_ms": at(0.5), "p90_ms": at(0.9), "p99_ms": at(0.99), "max_ms": at(1.0),
        }  # fmt: skip


async def run(arguments: argparse.Namespace, bodies: list[bytes]) -> dict[str, Any]:
    load = Load(arguments.url, bodies, arguments.seconds, arguments.path, arguments.pause)
    await asyncio.gather(*(load.connect() for _ in range(arguments.connections)))
    while (now := time.perf_counter()) < load.end or (load.open and now < load.end + 20):  # noqa: ASYNC110  the end is looked for, seldom
        await asyncio.sleep(0.05)
    return load.report()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--bodies", required=True)
    parser.add_argument("--path", default="/v1/decide")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds to wait after 429 and 503")
    given = parser.parse_args()
    json.dump(asyncio.run(run(given, Path(given.bodies).read_bytes().splitlines())), sys.stdout)
    print()
