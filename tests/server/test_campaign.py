"""The server under load, at full size: slow crowds, overload, restarts and swaps. `make load` runs it."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

import elsewise as ew
from elsewise.data.sample import support_texts
from support.running import run
from support.serving import TEXTS, by_heart, serving, serving_process, wait_until
from support.workshop import linked

pytestmark = pytest.mark.load
GENERATOR = Path(__file__).parents[2] / "benchmarks" / "load_generator.py"


@pytest.fixture
def folder(tmp_path):
    by_heart().save(tmp_path / "m")
    return tmp_path / "m"


def tell(found):
    """Print figures, for `pytest -s`."""
    sys.stdout.write(f"\n{found}\n")


@contextmanager
def load(url, place, connections=8, seconds=60.0, bodies=None, pause=0.0):
    """Load from a process of its own; the yielded function waits for its report."""
    file = place / f"bodies-{connections}.jsonl"
    lines = bodies or [json.dumps({"texts": [text] * 3}) for text in TEXTS]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    words = ["--url", url, "--bodies", file, "--connections", connections, "--seconds", seconds, "--pause", pause]
    process = subprocess.Popen([sys.executable, GENERATOR, *map(str, words)], stdout=subprocess.PIPE, text=True)
    try:
        yield lambda: json.loads(process.communicate(timeout=seconds + 60)[0])
    finally:
        process.kill()
        process.wait()


class Balancer:
    """Passes each connection on to one of the addresses that are ready: what stands before servers in a rollout."""

    def __init__(self):
        self.ports, self.stopped = [], False
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listening.getsockname()[1]
        self.turn = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self.pass_on, args=(client,), daemon=True).start()

    def pass_on(self, client):
        for _ in range(50):
            ports = list(self.ports)
            self.turn += 1
            try:
                server = socket.create_connection(("127.0.0.1", ports[self.turn % len(ports)]))
            except OSError:
                time.sleep(0.02)
                continue
            back = threading.Thread(target=self.copy, args=(server, client), daemon=True)
            back.start()
            self.copy(client, server)
            back.join()
            client.close()
            server.close()
            return
        client.close()

    @staticmethod
    def copy(one, other):
        try:
            while data := one.recv(65_536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def test_five_hundred_slow_connections_change_little(folder, tmp_path):
    with serving_process(folder, "--drain", "0", "--no-request-log") as served:
        with load(served.url, tmp_path, 8, 6.0) as report:
            alone = report()
        slow = [served.socket() for _ in range(500)]
        for place, connection in enumerate(slow):
            head = b"POST /v1/decide HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            connection.sendall([b"", head, head + b"content-length: 900\r\n\r\n", b"G"][place % 4])
        start = time.monotonic()
        with load(served.url, tmp_path, 8, 6.0) as report:
            beside = report()
        open_ = set(slow)
        while open_ and time.monotonic() < start + 45:
            for connection in list(open_):
                connection.settimeout(0.001)
                try:
                    if connection.recv(4096) == b"":
                        open_.discard(connection)
                except TimeoutError:
                    continue
                except OSError:
                    open_.discard(connection)
            time.sleep(0.2)
        took = time.monotonic() - start
        for connection in slow:
            connection.close()

    tell({"alone": alone, "beside 500 slow": beside, "all closed after": round(took, 1)})
    assert open_ == set()
    assert took < 35  # of 30 for a body
    assert beside["p99_ms"] <= 2 * alone["p99_ms"] + 5
    assert beside["statuses"].keys() == {"200"}


def test_twenty_rolling_restarts_lose_no_request(folder, tmp_path):
    balancer = Balancer()
    with ExitStack() as stack:
        servers = [stack.enter_context(serving_process(folder, "--drain", "1", "--no-request-log")) for _ in range(2)]
        balancer.ports = [server.port for server in servers]
        report = stack.enter_context(load(f"http://127.0.0.1:{balancer.port}", tmp_path, 8, 120.0))
        start = time.monotonic()
        for _ in range(20):
            fresh = stack.enter_context(serving_process(folder, "--drain", "1", "--no-request-log"))
            old = servers.pop(0)
            servers.append(fresh)
            old.process.send_signal(signal.SIGTERM)
            wait_until(lambda one=old: httpx.get(f"{one.url}/health/ready").status_code == 503)
            balancer.ports = [server.port for server in servers]
            assert old.process.wait(30) == 0
        took = time.monotonic() - start
        found = report()
    balancer.listening.close()

    tell({"restarts": 20, "within seconds": round(took, 1), **found})
    assert took < 120  # all within the load
    assert (found["statuses"].keys(), found["lost"], found["refused"]) == ({"200"}, 0, 0)


def test_twenty_swaps_lose_no_request_and_mix_no_answer(folder, tmp_path):
    with serving_process(folder, "--drain", "0", "--no-request-log") as served:
        with load(served.url, tmp_path, 8, 30.0) as report:
            for i in range(20):
                by_heart((0.2, 0.6)[i % 2]).save(folder)
                served.process.send_signal(signal.SIGHUP)
                wait_until(lambda n=i: len(served.events("swapped")) == n + 1)
                time.sleep(0.2)
            found = report()
        models = {line["model"] for line in served.events("swapped")}

    tell({"swaps": 20, **found})
    assert (found["statuses"].keys(), found["lost"]) == ({"200"}, 0)
    assert found["models"].keys() == models
    assert len(models) == 2


def test_overload_refuses_and_recovers(model, tmp_path):
    """Ten times the connections that keep it busy: nothing but 429, and accepted requests within twice the target."""
    target = 0.5
    bodies = [json.dumps({"text": row.text}) for row in support_texts(5, 2000)]
    place = linked(model, tmp_path / "m")
    with serving_process(place, "--drain", "0", "--no-request-log", "--max-wait", str(target)) as served:
        with load(served.url, tmp_path, 64, 8.0, bodies) as report:
            report()
        memory = [_memory(served)]
        with load(served.url, tmp_path, 640, 20.0, bodies, 0.2) as report:
            over = report()
        memory.append(_memory(served))
        start = time.monotonic()
        wait_until(lambda: served.decide("where is my parcel").status_code == 200, 5)
        recovered = time.monotonic() - start

    tell({"overload": over, "recovered after": round(recovered, 2), "memory MB": [round(m / 1e6) for m in memory]})
    assert over["statuses"].keys() <= {"200", "429"}
    assert over["lost"] == 0
    assert over["p99_ms"] <= 2000 * target
    assert memory[1] - memory[0] < 100e6


def _memory(served):
    return int(Path(f"/proc/{served.process.pid}/statm").read_text().split()[1]) * 4096


def test_ten_thousand_texts_get_the_same_bits_from_every_door(model, tmp_path):
    texts = [row.text for row in support_texts(9, 10_000)]
    data, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    data.write_text("\n".join(json.dumps({"text": text}) for text in texts), encoding="utf-8")
    place = linked(model, tmp_path / "m")
    assert run("predict", place, data, "-o", out).returncode == 0
    predicted = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    columns = ew.load(place).decide(texts).columns
    with serving(place, log_requests=False) as served:
        from elsewise.client import Client

        with Client(served.url) as client:
            answers = client.decide(texts)

    for name in ("label", "abstained", "reason", "best_label", "confidence", "probability", "truncated"):
        cells = [getattr(answer, name) for answer in answers]
        assert cells == [row[name] for row in predicted]
        assert cells == [None if cell != cell else cell for cell in columns[name]]  # noqa: PLR0124
