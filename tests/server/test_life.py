"""Start, swap, drain and end, of a server in this process and of `elsewise serve` in its own."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import httpx
import pytest

import elsewise as ew
from elsewise.engines.logits import LogitsEngine
from elsewise.errors import ArtifactError, InputError
from elsewise.server.lifecycle import most_connections
from elsewise.server.settings import Settings, read_keys
from support.running import run
from support.serving import LABELS, by_heart, serving, serving_process, wait_until
from support.workshop import linked


@pytest.fixture
def folder(tmp_path):
    by_heart().save(tmp_path / "m")
    return tmp_path / "m"


def model_of(served):
    return served.client.get("/health/ready").json()["model"]


def test_it_lives_before_it_is_ready(folder):
    may_load = threading.Event()

    def load(path):
        assert may_load.wait(20)
        return ew.load(path)

    started = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("support.serving.wait_until", lambda is_so, seconds=20.0: started.append(is_so))
        with serving(folder, load) as served:
            wait_until(lambda: served.client.get("/health/live").status_code == 200)
            early = [served.client.get("/health/ready"), served.decide("send it back")]
            may_load.set()
            wait_until(started[0])
            late = [served.client.get("/health/ready"), served.decide("send it back")]

    assert [reply.status_code for reply in early] == [503, 503]
    assert early[0].json()["code"] == "not_ready"
    assert "retry-after" in early[0].headers
    assert [reply.status_code for reply in late] == [200, 200]


def test_a_swap_changes_who_answers_and_every_answer_says_who(folder):
    with serving(folder) as served:
        before, first = model_of(served), served.decide("parcel or invoice").json()
        by_heart(0.2).save(folder)
        served.begin("swap")
        wait_until(lambda: model_of(served) != before)
        second = served.decide("parcel or invoice").json()

    assert first["model"] == before != second["model"]
    assert [body["answers"][0]["label"] for body in (first, second)] == ["Other", "billing"]
    assert served.events("swapped")[0]["before"] == before


@pytest.mark.parametrize("damage", ["lost", "changed"])
def test_a_folder_that_fails_leaves_the_old_one_serving(folder, damage):
    with serving(folder) as served:
        before = model_of(served)
        file = folder / "memory.json"
        file.unlink() if damage == "lost" else file.write_text(file.read_text().replace("4", "5"))
        served.begin("swap")
        wait_until(lambda: served.events("not_swapped"))

        assert model_of(served) == before
        assert served.decide("send it back").json()["answers"][0]["label"] == "returns"
    assert "memory.json" in served.events("not_swapped")[0]["message"]


@pytest.mark.slow
def test_no_answer_is_of_two_models_while_they_are_swapped(folder):
    """Two models with different thresholds: 8 swaps under load, and each answer fits its model."""
    stop, seen, failed = threading.Event(), [], []

    def ask(served):
        with httpx.Client(base_url=served.url) as client:
            while not stop.is_set():
                reply = client.post("/v1/decide", json={"texts": ["parcel or invoice"] * 5})
                if reply.status_code != 200:
                    failed.append(reply.text)
                    continue
                body = reply.json()
                seen.append((body["model"], *(answer["threshold"] for answer in body["answers"])))

    with serving(folder) as served:
        models = {model_of(served): 0.6}
        threads = [threading.Thread(target=ask, args=(served,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for i in range(8):
            threshold = (0.2, 0.6)[i % 2]
            by_heart(threshold).save(folder)
            served.begin("swap")
            wait_until(lambda n=i: len(served.events("swapped")) == n + 1)
            models[served.events("swapped")[-1]["model"]] = threshold
            time.sleep(0.05)
        stop.set()
        for thread in threads:
            thread.join()

    assert failed == []
    assert {model for model, *_ in seen} == models.keys()
    assert [row for row in seen if set(row[1:]) != {models[row[0]]}] == []


@pytest.mark.slow
def test_drain_finishes_what_was_asked_and_ends(folder):
    class Slow:
        labels = LABELS

        def run(self, texts):
            time.sleep(0.5)
            return by_heart().engine.run(texts)

    made = ew.Classifier(Slow(), ew.Identity(), ew.FixedThreshold(0.6))
    with serving(folder, lambda path: made, drain_seconds=1.0) as served:
        replies = []
        asking = threading.Thread(target=lambda: replies.append(served.decide("send it back")))
        asking.start()
        wait_until(lambda: served.life.desk.batcher.waiting_tokens == 0 and served.log)
        served.begin("drain")
        wait_until(lambda: served.client.get("/health/ready").status_code == 503)
        still = httpx.post(f"{served.url}/v1/decide", json={"text": "send it back"})
        asking.join()
        wait_until(lambda: served.events("ended"))

        assert replies[0].status_code == still.status_code == 200
        assert still.headers["connection"] == "close"
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{served.url}/health/live")


def test_a_model_that_cannot_be_opened_ends_the_server(folder):
    def load(path):
        raise ArtifactError("no such model")

    with serving(folder, load) as served:
        pass

    assert served.events("failed") == [{"event": "failed", "message": "no such model"}]
    assert served.events("ended")[0]["code"] == 1


def test_models_of_logits_are_not_served(tmp_path):
    engine = LogitsEngine(("a", "b"))
    ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.6)).save(tmp_path / "m")
    with serving(tmp_path / "m") as served:
        pass

    assert "elsewise predict" in served.events("failed")[0]["message"]


def test_the_command_drains_at_sigterm_swaps_at_sighup_and_exits_0(folder):
    with serving_process(folder, "--drain", "0.3") as served:
        before = model_of(served)
        by_heart(0.2).save(folder)
        served.process.send_signal(signal.SIGHUP)
        wait_until(lambda: model_of(served) != before)
        assert served.decide("parcel or invoice").json()["answers"][0]["label"] == "billing"
        served.process.send_signal(signal.SIGTERM)
        code = served.process.wait(20)

    assert code == 0
    assert "keeping no text" in served.log[0]["said"]
    assert [line["event"] for line in served.log[1:] if line.get("event") != "request"] == [
        "ready", "swapped", "draining", "ended",
    ]  # fmt: skip


def test_workers_share_a_port_and_a_dead_one_is_replaced(folder):
    with serving_process(folder, "--drain", "0", "--workers", "2") as served:
        wait_until(lambda: len(served.events("ready")) == 2, 60)
        for _ in range(20):
            (answer,) = served.decide("send it back").json()["answers"]
            judged = {"id": answer["id"], "label": "returns"}  # by whichever worker takes it
            assert httpx.post(f"{served.url}/v1/feedback", json=judged).json()["right"] is True
        process = Path("/proc") / str(served.process.pid)
        children = (process / "task" / process.name / "children").read_text().split()
        workers = [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        counted = served.client.get("/metrics").text
        os.kill(workers[0], signal.SIGKILL)
        wait_until(lambda: len(served.events("ready")) == 3, 60)
        served.process.send_signal(signal.SIGTERM)
        code = served.process.wait(20)

    assert len(workers) == 2
    assert 'elsewise_requests_total{route="/v1/decide",status="200"} 20.0' in counted
    assert served.events("worker_died") != []
    assert code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "there is no folder nowhere"),
        (["m", "--host", "0.0.0.0"], "there is no API key; give --api-key-file"),  # noqa: S104
        (["m", "--audit-share", "0.5"], "give --audit-file"),
        (["m", "--api-key-file", "none.txt"], "none.txt cannot be read"),
        (["m", "--max-wait", "0"], "wait_seconds must be a positive number"),
        (["m", "--alarm-rate", "1"], "alarm_rate must lie"),
    ],
)
def test_settings_are_checked_before_anything_starts(folder, words, said):
    done = run("serve", *words, folder=folder.parent)

    assert done.returncode == 1
    assert said in done.stderr


def test_a_taken_port_is_named(folder):
    with serving(folder) as served:
        done = run("serve", folder, "--port", served.port)

    assert (done.returncode, f"127.0.0.1:{served.port}" in done.stderr, "--port" in done.stderr) == (1, True, True)


@pytest.mark.parametrize("lines", ["", "# none\n", "short\n", f"{'k' * 20} {'l' * 20}\n"])
def test_keys_are_long_words_one_a_line(tmp_path, lines):
    file = tmp_path / "keys.txt"
    file.write_text(lines, encoding="utf-8")

    with pytest.raises(InputError, match="openssl rand -hex 32"):
        read_keys(file, None)


def test_keys_come_from_a_file_and_the_environment(tmp_path):
    file = tmp_path / "keys.txt"
    file.write_text(f"# of the shop\n{'k' * 32}\n", encoding="utf-8")

    assert read_keys(file, f"{'l' * 32}, {'m' * 32}") == ("l" * 32, "m" * 32, "k" * 32)
    assert read_keys(None, None) == ()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.com"])  # noqa: S104
def test_other_addresses_need_a_key_or_a_word(host, tmp_path):
    with pytest.raises(InputError, match="there is no API key"):
        Settings(tmp_path, ew.load, host=host)

    assert Settings(tmp_path, ew.load, host=host, without_key=True).allowed_hosts == {"*"}
    assert Settings(tmp_path, ew.load, host=host, keys=("k" * 32,)).allowed_hosts == {"*"}


def test_answers_are_those_of_predict_to_the_last_bit(model, tmp_path):
    """The same 300 texts through `elsewise predict`, Python and the server, some alone and some together."""
    from elsewise.data.sample import support_texts

    texts = [row.text for row in support_texts(3, 300)]
    data, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    data.write_text("\n".join(json.dumps({"text": text}) for text in texts), encoding="utf-8")
    place = linked(model, tmp_path / "m")
    assert run("predict", place, data, "-o", out).returncode == 0
    predicted = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    decided = ew.load(place).decide(texts)

    with serving(place) as served:
        answers = [answer for text in texts[:20] for answer in served.decide(text).json()["answers"]]
        for start in range(20, 300, 140):
            answers += served.decide(*texts[start : start + 140]).json()["answers"]

    for name in ("label", "abstained", "reason", "best_label", "confidence", "probability", "truncated"):
        served_cells = [answer[name] for answer in answers]
        assert served_cells == [row[name] for row in predicted]
        assert served_cells == [None if cell != cell else cell for cell in decided.columns[name]]  # noqa: PLR0124


def test_a_server_whose_queue_died_says_so_to_those_who_restart_it(folder):
    with serving(folder) as served:
        before = served.client.get("/health/live").status_code
        served.life.desk.batcher.stop()
        wait_until(lambda: not served.life.desk.batcher.is_alive)
        after = served.client.get("/health/live").status_code

    assert (before, after) == (200, 500)


def test_connections_stay_within_what_the_system_opens():
    import resource

    assert 100 <= most_connections() <= max(100, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
