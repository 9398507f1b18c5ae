"""``POST /v1/decide``: texts in, decisions out; one request as JSON, or a stream of lines."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from msgspec import UNSET

from elsewise.server.answers import problem_answer
from elsewise.server.asgi import JSON, NDJSON, Call, ClientGone, Reply, too_large
from elsewise.server.desk import Desk
from elsewise.server.problems import Problem
from elsewise.server.schemas import Answer, DecideAnswer, DecideRequest, Options, decoder
from elsewise.server.served import Served
from elsewise.server.strict_json import decode

REQUEST: Final = decoder(DecideRequest)
LINE: Final = decoder(Any)
ENCODER: Final = msgspec.json.Encoder()
LINES_AT_ONCE: Final = 128  # of a stream, in one job
PAUSE: Final = 0.05  # seconds between two looks whether the queue has room
OPTIONS: Final = {"threshold": float, "top": int, "probabilities": bool, "truncation": str, "sentences": str}


async def decide(desk: Desk, call: Call) -> Reply:
    """Answer texts."""
    if call.media_type == NDJSON:
        options = options_of(call.scope.get("query_string", b""))
        served = desk.current()
        desk.batcher.refuse_if_full()
        return Reply(_lines(desk, call, options, served), media_type=NDJSON)
    if call.media_type != JSON:
        raise Problem("media_type", f"send content-type {JSON}, or {NDJSON} for a stream of lines")
    desk.current()
    desk.batcher.refuse_if_full()
    limits = desk.settings.limits
    request = decode(await call.body(limits.body_bytes), REQUEST, limits.depth)
    served, answers = await desk.decide(call, _texts(request, limits.texts), request)
    certificate = served.certificate if request.threshold is None else None
    return Reply(ENCODER.encode(DecideAnswer(model=served.model, certificate=certificate, answers=answers)))


def _texts(request: DecideRequest, most: int) -> list[Any]:
    if (request.text is UNSET) == (request.texts is UNSET):
        raise Problem("request_invalid", "give text, or texts, and not both")
    texts = [request.text] if request.texts is UNSET else request.texts
    if len(texts) > most:
        words = f"a request may have {most:,} texts, got {len(texts):,}; send {NDJSON} for any number"
        raise Problem("texts_many", words)
    return texts


def options_of(query: bytes) -> Options:
    """Read the options of a stream from the query of its address.

    Raises
    ------
    Problem
        request_invalid.

    Examples
    --------
    >>> options_of(b"top=2&probabilities=true").top
    2
    """
    given: dict[str, Any] = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name not in OPTIONS or name in given:
            raise Problem("request_invalid", f"the address may have {', '.join(OPTIONS)}, once each, got {name[:50]!r}")
        given[name] = value
    try:
        return msgspec.convert(given, Options, strict=False)
    except msgspec.ValidationError as error:
        raise Problem("request_invalid", str(error)[:300]) from None


async def _lines(desk: Desk, call: Call, options: Options, served: Served) -> AsyncIterator[bytes]:
    """Answer a stream of lines in order, a line for each; some lines are read while those before are answered."""
    del served
    working: deque[asyncio.Task[bytes]] = deque()
    try:
        async for first, lines in _in_parts(desk, call):
            working.append(asyncio.create_task(_answer_lines(desk, call, options, first, lines)))
            if len(working) > 1:
                yield await working.popleft()
        while working:
            yield await working.popleft()
    except ClientGone:
        return
    except Problem as problem:  # the answer has begun: it ends with a line that says why
        for answered in await asyncio.gather(*working, return_exceptions=True):
            if isinstance(answered, bytes):
                yield answered
        yield _line({"line": None}, problem_answer(problem))
    finally:
        for work in working:
            work.cancel()
        await asyncio.gather(*working, return_exceptions=True)  # or asyncio logs what they raise as an error of ours


async def _in_parts(desk: Desk, call: Call) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Divide a stream into parts of whole lines, each with the number of its first line, from 1."""
    limits = desk.settings.limits
    longest = 6 * limits.characters + 1_000  # bytes of a line: a character is at most 6 of them, as \u0000
    rest, first, lines = b"", 1, []
    async for chunk in call.chunks():
        *whole, rest = (rest + chunk).split(b"\n")
        lines += whole
        if len(rest) > longest:
            raise too_large(longest)
        if whole and (connection := call.connection) is not None:
            connection.more_time()
        while len(lines) >= LINES_AT_ONCE:
            yield first, lines[:LINES_AT_ONCE]
            first, lines = first + LINES_AT_ONCE, lines[LINES_AT_ONCE:]
        if lines and not rest:  # the client may wait for these before it sends more
            yield first, lines
            first, lines = first + len(lines), []
    if rest.strip():
        lines.append(rest)
    if lines:
        yield first, lines


async def _answer_lines(desk: Desk, call: Call, options: Options, first: int, lines: list[bytes]) -> bytes:
    texts, keys, wrong = [], [], {}
    for place, line in enumerate(lines):
        try:
            text, key = _read_line(line, desk.settings.limits.depth) if line.strip() else (UNSET, UNSET)
        except Problem as problem:
            text, key, wrong[place] = "", UNSET, problem
        texts.append(text)
        keys.append(key)
    asked = [place for place, text in enumerate(texts) if place not in wrong and text is not UNSET]
    served, answers = await _when_there_is_room(desk, call, [texts[place] for place in asked], options)
    found = dict(zip(asked, answers, strict=True))
    found |= {place: problem_answer(problem) for place, problem in wrong.items()}
    named = partial(_named, served.model, served.certificate if options.threshold is None else None)
    return b"".join(_line(named(first + place, keys[place]), found[place]) for place in sorted(found))


async def _when_there_is_room(
    desk: Desk, call: Call, texts: list[Any], options: Options
) -> tuple[Served, list[Answer]]:
    while True:
        try:
            return await desk.decide(call, texts, options)
        except Problem as problem:
            if problem.code not in ("queue_full", "deadline") or call.gone():
                raise
        await asyncio.sleep(PAUSE)


def _read_line(line: bytes, depth: int) -> tuple[Any, Any]:
    """Read a line: a string, or an object with `text` and perhaps `key`, which comes back with the answer."""
    value = decode(line, LINE, depth)
    if isinstance(value, dict) and value.keys() <= {"text", "key"} and "text" in value:
        return value["text"], value.get("key", UNSET)
    if isinstance(value, dict):
        raise Problem("request_invalid", "a line is a string, or an object with text and perhaps key")
    return value, UNSET


def _named(model: str, certificate: str | None, line: int, key: Any) -> dict[str, Any]:
    return {"line": line, **({} if key is UNSET else {"key": key}), "model": model, "certificate": certificate}


def _line(named: dict[str, Any], answer: Answer) -> bytes:
    return ENCODER.encode({**named, **msgspec.to_builtins(answer)}) + b"\n"
