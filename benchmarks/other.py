"""Other that protects: what the gates and the second opinion do on CLINC150, part by part.

    python benchmarks/other.py --data FOLDER --models FOLDER... [--far FOLDER...]

The models are those of clinc150.py; no out-of-scope row is in train, tune or certify. Each is judged as it is served,
with the second opinion always asked, and without it. Texts of the sets --far (their test.csv) and made-up ones belong
to no label.
"""

import argparse
import csv
import random
import string
import timeit
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median

import numpy as np

import elsewise as ew
from clinc150 import rows_of
from elsewise import metrics
from elsewise.classifier.kept_rows import refit_tokens
from elsewise.engines.pool import fine_tuned
from elsewise.engines.second_opinion import SecondOpinion
from elsewise.fitting.engine_choice import fitted_calibrator
from elsewise.outputs import Evidence, Outputs
from elsewise.rules.familiarity import FamiliarityTest
from elsewise.scores import Familiarity
from sections import table, write_section

SHARES = (0.01, 0.02, 0.03, 0.05)
FAR = 500  # texts of each far set
TIMED, REPEATS = 1_000, 5
KINDS = ("as served", "second opinion always asked", "without it", "fine-tuned alone")


@dataclass(frozen=True)
class Judged:
    """Evidence of some texts with their familiarity, larger is more familiar, and p-values."""

    evidence: Evidence
    confidence: np.ndarray

    def barred(self, share: float) -> np.ndarray:
        return self.evidence.familiarity <= share


@dataclass(frozen=True)
class Way:
    """One way to answer: an engine, its calibrator and its test of familiarity."""

    engine: object
    calibrator: object
    familiarity: FamiliarityTest

    def judge(self, texts: list[str]) -> Judged:
        evidence = self.familiarity.judged(Evidence.of(self.engine.run(texts), self.calibrator))
        return Judged(evidence, self.familiarity.score(evidence))


def ways(classifier: ew.Classifier) -> dict[str, Way]:
    """The classifier, and the same with its second opinion asked always and never; all placed on its tune rows."""
    served = Way(classifier.engine, classifier.calibrator, classifier.familiarity)
    engine = classifier.engine
    if not isinstance(engine, SecondOpinion):
        return {KINDS[-1]: served}
    kept, score = classifier.provenance.arrays, classifier.familiarity.score
    tokens, codes = refit_tokens(kept, "tune"), kept["refit.tune.codes"]
    always = replace(engine, pool=replace(engine.pool, energy=np.inf, confidence=np.inf))
    found = {"as served": served}
    engines = always, engine.engine, fine_tuned(engine)
    for kind, one, likeness in zip(KINDS[1:], engines, (score.likeness, None, None), strict=True):
        outputs = one.run(tokens)
        calibrator = fitted_calibrator(outputs, codes)
        evidence = Evidence.of(outputs, calibrator)
        scaled = Familiarity.scaled(score.labels, likeness, evidence, codes)
        test = FamiliarityTest(scaled, classifier.familiarity.in_scope).against(evidence, codes)
        found[kind] = Way(one, calibrator, test)
    return found


def figures(way: Way, texts: list[str], codes: np.ndarray) -> dict[str, float]:
    judged, inside = way.judge(texts), codes >= 0
    p = judged.evidence.probabilities
    right, answered = p.argmax(axis=1) == codes, (p.max(axis=1) >= 0.5) & ~judged.barred(0.02)
    found = {
        "accuracy": metrics.accuracy(p[inside], codes[inside]).value,
        "log_loss": metrics.log_loss(p[inside], codes[inside]).value,
        "ece": metrics.calibration_error(p[inside], codes[inside]).value,
        "auroc": metrics.auc(judged.confidence, inside).value,
        "aupr": metrics.average_precision(-judged.confidence, ~inside).value,
        "coverage": answered[inside].mean(),
        "right": right[inside & answered].mean(),
        "other": 1 - answered[~inside].mean(),
    }
    outputs: Outputs = judged.evidence.outputs
    found["asked"] = 0.0 if outputs.embedding is None else float(np.isfinite(outputs.embedding[inside, 0]).mean())
    for share in SHARES:
        barred = judged.barred(share)
        found[f"barred {share}"], found[f"caught {share}"] = barred[inside].mean(), barred[~inside].mean()
    return found


