"""Their threshold, our promise: thresholds from 1,000 labelled rows, again and again from a known truth.

    python benchmarks/promises.py [--draws 200]

Each chooser of a threshold gets the same confidences, and whether the label was right, and shall give 95 % right among
what is answered. The truth is known, so the accuracy above each threshold is, too. MAPIE comes with the extra dev. The
other packages are asked where they are installed, `pip install --no-deps jev-eval deferguard s1ops sysone` in an
environment of their own; none of them opens a connection here.
"""

import argparse
import importlib
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

import numpy as np
from scipy.optimize import brentq

from elsewise.metrics.intervals import wilson
from elsewise.outputs import Evidence
from elsewise.rules import CertifiedThreshold
from sections import HERE, table, write_section

sys.path.insert(0, str(HERE.parent / "tests"))
from support.known_truths import ALPHA, TRUTHS, Truth

ROWS, TUNE, LABELS = 1000, 400, 20  # rows in all, of these for tune, as `fit` divides those of a model of yours
SEQUENCE = {"fwer_method": "fixed_sequence", "list_predict_params": np.linspace(0.99, 0, 100)}  # the strictest first
RESAMPLES = 100  # of jev-eval's bootstrap; its default of 1,000 moves the gate in no way, and the figure hardly
CURVES = {
    "A, many unsure": TRUTHS["A"],
    "B, most are sure": TRUTHS["B"],
    "F, 94.999 % right at every confidence": TRUTHS["F"],
}
Threshold = Callable[[np.ndarray, np.ndarray, np.ndarray], float]  # confidence, is right; of texts without labels


def probabilities(s: np.ndarray) -> np.ndarray:
    """Label 0 is best, with probability s; the others share the rest."""
    return np.column_stack([s, *[(1 - s) / (LABELS - 1)] * (LABELS - 1)])


def codes_of(right: np.ndarray) -> np.ndarray:
    return np.where(right, 0, 1)


def ours(s: np.ndarray, right: np.ndarray, _: np.ndarray) -> float:
    """The division that `fit` makes of rows that a model was not trained on."""
    tune, certify = (Evidence(probabilities(part)) for part in (s[:TUNE], s[TUNE:]))
    codes = codes_of(right)
    return CertifiedThreshold.fit(certify, codes[TUNE:], reference=tune, reference_codes=codes[:TUNE]).threshold


def ours_on_all(s: np.ndarray, right: np.ndarray, unlabelled: np.ndarray) -> float:
    """Every labelled row certifies, and texts without labels place the thresholds that are tested."""
    rows, reference = (Evidence(probabilities(part)) for part in (s, unlabelled))
    return CertifiedThreshold.fit(rows, codes_of(right), reference=reference).threshold


def mapie(s: np.ndarray, right: np.ndarray, _: np.ndarray, **how: object) -> float:
    """MAPIE's controller for several labels, of the share of right among the answered; the most is to be answered."""
    control = importlib.import_module("mapie.risk_control")
    is_right = control.BinaryRisk(
        lambda y, said: y == said, lambda _, said: ~np.isnan(said.astype(float)), higher_is_better=True
    )
    controller = control.MultiClassificationLTTController(
        lambda x: probabilities(x[:, 0]), [is_right], [1 - ALPHA], confidence_level=0.95,
        best_predict_param_choice=control.abstention_rate, classes=np.arange(LABELS), **how,
    )  # fmt: skip
    controller.calibrate(s[:, None], codes_of(right))
    return np.inf if controller.best_predict_param is None else float(controller.best_predict_param)


def deferguard(s: np.ndarray, right: np.ndarray, _: np.ndarray) -> float:
    package = importlib.import_module("deferguard")
    rows = [package.CalibrationExample(signal=float(a), correct=bool(b)) for a, b in zip(s, right, strict=True)]
    return float(package.Calibrator(alpha=ALPHA).fit(rows).threshold)


def s1ops(s: np.ndarray, right: np.ndarray, _: np.ndarray, **how: bool) -> float:
    found = importlib.import_module("s1ops.improve.policy").select_threshold(s, right, ALPHA, **how)
    return np.inf if found is None else found


def sysone(s: np.ndarray, right: np.ndarray, _: np.ndarray) -> float:
    """What `SystemOneModel.abstention_threshold` calls with the answers of its model."""
    rows = [{"type": "choice", "confidence": float(a), "hit": float(b)} for a, b in zip(s, right, strict=True)]
    found = importlib.import_module("sysone.evaluation").thresholds_for_accuracy(rows, 1 - ALPHA)["choice"]["threshold"]
    return np.inf if found is None else found


def scored(s: np.ndarray, right: np.ndarray) -> list[object]:
    made = importlib.import_module("jev_eval.score").Scored
    pairs = zip(s.tolist(), right.tolist(), strict=True)
    return [made(i, "choice", a, b, a, b, "said", "said" if b else "meant") for i, (a, b) in enumerate(pairs)]


def jev_eval(s: np.ndarray, right: np.ndarray, _: np.ndarray) -> float:
    found = importlib.import_module("jev_eval").recommend_threshold(scored(s, right), target_accuracy=1 - ALPHA)
    return np.inf if found is None else found.threshold


def jev_eval_heeded(s: np.ndarray, right: np.ndarray, _: np.ndarray) -> float:
    """The same gate, where the accuracy that is printed with it, out of bag, reaches the target."""
    contract, thresholds = (importlib.import_module(f"jev_eval.{name}") for name in ("contract", "thresholds"))
    options = contract.GuardOptions("bootstrap", RESAMPLES, 0.0, 0)
    made = contract.recommend("q", "choice", scored(s, right), thresholds.picker(1 - ALPHA, None), options)
    return made.point.threshold if made.usable and made.point.accuracy >= 1 - ALPHA else np.inf


