"""Two opinions of the same texts, mixed: a logarithmic opinion pool, and what it is worth on tune rows.

log p = (1 - w) log p1 + w log p2, each after its own temperature (Genest & Zidek 1986,
https://doi.org/10.1214/ss/1177013825). The second may be asked about some texts only, where the first is unsure or
raises few logits. `Pooled` is what the engines of two opinions have in common, `Around` what they share with a cascade.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes, Floats, log_softmax, log_sum_exp, true_log_softmax
from elsewise.calibrators.best_temperature import best_temperature
from elsewise.engines.files import DESCRIPTION, ModelFiles, Opening
from elsewise.engines.one_process import OneProcess
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import InputError, reading
from elsewise.outputs import Outputs
from elsewise.storage.json_files import Json

BOUNDS: Final = ("energy", "confidence")
FEWEST_ROWS: Final = 200  # tune rows that choose a weight; with fewer both count the same
FEWEST_TO_SCALE: Final = 20  # tune rows that choose a temperature
FEWEST_TO_TELL: Final = 50  # tune rows whose standard error tells something
SHARPEST: Final = 20.0  # halvings of the temperature that are tried where no row is wrong
SURE: Final = 2.0  # standard errors
WEIGHTS: Final = np.linspace(0.05, 0.95, 19)


@dataclass(frozen=True, slots=True)
class Worth:
    """What a second opinion is worth on tune rows.

    Attributes
    ----------
    log_loss_gain, standard_error : float
        By how much the mean log loss of in-scope rows falls, in nats, judged on rows that did not choose the weight;
        and the standard error of that.
    share_asked : float
        Share of the rows for which the second is asked.
    rows : int
        In-scope rows that this was judged on.
    """

    log_loss_gain: float
    standard_error: float
    share_asked: float
    rows: int

    @property
    def is_kept(self) -> bool:
        """Whether the gain is surely one, by two standard errors; any gain will do on too few rows to tell."""
        return self.log_loss_gain > (SURE * self.standard_error if self.rows >= FEWEST_TO_TELL else 0)


@dataclass(frozen=True, slots=True)
class Pool:
    """How two opinions are mixed, and where the second is asked.

    Attributes
    ----------
    weight : float
        Weight of the second, 0..1.
    temperatures : (float, float)
        Temperature of the first, and of the second.
    energy, confidence : float
        The second is asked where the first's energy or its best probability is lower. Default: about every text.

    Raises
    ------
    InputError
        If a number is out of its range, or NaN.

    Examples
    --------
    The first is sure of the first text, and is not asked to share it.

    >>> pool = Pool(weight=0.5, temperatures=(1.0, 1.0), energy=1.0, confidence=0.9)
    >>> first, second = np.array([[9.0, 0.0], [0.5, 0.0]]), np.array([[0.0, 2.0], [0.0, 2.0]])
    >>> pool.asks(first).tolist()
    [False, True]
    >>> (pool.mixed(first, second)[1] - pool.mixed(first, second)[1].max()).round(2).tolist()
    [-0.75, 0.0]
    """

    weight: float
    temperatures: tuple[float, float]
    energy: float = np.inf
    confidence: float = np.inf

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise InputError(f"the weight of a second opinion must lie in 0..1, got {self.weight}")
        if not all(0 < one < np.inf for one in self.temperatures):
            raise InputError(f"the temperatures of two opinions must be above 0 and finite, got {self.temperatures}")
        if np.isnan((self.energy, self.confidence)).any():
            raise InputError("a second opinion is asked below an energy and a confidence, and NaN is neither")

    @classmethod
    def fit(cls, first: Floats, second: Floats, codes: Codes, share: float = 1.0) -> "tuple[Pool, Worth]":
        """Fit on logits of both (n, k) for n tune rows with codes (n,), -1 for out-of-scope.

        The second is asked where the first is in its lowest `share` by energy, or by confidence; that never depends on
        codes. InputError if no in-scope row can be read by both.
        """
        usable = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1) & (codes >= 0)
        first, second, codes = first[usable], second[usable], codes[usable]
        temperatures = (1.0, 1.0)
        if len(codes) >= FEWEST_TO_SCALE:
            temperatures = (_temperature(first, codes), _temperature(second, codes))
        even = cls(0.5, temperatures)
        if share < 1:
            energy, confidence = (float(np.quantile(sign, share)) for sign in even.signs(first))
            even = replace(even, energy=energy, confidence=confidence)
        asked = even.asks(first)

        def chosen(rows: NDArray[np.bool_]) -> Pool:
            return even.weighed(first, second, codes, rows) if len(codes) >= FEWEST_ROWS else even

        gains, halves = np.zeros(len(codes)), np.arange(len(codes)) % 2 == 0
        for half in (halves, ~halves):
            rows, pool = asked & half, chosen(asked & ~half)
            alone, both = pool.mixed(first[rows]), pool.mixed(first[rows], second[rows])
            gains[rows] = true_log_softmax(both, codes[rows]) - true_log_softmax(alone, codes[rows])
        worth = Worth(float(gains.mean()), float(gains.std() / np.sqrt(len(gains))), float(asked.mean()), len(codes))
        return chosen(asked), worth

    @classmethod
    def read(cls, kept: Json) -> "Pool":
        """Make a pool from its `settings`; raises what unusable ones raise."""
        first, second = (float(one) for one in kept["temperatures"])
        bounds = {name: float(kept[name]) for name in BOUNDS if name in kept}
        return cls(float(kept["weight"]), (first, second), **bounds)

    @property
    def settings(self) -> Json:
        """What `read` needs (JSON): no bound where the second is asked about every text."""
        bounds = {name: bound for name in BOUNDS if (bound := getattr(self, name)) != np.inf}
        return {"weight": self.weight, **bounds, "temperatures": list(self.temperatures)}

    def signs(self, logits: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Energy and best probability of the first opinion, given its logits (n, k), shape (n,) each."""
        log_p = log_softmax(logits / logits.dtype.type(self.temperatures[0]))
        return log_sum_exp(logits), np.exp(log_p.max(axis=1).astype(np.float64))

    def asks(self, logits: Floats) -> NDArray[np.bool_]:
        """Where the second opinion is asked, given the first's logits (n, k), finite; shape (n,)."""
        energy, confidence = self.signs(logits)
        return (energy < self.energy) | (confidence < self.confidence)

    def mixed(self, first: Floats, second: Floats | None = None) -> Floats:
        """Mix logits (n, k) of both, or of the first alone; the energy of a row stays that of the first."""
        log_p = log_softmax(first / first.dtype.type(self.temperatures[0]))
        if second is not None:
            other = log_softmax(second / second.dtype.type(self.temperatures[1]))
            log_p = log_softmax(first.dtype.type(1 - self.weight) * log_p + first.dtype.type(self.weight) * other)
        return log_p + log_sum_exp(first)[:, None].astype(first.dtype)

    def weighed(self, first: Floats, second: Floats, codes: Codes, rows: NDArray[np.bool_]) -> "Pool":
        """Choose the weight with the least log loss on some of n rows, flags (n,); the same pool for none."""
        if not rows.any():
            return self
        z, other, y = first[rows], second[rows], codes[rows]
        pools = [replace(self, weight=float(weight)) for weight in WEIGHTS]
        return max(pools, key=lambda pool: float(true_log_softmax(pool.mixed(z, other), y).mean(dtype=np.float64)))


