"""The baseline engine: TF-IDF of words and of pieces of words, and logistic regression.

scikit-learn trains it, in seconds; answering needs only numpy and scipy, and gives scikit-learn's answers. The features
are words and pairs of neighbouring words, as in `TfidfVectorizer(ngram_range=(1, 2))`, and pieces of 2 to 5 characters
within a word, as in `analyzer="char_wb", ngram_range=(2, 5)`; both with `sublinear_tf=True`.

Letters are lowered by `str.lower`, which is not Turkish: a capital dotless I becomes an i, and a capital I with a dot
becomes an i and a combining dot, which ends a word. So Turkish words in capitals count as different words from those in
small letters, in training as in answering; their pieces overlap. Accents are kept.
"""

import json
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from elsewise.arrays import Codes, as_texts, true_log_softmax
from elsewise.calibrators.best_temperature import best_temperature
from elsewise.engines.canaries import CANARIES
from elsewise.engines.files import Opening
from elsewise.errors import InputError, need, reading
from elsewise.outputs import Outputs
from elsewise.storage.json_files import Json, read_arrays, read_json

VOCABULARY: Final = "vocabulary.json"
WEIGHTS: Final = "weights.safetensors"

WORD: Final = re.compile(r"\b\w\w+\b")
PIECES: Final = (2, 5)
LONGEST: Final = 10_000  # characters read of a text
FEATURES: Final = 20_000  # at most, half of them words
NUMBERS: Final = 3_000_000  # weights at most: while they are learned, there are about 25 copies in float64
FEWEST_TEXTS: Final = 2  # texts that must hold a feature
COUNTED: Final = 50_000  # texts at most that features are chosen from

STRENGTHS: Final = (1.0, 10.0, 100.0)  # inverse regularisation strengths to try
TRIED_ON: Final = 5_000  # texts, while a strength is chosen
USUAL_STRENGTH: Final = 10.0
STEPS: Final = (10, 100)  # of the solver, at least and at most
WORK: Final = 6e8  # rows * labels * steps: about three minutes

CHUNK: Final = 512  # texts whose features are held at a time
REMEMBERED: Final = 200_000  # words whose pieces are looked up once
LONG_WORD: Final = 32  # characters; longer ones are rare, and not remembered
TERM_WEIGHTS: Final = np.concatenate([[0.0], 1 + np.log(np.arange(1, 4 * LONGEST))]).astype(np.float32)

