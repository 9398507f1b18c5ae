"""``elsewise serve``."""

import os
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from elsewise.cli.options import ModelPath, ServedOptions
from elsewise.cli.output import to_stderr
from elsewise.cli.panels import LIMITS, OUTPUT, SERVER, WATCH
from elsewise.errors import InputError, need

if TYPE_CHECKING:
    from elsewise.classifier.classifier import Classifier

KEYS = "ELSEWISE_API_KEYS"  # environment: API keys, separated by commas
NEEDED = ("msgspec", "httptools", "uvicorn", "prometheus_client")


@dataclass(frozen=True, slots=True)
class AddressOptions:
    """Options of the address, and who may ask there."""

    host: Annotated[str, SERVER(help="Address to listen on. Any but this machine's own needs an API key.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, SERVER(min=0, max=65_535, help="Port to listen on. 0: a free one.")] = 8000
    api_key_file: Annotated[
        Path | None,
        SERVER(metavar="FILE", help=f"API keys, one a line. The environment variable {KEYS} has further ones."),
    ] = None
    without_key: Annotated[bool, SERVER("--without-key", help="Serve everyone who reaches the address.")] = False
    allow_host: Annotated[
        list[str] | None,
        SERVER(
            metavar="NAME",
            help="Host name that requests may carry. Repeatable. * is any name. Default: this machine's own names, or "
            "any name for an address that others reach.",
        ),
    ] = None

    @property
    def settings(self) -> dict[str, Any]:
        """Give the settings of the server, with the keys read."""
        from elsewise.server.settings import read_keys

        keys = read_keys(self.api_key_file, os.environ.get(KEYS))
        hosts = tuple(self.allow_host or ())
        return {"host": self.host, "port": self.port, "keys": keys, "without_key": self.without_key, "hosts": hosts}


@dataclass(frozen=True, slots=True)
class LimitOptions:
    """Options that bound what clients may ask."""

    texts: Annotated[int, LIMITS("--max-texts", min=1, help="Texts in one request, at most.")] = 256
    characters: Annotated[int, LIMITS("--max-characters", min=1, help="Characters in one text, at most.")] = 100_000
    body_bytes: Annotated[int, LIMITS("--max-body", min=1000, help="Bytes in the body of a request.")] = 4 << 20
    wait_seconds: Annotated[
        float, LIMITS("--max-wait", help="Refuse a request (429) that would wait longer than these seconds.")
    ] = 1.0
    deadline_seconds: Annotated[
        float, LIMITS("--deadline", help="Drop a request (503) that has waited these seconds.")
    ] = 10.0


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """Options of the watch over the promise, and of the texts that are kept for it."""

    audit_share: Annotated[
        float,
        WATCH(
            min=0,
            max=1,
            help="Keep this share of the answered texts, drawn at random, in --audit-file. They may be personal data. "
            "Default: none.",
        ),
    ] = 0.0
    audit_file: Annotated[
        Path | None, WATCH(metavar="FILE", help="File for the texts that are kept, and for the labels clients send.")
    ] = None
    window: Annotated[int, WATCH(min=100, help="Number of last texts that the watch describes.")] = 10_000
    alarm_rate: Annotated[float, WATCH(help="Chance that an alarm is ever false, for each kind of alarm.")] = 0.01


def serve(
    model: ModelPath,
    served: ServedOptions,
    address: AddressOptions,
    limits: LimitOptions,
    watch: WatchOptions,
    workers: Annotated[int, SERVER(min=1, help="Processes that answer, each with the model in its memory.")] = 1,
    drain: Annotated[float, SERVER(min=0, help="Take requests for these seconds after the signal to stop.")] = 5.0,
    request_log: Annotated[bool, OUTPUT(help="Log a line of JSON for each request, without its texts.")] = True,
) -> None:
    """Answer texts over HTTP: a label, or Other with the reason."""
    for module in NEEDED:
        need(module, extra="serve")
    from elsewise.server.lifecycle import listen, run
    from elsewise.server.logs import log_json
    from elsewise.server.settings import Limits, Settings
    from elsewise.server.workers import run_workers

    load = partial(_load, served=served)
    how = {"drain_seconds": drain, "workers": workers, "log_requests": request_log}
    given: dict[str, Any] = {**asdict(watch), **address.settings, **how}
    settings = Settings(model, load, limits=Limits(**asdict(limits)), **given)
    if not model.is_dir():
        raise InputError(f"there is no folder {model}; make one with: elsewise fit DATA -o {model}")
    try:
        opened = listen(settings)
    except OSError as error:
        where = f"{address.host}:{address.port}"
        raise InputError(f"nothing can listen on {where}: {error.strerror}; choose another with port=") from error
    place = f"http://{f'[{address.host}]' if ':' in address.host else address.host}:{opened.getsockname()[1]}"
    to_stderr(f"opening {model}: {place} answers when the log says ready (try {place}/docs); Ctrl-C stops it")
    to_stderr(_what_is_kept(watch))
    log_json()
    code = run_workers(settings, opened) if workers > 1 else run(settings, opened)
    if code:
        raise typer.Exit(code)


def _load(path: Path, served: ServedOptions) -> "Classifier":
    """Open a folder with the options of the engine; each worker does it for itself."""
    return served.load(path)


def _what_is_kept(watch: WatchOptions) -> str:
    """Say which texts stay here."""
    if watch.audit_share:
        return f"keeping {watch.audit_share:.1%} of the answered texts in {watch.audit_file}; they may be personal data"
    if watch.audit_file is not None:
        return f"keeping no text; labels that clients send go to {watch.audit_file}"
    return "keeping no text; --audit-share 0.02 --audit-file FILE keeps some, to check the promise on them"
