"""True labels, most probable labels and decisions of evaluated rows, and the shares counted from them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import ABSTAIN, Codes
from elsewise.metrics import Estimate, wilson

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Shares:
    """Coverage, share of Other, and share of right labels among the answered rows, with Wilson's intervals."""

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
    """True label, most probable label and decision of n evaluated rows, as codes.

    Attributes
    ----------
    truth : (n,)
        -1 for an out-of-scope row.
    best : (n,)
        The most probable label, answered or not; -1 for an unreadable row.
    decided : (n,)
        The answer; -1 for Other.
    """

    truth: Codes
    best: Codes
    decided: Codes

    @property
    def in_scope(self) -> Flags:
        """Rows whose true label is one of the classifier's labels, (n,)."""
        return self.truth != ABSTAIN

    @property
    def readable(self) -> Flags:
        """Rows that the model can read, (n,)."""
        return self.best != ABSTAIN

    @property
    def answered(self) -> Flags:
        """Rows that got a label, (n,)."""
        return self.decided != ABSTAIN

    @property
    def correct(self) -> Flags:
        """Rows whose most probable label is the true label, (n,); never an out-of-scope row."""
        return self.in_scope & (self.best == self.truth)
