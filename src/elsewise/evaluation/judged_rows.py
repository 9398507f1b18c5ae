"""The rows behind an evaluation, as columns: what pictures and pages are drawn from."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import ABSTAIN, Codes, Floats, softmax
from elsewise.calibrators import Calibrator
from elsewise.engines import key_of
from elsewise.engines.pool import fine_tuned
from elsewise.evaluation.answers import Answers, Flags
from elsewise.outputs import Evidence, Outputs
from elsewise.rules.decisions import Decisions, top_two

if TYPE_CHECKING:
    from elsewise.classifier.classifier import Classifier

Column = NDArray[np.float64]
AROUND = ("ensemble", "laplace", "mc_dropout")  # engines whose probabilities no one model gave before calibration


@dataclass(frozen=True, slots=True, eq=False)
class BestLabels:
    """The most probable label of each of n rows, its probability, and the confidence that answers by it.

    Attributes
    ----------
    best : (n,)
        -1 for a row that cannot be read.
    probability, confidence : (n,)
        NaN for such a row; the confidence also where a gate forbids an answer.
    """

    best: Codes
    probability: Column
    confidence: Column

    @classmethod
    def of_probabilities(cls, p: Floats) -> Self:
        """Take the most probable labels of probabilities (n, k), with these as confidence.

        Examples
        --------
        >>> BestLabels.of_probabilities(np.array([[0.9, 0.1], [np.nan, np.nan]])).best.tolist()
        [0, -1]
        """
        best, _, probability, _ = top_two(p)
        return cls(np.where(np.isnan(probability), ABSTAIN, best), probability, probability)

    @classmethod
    def of_decisions(cls, decisions: Decisions) -> Self:
        """Take the most probable labels of n decisions."""
        return cls(decisions.best, decisions.best_probability, decisions.confidence)


@dataclass(frozen=True, slots=True, eq=False)
class JudgedRows:
    """The n rows that were evaluated.

    Attributes
    ----------
    texts : n texts, or (n, k) logits
        As they were given.
    answers, decisions : Answers, Decisions
        True labels, most probable labels and decisions.
    before : BestLabels or None
        The model's labels before calibration, by plain softmax. None where no single model gave the probabilities.
    baseline : BestLabels or None
        Those of the baseline, on the same rows.
    """

    texts: Any
    answers: Answers
    decisions: Decisions
    before: BestLabels | None
    baseline: BestLabels | None

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.answers.truth)

    def right(self, labels: BestLabels) -> Flags:
        """Whether other labels of these rows, such as `baseline`, are the true ones, (n,)."""
        return self.answers.in_scope & (labels.best == self.answers.truth)


def before_calibration(classifier: "Classifier", texts: Any, evidence: Evidence) -> BestLabels | None:
    """Give the labels of n texts before calibration, of the fine-tuned model alone where others are asked too.

    `evidence` is the classifier's, of the same texts.
    """
    engine = classifier.engine
    if evidence.outputs is None or key_of(engine).partition("-")[0] in AROUND:
        return None
    logits, folded = _alone(engine, texts, evidence.outputs), classifier.provenance.folded
    if folded is not None:
        logits = unfolded(folded, logits)
    return BestLabels.of_probabilities(Evidence.of(Outputs(logits), softmax).probabilities)


def _alone(engine: Any, texts: Any, outputs: Outputs) -> Floats:
    """Give the fine-tuned model's own logits (n, k) of n texts; it reads those that a cascade did not leave to it."""
    logits = (outputs.logits if outputs.alone is None else outputs.alone).copy()
    if outputs.early is not None:
        rows = np.flatnonzero(outputs.early)
        logits[rows] = fine_tuned(engine).run([texts[row] for row in rows.tolist()]).logits
    return logits


def unfolded(calibrator: Calibrator, logits: Floats) -> Floats:
    """Undo a calibrator that was folded into the last layer: logits (n, k) up to a constant of each row.

    Examples
    --------
    >>> from elsewise import Temperature
    >>> unfolded(Temperature(2.0), np.array([[1.0, -1.0]])).round(6).tolist()
    [[2.0, -2.0]]
    """
    k = logits.shape[1]
    weight, bias = calibrator.fold(np.eye(k), np.zeros(k))
    shifted = logits if bias is None else logits - bias
    return np.asarray((shifted @ np.linalg.pinv(weight).T).astype(logits.dtype))
