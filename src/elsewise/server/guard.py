"""Who may ask: host names, pages of other sites, and API keys."""

import hashlib
import hmac
from collections.abc import Collection, Sequence
from typing import Final

from elsewise.server.asgi import Call
from elsewise.server.problems import Problem
from elsewise.server.settings import ANY

OPEN: Final = ("/health/live", "/health/ready")  # without a key, for those who start and stop servers
BEARER: Final = "bearer "


def check_host(call: Call, allowed: Collection[str]) -> None:
    """Raise Problem (host_refused) for a host name that is not allowed: a page can have its name lead here."""
    if ANY in allowed:
        return
    host = call.header(b"host").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name not in allowed and host not in allowed:
        raise Problem("host_refused", f"this server does not answer as {host[:100]!r}")


def check_origin(call: Call) -> None:
    """Raise Problem (origin_refused) if a page of a different site asks."""
    origin = call.header(b"origin").lower()
    if origin and origin.partition("//")[2] != call.header(b"host").lower():
        raise Problem("origin_refused", f"pages of {origin[:100]!r} may not ask this server")


def check_encoding(call: Call) -> None:
    """Raise Problem (media_type) for a compressed body: a few bytes could be a gigabyte."""
    if (encoding := call.header(b"content-encoding").lower()) not in ("", "identity"):
        raise Problem("media_type", f"send the body as it is, without content-encoding: {encoding[:50]}")


def check_key(call: Call, digests: Sequence[bytes]) -> None:
    """Raise Problem (key_missing, key_wrong) unless a request carries a known key; note which for taking turns.

    All keys are compared, each in a time that does not depend on where it differs.
    """
    if not digests:
        return
    given = call.header(b"authorization")
    key = given[len(BEARER) :].strip() if given[: len(BEARER)].lower() == BEARER else call.header(b"x-api-key")
    if not key:
        headers = {"WWW-Authenticate": "Bearer"}
        raise Problem("key_missing", "send the header Authorization: Bearer KEY", headers)
    digest = digest_of(key)
    found = [hmac.compare_digest(digest, known) for known in digests]
    if True not in found:
        raise Problem("key_wrong", "the server does not know this key", {"WWW-Authenticate": "Bearer"})
    call.noted["key"] = f"key {found.index(True) + 1}"


def digest_of(key: str) -> bytes:
    """Hash a key, so that all have one length and none is kept as it is."""
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()
