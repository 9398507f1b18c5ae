"""A request as handlers see it, and what they reply: the few parts of ASGI that this server needs."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

from elsewise.server.problems import Problem

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
CONNECTION: Final = "elsewise.connection"  # extension of the scope: the connection of `elsewise.server.protocol`

SECRET: Final = os.urandom(32)  # asking the system for each id takes longer than to answer a request
COUNT: Final = itertools.count()

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


class ClientGone(Exception):  # noqa: N818  nobody is there to be told of an error
    """The client has left before its request was whole."""


@dataclass(slots=True, eq=False)
class Call:
    """One request.

    Attributes
    ----------
    scope, receive, id : mapping, callable, str
        ASGI's parts, and the id of the request.
    headers : mapping of bytes to bytes
        Names in lower case; the last value of a name.
    noted : dict
        What the log and the metrics are told.
    """

    scope: Scope
    receive: Receive
    id: str
    headers: dict[bytes, bytes]
    noted: dict[str, Any] = field(default_factory=dict)

    def header(self, name: bytes) -> str:
        """Give a header as text; empty where there is none."""
        return self.headers.get(name, b"").decode("latin-1")

    @property
    def media_type(self) -> str:
        """Type of the body, without parameters, in lower case."""
        return self.header(b"content-type").partition(";")[0].strip().lower()

    @property
    def connection(self) -> Any:
        """The connection, or None where this server does not hold it, as in tests."""
        return self.scope.get("extensions", {}).get(CONNECTION)

    def gone(self) -> bool:
        """Tell whether the client has left."""
        connection = self.connection
        return connection is not None and connection.is_gone()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes; ClientGone if it ends early."""
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            more = message.get("more_body", False)
            yield message.get("body", b"")

    async def body(self, limit: int) -> bytes:
        """Read the whole body, counted as it comes; Problem (body_large) where it has more than `limit` bytes."""
        declared = self.header(b"content-length")
        if declared.isdigit() and int(declared) > limit:
            raise too_large(limit)
        read = bytearray()
        async for chunk in self.chunks():
            read += chunk
            if len(read) > limit:
                raise too_large(limit)
        return bytes(read)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: one piece of bytes, or a stream of them."""

    body: bytes | AsyncIterator[bytes]
    status: int = 200
    media_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)

    async def send(self, send: Send, request: str, *, is_last: bool = False) -> None:
        """Send the answer; the last one of a connection says so."""
        more = [(name.lower().encode(), value.encode("latin-1")) for name, value in self.headers.items()]
        headers = [(b"content-type", self.media_type.encode()), (b"x-request-id", request.encode()), *more]
        if is_last:
            headers.append((b"connection", b"close"))
        if isinstance(self.body, bytes):
            headers.append((b"content-length", str(len(self.body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        if isinstance(self.body, bytes):
            await send({"type": "http.response.body", "body": self.body})
            return
        async for piece in self.body:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


Handler = Callable[[Call], Awaitable[Reply]]


def too_large(limit: int) -> Problem:
    """Give the problem of a body of more than `limit` bytes."""
    return Problem("body_large", f"a body may have {limit:,} bytes")


def new_id() -> str:
    """Make an id of 24 letters and digits, which nobody guesses: a secret of this process, hashed with a count."""
    return blake2b(str(next(COUNT)).encode(), digest_size=12, key=SECRET).hexdigest()


async def in_thread(work: Callable[..., Any], *given: Any) -> Any:
    """Run long work in a thread, so that others are answered meanwhile."""
    return await asyncio.get_running_loop().run_in_executor(None, work, *given)
