"""The server: single texts over many connections against the engine alone, one client, and overload.

    python benchmarks/server.py --data FOLDER --model MODEL

The texts are those of test.csv, one a request. Server and generator share the cores. With --peer-python, a Python that
has FastAPI and transformers, a plain server around a pipeline is loaded in the same way; with --also native, the native
engine of the folder.
"""

import argparse
import csv
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from elsewise.engines.machine import cores
from sections import table, write_section

HERE = Path(__file__).parent
ENGINE = """
import json, sys, time
import elsewise as ew
from elsewise.engines.warm_up import warm_up
texts, made = json.load(sys.stdin), ew.load(sys.argv[1])
warm_up(made.engine)
made.decide(texts)
rates = []
for _ in range(3):
    start = time.perf_counter()
    made.decide(texts)
    rates.append(len(texts) / (time.perf_counter() - start))
alone = []
for text in texts[:400]:
    start = time.perf_counter()
    made.decide([text])
    alone.append(1000 * (time.perf_counter() - start))
print(json.dumps({"rates": rates, "alone": sorted(alone[len(alone) // 4 :])}))
"""


def engine_alone(model: Path, texts: list[str]) -> dict[str, list[float]]:
    """Texts a second in batches, three times, and milliseconds of one text alone, in a process of its own."""
    words = [sys.executable, "-c", ENGINE, str(model)]
    return json.loads(subprocess.run(words, input=json.dumps(texts), capture_output=True, text=True, check=True).stdout)


@contextmanager
def started(words: list[str], port: int = 0) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Start a server, and wait until it is ready; its address."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stderr is not None
        url = f"http://127.0.0.1:{port}" if port else ""
        while not url:
            line = process.stderr.readline()
            found = re.search(r"http://[\d.:]+", line)
            url = found[0] if found else ""
            assert line, "the server did not start"
        wait_for(f"{url}/health/ready", process)
        yield url, process
    finally:
        process.terminate()
        process.wait(30)


def wait_for(address: str, process: subprocess.Popen[str]) -> None:
    while process.poll() is None:
        try:
            if urlopen(address, timeout=5).status == 200:  # noqa: S310
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise AssertionError("the server ended")


def loaded(url: str, bodies: Path, connections: int, seconds: float, pause: float = 0.0) -> dict[str, Any]:
    """Load a server from a process of its own, and read the report."""
    words = ["--url", url, "--bodies", str(bodies), "--connections", str(connections), "--seconds", str(seconds)]
    command = [sys.executable, str(HERE / "load_generator.py"), *words, "--pause", str(pause)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def memory_mb(process: subprocess.Popen[str]) -> float:
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * 4096 / 1e6


def row(name: str, connections: int, report: dict[str, Any], batch: float) -> list[str]:
    refused = report["statuses"].get("429", 0)
    others = sum(report["statuses"].values()) - report["answers"] - refused + report["lost"]
    shown = [f"{report['per_second']:,.0f}", f"{report['per_second'] / batch:.0%}", f"{report['p50_ms']:.1f}"]
    return [name, f"{connections:,}", *shown, f"{report['p99_ms']:.1f}", f"{refused:,}", f"{others:,}"]


def measured(arguments: argparse.Namespace, texts: list[str], bodies: Path) -> str:
    alone = engine_alone(arguments.model, texts)
    batch, single = max(alone["rates"]), median(alone["alone"])
    seconds, many = arguments.seconds, arguments.connections
    serve = [sys.executable, "-m", "elsewise", "serve", str(arguments.model), "--port", "0", "--drain", "0"]
    with started([*serve, "--no-request-log"]) as (url, process):
        loaded(url, bodies, many, seconds)
        rows = [row("elsewise", many, loaded(url, bodies, many, seconds), batch)]
        one = loaded(url, bodies, 1, seconds)
        rows.append(row("elsewise", 1, one, batch))
        before = memory_mb(process)
        rows.append(
            row("elsewise, 429 asks again after 0.2 s", 10 * many, loaded(url, bodies, 10 * many, seconds, 0.2), batch)
        )
        after, start = memory_mb(process), time.perf_counter()
        loaded(url, bodies, 1, 0.1)
        recovered = time.perf_counter() - start
    for engine in arguments.also:
        with started([*serve, "--no-request-log", "--engine", engine]) as (url, _):
            loaded(url, bodies, many, seconds / 2)
            for connections in (many, 1):
                report = loaded(url, bodies, connections, seconds)
                rows.append(row(f"elsewise, engine {engine}", connections, report, batch))
    if arguments.peer_python:
        words = [
            str(arguments.peer_python),
            str(HERE / "pipeline_server.py"),
            str(arguments.model),
            "8977",
            str(cores()),
        ]
        with started(words, 8977) as (url, _):
            loaded(url, bodies, many, seconds / 2)
            rows.append(row("FastAPI and a pipeline", many, loaded(url, bodies, many, seconds), batch))
            rows.append(row("FastAPI and a pipeline", 1, loaded(url, bodies, 1, seconds), batch))
    header = ["server", "connections", "texts/s", "of the engine's", "p50 ms", "p99 ms", "refused (429)", "failed"]
    return f"""## The server

One text a request, for {seconds:g} seconds a row; server and generator share {cores()} cores. The engine alone answers
{batch:,.0f} texts/s in batches, and one text in {single:.2f} ms (median). Through the server, one client waits
{one["p50_ms"]:.2f} ms. In overload the memory grew by {after - before:.0f} MB, and the next client after it was
answered within {recovered:.1f} s.

{table(header, rows)}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--also", nargs="*", default=[], help="engines of the folder, beside the one that serves it")
    parser.add_argument("--peer-python", type=Path)
    parser.add_argument("--texts", type=int, default=3000)
    arguments = parser.parse_args()
    with (arguments.data / "test.csv").open(encoding="utf-8", newline="") as file:
        texts = [line["text"] for line in csv.DictReader(file)][: arguments.texts]
    with TemporaryDirectory() as place:
        bodies = Path(place) / "bodies.jsonl"
        bodies.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
        write_section("server", measured(arguments, texts, bodies))


if __name__ == "__main__":
    main()
