"""What a report shows, as plain values: one function collects it from a classifier and its evaluation."""

import math
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from elsewise.arrays import ABSTAIN
from elsewise.classifier.classifier import Classifier
from elsewise.classifier.kept_rows import kept_evidence
from elsewise.data.defaults import CONFIDENCE_LEVEL, TARGET_ACCURACY
from elsewise.engines import key_of, reads_logits
from elsewise.evaluation.evaluate import Evaluation
from elsewise.evaluation.judged_rows import BestLabels, JudgedRows
from elsewise.metrics import Estimate, reliability_of, risk_coverage_curve, wilson
from elsewise.report.thresholds import ThresholdCounts
from elsewise.rules import AccuracyBand
from elsewise.rules.decisions import Reason
from elsewise.rules.sample_size import Plan, plan
from elsewise.storage.json_files import Json, plain_fields

PER: Final = 1000  # texts that counts are told for
USUAL_THRESHOLD: Final = 0.6  # often taken for softmax, without a test
COVERAGES: Final = (0.95, 0.9, 0.8, 0.7, 0.5)  # of the thresholds in the table of the explorer
CURVE_POINTS: Final = 200
FEW: Final = 20  # rows of a label below which its shares tell little
SURE: Final = 0.9  # probability of an error that may be a wrong label
MOST_PAIRS: Final = 20
MOST_ROWS: Final = 5  # rows named of each pair of labels that may be wrong
REASONS: Final = tuple(str(reason) for reason in Reason if reason != Reason.ANSWERED)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of the judged rows: answered right, answered wrong, and Other by reason."""

    rows: int
    right: int
    wrong: int
    other: Mapping[str, int]

    @classmethod
    def of(cls, judged: JudgedRows) -> "Outcomes":
        """Count the outcomes of judged rows."""
        answers = judged.answers
        right = int((answers.answered & answers.correct).sum())
        reasons = Counter(map(str, judged.decisions.reasons))
        other = {reason: reasons[reason] for reason in REASONS if reasons[reason]}
        return cls(len(judged), right, int(answers.answered.sum()) - right, other)

    @property
    def parts(self) -> dict[str, int]:
        """All counts by name, right and wrong answers first."""
        return {"right": self.right, "wrong": self.wrong, **self.other}

    @property
    def in_thousand(self) -> dict[str, int]:
        """The same in 1,000 texts, rounded so that they add up (largest remainders).

        Examples
        --------
        >>> Outcomes(3, 2, 1, {}).in_thousand
        {'right': 667, 'wrong': 333}
        """
        exact = {name: PER * count / max(self.rows, 1) for name, count in self.parts.items()}
        whole = {name: math.floor(value) for name, value in exact.items()}
        lacking = PER - sum(whole.values()) if self.rows else 0
        for name in sorted(exact, key=lambda name: whole[name] - exact[name])[:lacking]:
            whole[name] += 1
        return whole


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows of about the same probability: how many, their mean probability, and the share of right labels."""

    rows: int
    probability: float
    right: Estimate


@dataclass(frozen=True, slots=True)
class Curve:
    """Coverage and risk of one way to decide, from strict to loose; `mark` is where it is used."""

    name: str
    coverage: Sequence[float]
    risk: Sequence[float]
    mark: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class AtThreshold:
    """What a threshold does to the judged rows, and what the band promises there (None: nothing)."""

    name: str
    threshold: float
    answered: int
    wrong: int
    promised: float | None


@dataclass(frozen=True, slots=True)
class BandPoint:
    """A threshold of the accuracy band, and the accuracy that it promises there."""

    threshold: float
    promised: float


@dataclass(frozen=True, slots=True)
class Confused:
    """How many rows of one label got another as the most probable one."""

    true: str
    best: str
    rows: int


@dataclass(frozen=True, slots=True)
class Suspect:
    """Errors that look like wrong labels: a sure model, whose nearest training texts have the same other label.

    `at` are the first such rows, counted from 1.
    """

    true: str
    best: str
    rows: int
    at: Sequence[int]


@dataclass(frozen=True, slots=True)
class Example:
    """A text that became Other, or was answered wrongly."""

    reason: str
    text: str
    true: str | None
    best: str
    probability: float


