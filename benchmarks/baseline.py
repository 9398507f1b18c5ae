"""The baseline engine (TF-IDF and logistic regression) beside a fine-tuned encoder.

    python benchmarks/baseline.py --data CLINC [MORE] [--model MODEL]     # folders with train.csv, val.csv, test.csv

Learned from train.csv on one thread, its strength and calibrator chosen on val.csv, and judged on test.csv; rows with
the label oos are left out. The model, of the first folder, is one made by `elsewise fit`.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np

import elsewise as ew
from elsewise import metrics
from elsewise.calibrators.choice import choose_calibrator
from elsewise.engines.tfidf import TfidfEngine
from sections import peak_mb, table, write_section


def rows_of(file: Path) -> tuple[list[str], list[str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        rows = [row for row in csv.DictReader(opened) if row["label"] != "oos"]
    return [row["text"] for row in rows], [row["label"] for row in rows]


def judged(who: str, seconds: str, classifier: ew.Classifier, texts: list[str], labels: list[str]) -> list[str]:
    codes = classifier.codes(labels)
    classifier.probabilities(texts[:64])
    began = time.perf_counter()
    p = classifier.probabilities(texts)
    speed = len(texts) / (time.perf_counter() - began)
    accuracy, loss = metrics.accuracy(p, codes), metrics.log_loss(p, codes)
    ends = f"{accuracy.value:.2%} ({accuracy.low:.2%} to {accuracy.high:.2%})"
    return [who, seconds, f"{speed:,.0f}", ends, f"{loss.value:.4f}"]


def baseline_of(data: Path) -> tuple[str, ew.Classifier]:
    (texts, words), (tune, tune_words) = rows_of(data / "train.csv"), rows_of(data / "val.csv")
    labels = tuple(sorted(set(words)))
    codes, tune_codes = (np.array([labels.index(word) for word in part]) for part in (words, tune_words))
    began = time.process_time()
    engine = TfidfEngine.fit(texts, codes, labels, tune, tune_codes)
    seconds = f"{time.process_time() - began:.1f}"
    calibrator = choose_calibrator(engine.run(tune).logits, tune_codes).calibrator
    return seconds, ew.Classifier(engine, calibrator, ew.FixedThreshold(0.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--model", type=Path)
    arguments = parser.parse_args()
    lines = []
    for number, data in enumerate(arguments.data):
        test = rows_of(data / "test.csv")
        seconds, classifier = baseline_of(data)
        lines.append(judged(f"{data.name}: baseline", seconds, classifier, *test))
        if arguments.model and not number:
            model = ew.load(arguments.model)
            precision = model.engine.settings["precision"]
            lines.append(judged(f"{data.name}: encoder, {model.engine.name} {precision}", "-", model, *test))
    header = ["", "seconds of processor time to learn", "texts/s", "accuracy", "log loss, calibrated"]
    words = (
        "## The baseline: TF-IDF and logistic regression\n\nLearned from `train.csv`, calibrated on `val.csv`, judged "
        "on in-scope rows of `test.csv`. The baseline answers on one thread, the encoder on all; at most "
        f"{peak_mb():,.0f} MB of memory in all."
    )
    write_section("baseline", f"{words}\n\n{table(header, lines)}")


if __name__ == "__main__":
    main()
