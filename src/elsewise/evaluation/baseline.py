"""The baseline beside an encoder: TF-IDF and logistic regression, which show what the encoder is worth.

Both are judged on the same rows, paired by row. Where both were certified for the same promise, what counts is the
share of texts that are *answered right*: an answer that is withheld helps nobody, and a wrong one is no answer. A
difference is claimed when its 95 % interval (see `elsewise.metrics.mcnemar`) excludes 0 and the exact test of McNemar
(1947) agrees at 5 %.
"""

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from elsewise import metrics
from elsewise.arrays import Codes, Floats
from elsewise.evaluation.answers import Answers
from elsewise.metrics import Estimate
from elsewise.rules.certificate import Certificate

if TYPE_CHECKING:
    from elsewise.classifier.classifier import Classifier

LEVEL: Final = 0.05

Flags = NDArray[np.bool_]


def against(
    baseline: "Classifier", classifier: "Classifier", texts: Any, answers: Answers, p: Floats
) -> dict[str, Any]:
    """Judge a baseline on rows that a classifier was judged on, and the classifier against it.

    Parameters
    ----------
    baseline, classifier : Classifier
        With the same labels.
    texts : n texts
        The rows.
    answers : Answers
        Those of the classifier, with the true codes.
    p : (n, k)
        Its probabilities.

    Returns
    -------
    dict
        `accuracy` and `log_loss` of the bare baseline on in-scope rows, where a text that it cannot read is wrong and
        without a log loss; `coverage`, `accuracy_when_answered` and `answered_right` of its own decisions on all rows;
        `difference`, the classifier minus the baseline, in `accuracy`, `log_loss` and `answered_right`, paired by row;
        `same_promise`, whether both were tested for the same; the baseline's `certificate`; `p_value`, of the exact
        test of McNemar on what `sentence` is about.
    """
    evidence = baseline.evidence(texts)
    decisions = baseline.decisions(evidence)
    theirs = Answers(answers.truth, decisions.best, decisions.codes)
    inside = answers.in_scope
    right, their_right = ((a.best == a.truth)[inside] for a in (answers, theirs))
    shipped, their_shipped = (a.answered & a.correct for a in (answers, theirs))
    both = inside & answers.readable & theirs.readable
    losses, their_losses = (_losses(q[both], answers.truth[both]) for q in (p, evidence.probabilities))
    counted = inside & theirs.readable
    mine, other = classifier.certificate, baseline.certificate
    same = mine is not None and other is not None and mine.promised == other.promised
    by_promise = same and any(c is not None and c.certified for c in (mine, other))
    one, two = (shipped, their_shipped) if by_promise else (right, their_right)
    difference = {
        "accuracy": metrics.mcnemar(right, their_right).difference,
        "log_loss": metrics.mean_interval(losses - their_losses),
        "answered_right": metrics.mcnemar(shipped, their_shipped).difference,
    }
    claimed = difference["answered_right" if by_promise else "accuracy"]
    p_value = metrics.mcnemar(one, two).p_value
    n, kept = len(theirs.truth), int(theirs.answered.sum())
    return {
        "engine": {"name": baseline.engine.name, "fingerprint": baseline.engine.fingerprint},
        "accuracy": metrics.wilson(int(their_right.sum()), len(their_right)),
        "log_loss": metrics.log_loss(evidence.probabilities[counted], answers.truth[counted]),
        "coverage": metrics.wilson(kept, n),
        "accuracy_when_answered": metrics.wilson(int(their_shipped.sum()), kept),
        "answered_right": metrics.wilson(int(their_shipped.sum()), n),
        "difference": difference,
        "same_promise": same,
        "certificate": None if other is None else other.as_dict(),
        "p_value": p_value,
        "sentence": _sentence(claimed, p_value, by_promise, _certified(mine), _certified(other), same),
    }


def _losses(p: Floats, codes: Codes) -> NDArray[np.float64]:
    true = p[np.arange(len(codes)), codes].astype(np.float64)
    return -np.log(np.maximum(true, np.finfo(np.float64).tiny))


def _certified(certificate: Certificate | None) -> bool:
    return certificate is not None and certificate.certified


def _sentence(
    difference: Estimate, p_value: float, by_promise: bool, certified: bool, baseline_certified: bool, same: bool
) -> str:
    """Say whether the encoder is worth it."""
    if math.isnan(difference.value):
        return "Whether the encoder is worth it cannot be told: there is no in-scope row to compare on."
    verb, where = (
        ("are answered right", "at the same promise") if by_promise else ("get the right label", "Other aside")
    )
    value, low, high = (100 * end for end in (difference.value, difference.low, difference.high))
    if p_value < LEVEL and low > 0:
        words = f"The encoder is worth it here: {value:.1f} points ({low:.1f} to {high:.1f}) more texts {verb} by it"
        words += f" than by the baseline, {where}."
    elif p_value < LEVEL and high < 0:
        words = f"The baseline is better here: {-value:.1f} points ({-high:.1f} to {-low:.1f}) more texts {verb} by it"
        words += f" than by the encoder, {where}; it is a model folder too: MODEL/baseline."
    else:
        words = f"No difference to the baseline is shown here: {value:.1f} points ({low:.1f} to {high:.1f}) more texts"
        words += f" {verb} by the encoder, {where}."
    if same and not (certified and baseline_certified):
        who = "The baseline" if certified else "The encoder" if baseline_certified else ""
        words += f" {who} cannot make this promise." if who else " Neither can make this promise."
    return words
