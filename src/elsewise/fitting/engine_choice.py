"""Choose the engine and precision on tune rows, before a certify row is read.

Half precision and int8 are faster, and give slightly different logits. Each candidate is compared with float32, after
its calibrator was fitted again. The fastest candidate whose log loss and accuracy are close enough is certified.
"""

import timeit
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from elsewise import metrics
from elsewise.arrays import Codes, Floats, log_losses
from elsewise.calibrators import Calibrator, Identity, Temperature
from elsewise.calibrators.choice import FEWEST_ROWS
from elsewise.engines import SizedEngine, engine_class, key_of, kind_of
from elsewise.engines.files import CONFIG, INT8, ONNX, ModelFiles, Opening, TemporaryPlace
from elsewise.engines.second_opinion import HOME
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import InputError, warn_caller
from elsewise.fitting.engines_to_try import Wanted, makes_own_weights
from elsewise.outputs import Evidence, Outputs
from elsewise.progress import Progress
from elsewise.storage.json_files import Json, plain_fields, read_json

LOG_LOSS_MARGIN: Final = 0.03  # as a share of the log loss of float32
ACCURACY_MARGIN: Final = 0.003
ROUNDING: Final = 1e-12  # 0.953 - 0.003 is a little more than 0.95
FASTER: Final = 1.1  # speed-up that a less exact engine needs to be preferred: timings vary
TIMED_TOKENS: Final = 8_192


@dataclass(frozen=True, slots=True)
class GateRow:
    """How one engine and precision compares with float32 on tune rows: a row of the gate's table.

    Attributes
    ----------
    engine : str
        Name and precision, as in "openvino-int8".
    accuracy, log_loss, ece : float or None
        With its own calibrator; None where there are too few rows.
    changed : float
        Share of texts whose best label differs from that of float32.
    worst_change, change_99 : float
        Largest change of a probability, and the 99th percentile over texts of their largest.
    megabytes, texts_per_second : float
        Size of its files, and speed on tune texts on this machine.
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
    measured: GateRow

    @property
    def evidence(self) -> Evidence:
        """The engine's evidence of the tune rows."""
        return Evidence.of(self.outputs, self.calibrator)


def measure(engine: SizedEngine, tokens: Tokens, codes: Codes, exact: Serving | None = None) -> Serving:
    """Run tune rows through an engine, fit its calibrator again, and compare it with `exact`.

    Parameters
    ----------
    engine : SizedEngine
        The candidate.
    tokens, codes : n rows, (n,)
        The tune texts, and their codes, -1 for out-of-scope.
    exact : Serving, optional
        float32, or the engine that this engine wraps. Default: this engine is float32, with calibrated logits.
    """
    outputs = engine.run(tokens)
    usable = np.isfinite(outputs.logits).all(axis=1) & (codes >= 0)
    calibrator = Identity() if exact is None else fitted_calibrator(outputs, codes)
    evidence = Evidence.of(outputs, calibrator)
    reference = evidence if exact is None else exact.evidence
    figures = _figures(evidence.probabilities[usable], codes[usable])
    measured = GateRow(
        key_of(engine),
        *figures,
        *_changes(evidence.probabilities[usable], reference.probabilities[usable]),
        megabytes=engine.size / 1e6,
        texts_per_second=_speed(engine, tokens),
        passed=exact is None or _passes(figures, exact.measured),
    )
    return Serving(engine, calibrator, outputs, measured)


def choose(candidates: Sequence[Serving]) -> Serving:
    """Choose the fastest that passed; float32, the first, unless a less exact one is clearly faster."""
    best = candidates[0]
    for candidate in candidates[1:]:
        if candidate.measured.passed and candidate.measured.texts_per_second > FASTER * best.measured.texts_per_second:
            best = candidate
    return best


def gate_rows(candidates: Sequence[Serving]) -> tuple[Json, ...]:
    """Give the table of all candidates, as a folder keeps it."""
    return tuple(plain_fields(candidate.measured) for candidate in candidates)


def fitted_calibrator(outputs: Outputs, codes: Codes) -> Calibrator:
    """Fit a temperature on the usable of n rows, codes (n,); with too few rows the probabilities stay unchanged."""
    usable = np.isfinite(outputs.logits).all(axis=1) & (codes >= 0)
    if usable.sum() < FEWEST_ROWS:
        return Identity()
    return Temperature.fit(outputs.logits[usable], codes[usable])


def _figures(p: Floats, codes: Codes) -> tuple[float | None, float | None, float | None]:
    if len(codes) < FEWEST_ROWS:
        return None, None, None
    accuracy, log_loss = (p.argmax(axis=1) == codes).mean(), log_losses(p, codes).mean()
    return float(accuracy), float(log_loss), metrics.calibration_error(p, codes).value


def _changes(p: Floats, reference: Floats) -> tuple[float, float, float]:
    if not len(p):
        return 0.0, 0.0, 0.0
    change = np.abs(p - reference).max(axis=1)
    changed = (p.argmax(axis=1) != reference.argmax(axis=1)).mean()
    return float(changed), float(change.max()), float(np.quantile(change, 0.99))


