"""The application: which handler answers which path, who may ask, and what every answer and log line carries."""

import json
import logging
import re
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, Final

from elsewise.server import feedback, pages, systemone, tei
from elsewise.server.asgi import Call, ClientGone, Receive, Reply, Scope, Send, new_id
from elsewise.server.decide import decide
from elsewise.server.desk import DRAINING, Desk
from elsewise.server.documents import docs, openapi
from elsewise.server.guard import OPEN, check_encoding, check_host, check_key, check_origin, digest_of
from elsewise.server.problems import MEDIA_TYPE, Problem

Route = Callable[[Desk, Call], Awaitable[Reply]]
ROUTES: Final[dict[str, dict[str, Route]]] = {
    "/": {"GET": pages.start},
    "/docs": {"GET": docs},
    "/health/live": {"GET": pages.live},
    "/health/ready": {"GET": pages.ready},
    "/metrics": {"GET": pages.metrics},
    "/openapi.json": {"GET": openapi},
    "/predict": {"POST": tei.predict},
    "/v1/certificate": {"GET": pages.certificate},
    "/v1/decide": {"POST": decide},
    "/v1/feedback": {"POST": feedback.feedback},
    "/v1/models": {"GET": systemone.models},
    "/v1/systemone": {"POST": systemone.systemone},
}
REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,100}")
requests = logging.getLogger("elsewise.server.requests")


class App:
    """An ASGI application around a desk."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.hosts = desk.settings.allowed_hosts
        self.digests = [digest_of(key) for key in desk.settings.keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        start = time.perf_counter()
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        call = Call(scope, receive, given.decode() if REQUEST_ID.fullmatch(given) else new_id(), headers)
        reply = await self._reply(call)
        status = reply.status if reply else 499
        try:
            if reply is not None:
                await reply.send(send, call.id, is_last=self.desk.stage == DRAINING)
        finally:
            self._note(call, status, time.perf_counter() - start)

    async def _reply(self, call: Call) -> Reply | None:
        """Call the handler; None where the client has left."""
        try:
            return await self._handled(call)
        except Problem as problem:
            call.noted["code"] = problem.code
            return Reply(problem.body(call.id), problem.kind.status, MEDIA_TYPE, problem.headers)
        except ClientGone:
            return None
        except Exception as error:  # noqa: BLE001  one request fails, the server goes on
            return _failed(call, error)

    async def _handled(self, call: Call) -> Reply:
        path, method = call.scope["path"], call.scope["method"]
        call.noted["route"] = path if path in ROUTES else "unknown"
        if path not in OPEN:
            check_host(call, self.hosts)
            check_key(call, self.digests)
        if path not in ROUTES:
            raise Problem("path_unknown", "see /docs for the paths of this server")
        handlers = ROUTES[path]
        handler = handlers.get("GET" if method == "HEAD" else method)
        if handler is None:
            allowed = ", ".join([*handlers, *(["HEAD"] if "GET" in handlers else [])])
            raise Problem("method_refused", f"use {allowed}", {"Allow": allowed})
        if method == "POST":
            check_origin(call)
            check_encoding(call)
        return await handler(self.desk, call)

    def _note(self, call: Call, status: int, seconds: float) -> None:
        """Measure and log a request: never its texts."""
        noted, route = call.noted, call.noted.get("route", "unknown")
        self.desk.measures.requests.labels(route, str(status)).inc()
        self.desk.measures.seconds.labels(route).observe(seconds)
        if "code" in noted:
            self.desk.measures.problems.labels(noted["code"]).inc()
        if self.desk.settings.log_requests and route not in OPEN:
            line: dict[str, Any] = {"event": "request", "request": call.id, "method": call.scope["method"]}
            line |= {"route": route, "status": status, "ms": round(seconds * 1000, 2)}
            line |= {name: noted[name] for name in ("code", "texts", "model", "key") if name in noted}
            requests.info("%s", json.dumps(line))


def _failed(call: Call, error: Exception) -> Reply:
    """Log where a handler has failed; the message of an error may hold a text, so it is not logged."""
    at = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)][-4:]
    line = {"event": "failed", "error": type(error).__name__, "at": at, "request": call.id}
    logging.getLogger("elsewise.server").error("%s", json.dumps(line))
    call.noted["code"] = "internal"
    problem = Problem("internal", "the server has failed; its log has the place, under the id of this request")
    return Reply(problem.body(call.id), problem.kind.status, MEDIA_TYPE)
