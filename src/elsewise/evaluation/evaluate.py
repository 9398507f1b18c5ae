"""Evaluate a classifier on labelled texts: the most probable labels, and the shipped decisions, Other included."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elsewise import metrics
from elsewise.arrays import Codes, Floats, as_codes, label_word
from elsewise.classifier.classifier import Classifier
from elsewise.classifier.kept_rows import kept_population
from elsewise.classifier.load import open_baseline
from elsewise.data.defaults import PARTS
from elsewise.data.splits import hashes, row_hashes
from elsewise.engines import as_input, reads_logits
from elsewise.errors import InputError, warn_caller
from elsewise.evaluation import breakdown
from elsewise.evaluation.answers import Answers, Flags, Shares, shares
from elsewise.evaluation.baseline import BaselineFigures, compare_with_baseline
from elsewise.evaluation.judged_rows import BestLabels, JudgedRows, before_calibration
from elsewise.evaluation.strangers import Strangers, measure_strangers
from elsewise.evaluation.true_labels import true_codes
from elsewise.evaluation.verdict import Verdict, verdict
from elsewise.messages.certificates import NOTABLE
from elsewise.messages.notebook import html_table
from elsewise.messages.wording import percent
from elsewise.metrics import CalibrationError, Estimate
from elsewise.progress import Progress, counting
from elsewise.rules.certificate import Certificate
from elsewise.rules.decisions import Decisions
from elsewise.storage.json_files import plain_fields

CURVE_POINTS = 101
HEADER = ("", "value", "95 % interval")
COVERAGES = (0.5, 0.7, 0.8, 0.9, 0.95)  # at which the accuracy is measured
FEW_REPEATED = 20  # rows that came before; so few make no interval notably narrower
USUAL_TARGET = 0.95  # accuracy at which the coverage is measured, where no certificate has another


@dataclass(frozen=True, slots=True)
class Seen:
    """How many texts a classifier was made with: in all, and by split."""

    seen: int
    seen_in: Mapping[str, int]

    @classmethod
    def of(cls, parts: Mapping[str, Flags]) -> Self:
        """Count the texts that are known from each split, flags (n,)."""
        some = int(np.any(list(parts.values()), axis=0).sum()) if parts else 0
        return cls(some, {name: int(flags.sum()) for name, flags in parts.items()})

    def words(self, n: int) -> str:
        """Say how many of n evaluated texts the model was made with."""
        parts = ", ".join(f"{name} {count:,}" for name, count in self.seen_in.items())
        return f"{self.seen:,} of {n:,} texts were used to make the model ({parts}): the figures flatter it"


@dataclass(frozen=True, slots=True)
class RowCounts:
    """Numbers of evaluated rows; `seen` and `seen_in` as in `Seen`; `rejected` rows of a file could not be read.

    `unknown_labels` counts the rows of each label that the model does not know: they are out-of-scope.
    """

    in_scope: int
    out_of_scope: int
    unreadable: int
    seen: int
    seen_in: Mapping[str, int]
    rejected: int
    unknown_labels: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BareFigures:
    """Figures of the most probable labels on readable in-scope rows.

    Attributes
    ----------
    accuracy, macro_f1, log_loss, brier, auc : Estimate
        AUC is the mean over labels, one versus rest.
    ece, ece_equal_width, classwise_ece : CalibrationError
        Expected calibration errors, each with its null value; `ece` has equal-mass bins.
    debiased_calibration_error : Estimate
        Root mean square; below 0 where the error is less than noise.
    """

    accuracy: Estimate
    macro_f1: Estimate
    log_loss: Estimate
    brier: Estimate
    auc: Estimate
    ece: CalibrationError
    ece_equal_width: CalibrationError
    classwise_ece: CalibrationError
    debiased_calibration_error: Estimate


@dataclass(frozen=True, slots=True)
class AccuracyAtCoverage:
    """Accuracy of the share `coverage` of the rows with the highest confidence."""

    coverage: float
    accuracy: Estimate


@dataclass(frozen=True, slots=True)
class CoverageAtAccuracy:
    """Largest coverage where the accuracy of the answers is at least `accuracy`."""

    accuracy: float
    coverage: Estimate


@dataclass(frozen=True, slots=True)
class OpenSetFigures:
    """Accuracy and macro F1 with Other as one of the outcomes."""

    accuracy: Estimate
    macro_f1: Estimate


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Coverage and accuracy of one threshold."""

    threshold: float
    coverage: float
    accuracy_when_answered: float