def by_hand(_: np.ndarray, __: np.ndarray, ___: np.ndarray) -> float:
    return 0.6


CHOOSERS: dict[str, tuple[str, Threshold]] = {
    "**elsewise**, of the labelled rows 400 tune and 600 certify": ("elsewise", ours),
    "**elsewise**, all labelled rows certify": ("elsewise", ours_on_all),
    "mapie, thresholds in a fixed sequence": ("mapie", partial(mapie, **SEQUENCE)),
    "mapie, Bonferroni-Holm (its default)": ("mapie", mapie),
    "deferguard": ("deferguard", deferguard),
    "s1ops, Clopper-Pearson bound": ("s1ops", partial(s1ops, use_cp_upper=True)),
    "s1ops, measured errors (its default)": ("s1ops", s1ops),
    "jev-eval, if its out-of-bag accuracy reaches 95 %": ("jev-eval", jev_eval_heeded),
    "jev-eval": ("jev-eval", jev_eval),
    "sysone": ("sysone", sysone),
    "0.6 by hand": ("elsewise", by_hand),
}


@dataclass(frozen=True)
class Judged:
    """Thresholds of all draws, judged by the truth."""

    broken: int
    coverage: float
    none: float

    @classmethod
    def of(cls, choose: Threshold, truth: Truth, draws: int) -> "Judged":
        rng = np.random.default_rng(0)
        found = []
        for _ in range(draws):
            s, wrong = truth.draw(rng, ROWS)
            found.append(choose(s, ~wrong, truth.draw(rng, TUNE)[0]))
        answering = [t for t in found if truth.coverage(t) > 0]
        return cls(
            broken=sum(truth.risk(t) > ALPHA for t in answering),
            coverage=sum(map(truth.coverage, answering)) / draws,
            none=1 - len(answering) / draws,
        )


def best_coverage(truth: Truth) -> str:
    """Coverage of the loosest threshold that keeps the promise, which only the truth knows."""
    if truth.risk(0.9999) > ALPHA:
        return "none keeps it"
    return f"{truth.coverage(brentq(lambda t: truth.risk(t) - ALPHA, 0, 0.9999)):.1%}"


def rows_of(truth: Truth, name: str, draws: int) -> list[list[str]]:
    rows = [[name, "*the truth itself*", "0.0%", best_coverage(truth), ""]]
    for chooser, (package, choose) in CHOOSERS.items():
        if not is_installed(package):
            continue
        judged = Judged.of(choose, truth, draws)
        interval = wilson(judged.broken, draws)
        share = f"{judged.broken / draws:.1%} ({interval.low:.1%} to {interval.high:.1%})"
        rows.append([name, chooser, share, f"{judged.coverage:.1%}", f"{judged.none:.1%}"])
    return rows


def is_installed(package: str) -> bool:
    try:
        return bool(version(package))
    except importlib.metadata.PackageNotFoundError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=200)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", module="mapie|deferguard")
    packages = dict.fromkeys(package for package, _ in CHOOSERS.values() if package != "elsewise")
    there = [f"{package} {version(package)}" for package in packages if is_installed(package)]
    missing = [package for package in packages if not is_installed(package)]
    write_section(
        "promises",
        PAGE.format(
            draws=arguments.draws,
            rows=ROWS,
            tune=TUNE,
            resamples=RESAMPLES,
            certify=ROWS - TUNE,
            packages=", ".join(there) + (f"; not installed: {', '.join(missing)}" if missing else ""),
            table=table(
                ["risk curve", "threshold chosen by", "promises broken (95 % interval)", "coverage", "no threshold"],
                [row for name, truth in CURVES.items() for row in rows_of(truth, name, arguments.draws)],
            ),
        ),
    )


PAGE = """## Their threshold, our promise

95 % right among what is answered is asked for, at confidence level 95 % where a package knows one, with {rows:,}
labelled rows, {draws} draws from each of three made-up risk curves (those of `tests/guarantees`). A promise is broken
when the true accuracy above the chosen threshold is below 95 %; at most 5 % of the draws may do that. Coverage is the
true share that is answered, the mean of all draws. {packages}.

{table}

Each chooser gets the same confidences, and whether the label was right. For a model that is trained already, `fit`
parts {rows:,} rows into {tune} tune and {certify} certify rows, test rows apart; tune rows calibrate besides, which
these confidences do not need. In the second line all rows certify, and {tune} texts without labels place the
thresholds that are tested. MAPIE's `MultiClassificationLTTController` controls the share of right among the answered,
at its own 100 thresholds, and takes the threshold that abstains least. deferguard is `Calibrator(alpha=0.05)`. s1ops
is `select_threshold` at an error budget of 0.05. sysone is what `SystemOneModel.abstention_threshold` calls, and
jev-eval is `recommend_threshold`. These two, and s1ops by default, speak of the accuracy on the labelled rows and of
no confidence level. jev-eval prints an out-of-bag accuracy beside its gate ({resamples} resamples here); the line
above it is for those who heed that figure. MAPIE comes with the extra `dev`; the others were put beside it by `pip
install --no-deps jev-eval deferguard s1ops sysone`, and a line is left out where a package is missing.
"""


if __name__ == "__main__":
    main()
