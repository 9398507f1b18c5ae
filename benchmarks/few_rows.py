"""Few labelled rows: what `fit` serves beside each of the ways that it chooses from.

    python benchmarks/few_rows.py --data CLINC SIB [--labels 16 70] [--rows 300] [--draws 3]

Each draw takes some labels of train.csv (all where there are fewer), and some rows of them, every label at least twice;
it is judged on all rows of these labels in the other rows of train.csv and in test.csv. Rows with the label oos are
left out. The made-up Turkish tickets are those of tests/support/turkish_tickets.py, 28 labels.
"""

import argparse
import csv
import json
import sys
import time
import warnings
from pathlib import Path
from statistics import mean

import numpy as np

import elsewise as ew
from elsewise.classifier.load import open_baseline
from elsewise.engines.pool import fine_tuned
from elsewise.errors import ElsewiseWarning
from sections import HERE, table, write_section

sys.path.insert(0, str(HERE.parent / "tests"))
from support import turkish_tickets

OUT_OF_SCOPE, MADE_UP, MOST_JUDGED = "oos", "made-up Turkish tickets", 4_000
BATCH = 8
WAYS = ("default", "fine-tuned alone, batch 8", "as it came", "TF-IDF")

Rows = list[tuple[str, str]]


def rows_of(folder: Path) -> Rows:
    found: Rows = []
    for name in ("train.csv", "test.csv"):
        with (folder / name).open(encoding="utf-8", newline="") as file:
            found += [(row["text"], row["label"]) for row in csv.DictReader(file) if row["label"] != OUT_OF_SCOPE]
    return list(dict(found).items())


def drawn(rows: Rows, labels: int, size: int, seed: int) -> tuple[Rows, Rows]:
    """Some labels and some rows of them, each label at least twice; and the rows to judge on."""
    rng = np.random.default_rng(seed)
    known = sorted({label for _, label in rows})
    chosen = set(rng.permutation(known)[:labels].tolist())
    some = [rows[i] for i in rng.permutation(len(rows)) if rows[i][1] in chosen]
    counts = dict.fromkeys(chosen, 0)
    first, rest = [], []
    for row in some:
        counts[row[1]] += 1
        (first if counts[row[1]] <= 2 else rest).append(row)
    more = size - len(first)
    return first + rest[:more], rest[more : more + MOST_JUDGED]


def accuracy(classifier: ew.Classifier, rows: Rows) -> float:
    """The share of right best labels, Other aside; a text that is not read is wrong."""
    return right(classifier.probabilities([text for text, _ in rows]), classifier, rows)


def right(scores: np.ndarray, classifier: ew.Classifier, rows: Rows) -> float:
    best = np.where(np.isfinite(scores).all(axis=1), np.nan_to_num(scores).argmax(axis=1), -1)
    return float(np.mean(best == classifier.codes([label for _, label in rows])))


def alone(default: ew.Classifier, rows: Rows, test: Rows, **how: object) -> float:
    """Fine-tuning alone with a batch of 8: what is inside the default where it trained so, or a fit of its own."""
    record = default.provenance.record
    if record["kept"]["kept"] == "encoder" and record["training"]["batch_size"] == BATCH:
        return right(fine_tuned(default.engine).run([text for text, _ in test]).logits, default, test)
    more = {"batch_size": BATCH, "second_opinion": False, "baseline": False, "keep": "encoder", "precision": "f32"}
    return accuracy(ew.fit(*columns(rows), **more, **how), test)


def columns(rows: Rows) -> tuple[list[str], list[str]]:
    return [text for text, _ in rows], [label for _, label in rows]


def judged(rows: Rows, test: Rows, seed: int) -> dict[str, object]:
    how = {"seed": seed, "progress": False, "note": lambda _: None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ElsewiseWarning)
        began = time.perf_counter()
        default = ew.fit(*columns(rows), **how)
        seconds = time.perf_counter() - began
        frozen = ew.fit(*columns(rows), keep="frozen", second_opinion=False, baseline=False, precision="f32", **how)
        found = {
            WAYS[0]: accuracy(default, test),
            WAYS[1]: alone(default, rows, test, **how),
            WAYS[2]: accuracy(frozen, test),
            WAYS[3]: accuracy(open_baseline(default) or default, test),
        }
    return {**found, "kept": default.provenance.record["kept"]["kept"], "seconds": seconds, "judged": len(test)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--labels", type=int, nargs="+", default=[16, 70])
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--done", type=Path, help="file of draws: those in it are taken, new ones are added")
    arguments = parser.parse_args()
    sets = {MADE_UP: turkish_tickets.rows(), **{folder.name: rows_of(folder) for folder in arguments.data}}
    sets[MADE_UP] = [row for row in sets[MADE_UP] if row[1] != turkish_tickets.OUT_OF_SCOPE]
    known = {name: len({label for _, label in rows}) for name, rows in sets.items()}
    draws = dict.fromkeys(
        (name, min(labels, known[name]), seed)
        for seed in range(arguments.draws)
        for name in sets
        for labels in arguments.labels
    )
    there = arguments.done is not None and arguments.done.exists()
    done = [json.loads(line) for line in arguments.done.read_text().splitlines()] if there else []
    found = {(one["set"], one["labels"], one["draw"]): one for one in done}
    for draw in draws:
        if draw not in found:
            name, labels, seed = draw
            made = judged(*drawn(sets[name], labels, arguments.rows, seed), seed)
            found[draw] = {"set": name, "labels": labels, "draw": seed, **made}
            print(json.dumps(found[draw]), flush=True)
            if arguments.done is not None:
                with arguments.done.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(found[draw]) + "\n")
    lines = [
        (f"{name}, {labels} labels, draw {seed}", found[name, labels, seed]) for name, labels, seed in sorted(draws)
    ]
    write_section("few rows", page(lines, arguments.rows))


def page(lines: list[tuple[str, dict]], rows: int) -> str:
    body = [
        [name, *(f"{found[way]:.1%}" for way in WAYS), str(found["kept"]), f"{found['seconds']:.0f}"]
        for name, found in lines
    ]
    means = [mean(found[way] for _, found in lines) for way in WAYS]
    body.append(["**mean**", *(f"{one:.1%}" for one in means), "", ""])
    behind = [max(found[way] for way in WAYS[1:]) - found[WAYS[0]] for _, found in lines]
    header = ["", "what `fit` serves", *WAYS[1:], "kept", "seconds of `fit`"]
    return PAGE.format(
        rows=rows,
        figures=table(header, body),
        worst=100 * max(behind),
        behind=sum(gap > 0.01 for gap in behind),
        draws=len(lines),
    )


PAGE = """## Few rows: what `fit` serves

`fit` on {rows} labelled rows in all, of which 60 % are train rows, with the default encoder: the accuracy of the best
label, Other aside, on thousands of other rows of the same labels. Beside it stand the ways that it chooses from and
mixes: fine-tuning alone with a batch of 8, the encoder as it came with a head of its own, and TF-IDF.

{figures}

What `fit` serves is at most {worst:.1f} points behind the best of the three, and more than 1 point behind in {behind}
of {draws} draws.
"""


if __name__ == "__main__":
    main()
