"""Requests to an endpoint over HTTP: one text each, several at once, sent again where that can help.

Nothing is followed to another address, so that a key goes nowhere else.
"""

import json
import time
import urllib.error
import urllib.request
from concurrent.futures import FIRST_EXCEPTION, CancelledError, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from threading import Event
from typing import Any, Final
from urllib.parse import urlsplit

from elsewise.errors import ElsewiseError, InputError, in_a_line
from elsewise.storage.json_files import Json

AGAIN: Final = (408, 425, 429, 500, 502, 503, 504)
OF_THE_TEXT: Final = (400, 413, 422)  # refusals that another text may not get
OF_THE_KEY: Final = (401, 403)
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
MOST_BYTES: Final = 1 << 24
PIECE: Final = 1 << 16
HERE: Final = ("localhost", "127.0.0.1", "::1")
SHOWN: Final = 200  # characters of what an endpoint says


class RefusedText(InputError):  # noqa: N818  named for what happened
    """The endpoint takes no such text."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What was asked of an endpoint: requests, those sent again, texts whose answer was known, and tokens."""

    requests: int = 0
    again: int = 0
    known: int = 0
    read: int = 0
    written: int = 0

    def __str__(self) -> str:
        """Say it in one line.

        Examples
        --------
        >>> print(Cost(1200, 3, 40, 50_000, 1200))
        1,200 requests (3 sent again), 50,000 tokens read and 1,200 written; 40 texts were answered before
        """
        again = f" ({self.again:,} sent again)" if self.again else ""
        before = f"; {self.known:,} texts were answered before" if self.known else ""
        return f"{self.requests:,} requests{again}, {self.read:,} tokens read and {self.written:,} written{before}"

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(*(getattr(self, name) + getattr(other, name) for name in Cost.__dataclass_fields__))


@dataclass(frozen=True, slots=True)
class Line:
    """How an endpoint is reached.

    Attributes
    ----------
    url, key, key_from : str, str or None, str or None
        Its address; the key, which is shown nowhere; and the variable that it came from.
    timeout, tries, at_once : float, int, int
        Seconds for one request, how often it is sent at most, and how many are under way.
    """

    url: str
    key: str | None = field(default=None, repr=False)
    key_from: str | None = None
    timeout: float = 30.0
    tries: int = 6
    at_once: int = 8

    def ask(self, bodies: list[Json]) -> tuple[list[Any], Cost]:
        """Send n requests; give n answers (JSON, or RefusedText), and the cost.

        ElsewiseError where the endpoint cannot be reached, or refuses every try; InputError where it refuses the key.
        """
        pool, stop = ThreadPoolExecutor(max(1, min(self.at_once, len(bodies)))), Event()
        try:
            asked = [pool.submit(self._answer, body, stop) for body in bodies]
            for done in wait(asked, return_when=FIRST_EXCEPTION).done:
                done.result()  # the first failure ends it
            found = [each.result() for each in asked]
        finally:
            stop.set()  # what is under way is not sent again: the process may want to end
            pool.shutdown(wait=False, cancel_futures=True)
        cost = Cost()
        for _, one in found:
            cost += one
        return [answer for answer, _ in found], cost

    def _answer(self, body: Json, stop: Event) -> tuple[Any, Cost]:
        cost, pause = Cost(), FIRST_PAUSE
        for left in range(self.tries - 1, -1, -1):
            cost = replace(cost, requests=cost.requests + 1)
            try:
                return self._sent(body), cost
            except RefusedText as refused:
                return refused, cost
            except _TryAgain as failed:
                if not left:
                    raise ElsewiseError(f"{self.url} {failed.words}, {self._times()}; {failed.remedy}") from failed
                seconds = pause if failed.wait is None else failed.wait
                if seconds > LONGEST_PAUSE:
                    raise ElsewiseError(
                        f"{self.url} {failed.words} and says to wait {seconds:,.0f} s; try later"
                    ) from failed
            cost, pause = replace(cost, again=cost.again + 1), min(2 * pause, LONGEST_PAUSE)
            if stop.wait(seconds):
                raise CancelledError
        raise AssertionError  # tries is at least 1

    def _times(self) -> str:
        return f"{self.tries:,} times" if self.tries > 1 else "once"

    def _sent(self, body: Json) -> Any:
        headers = {"content-type": "application/json", "accept": "application/json", "user-agent": "elsewise"}
        headers |= {} if self.key is None else {"authorization": f"Bearer {self.key}"}
        content = json.dumps(body, ensure_ascii=False).encode("utf-8")
        request = urllib.request.Request(self.url, content, headers, method="POST")  # noqa: S310  http(s) alone
        until = time.monotonic() + self.timeout
        try:
            with _opener(self.url).open(request, timeout=self.timeout) as reply:
                return _json(_read(reply, until), self.url)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error, until) from error
        except TimeoutError as error:
            raise _TryAgain(f"gave no answer in {self.timeout:g} s", "allow more with timeout=") from error
        except (urllib.error.URLError, OSError, HTTPException) as error:
            reason: Any = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise _TryAgain(f"gave no answer in {self.timeout:g} s", "allow more with timeout=") from error
            words = in_a_line(reason) if isinstance(reason, BaseException) else str(reason)
            raise _TryAgain(f"cannot be reached ({words})", "check the address, and that it runs") from error

    def _refusal(self, error: urllib.error.HTTPError, until: float) -> Exception:
        said = _said(error, until)
        said = said if self.key is None else said.replace(self.key, "***")
        status, words = error.code, f"answered {error.code}{f' ({said})' if said else ''}"
        if status in OF_THE_KEY:
            key = (
                "say where the key is: api_key_from=" if self.key_from is None else f"check the key in {self.key_from}"
            )
            return InputError(f"{self.url} {words}; {key}")
        if status in OF_THE_TEXT:
            return RefusedText(f"{self.url} {words}")
        if status in AGAIN:
            return _TryAgain(words, "try later, or ask less at a time with at_once=1", _wait(error))
        return InputError(f"{self.url} {words}; check the address")


