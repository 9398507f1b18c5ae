"""A client of `elsewise serve`, for Python programs that hold no model: needs httpx alone.

    with Client("http://localhost:8000") as client:
        answers = client.decide(["where is my parcel", "send it back"])
        answers[0].label, answers[0].abstained

A request that is refused because the server is full, starting or stopping is sent again, when the server says so
(``Retry-After``). Texts come in any number: they are sent in parts.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Self

from elsewise.errors import ElsewiseError, InputError, need

if TYPE_CHECKING:
    import httpx

AT_ONCE: Final = 100  # texts in a request
AGAIN: Final = (429, 502, 503, 504)
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0


class ServerError(ElsewiseError):
    """The server refused a request, or could not be reached; `code` is the code of its problem.

    Attributes
    ----------
    code, status : str, int
        Stable code, empty where there is none; status of HTTP, 0 where nothing came back.
    """

    def __init__(self, words: str, code: str = "", status: int = 0) -> None:
        super().__init__(words)
        self.code, self.status = code, status


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one text.

    Attributes
    ----------
    label, abstained, reason, best_label : str, bool, str, str
        As of `elsewise.rules.decisions.Decision`.
    probability, confidence, threshold : float or None
        None where there is no number: of an unreadable text, or a threshold that everything or nothing reaches.
    truncated, tokens : bool, int or None
        Whether the text was longer than the model reads, and the tokens that were read.
    id, model, certificate : str, str, str or None
        Receipt for `feedback`; which model answered, and under which promise, None for none.
    more : mapping
        What else was asked for: top, probabilities, sentence, customer_sentence.
    problem : mapping or None
        What is wrong with this text, which then has no decision.
    """

    label: str = ""
    abstained: bool = True
    reason: str = ""
    best_label: str = ""
    probability: float | None = None
    confidence: float | None = None
    threshold: float | None = None
    truncated: bool = False
    tokens: int | None = None
    id: str = ""
    model: str = ""
    certificate: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    problem: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, body: Mapping[str, Any], model: str, certificate: str | None) -> Self:
        """Make an answer of the JSON of one."""
        known = {one.name for one in fields(cls)} - {"more", "model", "certificate"}
        own = {name: value for name, value in body.items() if name in known}
        more = {name: value for name, value in body.items() if name not in known}
        return cls(**own, model=model, certificate=certificate, more=more)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request, and how often it may be sent again."""

    method: str
    path: str
    body: Any = None
    tries: int = 6

    def steps(self) -> "Generator[float, httpx.Response | Exception, Any]":
        """Yield how many seconds to wait before each try; take what came of it; return the body of the answer."""
        came, pause = (yield 0.0), FIRST_PAUSE
        for left in range(self.tries - 1, -1, -1):
            if not isinstance(came, Exception) and came.status_code not in AGAIN:
                return _body(came)
            if not left:
                break
            came = yield _wait(came, pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        if isinstance(came, Exception):
            raise ServerError(f"the server cannot be reached: {came or type(came).__name__}") from came
        return _body(came)


@dataclass(slots=True)
class Client:
    """A client for programs without asyncio. Close it, or use it in a ``with`` block.

    Parameters
    ----------
    url : str
        Address of the server, such as "http://localhost:8000".
    key : str, optional
        API key.
    timeout : float
        Seconds for one request.
    tries : int
        How often a request is sent, at most.

    Raises
    ------
    ServerError
        By its methods: if the server refuses a request, or cannot be reached.
    MissingExtra
        If httpx is not installed.
    """

    url: str
    key: str | None = field(default=None, repr=False)
    timeout: float = 30.0
    tries: int = 6
    transport: Any = field(default=None, repr=False)
    _http: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._http = _opened("Client", self)

    def decide(self, texts: Iterable[str], **options: Any) -> list[Answer]:
        """Answer each of n texts, in order.

        Parameters
        ----------
        texts : n strings
        options
            threshold, top, probabilities, truncation and sentences, as the server has them.
        """
        return list(self.stream(texts, **options))

    def stream(self, texts: Iterable[str], **options: Any) -> Iterator[Answer]:
        """Yield the answers of any number of texts, in order; only some texts are in memory at a time."""
        for part in _parts(texts):
            yield from _answers(self._ask(_Asked("POST", "/v1/decide", {"texts": part, **options}, self.tries)))

    def feedback(self, receipt: str, label: str) -> Mapping[str, Any]:
        """Send the true label of an answer, by its `id`."""
        return self._ask(_Asked("POST", "/v1/feedback", {"id": receipt, "label": label}, self.tries))

    def certificate(self) -> Mapping[str, Any]:
        """Give the promise, and whether the last answers keep it (JSON)."""
        return self._ask(_Asked("GET", "/v1/certificate", None, self.tries))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, asked: _Asked) -> Any:
        steps = asked.steps()
        pause = next(steps)
        while True:
            time.sleep(pause)
            came: Any
            try:
                came = self._http.request(asked.method, asked.path, json=asked.body)
            except need("httpx").TransportError as error:
                came = error
            try:
                pause = steps.send(came)
            except StopIteration as done:
                return done.value


@dataclass(slots=True)
class AsyncClient:
    """A client for asyncio, with the parameters and errors of `Client`; use it in an ``async with`` block."""

    url: str
    key: str | None = field(default=None, repr=False)
    timeout: float = 30.0
    tries: int = 6
    transport: Any = field(default=None, repr=False)
    _http: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._http = _opened("AsyncClient", self)

    async def decide(self, texts: Iterable[str], **options: Any) -> list[Answer]:
        """Answer each of n texts, in order, as `Client.decide`."""
        return [answer async for answer in self.stream(texts, **options)]

    async def stream(self, texts: Iterable[str], **options: Any) -> AsyncIterator[Answer]:
        """Yield the answers of any number of texts, in order."""
        for part in _parts(texts):
            body = await self._ask(_Asked("POST", "/v1/decide", {"texts": part, **options}, self.tries))
            for answer in _answers(body):
                yield answer

    async def feedback(self, receipt: str, label: str) -> Mapping[str, Any]:
        """Send the true label of an answer, by its `id`."""
        return await self._ask(_Asked("POST", "/v1/feedback", {"id": receipt, "label": label}, self.tries))

    async def certificate(self) -> Mapping[str, Any]:
        """Give the promise, and whether the last answers keep it (JSON)."""
        return await self._ask(_Asked("GET", "/v1/certificate", None, self.tries))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _ask(self, asked: _Asked) -> Any:
        steps = asked.steps()
        pause = next(steps)
        while True:
            await asyncio.sleep(pause)
            came: Any
            try:
                came = await self._http.request(asked.method, asked.path, json=asked.body)
            except need("httpx").TransportError as error:
                came = error
            try:
                pause = steps.send(came)
            except StopIteration as done:
                return done.value


def _opened(kind: str, client: "Client | AsyncClient") -> Any:
    """Open httpx's client of a class; MissingExtra without httpx."""
    how = {"base_url": client.url, "headers": _headers(client.key), "timeout": client.timeout}
    return getattr(need("httpx", extra="client"), kind)(**how, transport=client.transport)


