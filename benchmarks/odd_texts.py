"""Texts of 10 MB, one at a time: what each costs beside a page.

    python benchmarks/odd_texts.py --model MODEL      # a model folder made by `elsewise fit`

Each text runs in a process of its own, which has answered a page before: the memory is what is new after that.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from sections import peak_mb, table, write_section

PAGE = "where is my parcel, it is two weeks late and nobody answers " * 60
SIZE = 10_000_000  # characters
TEXTS = {
    "a page, 3,600 characters": PAGE,
    "words, 10 MB": (PAGE * (SIZE // len(PAGE) + 1))[:SIZE],
    "one word, 10 MB": "w" * SIZE,
    "one dotless i after the other, 20 MB": "\u0131" * SIZE,
    "emoji, 40 MB": "👍" * SIZE,
    "lone surrogates, 10 million": "\ud83d" * SIZE,
    "blanks, 10 MB": " " * SIZE,
}
REPEATS = 20


def measure(model: Path, name: str) -> None:
    """Print the median seconds of an answer, the megabytes that it added to the peak, and whether it was truncated."""
    import elsewise as ew

    classifier, text = ew.load(model), TEXTS[name]
    classifier.decide([PAGE])
    before, seconds = peak_mb(), []
    for _ in range(REPEATS):
        start = time.perf_counter()
        evidence = classifier.evidence([text])
        classifier.decisions(evidence)
        seconds.append(time.perf_counter() - start)
    truncated = bool(evidence.outputs.truncated[0])
    print(json.dumps([statistics.median(seconds), max(seconds), peak_mb() - before, truncated]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--text", choices=TEXTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.text:
        measure(arguments.model, arguments.text)
        return
    rows = []
    for name in TEXTS:
        command = [sys.executable, __file__, "--model", str(arguments.model), "--text", name]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        median, worst, megabytes, truncated = json.loads(done.stdout)
        times = [f"{1000 * median:.1f}", f"{1000 * worst:.1f}"]
        rows.append([name, *times, f"{megabytes:.1f}", "yes" if truncated else "no"])
    header = ["text", "ms, median", "ms, worst", "MB more than before", "truncated"]
    words = f"One text in each call of `decide`, {REPEATS} calls, after one call with a page."
    write_section("odd texts", f"## Texts of 10 MB\n\n{words}\n\n{table(header, rows)}")


if __name__ == "__main__":
    main()
