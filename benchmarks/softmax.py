"""Why not softmax and a threshold of 0.6? The same weights both ways, on real rows; also the table of the README.

    python benchmarks/softmax.py --models MODEL... --tests FILE... [--names NAME...]

The models are made by `elsewise fit`, each with a file of labelled texts that are new to it. Rows with a label that the
model does not have belong to none of its labels; where there are none, the built-in strange texts stand for them. The
table of README.md is written between its marks.
"""

import argparse
import csv
import re
from pathlib import Path

import numpy as np

import elsewise as ew
from elsewise.data.strangers import strange_texts
from elsewise.engines.pool import fine_tuned
from sections import HERE, table, write_section

README = HERE.parent / "README.md"
MARKS = re.compile(r"(<!-- softmax -->\n).*?(<!-- end of softmax -->)", re.DOTALL)
TODAY = 0.6
HEADER = ["", "answered", "right when answered", "strangers left as Other"]


def rows_of(file: Path) -> tuple[list[str], list[str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    return [row["text"] for row in rows], [row["label"] for row in rows]


def raw_softmax(classifier: ew.Classifier, texts: list[str]) -> np.ndarray:
    """What the fine-tuned weights alone say, before anything was calibrated."""
    folded = classifier.provenance.folded
    temperature = np.float32(getattr(folded, "temperature", 1.0))
    logits = fine_tuned(classifier.engine).run(texts).logits
    p, read = np.zeros_like(logits), np.isfinite(logits).all(axis=1)
    p[read] = ew.softmax(logits[read] * temperature)  # a text that is not read is never answered
    return p


def figures(answered: np.ndarray, best: np.ndarray, codes: np.ndarray) -> list[float]:
    inside = codes >= 0
    return [answered[inside].mean(), (best == codes)[inside & answered].mean(), 1 - answered[~inside].mean()]


def judged(model: Path, file: Path) -> tuple[list[float], list[float], str, str]:
    """Figures of softmax at 0.6 and of ours; the promise; and what the strangers are."""
    classifier = ew.load(model)
    texts, labels = rows_of(file)
    known = {label: code for code, label in enumerate(classifier.labels)}
    codes = np.array([known.get(label, -1) for label in labels])
    has_own = bool((codes < 0).any())
    if not has_own:
        strange = list(strange_texts())
        texts, codes = texts + strange, np.append(codes, np.full(len(strange), -1))
    p = raw_softmax(classifier, texts)
    decisions = classifier.decide(texts)
    today = figures(p.max(axis=1) >= TODAY, p.argmax(axis=1), codes)
    ours = figures(~decisions.abstained, decisions.best, codes)
    certificate = classifier.certificate
    promised = f"{certificate.target_accuracy:.0%}" if certificate.certified else "nothing"
    of = f"{(codes >= 0).sum():,} in-scope rows, {(codes < 0).sum():,} " + ("of its own" if has_own else "built-in")
    return today, ours, promised, f"{of} strangers"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, nargs="+", required=True)
    parser.add_argument("--tests", type=Path, nargs="+", required=True)
    parser.add_argument("--names", nargs="+", help="what to call the sets; default: the names of the models")
    arguments = parser.parse_args()
    names = arguments.names or [model.name for model in arguments.models]
    whole, short = [], []
    for name, model, file in zip(names, arguments.models, arguments.tests, strict=True):
        today, ours, promised, facts = judged(model, file)
        cells = [[f"{figure:.1%}" for figure in found] for found in (today, ours)]
        facts = f"promise {promised}; {facts}"
        whole += [[f"{name}: softmax, 0.6", *cells[0], ""], [f"{name}: Elsewise", *cells[1], facts]]
        short.append([name, *(f"{a} / **{b}**" for a, b in zip(*cells, strict=True)), f"nothing / **{promised}**"])
    write_section("softmax", PAGE.format(figures=table([*HEADER, "of"], whole)))
    made = table(["softmax and 0.6 / **Elsewise**", *HEADER[1:], "promised"], short)
    README.write_text(
        MARKS.sub(lambda found: f"{found[1]}{made}\n{found[2]}", README.read_text(encoding="utf-8")), encoding="utf-8"
    )


PAGE = """## Why not softmax and 0.6?

Plain softmax of the same fine-tuned weights, before calibration, with a threshold of 0.6 as people set it by hand,
beside what `fit` serves by default. Answered, and right when answered, are of in-scope rows; strangers are texts that
belong to none of the labels.

{figures}
"""


if __name__ == "__main__":
    main()
