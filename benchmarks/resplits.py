"""Does the promise hold on real texts: certify on random parts of CLINC150 again and again, count broken promises.

    python benchmarks/resplits.py --data FOLDER --model FOLDER      # with val.csv, test.csv and domains.json

Validation and test rows are pooled. Each split draws reference and certify rows from the pool, out-of-scope rows in a
stated share. A promise is broken when the whole pool, weighted to that share, has more errors above the threshold:
what is left over beside the certify rows would be the wrong truth, for errors missing there lie here.
"""

import argparse
import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from mapie.risk_control import BinaryClassificationController

import elsewise as ew
from clinc150 import Part, rows_of
from elsewise.metrics import clopper_pearson_upper, risk_coverage_curve
from elsewise.rules import ByLabel, CertifiedThreshold
from elsewise.scores import MaximumProbability
from sections import table, write_section

REFERENCE, CERTIFY, ALPHA = 1000, 2000, 0.05
SHARES = (0.0, 0.05, 0.1)


@dataclass(frozen=True)
class Pool:
    """All rows: confidence, whether the label is right, and the weight that gives out-of-scope rows their share."""

    evidence: ew.Evidence
    codes: np.ndarray
    share: float

    @property
    def confidence(self) -> np.ndarray:
        return MaximumProbability()(self.evidence)

    @property
    def right(self) -> np.ndarray:
        return self.evidence.probabilities.argmax(axis=1) == self.codes

    @property
    def weight(self) -> np.ndarray:
        inside = self.codes >= 0
        return np.where(inside, (1 - self.share) / inside.sum(), self.share / max((~inside).sum(), 1))

    def judge(self, answered: np.ndarray) -> tuple[float, float]:
        """Share of errors among the answered, and coverage, of the whole pool in its share."""
        weight = self.weight * answered
        covered = float(weight.sum())
        return (float(weight @ ~self.right) / covered if covered else 0.0), covered

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Rows for reference and for certify, without replacement, out-of-scope rows binomial in their share."""
        inside, outside = (rng.permutation(np.flatnonzero(flag)) for flag in (self.codes >= 0, self.codes < 0))
        many = rng.binomial(CERTIFY, self.share)
        few = rng.binomial(REFERENCE, self.share)
        certify = np.concatenate([inside[: CERTIFY - many], outside[:many]])
        rest_in, rest_out = inside[CERTIFY - many :], outside[many:]
        return np.concatenate([rest_in[: REFERENCE - few], rest_out[:few]]), certify

    def take(self, rows: np.ndarray) -> tuple[ew.Evidence, np.ndarray]:
        return ew.Evidence(self.evidence.probabilities[rows]), self.codes[rows]


Threshold = Callable[[Pool, np.ndarray, np.ndarray], float]


def certified(pool: Pool, reference: np.ndarray, certify: np.ndarray) -> float:
    rows, codes = pool.take(certify)
    return CertifiedThreshold.fit(rows, codes, reference=pool.take(reference)[0]).threshold


def stated(pool: Pool, reference: np.ndarray, certify: np.ndarray) -> float:
    rows, codes = pool.take(certify)
    kwargs = {"reference": pool.take(reference)[0], "out_of_scope_share": pool.share}
    return CertifiedThreshold.fit(rows, codes, **kwargs).threshold


def measured(pool: Pool, _: np.ndarray, certify: np.ndarray) -> float:
    """The loosest threshold at which the measured accuracy reaches the target: the common shortcut."""
    curve = risk_coverage_curve(pool.confidence[certify], pool.right[certify])
    good = np.flatnonzero(curve.risk <= ALPHA)
    return float(curve.threshold[good[-1]]) if len(good) else np.inf


def uncorrected(pool: Pool, _: np.ndarray, certify: np.ndarray) -> float:
    """The loosest threshold at which a Clopper-Pearson bound holds, as if it were the only one tried."""
    curve = risk_coverage_curve(pool.confidence[certify], pool.right[certify])
    answered = np.round(curve.coverage * len(certify)).astype(int)
    upper = clopper_pearson_upper(np.round(curve.risk * answered).astype(int), answered, 0.05)
    good = np.flatnonzero(upper <= ALPHA)
    return float(curve.threshold[good[-1]]) if len(good) else np.inf


def by_hand(_: Pool, __: np.ndarray, ___: np.ndarray) -> float:
    return 0.6


def mapies(pool: Pool, _: np.ndarray, certify: np.ndarray, level: float = 0.95) -> float:
    """MAPIE's controller of precision, "the label is right" being the positive, at its own 100 thresholds."""

    def predict(values: np.ndarray) -> np.ndarray:
        return np.column_stack([1 - values[:, 0], values[:, 0]])

    controller = BinaryClassificationController(predict, "precision", 1 - ALPHA, confidence_level=level)
    controller.calibrate(pool.confidence[certify][:, None], pool.right[certify].astype(int))
    return np.inf if controller.best_predict_param is None else float(controller.best_predict_param)


