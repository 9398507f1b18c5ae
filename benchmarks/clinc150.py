"""CLINC150 end to end: `elsewise fit` on real text, three seeds, beside what people do today.

    python benchmarks/clinc150.py --data FOLDER      # with train.csv, val.csv, test.csv; out-of-scope label "oos"

Today's way is the same weights, raw softmax (the folded temperature undone) and a threshold of 0.6.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean

import numpy as np

import elsewise as ew
from elsewise import metrics
from elsewise.metrics import clopper_pearson_lower
from sections import table, write_section

OUT_OF_SCOPE = "oos"


def rows_of(path: Path) -> list[tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["label"]) for row in csv.DictReader(file)]


def write_in_scope(source: Path, target: Path) -> None:
    """Copy a file without its out-of-scope rows."""
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("text", "label"), *(row for row in rows_of(source) if row[1] != OUT_OF_SCOPE)])


def fit(work: Path, seed: int) -> tuple[Path, float]:
    model = work / f"model-{seed}"
    command = ["-m", "elsewise", "fit", str(work / "train.csv"), "--held-out", str(work / "val.csv"), "-o", str(model)]
    start = time.perf_counter()
    subprocess.run([sys.executable, *command, "--seed", str(seed)], check=True, stdout=subprocess.DEVNULL)
    return model, time.perf_counter() - start


def judge(evidence: ew.Evidence, codes: np.ndarray, rule: object) -> dict[str, float]:
    p, decisions = evidence.probabilities, rule(evidence)
    inside = codes >= 0
    answered, right = ~decisions.abstained, decisions.best == codes
    n, k = int(answered[inside].sum()), int((answered & right)[inside].sum())
    n_all, k_all = int(answered.sum()), int((answered & right).sum())
    return {
        "accuracy": metrics.accuracy(p[inside], codes[inside]).value,
        "log_loss": metrics.log_loss(p[inside], codes[inside]).value,
        "brier": metrics.brier(p[inside], codes[inside]).value,
        "ece": metrics.calibration_error(p[inside], codes[inside]).value,
        "null": metrics.calibration_error(p[inside], codes[inside]).null,
        "threshold": decisions.threshold[0],
        "coverage": n / inside.sum(),
        "right": k / n,
        "upper": 1 - float(clopper_pearson_lower(n - k, n, 0.05)),
        "right_all": k_all / n_all,
        "recall": 1 - answered[~inside].mean(),
        "auroc": metrics.auc(decisions.confidence, inside).value,
    }


def measure(model: Path, test: list[tuple[str, str]]) -> tuple[dict[str, float], dict[str, float], dict[str, object]]:
    classifier = ew.load(model)
    known = {label: code for code, label in enumerate(classifier.labels)}
    codes = np.array([known.get(label, -1) for _, label in test])
    evidence = classifier.evidence([text for text, _ in test])
    raw = ew.softmax(evidence.logits * np.float32(classifier.folded.temperature))
    ours = judge(evidence, codes, classifier.rule)
    today = judge(ew.Evidence(raw), codes, ew.FixedThreshold(0.6))
    return ours, today, {"certificate": classifier.certificate, "temperature": classifier.folded.temperature}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    test = rows_of(arguments.data / "test.csv")
    ours, today, facts = [], [], []
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        for name in ("train.csv", "val.csv"):
            write_in_scope(arguments.data / name, work / name)
        for seed in range(arguments.seeds):
            model, seconds = fit(work, seed)
            mine, theirs, fact = measure(model, test)
            ours.append(mine), today.append(theirs), facts.append({**fact, "seconds": seconds})
            print(json.dumps({"seed": seed, "seconds": seconds, **mine}), flush=True)
    write_section("clinc150", page(ours, today, facts, test))


COLUMNS = [
    ("in-scope accuracy", "accuracy", "{:.2%}"),
    ("log loss", "log_loss", "{:.4f}"),
    ("Brier", "brier", "{:.4f}"),
    ("ECE, 15 equal-mass bins", "ece", "{:.4f}"),
    ("ECE if perfect", "null", "{:.4f}"),
    ("threshold", "threshold", "{:.4f}"),
    ("in-scope coverage", "coverage", "{:.2%}"),
    ("accuracy when answered, in-scope", "right", "{:.2%}"),
    ("the same with out-of-scope rows", "right_all", "{:.2%}"),
    ("out-of-scope left as Other", "recall", "{:.2%}"),
    ("out-of-scope AUROC", "auroc", "{:.4f}"),
]


def page(ours: list[dict], today: list[dict], facts: list[dict], test: list[tuple[str, str]]) -> str:
    outside = sum(label == OUT_OF_SCOPE for _, label in test)
    rows = [[f"elsewise, seed {i}", *(form.format(run[key]) for _, key, form in COLUMNS)] for i, run in enumerate(ours)]
    for name, runs in (("**elsewise, mean**", ours), ("raw softmax, 0.6, mean", today)):
        rows.append([name, *(form.format(mean(run[key] for run in runs)) for _, key, form in COLUMNS)])
    promises = [
        [
            str(i),
            f"{fact['seconds'] / 60:.1f} min",
            f"{fact['temperature']:.3f}",
            f"{fact['certificate'].errors} of {fact['certificate'].n} (of {fact['certificate'].rows})",
            f"{fact['certificate'].coverage:.1%}",
            f"{run['right']:.2%}",
            f"{run['upper']:.2%}",
            "no" if run["upper"] >= fact["certificate"].target_accuracy else "**yes**",
        ]
        for i, (fact, run) in enumerate(zip(facts, ours, strict=True))
    ]
    header = ["seed", "fit, whole process", "temperature", "certify errors", "certify coverage"]
    header += ["test accuracy when answered", "upper bound", "contradicted"]
    return PAGE.format(
        inside=len(test) - outside,
        outside=outside,
        share=outside / len(test),
        figures=table(["", *(name for name, _, _ in COLUMNS)], rows),
        promises=table(header, promises),
    )


PAGE = """## CLINC150: one command, real text

`elsewise fit train.csv --held-out val.csv` with the default encoder and settings; 150 labels, no out-of-scope row
in train, tune or certify. Test: {inside:,} in-scope and {outside:,} out-of-scope texts ({share:.1%}). "Raw softmax,
0.6" is what people do today: the same weights without calibration, and a threshold set by hand.

{figures}

Each certificate promises 95 % right among what is answered, at confidence level 95 %, for in-scope texts. It is
contradicted if the Clopper-Pearson upper bound (95 %, one-sided) on the in-scope test rows is below 95 %. The line
"the same with out-of-scope rows" above is what the same threshold does where the promise does not reach.

{promises}
"""


if __name__ == "__main__":
    main()