@dataclass(frozen=True, slots=True)
class ShippedFigures(Shares):
    """Figures of the shipped decisions, on all rows.

    Attributes
    ----------
    reasons : mapping from reason to int
        Rows decided for this reason.
    aurc, augrc, e_aurc : Estimate
        Areas under the curve of risk and coverage.
    accuracy_at_coverage : list of AccuracyAtCoverage
        At the coverages 0.5, 0.7, 0.8, 0.9 and 0.95.
    coverage_at_accuracy : CoverageAtAccuracy
        At the certificate's target accuracy (0.95 without a certificate).
    open_set : OpenSetFigures
        With Other as an outcome.
    risk_coverage : list of CurvePoint
        The curve of risk and coverage, at most 101 points.
    in_scope : Shares
        Shares of in-scope rows alone.
    """

    reasons: Mapping[str, int]
    aurc: Estimate
    augrc: Estimate
    e_aurc: Estimate
    accuracy_at_coverage: list[AccuracyAtCoverage]
    coverage_at_accuracy: CoverageAtAccuracy
    open_set: OpenSetFigures
    risk_coverage: list[CurvePoint]
    in_scope: Shares


@dataclass(frozen=True, slots=True)
class OutOfScopeFigures:
    """Share of out-of-scope rows left as Other, and how well the confidence tells them from in-scope rows.

    Out-of-scope rows are the positives of `aupr`, in-scope rows those of `aupr_in`.
    """

    recall: Estimate
    auroc: Estimate
    aupr: Estimate
    aupr_in: Estimate
    fpr95: Estimate


@dataclass(frozen=True, slots=True)
class JudgedEngine:
    """The engine that answered; `precision` is None where it has only one."""

    name: str
    precision: str | None
    fingerprint: str


@dataclass(frozen=True, slots=True, repr=False)
class Evaluation:
    """All figures of an evaluation, as `Estimate` values with 95 % intervals.

    Attributes
    ----------
    rows : RowCounts
        How many rows of each kind were evaluated.
    classifier : BareFigures
        The most probable labels on readable in-scope rows.
    system : ShippedFigures
        The shipped decisions, Other included, on all rows.
    labels, slices : list of LabelRow, mapping from name to list of SliceRow
        Each label, and the rows by length and by the caller's columns.
    out_of_scope : OutOfScopeFigures or None
        None without in-scope or without out-of-scope rows.
    out_of_scope_shares : OutOfScopeShares
        What the threshold does when 0, 5, 10 or 20 % of the texts are out-of-scope.
    certificate, engine : Certificate or None, JudgedEngine
        The promise, with its sentence, and the engine that answered.
    baseline : BaselineFigures or None
        The classifier's baseline on the same rows, if it has one, and whether the encoder is worth it.
    strangers : Strangers or None
        How many built-in strange texts would get a label. None for a model of logits.
    judged : JudgedRows or None
        The rows themselves, for pictures and reports; not part of `as_dict`.
    verdict : Verdict or None
        Whether these rows keep the promise. None where nothing is promised.
    """

    rows: RowCounts
    classifier: BareFigures
    system: ShippedFigures
    labels: list[breakdown.LabelRow]
    slices: Mapping[str, list[breakdown.SliceRow]]
    out_of_scope: OutOfScopeFigures | None
    out_of_scope_shares: breakdown.OutOfScopeShares
    certificate: Certificate | None
    engine: JudgedEngine
    baseline: BaselineFigures | None = None
    strangers: Strangers | None = None
    verdict: Verdict | None = None
    judged: JudgedRows | None = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        bare, shipped = self.classifier.accuracy, self.system
        figures = {"accuracy": bare, "coverage": shipped.coverage}
        figures["accuracy_when_answered"] = shipped.accuracy_when_answered
        shown = ", ".join(f"{name}={estimate.value:.4f}" for name, estimate in figures.items())
        return f"Evaluation(rows={self.rows.in_scope + self.rows.out_of_scope}, {shown})"

    def __str__(self) -> str:
        """Print a short table of the main figures, and the promise in a few words."""
        lines = [f"{name:<44}{value:>8}  {interval}" for name, value, interval in (HEADER, *self._main())]
        return "\n".join([*lines, *(f"{name:<46}{words}" for name, words in self._words().items())])

    def _repr_html_(self) -> str:
        rows = [*self._main(), *((name, words, "") for name, words in self._words().items())]
        return html_table(f"{self.rows.in_scope:,} in-scope rows", HEADER, rows)

    def _main(self) -> list[tuple[str, str, str]]:
        """List the main figures: name, value and interval."""
        bare, shipped = self.classifier, self.system
        figures: dict[str, Estimate | CalibrationError] = {
            "accuracy, every row answered": bare.accuracy,
            "log loss": bare.log_loss,
            f"calibration error ({bare.ece.null:.4f} if perfect)": bare.ece,
            "coverage": shipped.coverage,
            "accuracy when answered": shipped.accuracy_when_answered,
        }
        return [(name, f"{e.value:.4f}", f"{e.low:.4f} to {e.high:.4f}") for name, e in figures.items()]

    def _words(self) -> dict[str, str]:
        """Give the numbers of rows, the promise, and strange texts, in a few words each."""
        rows, c = self.rows, self.certificate
        said = {"rows": f"{rows.in_scope:,} in scope, {rows.out_of_scope:,} out of scope"}
        if c is not None:
            asked = f"{percent(c.target_accuracy)} at level {percent(c.confidence_level)}"
            said["promise"] = asked if c.certified else f"none: {asked} could not be certified"
        if self.verdict is not None:
            said["verdict"] = self.verdict.sentence
        if self.strangers is not None:
            said["strange texts that would get a label"] = f"{self.strangers.answered:,} of {self.strangers.n:,}"
        return said

    def as_dict(self) -> dict[str, Any]:
        """Give plain dictionaries, lists and numbers."""
        return plain_fields(self, leave_out=("judged",))


