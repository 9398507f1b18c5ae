"""A second opinion beside a fine-tuned engine: the encoder as it came, with a head of its own.

Fine-tuning forgets what an encoder knew of texts in general. So the same texts are read once more by the encoder as it
was before: its embedding tells texts that are unlike the training texts, and its probabilities are mixed with those of
the fine-tuned model. It is asked only where it matters, where the fine-tuned model is unsure or raises few logits.

Mixing: log p = (1 - w) log p1 + w log p2, each after its own temperature (a logarithmic opinion pool: Genest & Zidek
1986, https://doi.org/10.1214/ss/1177013825). The mixture is one engine, calibrated and certified as a whole.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes, Floats, log_softmax, log_sum_exp, true_log_softmax
from elsewise.calibrators.best_temperature import best_temperature
from elsewise.engines.files import ModelFiles, Opening
from elsewise.engines.one_process import OneProcess
from elsewise.engines.tokenizer import Tokens
from elsewise.outputs import Outputs
from elsewise.storage.json_files import Json

HOME: Final = "second-opinion"  # folder of the encoder as it came, inside the model folder
KEY: Final = "second_opinion"  # its settings, among those of the fine-tuned engine
ASKED: Final = 0.2  # the second is asked where the first is in its lowest share of tune rows, by energy or confidence
FEWEST_ROWS: Final = 200  # tune rows that choose a weight; with fewer both count the same
WEIGHTS: Final = np.linspace(0.05, 0.95, 19)


@dataclass(frozen=True, slots=True)
class Pool:
    """How two opinions are mixed, and where the second is asked.

    Attributes
    ----------
    weight : float
        Weight of the second, 0..1.
    temperatures : tuple of float
        Temperature of the first, and of the second.
    energy, confidence : float
        The second is asked where the first's energy or its best probability is lower.
    """

    weight: float
    temperatures: tuple[float, float]
    energy: float
    confidence: float

    @classmethod
    def fit(cls, first: Floats, second: Floats, codes: Codes) -> "tuple[Pool, float, float]":
        """Fit on logits of both (n, k) for n tune rows with codes (n,), -1 for out-of-scope.

        Returns
        -------
        pool, gain, error
            Mean gain of log loss over all in-scope rows, in nats, judged on rows that did not choose the weight; and
            its standard error.
        """
        usable = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1) & (codes >= 0)
        first, second, codes = first[usable], second[usable], codes[usable]
        temperatures = tuple(float(best_temperature(z, codes) or 1) for z in (first, second))
        pool = cls(0.5, temperatures, -np.inf, -np.inf)  # type: ignore[arg-type]
        energy, confidence = pool.signs(first)
        pool = replace(pool, energy=_lowest(energy), confidence=_lowest(confidence))
        asked = pool.asks(first)
        halves = np.arange(len(codes)) % 2 == 0
        if len(codes) < FEWEST_ROWS:
            return pool, *_gain(pool, pool, first, second, codes, asked, halves)
        one, other = (pool.weighed(first, second, codes, asked & half) for half in (halves, ~halves))
        gain, error = _gain(other, one, first, second, codes, asked, halves)
        return pool.weighed(first, second, codes, asked), gain, error

    def signs(self, logits: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Energy and best probability of the first opinion, given its logits (n, k), shape (n,) each."""
        log_p = log_softmax(logits / logits.dtype.type(self.temperatures[0]))
        return log_sum_exp(logits).astype(np.float64), np.exp(log_p.max(axis=1).astype(np.float64))

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

    def losses(self, first: Floats, second: Floats, codes: Codes) -> NDArray[np.float64]:
        """Log loss of each of n mixed rows with codes (n,), in nats, shape (n,)."""
        return -true_log_softmax(self.mixed(first, second), codes).astype(np.float64)

    def weighed(self, first: Floats, second: Floats, codes: Codes, rows: NDArray[np.bool_]) -> "Pool":
        """Choose the weight with the least log loss on some of n rows, flags (n,); the same pool for none."""
        if not rows.any():
            return self
        z, other, y = first[rows], second[rows], codes[rows]
        pools = [replace(self, weight=float(weight)) for weight in WEIGHTS]
        return min(pools, key=lambda pool: float(pool.losses(z, other, y).mean()))


def _lowest(values: NDArray[np.float64]) -> float:
    return float(np.quantile(values, ASKED)) if len(values) else np.inf


