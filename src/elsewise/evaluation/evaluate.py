"""Judge a classifier on labelled texts: the bare classifier, and the system that ships, Other included."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elsewise import metrics
from elsewise.arrays import Codes, Floats, as_codes
from elsewise.classifier.classifier import Classifier
from elsewise.classifier.load import open_baseline
from elsewise.data.splits import hashes
from elsewise.errors import ElsewiseWarning, InputError
from elsewise.evaluation.answers import Answers, shares
from elsewise.evaluation.baseline import against
from elsewise.evaluation.breakdown import as_columns, by_label, by_out_of_scope_share, by_slice
from elsewise.metrics import CalibrationError, Estimate
from elsewise.outputs import Evidence
from elsewise.rules.decisions import Decisions

CURVE_POINTS = 101
COVERAGES = (0.5, 0.7, 0.8, 0.9, 0.95)  # at which the accuracy is measured
USUAL_TARGET = 0.95  # accuracy at which the coverage is measured, where no certificate has another

Part = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Every number; figures are `Estimate` values with 95 % intervals.

    Attributes
    ----------
    rows : mapping
        in_scope, out_of_scope, unreadable, seen (of texts that the model was made with), seen_in (how many of them
        in each split), rejected.
    classifier : mapping
        The bare argmax on readable in-scope rows: accuracy, macro_f1, log_loss, brier, auc, ece
        (equal-mass bins), ece_equal_width, classwise_ece, each ece with its null value, and
        debiased_calibration_error (root mean square; below 0 where less than noise shows).
    system : mapping
        What ships, on all rows: coverage, accuracy_when_answered, other_share, reasons, aurc, augrc, e_aurc, the
        risk-coverage curve, accuracy_at_coverage at some coverages, and coverage_at_accuracy at the certificate's
        target (0.95 without one); `open_set` has accuracy and macro_f1 with Other as an outcome, `in_scope` the
        shares on in-scope rows alone.
    labels : sequence of mappings
        Each label, bare and shipped; see `elsewise.evaluation.breakdown.by_label`.
    slices : mapping from name to sequence of mappings
        By length and by the caller's columns; see `elsewise.evaluation.breakdown.by_slice`.
    out_of_scope : mapping or None
        recall, auroc, aupr (out-of-scope rows are the positives), aupr_in (in-scope rows are), fpr95; None without
        such rows.
    out_of_scope_shares : mapping
        What the threshold does when 0, 5, 10 or 20 % of the texts are out-of-scope; see
        `elsewise.evaluation.breakdown.by_out_of_scope_share`.
    certificate : mapping or None
        The promise, with its sentence.
    engine : mapping
        Name, precision (None where there is but one) and fingerprint.
    baseline : mapping or None
        The classifier's baseline on the same rows, and whether the encoder is worth it: see
        `elsewise.evaluation.baseline.against`. None for a classifier without one.
    """

    rows: Part
    classifier: Part
    system: Part
    labels: Sequence[Part]
    slices: Mapping[str, Sequence[Part]]
    out_of_scope: Part | None
    out_of_scope_shares: Part
    certificate: Part | None
    engine: Part
    baseline: Part | None = None

    def __str__(self) -> str:
        """Say the figures that are asked for first, a line each, with their 95 % intervals."""
        bare, shipped = self.classifier, self.system
        lines = [
            f"{self.rows['in_scope']:,} in-scope and {self.rows['out_of_scope']:,} out-of-scope rows",
            f"accuracy, every row answered: {bare['accuracy']}",
            f"log loss: {bare['log_loss']}",
            f"expected calibration error: {bare['ece']}",
            f"coverage: {shipped['coverage']}",
            f"accuracy when answered: {shipped['accuracy_when_answered']}",
        ]
        if self.certificate:
            lines.append(self.certificate["sentence"])
        return "\n".join([*lines, "Everything else: as_dict(), and the attributes."])

    def as_dict(self) -> dict[str, Any]:
        """Give the same as plain dictionaries, lists and numbers."""
        return {field.name: plain(getattr(self, field.name)) for field in fields(self)}


