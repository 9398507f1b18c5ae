"""Ray: actors answer shards of the parts, to the bytes of one process, whatever is killed meanwhile."""

import json
import os
import signal
import time
from contextlib import suppress
from threading import Thread

import numpy as np
import pytest

import elsewise as ew
from elsewise.batch.predict import predict_file
from elsewise.engines.memory import MemoryEngine
from elsewise.errors import InputError, MissingExtra
from support.running import run as command
from support.written import content_of

ROWS = 150_000  # ten parts


@pytest.fixture(scope="module")
def ray():
    """A Ray of two processors on this machine, if there is one."""
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'elsewise[ray]'")
    yield ray
    ray.shutdown()


@pytest.fixture
def here(tmp_path):
    best = {"a": [4.0, 0.0], "b": [0.0, 4.0], "c": [0.1, 0.0]}
    ew.Classifier(MemoryEngine(("yes", "no"), best), ew.Identity(), ew.FixedThreshold(0.7)).save(tmp_path / "model")
    lines = (f"{n},{'abc'[n % 3]}" if n % 50 else f"{n}" for n in range(ROWS))
    (tmp_path / "in.csv").write_text("id,text\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def outputs(here, out):
    found = {path.name.removeprefix(out): content_of(path) for path in here.glob(f"{out}*") if path.is_file()}
    return {name: content.replace(out, "") if isinstance(content, str) else content for name, content in found.items()}


def one_process(here):
    predict_file(ew.load(here / "model"), str(here / "in.csv"), str(here / "one.csv"))
    return outputs(here, "one.csv")


def killing(here, kills, done):
    """Kill the process of a random shard, as its lock names it, again and again."""
    rng = np.random.default_rng(0)
    while len(done) < kills:
        time.sleep(float(rng.uniform(0.05, 0.4)))
        locks = sorted((here / "out.csv.parts").glob("shard-*.lock")) if (here / "out.csv.parts").is_dir() else []
        with suppress(OSError, ValueError, KeyError):
            number = json.loads(locks[int(rng.integers(len(locks)))].read_text())["process"]
            os.kill(number, signal.SIGKILL)
            done.append(number)
        if (here / "stop").exists():
            return


@pytest.mark.parametrize("kills", [0, 3, pytest.param(20, marks=pytest.mark.faults)])
def test_actors_give_the_bytes_of_one_process_however_many_are_killed(ray, here, kills):
    from elsewise.batch.ray import predict

    expected, done, told = one_process(here), [], []
    killer = Thread(target=killing, args=(here, kills, done))
    killer.start()
    try:
        summary = predict(
            here / "model", str(here / "in.csv"), str(here / "out.csv"), actors=2, progress=lambda *r: told.append(r)
        )
    finally:
        (here / "stop").touch()
        killer.join()

    assert summary.read == ROWS
    assert outputs(here, "out.csv") == expected
    assert len(set(done)) >= min(kills, 1)
    assert told[-1][1] > 0


def test_more_actors_than_processors_are_refused_instead_of_waiting_for_ever(ray, here):
    from elsewise.batch.ray import Served, predict

    if not ray.is_initialized():
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        with pytest.raises(
            InputError, match=r"has 2 processors and 0 GPUs, enough for 0 actors, not for 2; ask for fewer"
        ):
            predict(here / "model", str(here / "in.csv"), str(here / "o.csv"), actors=2, served=Served(threads=3))
    finally:
        ray.shutdown()


def test_what_an_actor_refuses_is_told_in_a_line(ray, here):
    words = ("predict", "model", "in.csv", "-o", "out.csv", "--cluster", "local", "--actors", 2)
    done = command(*words, "--text-column", "x", folder=here)

    assert done.stderr.splitlines()[-1].endswith(
        "has no column 'x'; it has 'id', 'text'; name the right one with --text-column"
    )
    assert done.returncode == 1


def test_a_cluster_that_is_not_there_is_told_in_a_line(ray, here):
    done = command("predict", "model", "in.csv", "-o", "out.csv", "--cluster", "127.0.0.1:1", folder=here)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "elsewise: the Ray cluster 127.0.0.1:1 cannot be reached: connection refused; ray status shows whether one runs"
    )


def test_a_missing_ray_is_told_with_the_remedy(here, monkeypatch):
    import sys

    from elsewise.batch import ray as module

    monkeypatch.setitem(sys.modules, "ray", None)

    with pytest.raises(MissingExtra, match=r"ray is not installed; run: pip install 'elsewise\[ray\]'"):
        module.predict(here / "model", str(here / "in.csv"), str(here / "o.csv"))
