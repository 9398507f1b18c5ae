"""Has a mean fallen below what was claimed? A test that may look all the time, while values come in.

Sources: Waudby-Smith & Ramdas (2024), "Estimating means of bounded random variables by betting",
https://arxiv.org/abs/2010.09686, for the bets; Shin, Ramdas & Rinaldo (2023), "E-detectors",
https://arxiv.org/abs/2203.03532, for bets that begin at every moment; Ville (1939) for the bound on false alarms.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elsewise.errors import InputError

BETS: Final = (0.02, 0.05, 0.1, 0.2, 0.5)  # shares of the largest bet; the evidence is the mean over them
AT_ONCE: Final = 64  # values whose products neither overflow nor vanish
CAP: Final = 1e200


@dataclass(frozen=True, slots=True)
class MeanTest:
    """Evidence, while values come in, that their mean has fallen below `least`.

    Bets of several sizes are made against "each value has, given those before it, a mean of at least `least`". They
    begin at every value, with shares 1 / (j (j + 1)) of the capital, so that a fall late in the day is found too. While
    the claim holds, the capital is a supermartingale that begins at 1: the chance that it *ever* reaches 1 / a is at
    most a, however often one looks.

    Attributes
    ----------
    least : float
        The mean that is claimed, within 0..1, exclusive.
    n, wealth, highest : int, tuple of float, float
        Values so far; capital in each size of bet, of those that have begun; and the most capital there ever was.

    Examples
    --------
    >>> test = MeanTest(0.9)
    >>> test.after(np.full(1000, 0.95)).alarms(0.01), test.after(np.full(1000, 0.8)).alarms(0.01)
    (False, True)
    """

    least: float
    n: int = 0
    wealth: tuple[float, ...] = (0.0,) * len(BETS)
    highest: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.least < 1:
            raise InputError(f"least must lie between 0 and 1, got {self.least}")

    @property
    def evidence(self) -> float:
        """Capital at the moment: below 1 speaks for the claim, 100 is strong evidence against it."""
        return float(np.mean(self.wealth)) + 1 / (self.n + 1)

    def alarms(self, rate: float) -> bool:
        """Tell whether there was an alarm whose chance of ever being false is at most `rate`."""
        return self.highest >= 1 / rate

    def after(self, values: ArrayLike) -> "MeanTest":
        """Give the test after further values (m,), each within 0..1, in the order in which they came.

        Examples
        --------
        The order of looking changes nothing.

        >>> values = np.random.default_rng(0).random(200)
        >>> once, twice = MeanTest(0.6).after(values), MeanTest(0.6).after(values[:90]).after(values[90:])
        >>> abs(once.evidence / twice.evidence - 1) < 1e-9, once.n == twice.n
        (True, True)
        """
        x, test = _within(values), self
        for start in range(0, len(x), AT_ONCE):
            test = test._after_few(x[start : start + AT_ONCE])
        return test

    def _after_few(self, x: NDArray[np.float64]) -> "MeanTest":
        bets = np.array(BETS)[:, None] / (1 - self.least)
        grown = np.cumprod(1 + bets * (self.least - x), axis=1)  # (bets, m): of a bet that began before the first
        begun = self.n + np.arange(1, len(x) + 1)
        before = np.concatenate([np.ones((len(BETS), 1)), grown[:, :-1]], axis=1)
        fresh = np.cumsum(1 / (begun * (begun + 1.0)) / before, axis=1)
        wealth = np.minimum(grown * (np.array(self.wealth)[:, None] + fresh), CAP)
        evidence = wealth.mean(axis=0) + 1 / (begun + 1.0)  # with what has not begun
        highest = max(self.highest, float(evidence.max()))
        return replace(self, n=self.n + len(x), wealth=tuple(wealth[:, -1].tolist()), highest=highest)


def _within(values: Any) -> NDArray[np.float64]:
    x = np.asarray(values, dtype=np.float64).reshape(-1)
    if not ((x >= 0) & (x <= 1)).all():
        raise InputError(f"values must lie within 0..1, got {x[~((x >= 0) & (x <= 1))][0]}")
    return x
