"""Judge a classifier on labelled texts: the bare classifier, and the system that ships, Other included."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elsewise import metrics
from elsewise.arrays import ABSTAIN, Codes, Floats, as_codes
from elsewise.classifier import Classifier
from elsewise.decisions import Decisions
from elsewise.errors import InputError
from elsewise.metrics import CalibrationError, Estimate
from elsewise.splits import hashes

CURVE_POINTS = 101

Part = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Every number; figures are `Estimate` values with 95 % intervals.

    Attributes
    ----------
    rows : mapping
        in_scope, out_of_scope, unreadable, seen (of texts that the model was made with), rejected.
    classifier : mapping
        The bare argmax on readable in-scope rows: accuracy, macro_f1, log_loss, brier, auc, ece
        (equal-mass bins) and ece_equal_width, each ece with its null value.
    system : mapping
        What ships, on all rows: coverage, accuracy_when_answered, other_share, reasons, aurc, augrc and
        the risk-coverage curve; `in_scope` has the shares on in-scope rows alone.
    out_of_scope : mapping or None
        recall, auroc, aupr (out-of-scope rows are the positives), fpr95; None without such rows.
    certificate : mapping or None
        The promise, with its sentence.
    engine : mapping
        Name, precision (None where there is but one) and fingerprint.
    """

    rows: Part
    classifier: Part
    system: Part
    out_of_scope: Part | None
    certificate: Part | None
    engine: Part

    def as_dict(self) -> dict[str, Any]:
        """Give the same as plain dictionaries, lists and numbers."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


def evaluate(
    classifier: Classifier,
    texts: Any,
    labels: Sequence[Any] | None = None,
    *,
    codes: Any = None,
    out_of_scope_label: str | None = None,
    rejected: int = 0,
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

    Raises
    ------
    InputError
        If there are no rows, lengths differ, or a label is unknown.

    Examples
    --------
    >>> from elsewise import FixedThreshold, Identity, MemoryEngine
    >>> engine = MemoryEngine(("yes", "no"), {"sure": [4.0, 0.0], "hm": [0.1, 0.0]})
    >>> judged = evaluate(Classifier(engine, Identity(), FixedThreshold(0.6)), ["sure", "hm"], ["yes", "no"])
    >>> judged.classifier["accuracy"].value, judged.system["accuracy_when_answered"].value
    (0.5, 1.0)
    """
    if (labels is None) == (codes is None):
        raise InputError("an evaluation needs either labels or codes")
    if out_of_scope_label is not None:
        classifier = replace(classifier, out_of_scope_label=str(out_of_scope_label))
    given = codes if labels is None else classifier.codes(list(labels))
    if isinstance(texts, str):
        raise InputError("texts must be a list of strings, got one str; put it in a list")
    texts = texts if isinstance(texts, np.ndarray) else list(texts)
    if len(given) != len(texts):
        raise InputError(f"texts and labels must have equal lengths, got {len(texts)} and {len(given)}")
    if not len(texts):
        raise InputError("an evaluation needs at least one labelled text, got 0")
    evidence = classifier.evidence(texts)
    truth = as_codes(given, like=evidence.probabilities, allow_abstain=True)
    decisions = classifier.decisions(evidence)
    readable, in_scope = decisions.best != ABSTAIN, truth != ABSTAIN
    bare = readable & in_scope
    rows = {
        "in_scope": int(in_scope.sum()),
        "out_of_scope": int((~in_scope).sum()),
        "unreadable": int((~readable).sum()),
        "seen": _count_seen(classifier, texts),
        "rejected": rejected,
    }
    return Evaluation(
        rows=rows,
        classifier=_judge_classifier(_rows_of(evidence.probabilities, bare), truth[bare]),
        system=_judge_system(decisions, truth),
        out_of_scope=_judge_out_of_scope(decisions, in_scope) if rows["out_of_scope"] and rows["in_scope"] else None,
        certificate=None if classifier.certificate is None else classifier.certificate.as_dict(),
        engine={
            "name": classifier.engine.name,
            "precision": classifier.engine.settings.get("precision"),
            "fingerprint": classifier.engine.fingerprint,
        },
    )


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
    }


def _judge_system(decisions: Decisions, truth: Codes) -> dict[str, Any]:
    in_scope = truth != ABSTAIN
    correct = decisions.best == np.where(in_scope, truth, ABSTAIN - 1)
    areas = metrics.risk_coverage_areas(decisions.confidence, correct)
    names, counts = np.unique(decisions.reasons, return_counts=True)
    return {
        **_shares(decisions.abstained, correct),
        "reasons": dict(zip(names.tolist(), counts.tolist(), strict=True)),
        "aurc": areas.aurc,
        "augrc": areas.augrc,
        "risk_coverage": _curve(decisions, correct),
        "in_scope": _shares(decisions.abstained[in_scope], correct[in_scope]),
    }


def _shares(abstained: NDArray[np.bool_], correct: NDArray[np.bool_]) -> dict[str, Estimate]:
    answered, n = int((~abstained).sum()), len(abstained)
    return {
        "coverage": metrics.wilson(answered, n),
        "accuracy_when_answered": metrics.wilson(int((~abstained & correct).sum()), answered),
        "other_share": metrics.wilson(n - answered, n),
    }


def _curve(decisions: Decisions, correct: NDArray[np.bool_]) -> list[dict[str, float]]:
    curve = metrics.risk_coverage_curve(decisions.confidence, correct)
    if not len(curve.coverage):
        return []
    at = np.unique(np.linspace(0, len(curve.coverage) - 1, CURVE_POINTS).round().astype(int))
    points = zip(curve.threshold[at].tolist(), curve.coverage[at].tolist(), curve.risk[at].tolist(), strict=True)
    return [{"threshold": t, "coverage": c, "accuracy_when_answered": 1 - r} for t, c, r in points]


def _judge_out_of_scope(decisions: Decisions, in_scope: NDArray[np.bool_]) -> dict[str, Estimate]:
    least = np.nanmin(decisions.confidence, initial=0.0) - 1
    confidence = np.where(np.isnan(decisions.confidence), least, decisions.confidence)  # unreadable: least of all
    outside = decisions.abstained[~in_scope]
    return {
        "recall": metrics.wilson(int(outside.sum()), len(outside)),
        "auroc": metrics.auc(confidence, in_scope),
        "aupr": metrics.average_precision(-confidence, ~in_scope),
        "fpr95": metrics.false_positive_rate_at(confidence, in_scope),
    }


def _count_seen(classifier: Classifier, texts: Sequence[Any]) -> int:
    known = [array for name, array in classifier.arrays.items() if name.startswith("split.")]
    if not known:
        return 0
    return int(np.isin(np.array(hashes(texts), dtype=np.uint64), np.concatenate(known)).sum())


def _plain(value: Any) -> Any:
    if isinstance(value, Estimate | CalibrationError):
        return value.as_dict()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value
