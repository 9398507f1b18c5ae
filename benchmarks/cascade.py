"""A cascade on CLINC150: token counts answer what they are sure of, beside the engine alone.

    python benchmarks/cascade.py --data FOLDER --model FOLDER      # a model of clinc150.py

The model is copied, and a cascade is added to the copy by `elsewise export --cascade`. Both answer the same texts in
turn, warm; every figure is of test rows, which neither has seen.
"""

import argparse
import shutil
import tempfile
import time
import warnings
from pathlib import Path
from statistics import median

import numpy as np

import elsewise as ew
from clinc150 import rows_of
from elsewise import metrics
from elsewise.engines.cascade import every_text_read
from elsewise.fitting.export import export
from elsewise.metrics import clopper_pearson_upper
from sections import table, write_section

CHANGES = (0.01, 0.02)
REPEATS = 7


def with_cascade(model: Path, place: Path, change: float) -> tuple[ew.Classifier, str]:
    """The model with a cascade, and what was said of it; without one where it was left out."""
    served, said = ew.load(model).engine, []
    shutil.copytree(model, place)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        how = {"engine": served.name, "precision": served.settings["precision"]}
        export(place, cascade=True, cascade_change=change, note=said.append, **how)
    return ew.load(place), said[0]


def figures(classifier: ew.Classifier, texts: list[str], codes: np.ndarray) -> dict[str, object]:
    evidence = classifier.evidence(texts)
    decisions, p, inside = classifier.decisions(evidence), evidence.probabilities, codes >= 0
    answered, right = ~decisions.abstained, decisions.best == codes
    early = np.zeros(len(codes), bool) if evidence.early is None else evidence.early
    return {
        "best": decisions.best,
        "promise": classifier.certificate.sentence.partition(" The confidence is over")[0],
        "accuracy": metrics.accuracy(p[inside], codes[inside]).value,
        "log_loss": metrics.log_loss(p[inside], codes[inside]).value,
        "ece": metrics.calibration_error(p[inside], codes[inside]).value,
        "coverage": answered[inside].mean(),
        "right": right[inside & answered].mean() if (inside & answered).any() else np.nan,
        "other": 1 - answered[~inside].mean(),
        "early": early[inside].mean(),
        "early_outside": early[~inside].mean(),
    }


def speeds(classifiers: list[ew.Classifier], texts: list[str]) -> list[float]:
    """Texts a second of each, in turn."""
    seconds: list[list[float]] = [[] for _ in classifiers]
    for turn in range(REPEATS + 1):
        for one, found in zip(classifiers, seconds, strict=True):
            began = time.perf_counter()
            one.decide(texts)
            if turn:  # the first warms up
                found.append(time.perf_counter() - began)
    return [len(texts) / median(found) for found in seconds]


COLUMNS = [
    ("answered by token counts", "early", "{:.1%}"),
    ("in-scope accuracy", "accuracy", "{:.2%}"),
    ("log loss", "log_loss", "{:.4f}"),
    ("ECE", "ece", "{:.4f}"),
    ("in-scope coverage", "coverage", "{:.2%}"),
    ("in-scope accuracy when answered", "right", "{:.2%}"),
    ("out-of-scope left as Other", "other", "{:.2%}"),
    ("out-of-scope answered by token counts", "early_outside", "{:.1%}"),
]


def changed(one: dict, alone: dict, inside: np.ndarray) -> str:
    count, n = int((one["best"] != alone["best"])[inside].sum()), int(inside.sum())
    return f"{count / n:.2%} (at most {float(clopper_pearson_upper(count, n, 0.05)):.2%})"


def page(found: list[dict], rates: list[list[float]], names: list[str], codes: np.ndarray, said: list[str]) -> str:
    inside = codes >= 0
    rows = [
        [name, *(f"{rate / of[0]:.2f}" for rate, of in zip(speed, rates, strict=True))]
        + ["-" if one is found[0] else changed(one, found[0], inside)]
        + [form.format(one[key]) for _, key, form in COLUMNS]
        for name, one, speed in zip(names, found, zip(*rates, strict=True), strict=True)
    ]
    header = ["", "speed on in-scope texts", "speed on all texts", "labels changed", *(name for name, _, _ in COLUMNS)]
    notes = [[name, f"{words}."] for name, words in zip(names[1:], said, strict=True)]
    promises = [[name, one["promise"]] for name, one in zip(names, found, strict=True)]
    return PAGE.format(
        inside=int(inside.sum()), outside=int((~inside).sum()), alone=rates[0][0], repeats=REPEATS,
        figures=table(header, rows), said=table(["", "said when it was added"], notes),
        promises=table(["", "certificate"], promises),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    arguments = parser.parse_args()
    alone = ew.load(arguments.model)
    if every_text_read(alone.engine) is not alone.engine:
        parser.error("the model has a cascade already")
    known = {label: code for code, label in enumerate(alone.labels)}
    rows = rows_of(arguments.data / "test.csv")
    texts, codes = [text for text, _ in rows], np.array([known.get(label, -1) for _, label in rows])
    with tempfile.TemporaryDirectory() as place:
        made = [with_cascade(arguments.model, Path(place) / str(change), change) for change in CHANGES]
        classifiers = [alone, *(one for one, _ in made)]
        found = [figures(one, texts, codes) for one in classifiers]
        known_texts = [text for text, code in zip(texts, codes, strict=True) if code >= 0]
        rates = [speeds(classifiers, some) for some in (known_texts, texts)]
    names = ["the engine alone", *(f"a cascade, `--cascade-change {change}`" for change in CHANGES)]
    write_section("cascade", page(found, rates, names, codes, [said for _, said in made]))


PAGE = """## CLINC150: a cascade

A model of clinc150, and the same with `elsewise export --cascade`: token counts answer what they are sure of, and the
engine reads the rest. {inside:,} in-scope and {outside:,} out-of-scope test texts; no out-of-scope row in train, tune
or certify. Labels changed are those of in-scope texts, with the upper bound of Clopper and Pearson at 95 %. Speed is
that of `decide`, as a share of that of the engine alone, {alone:,.0f} in-scope texts a second (medians of {repeats},
in turn).

{figures}

{said}

{promises}
"""


if __name__ == "__main__":
    main()