@dataclass(frozen=True, slots=True)
class Judged:
    """What is drawn of the judged rows.

    Attributes
    ----------
    outcomes : Outcomes
        Of all rows.
    counts, table : ThresholdCounts, sequence of AtThreshold
        Exact counts at every threshold, and the thresholds that are told.
    after, before : sequences of Bin
        Reliability of the most probable labels, in-scope; before calibration empty where that is not known.
    curves : sequence of Curve
        Risk against coverage: this classifier, plain softmax, and the baseline, where they are known.
    confused, cells : sequence of Confused, of (true, best, rows)
        The most confused pairs; and all of them as codes, the right answers included.
    suspects, examples : sequences of Suspect and Example
        Errors that look like wrong labels; and texts, if they were asked for.
    """

    outcomes: Outcomes
    counts: ThresholdCounts
    table: Sequence[AtThreshold]
    after: Sequence[Bin]
    before: Sequence[Bin]
    curves: Sequence[Curve]
    confused: Sequence[Confused]
    cells: Sequence[tuple[int, int, int]]
    suspects: Sequence[Suspect]
    examples: Sequence[Example]


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything that a report shows.

    Attributes
    ----------
    classifier, engine, model : Classifier, str, str
        What is reported on; its engine, as in "openvino-int8"; and the folder's name in commands.
    evaluation, judged : Evaluation and Judged, or None
        The figures, and what is drawn of the rows; None without test rows.
    threshold : float or None
        The threshold of all labels; None where each label has one of its own.
    band, level : sequence of BandPoint, float
        The accuracy band from strict to loose, empty where no certify rows are kept; and its confidence level.
    plan : Plan or None
        What more labelled rows would buy.
    """

    classifier: Classifier
    engine: str
    model: str
    evaluation: Evaluation | None
    judged: Judged | None
    threshold: float | None
    band: Sequence[BandPoint]
    level: float
    plan: Plan | None

    @property
    def record(self) -> Json:
        """How the classifier was made."""
        return self.classifier.provenance.record

    @property
    def of_logits(self) -> bool:
        """Whether the model is asked with logits, so that no text is known."""
        return reads_logits(self.classifier.engine)

    def as_dict(self) -> dict[str, Any]:
        """Give plain dictionaries, lists and numbers; the classifier by its labels."""
        plain = plain_fields(self, leave_out=("classifier",))
        return {"labels": list(self.classifier.labels), **plain}


def collect(
    classifier: Classifier, evaluation: Evaluation | None, *, model: str = "MODEL", with_examples: int = 0
) -> Contents:
    """Collect what a report shows of a classifier and its evaluation.

    Parameters
    ----------
    classifier : Classifier
        Its kept rows are used for the accuracy band and the plan, if there are any.
    evaluation : Evaluation or None
        As `elsewise.evaluate` gives it, with its rows. None: there were no test rows.
    model : str
        The model folder, for the commands that the report shows.
    with_examples : int
        Texts to show for each reason. Texts are often personal data.
    """
    rule, kept = classifier.rule, classifier.provenance.arrays
    certificate, band, planned = rule.certificate, [], None
    target, level = (
        (TARGET_ACCURACY, CONFIDENCE_LEVEL)
        if certificate is None
        else (certificate.asked_for, certificate.confidence_level)
    )
    if "refit.certify.codes" in kept and "refit.tune.codes" in kept:
        (tune, _), (certify, codes) = (kept_evidence(classifier, kept, name) for name in ("tune", "certify"))
        how: dict[str, Any] = {"reference": tune, "confidence_level": level, "score": rule.score, "gates": rule.gates}
        if all(np.isfinite(rows.probabilities).any() for rows in (tune, certify)):
            made = AccuracyBand.fit(certify, codes, **how)
            points = zip(made.thresholds.tolist(), made.accuracy_low.tolist(), strict=True)
            band = [BandPoint(t, low) for t, low in points]
            planned = plan(certify, codes, target_accuracy=target, **how)
    rows = None if evaluation is None else evaluation.judged
    threshold = float(rule.threshold) if np.ndim(rule.threshold) == 0 else None
    judged = None if rows is None else _judged(rows, threshold, band, with_examples)
    engine = key_of(classifier.engine)
    return Contents(classifier, engine, shlex.quote(model), evaluation, judged, threshold, band, level, planned)


def _judged(rows: JudgedRows, threshold: float | None, band: Sequence[BandPoint], with_examples: int) -> Judged:
    own = [] if threshold is None else [threshold]
    is_share = is_probability(rows)
    counts = ThresholdCounts.of(
        rows, [*own, *(point.threshold for point in band), *([USUAL_THRESHOLD] if is_share else [])]
    )
    decisions, names = rows.decisions, rows.decisions.names
    after = BestLabels.of_decisions(decisions)
    cells = confusion(rows)
    confused = [Confused(names[true], names[best], n) for true, best, n in cells if true != best]
    return Judged(
        outcomes=Outcomes.of(rows),
        counts=counts,
        table=_table(counts, threshold, band, is_share=is_share),
        after=bins_of(rows, after),
        before=[] if rows.before is None else bins_of(rows, rows.before),
        curves=curves_of(rows),
        confused=sorted(confused, key=lambda pair: -pair.rows)[:MOST_PAIRS],
        cells=cells,
        suspects=suspects(rows),
        examples=list(_examples(rows, with_examples)),
    )


def is_probability(rows: JudgedRows) -> bool:
    """Tell whether the confidence is the probability of the best label, so that 0.6 means something."""
    known = ~np.isnan(rows.decisions.confidence)
    return bool(np.allclose(rows.decisions.confidence[known], rows.decisions.best_probability[known]))


def promised_at(band: Sequence[BandPoint], threshold: float) -> BandPoint | None:
    """Give the lowest point of a band at or above a threshold; None where it promises nothing.

    Examples
    --------
    >>> band = [BandPoint(0.9, 0.97), BandPoint(float("-inf"), 0.8)]
    >>> promised_at(band, 0.5).threshold, promised_at(band, 0.95)
    (0.9, None)
    """
    above = [point for point in band if point.threshold >= threshold]
    return above[-1] if above and above[-1].promised > 0 else None


def _table(
    counts: ThresholdCounts, threshold: float | None, band: Sequence[BandPoint], *, is_share: bool
) -> list[AtThreshold]:
    """Tell what some thresholds do: the present one, 0.6, some coverages, and answering everything."""
    answered, wrong, thresholds = counts.whole.answered, counts.whole.wrong, counts.thresholds
    wanted = {} if threshold is None else {"promised": counts.place(threshold)}
    wanted |= {"usual": counts.place(USUAL_THRESHOLD)} if is_share else {}
    reached = {f"{coverage:g}": counts.nearest_coverage(coverage) for coverage in COVERAGES}
    wanted |= {name: i for name, i in reached.items() if i} | {"everything": 0}
    rows = []
    for name, i in wanted.items():
        point = promised_at(band, float(thresholds[i]))
        promised = None if point is None else point.promised
        rows.append(AtThreshold(name, float(thresholds[i]), int(answered[i]), int(wrong[i]), promised))
    return rows


def bins_of(rows: JudgedRows, labels: BestLabels) -> list[Bin]:
    """Divide readable in-scope rows by the probability of their best label."""
    kept = rows.answers.in_scope & (labels.best != ABSTAIN)
    columns = reliability_of(labels.probability[kept], rows.right(labels)[kept])
    counted = zip(columns.count.tolist(), columns.confidence.tolist(), columns.accuracy.tolist(), strict=True)
    return [Bin(n, p, wilson(round(right * n), n)) for n, p, right in counted]


def curves_of(rows: JudgedRows) -> list[Curve]:
    """Draw risk against coverage: this classifier, plain softmax before calibration, and the baseline."""
    own = BestLabels.of_decisions(rows.decisions)
    decided = rows.answers.answered
    curves = [_curve(rows, "classifier", own, decided)]
    if rows.before is not None:
        curves.append(_curve(rows, "softmax", rows.before, rows.before.confidence >= USUAL_THRESHOLD))
    if rows.baseline is not None:
        curves.append(_curve(rows, "baseline", rows.baseline, None))
    return curves


def _curve(rows: JudgedRows, name: str, labels: BestLabels, answered: Any) -> Curve:
    right = rows.right(labels)
    curve = risk_coverage_curve(labels.confidence, right)
    at = np.unique(np.linspace(0, max(len(curve.coverage) - 1, 0), CURVE_POINTS).round().astype(int))
    at = at[: len(curve.coverage)]
    mark = None
    if answered is not None and answered.any():
        mark = float(answered.mean()), float(1 - right[answered].mean())
    return Curve(name, curve.coverage[at].tolist(), curve.risk[at].tolist(), mark)


def confusion(rows: JudgedRows) -> list[tuple[int, int, int]]:
    """Count readable in-scope rows by true and most probable label, as (true, best, rows)."""
    answers = rows.answers
    kept = answers.in_scope & answers.readable
    pairs, counts = np.unique(np.column_stack([answers.truth[kept], answers.best[kept]]), axis=0, return_counts=True)
    return [(int(true), int(best), int(n)) for (true, best), n in zip(pairs, counts, strict=True)]


def suspects(rows: JudgedRows) -> list[Suspect]:
    """Find errors that look like wrong labels, by pairs of labels, the most frequent first."""
    answers, decisions = rows.answers, rows.decisions
    if decisions.nearest is None:
        return []
    wrong = answers.in_scope & answers.readable & ~answers.correct & (decisions.best_probability >= SURE)
    found = np.flatnonzero(wrong & (decisions.nearest[:, 0] == answers.best)).tolist()
    pairs: dict[tuple[int, int], list[int]] = {}
    for i in found:
        pairs.setdefault((int(answers.truth[i]), int(answers.best[i])), []).append(i + 1)
    names = decisions.names
    listed = [Suspect(names[true], names[best], len(at), at[:MOST_ROWS]) for (true, best), at in pairs.items()]
    return sorted(listed, key=lambda one: -one.rows)[:MOST_PAIRS]


def _examples(rows: JudgedRows, most: int) -> Iterator[Example]:
    """Choose texts: the first of each reason, and wrong answers, as many as are asked for."""
    if not most or isinstance(rows.texts, np.ndarray):
        return
    answers, decisions = rows.answers, rows.decisions
    groups = {reason: decisions.reasons == reason for reason in REASONS}
    groups["wrong"] = answers.answered & ~answers.correct
    for reason, chosen in groups.items():
        for i in np.flatnonzero(chosen)[:most].tolist():
            true = int(answers.truth[i])
            name = decisions.name(true) if true != ABSTAIN else None
            best = decisions.name(int(decisions.best[i]))
            yield Example(reason, str(rows.texts[i]), name, best, float(decisions.best_probability[i]))
