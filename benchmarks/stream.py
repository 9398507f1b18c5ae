"""A million short texts through `elsewise predict`: speed and memory along the way.

    python benchmarks/stream.py --data CLINC --model MODEL      # a model folder made by `elsewise fit`

The texts are distinct, each the beginning of one real text and the end of another.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from sections import peak_mb, table, write_section

MARKS = (10_000, 40_000, 160_000, 640_000, 1_000_000)


def write_texts(source: Path, target: Path, n: int) -> None:
    with source.open(encoding="utf-8", newline="") as file:
        words = [row["text"].split() for row in csv.DictReader(file)]
    rng, seen = np.random.default_rng(0), set()
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text"])
        while len(seen) < n:
            first, second = (words[i] for i in rng.integers(len(words), size=2))
            text = " ".join([*first[: -(-len(first) // 2)], *second[len(second) // 2 :]])
            if text not in seen:
                seen.add(text)
                writer.writerow([text])


def predict(model: str, data: str, out: str, precision: str | None = None) -> None:
    """Predict, and print rows, seconds and peak memory after every chunk."""
    import elsewise as ew
    from elsewise.batch.predict import predict_file

    classifier = ew.load(model, precision=precision)
    start = time.perf_counter()

    def report(_: str, rows: int, __: int) -> None:
        print(json.dumps([rows, time.perf_counter() - start, resident_mb(), peak_mb()]), flush=True)

    engine = classifier.engine
    print(json.dumps({"engine": engine.name, "precision": engine.settings["precision"]}), flush=True)
    predict_file(classifier, data, out, progress=report)


def resident_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024


def page(lines: list[list[float]], served: dict) -> str:
    rows, last = [], (0, 0.0)
    for mark in (mark for mark in MARKS if mark <= lines[-1][0]):
        n, seconds, resident, peak = next(line for line in lines if line[0] >= mark)
        stretch = (n - last[0]) / (seconds - last[1]) if n > last[0] else n / seconds
        rows.append([f"{n:,}", f"{n / seconds:,.0f}", f"{stretch:,.0f}", f"{resident:,.0f}", f"{peak:,.0f}"])
        last = (n, seconds)
    header = ["texts", "texts/s so far", "texts/s since the line above", "memory, MB", "peak, MB"]
    name = " ".join(map(str, served.values()))
    return (
        f"## A million texts, file to file\n\n`elsewise predict` on {name}: distinct short texts, reading, writing "
        f"and decisions included.\n\n{table(header, rows)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--precision", help="one that the folder is certified on; its default otherwise")
    parser.add_argument("--rows", type=int, default=MARKS[-1])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        data, out = Path(place) / "texts.csv", Path(place) / "out.csv"
        write_texts(arguments.data / "train.csv", data, arguments.rows)
        asked = [arguments.model, data, out, *([arguments.precision] if arguments.precision else [])]
        command = [sys.executable, __file__, "--child", *map(str, asked)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        served, *lines = [json.loads(line) for line in done.stdout.splitlines()]
        write_section("stream", page(lines, served))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        predict(*sys.argv[2:])
    else:
        main()
