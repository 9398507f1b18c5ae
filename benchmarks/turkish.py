"""Turkish topics: the default encoder, the multilingual one, and TF-IDF on the same rows.

    python benchmarks/turkish.py --data SIB200_TR --models FOLDER [--seeds N]

Models that are not in FOLDER yet are fitted, by the command that is shown. Needs the extra `multilingual`.
"""

import argparse
import csv
import subprocess
import sys
from pathlib import Path
from statistics import mean

import numpy as np

import elsewise as ew
from elsewise import metrics
from elsewise.classifier.load import open_baseline
from sections import table, write_section

TARGET = 0.85
ENCODERS = {"the default encoder": "sentence-transformers/all-MiniLM-L6-v2", "multilingual": "multilingual"}
BASELINE = "TF-IDF and logistic regression"


def rows_of(file: Path) -> tuple[list[str], list[str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    return [row["text"] for row in rows], [row["label"] for row in rows]


def fitted(data: Path, models: Path, encoder: str, seed: int) -> ew.Classifier:
    model = models / f"turkish-{encoder.rpartition('/')[2]}-{seed}"
    if not model.exists():
        words = [str(data / "train.csv"), "--held-out", str(data / "val.csv"), "-o", str(model), "--seed", str(seed)]
        how = ["--encoder", encoder, "--target-accuracy", str(TARGET)]
        subprocess.run([sys.executable, "-m", "elsewise", "fit", *words, *how], check=True, stdout=subprocess.DEVNULL)
    return ew.load(model)


def figures(classifier: ew.Classifier, texts: list[str], labels: list[str]) -> dict[str, object]:
    evidence, codes = classifier.evidence(texts), classifier.codes(labels)
    decisions = classifier.decisions(evidence)
    answered, made = ~decisions.abstained, classifier.certificate
    return {
        "accuracy": metrics.accuracy(evidence.probabilities, codes).value,
        "log_loss": metrics.log_loss(evidence.probabilities, codes).value,
        "promised": f"{made.target_accuracy:.0%}" if made is not None and made.certified else "nothing",
        "answered": float(answered.mean()),
        "right": float((decisions.best == codes)[answered].mean()) if answered.any() else np.nan,
    }


def line(name: str, runs: list[dict[str, object]]) -> list[str]:
    accuracies = [run["accuracy"] for run in runs]
    promises = ", ".join(str(run["promised"]) for run in runs)
    right = [run["right"] for run in runs if run["answered"]]
    return [
        name, f"{mean(accuracies):.1%} ({min(accuracies):.1%} to {max(accuracies):.1%})",
        f"{mean(run['log_loss'] for run in runs):.3f}", promises, f"{mean(run['answered'] for run in runs):.1%}",
        f"{mean(right):.1%}" if right else "-",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    arguments.models.mkdir(exist_ok=True)
    test, lines, kept = rows_of(arguments.data / "test.csv"), [], []
    for name, encoder in ENCODERS.items():
        made = [fitted(arguments.data, arguments.models, encoder, seed) for seed in range(arguments.seeds)]
        lines.append(line(name, [figures(classifier, *test) for classifier in made]))
        kept += [f"{name}, seed {seed}: {one.provenance.record['kept']['kept']}" for seed, one in enumerate(made)]
    baseline = open_baseline(made[0])
    if baseline is not None:
        lines.append(line(BASELINE, [figures(baseline, *test)]))
    header = ["", "accuracy", "log loss", f"promised of {TARGET:.0%}", "answered", "right when answered"]
    sizes = ", ".join(f"{len(rows_of(arguments.data / f'{part}.csv')[0]):,}" for part in ("train", "val", "test"))
    write_section(
        "turkish",
        f"## Turkish topics\n\nSIB-200 in Turkish, 7 topics; rows to train, to calibrate and certify, and to test: "
        f"{sizes}. Means of {arguments.seeds} seeds, the promise of each (`elsewise fit train.csv --held-out val.csv "
        f"--encoder ENCODER --target-accuracy {TARGET}`). Served is what tune rows found best: {'; '.join(kept)}."
        f"\n\n{table(header, lines)}",
    )


if __name__ == "__main__":
    main()
