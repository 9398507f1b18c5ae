"""Token counts beside a fine-tuned engine: which tokens a text holds, and how often, whatever their order.

TF-IDF of tokens and logistic regression, on the tokens that the encoder reads. It sees single words of a long text that
the encoder's one vector has no room for, and costs next to nothing, so it is asked about every text. Its probabilities
are mixed with those of the fine-tuned model (`elsewise.engines.pool`). Unlike the baseline, it needs no words: the rows
that a folder keeps as tokens can be certified again with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from elsewise.arrays import Codes
from elsewise.engines.files import ModelFiles, Opening
from elsewise.engines.logistic_regression import logistic_regression
from elsewise.engines.pool import Pooled, pooled_fingerprint, readable, taken
from elsewise.engines.tfidf import NUMBERS, TERM_WEIGHTS
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import ArtifactError, InputError, reading
from elsewise.outputs import Outputs
from elsewise.storage.json_files import Json, read_arrays

KEY: Final = "token_counts"  # its settings, among those of the fine-tuned engine
FILE: Final = "token-counts.safetensors"
STRENGTH: Final = 10.0  # inverse regularisation strength C
STEPS: Final = 100  # of the solver, at most
FEWEST_TEXTS: Final = 2  # texts that must hold a token

Singles = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class TokenCounts:
    """Linear logits of the TF-IDF of tokens.

    Attributes
    ----------
    ids : (f,) int32
        The tokens that are counted, in ascending order.
    idf : (f,) float32
        How rare each is among the train texts.
    weights, biases : (k, f) and (k,) float32
        Of each label.

    Examples
    --------
    >>> known = Tokens.of([[101, 7, 8], [101, 7, 7], [101, 9, 8], [101, 9, 9]])
    >>> made = TokenCounts.learn(known, np.array([0, 0, 1, 1]), 2, special=(101,))
    >>> made.ids.tolist(), made.logits(Tokens.of([[101, 7], [101, 9, 9]])).argmax(axis=1).tolist()
    ([7, 8, 9], [0, 1])
    """

    ids: NDArray[np.int32]
    idf: Singles
    weights: Singles
    biases: Singles

    def __post_init__(self) -> None:
        k, f = len(self.biases), len(self.ids)
        shapes = {"ids": (f,), "idf": (f,), "weights": (k, f), "biases": (k,)}
        for name, shape in shapes.items():
            given, kind = getattr(self, name), np.int32 if name == "ids" else np.float32
            if given.shape != shape or given.dtype != kind or not np.isfinite(given).all():
                raise InputError(f"{name} must be finite {kind.__name__} of shape {shape}, got {given.dtype}")
        if (np.diff(self.ids) <= 0).any():
            raise InputError("ids must be in ascending order")

    @classmethod
    def learn(cls, tokens: Tokens, codes: Codes, k: int, special: Sequence[int]) -> Self:
        """Fit on m train texts with codes (m,), 0..k-1; tokens that are `special` or in one text only are left out.

        Of more tokens than there may be weights for, the most frequent are taken.
        """
        pairs = np.unique(np.stack([tokens.ids, _rows(tokens)]), axis=1)[0]
        ids, texts = np.unique(pairs[~np.isin(pairs, special)], return_counts=True)
        usual = np.flatnonzero(texts >= FEWEST_TEXTS)
        usual = np.sort(usual[np.argsort(-texts[usual], kind="stable")][: NUMBERS // k])
        idf = np.log((1 + len(tokens)) / (1 + texts[usual])) + 1
        ids = ids[usual].astype(np.int32)
        x, _ = _tf_idf(tokens, ids, idf.astype(np.float32))
        return cls(ids, idf.astype(np.float32), *logistic_regression(x, codes, k, STRENGTH, STEPS))

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read what `save` wrote; ArtifactError if it is damaged."""
        with reading(file, "holds no token counts that this version can read"):
            arrays = read_arrays(file)
            return cls(*(arrays[name] for name in ("ids", "idf", "weights", "biases")))

    @cached_property
    def content(self) -> bytes:
        """The bytes of its file."""
        return save({name: np.ascontiguousarray(getattr(self, name)) for name in ("ids", "idf", "weights", "biases")})

    def logits(self, tokens: Tokens) -> Singles:
        """Return logits (n, k) of n texts; those of a text without a known token are the biases."""
        return self._logits(_tf_idf(tokens, self.ids, self.idf)[0])

    def judged(self, tokens: Tokens, silent: Sequence[int]) -> tuple[Singles, NDArray[np.float64]]:
        """Return logits (n, k), and how much of each text is known, 0..1, shape (n,).

        A text is as long as the vector of its TF-IDF, where unknown tokens weigh as the rarest known ones. Tokens that
        are `silent` count for nothing.

        Examples
        --------
        >>> weights, biases = np.ones((2, 2), np.float32), np.zeros(2, np.float32)
        >>> made = TokenCounts(np.int32([7, 8]), np.float32([2, 2]), weights, biases)
        >>> made.judged(Tokens.of([[101, 7], [101, 7, 99], [101, 99], [101]]), silent=(101,))[1].round(3).tolist()
        [1.0, 0.707, 0.0, 0.0]
        """
        x, known = _tf_idf(tokens, self.ids, self.idf)
        is_new = ~np.isin(tokens.ids, np.union1d(self.ids, silent))
        unknown = np.bincount(_rows(tokens)[is_new], minlength=len(tokens))
        whole = np.sqrt(known**2 + unknown * float(self.idf.max(initial=1)) ** 2)
        return self._logits(x), known / np.where(whole > 0, whole, 1)

    def _logits(self, x: Any) -> Singles:
        return np.asarray(x @ self._columns + self.biases, dtype=np.float32)

    @cached_property
    def _columns(self) -> Singles:
        return np.ascontiguousarray(self.weights.T)


