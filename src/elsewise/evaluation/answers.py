"""What is true of evaluated rows, what was thought of them, and what was answered."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import ABSTAIN, Codes
from elsewise.metrics import Estimate, wilson

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Shares:
    """What becomes of rows, with Wilson's intervals.

    Attributes
    ----------
    coverage, other_share : Estimate
        Share of the rows that get a label, and share left as Other.
    accuracy_when_answered : Estimate
        Share of right labels among the rows that get one.
    """

    coverage: Estimate
    accuracy_when_answered: Estimate
    other_share: Estimate


def shares(answered: Flags, correct: Flags) -> tuple[Estimate, Estimate, Estimate]:
    """Count coverage, accuracy when answered and share of Other of rows, (n,) each: the fields of `Shares`."""
    kept, n = int(answered.sum()), len(answered)
    right = int((answered & correct).sum())
    return wilson(kept, n), wilson(right, kept), wilson(n - kept, n)


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
        """Rows that have one of the labels, (n,)."""
        return self.truth != ABSTAIN

    @property
    def readable(self) -> Flags:
        """Rows of which something reached the model, (n,)."""
        return self.best != ABSTAIN

    @property
    def answered(self) -> Flags:
        """Rows that got a label, (n,)."""
        return self.decided != ABSTAIN

    @property
    def correct(self) -> Flags:
        """Rows whose best label is the true one, (n,); an out-of-scope row never is."""
        return self.in_scope & (self.best == self.truth)
