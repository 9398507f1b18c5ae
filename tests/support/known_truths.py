"""Known truths that promises are certified from again and again, with their risk in closed form.

A truth gives the share of errors among texts answered at a threshold: with confidence s ~ Beta(a, b) and
P(right | s) = base + slope * s**power, the mean of s**power above t is a ratio of two beta tails.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import betaln
from scipy.stats import beta, binom

from elsewise.arrays import ABSTAIN
from elsewise.outputs import Evidence

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


@dataclass(frozen=True)
class Stairs:
    """A risk that goes in steps: up to each coverage, the surest texts are wrong as often as its risk says.

    Between two steps every text is wrong, or right, until the next risk is reached.
    """

    steps: tuple[tuple[float, float], ...]

    def draw(self, rng, n):
        surest = rng.random(n)
        ends, rates = self._pieces()
        return 1 - surest, rng.random(n) < rates[np.searchsorted(ends, surest)]

    def coverage(self, threshold):
        return float(np.clip(1 - threshold, 0, 1))

    def risk(self, threshold):
        ends, rates = self._pieces()
        c = self.coverage(threshold)
        begins = np.append(0, ends[:-1])
        return float((np.clip(c - begins, 0, ends - begins) * rates).sum() / c)

    def _pieces(self):
        """Ends of the pieces in coverage, and their error rates."""
        ends, rates, reached, errors = [], [], 0.0, 0.0
        for end, risk in self.steps:
            is_worse = errors < risk * reached
            between = (risk * reached - errors) / (1 - risk) if is_worse else errors / risk - reached
            ends += [reached + between, end]
            rates += [float(is_worse), risk]
            errors, reached = risk * end, end
        return np.array(ends), np.array(rates)


TRUTHS = {
    "B": Truth(8, 0.35, base=0.25, slope=0.747, power=4),
    "A": Truth(3, 0.6, base=0.30, slope=0.695, power=3),
    "F": Truth(8, 0.35, base=0.94999),  # flat, and just failing: every certificate is false
    "D": Truth(8, 0.35, base=0.25, slope=0.747, power=4, decimals=2),
}


@dataclass(frozen=True)
class FirstColumn:
    """The confidence that a trial was drawn with, exactly; labels 0 and 1 do not matter to it."""

    def __call__(self, evidence):
        return evidence.probabilities[:, 0]


def evidence_of(s):
    return Evidence(np.column_stack([s, 1 - s]))


def codes_of(evidence, wrong, out_of_scope=False):
    best = evidence.probabilities.argmax(axis=1)
    return np.where(out_of_scope, ABSTAIN, np.where(wrong, 1 - best, best))


def allowed(trials, rate=DELTA):
    return binom.ppf(0.999, trials, rate)


def report(**numbers):
    print(*(f"{name} {number:.4g}" for name, number in numbers.items()), sep=", ")  # noqa: T201  pytest -rP shows it
