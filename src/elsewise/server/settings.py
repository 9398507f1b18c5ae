"""Settings of the server, checked once before anything starts."""

import ipaddress
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final

from elsewise.classifier.classifier import Classifier
from elsewise.errors import InputError

LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "[::1]")
ANY: Final = "*"


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on what clients may send and keep open. Seconds, bytes, or counts.

    Attributes
    ----------
    body_bytes, header_bytes : int
        Bytes of a body, counted as they come, and of the headers.
    texts, characters, depth : int
        Texts in a request, characters in a text, and brackets inside brackets of JSON.
    header_seconds, body_seconds, idle_seconds, write_seconds : float
        Time for the headers, for the body, between two requests, and for a client to read what waits for it.
    connections : int
        Connections at a time. More are closed at once.
    queue_tokens, wait_seconds : int, float
        A request is refused when more tokens than this wait, or when it would wait longer than this.
    deadline_seconds : float
        Work that is older than this is dropped.
    """

    body_bytes: int = 4 << 20
    header_bytes: int = 32 << 10
    texts: int = 256
    characters: int = 100_000
    depth: int = 16
    header_seconds: float = 10.0
    body_seconds: float = 30.0
    idle_seconds: float = 5.0
    write_seconds: float = 30.0
    connections: int = 2_000
    queue_tokens: int = 1 << 18
    wait_seconds: float = 1.0
    deadline_seconds: float = 10.0

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if not (value > 0 and math.isfinite(value)):
                raise InputError(f"{one.name} must be a positive number, got {value}")


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one server.

    Attributes
    ----------
    model : Path
        The model folder. It is read again when the server is told to (SIGHUP).
    load : callable
        Opens that folder; must be picklable for more than one worker.
    host, port : str, int
        Address to listen on. Port 0 takes a free one.
    keys : tuple of str
        API keys. Without one, only a loopback address is allowed, unless `without_key`.
    hosts : tuple of str
        Host names that requests may carry, ``*`` for any. Empty: the usual ones for `host`.
    drain_seconds : float
        How long requests are still taken after the signal to stop.
    workers : int
        Processes that answer, each with a model of its own.
    audit_share, audit_file : float, Path or None
        Share of answered texts that is kept, and where. Texts are personal data.
    window : int
        Texts that the watch looks back on.
    alarm_rate : float
        Chance that an alarm of the watch is ever false.
    log_requests : bool
        Whether each request becomes a line of the log.
    secret : bytes
        Seals the ids of answers, for all workers.
    """

    model: Path
    load: Callable[[Path], Classifier]
    host: str = "127.0.0.1"
    port: int = 8000
    keys: tuple[str, ...] = field(default=(), repr=False)
    without_key: bool = False
    hosts: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    drain_seconds: float = 5.0
    workers: int = 1
    audit_share: float = 0.0
    audit_file: Path | None = None
    window: int = 10_000
    alarm_rate: float = 0.01
    log_requests: bool = True
    secret: bytes = field(default_factory=lambda: os.urandom(32), repr=False)

    def __post_init__(self) -> None:
        if not self.keys and not self.without_key and not is_loopback(self.host):
            raise InputError(
                f"{self.host} can be reached by others, and there is no API key; give api_key_file=, or say "
                "without_key=True to serve everyone who can reach it"
            )
        if not 0 <= self.audit_share <= 1:
            raise InputError(f"audit_share must lie within 0..1, got {self.audit_share}")
        if self.audit_share and self.audit_file is None:
            raise InputError("audit_share needs a file for the texts: give audit_file=")
        if not 0 < self.alarm_rate < 1:
            raise InputError(f"alarm_rate must lie within 0..1, exclusive, got {self.alarm_rate}")

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """Host names that requests may carry, in lower case and without a port; ``*`` for any."""
        if self.hosts:
            return frozenset(name.lower() for name in self.hosts)
        return frozenset(LOCAL_HOSTS) if is_loopback(self.host) else frozenset([ANY])


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address.

    Examples
    --------
    >>> is_loopback("localhost"), is_loopback("127.0.0.2"), is_loopback("0.0.0.0"), is_loopback("example.com")
    (True, True, False, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def read_keys(file: Path | None, environment: str | None) -> tuple[str, ...]:
    """Read API keys: the lines of a file, and the words of an environment variable, separated by commas.

    Raises
    ------
    InputError
        If the file cannot be read or holds no key, or a key is shorter than 16 characters or not of plain ASCII.
    """
    keys = [word.strip() for word in (environment or "").split(",") if word.strip()]
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from error
        found = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        if not found:
            raise InputError(f"{file} holds no key; write one a line, such as the output of: openssl rand -hex 32")
        keys += found
    for place, key in enumerate(keys, start=1):
        if len(key) < SHORTEST_KEY or not key.isascii() or not key.isprintable() or " " in key:
            raise InputError(
                f"API key {place} must have at least {SHORTEST_KEY} plain letters and digits; make one with: "
                "openssl rand -hex 32"
            )
    return tuple(keys)


SHORTEST_KEY: Final = 16
