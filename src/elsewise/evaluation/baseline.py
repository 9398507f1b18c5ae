"""Compare an encoder with its baseline, TF-IDF and logistic regression, to show what the encoder is worth.

Both are judged on the same rows, paired by row. Where both were certified for the same promise, the share of texts that
are *answered right* counts: neither Other nor a wrong answer does. A difference is claimed when its 95 % interval (see
`elsewise.metrics.mcnemar`) excludes 0 and the exact test of McNemar (1947) agrees at 5 %.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from elsewise import metrics
from elsewise.arrays import Floats, log_losses
from elsewise.evaluation.answers import Answers, shares
from elsewise.messages.wording import percent
from elsewise.metrics import Estimate, PairedShares
from elsewise.outputs import Evidence
from elsewise.rules.certificate import Certificate

if TYPE_CHECKING:
    from elsewise.classifier.classifier import Classifier

LEVEL: Final = 0.05


@dataclass(frozen=True, slots=True)
class BaselineEngine:
    """Name and fingerprint of the baseline's engine."""

    name: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class BaselineDifference:
    """Figures of the classifier minus those of its baseline, paired by row."""

    accuracy: Estimate
    log_loss: Estimate
    answered_right: Estimate


@dataclass(frozen=True, slots=True)
class BaselineFigures:
    """Figures of a baseline on the rows that its classifier was judged on, and whether the encoder is worth it.

    Attributes
    ----------
    engine, certificate : BaselineEngine, Certificate or None
        The baseline's engine and promise.
    accuracy, log_loss : Estimate
        The most probable label on in-scope rows; a text that the baseline cannot read is wrong, and has no log loss.
    coverage, accuracy_when_answered, answered_right : Estimate
        The baseline's decisions on all rows.
    difference : BaselineDifference
        The classifier minus the baseline.
    same_promise : bool
        Whether both were tested for the same promise.
    sentence, p_value : str, float
        Whether the encoder is worth it, and the p-value of McNemar's exact test of that.
    """

    engine: BaselineEngine
    accuracy: Estimate
    log_loss: Estimate
    coverage: Estimate
    accuracy_when_answered: Estimate
    answered_right: Estimate
    difference: BaselineDifference
    same_promise: bool
    certificate: Certificate | None
    p_value: float
    sentence: str


def compare_with_baseline(
    baseline: "Classifier", classifier: "Classifier", evidence: Evidence, answers: Answers, p: Floats
) -> BaselineFigures:
    """Judge a baseline on the rows of a classifier with the same labels, and the classifier beside it.

    `evidence` is the baseline's, of n rows; `answers` and probabilities `p` (n, k) are the classifier's.
    """
    decisions = baseline.decisions(evidence)
    theirs = Answers(answers.truth, decisions.best, decisions.codes)
    inside = answers.in_scope
    right, their_right = ((a.best == a.truth)[inside] for a in (answers, theirs))
    shipped, their_shipped = (a.answered & a.correct for a in (answers, theirs))
    both = inside & answers.readable & theirs.readable
    losses, their_losses = (log_losses(q[both], answers.truth[both]) for q in (p, evidence.probabilities))
    counted = inside & theirs.readable
    mine, other = classifier.certificate, baseline.certificate
    same = mine is not None and other is not None and mine.promised == other.promised
    certified = [c is not None and c.certified for c in (mine, other)]
    by_promise = same and any(certified)
    by_label, by_answer = metrics.mcnemar(right, their_right), metrics.mcnemar(shipped, their_shipped)
    claimed = by_answer if by_promise else by_label
    coverage, accuracy_when_answered, _ = shares(theirs.answered, theirs.correct)
    return BaselineFigures(
        engine=BaselineEngine(baseline.engine.name, baseline.engine.fingerprint),
        accuracy=metrics.wilson(int(their_right.sum()), len(their_right)),
        log_loss=metrics.log_loss(evidence.probabilities[counted], answers.truth[counted]),
        coverage=coverage,
        accuracy_when_answered=accuracy_when_answered,
        answered_right=metrics.wilson(int(their_shipped.sum()), len(their_shipped)),
        difference=BaselineDifference(
            accuracy=by_label.difference,
            log_loss=metrics.mean_interval(losses - their_losses),
            answered_right=by_answer.difference,
        ),
        same_promise=same,
        certificate=other,
        p_value=claimed.p_value,
        sentence=_sentence(claimed, by_promise, certified[0], certified[1], same) + _unlike_promises(mine, other),
    )


def _unlike_promises(mine: Certificate | None, other: Certificate | None) -> str:
    """Write what each promises, where the same was asked of both and came out differently; else nothing."""
    if mine is None or other is None or mine.promised == other.promised or mine.asked_for != other.asked_for:
        return ""
    ours, theirs = (percent(c.target_accuracy) if c.certified else "nothing" for c in (mine, other))
    return f" The encoder promises {ours}, the baseline {theirs}."


def _sentence(found: PairedShares, by_promise: bool, certified: bool, baseline_certified: bool, same: bool) -> str:
    """Write the sentence that says whether the encoder is worth it."""
    difference, is_shown = found.difference, found.p_value < LEVEL
    if math.isnan(difference.value):
        return "Whether the encoder is worth it cannot be told: there is no in-scope row to compare on."
    verb, where = (
        ("are answered right", "at the same promise") if by_promise else ("get the right label", "Other aside")
    )
    value, low, high = (100 * end for end in (difference.value, difference.low, difference.high))
    if is_shown and low > 0:
        words = f"The encoder is worth it here: {value:.1f} points ({low:.1f} to {high:.1f}) more texts {verb} by it"
        words += f" than by the baseline, {where}."
    elif is_shown and high < 0:
        words = f"The baseline is better here: {-value:.1f} points ({-high:.1f} to {-low:.1f}) more texts {verb} by it"
        words += f" than by the encoder, {where}; it is a model folder too: MODEL/baseline."
    else:
        words = f"No difference to the baseline is shown here: {value:.1f} points ({low:.1f} to {high:.1f}) more texts"
        words += f" {verb} by the encoder, {where}."
    if same and not (certified and baseline_certified):
        who = "The baseline" if certified else "The encoder" if baseline_certified else ""
        words += f" {who} cannot make this promise." if who else " Neither can make this promise."
    return words
