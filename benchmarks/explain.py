"""How long `elsewise explain` takes once the model is loaded.

    python benchmarks/explain.py --data CLINC --model MODEL      # a model folder made by `elsewise fit`

Each text is explained in a fresh process, so that every shape is new to the engine, and then once more. The usual texts
are pairs of real ones, the long one is many of them.
"""

import argparse
import csv
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from sections import table, write_section

SIZES = {"usual, 10 to 20 words": (10, 20), "a paragraph, 60 to 80 words": (60, 80), "long, 400 words": (400, 400)}
RUNS = 7


def texts_of(data: Path, fewest: int, most: int) -> list[str]:
    """Join texts until they are long enough; a text a run, all different."""
    with (data / "test.csv").open(encoding="utf-8", newline="") as file:
        words = [word for row in csv.DictReader(file) for word in row["text"].split()]
    sizes = [fewest + (most - fewest) * run // (RUNS - 1) for run in range(RUNS)]
    return [" ".join(words[sum(sizes[:run]) : sum(sizes[: run + 1])]) for run in range(RUNS)]


def child(model: str, neighbours: str) -> None:
    """Explain the text on stdin twice, and print the seconds."""
    import elsewise as ew
    from elsewise.evaluation import explain

    classifier, text = ew.load(model), sys.stdin.read()
    known = None
    if neighbours:
        with Path(neighbours).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        known = [row["text"] for row in rows], [row["label"] for row in rows]
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        made = explain(classifier, text, neighbours=known)
        seconds.append(time.perf_counter() - start)
    served = " ".join(str(x) for x in (classifier.engine.name, classifier.engine.settings["precision"]))
    known_texts = 0 if known is None else len(known[0])
    print(json.dumps([*seconds, made.extent.tokens, len(made.words), served, known_texts]))


def measure(model: Path, text: str, neighbours: str = "") -> list:
    command = [sys.executable, __file__, "--child", str(model), neighbours]
    return json.loads(subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    arguments = parser.parse_args()
    lines = {name: [measure(arguments.model, text) for text in texts_of(arguments.data, *size)]
             for name, size in SIZES.items()}  # fmt: skip
    usual = texts_of(arguments.data, *next(iter(SIZES.values())))[0]
    near = measure(arguments.model, usual, str(arguments.data / "train.csv"))
    lines[f"usual, and the nearest of {near[5]:,} texts"] = [near]
    rows = [
        [
            name,
            f"{statistics.median(run[2] for run in runs):.0f}",
            f"{statistics.median(run[3] for run in runs):.0f}",
            f"{statistics.median(run[0] for run in runs):.2f}",
            f"{max(run[0] for run in runs):.2f}",
            f"{statistics.median(run[1] for run in runs):.2f}",
        ]
        for name, runs in lines.items()
    ]
    header = ["text", "tokens", "parts left out", "seconds, first in a process", "the slowest", "seconds, once more"]
    write_section(
        "explain",
        f"## Explaining one text\n\n`elsewise.evaluation.explain` on {near[4]}, the model loaded: decision, words that "
        f"pulled, tokens, receipt. Medians of {RUNS} texts, each first in a process of its own.\n\n"
        f"{table(header, rows)}",
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