def evaluate(
    classifier: Classifier,
    texts: Any,
    labels: Sequence[Any] | None = None,
    *,
    codes: Any = None,
    out_of_scope_label: str | None = None,
    rejected: int = 0,
    slices: Mapping[str, Iterable[Any]] | None = None,
) -> Evaluation:
    """Judge a classifier on labelled texts.

    Parameters
    ----------
    classifier : Classifier
        To be judged.
    texts : n texts
        For a classifier of logits: (n, k) logits.
    labels : n names
        True labels; the classifier's out-of-scope label marks texts that have none.
    codes : (n,), instead of labels
        True codes; -1 for out-of-scope.
    out_of_scope_label : str, optional
        The label of rows that have none, where the classifier does not know one or knows another.
    rejected : int
        Rows of a file that could not be read, to be counted.
    slices : mapping from name to n values, optional
        Columns by whose values the rows are judged too, such as {"channel": ["mail", "chat", ...]}; of each the 20 most
        frequent values, the others pooled. Slices by length are always made, where the engine tells it.

    Raises
    ------
    InputError
        If there are no rows, lengths differ (those of slices too), or a label is unknown.

    Warns
    -----
    ElsewiseWarning
        If some of the texts were used to make the classifier.

    Examples
    --------
    >>> from elsewise import FixedThreshold, Identity
    >>> from elsewise.engines.memory import MemoryEngine
    >>> engine = MemoryEngine(("yes", "no"), {"sure": [4.0, 0.0], "hm": [0.1, 0.0]})
    >>> judged = evaluate(Classifier(engine, Identity(), FixedThreshold(0.6)), ["sure", "hm"], ["yes", "no"])
    >>> judged.classifier["accuracy"].value, judged.system["accuracy_when_answered"].value
    (0.5, 1.0)
    """
    if (labels is None) == (codes is None):
        raise InputError("an evaluation needs either labels or codes")
    if not isinstance(classifier, Classifier):
        raise InputError(f"a classifier is judged, got {type(classifier).__name__}; open a folder with elsewise.load")
    if out_of_scope_label is not None:
        classifier = replace(classifier, out_of_scope_label=str(out_of_scope_label))
    given = as_rows("codes", codes) if labels is None else classifier.codes(list(as_rows("labels", labels)))
    texts = texts if isinstance(texts, np.ndarray) else list(as_rows("texts", texts))
    if len(given) != len(texts):
        raise InputError(f"texts and labels must have equal lengths, got {len(texts)} and {len(given)}")
    if not len(texts):
        raise InputError("an evaluation needs at least one labelled text, got 0")
    columns = as_columns(slices or {}, len(texts))
    evidence = classifier.evidence(texts)
    truth = as_codes(given, like=evidence.probabilities, allow_abstain=True)
    decisions = classifier.decisions(evidence)
    answers = Answers(truth, decisions.best, decisions.codes)
    bare = answers.readable & answers.in_scope
    rows = {**_count(answers), **count_seen(classifier, texts), "rejected": rejected}
    if rows["seen"]:
        warnings.warn(seen_words(rows, len(texts)), ElsewiseWarning, stacklevel=2)
    certificate = classifier.certificate
    target = USUAL_TARGET if certificate is None else certificate.target_accuracy
    return Evaluation(
        rows=rows,
        classifier=_judge_classifier(_rows_of(evidence.probabilities, bare), truth[bare]),
        system=_judge_system(decisions, answers, target),
        labels=by_label(answers, classifier.labels),
        slices=_judge_slices(answers, columns, evidence),
        out_of_scope=_judge_out_of_scope(decisions, answers) if rows["out_of_scope"] and rows["in_scope"] else None,
        out_of_scope_shares=by_out_of_scope_share(answers),
        certificate=None if certificate is None else certificate.as_dict(),
        engine={
            "name": classifier.engine.name,
            "precision": classifier.engine.settings.get("precision"),
            "fingerprint": classifier.engine.fingerprint,
        },
        baseline=_judge_baseline(classifier, texts, answers, evidence.probabilities),
    )


def as_rows(what: str, rows: Any) -> Any:
    """Give rows that can be counted."""
    if isinstance(rows, str):
        raise InputError(f"{what} must be a list of strings, got one str; put it in a list")
    if not np.iterable(rows):
        raise InputError(f"{what} must be a list or an array, got {type(rows).__name__}")
    return rows if hasattr(rows, "__len__") else list(rows)


def _count(answers: Answers) -> dict[str, Any]:
    inside = int(answers.in_scope.sum())
    return {
        "in_scope": inside,
        "out_of_scope": len(answers.truth) - inside,
        "unreadable": int((~answers.readable).sum()),
    }


def _judge_slices(
    answers: Answers, columns: Mapping[str, list[str]], evidence: Evidence
) -> dict[str, list[dict[str, Any]]]:
    if evidence.outputs is None:
        return by_slice(answers, columns)
    return by_slice(answers, columns, tokens=evidence.outputs.tokens, truncated=evidence.outputs.truncated)


def _rows_of(p: Floats, chosen: NDArray[np.bool_]) -> Floats:
    return p if chosen.all() else p[chosen]  # no copy of a million rows where all are wanted


