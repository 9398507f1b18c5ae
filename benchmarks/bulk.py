"""Files of many rows: `elsewise predict` beside a pipeline of transformers over a generator, and Ray Data around it.

    python benchmarks/bulk.py --data CLINC --model MODEL [--rows N] [--some N] [--few N] [--ray PYTHON]

Texts are distinct, or nine in ten repeat one of the others: --rows of each. Other ways of ours have --some of them, and
what is slow has --few. PYTHON is one that has Ray; without it those lines are left out. Each way runs in a process of
its own, on the same model folder and the same processors.
"""

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sections import peak_mb, table, write_section
from stream import resident_mb, write_texts

BATCH = 32
WAYS = {
    "distinct": "elsewise predict, distinct texts",
    "repeats": "elsewise predict, 90 % repeats",
    "engine": "its engine alone, tokenised before",
    "one": "elsewise predict, fewer distinct texts",
    "shards": "elsewise predict, two processes of one thread, a shard each, and --join",
    "actors": "elsewise predict --cluster local, 2 actors, with the start of Ray",
    "pipeline": "transformers pipeline over a generator, float32",
    "ray_data": "Ray Data map_batches around the pipeline, with the start of Ray",
}


def texts_of(path: str) -> Iterator[str]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        yield from (row["text"] for row in csv.DictReader(file))