Singles = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class TfidfEngine:
    """Linear logits of TF-IDF; a text without any known word or piece of a word is unreadable.

    Attributes
    ----------
    labels, words, pieces : tuple of str
        The k labels; the words and pieces that are counted are together f features.
    idf : (f,) float32
        How rare each feature is among the train texts.
    weights, biases : (k, f) and (k,) float32
        Of each label.

    Examples
    --------
    >>> pieces = np.ones(2, np.float32), np.float32([[1, -1], [-1, 1]]), np.zeros(2, np.float32)
    >>> TfidfEngine(("yes", "no"), ("sure", "never"), (), *pieces).run(["Sure!", "never", "?"]).logits.tolist()
    [[1.0, -1.0], [-1.0, 1.0], [nan, nan]]
    """

    name: ClassVar[str] = "sklearn"
    labels: tuple[str, ...]
    words: tuple[str, ...] = field(repr=False)
    pieces: tuple[str, ...] = field(repr=False)
    idf: Singles
    weights: Singles
    biases: Singles
    _features: "_Features" = field(init=False, repr=False)
    _columns: Singles = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("labels", "words", "pieces"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # a list is welcome
        k, f = len(self.labels), len(self.words) + len(self.pieces)
        for name, shape in (("idf", (f,)), ("weights", (k, f)), ("biases", (k,))):
            given = getattr(self, name)
            if given.shape != shape or given.dtype != np.float32 or not np.isfinite(given).all():
                raise InputError(f"{name} must be finite float32 of shape {shape}, got {given.dtype} {given.shape}")
        object.__setattr__(self, "_features", _Features(self.words, self.pieces))
        object.__setattr__(self, "_columns", np.ascontiguousarray(self.weights.T))

    @classmethod
    def fit(
        cls, texts: Sequence[str], codes: Codes, labels: Sequence[str], tune: Sequence[str], tune_codes: Codes
    ) -> Self:
        """Train on texts, with the strength of regularisation that is best on tune texts.

        The best strength has the least log loss at its best temperature, since a temperature is fitted afterwards
        anyway. Without tune texts it is 10.

        Parameters
        ----------
        texts, codes : n strings, (n,)
            Train texts and their codes 0..k-1, every code at least once.
        labels : k strings
            At least 2.
        tune, tune_codes : m strings, (m,)
            Tune texts and their codes, -1 for out-of-scope, to choose the strength on.

        Raises
        ------
        InputError
            If a label has no text, or no word or piece of a word is in two texts.
        MissingExtra
            If scikit-learn is not installed.
        """
        need("sklearn.linear_model", extra="sklearn")
        missing = np.flatnonzero(np.bincount(codes, minlength=len(labels)) == 0)
        if missing.size:
            raise InputError(f"label {labels[missing[0]]!r} has no text to learn from")
        each = min(FEATURES, NUMBERS // len(labels)) // 2
        counted = texts[:: -(-len(texts) // COUNTED)]
        words, pieces = (_frequent(map(kind, counted), each) for kind in (_words, _all_pieces))
        if not words and not pieces:
            raise InputError(f"no word or piece of a word is in {FEWEST_TEXTS} of {len(texts):,} texts")
        features = _Features(words, pieces)
        x = features.counts(texts)
        found = np.bincount(x.indices, minlength=x.shape[1])
        idf = (np.log((1 + len(texts)) / (1 + found)) + 1).astype(np.float32)
        x, tuned = (features.weighed(counts, idf) for counts in (x, features.counts(tune)))
        weights, biases = _learned(x, codes, _best_strength(x, codes, tuned, tune_codes))
        return cls(tuple(labels), words, pieces, idf, weights, biases)

    @classmethod
    def open(cls, opening: Opening) -> Self:
        """Open what `save` wrote, without scikit-learn; ArtifactError if a file is missing or damaged."""
        files = opening.files
        vocabulary, weights = files.need(VOCABULARY), files.need(WEIGHTS)
        counted = read_json(vocabulary)
        with reading(files.path, "holds no baseline that this version can read"):
            words, pieces = (_strings(counted[name]) for name in ("words", "pieces"))
            arrays = read_arrays(weights)
            return cls(opening.labels, words, pieces, *(arrays[name] for name in ("idf", "weights", "biases")))

    @property
    def settings(self) -> Json:
        """Nothing: everything is in the files."""
        return {}

    @property
    def fingerprint(self) -> str:
        """Hash of everything that the answers depend on."""
        made = sha256(json.dumps([self.labels, self.words, self.pieces]).encode())
        for array in (self.idf, self.weights, self.biases):
            made.update(array.tobytes())
        return made.hexdigest()[:16]

    @property
    def canaries(self) -> Sequence[str]:
        """Fixed texts of many scripts and lengths."""
        return CANARIES

    @property
    def size(self) -> int:
        """Bytes of the numbers that the engine answers with."""
        return self.idf.nbytes + self.weights.nbytes + self.biases.nbytes

    def save(self, folder: Path) -> None:
        """Write vocabulary.json and weights.safetensors."""
        saved = {"words": self.words, "pieces": self.pieces}  # as ASCII: a piece may be half of a surrogate pair
        (folder / VOCABULARY).write_text(json.dumps(saved), encoding="utf-8")
        arrays = {"idf": self.idf, "weights": self.weights, "biases": self.biases}
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / WEIGHTS)

    def run(self, texts: Iterable[str]) -> Outputs:
        """Return logits (n, k), float32; a row of NaN for a text without a known feature."""
        given = as_texts(texts)
        logits = np.empty((len(given), len(self.labels)), dtype=np.float32)
        for start in range(0, len(given), CHUNK):
            x = self._features.weighed(self._features.counts(given[start : start + CHUNK]), self.idf)
            part = logits[start : start + CHUNK]
            np.add(x @ self._columns, self.biases, out=part)
            part[np.diff(x.indptr) == 0] = np.nan
        return Outputs(logits, truncated=np.array([len(text) > LONGEST for text in given], dtype=np.bool_))


class _Features:
    """Counts words and pieces in texts; the pieces of a word are remembered, which changes no answer."""

    def __init__(self, words: Sequence[str], pieces: Sequence[str]) -> None:
        self.words = {word: i for i, word in enumerate(words)}
        self.pieces = {piece: i for i, piece in enumerate(pieces, start=len(words))}
        if len(self.words) < len(words) or len(self.pieces) < len(pieces):
            raise InputError("words and pieces must differ")
        self._remembered: dict[str, list[int]] = {}

    def counts(self, texts: Sequence[str]) -> Any:
        """Count features in n texts: a sparse matrix (n, f), in each row in the order of the features."""
        from scipy.sparse import csr_matrix  # noqa: PLC0415

        found = [np.array(self._find(text), dtype=np.int32) for text in texts]
        indices = np.concatenate([np.empty(0, dtype=np.int32), *found])
        ends = np.cumsum([0, *map(len, found)])
        shape = (len(texts), len(self.words) + len(self.pieces))
        counted = csr_matrix((np.ones(len(indices), np.float32), indices, ends), shape=shape)
        counted.sum_duplicates()
        return counted

    def weighed(self, counts: Any, idf: Singles) -> Any:
        """Turn counts into TF-IDF, in place: in each row the words have length 1, and the pieces too."""
        values = TERM_WEIGHTS[counts.data.astype(np.int64)] * idf[counts.indices]  # a table: no digit depends on place
        rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
        part = 2 * rows + (counts.indices >= len(self.words))
        counts.data = values / np.sqrt(np.bincount(part, weights=values.astype(np.float64) ** 2))[part]
        counts.data = counts.data.astype(np.float32)
        return counts

    def _find(self, text: str) -> list[int]:
        lowered, known, remembered = text[:LONGEST].lower(), self.words, self._remembered
        found = [known[word] for word in _of_words(WORD.findall(lowered)) if word in known]
        for word in lowered.split():
            pieces = remembered.get(word)
            if pieces is None:
                pieces = [self.pieces[piece] for piece in _pieces(word) if piece in self.pieces]
                if len(word) <= LONG_WORD:
                    if len(remembered) >= REMEMBERED:
                        remembered.clear()
                    remembered[word] = pieces
            found.extend(pieces)
        return found


def _of_words(words: list[str]) -> list[str]:
    return words + [f"{one} {next_one}" for one, next_one in pairwise(words)]


def _words(text: str) -> set[str]:
    return set(_of_words(WORD.findall(text[:LONGEST].lower())))


def _all_pieces(text: str) -> set[str]:
    return {piece for word in set(text[:LONGEST].lower().split()) for piece in _pieces(word)}


def _pieces(word: str) -> Iterator[str]:
    """Yield the pieces of a word with a blank at both ends; a short word is itself a piece, once."""
    padded = f" {word} "
    least, most = PIECES
    for size in range(least, min(most, len(padded)) + 1):
        yield from (padded[start : start + size] for start in range(len(padded) - size + 1))


def _frequent(found: Iterable[set[str]], most: int) -> tuple[str, ...]:
    """Give the features that are in the most texts, in alphabetical order; those in a single text are left out."""
    texts = Counter(chain.from_iterable(found))
    known = [feature for feature, count in texts.items() if count >= FEWEST_TEXTS]
    known.sort(key=lambda feature: (-texts[feature], feature))
    return tuple(sorted(known[:most]))


def _learned(x: Any, codes: Codes, strength: float, rows: slice = slice(None)) -> tuple[Singles, Singles]:
    """Fit a logistic regression."""
    linear = need("sklearn.linear_model", extra="sklearn")
    least, most = STEPS
    k = int(codes.max()) + 1
    steps = int(np.clip(WORK / (x.shape[0] * k), least, most))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged: the number of steps is limited on purpose
        fitted = linear.LogisticRegression(C=strength, max_iter=steps, tol=1e-3).fit(x[rows], codes[rows])
    weights, biases = fitted.coef_, fitted.intercept_
    if len(weights) < k:  # two labels have one column between them
        weights, biases = np.vstack([-weights, weights]) / 2, np.array([-biases[0], biases[0]]) / 2
    return weights.astype(np.float32), biases.astype(np.float32)


def _best_strength(x: Any, codes: Codes, tune: Any, tune_codes: Codes) -> float:
    """Compare the strengths on some of the texts."""
    usable = (tune_codes >= 0) & (np.diff(tune.indptr) > 0)
    tune, truth = tune[usable], tune_codes[usable]
    if not len(truth):
        return USUAL_STRENGTH
    some = slice(None, None, max(1, x.shape[0] // TRIED_ON))
    if len(np.unique(codes[some])) <= codes.max():
        some = slice(None)
    losses = {}
    for strength in STRENGTHS:
        weights, biases = _learned(x, codes, strength, some)
        logits = tune @ weights.T + biases
        scaled = logits / np.float32(best_temperature(logits, truth) or 1)
        losses[strength] = -float(true_log_softmax(scaled, truth).mean(dtype=np.float64))
    return min(losses, key=lambda strength: losses[strength])


def _strings(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError("words and pieces must be lists of strings")
    return tuple(values)
