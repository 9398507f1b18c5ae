"""Last-layer Laplace: lower confidence where the train texts say little about the last layer for a new text.

The weights of the last layer are taken as known up to a normal distribution around their trained values. Its precision
is ``prior * I + sum over train texts of p (1 - p) x x'``, in the features x with a constant 1 for the bias and p the
probability of the best label; all labels share it, as in Liu et al. (2020), https://arxiv.org/abs/2006.10108 (SNGP,
there on random features). It needs no training and no random draws of weights. See also Daxberger et al. (2021),
"Laplace Redux", https://arxiv.org/abs/2106.14806.

The variance v of the margin between two labels divides the logits by sqrt(1 + pi v / 8): MacKay (1992), "The evidence
framework applied to classification networks", exact to about 0.02 for two labels. The best label never changes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from statistics import NormalDist
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from elsewise.arrays import BLOCK, Codes, Floats, log_softmax, row_blocks, true_log_softmax
from elsewise.calibrators.best_temperature import best_temperature
from elsewise.engines import Engine, Stored, entry_of, fingerprint_of, open_entry, precision_of, prepared, quick_run
from elsewise.engines.files import Opening
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import InputError, reading
from elsewise.outputs import Outputs, entropy
from elsewise.storage.json_files import Json, read_arrays

FILE: Final = "laplace.safetensors"
PRIORS: Final = tuple(10 ** (half / 2) for half in range(12, -7, -1))  # 1e6 to 1e-3, the most cautious change first
FEWEST_ROWS: Final = 50  # tune rows to choose a prior on
FEWEST_DRAWS, FEWEST_NUMBERS = 32, 1024  # for the mutual information; with few labels more draws: they cost less
WINDOW: Final = 16_384  # train texts whose features are held at a time

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Laplace:
    """Lowers an engine's confidence where the train texts leave its last layer uncertain.

    Attributes
    ----------
    engine : Stored
        Any engine with features.
    vectors, values : (d + 1, d + 1) float32, (d + 1,) float64
        Eigenvectors of the precision without its prior, as columns (the last row is the bias), and eigenvalues: how
        much the train texts say in each direction.
    prior_precision : float
        Prior precision of every weight; infinity leaves the answers as they are.
    """

    name: ClassVar[str] = "laplace"
    engine: Stored
    vectors: NDArray[np.float32]
    values: Doubles
    prior_precision: float

    @classmethod
    def fit(cls, engine: Stored, train: Any, tune: Any, codes: Codes) -> Self:
        """Compute the precision from train texts, and choose the prior on tune texts.

        The best prior has the least log loss at its best temperature, since a temperature is fitted afterwards anyway:
        what counts is whether the right texts lose confidence. With fewer than 50 usable tune rows it is the largest
        prior, 1e6.

        Parameters
        ----------
        engine : Stored
            Any engine with features.
        train, tune : n and m texts, or what `prepared` made of them
            Unreadable texts are left out.
        codes : (m,)
            True codes of the tune texts, -1 for out-of-scope.

        Raises
        ------
        InputError
            If the engine gives no features, or there are no train texts.
        """
        if not len(train):
            raise InputError("Laplace needs train texts, got none")
        values, vectors = np.linalg.eigh(_precision(engine, train))
        made = cls(engine, vectors.astype(np.float32), np.maximum(values, 0), PRIORS[0])
        outputs = engine.run(tune)
        usable = np.isfinite(outputs.logits).all(axis=1) & (codes >= 0)
        if usable.sum() < FEWEST_ROWS:
            return made
        z, x, y = outputs.logits[usable], _features(outputs)[usable], codes[usable]
        return min((replace(made, prior_precision=prior) for prior in PRIORS), key=lambda one: one._log_loss(z, x, y))  # noqa: SLF001

    @staticmethod
    def fingerprint_of(opening: Opening) -> str:
        """Compute the fingerprint before a library reads the engine inside."""
        return _fingerprint(fingerprint_of(opening.settings["around"], opening), *_state(opening))

    @classmethod
    def open(cls, opening: Opening) -> Self:
        """Open the engine inside, and laplace.safetensors."""
        state = _state(opening)
        return cls(open_entry(opening.settings["around"], opening), *state)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the columns of logits."""
        return self.engine.labels

    @property
    def settings(self) -> Json:
        """What `open` needs besides the files (JSON)."""
        return {**precision_of(self.engine), "around": entry_of(self.engine), "prior_precision": self.prior_precision}

    @property
    def fingerprint(self) -> str:
        """Hash of the engine inside and of the numbers that change its answers."""
        return _fingerprint(self.engine.fingerprint, self.vectors, self.values, self.prior_precision)

    @property
    def canaries(self) -> Sequence[Any]:
        """The texts of the engine inside."""
        return self.engine.canaries

    @property
    def size(self) -> int:
        """Bytes of the files and numbers that the engine runs from."""
        engine: Any = self.engine
        return engine.size + self.vectors.nbytes + self.values.nbytes

    def save(self, folder: Path) -> None:
        """Write the files of the engine inside, and laplace.safetensors."""
        self.engine.save(folder)
        state = {"vectors": self.vectors, "values": self.values}
        save_file({name: np.ascontiguousarray(array) for name, array in state.items()}, folder / FILE)

    def prepare(self, texts: Sequence[Any]) -> Any:
        """Prepare texts for `run`, as the engine inside does."""
        return prepared(self.engine, texts)

    def run(self, texts: Any) -> Outputs:
        """Return logits of lower confidence (n, k), and the mutual information of label and weights (n,)."""
        return self._widened(self.engine.run(texts))

    def quick_run(self, ready: Any) -> Outputs:
        """Return outputs as `run` does, faster on a fresh start; the last digits may differ."""
        return self._widened(quick_run(self.engine, ready))

    def variance(self, features: Floats) -> Doubles:
        """Compute the variance of the margin between two labels, shape (n,), for features (n, d).

        One product of a vector and a matrix for each text: in a product of two matrices the last digits of a row depend
        on its place among the others.
        """
        root = (self.vectors / np.sqrt(self.values + self.prior_precision)).astype(np.float32)
        variance = np.empty(len(features))
        for rows in row_blocks(features):
            x = features[rows].astype(np.float32)
            x = np.concatenate([x, np.ones((len(x), 1), dtype=np.float32)], axis=1)
            variance[rows] = np.square((x[:, None, :] @ root)[:, 0], dtype=np.float64).sum(axis=1)
        return variance

    def _widened(self, outputs: Outputs) -> Outputs:
        variance = self.variance(_features(outputs))
        logits = mean_field(outputs.logits, variance)
        return replace(outputs, logits=logits, epistemic=mutual_information(outputs.logits, variance))

    def _log_loss(self, z: Floats, features: Floats, codes: Codes) -> float:
        widened = mean_field(z, self.variance(features))
        scaled = widened / widened.dtype.type(best_temperature(widened, codes) or 1)
        return -float(true_log_softmax(scaled, codes).mean(dtype=np.float64))


