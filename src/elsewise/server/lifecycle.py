"""The life of one serving process: start, ready, swap, drain, end.

The socket listens before the model is loaded, so that probes see a process that lives and is not ready. SIGTERM: not
ready at once, a few seconds more for requests that are still sent here, then no new connection, and the end with exit
code 0 when all are answered. SIGHUP: the folder is opened beside what answers, checked, and swapped in.
"""

import asyncio
import contextlib
import ipaddress
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any, Final

import uvicorn

from elsewise.engines.machine import one_thread_of_blas
from elsewise.engines.warm_up import warm_up
from elsewise.errors import ElsewiseError, in_a_line
from elsewise.server.app import App
from elsewise.server.asgi import in_thread
from elsewise.server.desk import DRAINING, Desk
from elsewise.server.logs import say
from elsewise.server.measures import Measures
from elsewise.server.protocol import protocol_with, sweep
from elsewise.server.receipts import AuditFile
from elsewise.server.served import Served
from elsewise.server.settings import Settings

SWEEPS: Final = 5  # ticks of uvicorn, each of 0.1 s, between two looks for late clients
LAST_SECONDS: Final = 15.0  # for answers under way, after which the process ends anyway
BACKLOG: Final = 2048
FAILED: Final = 1
FILES_LEFT_ASIDE: Final = 100
IPV6: Final = 6


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves signals alone and looks for late clients."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `run`."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Look for late clients now and then."""
        if counter % SWEEPS == 0:
            sweep(self.server_state.connections)
        return await super().on_tick(counter)


def listen(settings: Settings) -> socket.socket:
    """Open the socket that listens; OSError if the address is taken or unknown."""
    family, address = _address(settings.host, settings.port)
    # With its protocol named: asyncio sends small packets at once only then, and others wait 40 ms for each other.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind(address)
        opened.listen(BACKLOG)
    except OSError:
        opened.close()
        raise
    opened.set_inheritable(True)
    return opened


def most_connections() -> int:
    """Count the connections that the system lets this process open, some files left aside."""
    try:
        import resource  # noqa: PLC0415  Windows lacks it
    except ImportError:
        return FILES_LEFT_ASIDE
    most, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and most < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        most = hard
    return max(FILES_LEFT_ASIDE, most - FILES_LEFT_ASIDE)


def _address(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    """Give the family and address of a host; a number is not looked up."""
    try:
        is_six = ipaddress.ip_address(host).version == IPV6
    except ValueError:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return family, address
    return (socket.AF_INET6 if is_six else socket.AF_INET), (host, port)


def run(settings: Settings, opened: socket.socket, steer: "Callable[[Life], None] | None" = None) -> int:
    """Serve on an open socket until a signal comes; return the exit code.

    Where signals cannot be taken, as in a thread, `steer` is called with what they would steer.
    """
    with one_thread_of_blas(), asyncio.Runner(loop_factory=_new_loop()) as runner:
        return runner.run(_serve(settings, opened, steer))


def _new_loop() -> "Callable[[], asyncio.AbstractEventLoop] | None":
    """Give uvloop's event loop where it is installed, a sixth faster for a request; None for asyncio's."""
    try:
        import uvloop  # noqa: PLC0415  it is not made for Windows
    except ImportError:
        return None
    new: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return new


async def _serve(settings: Settings, opened: socket.socket, steer: "Callable[[Life], None] | None") -> int:
    audit = None if settings.audit_file is None else AuditFile.open(settings.audit_file, settings.audit_share)
    desk = Desk(settings, Measures(), audit=audit)
    limits = replace(settings.limits, connections=min(settings.limits.connections, most_connections()))
    config = uvicorn.Config(
        App(desk), http=protocol_with(limits), ws="none", lifespan="off", log_config=None, access_log=False,
        server_header=False, proxy_headers=False, timeout_keep_alive=int(limits.idle_seconds) + 1, loop="none",
        timeout_graceful_shutdown=int(LAST_SECONDS),
    )  # fmt: skip
    server = _Server(config)
    life = Life(desk, server)
    serving = asyncio.create_task(server.serve(sockets=[opened]))
    if steer is None:
        life.listen_to_signals()
    else:
        steer(life)
    loading = asyncio.create_task(life.load_first())
    await serving
    loading.cancel()
    desk.batcher.stop()
    if audit is not None:
        audit.close()
    say("ended", code=life.code)
    return life.code


class Life:
    """What signals do to a serving process."""

    def __init__(self, desk: Desk, server: _Server) -> None:
        self.desk, self.server, self.code = desk, server, 0
        self.loop = asyncio.get_running_loop()
        self.under_way: set[asyncio.Task[None]] = set()  # the loop alone would forget them
        self.swapping = asyncio.Lock()

    def listen_to_signals(self) -> None:
        """Take SIGTERM and SIGINT to stop, and SIGHUP to open the folder again."""
        for name, react in (("SIGTERM", self.drain), ("SIGINT", self.drain), ("SIGHUP", self.swap)):
            if hasattr(signal, name):
                self.loop.add_signal_handler(getattr(signal, name), self.begin, react)

    def begin(self, react: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Begin to drain, or to swap."""
        task = self.loop.create_task(react())
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)

    async def load_first(self) -> None:
        """Open the folder, and answer from then on; the process ends where that fails."""
        try:
            served = await in_thread(self._opened)
        except (ElsewiseError, OSError) as error:
            say("failed", message=str(error))
            self.code = FAILED
            self.server.should_exit = True
            return
        self.desk.serve(served)
        say("ready", model=served.model, certificate=served.certificate, name=served.name)

    async def swap(self) -> None:
        """Open the folder again and answer with it; where that fails, go on with what there is."""
        async with self.swapping:
            try:
                served = await in_thread(self._opened)
            except Exception as error:  # noqa: BLE001  whatever is wrong with the folder, there is one that answers
                say("not_swapped", message=in_a_line(error), model=self.desk.served and self.desk.served.model)
                return
            before = self.desk.served
            self.desk.serve(served)
            say("swapped", model=served.model, certificate=served.certificate, before=before and before.model)

    async def drain(self) -> None:
        """Be not ready, take requests for a while, and stop when all are answered; at once on a second signal."""
        if self.desk.stage == DRAINING:
            self.server.should_exit = self.server.force_exit = True
            return
        self.desk.stage = DRAINING
        say("draining", seconds=self.desk.settings.drain_seconds)
        await asyncio.sleep(self.desk.settings.drain_seconds)
        self.server.should_exit = True

    def _opened(self) -> Served:
        """Open the folder; its canary texts, and the shapes of short texts, come before any client."""
        settings = self.desk.settings
        served = Served.open(settings.model, settings.load)
        warm_up(served.classifier.engine)
        served.classifier.evidence(served.prepare(list(map(str, served.classifier.engine.canaries))))
        return served