def _gain(
    even: Pool, odd: Pool, first: Floats, second: Floats, codes: Codes, asked: NDArray[np.bool_],
    halves: NDArray[np.bool_],
) -> tuple[float, float]:  # fmt: skip
    """Mean gain of log loss over all rows, and its standard error: each half judged with its own pool."""
    gains = np.zeros(len(codes))
    for pool, half in ((even, halves), (odd, ~halves)):
        rows = asked & half
        alone = -true_log_softmax(pool.mixed(first[rows]), codes[rows]).astype(np.float64)
        gains[rows] = alone - pool.losses(first[rows], second[rows], codes[rows])
    n = len(gains)
    return (float(gains.mean()), float(gains.std() / np.sqrt(n))) if n else (0.0, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class SecondOpinion(OneProcess):
    """Runs the fine-tuned engine, and where it matters the encoder as it came.

    Its name and precision are those of the engines inside. Features, tokens and `truncated` are the first's; the
    outputs have the second's `embedding`, NaN where it was not asked.

    Attributes
    ----------
    engine, other : engines of text
        The fine-tuned model, and the encoder as it came with a head of its own; both with the same tokenizer.
    pool : Pool
        How both are mixed, and where the second is asked.
    """

    engine: Any
    other: Any
    pool: Pool

    @staticmethod
    def fingerprint_of(kind: Any, opening: Opening) -> str:
        """Compute the fingerprint before a library reads any file, given the class of both engines."""
        inside, pool = _parts(opening)
        return _fingerprint(pool, *(kind.fingerprint_of(one) for one in inside))

    @classmethod
    def open(cls, kind: Any, opening: Opening) -> Self:
        """Open both models with an engine's class, of the table ENGINES; raises as that engine."""
        inside, pool = _parts(opening)
        engine, other = (kind.open(one) for one in inside)
        return cls(engine, other, pool)

    @property
    def name(self) -> str:
        """Name of the engines inside, in the table ENGINES."""
        return str(self.engine.name)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the columns of logits."""
        labels: tuple[str, ...] = self.engine.labels
        return labels

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of both."""
        return self.engine.tokenizer

    @property
    def settings(self) -> Json:
        """What `open` needs besides the files (JSON)."""
        pool = {name: getattr(self.pool, name) for name in ("weight", "energy", "confidence")}
        return {**self.engine.settings, KEY: {**pool, "temperatures": list(self.pool.temperatures)}}

    @property
    def fingerprint(self) -> str:
        """Hash of both fingerprints, and of how they are mixed."""
        return _fingerprint(self.pool, self.engine.fingerprint, self.other.fingerprint)

    @property
    def canaries(self) -> Sequence[Any]:
        """The texts of the engine inside."""
        canaries: Sequence[Any] = self.engine.canaries
        return canaries

    @property
    def files(self) -> ModelFiles:
        """All files: those of the second under its folder."""
        files, below = (
            self.engine.files,
            {f"{HOME}/{name}": digest for name, digest in self.other.files.digests.items()},
        )
        return replace(files, digests={**files.digests, **below})

    @property
    def size(self) -> int:
        """Bytes of the files that both run from."""
        return int(self.engine.size + self.other.size)

    def save(self, folder: Path) -> None:
        """Copy the files of both into an existing folder."""
        self.engine.save(folder)
        (folder / HOME).mkdir(exist_ok=True)
        self.other.save(folder / HOME)

    def with_files(self, files: ModelFiles) -> Self:
        """Give the same engine with more files to save."""
        engine, other = self.engine.with_files(files.beside(HOME)), self.other.with_files(files.below(HOME))
        return replace(self, engine=engine, other=other)

    def prepare(self, texts: Sequence[str]) -> Tokens:
        """Tokenise n texts once, for both."""
        tokens: Tokens = self.engine.prepare(texts)
        return tokens

    def run(self, texts: Sequence[str] | Tokens) -> Outputs:
        """Return mixed logits (n, k), the first's features (n, d), and the second's embedding (n, d)."""
        tokens = texts if isinstance(texts, Tokens) else self.prepare(texts)
        return self._mixed(tokens, lambda engine, some: engine.run(some))

    def quick_run(self, tokens: Tokens) -> Outputs:
        """Return outputs as `run` does, faster on a fresh start; the last digits may differ."""
        return self._mixed(tokens, lambda engine, some: engine.quick_run(some))

    def _mixed(self, tokens: Tokens, ask: Callable[[Any, Tokens], Outputs]) -> Outputs:
        first = ask(self.engine, tokens)
        readable = np.flatnonzero(np.isfinite(first.logits).all(axis=1))
        asked = readable[self.pool.asks(first.logits[readable])]
        second = ask(self.other, tokens.take(asked))
        logits, embedding = first.logits.copy(), np.full((len(tokens), self.other.model.widths[1]), np.nan, np.float32)
        logits[readable] = self.pool.mixed(first.logits[readable])
        logits[asked] = self.pool.mixed(first.logits[asked], second.logits)
        embedding[asked] = second.features
        return replace(first, logits=logits, embedding=embedding)


def _parts(opening: Opening) -> tuple[tuple[Opening, Opening], Pool]:
    """Give what each model is opened from, and how they are mixed."""
    settings = dict(opening.settings)
    kept = settings.pop(KEY)
    first, second = (float(one) for one in kept["temperatures"])
    pool = Pool(float(kept["weight"]), (first, second), float(kept["energy"]), float(kept["confidence"]))
    places = opening.files.beside(HOME), opening.files.below(HOME)
    one, other = (replace(opening, files=files, settings=settings) for files in places)
    return (one, other), pool


def _fingerprint(pool: Pool, *inside: str) -> str:
    return sha256(repr((KEY, pool, inside)).encode()).hexdigest()[:16]
