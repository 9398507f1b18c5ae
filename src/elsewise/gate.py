"""The gate: which engine and precision serves, chosen on tune rows, before a certify row is read.

Half precision and int8 are faster, and give slightly other logits. Each candidate is compared with float32; the
fastest whose log loss, after its own re-fit, and whose accuracy are close enough is the one that is certified.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from elsewise import metrics
from elsewise.arrays import Codes, Floats
from elsewise.calibrators import Calibrator, Identity, Temperature
from elsewise.calibrators.choice import FEWEST_ROWS
from elsewise.engines import SizedEngine, key_of
from elsewise.engines.tokenizer import Tokens
from elsewise.outputs import Evidence, Outputs

LOG_LOSS_MARGIN: Final = 0.03  # of the log loss of float32
ACCURACY_MARGIN: Final = 0.003
ROUNDING: Final = 1e-12  # 0.953 - 0.003 is a little more than 0.95
FASTER: Final = 1.1  # a less exact engine must be so many times as fast to be preferred: timings wobble
TIMED_TOKENS: Final = 16_384


@dataclass(frozen=True, slots=True)
class Measured:
    """How one engine and precision compares with float32 on tune rows.

    Attributes
    ----------
    engine : str
        Name and precision, as in "openvino-int8".
    accuracy, log_loss, ece : float or None
        After its own re-fit; None where there are too few rows.
    changed : float
        Share of texts whose best label is another one.
    worst_change, change_99 : float
        Largest change of a probability, and the 99th percentile over texts of their largest.
    megabytes : float
        Of the files that it runs from.
    texts_per_second : float
        Of tune texts, on this machine.
    passed : bool
        Whether log loss and accuracy are within the margins.
    """

    engine: str
    accuracy: float | None
    log_loss: float | None
    ece: float | None
    changed: float
    worst_change: float
    change_99: float
    megabytes: float
    texts_per_second: float
    passed: bool


@dataclass(frozen=True, slots=True, eq=False)
class Serving:
    """An engine with the calibrator fitted on its own outputs of tune rows, and those outputs."""

    engine: SizedEngine
    calibrator: Calibrator
    outputs: Outputs
    measured: Measured

    @property
    def evidence(self) -> Evidence:
        """What it knows of the tune rows."""
        return Evidence.of(self.outputs, self.calibrator)


def serve(engine: SizedEngine, tokens: Tokens, codes: Codes, exact: Serving | None = None) -> Serving:
    """Run tune rows through an engine, re-fit its calibrator, and compare it with `exact`.

    Parameters
    ----------
    engine : SizedEngine
        The candidate.
    tokens, codes : n
        Of tune rows, -1 for out-of-scope.
    exact : Serving, optional
        Of float32, or of the engine that this one stands around; without it this is float32, whose logits are
        calibrated already.
    """
    outputs = engine.run(tokens)
    usable = np.isfinite(outputs.logits).all(axis=1) & (codes >= 0)
    calibrator = Identity() if exact is None else fitted_calibrator(outputs, codes)
    evidence = Evidence.of(outputs, calibrator)
    reference = evidence if exact is None else exact.evidence
    figures = _figures(evidence.probabilities[usable], codes[usable])
    measured = Measured(
        key_of(engine),
        *figures,
        *_changes(evidence.probabilities[usable], reference.probabilities[usable]),
        megabytes=engine.size / 1e6,
        texts_per_second=_speed(engine, tokens),
        passed=exact is None or _passes(figures, exact.measured),
    )
    return Serving(engine, calibrator, outputs, measured)


def choose(candidates: Sequence[Serving]) -> Serving:
    """Choose the fastest that passed; the first, float32, unless another is clearly faster."""
    best = candidates[0]
    for candidate in candidates[1:]:
        if candidate.measured.passed and candidate.measured.texts_per_second > FASTER * best.measured.texts_per_second:
            best = candidate
    return best


def gate_rows(candidates: Sequence[Serving]) -> tuple[dict[str, Any], ...]:
    """Give the table of all candidates, as a folder keeps it (JSON)."""
    return tuple(asdict(candidate.measured) for candidate in candidates)


def fitted_calibrator(outputs: Outputs, codes: Codes) -> Calibrator:
    """Fit a temperature on the usable rows; keep probabilities as they are where there are too few."""
    usable = np.isfinite(outputs.logits).all(axis=1) & (codes >= 0)
    if usable.sum() < FEWEST_ROWS:
        return Identity()
    return Temperature.fit(outputs.logits[usable], codes[usable])


def _figures(p: Floats, codes: Codes) -> tuple[float | None, float | None, float | None]:
    if len(codes) < FEWEST_ROWS:
        return None, None, None
    best = p.argmax(axis=1)
    log_loss = -np.log(np.maximum(p[np.arange(len(codes)), codes], np.finfo(np.float32).tiny)).mean(dtype=np.float64)
    return float((best == codes).mean()), float(log_loss), metrics.calibration_error(p, codes).value


def _changes(p: Floats, reference: Floats) -> tuple[float, float, float]:
    if not len(p):
        return 0.0, 0.0, 0.0
    change = np.abs(p - reference).max(axis=1)
    changed = (p.argmax(axis=1) != reference.argmax(axis=1)).mean()
    return float(changed), float(change.max()), float(np.quantile(change, 0.99))


def _passes(figures: tuple[float | None, float | None, float | None], exact: Measured) -> bool:
    accuracy, log_loss, _ = figures
    if accuracy is None or log_loss is None or exact.accuracy is None or exact.log_loss is None:
        return False  # not shown
    least, most = exact.accuracy - ACCURACY_MARGIN, exact.log_loss * (1 + LOG_LOSS_MARGIN)
    return accuracy >= least - ROUNDING and log_loss <= most + ROUNDING


def _speed(engine: SizedEngine, tokens: Tokens) -> float:
    """Measure texts a second on tune texts that are warm already: the best of three."""
    rows = np.flatnonzero(np.cumsum(tokens.lengths) <= TIMED_TOKENS)
    sample = tokens.take(rows) if len(rows) else tokens
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        engine.run(sample)
        seconds.append(time.perf_counter() - start)
    return len(sample) / min(seconds)
