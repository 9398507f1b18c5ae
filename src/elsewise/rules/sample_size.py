"""How many more labelled rows a promise needs, and what each further thousand would buy.

What is promised today is what CertifiedThreshold says of these rows. What more rows would do is simulated: rates of
error between the thresholds of the grid are drawn from what these rows say of them (a Beta posterior, with the weight
of one row of Jeffreys' prior in all), new rows are drawn at these rates, and the tests are made on them. So few rows
without an error do not count as a model without errors.
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
from elsewise.rules.certified import CertifiedThreshold
from elsewise.rules.decisions import Gate
from elsewise.rules.fixed_sequence import BinomialTest, CertifyRows, Counts, Thresholds, grid_of
from elsewise.rules.gates import as_gates
from elsewise.scores import Score

MORE = (0, 1000, 2000, 3000, 5000)
DRAWS = 1000
PRIOR = 0.5  # rows of each kind, right and wrong, in all: Jeffreys' prior for the rate of errors


@dataclass(frozen=True, slots=True)
class Step:
    """What a certification on a number of labelled rows is expected to give.

    Attributes
    ----------
    rows : int
        Labelled rows in all.
    chance : float
        That the promise can be certified at some threshold.
    coverage : float
        Share of texts answered, on average over certified and not certified (which answers none).
    """

    rows: int
    chance: float
    coverage: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What labelled rows support now, and what more of them would.

    An expectation and no promise: it takes the error rates that these rows show, made monotone, for true. Luck in them
    makes the coverage look better than it will be, the more so the fewer rows there are.

    Attributes
    ----------
    certificate : Certificate
        Of the present rows.
    more_rows : int or None
        About how many more rows would certify if errors and coverage stay as they are: 0 where it is certified
        already, None where more rows would not help.
    steps : tuple of Step
        What certifying on more rows is expected to give, the present number first.
    """

    certificate: Certificate
    more_rows: int | None
    steps: tuple[Step, ...]

    @property
    def sentence(self) -> str:
        """What is needed, what there is, and what more rows would buy."""
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
        """The steps, one line each."""
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
    """Plan how many rows to label.

    Parameters
    ----------
    evidence, codes, reference, target_accuracy, confidence_level, score, gates, ambiguity_margin
        As for `CertifiedThreshold.fit`. Reading the certify rows here is a look: certify on fresh rows, or count it.
    more : numbers of rows
        Beyond the present ones, 0 or more each.
    seed : int
        Of the simulation: 1,000 draws, which put a chance within about 3 %.

    Raises
    ------
    InputError
        As `CertifiedThreshold.fit`; and without a number in `more`, or with one below 0.

    Examples
    --------
    40 rows without an error; 59 are the fewest.

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
    certificate = CertifiedThreshold.fit(
        rows.evidence,
        codes,
        reference=rows.reference,
        target_accuracy=target_accuracy,
        confidence_level=confidence_level,
        score=rows.score,
        gates=rows.gates,
    ).certificate
    needed = sample.rows if certificate.certified else certificate.rows_needed
    more_rows = None if needed is None else needed - sample.rows
    steps = tuple(_step(sample, surest_first, test, sample.rows + extra, seed) for extra in more)
    return Plan(certificate, more_rows, steps)


def _step(sample: Counts, surest_first: Thresholds, test: BinomialTest, rows: int, seed: int) -> Step:
    """Certify `rows` rows again and again, drawn at the rates that the present rows allow."""
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
    """Rows answered at each of g thresholds, and errors among them, (draws, g) each."""
    n, errors = (np.diff(column, prepend=0) for column in sample.at(grid))
    both = n + np.diff(np.searchsorted(-surest_first, -grid, side="right"), prepend=0)  # the grid is the reference's
    barred = (sample.rows - n.sum()) * both.sum() / max(n.sum(), 1)
    shares = np.append(both, barred)
    drawn = rng.multinomial(rows, shares / shares.sum(), size=DRAWS)[:, :-1]
    wrong = rng.binomial(drawn, _rates(n, errors, rng))
    return np.cumsum(drawn, axis=1), np.cumsum(wrong, axis=1)


def _rates(n: NDArray[np.int64], errors: NDArray[np.int64], rng: np.random.Generator) -> Thresholds:
    """Draw rates of error between the thresholds, (draws, g), from what the rows say of them.

    Between two thresholds there are few rows, so rates are taken to grow as the confidence falls (isotonic
    regression), and where that makes neighbours equal they are one rate, drawn once.
    """
    from scipy.optimize import isotonic_regression  # noqa: PLC0415

    ends = isotonic_regression(errors / np.maximum(n, 1), weights=n + 1e-9).blocks
    wrong, total = (np.add.reduceat(column, ends[:-1]) for column in (errors, n))
    prior = 2 * PRIOR * (total + 1e-9) / (total + 1e-9).sum()
    drawn = rng.beta(wrong + prior / 2, total - wrong + prior / 2, size=(DRAWS, len(total)))
    return np.repeat(drawn, np.diff(ends), axis=1)
