"""Errors of the server, as problem+json (RFC 9457): each has a code that stays, for programs, and words for people."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec


@dataclass(frozen=True, slots=True)
class Kind:
    """Status and title of the problems with one code."""

    status: int
    title: str


KINDS: Final[dict[str, Kind]] = {
    "json_invalid": Kind(400, "The body is not JSON"),
    "json_duplicate_key": Kind(400, "An object of the body has a key twice"),
    "json_depth": Kind(400, "The body has too many brackets inside brackets"),
    "http_invalid": Kind(400, "The request is not HTTP"),
    "key_missing": Kind(401, "An API key is needed"),
    "key_wrong": Kind(401, "The API key is not known"),
    "host_refused": Kind(403, "This host name is not served"),
    "origin_refused": Kind(403, "Pages of other sites may not ask"),
    "path_unknown": Kind(404, "There is nothing at this path"),
    "receipt_unknown": Kind(404, "There is no such receipt"),
    "method_refused": Kind(405, "This path has no such method"),
    "request_slow": Kind(408, "The request came too slowly"),
    "body_large": Kind(413, "The body is too large"),
    "media_type": Kind(415, "The body has the wrong type"),
    "request_invalid": Kind(422, "The request has the wrong fields"),
    "texts_many": Kind(422, "The request has too many texts"),
    "text_missing": Kind(422, "This text is no string"),
    "text_long": Kind(422, "This text is too long"),
    "text_truncated": Kind(422, "This text is longer than the model reads"),
    "text_unreadable": Kind(422, "This text has nothing to read"),
    "question_unknown": Kind(422, "This question is not answered here"),
    "label_unknown": Kind(422, "The model has no such label"),
    "queue_full": Kind(429, "The queue is full"),
    "headers_large": Kind(431, "The headers are too large"),
    "internal": Kind(500, "The server has failed"),
    "not_ready": Kind(503, "The model is not ready"),
    "draining": Kind(503, "The server is stopping"),
    "deadline": Kind(503, "The request waited too long"),
}
MEDIA_TYPE: Final = "application/problem+json"


class Problem(Exception):  # noqa: N818  it becomes an answer, as RFC 9457 calls it
    """A request that is not answered.

    Attributes
    ----------
    code, detail : str, str
        A key of KINDS, and what is wrong with this request.
    headers : mapping
        Headers of the answer, such as Retry-After.
    """

    def __init__(self, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.code, self.detail, self.headers = code, detail, dict(headers or {})

    @property
    def kind(self) -> Kind:
        """Status and title."""
        return KINDS[self.code]

    def as_dict(self) -> dict[str, Any]:
        """Give the fields of problem+json.

        Examples
        --------
        >>> Problem("texts_many", "at most 256 texts, got 300").as_dict()["status"]
        422
        """
        kind = self.kind
        return {
            "type": f"urn:elsewise:problem:{self.code}",
            "title": kind.title,
            "status": kind.status,
            "detail": self.detail,
            "code": self.code,
        }

    def body(self, request: str) -> bytes:
        """Write the body of the answer; `request` is the request's id."""
        return msgspec.json.encode({**self.as_dict(), "request": request})


def retry_after(seconds: float) -> dict[str, str]:
    """Give the header that tells a client when to come again, in whole seconds.

    Examples
    --------
    >>> retry_after(0.2), retry_after(3.4)
    ({'Retry-After': '1'}, {'Retry-After': '4'})
    """
    return {"Retry-After": str(max(1, -int(-seconds // 1)))}