def evaluate(
    classifier: Classifier,
    texts: Any,
    labels: Sequence[Any] | None = None,
    *,
    codes: Any = None,
    out_of_scope_label: str | None = None,
    rejected: int = 0,
    slices: Mapping[str, Iterable[Any]] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluate a classifier on labelled texts.

    Parameters
    ----------
    classifier : Classifier
        The classifier to evaluate.
    texts : n texts
        Also a column of a data frame; a missing text is unreadable. For a classifier of logits: (n, k) logits.
    labels : n names
        True labels; the classifier's out-of-scope label marks out-of-scope texts, and so does an unknown label.
    codes : (n,), instead of labels
        True codes; -1 for out-of-scope.
    out_of_scope_label : str, optional
        The label of out-of-scope rows. Default: the one that the classifier knows.
    rejected : int
        Rows of a file that could not be read, to be counted.
    slices : mapping from name to n values, optional
        Columns by whose values the rows are judged too, such as {"channel": ["mail", "chat", ...]}. Each column shows
        its 20 most frequent values, the others pooled. Slices by length are added where the engine tells the length.
    progress : callable, optional
        Called with (words, rows done, rows in all).

    Raises
    ------
    InputError
        If there are no rows, lengths differ (those of slices too), or every label is unknown.

    Warns
    -----
    ElsewiseWarning
        If some of the texts were used to make the classifier, some labels are unknown, or more than 1 % of the texts,
        and more than 20, came before among the rows.

    Examples
    --------
    >>> from elsewise import FixedThreshold, Identity
    >>> from elsewise.engines.memory import MemoryEngine
    >>> engine = MemoryEngine(("yes", "no"), {"sure": [4.0, 0.0], "hm": [0.1, 0.0]})
    >>> judged = evaluate(Classifier(engine, Identity(), FixedThreshold(0.6)), ["sure", "hm"], ["yes", "no"])
    >>> judged.classifier.accuracy.value, judged.system.accuracy_when_answered.value
    (0.5, 1.0)
    """
    if (labels is None) == (codes is None):
        raise InputError("an evaluation needs either labels or codes")
    if not isinstance(classifier, Classifier):
        raise InputError(f"evaluate needs a classifier, got {type(classifier).__name__}; use elsewise.load(folder)")
    if out_of_scope_label is not None:
        classifier = replace(classifier, out_of_scope_label=label_word(out_of_scope_label))
    given, unknown = (as_rows("codes", codes), {}) if labels is None else true_codes(classifier, labels)
    texts = as_input(classifier.engine, texts)
    if len(given) != len(texts):
        raise InputError(f"texts and labels must have equal lengths, got {len(texts)} and {len(given)}")
    if not len(texts):
        raise InputError("an evaluation needs at least one labelled text, got 0")
    columns = breakdown.as_columns({} if slices is None else slices, len(texts))
    with counting(progress, "evaluating", len(texts)):
        evidence = classifier.evidence(texts)
    if progress:
        progress("measuring", 0, 0)
    truth = as_codes(given, like=evidence.probabilities, allow_abstain=True)
    decisions = classifier.decisions(evidence)
    answers = Answers(truth, decisions.best, decisions.codes)
    bare = answers.readable & answers.in_scope
    own = _kept_hashes(classifier, texts)
    parts = _known_from(classifier, own)
    seen = Seen.of(parts)
    if not counts_repeats(classifier):
        _warn_of_repeats(seen, own)
    certificate, engine, baseline = classifier.certificate, classifier.engine, open_baseline(classifier)
    beside, compared = None, None
    if baseline is not None:
        theirs = baseline.evidence(texts)
        beside = BestLabels.of_decisions(baseline.decisions(theirs))
        compared = compare_with_baseline(baseline, classifier, theirs, answers, evidence.probabilities)
    inside, n, p = int(answers.in_scope.sum()), len(truth), evidence.probabilities
    lengths = (None, None) if evidence.outputs is None else (evidence.outputs.tokens, evidence.outputs.truncated)
    target = USUAL_TARGET if certificate is None else certificate.target_accuracy
    return Evaluation(
        rows=RowCounts(inside, n - inside, int((~answers.readable).sum()), seen.seen, seen.seen_in, rejected, unknown),
        classifier=_judge_classifier(p if bare.all() else p[bare], truth[bare]),  # no copy where all rows are wanted
        system=_judge_system(decisions, answers, target),
        labels=breakdown.by_label(answers, classifier.labels),
        slices=breakdown.by_slice(answers, columns, tokens=lengths[0], truncated=lengths[1]),
        out_of_scope=_judge_out_of_scope(decisions, answers) if 0 < inside < n else None,
        out_of_scope_shares=breakdown.by_out_of_scope_share(answers),
        certificate=certificate,
        engine=JudgedEngine(engine.name, engine.settings.get("precision"), engine.fingerprint),
        baseline=compared,
        strangers=measure_strangers(classifier),
        verdict=verdict(classifier, answers, _fresh(classifier, own, parts)),
        judged=JudgedRows(texts, answers, decisions, before_calibration(classifier, texts, evidence), beside),
    )


def as_rows(what: str, rows: Any) -> Any:
    """Turn rows of numbers into a sequence that has a length."""
    if not np.iterable(rows):
        raise InputError(f"{what} must be a list or an array, got {type(rows).__name__}")
    return rows if hasattr(rows, "__len__") else list(rows)


def _judge_classifier(p: Floats, y: Codes) -> BareFigures:
    return BareFigures(
        accuracy=metrics.accuracy(p, y),
        macro_f1=metrics.macro_f1(p, y),
        log_loss=metrics.log_loss(p, y),
        brier=metrics.brier(p, y),
        auc=metrics.macro_auc(p, y),
        ece=metrics.calibration_error(p, y),
        ece_equal_width=metrics.calibration_error(p, y, binning="equal_width"),
        classwise_ece=metrics.classwise_calibration_error(p, y),
        debiased_calibration_error=metrics.debiased_calibration_error(p, y),
    )


def _judge_system(decisions: Decisions, answers: Answers, target: float) -> ShippedFigures:
    correct, in_scope, confidence = answers.correct, answers.in_scope, decisions.confidence
    outcomes = answers.decided, answers.truth
    areas = metrics.risk_coverage_areas(confidence, correct)
    accuracies = metrics.accuracies_at_coverages(confidence, correct, COVERAGES)
    names, counts = np.unique(decisions.reasons, return_counts=True)
    return ShippedFigures(
        *shares(answers.answered, correct),
        reasons=dict(zip(names.tolist(), counts.tolist(), strict=True)),
        aurc=areas.aurc,
        augrc=areas.augrc,
        e_aurc=areas.e_aurc,
        accuracy_at_coverage=[AccuracyAtCoverage(c, a) for c, a in zip(COVERAGES, accuracies, strict=True)],
        coverage_at_accuracy=CoverageAtAccuracy(target, metrics.coverage_at_accuracy(confidence, correct, target)),
        open_set=OpenSetFigures(metrics.open_set_accuracy(*outcomes), metrics.open_set_macro_f1(*outcomes)),
        risk_coverage=_curve(decisions, correct),
        in_scope=Shares(*shares(answers.answered[in_scope], correct[in_scope])),
    )


def _curve(decisions: Decisions, correct: Flags) -> list[CurvePoint]:
    curve = metrics.risk_coverage_curve(decisions.confidence, correct)
    if not len(curve.coverage):
        return []
    at = np.unique(np.linspace(0, len(curve.coverage) - 1, CURVE_POINTS).round().astype(int))
    points = zip(curve.threshold[at].tolist(), curve.coverage[at].tolist(), curve.risk[at].tolist(), strict=True)
    return [CurvePoint(threshold, coverage, 1 - risk) for threshold, coverage, risk in points]


def _judge_out_of_scope(decisions: Decisions, answers: Answers) -> OutOfScopeFigures:
    in_scope = answers.in_scope
    least = np.nanmin(decisions.confidence, initial=0.0) - 1
    confidence = np.where(np.isnan(decisions.confidence), least, decisions.confidence)  # unreadable: least of all
    outside = decisions.abstained[~in_scope]
    return OutOfScopeFigures(
        recall=metrics.wilson(int(outside.sum()), len(outside)),
        auroc=metrics.auc(confidence, in_scope),
        aupr=metrics.aupr_out(confidence, in_scope),
        aupr_in=metrics.aupr_in(confidence, in_scope),
        fpr95=metrics.false_positive_rate_at(confidence, in_scope),
    )


def counts_repeats(classifier: Classifier) -> bool:
    """Tell whether the promise of a classifier is about all texts that come in, those it was made with included."""
    population = kept_population(classifier.provenance.record)
    return population is not None and population.counts_repeats


def hashed(classifier: Classifier, texts: Sequence[Any], salt: bytes = b"") -> list[int]:
    """Hash what a classifier reads: texts as `fit` takes them for equal, or rows of logits to the last bit."""
    return row_hashes(np.asarray(texts), salt) if reads_logits(classifier.engine) else hashes(texts, salt)


def _warn_of_repeats(seen: Seen, own: NDArray[np.uint64]) -> None:
    """Warn of rows that made the model, and of rows that repeat others, of n with these hashes, (n,).

    The intervals take repeated rows for rows that tell more.
    """
    n = len(own)
    repeated = n - len(np.unique(own))
    if seen.seen:
        warn_caller(seen.words(n))
    if repeated > max(NOTABLE * n, FEW_REPEATED):
        rows = f"{repeated:,} of {n:,} rows"
        warn_caller(f"{rows} have a text that came before: the intervals are too narrow; leave such rows out")


def count_seen(classifier: Classifier, texts: Sequence[Any]) -> Seen:
    """Count the texts that a classifier was made with, by the hashes that it keeps."""
    return Seen.of(_known_from(classifier, _kept_hashes(classifier, texts)))


def _kept_hashes(classifier: Classifier, texts: Sequence[Any]) -> NDArray[np.uint64]:
    """Hash n texts, or rows of logits, as the classifier keeps those of its own; shape (n,)."""
    salt = classifier.provenance.arrays.get("split.salt", np.empty(0, dtype=np.uint8)).tobytes()  # older folders: none
    return np.array(hashed(classifier, texts, salt), dtype=np.uint64)


def _known_from(classifier: Classifier, own: NDArray[np.uint64]) -> dict[str, Flags]:
    """Tell of each split which of n texts are in it, (n,); nothing where the classifier keeps no hashes."""
    arrays = classifier.provenance.arrays
    kept = {part: arrays[f"split.{part}"] for part in PARTS if f"split.{part}" in arrays}
    return {name: np.isin(own, array) for name, array in kept.items()}


def _fresh(classifier: Classifier, own: NDArray[np.uint64], parts: Mapping[str, Flags]) -> Flags:
    """Tell which of n texts a promise is about, (n,): those new to the model, each once, unless it counts repeats."""
    if counts_repeats(classifier):
        return np.ones(len(own), dtype=bool)
    fresh = np.zeros(len(own), dtype=bool)
    fresh[np.unique(own, return_index=True)[1]] = True
    return fresh & ~np.any([np.zeros(len(own), dtype=bool), *parts.values()], axis=0)