def mean_field(logits: Floats, variance: Doubles) -> Floats:
    """Divide each row of logits (n, k) by sqrt(1 + pi v / 8), v (n,) the variance of a margin.

    Examples
    --------
    For two labels, sigma(m / sqrt(1 + pi v / 8)): the margin 3 at variance 8 / pi is 3 / sqrt(2).

    >>> mean_field(np.array([[3.0, 0.0]]), np.array([8 / np.pi])).round(4).tolist()
    [[2.1213, 0.0]]
    """
    return (logits / np.sqrt(1 + math.pi / 8 * variance)[:, None]).astype(logits.dtype)


def mutual_information(logits: Floats, variance: Doubles) -> Doubles:
    """Approximate the mutual information of label and weights, in nats, shape (n,).

    Each logit is drawn with half of the variance, so that every margin has all of it. All texts share the standard
    normal draws. For each label they are evenly spaced in probability, in an order of its own, and made uncorrelated
    where there are more draws than labels (32 draws from 32 labels on, 512 for two). The result is at most the entropy
    of the `mean_field` probabilities, so that it is a part of it.

    Parameters
    ----------
    logits : (n, k)
        Before `mean_field`.
    variance : (n,)
        Variance of a margin.

    Examples
    --------
    >>> mutual_information(np.zeros((2, 2)), np.array([0.0, 1e8])).round(2).tolist()
    [0.0, 0.69]
    """
    draws = _draws(logits.shape[1])
    found = np.empty(len(logits))
    for rows in row_blocks(logits, BLOCK // draws.shape[1]):
        z, spread = logits[rows].astype(np.float64), np.sqrt(variance[rows] / 2)
        p, entropies = _softmax_and_entropy(z[:, :, None] + spread[:, None, None] * draws)
        mean = p.mean(axis=2)
        total = (mean * -np.log(np.where(mean > 0, mean, 1))).sum(axis=1)
        found[rows] = np.clip(total - entropies.mean(axis=1), 0, entropy(mean_field(z, variance[rows])))
    return found


def _softmax_and_entropy(z: Doubles) -> tuple[Doubles, Doubles]:
    """Compute probabilities of logits (n, k, draws), and their entropies (n, draws)."""
    z -= z.max(axis=1, keepdims=True)
    p = np.exp(z)
    total = p.sum(axis=1, keepdims=True)
    p /= total
    z *= p
    return p, np.log(total[:, 0]) - z.sum(axis=1)


@cache
def _draws(k: int) -> Doubles:
    """Give standard normal numbers (k, draws): evenly spaced for each label, and uncorrelated where k allows it."""
    count = max(FEWEST_DRAWS, FEWEST_NUMBERS // k)
    normal = NormalDist()
    even = np.array([normal.inv_cdf((i + 0.5) / count) for i in range(count)])
    rng = np.random.default_rng(0)
    drawn = np.stack([rng.permutation(even / even.std()) for _ in range(k)])
    if k >= count:
        return drawn
    left, _, right = np.linalg.svd(drawn, full_matrices=False)
    return left @ right * math.sqrt(count)


def _state(opening: Opening) -> tuple[NDArray[np.float32], Doubles, float]:
    """Read vectors (d + 1, d + 1), values (d + 1,) and the prior precision."""
    file = opening.files.need(FILE)
    with reading(file):
        arrays = read_arrays(file)
        return arrays["vectors"], arrays["values"], float(opening.settings["prior_precision"])


def _fingerprint(inside: str, vectors: NDArray[np.float32], values: Doubles, prior_precision: float) -> str:
    beside = (Laplace.name, inside, prior_precision, FEWEST_DRAWS, FEWEST_NUMBERS)
    return sha256(repr(beside).encode() + vectors.tobytes() + values.tobytes()).hexdigest()[:16]


def _precision(engine: Engine, train: Any) -> Doubles:
    """Sum p (1 - p) x x' over train texts, (d + 1, d + 1), the last row and column for the bias."""
    total: Any = 0.0
    for start in range(0, len(train), WINDOW):
        rows = range(start, min(start + WINDOW, len(train)))
        outputs = engine.run(train.take(rows) if isinstance(train, Tokens) else train[start : rows.stop])
        readable = np.isfinite(outputs.logits).all(axis=1)
        x = _features(outputs)[readable].astype(np.float64)
        x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
        p = np.exp(log_softmax(outputs.logits[readable].astype(np.float64))).max(axis=1)
        total = total + (x * (p * (1 - p))[:, None]).T @ x
    return total


def _features(outputs: Outputs) -> Floats:
    if outputs.features is None:
        raise InputError("Laplace needs the features of an engine, and this engine gives none")
    return outputs.features
