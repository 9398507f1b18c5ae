"""Clients that are slow, silent or endless are cut off in time, and others are answered meanwhile: on real sockets."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from elsewise.server.settings import Limits
from support.serving import by_heart, serving, wait_until

QUICK = {"header_seconds": 0.6, "body_seconds": 0.8, "idle_seconds": 0.5, "write_seconds": 0.7}
HEAD = b"POST /v1/decide HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
LATEST = 4.0  # seconds, for a sweep each half second on a busy machine


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    place = tmp_path_factory.mktemp("served") / "by-heart"
    by_heart().save(place)
    with serving(place, limits=Limits(**QUICK)) as made:
        yield made


def until_closed(connection, pieces=()):
    """Send pieces, one each tenth of a second, until the server closes; what it said, and after how long."""
    start, said = time.monotonic(), b""
    connection.settimeout(0.1)
    pieces = iter(pieces)
    while time.monotonic() < start + 3 * LATEST:
        try:
            if (piece := next(pieces, b"")) != b"":
                connection.sendall(piece)
            if not (more := connection.recv(65_536)):
                return said, time.monotonic() - start
            said += more
        except TimeoutError:
            continue
        except (ConnectionResetError, BrokenPipeError):
            return said, time.monotonic() - start
    raise AssertionError("the connection stayed open")


def forever(piece):
    while True:
        yield piece


CASES = {
    "silent": (b"", ()),
    "blank lines for ever": (b"", forever(b"\r\n")),
    "headers one by one": (b"POST /v1/decide HTTP/1.1\r\n", forever(b"a: b\r\n")),
    "half a header": (HEAD[:-5], ()),
    "no body": (HEAD + b"content-length: 100\r\n\r\n", ()),
    "a body byte by byte": (HEAD + b"content-length: 100000\r\n\r\n", forever(b" ")),
    "chunks for ever": (HEAD + b"transfer-encoding: chunked\r\n\r\n", forever(b"1\r\n \r\n")),
    "chunk extensions for ever": (HEAD + b"transfer-encoding: chunked\r\n\r\n1", forever(b";a=b")),
    "lines that never end": (
        HEAD.replace(b"/json", b"/x-ndjson") + b"transfer-encoding: chunked\r\n\r\n", forever(b"1\r\nx\r\n"),
    ),
    "idle after an answer": (b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n", ()),
    "blank lines after an answer": (b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n", forever(b"\r\n")),
}  # fmt: skip


def tried(served, case):
    first, pieces = CASES[case]
    with served.socket() as connection:
        connection.sendall(first)
        return until_closed(connection, pieces)


@pytest.fixture(scope="module")
def all_tried(served):
    """What became of each case, all at once."""
    with ThreadPoolExecutor(len(CASES)) as pool:
        return dict(zip(CASES, pool.map(lambda case: tried(served, case), CASES), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_slow_client_is_cut_off(all_tried, case):
    said, seconds = all_tried[case]

    assert seconds < LATEST
    if "answer" in case:
        assert b" 200 " in said


def test_a_client_with_slow_headers_is_told_why(served):
    with served.socket() as connection:
        connection.sendall(HEAD)
        said, _ = until_closed(connection)

    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert json.loads(body)["code"] == "request_slow"


@pytest.mark.slow
def test_a_client_that_does_not_read_is_cut_off(served):
    lines = b'"send it back"\n' * 2000
    chunk = b"%x\r\n%s\r\n" % (len(lines), lines)
    with served.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(HEAD.replace(b"/json", b"/x-ndjson") + b"transfer-encoding: chunked\r\n\r\n")
        connection.settimeout(3 * LATEST)
        start = time.monotonic()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            [connection.sendall(piece) for piece in forever(chunk)]  # never reads, so the server gives up

    assert time.monotonic() - start < 3 * LATEST


def test_headers_are_counted(served):
    with served.socket() as connection:
        connection.sendall(HEAD + b"a: " + b"x" * 200_000)
        said, _ = until_closed(connection)

    assert said.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("sent", [b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n"])
def test_what_is_not_http_is_refused(served, sent):
    with served.socket() as connection:
        connection.sendall(sent)
        said, _ = until_closed(connection)

    assert said.startswith(b"HTTP/1.1 400 ")


def test_others_are_answered_beside_many_slow_ones(served):
    slow = [served.socket() for _ in range(100)]
    for place, connection in enumerate(slow):
        connection.sendall([b"", HEAD, HEAD + b"content-length: 9\r\n\r\n"][place % 3])

    seconds = []
    for _ in range(20):
        start = time.monotonic()
        assert served.decide("send it back").status_code == 200
        seconds.append(time.monotonic() - start)
    closed = [until_closed(connection)[1] for connection in slow]
    for connection in slow:
        connection.close()

    assert sorted(seconds)[-2] < 0.5
    assert max(closed) < LATEST


@pytest.mark.slow
def test_a_stream_may_last_while_lines_come(served):
    with served.socket() as connection:
        connection.sendall(HEAD.replace(b"/json", b"/x-ndjson") + b"transfer-encoding: chunked\r\n\r\n")
        said = b""
        for _ in range(8):
            time.sleep(0.2)
            connection.sendall(b'f\r\n"send it back"\n\r\n')
        connection.sendall(b"0\r\n\r\n")
        connection.settimeout(LATEST)
        while said.count(b'"label":"returns"') < 8:
            said += connection.recv(65_536)

    assert said.startswith(b"HTTP/1.1 200 ")


@pytest.mark.slow
def test_too_many_connections_are_closed_at_once(tmp_path):
    by_heart().save(tmp_path / "m")
    with serving(tmp_path / "m", limits=Limits(connections=5)) as made:
        many = [made.socket() for _ in range(8)]
        time.sleep(0.2)
        closed = []
        for connection in many:
            connection.settimeout(0.2)
            try:
                closed.append(connection.recv(1) == b"")
            except TimeoutError:
                closed.append(False)
            except ConnectionResetError:
                closed.append(True)
        for connection in many:
            connection.close()

        assert 3 <= sum(closed) < 8
        wait_until(lambda: made.client.get("/health/live").status_code == 200)


def test_an_answer_goes_out_at_once_and_in_one_piece(served):
    with served.socket() as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
        said = connection.recv(65_536)
        delays = {
            one.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            for one in served.life.server.server_state.connections
        }

    assert said.endswith(b'{"status":"live"}')
    assert 0 not in delays