@dataclass(frozen=True, slots=True, eq=False)
class WithTokenCounts(Pooled):
    """Runs the fine-tuned engine, and mixes what the tokens alone say.

    Everything but the logits is the first's.

    Attributes
    ----------
    counts : TokenCounts
        The second opinion.
    """

    counts: TokenCounts = field(repr=False)

    @property
    def model(self) -> Any:
        """The model of the first."""
        return self.engine.model

    @property
    def settings(self) -> Json:
        """What `open_engine` needs besides the files (JSON)."""
        return {**self.engine.settings, KEY: self.pool.settings}

    @property
    def fingerprint(self) -> str:
        """Hash of both, and of how they are mixed."""
        return pooled_fingerprint(KEY, self.pool, self.engine.fingerprint, sha256(self.counts.content).hexdigest())

    @property
    def size(self) -> int:
        """Bytes of the files that both run from."""
        return int(self.engine.size) + len(self.counts.content)

    def save(self, folder: Path) -> None:
        """Write the files of both into an existing folder."""
        self.engine.save(folder)
        (folder / FILE).write_bytes(self.counts.content)

    def run(self, texts: Sequence[str] | Tokens) -> Outputs:
        """Return mixed logits (n, k) and the first's features (n, d)."""
        tokens = texts if isinstance(texts, Tokens) else self.prepare(texts)
        return self._mixed(self.engine.run(tokens), tokens)

    def quick_run(self, tokens: Tokens) -> Outputs:
        """Return outputs as `run` does, faster on a fresh start; the last digits may differ."""
        return self._mixed(self.engine.quick_run(tokens), tokens)

    def _mixed(self, first: Outputs, tokens: Tokens) -> Outputs:
        rows, logits = readable(first), first.logits.copy()
        logits[rows] = self.pool.mixed(first.logits[rows], self.counts.logits(tokens.take(rows)))
        return replace(first, logits=logits, alone=first.logits)


def open_engine(kind: Any, opening: Opening) -> Any:
    """Open an engine of class `kind`, with its token counts where the settings have any; raises as that engine."""
    if KEY not in opening.settings:
        return kind.open(opening)
    pool, first = taken(opening, KEY, "token counts")
    counts = TokenCounts.read(opening.files.need(FILE))
    engine = kind.open(first)
    check_labels(counts, engine, opening.files)
    return WithTokenCounts(engine, pool, counts)


def check_labels(counts: TokenCounts, engine: Any, files: ModelFiles) -> None:
    """Raise ArtifactError if token counts are of another number of labels than the engine."""
    if len(counts.biases) != len(engine.labels):
        found = f"{len(counts.biases)} labels, and the model has {len(engine.labels)}"
        raise ArtifactError(f"{files.path / FILE} counts tokens for {found}")


def fingerprint_of(kind: Any, opening: Opening) -> str:
    """Compute the fingerprint of what `open_engine` opens, before a library reads any file."""
    if KEY not in opening.settings:
        return str(kind.fingerprint_of(opening))
    pool, first = taken(opening, KEY, "token counts")
    opening.files.need(FILE)
    return pooled_fingerprint(KEY, pool, kind.fingerprint_of(first), opening.files.digests[FILE])


def _rows(tokens: Tokens) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(tokens)), tokens.lengths)


def _tf_idf(tokens: Tokens, ids: NDArray[np.int32], idf: Singles) -> tuple[Any, NDArray[np.float64]]:
    """Weigh the known tokens of n texts: a sparse matrix (n, f) of float32, its rows of length 1, and those before."""
    from scipy.sparse import csr_matrix  # noqa: PLC0415

    at = np.minimum(np.searchsorted(ids, tokens.ids), max(len(ids) - 1, 0))
    known = ids[at] == tokens.ids if len(ids) else np.zeros(len(at), dtype=np.bool_)
    rows, at = _rows(tokens)[known], at[known]
    ends = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(tokens)))])
    found = csr_matrix((np.ones(len(at), np.float32), at, ends), shape=(len(tokens), len(ids)))
    found.sum_duplicates()
    values = (TERM_WEIGHTS[found.data.astype(np.int64)] * idf[found.indices]).astype(np.float64)
    rows = np.repeat(np.arange(len(tokens)), np.diff(found.indptr))
    lengths = np.sqrt(np.bincount(rows, weights=values**2, minlength=len(tokens)))
    found.data = (values / lengths[rows]).astype(np.float32)
    return found, lengths
