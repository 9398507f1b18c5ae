"""How many more labelled rows a promise needs, and what each further thousand would gain.

The present rows are certified by CertifiedThreshold. More rows are simulated: error rates between the thresholds are
drawn from a Beta posterior (with one row of Jeffreys' prior in all), and new rows at these rates are tested. So a few
rows without an error do not count as a model without errors.
Source: Spiegelhalter, Freedman & Blackburn (1986), "Monitoring clinical trials: conditional or predictive power?",
https://doi.org/10.1016/0197-2456(86)90003-6 (predictive power: the chance of passing, over what is still unknown).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elsewise.errors import InputError
from elsewise.messages.wording import percent
from elsewise.rules.certificate import Certificate
from elsewise.rules.certify_rows import CertifyRows
from elsewise.rules.decisions import Gate
from elsewise.rules.fixed_sequence import BinomialTest, Counts, Thresholds, grid_of
from elsewise.rules.gates import as_gates
from elsewise.scores import Score

MORE = (0, 1000, 2000, 3000, 5000)
DRAWS = 1000
PRIOR = 0.5  # right rows, and wrong rows: Jeffreys' prior of the error rate


@dataclass(frozen=True, slots=True)
class Step:
    """Expected result of a certification on a number of labelled rows.

    Attributes
    ----------
    rows : int
        Number of labelled rows in all.
    chance, coverage : float
        Chance of a certificate; and mean share of texts answered, 0 where nothing is certified.
    """

    rows: int
    chance: float
    coverage: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Promise that the labelled rows support now, and the expected result with more rows.

    An estimate and no promise: it relies on the error rates of these rows, made monotone. Luck in them makes the
    coverage look too good, the more so the fewer rows there are.

    Attributes
    ----------
    certificate : Certificate
        Certificate of the present rows.
    more_rows : int or None
        Estimate of how many more rows would certify if error rates and coverage stay: 0 if already certified, None if
        more rows would not help.
    steps : tuple of Step
        Expected results, the present number of rows first.
    """

    certificate: Certificate
    more_rows: int | None
    steps: tuple[Step, ...]

    @property
    def sentence(self) -> str:
        """Rows needed, rows there are, and what more rows would gain, in words."""
        c = self.certificate
        promise = f"{percent(c.target_accuracy)} at confidence level {percent(c.confidence_level)}"
        best = f"these {c.rows:,} rows support {percent(max(c.best_accuracy, 0))}, all thresholds taken together"
        if c.certified:
            now = f"These {c.rows:,} rows certify {promise}, and {percent(c.coverage)} of them are answered."
        elif self.more_rows is None:
            now = f"More rows would not certify {promise} for this model; {best}."
        else:
            now = (
                f"About {self.more_rows:,} more labelled rows would certify {promise} if error rates and coverage stay "
                f"as they are; {best}."
            )
        last = self.steps[-1]
        return (
            f"{now} With {last.rows:,} rows the chance of a certificate is {percent(last.chance)}, and "
            f"{percent(last.coverage)} of the texts are expected to be answered."
        )

    @property
    def table(self) -> str:
        """Steps as a table, one line each."""
        lines = [f"{step.rows:>9,}  {step.chance:>6.1%}  {step.coverage:>8.1%}" for step in self.steps]
        return "\n".join(["     rows  chance  coverage", *lines])


def plan(
    evidence: Any,
    codes: Any,
    *,
    reference: Any,
    target_accuracy: float = 0.95,
    confidence_level: float = 0.95,
    score: Score | None = None,
    gates: Sequence[Gate] = (),
    ambiguity_margin: float | None = None,
    more: Sequence[int] = MORE,
    seed: int = 0,
) -> Plan:
    """Estimate how many more rows to label; errors as in `CertifiedThreshold.fit`.

    Parameters
    ----------
    evidence, codes, reference, target_accuracy, confidence_level, score, gates, ambiguity_margin
        As for `CertifiedThreshold.fit`: n certify rows, codes (n,), m reference rows. Planning on the certify rows is a
        look: certify on fresh rows, or count it.
    more : numbers of rows
        Numbers of further rows, at least one number, 0 or more each (else InputError).
    seed : int
        Seed of the simulation: 1,000 draws, which give a chance within about 3 %.

    Examples
    --------
    40 rows without an error are too few: 59 are needed.

    >>> import numpy as np
    >>> p = np.tile([0.9, 0.1], (40, 1))
    >>> plan(p, np.zeros(40), reference=p.copy()).more_rows
    19
    """
    if not more or min(more) < 0:
        raise InputError(f"more must hold numbers of rows, 0 or larger, got {list(more)}")
    test = BinomialTest.of(target_accuracy, confidence_level)
    rows = CertifyRows.of(evidence, codes, reference, score, as_gates(gates, ambiguity_margin))
    sample, surest_first = rows.counts, rows.surest_first
    certificate = rows.certify(test)
    needed = sample.rows if certificate.certified else certificate.rows_needed
    more_rows = None if needed is None else needed - sample.rows
    steps = tuple(_step(sample, surest_first, test, sample.rows + extra, seed) for extra in more)
    return Plan(certificate, more_rows, steps)


def _step(sample: Counts, surest_first: Thresholds, test: BinomialTest, rows: int, seed: int) -> Step:
    """Estimate the result on `rows` rows, simulated at error rates that the present rows allow."""
    first = Counts(sample.surest_first, sample.errors_among_first, rows).first_coverage(test)
    grid = grid_of(surest_first, first)
    answered, wrong = _draw(sample, surest_first, grid, rows, np.random.default_rng(seed))
    passed = test.passed(answered, wrong)
    steps = np.where(passed.all(axis=1), len(grid), passed.argmin(axis=1))
    served = np.where(steps > 0, answered[np.arange(DRAWS), steps - 1], 0)
    return Step(rows, float(np.mean(steps > 0)), float(served.mean() / rows) if rows else 0.0)


def _draw(
    sample: Counts, surest_first: Thresholds, grid: Thresholds, rows: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Simulate the answers at each of g thresholds, and errors among them, (draws, g) each."""
    n, errors = (np.diff(column, prepend=0) for column in sample.at(grid))
    both = n + np.diff(np.searchsorted(-surest_first, -grid, side="right"), prepend=0)  # the grid is the reference's
    barred = (sample.rows - n.sum()) * both.sum() / max(n.sum(), 1) if both.any() else 1
    shares = np.append(both, barred)
    drawn = rng.multinomial(rows, shares / shares.sum(), size=DRAWS)[:, :-1]
    wrong = rng.binomial(drawn, _rates(n, errors, rng))
    return np.cumsum(drawn, axis=1), np.cumsum(wrong, axis=1)


def _rates(n: NDArray[np.int64], errors: NDArray[np.int64], rng: np.random.Generator) -> Thresholds:
    """Draw error rates between the thresholds, (draws, g), from their posterior.

    Few rows lie between two thresholds, so rates are made to grow as the confidence falls (isotonic regression).
    Neighbours of equal rate share one draw.
    """
    from scipy.optimize import isotonic_regression  # noqa: PLC0415

    ends = isotonic_regression(errors / np.maximum(n, 1), weights=n + 1e-9).blocks
    wrong, total = (np.add.reduceat(column, ends[:-1]) for column in (errors, n))
    prior = 2 * PRIOR * (total + 1e-9) / (total + 1e-9).sum()
    drawn = rng.beta(wrong + prior / 2, total - wrong + prior / 2, size=(DRAWS, len(total)))
    return np.repeat(drawn, np.diff(ends), axis=1)