class _TryAgain(Exception):  # noqa: N818  never leaves this file
    """Something that may pass: what happened, what to do if it does not, and how long to wait (None: not said)."""

    def __init__(self, words: str, remedy: str, wait: float | None = None) -> None:
        super().__init__(words)
        self.words, self.remedy, self.wait = words, remedy, wait


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows nothing: an answer that leads elsewhere is an error."""

    def redirect_request(self, *_: Any) -> None:
        """Follow no redirection."""


OPENER: Final = urllib.request.build_opener(_Stay)
DIRECT: Final = urllib.request.build_opener(_Stay, urllib.request.ProxyHandler({}))


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Reach this machine without the proxy of the environment, which would be sent the key openly."""
    return DIRECT if urlsplit(url).hostname in HERE else OPENER


def _read(reply: Any, until: float) -> bytes:
    """Read an answer until its end, or TimeoutError; InputError for one that is too long."""
    parts, size = [], 0
    while part := reply.read1(PIECE):
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise InputError(f"the endpoint's answer is longer than {MOST_BYTES >> 20} MB, the most that is read")
        if time.monotonic() > until:
            raise TimeoutError
    return b"".join(parts)


def _json(content: bytes, url: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{url} must answer in JSON, got {content[:60]!r}; check the address") from error


def _said(error: urllib.error.HTTPError, until: float) -> str:
    """Give what an endpoint says of an error, in one line."""
    try:
        content = _read(error, until).decode("utf-8", "replace")
    except (OSError, HTTPException, InputError):
        return ""
    return " ".join(content.split())[:SHOWN]


def _wait(error: urllib.error.HTTPError) -> float | None:
    """Read Retry-After, in seconds or as a date; None where it is not said."""
    said = (error.headers.get("retry-after") or "").strip()
    if said.isdecimal():
        return float(said)
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds()) if said else None
    except (TypeError, ValueError):
        return None