def _headers(key: str | None) -> dict[str, str]:
    return {} if key is None else {"authorization": f"Bearer {key}"}


def _parts(texts: Iterable[str]) -> Iterator[list[str]]:
    if isinstance(texts, str):
        raise InputError("texts must be a list of strings, got one string; pass [text]")
    left = iter(texts)
    while part := list(islice(left, AT_ONCE)):
        yield part


def _answers(body: Mapping[str, Any]) -> Sequence[Answer]:
    return [Answer.of(one, body["model"], body["certificate"]) for one in body["answers"]]


def _wait(came: Any, pause: float) -> float:
    """Give the seconds before the next try: as the server says, or longer each time, never all clients at once."""
    said = "" if isinstance(came, Exception) else came.headers.get("retry-after", "")
    seconds = float(said) if said.isdigit() else pause
    return min(seconds, LONGEST_PAUSE) * random.uniform(1.0, 1.25)  # noqa: S311  no secret


def _body(reply: Any) -> Any:
    """Give the body of an answer; ServerError for a problem."""
    try:
        body = reply.json()
    except ValueError:
        body = {}
    if reply.is_success:
        return body
    words = body.get("detail") or f"the server answered {reply.status_code}"
    raise ServerError(str(words), str(body.get("code", "")), reply.status_code)
