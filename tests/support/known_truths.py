"""Known truths that promises are certified from again and again, with their risk in closed form.

A truth gives the share of errors among texts answered at a threshold: with confidence s ~ Beta(a, b) and
P(right | s) = base + slope * s**power, the mean of s**power above t is a ratio of two beta tails.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import betaln
from scipy.stats import beta, binom

ALPHA = DELTA = 0.05


@dataclass(frozen=True)
class Truth:
    """Confidence and correctness, with the risk and the coverage of every threshold."""

    a: float
    b: float
    base: float
    slope: float = 0.0
    power: float = 1.0
    decimals: int | None = None

    def draw(self, rng, n):
        s = rng.beta(self.a, self.b, size=n)
        wrong = rng.random(n) > self.base + self.slope * s**self.power
        return (s if self.decimals is None else s.round(self.decimals)), wrong

    def coverage(self, threshold):
        return float(beta.sf(self._unrounded(threshold), self.a, self.b))

    def risk(self, threshold):
        t = self._unrounded(threshold)
        scale = np.exp(betaln(self.a + self.power, self.b) - betaln(self.a, self.b))
        tails = beta.sf(t, self.a + self.power, self.b) / beta.sf(t, self.a, self.b)
        return float(1 - self.base - self.slope * scale * tails)

    def _unrounded(self, threshold):
        return max(threshold - (0 if self.decimals is None else 0.5 * 10.0**-self.decimals), 0.0)


TRUTHS = {
    "B": Truth(8, 0.35, base=0.25, slope=0.747, power=4),
    "A": Truth(3, 0.6, base=0.30, slope=0.695, power=3),
    "F": Truth(8, 0.35, base=0.94999),  # flat, and just failing: every certificate is false
    "D": Truth(8, 0.35, base=0.25, slope=0.747, power=4, decimals=2),
}


def allowed(trials, rate=DELTA):
    return binom.ppf(0.999, trials, rate)


def report(**numbers):
    print(*(f"{name} {number:.4g}" for name, number in numbers.items()), sep=", ")  # noqa: T201  pytest -rP shows it
