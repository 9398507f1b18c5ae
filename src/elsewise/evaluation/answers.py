"""What is true of evaluated rows, what was thought of them, and what was answered."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elsewise import metrics
from elsewise.arrays import ABSTAIN, Codes
from elsewise.metrics import Estimate

Flags = NDArray[np.bool_]


def shares(abstained: NDArray[np.bool_], correct: NDArray[np.bool_]) -> dict[str, Estimate]:
    """Give coverage, accuracy when answered and share of Other, with Wilson's intervals."""
    answered, n = int((~abstained).sum()), len(abstained)
    return {
        "coverage": metrics.wilson(answered, n),
        "accuracy_when_answered": metrics.wilson(int((~abstained & correct).sum()), answered),
        "other_share": metrics.wilson(n - answered, n),
    }


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What is true of n evaluated rows, what was thought of them, and what was answered.

    Attributes
    ----------
    truth : (n,)
        True codes; -1 for an out-of-scope row.
    best : (n,)
        The most probable label, answered or not; -1 for an unreadable row.
    decided : (n,)
        The code that was answered; -1 for Other.
    """

    truth: Codes
    best: Codes
    decided: Codes

    @property
    def in_scope(self) -> Flags:
        """Rows that have one of the labels."""
        return self.truth != ABSTAIN

    @property
    def readable(self) -> Flags:
        """Rows of which something reached the model."""
        return self.best != ABSTAIN

    @property
    def answered(self) -> Flags:
        """Rows that got a label."""
        return self.decided != ABSTAIN

    @property
    def correct(self) -> Flags:
        """Rows whose best label is the true one; an out-of-scope row never is."""
        return self.in_scope & (self.best == self.truth)
