"""Choices made on tune rows, by cross-validation: the calibrator that a model gets.

More numbers fit tune rows better and new rows often worse. So each candidate is fitted on four fifths of the rows and
judged on the rest, five times over, and one with more numbers is taken only when it is clearly better.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes, Floats, as_codes, as_logits, to_numpy
from elsewise.calibrators import CALIBRATORS, Calibrator, Identity
from elsewise.errors import ElsewiseWarning
from elsewise.storage.json_files import Json

FEWEST_ROWS: Final = 50  # to calibrate on, and to compare on
FEWEST_TO_COMPARE, FEWEST_A_LABEL = 1000, 10  # rows below which only a temperature is fitted
FOLDS: Final = 5
MOST_ROWS: Final = 50_000  # cross-validated on: they tell calibrators apart, and the winner is fitted on all rows
PLAIN, SIMPLE, RICHER = "identity", "temperature", ("temperature_bias", "label_scale")  # names in CALIBRATORS
LEAST_PROBABILITY = np.finfo(np.float32).tiny


@dataclass(frozen=True, slots=True, eq=False)
class CalibratorChoice:
    """A fitted calibrator, and why it is this one.

    Attributes
    ----------
    calibrator : Calibrator
        Fitted on all usable rows.
    record : mapping
        JSON: `chosen`, its name; `rows` it was fitted on; `why`, a clause; and `compared`, for each candidate that was
        cross-validated its log loss, by how much that is better than the temperature's, the standard error of this
        difference, and the share of texts that it gives another best label than the logits do.
    """

    calibrator: Calibrator
    record: Json


def choose_calibrator(logits: Any, codes: Any, *, preserve_argmax: bool = False) -> CalibratorChoice:
    """Fit the calibrator that these rows can support.

    Below 50 rows none; below 1,000, or 10 for each label, a temperature. From there on five-fold cross-validation
    compares none, a temperature, a temperature with biases and a scale for each label. One with more numbers must be
    better by more than one standard error of the paired differences in log loss (the rule of Breiman, Friedman,
    Olshen & Stone, 1984, section 3.4.3), and a temperature must be better than none.

    Parameters
    ----------
    logits : (n, k)
        Of texts that the model was not trained on; rows that are not finite (texts that cannot be read) are left out.
    codes : (n,)
        Their true codes; rows with -1 (out-of-scope) are left out.
    preserve_argmax : bool
        Consider only what never changes the best label.

    Raises
    ------
    InputError
        If shapes disagree, or a code is out of range.

    Warns
    -----
    ElsewiseWarning
        If no finite temperature is best, as where there is no error among the rows.

    Examples
    --------
    >>> choice = choose_calibrator([[2.0, 0.0]] * 80, [0] * 60 + [1] * 20)
    >>> print(choice.calibrator.sentence, "-", choice.record["why"])
    Temperature 1.8205 - fewer than 1,000 rows
    """
    z, y = _usable(logits, codes)
    compared: list[Json] = []
    fewest = max(FEWEST_TO_COMPARE, FEWEST_A_LABEL * z.shape[1])
    if len(z) < FEWEST_ROWS:
        name, why = PLAIN, f"fewer than {FEWEST_ROWS} rows"
    elif len(z) < fewest:
        name, why = SIMPLE, f"fewer than {fewest:,} rows"
    elif (z.argmax(axis=1) == y).all():
        name, why = SIMPLE, "no error among the rows"
    else:
        name, why, compared = _compared(z, y, (PLAIN, SIMPLE) if preserve_argmax else (PLAIN, SIMPLE, *RICHER))
    fitted = Identity() if name == PLAIN else CALIBRATORS[name].fit(z, y)
    return CalibratorChoice(fitted, {"chosen": name, "rows": len(z), "why": why, "compared": compared})


def _usable(logits: Any, codes: Any) -> tuple[Floats, Codes]:
    """Drop rows that are out-of-scope or not finite; copy only where there are some."""
    z = to_numpy(logits)
    if z.ndim == 2 and z.dtype.kind in "fiu":  # noqa: PLR2004
        y = as_codes(codes, like=z, allow_abstain=True)
        usable = np.isfinite(z).all(axis=1) & (y >= 0)
        return (as_logits(z), y) if usable.all() else (as_logits(z[usable]), y[usable])
    z = as_logits(z)  # says what is wrong
    return z, as_codes(codes, like=z)


def _compared(z: Floats, y: Codes, names: tuple[str, ...]) -> tuple[str, str, list[Json]]:
    """Cross-validate calibrators from the simplest to the richest: which one to take, why, and the figures of all."""
    folds = _folds(*z.shape)
    held_out = {name: _held_out(name, z, y, folds) for name in names}
    losses = {name: loss for name, (loss, _) in held_out.items()}
    best = SIMPLE
    for name in names[2:]:
        gain, error = _gain(losses[best], losses[name])
        best = name if gain > error else best
    why = f"clearly the better of {len(names)} in cross-validation" if best != SIMPLE else "none was clearly better"
    if best == SIMPLE and _gain(losses[PLAIN], losses[SIMPLE])[0] <= 0:
        best, why = PLAIN, "no calibrator was clearly better than none"
    table: list[Json] = []
    for name in names:
        gain, error = _gain(losses[SIMPLE], losses[name])
        table.append(
            {
                "calibrator": name,
                "log_loss": float(losses[name].mean()),
                "better_by": gain,
                "standard_error": error,
                "changed": float(held_out[name][1].mean()),
            }
        )
    return best, why, table


def _folds(n: int, k: int) -> NDArray[np.int64]:
    """Deal rows out to the folds, in an order drawn once for all; -1 for rows beyond those that are needed.

    Not label by label: folds that share the sample's label frequencies, chance included, reward biases that fit it.
    """
    folds = np.full(n, -1, dtype=np.int64)
    some = np.random.default_rng(0).permutation(n)[: max(MOST_ROWS, FEWEST_A_LABEL * k)]
    folds[some] = np.arange(len(some)) % FOLDS
    return folds


def _held_out(name: str, z: Floats, y: Codes, folds: NDArray[np.int64]) -> tuple[Floats, NDArray[np.bool_]]:
    """Judge each row by a calibrator that was fitted without its fold: log loss, and whether the best label changed."""
    losses, changed = np.zeros(len(z)), np.zeros(len(z), dtype=bool)
    for fold in range(FOLDS):
        out = np.flatnonzero(folds == fold)
        fitted = _fitted_quietly(name, z, y, np.flatnonzero((folds >= 0) & (folds != fold)))
        p = fitted(z[out])
        losses[out] = -np.log(np.maximum(p[np.arange(len(out)), y[out]].astype(np.float64), LEAST_PROBABILITY))
        changed[out] = p.argmax(axis=1) != z[out].argmax(axis=1)
    return losses[folds >= 0], changed[folds >= 0]


def _fitted_quietly(name: str, z: Floats, y: Codes, rows: NDArray[np.int64]) -> Calibrator:
    """Fit on some rows; what these rows alone cannot support is no news."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ElsewiseWarning)
        return CALIBRATORS[name].fit(z[rows], y[rows])


def _gain(before: Floats, after: Floats) -> tuple[float, float]:
    """By how much the mean loss is lower, and the standard error of that, from paired rows."""
    differences = before - after
    return float(differences.mean()), float(differences.std(ddof=1) / np.sqrt(len(differences)))
