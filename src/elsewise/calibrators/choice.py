"""Choice of a calibrator by five-fold cross-validation on tune rows.

More parameters fit tune rows better, and new rows often worse. So a calibrator with more parameters is chosen only if
it is clearly better on held-out folds.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes, Floats, as_codes, as_logits, log_losses, to_numpy
from elsewise.calibrators import CALIBRATORS, Calibrator, Identity
from elsewise.errors import ElsewiseWarning
from elsewise.storage.json_files import Json

FEWEST_ROWS: Final = 50  # to calibrate on
FEWEST_TO_COMPARE, FEWEST_A_LABEL = 1000, 10  # rows below which only a temperature is fitted
FOLDS: Final = 5
MOST_ROWS: Final = 50_000  # of the cross-validation: enough to compare; the chosen calibrator is fitted on all rows
PLAIN, SIMPLE, RICHER = "identity", "temperature", ("temperature_bias", "label_scale")  # names in CALIBRATORS


@dataclass(frozen=True, slots=True, eq=False)
class CalibratorChoice:
    """A fitted calibrator, and the reason for the choice.

    Attributes
    ----------
    calibrator, record : Calibrator, mapping
        Calibrator fitted on all usable rows; and JSON: its name `chosen`, the number of `rows`, the reason `why`, and
        `compared`: for each cross-validated candidate its log loss, its gain over the temperature, the standard error
        of the gain, and the share of texts whose best label it changes.
    """

    calibrator: Calibrator
    record: Json


def choose_calibrator(logits: Any, codes: Any, *, preserve_argmax: bool = False) -> CalibratorChoice:
    """Choose and fit the calibrator that the rows support.

    Below 50 rows: none. Below 1,000 rows, or 10 for each label: a temperature. Else five-fold cross-validation compares
    none, a temperature, a temperature with biases and a scale for each label. More parameters must gain more than one
    standard error of the paired differences in log loss (the rule of Breiman, Friedman, Olshen & Stone, 1984, section
    3.4.3), and a temperature must be better than none.

    Parameters
    ----------
    logits, codes : (n, k) and (n,)
        Logits of texts that the model was not trained on, and true codes. Rows that are not finite (unreadable texts)
        and out-of-scope rows (-1) are left out.
    preserve_argmax : bool
        Compare only calibrators that never change the best label.

    Raises
    ------
    InputError
        If shapes disagree, or a code is out of range.

    Warns
    -----
    ElsewiseWarning
        If no finite temperature is best, as without an error among the rows.

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
    """Drop rows that are out-of-scope or not finite; copies only if there are any."""
    z = to_numpy(logits)
    if z.ndim == 2 and z.dtype.kind in "fiu":  # noqa: PLR2004
        y = as_codes(codes, like=z, allow_abstain=True)
        usable = np.isfinite(z.max(axis=1)) & (y >= 0)
        return (as_logits(z), y) if usable.all() else (as_logits(z[usable]), y[usable])
    z = as_logits(z)  # says what is wrong
    return z, as_codes(codes, like=z)


def _compared(z: Floats, y: Codes, names: tuple[str, ...]) -> tuple[str, str, list[Json]]:
    """Cross-validate calibrators from the simplest to the richest: the best, the reason, and the figures of all."""
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
    for name, (loss, changed) in held_out.items():
        gain, error = _gain(losses[SIMPLE], loss)
        figures = {"log_loss": float(loss.mean()), "better_by": gain, "standard_error": error}
        table.append({"calibrator": name, **figures, "changed": float(changed.mean())})
    return best, why, table


def _folds(n: int, k: int) -> NDArray[np.int64]:
    """Assign rows to folds at random, with a fixed seed; -1 for rows beyond those needed.

    Not stratified: folds with equal label frequencies would reward biases that fit chance.
    """
    folds = np.full(n, -1, dtype=np.int64)
    some = np.random.default_rng(0).permutation(n)[: max(MOST_ROWS, FEWEST_A_LABEL * k)]
    folds[some] = np.arange(len(some)) % FOLDS
    return folds


def _held_out(name: str, z: Floats, y: Codes, folds: NDArray[np.int64]) -> tuple[Floats, NDArray[np.bool_]]:
    """Log loss of each row, and whether its best label changes, by a calibrator fitted without its fold."""
    losses, changed = np.zeros(len(z)), np.zeros(len(z), dtype=bool)
    for fold in range(FOLDS):
        out = np.flatnonzero(folds == fold)
        others = np.flatnonzero((folds >= 0) & (folds != fold))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ElsewiseWarning)
            fitted = CALIBRATORS[name].fit(z[others], y[others])
        p = fitted(z[out])
        losses[out] = log_losses(p, y[out])
        changed[out] = p.argmax(axis=1) != z[out].argmax(axis=1)
    return losses[folds >= 0], changed[folds >= 0]


def _gain(before: Floats, after: Floats) -> tuple[float, float]:
    """Gain in mean loss, and its standard error, from paired rows."""
    differences = before - after
    return float(differences.mean()), float(differences.std(ddof=1) / np.sqrt(len(differences)))