def far_texts(folders: list[Path]) -> dict[str, list[str]]:
    """Texts of other sets, lines of long ones, and made-up ones."""
    rng = random.Random(0)  # noqa: S311  no secret
    found = {}
    csv.field_size_limit(1 << 30)
    for folder in folders:
        lines = [line.strip() for text, _ in rows_of(folder / "test.csv") for line in text.splitlines()]
        long = [line for line in lines if len(line.split()) > 3]
        found[folder.name] = rng.sample(long, min(FAR, len(long)))
    words = {word for some in found.values() for text in some for word in text.split() if word.isalpha()}
    found["single words"] = rng.sample(sorted(words), min(FAR, len(words)))
    letters = string.ascii_lowercase
    found["random letters"] = [
        " ".join("".join(rng.choices(letters, k=rng.randint(2, 9))) for _ in range(rng.randint(1, 6)))
        for _ in range(FAR)
    ]
    return found


def speed(way: Way, texts: list[str]) -> float:
    way.judge(texts[:64])
    return len(texts) / median(timeit.repeat(lambda: way.judge(texts), number=1, repeat=REPEATS))


def size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


COLUMNS = [
    ("in-scope accuracy", "accuracy", "{:.2%}"),
    ("log loss", "log_loss", "{:.4f}"),
    ("ECE", "ece", "{:.4f}"),
    ("familiarity, AUROC", "auroc", "{:.4f}"),
    ("AUPR", "aupr", "{:.4f}"),
    ("in-scope coverage with both gates", "coverage", "{:.2%}"),
    ("in-scope accuracy when answered", "right", "{:.2%}"),
    ("out-of-scope left as Other", "other", "{:.2%}"),
    ("in-scope texts asked about", "asked", "{:.1%}"),
]


def page(runs: list[dict], far: list[dict], speeds: list[dict], sizes: tuple[float, float]) -> str:
    kinds = [kind for kind in KINDS if kind in runs[0]]

    def of(kind: str, key: str) -> float:
        return mean(run[kind][key] for run in runs)

    rows = [[kind, *(form.format(of(kind, key)) for _, key, form in COLUMNS)] for kind in kinds]
    gates = [
        [kind, *(f"{of(kind, f'barred {a}'):.2%} / {of(kind, f'caught {a}'):.1%}" for a in SHARES)] for kind in kinds
    ]
    others = [[name, *(f"{mean(run[kind][name] for run in far):.1%}" for kind in kinds)] for name in far[0][kinds[0]]]
    ratios = [[kind, f"{mean(s[kind] / s[KINDS[-1]] for s in speeds):.2f}"] for kind in kinds]
    return PAGE.format(
        seeds=len(runs),
        figures=table(["", *(name for name, _, _ in COLUMNS)], rows),
        gates=table(["", *(f"`--unfamiliar {a}`" for a in SHARES)], gates),
        far=table(["left as Other", *kinds], others),
        speeds=table(["", "texts a second, as a share of those of the fine-tuned model alone"], ratios),
        whole=sizes[0],
        second=sizes[1],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", type=Path, nargs="+", required=True)
    parser.add_argument("--far", type=Path, nargs="*", default=[])
    arguments = parser.parse_args()
    test, distant = rows_of(arguments.data / "test.csv"), far_texts(arguments.far)
    runs, far, speeds = [], [], []
    for model in arguments.models:
        classifier = ew.load(model)
        known = {label: code for code, label in enumerate(classifier.labels)}
        texts, codes = [text for text, _ in test], np.array([known.get(label, -1) for _, label in test])
        found = ways(classifier)
        runs.append({kind: figures(way, texts, codes) for kind, way in found.items()})
        far.append({kind: {name: left(way, some) for name, some in distant.items()} for kind, way in found.items()})
        speeds.append({kind: speed(way, texts[:TIMED]) for kind, way in found.items()})
    folder = arguments.models[0]
    write_section("other", page(runs, far, speeds, (size_mb(folder), size_mb(folder / "second-opinion"))))


def left(way: Way, texts: list[str]) -> float:
    """The share of texts that the gates leave as Other."""
    judged = way.judge(texts)
    answered = (judged.evidence.probabilities.max(axis=1) >= 0.5) & ~judged.barred(0.02)
    return 1 - float(answered.mean())


PAGE = """## CLINC150: Other that protects

The models of clinc150, means of {seeds} seeds; no out-of-scope row in train, tune or certify. Served are the fine-tuned
model, token counts and a second opinion; the rows below leave out one after the other. The gates are those of the
defaults, `Unfamiliar(0.02)` and `Floor(0.5)`; no threshold stands beside them here.

{figures}

Share of in-scope texts that the gate bars, and of out-of-scope texts that it catches:

{gates}

Texts that are far from every label, left as Other by both gates:

{far}

{speeds}

A model folder has {whole:.0f} MB, {second:.0f} MB of them for the second opinion.
"""


if __name__ == "__main__":
    main()