def _passes(figures: tuple[float | None, float | None, float | None], exact: GateRow) -> bool:
    accuracy, log_loss, _ = figures
    if accuracy is None or log_loss is None or exact.accuracy is None or exact.log_loss is None:
        return False  # not shown
    least, most = exact.accuracy - ACCURACY_MARGIN, exact.log_loss * (1 + LOG_LOSS_MARGIN)
    return accuracy >= least - ROUNDING and log_loss <= most + ROUNDING


def _speed(engine: SizedEngine, tokens: Tokens) -> float:
    """Measure texts a second, the best of three runs on tune texts, after a warm-up."""
    sample = timed_rows(tokens)
    return len(sample) / min(timeit.repeat(lambda: engine.run(sample), number=1, repeat=3))


def timed_rows(tokens: Tokens) -> Tokens:
    """Give the first tune texts, for measuring a speed: not more than take a moment."""
    rows = np.flatnonzero(np.cumsum(tokens.lengths) <= TIMED_TOKENS)
    return tokens.take(rows) if len(rows) else tokens


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The rows that choosing an engine may use.

    Attributes
    ----------
    tune, codes : Tokens, (n,)
        Tune rows, and their true codes, -1 for out-of-scope.
    train : Tokens
        Some train rows, for int8.
    """

    tune: Tokens
    codes: Codes
    train: Tokens


def serving(
    files: ModelFiles, labels: tuple[str, ...], settings: Json, wanted: Wanted, rows: Rows,
    threads: int | None = None, progress: Progress | None = None,
) -> tuple[Serving, tuple[Json, ...]]:  # fmt: skip
    """Choose the engine: the wanted precision, or the fastest that passes the gate.

    Parameters
    ----------
    files, labels, settings
        The model; settings are those of its tokenizer.
    wanted : Wanted
        The engines to try in their order, and the precision.
    rows, threads : Rows, int or None
        The rows to choose on, and threads of the engine.
    progress : callable, optional
        Called with (words, 0, 0).

    Returns
    -------
    (Serving, table)
        The choice, and how all candidates compared.

    Warns
    -----
    ElsewiseWarning
        If the wanted precision is not close enough to float32.
    """
    tried: list[Serving] = []
    engines = wanted.computing(read_json(files.need(CONFIG))).engines
    for name in engines:
        opener: Any = engine_class(name)
        precisions = precisions_to_try(wanted, name, rows)
        for precision in precisions:  # float32 first, with which the others are compared
            if progress:
                progress(f"trying {precision}", 0, 0)
            try:
                its_files = files_for(name, precision, files, rows.train)
            except InputError:
                if name == engines[0]:
                    raise
                break  # its graph cannot be written, and the first engine serves
            engine: Any = opener.open(Opening(its_files, labels, {**settings, "precision": precision}, threads))
            tried.append(measure(engine, rows.tune, rows.codes, tried[0] if tried else None))
        if wanted.precision != "auto" or len(precisions) == 1 or any(one.measured.passed for one in tried[1:]):
            break
    best = choose(tried) if wanted.precision == "auto" else tried[-1]
    if not best.measured.passed:
        warn_caller(
            f"{best.measured.engine} is further from float32 than the margins allow (see the table of the gate): "
            "its certificate holds, and another precision answers better"
        )
    return best, gate_rows(tried)


def precisions_to_try(wanted: Wanted, name: str, rows: Rows) -> tuple[str, ...]:
    """Give the precisions that `serving` compares on an engine, float32 first; that alone on too few tune rows."""
    return wanted.precisions(name, enough=int((rows.codes >= 0).sum()) >= FEWEST_ROWS, train=len(rows.train) > 0)


def opened_like(engine: SizedEngine, files: ModelFiles, train: Tokens, threads: int | None = None) -> SizedEngine:
    """Open another model's files as `engine` was opened, quantised on train rows if it is."""
    its_files = files_for(engine.name, engine.settings["precision"], files, train)
    made: Any = engine_class(engine.name).open(Opening(its_files, engine.labels, engine.settings, threads))
    return made


def files_for(name: str, precision: str, files: ModelFiles, train: Tokens) -> ModelFiles:
    """Give a model's files with those that an engine needs in a precision; made in a temporary copy if they are new.

    InputError for an architecture that the engine does not compute, or int8 without the train texts that it needs;
    MissingExtra without torch, which writes graphs.
    """
    if makes_own_weights(name):
        opener: Any = engine_class(name)
        return opener.with_weights(files, precision)
    if kind_of(name).runs_graph and ONNX not in files:
        from elsewise.training.onnx_graph import with_graph  # noqa: PLC0415  torch

        files = with_graph(files)
    return quantised(files, train) if precision == "int8" else files


def quantised(files: ModelFiles, train: Tokens) -> ModelFiles:
    """Copy a model's files and add the int8 graph, unless they have one; InputError without train texts."""
    from elsewise.training.int8 import write_int8  # noqa: PLC0415  torch

    if INT8 in files:
        return files
    if not len(train):
        raise InputError("int8 is calibrated on train texts, and none are kept here; fit again with refit rows")
    place = TemporaryPlace()
    files.copy_to(place.path)
    for folder in (place.path, place.path / HOME):
        if (folder / ONNX).exists():
            write_int8(folder, train)
    return ModelFiles.of(place.path, place)
