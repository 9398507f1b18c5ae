"""A second opinion beside a fine-tuned engine: the encoder as it came, with a head of its own.

Fine-tuning forgets what an encoder knew of texts in general. So the same texts are read once more by the encoder as it
was before: its embedding tells texts that are unlike the training texts, and its probabilities are mixed with those of
the fine-tuned model. It is asked only where it matters, where the fine-tuned model is unsure or raises few logits.

Mixing: log p = (1 - w) log p1 + w log p2, each after its own temperature (a logarithmic opinion pool: Genest & Zidek
1986, https://doi.org/10.1214/ss/1177013825). The mixture is one engine, calibrated and certified as a whole.
"""

from collections.abc import Sequence
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
from elsewise.errors import InputError, reading
from elsewise.outputs import Outputs
from elsewise.storage.json_files import Json

HOME: Final = "second-opinion"  # folder of the encoder as it came, inside the model folder
DESCRIPTION: Final = "elsewise.json"  # holds the settings
KEY: Final = "second_opinion"  # its settings, among those of the fine-tuned engine
ASKED: Final = 0.2  # the second is asked where the first is in its lowest share of tune rows, by energy or confidence
FEWEST_ROWS: Final = 200  # tune rows that choose a weight; with fewer both count the same
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
    """

    log_loss_gain: float
    standard_error: float
    share_asked: float

    @property
    def is_clear(self) -> bool:
        """Whether the gain is larger than its standard error."""
        return self.log_loss_gain > self.standard_error


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
        The second is asked where the first's energy or its best probability is lower.

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
    energy: float
    confidence: float

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise InputError(f"the weight of a second opinion must lie in 0..1, got {self.weight}")
        if not all(0 < one < np.inf for one in self.temperatures):
            raise InputError(f"the temperatures of two opinions must be above 0 and finite, got {self.temperatures}")
        if np.isnan((self.energy, self.confidence)).any():
            raise InputError("a second opinion is asked below an energy and a confidence, and NaN is neither")

    @classmethod
    def fit(cls, first: Floats, second: Floats, codes: Codes) -> "tuple[Pool, Worth]":
        """Fit on logits of both (n, k) for n tune rows with codes (n,), -1 for out-of-scope.

        Which rows are asked about never depends on their codes. InputError if no in-scope row can be read by both.
        """
        usable = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1) & (codes >= 0)
        first, second, codes = first[usable], second[usable], codes[usable]
        temperatures = (best_temperature(first, codes) or 1.0, best_temperature(second, codes) or 1.0)
        even = cls(0.5, temperatures, np.inf, np.inf)
        energy, confidence = (float(np.quantile(sign, ASKED)) for sign in even.signs(first))
        even = replace(even, energy=energy, confidence=confidence)
        asked = even.asks(first)

        def chosen(rows: NDArray[np.bool_]) -> Pool:
            return even.weighed(first, second, codes, rows) if len(codes) >= FEWEST_ROWS else even

        gains, halves = np.zeros(len(codes)), np.arange(len(codes)) % 2 == 0
        for half in (halves, ~halves):
            rows, pool = asked & half, chosen(asked & ~half)
            alone, both = pool.mixed(first[rows]), pool.mixed(first[rows], second[rows])
            gains[rows] = true_log_softmax(both, codes[rows]) - true_log_softmax(alone, codes[rows])
        worth = Worth(float(gains.mean()), float(gains.std() / np.sqrt(len(gains))), float(asked.mean()))
        return chosen(asked), worth

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
        """Compute the fingerprint before a library reads any file; `kind` is the class of the engines inside."""
        inside, pool = _parts(opening)
        return _fingerprint(pool, *(kind.fingerprint_of(one) for one in inside))

    @classmethod
    def open(cls, kind: Any, opening: Opening) -> Self:
        """Open both models with an engine's class; raises as that engine, and ArtifactError for unusable settings."""
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
        files: ModelFiles = self.engine.files
        below = {f"{HOME}/{name}": digest for name, digest in self.other.files.digests.items()}
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
        """Return mixed logits (n, k), the first's features (n, d), and the second's embedding (n, e)."""
        tokens = texts if isinstance(texts, Tokens) else self.prepare(texts)
        first = self.engine.run(tokens)
        readable = _readable(first)
        asked = readable[self.pool.asks(first.logits[readable])]
        return self._mixed(first, asked, self.other.run(tokens.take(asked)))

    def quick_run(self, tokens: Tokens) -> Outputs:
        """Ask both about every text, faster on a fresh start; the last digits may differ.

        Canary texts go this way: last digits never decide whether the second is asked, and so jump to another answer.
        """
        first = self.engine.quick_run(tokens)
        asked = _readable(first)
        return self._mixed(first, asked, self.other.quick_run(tokens.take(asked)))

    def _mixed(self, first: Outputs, asked: NDArray[np.int64], second: Outputs) -> Outputs:
        """Mix the first's outputs of n texts with the second's of the texts `asked` (m,).

        A text that the second gives no number for has none.
        """
        logits = first.logits.copy()
        embedding = np.full((len(logits), self.other.model.widths[1]), np.nan, np.float32)
        alone, heard = np.setdiff1d(_readable(first), asked), _readable(second)
        logits[alone], logits[asked] = self.pool.mixed(first.logits[alone]), np.nan
        logits[asked[heard]] = self.pool.mixed(first.logits[asked[heard]], second.logits[heard])
        embedding[asked] = second.features
        return replace(first, logits=logits, embedding=embedding)


def _readable(outputs: Outputs) -> NDArray[np.int64]:
    return np.flatnonzero(np.isfinite(outputs.logits).all(axis=1))


def _parts(opening: Opening) -> tuple[tuple[Opening, Opening], Pool]:
    """Give what each model is opened from, and how they are mixed; ArtifactError for settings that cannot be."""
    settings, files = dict(opening.settings), opening.files
    with reading(files.path / DESCRIPTION, "holds a second opinion that cannot be read"):
        kept = settings.pop(KEY)
        first, second = (float(one) for one in kept["temperatures"])
        pool = Pool(float(kept["weight"]), (first, second), float(kept["energy"]), float(kept["confidence"]))
    places = files.beside(HOME), files.below(HOME)
    one, other = (replace(opening, files=place, settings=settings) for place in places)
    return (one, other), pool


def _fingerprint(pool: Pool, *inside: str) -> str:
    return sha256(repr((KEY, pool, inside)).encode()).hexdigest()[:16]
