"""Connections with deadlines: uvicorn's protocol, which alone would wait for ever for slow or silent clients.

A connection has a moment until which its client must have moved on: headers, body, reading of the answer, the next
request. `sweep` cuts off those that are late. Bytes of headers are counted here, since the parser takes any number.
"""

import math
import time
from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from elsewise.server.asgi import CONNECTION
from elsewise.server.problems import Problem
from elsewise.server.settings import Limits

NEVER: Final = math.inf
LINGER: Final = 1.0  # seconds for a client to read why it is cut off


class OneWrite:
    """A transport that sends what is written within one turn of the loop in one piece: headers and body together."""

    def __init__(self, transport: Any, loop: Any) -> None:
        self.inner, self.loop, self.parts = transport, loop, list[bytes]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def write(self, data: bytes) -> None:
        """Keep data until the end of this turn."""
        if not self.parts:
            self.loop.call_soon(self.flush)
        self.parts.append(data)

    def flush(self) -> None:
        """Send what is kept."""
        parts, self.parts = self.parts, []
        if parts and not self.inner.is_closing():
            self.inner.write(parts[0] if len(parts) == 1 else b"".join(parts))

    def close(self) -> None:
        """Send what is kept, and close."""
        self.flush()
        self.inner.close()


class GuardedProtocol(HttpToolsProtocol):
    """A connection of uvicorn 0.54, with deadlines. Its hooks are pinned by a test that sends slow requests."""

    limits: Limits
    clock: Callable[[], float] = staticmethod(time.monotonic)

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for headers; a connection too many is closed."""
        super().connection_made(OneWrite(transport, self.loop))  # type: ignore[arg-type]
        self.until = self.clock() + self.limits.header_seconds
        self.writing_until = NEVER
        self.in_headers, self.in_body = False, False
        self.read_bytes = 0
        if len(self.connections) > self.limits.connections:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Count bytes, and parse them."""
        self.read_bytes += len(data)
        super().data_received(data)
        if self.in_headers and self.read_bytes > self.limits.header_bytes:
            self.refuse("headers_large", f"headers may have {self.limits.header_bytes:,} bytes")

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.in_headers, self.read_bytes = True, 0
        self.until = self.clock() + self.limits.header_seconds

    def on_headers_complete(self) -> None:
        """Begin to wait for the body; the handlers see this connection."""
        self.in_headers, self.in_body = False, True
        self.until = self.clock() + self.limits.body_seconds
        self.scope["extensions"] = {CONNECTION: self}  # type: ignore[dict-item]
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Wait no more: it is the server's turn."""
        self.in_body = False
        is_answered = self.cycle.response_complete
        self.until = self.clock() + self.limits.idle_seconds if is_answered else NEVER
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of this one."""
        super().on_response_complete()
        if not self.in_body and not self.pipeline:
            self.until = self.clock() + self.limits.idle_seconds

    def pause_writing(self) -> None:
        """Begin to wait for a client that does not read."""
        super().pause_writing()
        self.writing_until = self.clock() + self.limits.write_seconds

    def resume_writing(self) -> None:
        """Wait no more."""
        super().resume_writing()
        self.writing_until = NEVER

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        self.refuse("http_invalid", msg)

    def is_gone(self) -> bool:
        """Tell whether the client has left."""
        return self.transport is None or self.transport.is_closing()

    def more_time(self) -> None:
        """Give the client the time of a body again: it has sent something whole."""
        if self.in_body:
            self.until = self.clock() + self.limits.body_seconds

    def refuse(self, code: str, detail: str) -> None:
        """Answer a problem, unless an answer has begun, and close."""
        problem = Problem(code, detail)
        if not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete or self.in_headers):
            body = problem.body("")
            status = problem.kind.status
            head = f"HTTP/1.1 {status} {problem.kind.title}\r\ncontent-type: application/problem+json\r\n"
            self.transport.write(f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
        self.until = min(self.until, self.clock() + LINGER)
        self.transport.close()

    def cut_if_late(self, now: float) -> None:
        """Cut the connection off if its client is late."""
        if now < min(self.until, self.writing_until):
            return
        if self.in_headers and not self.transport.is_closing():
            self.refuse("request_slow", f"headers must come within {self.limits.header_seconds:g} seconds")
            self.until = now + LINGER
            return
        self.transport.abort()


def protocol_with(limits: Limits) -> type[GuardedProtocol]:
    """Make the class of connections with these limits."""
    return type("LimitedProtocol", (GuardedProtocol,), {"limits": limits})


def sweep(connections: Any) -> None:
    """Cut off every connection whose client is late."""
    now = time.monotonic()
    for connection in list(connections):
        connection.cut_if_late(now)