def _judge_classifier(p: Floats, y: Codes) -> dict[str, Any]:
    return {
        "accuracy": metrics.accuracy(p, y),
        "macro_f1": metrics.macro_f1(p, y),
        "log_loss": metrics.log_loss(p, y),
        "brier": metrics.brier(p, y),
        "auc": metrics.macro_auc(p, y),
        "ece": metrics.calibration_error(p, y),
        "ece_equal_width": metrics.calibration_error(p, y, binning="equal_width"),
        "classwise_ece": metrics.classwise_calibration_error(p, y),
        "debiased_calibration_error": metrics.debiased_calibration_error(p, y),
    }


def _judge_system(decisions: Decisions, answers: Answers, target: float) -> dict[str, Any]:
    correct, in_scope = answers.correct, answers.in_scope
    areas = metrics.risk_coverage_areas(decisions.confidence, correct)
    accuracies = metrics.accuracies_at_coverages(decisions.confidence, correct, COVERAGES)
    names, counts = np.unique(decisions.reasons, return_counts=True)
    return {
        **shares(decisions.abstained, correct),
        "reasons": dict(zip(names.tolist(), counts.tolist(), strict=True)),
        "aurc": areas.aurc,
        "augrc": areas.augrc,
        "e_aurc": areas.e_aurc,
        "accuracy_at_coverage": [{"coverage": c, "accuracy": a} for c, a in zip(COVERAGES, accuracies, strict=True)],
        "coverage_at_accuracy": {
            "accuracy": target,
            "coverage": metrics.coverage_at_accuracy(decisions.confidence, correct, target),
        },
        "open_set": {
            "accuracy": metrics.open_set_accuracy(answers.decided, answers.truth),
            "macro_f1": metrics.open_set_macro_f1(answers.decided, answers.truth),
        },
        "risk_coverage": _curve(decisions, correct),
        "in_scope": shares(decisions.abstained[in_scope], correct[in_scope]),
    }


def _curve(decisions: Decisions, correct: NDArray[np.bool_]) -> list[dict[str, float]]:
    curve = metrics.risk_coverage_curve(decisions.confidence, correct)
    if not len(curve.coverage):
        return []
    at = np.unique(np.linspace(0, len(curve.coverage) - 1, CURVE_POINTS).round().astype(int))
    points = zip(curve.threshold[at].tolist(), curve.coverage[at].tolist(), curve.risk[at].tolist(), strict=True)
    return [{"threshold": t, "coverage": c, "accuracy_when_answered": 1 - r} for t, c, r in points]


def _judge_baseline(classifier: Classifier, texts: Any, answers: Answers, p: Floats) -> dict[str, Any] | None:
    baseline = open_baseline(classifier)
    return None if baseline is None else against(baseline, classifier, texts, answers, p)


def _judge_out_of_scope(decisions: Decisions, answers: Answers) -> dict[str, Estimate]:
    in_scope = answers.in_scope
    least = np.nanmin(decisions.confidence, initial=0.0) - 1
    confidence = np.where(np.isnan(decisions.confidence), least, decisions.confidence)  # unreadable: least of all
    outside = decisions.abstained[~in_scope]
    return {
        "recall": metrics.wilson(int(outside.sum()), len(outside)),
        "auroc": metrics.auc(confidence, in_scope),
        "aupr": metrics.aupr_out(confidence, in_scope),
        "aupr_in": metrics.aupr_in(confidence, in_scope),
        "fpr95": metrics.false_positive_rate_at(confidence, in_scope),
    }


def count_seen(classifier: Classifier, texts: Sequence[Any]) -> dict[str, Any]:
    """Count the texts that a classifier was made with, by the hashes that it keeps: all, and those of each split."""
    known = {
        name.removeprefix("split."): array
        for name, array in classifier.provenance.arrays.items()
        if name.startswith("split.")
    }
    if not known:
        return {"seen": 0, "seen_in": {}}
    given = np.array(hashes(texts), dtype=np.uint64)
    inside = {name: np.isin(given, array) for name, array in known.items()}
    seen = np.any(list(inside.values()), axis=0)
    return {"seen": int(seen.sum()), "seen_in": {name: int(flags.sum()) for name, flags in inside.items()}}


def seen_words(seen: Part, n: int) -> str:
    """Say how many of n judged texts the model was made with."""
    parts = ", ".join(f"{name} {count:,}" for name, count in seen["seen_in"].items())
    return f"{seen['seen']:,} of {n:,} texts were used to make the model ({parts}): the figures flatter it"


def plain(value: Any) -> Any:
    """Turn figures, wherever they stand in mappings and lists, into plain numbers by name."""
    if isinstance(value, Estimate | CalibrationError):
        return value.as_dict()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value