def _temperature(logits: Floats, codes: Codes) -> float:
    """Find the best temperature; where none of few rows is wrong, how sure so many right answers may make one.

    So many right answers of n make n + 1 of n + 2 likely (Laplace's rule of succession). Without that, a model that
    sounds unsure and is always right would only blur the other one.
    """
    best = best_temperature(logits, codes)
    if best is not None or len(codes) >= FEWEST_TO_TELL:
        return best or 1.0
    likely = (len(codes) + 1) / (len(codes) + 2)
    low, high = -SHARPEST, SHARPEST
    for _ in range(40):
        middle = (low + high) / 2
        sure = np.exp(log_softmax(logits / logits.dtype.type(2.0**middle)).max(axis=1).astype(np.float64)).mean()
        low, high = (middle, high) if sure > likely else (low, middle)
    return float(2.0 ** ((low + high) / 2))


@dataclass(frozen=True, slots=True, eq=False)
class Around(OneProcess):
    """An engine of text around another one, by whose name and tokenizer it goes.

    Attributes
    ----------
    engine : engine of text
        The engine inside.
    """

    engine: Any

    @property
    def name(self) -> str:
        """Name of the engine inside, in the table ENGINES."""
        return str(self.engine.name)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the columns of logits."""
        labels: tuple[str, ...] = self.engine.labels
        return labels

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of all."""
        return self.engine.tokenizer

    @property
    def files(self) -> ModelFiles:
        """The files of the engine inside."""
        files: ModelFiles = self.engine.files
        return files

    @property
    def canaries(self) -> Sequence[Any]:
        """The texts of the engine inside."""
        canaries: Sequence[Any] = self.engine.canaries
        return canaries

    def prepare(self, texts: Sequence[str]) -> Tokens:
        """Tokenise n texts once, for all."""
        tokens: Tokens = self.engine.prepare(texts)
        return tokens

    def with_files(self, files: ModelFiles) -> Self:
        """Give the same engine with more files to save."""
        return replace(self, engine=self.engine.with_files(files))


@dataclass(frozen=True, slots=True, eq=False)
class Pooled(Around):
    """An engine of text with a second opinion; `engine` is the first one.

    Attributes
    ----------
    pool : Pool
        How both are mixed.
    """

    pool: Pool


def fine_tuned(engine: Any) -> Any:
    """Give the engine that opinions or a cascade were added to; the engine itself where there are none."""
    while isinstance(engine, Around):
        engine = engine.engine
    return engine


def readable(outputs: Outputs) -> NDArray[np.int64]:
    """Give the indices (m,) of the texts with logits."""
    return np.flatnonzero(np.isfinite(outputs.logits).all(axis=1))


def taken(opening: Opening, key: str, what: str) -> tuple[Pool, Opening]:
    """Take the pool under `key` out of the settings; ArtifactError, "holds `what` that cannot be read", if unusable."""
    settings = dict(opening.settings)
    with reading(opening.files.path / DESCRIPTION, f"holds {what} that cannot be read"):
        pool = Pool.read(settings.pop(key))
    return pool, replace(opening, settings=settings)


def pooled_fingerprint(key: str, pool: Pool, *inside: str) -> str:
    """Hash the fingerprints of two opinions, and how they are mixed."""
    return sha256(repr((key, pool, inside)).encode()).hexdigest()[:16]
