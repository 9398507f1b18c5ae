"""Routes that only tell: health, measures, the certificate, and the documents of the interface."""

import html
from functools import cache
from importlib.resources import files
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from elsewise.messages import MESSAGES
from elsewise.server.asgi import Call, Reply
from elsewise.server.desk import READY, Desk
from elsewise.server.measures import MEDIA_TYPE
from elsewise.server.problems import Problem, retry_after
from elsewise.storage.json_files import finite

HTML: Final = "text/html; charset=utf-8"
SAFE: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


async def live(desk: Desk, call: Call) -> Reply:
    """Say that the process answers; Problem (internal) where its queue has died, so that it is started again."""
    del call
    if not desk.batcher.is_alive:
        raise Problem("internal", "the queue has ended; start the server again")
    return Reply(b'{"status":"live"}')


async def ready(desk: Desk, call: Call) -> Reply:
    """Say that texts are answered; Problem (not_ready, draining) otherwise."""
    del call
    served = desk.current()
    if desk.stage != READY:
        raise Problem("draining", "the server is stopping", retry_after(1))
    return Reply(msgspec.json.encode({"status": "ready", "model": served.model, "certificate": served.certificate}))


async def metrics(desk: Desk, call: Call) -> Reply:
    """Give the measures for Prometheus."""
    del call
    desk.measures.waiting.set(desk.batcher.waiting_tokens)
    desk.measures.ready.set(desk.stage == READY)
    if desk.watch is not None:
        desk.measures.told(desk.watch.report()["other_share"] or 0.0, desk.watch.shifted(), desk.watch.alarms())
    return Reply(desk.measures.text(), media_type=MEDIA_TYPE)


async def certificate(desk: Desk, call: Call) -> Reply:
    """Give the promise, and whether the last answers still keep it, in the language of the query."""
    language = dict(parse_qsl(call.scope.get("query_string", b"").decode("latin-1"))).get("language", "en")
    if language not in MESSAGES:
        raise Problem("request_invalid", f"language must be one of {', '.join(MESSAGES)}, got {language[:50]!r}")
    served = desk.current()
    promise = served.classifier.certificate
    body: dict[str, Any] = {
        "model": served.model,
        "name": served.name,
        "certificate": served.certificate,
        "promise": None if promise is None else finite({**promise.as_dict(), "sentence": promise.say(language)}),
        "watch": None if desk.watch is None else desk.watch.report(language),
    }
    return Reply(msgspec.json.encode(body))


async def start(desk: Desk, call: Call) -> Reply:
    """Give the page at the root: what this is, and where its documents are."""
    del call
    served = desk.current()
    names = {
        "name": served.name,
        "labels": f"{len(served.classifier.labels):,}",
        "other": served.classifier.other,
        "model": served.model,
    }
    page = _asset("start.html")
    for name, value in names.items():
        page = page.replace("{" + name + "}", html.escape(value))
    return Reply(page.encode(), media_type=HTML, headers=SAFE)


@cache
def _asset(name: str) -> str:
    return (files("elsewise.server") / "assets" / name).read_text(encoding="utf-8")
