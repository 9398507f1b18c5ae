"""Long documents: what each opinion gives alone, and what they give together.

    python benchmarks/long_documents.py --data FOLDER --models FOLDER...

The models are those of `elsewise fit FOLDER/train.csv --held-out FOLDER/val.csv --test FOLDER/test.csv`, one a seed.
Each opinion gets a calibrator of its own on the tune rows that the model keeps, and is judged on test.csv.
"""

import argparse
from pathlib import Path
from statistics import mean

import numpy as np

import elsewise as ew
from baseline import rows_of
from elsewise import metrics
from elsewise.classifier.kept_rows import refit_tokens
from elsewise.engines.pool import fine_tuned
from elsewise.engines.second_opinion import SecondOpinion
from elsewise.engines.token_counts import WithTokenCounts
from elsewise.fitting.engine_choice import fitted_calibrator
from elsewise.outputs import Outputs
from sections import table, write_section

ALONE = "fine-tuned encoder alone"


class Counts:
    """Token counts alone."""

    def __init__(self, engine: WithTokenCounts) -> None:
        self.engine = engine

    def run(self, tokens: object) -> Outputs:
        return Outputs(self.engine.counts.logits(tokens))


def opinions(engine: object) -> dict[str, object]:
    """The engine that is served, and what is inside it."""
    found = {"all together, as served": engine, ALONE: fine_tuned(engine)}
    inside = engine.engine if isinstance(engine, SecondOpinion) else engine
    if isinstance(engine, SecondOpinion):
        found["encoder as it came alone"] = engine.other
    if isinstance(inside, WithTokenCounts):
        found["token counts alone"] = Counts(inside)
        found["without the second opinion"] = inside
    return found


def judged(p: np.ndarray, codes: np.ndarray) -> dict[str, float]:
    return {"accuracy": metrics.accuracy(p, codes).value, "log_loss": metrics.log_loss(p, codes).value}


def figures(folder: Path, texts: list[str], labels: list[str]) -> dict[str, dict[str, float]]:
    classifier = ew.load(folder)
    codes = classifier.codes(labels)
    kept, tokens = classifier.provenance.arrays, classifier.engine.prepare(texts)
    found = {"TF-IDF of words (the baseline)": judged(ew.load(folder / "baseline").probabilities(texts), codes)}
    for name, engine in opinions(classifier.engine).items():
        calibrator = fitted_calibrator(engine.run(refit_tokens(kept, "tune")), kept["refit.tune.codes"])
        found[name] = judged(calibrator(engine.run(tokens).logits), codes)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", type=Path, nargs="+", required=True)
    arguments = parser.parse_args()
    texts, labels = rows_of(arguments.data / "test.csv")
    runs = [figures(folder, texts, labels) for folder in arguments.models]
    rows = []
    for name in sorted(runs[0], key=lambda name: mean(run[name]["accuracy"] for run in runs)):
        accuracy, loss, alone = (
            mean(run[of][key] for run in runs)
            for of, key in ((name, "accuracy"), (name, "log_loss"), (ALONE, "accuracy"))
        )
        rows.append([name, f"{accuracy:.2%}", f"{100 * (accuracy - alone):+.1f}", f"{loss:.3f}"])
    of = f"{arguments.data.name}, {len(texts):,} test rows, means of {len(runs)} seeds."
    head = ["", "accuracy", f"points above the {ALONE}", "log loss"]
    write_section("long-documents", PAGE.format(of=of, table=table(head, rows)))


PAGE = """## Long documents: each opinion alone, and together

{of} Each has a calibrator of its own, fitted on tune rows; the weights of the mixture were chosen on tune rows too.

{table}
"""


if __name__ == "__main__":
    main()