RULES: dict[str, Threshold] = {
    "**elsewise**, certified": certified,
    "**elsewise**, for the stated out-of-scope share": stated,
    "MAPIE, precision controlled": mapies,
    "Clopper-Pearson at every threshold, uncorrected": uncorrected,
    "measured accuracy reaches the target": measured,
    "0.6 by hand": by_hand,
}


def splits(pool: Pool, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    return (pool.draw(rng) for _ in range(count))


def global_rules(pool: Pool, count: int) -> list[list[str]]:
    rows = []
    for name, rule in RULES.items():
        if pool.share == 0 and rule is stated:
            continue
        thresholds = np.array([rule(pool, *parts) for parts in splits(pool, count)])
        judged = np.array([pool.judge(pool.confidence >= threshold) for threshold in thresholds])
        broken = (judged[:, 0] > ALPHA).mean()
        none = np.isinf(thresholds) & (thresholds > 0)
        rows.append([f"{pool.share:.0%}", name, f"{broken:.1%}", f"{judged[:, 1].mean():.1%}", f"{none.mean():.1%}"])
    return rows


def by_label(pool: Pool, groups: list[str], reference: np.ndarray, certify: np.ndarray, *, joint: bool) -> np.ndarray:
    rows, codes = pool.take(certify)
    return ByLabel.fit(rows, codes, reference=pool.take(reference)[0], groups=groups, joint=joint).threshold


def one_by_one(
    rule: Threshold, pool: Pool, groups: list[str], reference: np.ndarray, certify: np.ndarray
) -> np.ndarray:
    """Apply a rule of one threshold to the rows of each group, by the predicted label."""
    names, group = np.unique(groups, return_inverse=True)
    of_row = group[pool.evidence.probabilities[certify].argmax(axis=1)]
    return np.array([rule(pool, reference, certify[of_row == g]) for g in range(len(names))])[group]


BY_DOMAIN = {
    "**elsewise**, singly": partial(by_label, joint=False),
    "**elsewise**, jointly": partial(by_label, joint=True),
    "MAPIE in each, at 95 %": partial(one_by_one, mapies),
    "MAPIE in each, at 99.5 %": partial(one_by_one, partial(mapies, level=0.995)),
    "measured accuracy reaches the target in each": partial(one_by_one, measured),
}


def by_domain(pool: Pool, domains: list[str], count: int) -> list[list[str]]:
    """Ten promises at once, one for each domain of the predicted label: a threshold for each label (k,)."""
    best = pool.evidence.probabilities.argmax(axis=1)
    domain = np.array(domains)[best]
    rows = []
    for name, rule in BY_DOMAIN.items():
        broken, covered, answered_in = [], [], []
        for parts in splits(pool, count):
            answered = pool.confidence >= rule(pool, domains, *parts)[best]
            judged = np.array([pool.judge(answered & (domain == one)) for one in np.unique(domains)])
            broken.append(judged[:, 0] > ALPHA)
            covered.append(judged[:, 1].sum())
            answered_in.append((judged[:, 1] > 0).sum())
        any_of, each = np.any(broken, axis=1).mean(), np.sum(broken) / np.sum(answered_in)
        rows.append([name, f"{each:.1%}", f"{any_of:.1%}", f"{np.mean(covered):.1%}", f"{np.mean(answered_in):.1f}"])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--splits", type=int, default=200)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", module="mapie")
    classifier = ew.load(arguments.model)
    rows = [row for name in ("val", "test") for row in rows_of(arguments.data / f"{name}.csv")]
    part = Part.of(classifier, rows)
    pools = [Pool(part.evidence, part.codes, share) for share in SHARES]
    domains = json.loads((arguments.data / "domains.json").read_text(encoding="utf-8"))
    domain_of = {label: domain for domain, labels in domains.items() for label in labels}
    write_section(
        "resplits",
        PAGE.format(
            inside=int((part.codes >= 0).sum()),
            outside=int((part.codes < 0).sum()),
            splits=arguments.splits,
            noise=0.05 + 3 * (0.05 * 0.95 / arguments.splits) ** 0.5,
            rules=table(
                ["out-of-scope", "rule", "promises broken", "coverage", "nothing certified"],
                [row for pool in pools for row in global_rules(pool, arguments.splits)],
            ),
            domains=table(
                ["rule", "broken, each", "splits with any broken", "coverage", "domains answered, of 10"],
                by_domain(pools[0], [domain_of[label] for label in classifier.labels], arguments.splits),
            ),
        ),
    )


PAGE = """## Promises on real texts

{splits} random splits of CLINC150's validation and test rows ({inside:,} in-scope, {outside:,} out-of-scope): 1,000
reference and 2,000 certify rows each, out-of-scope rows in the share of the first column. The promise is 95 % right
among what is answered, at confidence level 95 %: at most 5 % of the splits may promise too much, {noise:.1%} with three
standard errors of {splits} splits. Truth is the whole pool in that share. (A third of the validation rows fitted the
temperature and stopped the training of the model: an eighth of the pool that it knows a little better.)

{rules}

By the domain of the predicted label, ten promises from the same rows, without out-of-scope rows. Made singly, each may
be broken in 5 % of the splits; made jointly (for MAPIE: each at 99.5 %), any of them.

{domains}
"""


if __name__ == "__main__":
    main()