def repeated(source: Path, target: Path, rows: int) -> None:
    """Draw rows from the first tenth of as many distinct texts."""
    known = list(texts_of(str(source)))[: rows // 10]
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text"])
        writer.writerows([known[i]] for i in np.random.default_rng(1).integers(len(known), size=rows))


def predicted(model: str, data: str, out: str) -> dict[str, Any]:
    import elsewise as ew
    from elsewise.batch.predict import predict_file

    classifier, resident = ew.load(model), []
    start = time.perf_counter()
    summary = predict_file(classifier, data, out, watch=lambda _: resident.append(resident_mb()))
    asked, given = texts_of(data), texts_of(out)
    return {
        "rows": summary.read, "answered": summary.pace.rows, "seconds": time.perf_counter() - start,
        "memory": [resident[0], resident[-1]], "in_order": all(a == b for a, b in zip(asked, given, strict=True)),
    }  # fmt: skip


def engine_alone(model: str, data: str, _: str) -> dict[str, Any]:
    import elsewise as ew
    from elsewise.engines import prepared
    from elsewise.engines.batching import WINDOW

    engine, texts = ew.load(model).engine, list(texts_of(data))
    ready = [prepared(engine, texts[at : at + WINDOW]) for at in range(0, len(texts), WINDOW)]
    start = time.perf_counter()
    for some in ready:
        engine.run(some)
    return {"rows": len(texts), "seconds": time.perf_counter() - start}


def shards(model: str, data: str, out: str) -> dict[str, Any]:
    words = [sys.executable, "-m", "elsewise", "predict", model, data, "-o", out]
    start = time.perf_counter()
    both = [subprocess.Popen([*words, "--threads", "1", "--shard", f"{i}/2"], stderr=subprocess.PIPE) for i in (1, 2)]
    for one in both:
        assert not one.wait()
    subprocess.run([*words, "--threads", "1", "--join"], check=True, stderr=subprocess.PIPE)
    return {"rows": sum(1 for _ in texts_of(out)), "seconds": time.perf_counter() - start}


def actors(model: str, data: str, out: str) -> dict[str, Any]:
    from elsewise.batch.ray import predict

    start = time.perf_counter()
    summary = predict(model, data, out, actors=2)
    return {"rows": summary.read, "seconds": time.perf_counter() - start}


def a_pipeline(model: str) -> Any:
    from transformers import pipeline

    return pipeline("text-classification", model=model, device="cpu", batch_size=BATCH, truncation=True)


def piped(model: str, data: str, _: str) -> dict[str, Any]:
    pipe = a_pipeline(model)
    start = time.perf_counter()
    rows = sum(1 for _ in pipe(texts_of(data)))
    return {"rows": rows, "seconds": time.perf_counter() - start, "in_order": True, "bad_row": failure(
        lambda: list(pipe(iter(["a", None, "b"]))))}  # fmt: skip


def ray_data(model: str, data: str, out: str) -> dict[str, Any]:
    import ray

    class Answers:
        def __init__(self) -> None:
            self.pipe = a_pipeline(model)

        def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            return {**batch, "label": [one["label"] for one in self.pipe(batch["text"].tolist())]}

    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    start = time.perf_counter()
    how = {"batch_size": 512, "compute": ray.data.ActorPoolStrategy(size=2), "num_cpus": 1}
    made = ray.data.read_csv(data, override_num_blocks=8).map_batches(Answers, **how)
    made.write_csv(out)
    seconds = time.perf_counter() - start
    given = [text for file in sorted(Path(out).glob("*.csv")) for text in texts_of(str(file))]
    return {"rows": len(given), "seconds": seconds, "in_order": given == list(texts_of(data))}


def failure(act: Callable[[], Any]) -> str:
    try:
        act()
    except Exception as error:  # noqa: BLE001  whatever it is
        return type(error).__name__
    return "none"


CHILDREN = {
    "distinct": predicted, "repeats": predicted, "engine": engine_alone, "one": predicted, "shards": shards,
    "actors": actors, "pipeline": piped, "ray_data": ray_data,
}  # fmt: skip


def ran(way: str, model: str, data: Path, out: Path, python: str = sys.executable) -> dict[str, Any]:
    command = [python, __file__, "--child", way, model, str(data), str(out)]
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(way, found, flush=True)
    return found


def killed_once(model: str, data: Path, out: Path) -> dict[str, Any]:
    """Kill a run when half of its parts are there, and run it again."""
    command = [sys.executable, __file__, "--child", "one", model, str(data), str(out)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        parts = Path(f"{out}.parts")
        while process.poll() is None and len(list(parts.glob("rows-*.json"))) < 2:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    return ran("one", model, data, out)


def page(found: dict[str, dict[str, Any]], again: dict[str, Any], whole: bool) -> str:
    rate = {way: one["rows"] / one["seconds"] for way, one in found.items()}
    lines = []
    for way, one in found.items():
        is_ours = way in ("distinct", "repeats", "one", "shards", "actors")
        bad = "rejected, with its line" if is_ours else {"pipeline": one.get("bad_row", "")}.get(way, "-")
        if way == "one":
            same = "the same bytes" if whole else "OTHER BYTES"
            after = f"{again['answered']:,} of {again['rows']:,} rows answered by the second run, {same}"
        else:
            after = "goes on from its parts" if is_ours else "-" if way == "engine" else "begins anew"
        order = "-" if way == "engine" else "yes" if is_ours or one["in_order"] else "no"
        lines.append([
            WAYS[way], f"{one['rows']:,}", f"{rate[way]:,.0f}", f"{rate[way] / rate['distinct']:.2f}",
            f"{one['peak_mb']:,.0f}" if way not in ("shards", "actors", "ray_data") else "-", order, bad, after,
        ])  # fmt: skip
    header = [
        "",
        "rows",
        "rows/s",
        "against the first",
        "peak, MB",
        "in order",
        "a row without a text",
        "after kill -9",
    ]
    first, last = found["distinct"]["memory"]
    return (
        "## Many rows, side by side\n\nShort texts, file to file, on the same processors, one after the other. Memory "
        f"of `elsewise predict` after its first part: {first:,.0f} MB, after the last: {last:,.0f} MB. Shards and "
        "actors run in processes of their own, whose memory is not counted; their time has the start of Ray, and of "
        f"each process.\n\n{table(header, lines)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--some", type=int, default=100_000)
    parser.add_argument("--few", type=int, default=3000, help="rows of the ways that are slow")
    parser.add_argument("--ray", help="a Python that has Ray")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place, model = Path(folder), str(arguments.model.resolve())
        write_texts(arguments.data / "train.csv", place / "distinct.csv", arguments.rows)
        repeated(place / "distinct.csv", place / "repeats.csv", arguments.rows)
        for name, rows in (("some", arguments.some), ("few", arguments.few)):
            write_texts(arguments.data / "train.csv", place / f"{name}.csv", rows)
        inputs = {"engine": "some", "distinct": "distinct", "repeats": "repeats", "one": "some", "shards": "some"}
        pythons = {"actors": arguments.ray} if arguments.ray else {}
        found = {
            way: ran(way, model, place / f"{name}.csv", place / f"{way}-out.csv", pythons.get(way, sys.executable))
            for way, name in (inputs | dict.fromkeys(pythons, "some")).items()
        }
        found["pipeline"] = ran("pipeline", model, place / "few.csv", place / "pipeline")
        if arguments.ray:
            found["ray_data"] = ran("ray_data", model, place / "few.csv", place / "ray_data", arguments.ray)
        again = killed_once(model, place / "some.csv", place / "again.csv")
        whole = len({(place / f"{name}.csv").read_bytes() for name in ("again", "one-out", "shards-out")}) == 1
        write_section("bulk", page(found, again, whole))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        way, *words = sys.argv[2:]
        print(json.dumps({**CHILDREN[way](*words), "peak_mb": peak_mb()}))
    else:
        main()
