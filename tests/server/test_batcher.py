"""The queue: fair turns, bounds, deadlines, and no work for clients who left."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import elsewise as ew
from elsewise.server.settings import Limits
from support.serving import LABELS, by_heart, serving, wait_until


class Gate:
    """A model that waits until it is let go, and remembers what it was asked."""

    labels = LABELS

    def __init__(self, open_=True, seconds=0.0):
        self.rounds, self.seconds, self.is_open = [], seconds, threading.Event()
        if open_:
            self.is_open.set()

    def run(self, texts):
        self.rounds.append(list(texts))
        assert self.is_open.wait(20)
        time.sleep(self.seconds)
        return ew.Outputs(np.tile([3.0, 0.0, 0.0], (len(texts), 1)))


@pytest.fixture
def folder(tmp_path):
    by_heart().save(tmp_path / "m")
    return tmp_path / "m"


def gated(folder, gate, **limits):
    made = ew.Classifier(gate, ew.Identity(), ew.FixedThreshold(0.6))
    return serving(folder, lambda path: made, limits=Limits(**limits))


def test_what_waits_is_answered_together(folder):
    gate = Gate()
    with gated(folder, gate) as served, ThreadPoolExecutor(20) as pool:
        gate.is_open.clear()
        first = pool.submit(served.decide, "first")
        wait_until(lambda: gate.rounds[-1:] == [["first"]])
        others = [pool.submit(served.decide, f"text {i}") for i in range(12)]
        time.sleep(0.3)
        gate.is_open.set()
        assert {reply.result().status_code for reply in [first, *others]} == {200}

    assert len(gate.rounds[-1]) == 12


def test_a_long_request_lets_short_ones_pass(folder):
    gate = Gate(seconds=0.05)
    with gated(folder, gate) as served, ThreadPoolExecutor(2) as pool:
        long = pool.submit(served.decide, *["word " * 60] * 250)  # some 75 tokens each, so some 20 rounds
        wait_until(lambda: any("word " * 60 in texts for texts in gate.rounds))
        start = time.monotonic()
        assert served.decide("short").status_code == 200
        seconds, is_long_done = time.monotonic() - start, long.done()
        answers = long.result().json()["answers"]

    assert not is_long_done
    assert seconds < 0.5
    assert len(answers) == 250


def test_texts_of_one_request_run_by_length_and_come_back_in_order(folder):
    gate = Gate()
    texts = ["long " * 30, "a", "middle " * 5, "b"]
    with gated(folder, gate) as served:
        answers = served.decide(*texts).json()["answers"]

    assert gate.rounds[-1] == ["a", "b", "middle " * 5, "long " * 30]
    assert [answer["tokens"] for answer in answers] == [None] * 4
    assert len({answer["id"] for answer in answers}) == 4


def test_a_full_queue_refuses_and_says_when_to_come_again(folder):
    gate = Gate()
    with gated(folder, gate, queue_tokens=100) as served, ThreadPoolExecutor(20) as pool:
        gate.is_open.clear()
        pool.submit(served.decide, "first")
        wait_until(lambda: gate.rounds[-1:] == [["first"]])
        replies = [pool.submit(served.decide, "word " * 12) for _ in range(16)]  # 16 tokens each, of which 6 fit
        wait_until(lambda: sum(reply.done() for reply in replies) >= 10)
        gate.is_open.set()
        statuses = sorted(reply.result().status_code for reply in replies)
        refused = next(reply.result() for reply in replies if reply.result().status_code == 429)
        after = served.decide("again").status_code

    assert statuses == [200] * 6 + [429] * 10
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["code"] == "queue_full"
    assert after == 200


def test_one_request_larger_than_the_queue_is_answered_when_nothing_waits(folder):
    with gated(folder, Gate(), queue_tokens=10) as served:
        assert served.decide(*["word " * 12] * 10).status_code == 200


def test_work_that_is_too_old_is_dropped(folder):
    gate = Gate()
    with gated(folder, gate, deadline_seconds=0.2) as served, ThreadPoolExecutor(2) as pool:
        gate.is_open.clear()
        first = pool.submit(served.decide, "first")
        wait_until(lambda: gate.rounds[-1:] == [["first"]])
        late = pool.submit(served.decide, "late")
        time.sleep(0.4)
        gate.is_open.set()
        assert (first.result().status_code, late.result().status_code) == (200, 503)

    assert late.result().json()["code"] == "deadline"
    assert ["late"] not in gate.rounds


def test_work_of_a_client_who_left_is_dropped(folder):
    gate = Gate()
    with gated(folder, gate) as served, ThreadPoolExecutor(1) as pool:
        gate.is_open.clear()
        pool.submit(served.decide, "first")
        wait_until(lambda: gate.rounds[-1:] == [["first"]])
        with served.socket() as connection:
            body = b'{"text": "left"}'
            head = b"POST /v1/decide HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            connection.sendall(head + b"content-length: %d\r\n\r\n%s" % (len(body), body))
            wait_until(lambda: served.life.desk.batcher.waiting_tokens)
        time.sleep(0.2)
        gate.is_open.set()
        wait_until(lambda: served.life.desk.batcher.waiting_tokens == 0)
        assert served.decide("after").status_code == 200

    assert all("left" not in texts for texts in gate.rounds)


def test_clients_take_turns(folder):
    """By API key: a client with many requests does not push another one back."""
    gate, keys = Gate(), ("a" * 32, "b" * 32)
    made = ew.Classifier(gate, ew.Identity(), ew.FixedThreshold(0.6))
    with serving(folder, lambda path: made, keys=keys) as served, ThreadPoolExecutor(20) as pool:
        gate.is_open.clear()
        pool.submit(served.decide, "first")
        wait_until(lambda: gate.rounds[-1:] == [["first"]])
        many = [pool.submit(served.decide, *[f"many {'word ' * 400}"] * 3) for _ in range(8)]
        wait_until(lambda: served.life.desk.batcher.waiting_tokens > 8000)
        other = {"authorization": f"Bearer {keys[1]}"}
        alone = pool.submit(served.client.post, "/v1/decide", json={"text": "alone"}, headers=other)
        wait_until(lambda: len(served.life.desk.batcher._turns) == 2)
        gate.is_open.set()
        alone.result()
        for reply in many:
            reply.result()

    place = next(i for i, texts in enumerate(gate.rounds) if "alone" in texts)
    assert place == gate.rounds.index(["first"]) + 1
