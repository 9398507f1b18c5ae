"""Uncertainty beyond softmax on CLINC150: what an ensemble, MC dropout and Laplace add, and what they cost.

    python benchmarks/uncertainty.py --data FOLDER --models M0 M1 ...

FOLDER has train.csv and test.csv, out-of-scope label "oos"; the models are fitted as benchmarks/clinc150.py does it,
with seeds 0, 1, ...
"""

import argparse
import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import elsewise as ew
from elsewise import metrics
from elsewise.classifier.kept_rows import refit_tokens
from elsewise.classifier.model_folder import ModelFolder
from elsewise.engines import engine_class, prepared
from elsewise.engines.files import Opening
from elsewise.fitting.engine_choice import fitted_calibrator
from elsewise.scores import SCORES
from sections import table, write_section

OUT_OF_SCOPE = "oos"
PASSES = 10


def rows_of(path: Path) -> tuple[list[str], list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["label"]) for row in csv.DictReader(file)]
    return [text for text, _ in rows], [label for _, label in rows]


def plain(path: Path, engine: str = "openvino") -> Any:
    """Open the model of a folder in float32, whatever it was certified on."""
    saved = ModelFolder.read(path)
    settings = next(iter(saved.description["engines"].values()))["settings"]
    tokenizer = {name: settings[name] for name in ("max_length", "pad", "special")}
    labels = tuple(saved.description["labels"])
    return engine_class(engine).open(Opening(saved.files, labels, {**tokenizer, "precision": "f32"}))


def engines(paths: list[Path], train: list[str], tune: Any, tune_codes: np.ndarray) -> Iterator[tuple[str, Any]]:
    """Open one model, and what stands around it."""
    members = [plain(path) for path in paths]
    torch = plain(paths[0], "torch")
    yield "one model, openvino", members[0]
    yield "laplace around it", engine_class("laplace").fit(members[0], prepared(members[0], train), tune, tune_codes)
    yield f"ensemble of {len(members)}", engine_class("ensemble")(members)
    yield "one model, torch", torch
    yield f"mc_dropout of it, {PASSES} passes", engine_class("mc_dropout")(torch, passes=PASSES)


def judge(engine: Any, tune: Any, tune_codes: np.ndarray, test: Any, codes: np.ndarray) -> list[str]:
    calibrator = fitted_calibrator(engine.run(tune), tune_codes)
    start = time.process_time()
    outputs = engine.run(test)
    seconds = time.process_time() - start
    evidence, inside = ew.Evidence.of(outputs, calibrator), codes >= 0
    p, y = evidence.probabilities[inside], codes[inside]
    scores = [SCORES["maximum_probability"]()(evidence)]
    scores += [] if outputs.epistemic is None else [SCORES["epistemic"]()(evidence)]
    aurocs = [f"{metrics.auc(score, inside).value:.4f}" for score in scores]
    judged = [metrics.accuracy(p, y), metrics.log_loss(p, y), metrics.calibration_error(p, y)]
    temperature = f"{getattr(calibrator, 'temperature', 1.0):.3f}"
    speed = f"{len(codes) / seconds:,.0f}"
    return [temperature, *(f"{each.value:.4f}" for each in judged), *[*aurocs, "-"][:2], speed]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", type=Path, nargs="+", required=True)
    arguments = parser.parse_args()
    train, train_labels = rows_of(arguments.data / "train.csv")
    train = [text for text, label in zip(train, train_labels, strict=True) if label != OUT_OF_SCOPE]
    texts, labels = rows_of(arguments.data / "test.csv")
    saved = ModelFolder.read(arguments.models[0])
    known = {label: code for code, label in enumerate(saved.description["labels"])}
    codes = np.array([known.get(label, -1) for label in labels])
    tune, tune_codes = refit_tokens(saved.arrays, "tune"), saved.arrays["refit.tune.codes"]
    rows, prior = [], 0.0
    for name, engine in engines(arguments.models, train, tune, tune_codes):
        rows.append([name, *judge(engine, tune, tune_codes, prepared(engine, texts), codes)])
        prior = getattr(engine, "prior_precision", prior)
        print(rows[-1], flush=True)
    outside = int((codes < 0).sum())
    figures = table(HEADER, rows)
    how = [ModelFolder.read(path).description["record"]["training"] for path in arguments.models]
    trained = ", ".join(f"seed {each['seed']} trained in {each['precision']}" for each in how)
    body = PAGE.format(
        train=len(train), trained=trained, inside=len(codes) - outside, outside=outside, prior=prior, figures=figures
    )
    write_section("uncertainty", body)


HEADER = ["", "temperature", "accuracy", "log loss", "ECE", "out-of-scope AUROC, maximum probability"]
HEADER += ["the same, epistemic", "texts a CPU second"]

PAGE = """## Uncertainty beyond softmax

CLINC150 with 150 labels and {train:,} train texts, models fitted as in the first section ({trained}); what has one
model has the first. Test: {inside:,} in-scope and {outside:,} out-of-scope texts. Each engine runs in float32 and has
its own temperature, fitted on the same tune rows. Differences of a few thousandths are chance. The prior precision that
Laplace chose is {prior:g}.

{figures}
"""


if __name__ == "__main__":
    main()
