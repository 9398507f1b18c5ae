"""A Keras model beside a fine-tuned BERT: wrapped, certified for the same promise, and compared on the same texts.

    python benchmarks/keras_and_bert.py --clinc FOLDER --model FOLDER --sib FOLDER

`--clinc` and `--sib` hold train.csv, val.csv and test.csv; `--model` is a model folder fitted on the rows of `--clinc`
(benchmarks/clinc150.py writes one). On the second set, which has few rows, the encoder is fine-tuned here.
"""

import argparse
import csv
import math
import os
import re
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np

import elsewise as ew
from elsewise.errors import ElsewiseWarning
from sections import table, write_section

LENGTH = 48  # words read of a text
OUT_OF_SCOPE = "oos"
FIGURES = (
    ("accuracy", "accuracy"),
    ("log_loss", "log loss"),
    ("brier", "Brier score"),
    ("coverage", "coverage, own threshold"),
    ("accuracy_when_answered", "accuracy when answered"),
    ("right", "answered right, of all rows"),
)


def rows_of(folder: Path, name: str) -> tuple[list[str], list[str]]:
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["label"]) for row in csv.DictReader(file) if row["label"] != OUT_OF_SCOPE]
    return [text for text, _ in rows], [label for _, label in rows]


def keras_engine(texts: list[str], labels: list[str], epochs: int) -> Any:
    """Train words, embedding, convolution, pooling and a softmax head on these texts."""
    keras.utils.set_random_seed(0)
    counts = Counter(word for text in texts for word in re.findall(r"\w+", text.lower()))
    ids = {word: i for i, (word, _) in enumerate(counts.most_common(20_000), 2)}  # 0 is nothing, 1 an unknown word

    def to_ids(batch: list[str]) -> Any:
        found = np.zeros((len(batch), LENGTH), dtype="int32")
        for row, text in enumerate(batch):
            words = [ids.get(word, 1) for word in re.findall(r"\w+", text.lower())][:LENGTH]
            found[row, : len(words)] = words
        return found

    names = sorted(set(labels))
    model = keras.Sequential(
        [
            keras.Input((LENGTH,), dtype="int32"),
            keras.layers.Embedding(len(ids) + 2, 128),
            keras.layers.Conv1D(256, 3, padding="same", activation="relu"),
            keras.layers.GlobalMaxPooling1D(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(len(names), activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
    codes = np.array([names.index(label) for label in labels])
    model.fit(to_ids(texts), codes, epochs=epochs, batch_size=64, verbose=0)
    return ew.wrap(model, labels=names, preprocess=to_ids)


def compared(name: str, bert: ew.Classifier, kept: ew.Classifier, test: tuple[list[str], list[str]]) -> list[list[str]]:
    """Compare on the test rows; the seconds are those of the comparison, both models' answers apart."""
    answers = {}
    for who, classifier in (("BERT", bert), ("Keras", kept)):
        start = time.perf_counter()
        logits = classifier.engine.run(test[0]).logits
        seconds = time.perf_counter() - start
        by_heart = ew.wrap(logits, texts=test[0], labels=classifier.labels, kind="logits")
        answers[who] = (ew.Classifier(by_heart, classifier.calibrator, classifier.rule), seconds)
    start = time.perf_counter()
    found = ew.compare(*(c for c, _ in answers.values()), *test, names=tuple(answers))
    seconds = time.perf_counter() - start
    print(found.verdict)
    lines = []
    for key, words in FIGURES:
        a, b = (found.models[who].figures[key] for who in answers)
        pair = found.pairs[0].figures.get(key)
        difference = pair.difference if pair else None
        lines.append(
            [name, words, *("-" if math.isnan(x.value) else f"{x.value:.4f}" for x in (a, b)), _shown(difference)]
        )
    speeds = [f"{len(test[0]) / spent:,.0f}" for _, spent in answers.values()]
    lines.append([name, "texts/s, one run", *speeds, ""])
    lines.append([name, f"comparing {len(test[0]):,} rows", f"{seconds:.1f} s", "", ""])
    return lines


def _shown(difference: Any) -> str:
    if difference is None or math.isnan(difference.value):
        return ""
    value, low, high = (getattr(difference, name) for name in ("value", "low", "high"))
    return f"{value:+.4f} ({low:+.4f} to {high:+.4f})"


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("clinc", "model", "sib"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    warnings.simplefilter("ignore", ElsewiseWarning)
    train, held_out, test = (rows_of(given.clinc, part) for part in ("train", "val", "test"))
    kept = ew.fit(*train, engine=keras_engine(*train, epochs=12), held_out=held_out, score="maximum_probability")
    lines = compared("CLINC150, promise 95 %", ew.load(given.model), kept, test)
    texts, labels = (a + b for a, b in zip(rows_of(given.sib, "train"), rows_of(given.sib, "val"), strict=True))
    train, held_out = (texts[:450], labels[:450]), (texts[450:], labels[450:])
    test = rows_of(given.sib, "test")
    promise = {"held_out": held_out, "target_accuracy": 0.85, "score": "maximum_probability"}
    kept = ew.fit(*train, engine=keras_engine(*train, epochs=30), **promise)
    bert = ew.fit(*train, **promise, baseline=False, precision="f32")
    certificates = {"BERT": bert.certificate, "Keras": kept.certificate}
    refused = [f"sib200_tr, {who}: {c.sentence}" for who, c in certificates.items() if not c.certified]
    lines += compared("sib200_tr, promise 85 %", bert, kept, test)
    body = table(["rows", "figure", "BERT (MiniLM)", "Keras", "BERT - Keras (95 %)"], lines)
    said = "".join(f"\n\n{sentence}" for sentence in refused)
    write_section("keras and bert", f"## A Keras model beside a fine-tuned BERT\n\n{INTRODUCTION}\n\n{body}{said}")


INTRODUCTION = (
    "Embedding, convolution, pooling and a softmax head in Keras 3, wrapped by `ew.wrap`, beside MiniLM; certified "
    "on the same held-out rows for one promise, each with its own threshold; compared on the in-scope test rows."
)

if __name__ == "__main__":
    main()
