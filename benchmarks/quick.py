"""CLINC150 without fine-tuning: how long `elsewise fit --quick` takes from file to folder, and how good its model is.

    python benchmarks/quick.py --data FOLDER [--encoder FOLDER] [--seeds 1]

Rows with the label oos are left out of train.csv and val.csv.
"""

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory

import numpy as np

import elsewise as ew
from clinc150 import judge, rows_of, write_in_scope
from sections import table, write_section

ANSWERS = 'import sys, elsewise as ew; ew.load(sys.argv[1]).decide(["hello"])'
COLUMNS = [
    ("in-scope accuracy", "accuracy", "{:.2%}"),
    ("log loss", "log_loss", "{:.4f}"),
    ("ECE", "ece", "{:.4f}"),
    ("in-scope coverage", "coverage", "{:.2%}"),
    ("right when answered", "right", "{:.2%}"),
    ("out-of-scope left as Other", "recall", "{:.2%}"),
]


def timed(words: list[str]) -> tuple[float, float]:
    """Wall seconds and processor seconds of a command."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--encoder", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    test, runs = rows_of(arguments.data / "test.csv"), []
    with TemporaryDirectory() as place:
        work = Path(place)
        for name in ("train.csv", "val.csv"):
            write_in_scope(arguments.data / name, work / name)
        for seed in range(arguments.seeds):
            model = work / f"model-{seed}"
            words = ["fit", work / "train.csv", "--held-out", work / "val.csv", "-o", model, "--quick", "--seed", seed]
            words += ["--encoder", arguments.encoder] if arguments.encoder else []
            wall, processor = timed(["-m", "elsewise", *map(str, words)])
            classifier = ew.load(model)
            known = {label: code for code, label in enumerate(classifier.labels)}
            evidence = classifier.evidence([text for text, _ in test])
            codes = np.array([known.get(label, -1) for _, label in test])
            found = judge(evidence, codes, classifier.rule)
            runs.append({**found, "wall": wall, "processor": processor})
        opened = median(timed(["-c", ANSWERS, str(model)])[0] for _ in range(3))
    write_section("quick", page(runs, opened))


def page(runs: list[dict[str, float]], opened: float) -> str:
    """Lay out the section."""
    rows = [[form.format(mean(run[key] for run in runs)) for _, key, form in COLUMNS]]
    wall, processor = (mean(run[key] for run in runs) for key in ("wall", "processor"))
    return f"""## CLINC150 without fine-tuning

`elsewise fit train.csv --held-out val.csv --quick`, seeds: {len(runs)}. It takes {wall:.0f} s from the start of the
process to the folder, and {processor:.0f} s of processors. To start a process, open such a folder and answer one text
takes {opened:.1f} s.

{table([name for name, _, _ in COLUMNS], rows)}
"""


if __name__ == "__main__":
    main()
