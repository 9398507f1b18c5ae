"""Model outputs before a rule decides: logits, features and uncertainty of n texts, and calibrated probabilities."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes, Floats, as_probabilities
from elsewise.errors import InputError

WITHOUT_EPISTEMIC: Final = "a mutual information, and the engine gives none; fit with ensemble, mc_dropout or laplace"

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """Outputs of an engine for n texts, as columns of equal length.

    Attributes
    ----------
    logits : (n, k)
        A row of NaN is an unreadable text: nothing of it reached the model.
    features : (n, d) or None
        Input of the last linear layer.
    tokens, truncated : (n,) int64 and bool, or None
        Tokens used for each text, special tokens included; whether the text was longer than the engine reads.
    epistemic : (n,) or None
        Disagreement of several models, or of draws of one model's weights: the mutual information of label and model
        in nats, 0 where all agree.
    embedding : (n, e) or None
        Embedding of each text by the encoder as it came, at length 1; NaN where it was not asked.
    early : (n,) bool or None
        Texts that the first stage of a cascade answers: the encoder does not read them, and features are NaN.
    alone : (n, k) or None
        Logits of the fine-tuned model alone, where other opinions are mixed in; NaN for a text that it did not read.
    """

    logits: Floats
    features: Floats | None = None
    tokens: NDArray[np.int64] | None = None
    truncated: NDArray[np.bool_] | None = None
    epistemic: NDArray[np.float64] | None = None
    embedding: Floats | None = None
    early: NDArray[np.bool_] | None = None
    alone: Floats | None = None

    def take(self, rows: NDArray[Any]) -> "Outputs":
        """Select m of n texts by indices (m,) or flags (n,)."""
        columns = (getattr(self, name) for name in Outputs.__dataclass_fields__)
        return Outputs(*(None if column is None else column[rows] for column in columns))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, eq=False)
class Uncertainty:
    """Uncertainty of the labels of n texts, in nats: ``total == aleatoric + epistemic``.

    Attributes
    ----------
    total, aleatoric, epistemic : (n,)
        Entropy of the probabilities, from 0 (one label is certain) to ln k (all are equal); the part every model leaves
        open, because the text itself is ambiguous; and the disagreement of models, which more training texts of this
        kind would remove.
    """

    total: NDArray[np.float64]
    aleatoric: NDArray[np.float64]
    epistemic: NDArray[np.float64]


def uncertainty(outputs: Outputs) -> Uncertainty:
    """Split the uncertainty of n texts into what the texts leave open and what the model does not know.

    Computed before calibration. Unreadable texts have NaN. InputError if the engine gives no mutual information.

    Examples
    --------
    >>> parts = uncertainty(Outputs(np.zeros((1, 2)), epistemic=np.array([0.2])))
    >>> [part.round(4).tolist() for part in (parts.total, parts.aleatoric, parts.epistemic)]
    [[0.6931], [0.4931], [0.2]]
    """
    if outputs.epistemic is None:
        raise InputError(f"the parts of uncertainty need {WITHOUT_EPISTEMIC}")
    aleatoric = np.maximum(entropy(outputs.logits) - outputs.epistemic, 0)  # rounding may leave -1e-8
    return Uncertainty(aleatoric + outputs.epistemic, aleatoric, outputs.epistemic)


@dataclass(frozen=True, slots=True, eq=False)
class References:
    """Training texts from which a score measures the distance of new texts.

    Attributes
    ----------
    features, codes : (m, d) and (m,)
        Features from the engine that answers; true codes, 0..k-1.
    embedding : (m, e) or None
        Embeddings by the encoder as it came, at length 1.
    """

    features: Floats
    codes: Codes
    embedding: Floats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Probabilities of n texts, and the engine outputs they were computed from.

    Attributes
    ----------
    probabilities : (n, k)
        Rows sum to 1; a row of NaN is an unreadable text.
    outputs : Outputs or None
        None when only probabilities were given.
    familiarity : (n,) float64 or None
        P-value: at most a share p of in-scope texts has p or less. None where no `FamiliarityTest` judged the texts.
    nearest : (n, 2) int64 or None
        The two labels with the nearest training texts; -1 for none.
    """

    probabilities: Floats
    outputs: Outputs | None = None
    familiarity: NDArray[np.float64] | None = None
    nearest: Codes | None = None

    @classmethod
    def of(cls, outputs: Outputs, calibrator: Callable[[Floats], Floats]) -> Self:
        """Calibrate outputs with logits (n, k); unreadable rows stay NaN and never reach the calibrator."""
        readable = np.isfinite(outputs.logits).all(axis=1)
        if readable.all():
            return cls(calibrator(outputs.logits), outputs)
        probabilities = np.full(outputs.logits.shape, np.nan, dtype=outputs.logits.dtype)
        if readable.any():
            probabilities[readable] = calibrator(outputs.logits[readable])
        return cls(probabilities, outputs)

    def __len__(self) -> int:
        """Count the texts."""
        return len(self.probabilities)

    def take(self, rows: NDArray[Any]) -> "Evidence":
        """Select m of n texts by indices (m,) or flags (n,)."""
        familiarity, nearest = (None if column is None else column[rows] for column in (self.familiarity, self.nearest))
        return Evidence(self.probabilities[rows], self.outputs and self.outputs.take(rows), familiarity, nearest)

    @property
    def logits(self) -> Floats:
        """Logits, shape (n, k); InputError where only probabilities are known."""
        if self.outputs is None:
            raise InputError("this score needs logits, got only probabilities; pass an Evidence with outputs")
        return self.outputs.logits

    @property
    def has_features(self) -> bool:
        """Whether the engine gives features."""
        return self.outputs is not None and self.outputs.features is not None

    @property
    def features(self) -> Floats:
        """Features, shape (n, d); InputError where the engine gives none."""
        if self.outputs is None or self.outputs.features is None:
            raise InputError("this score needs features, and the engine gives none")
        return self.outputs.features

    @property
    def embedding(self) -> Floats | None:
        """Embeddings by the encoder as it came, shape (n, e); None where the engine gives none."""
        return None if self.outputs is None else self.outputs.embedding

    @property
    def early(self) -> NDArray[np.bool_] | None:
        """Texts that the first stage of a cascade answers, shape (n,); None where there is no cascade."""
        return None if self.outputs is None else self.outputs.early

    @property
    def epistemic(self) -> NDArray[np.float64]:
        """Mutual information of label and model, shape (n,); InputError where the engine gives none."""
        if self.outputs is None or self.outputs.epistemic is None:
            raise InputError(f"this score needs {WITHOUT_EPISTEMIC}")
        return self.outputs.epistemic


def as_evidence(values: Any) -> Evidence:
    """Wrap probabilities (n, k), rows of NaN allowed, as evidence; evidence is returned as it is.

    Examples
    --------
    >>> len(as_evidence([[0.5, 0.5], [0.1, 0.9]]))
    2
    """
    return values if isinstance(values, Evidence) else Evidence(as_probabilities(values, allow_nan_rows=True))


@dataclass(frozen=True, slots=True)
class ReadSpan:
    """How much of a text the model read.

    Attributes
    ----------
    tokens : int
        Tokens used, special tokens included; 0 for an empty text.
    unknown : tuple of str
        Pieces of the text that are not in the vocabulary: the model sees only that there was something.
    truncated, last_words : bool, str
        Whether the text was cut, and the last words that were read of a cut text.
    characters, characters_read : int
        Characters of the text, and how many of them were read.
    """

    tokens: int
    unknown: tuple[str, ...]
    truncated: bool
    characters: int
    characters_read: int
    last_words: str = ""


def mixture(logits: Iterable[Floats]) -> tuple[Doubles, Doubles]:
    """Average the probabilities of an ensemble's members, and measure how much they disagree.

    Source: Depeweg, Hernandez-Lobato, Doshi-Velez & Udluft (2018), https://arxiv.org/abs/1710.07283. The entropy of the
    mean is the total uncertainty. The mean entropy is aleatoric. Their difference, never negative, is epistemic: the
    mutual information of label and member.

    Parameters
    ----------
    logits : iterable of (n, k)
        Logits of each member, read one member at a time; a row with NaN gives a row of NaN.

    Returns
    -------
    (n, k) and (n,)
        Logarithms of the mean probabilities, finite where probabilities would round to zero; and the mutual information
        in nats, from 0 (all agree) to the logarithm of the number of members.

    Examples
    --------
    Two members that are sure of different labels: ln 2 in all, and all of it is disagreement.

    >>> z = np.array([[900.0, 0.0]])
    >>> log_mean, epistemic = mixture([z, -z])
    >>> np.exp(log_mean).tolist(), epistemic.round(4).tolist()
    ([[0.5, 0.5]], [0.6931])
    """
    sums: Doubles | None = None
    entropies, members = np.zeros(1), 0
    for members, z in enumerate(logits, start=1):  # noqa: B007  counted here
        log_p = _log_softmax(z)
        entropies = entropies + _entropy(log_p)
        with np.errstate(invalid="ignore"):  # NaN in, NaN out
            sums = log_p if sums is None else np.logaddexp(sums, log_p)
    if sums is None:
        raise ValueError("a mixture needs a member")
    log_mean = sums - math.log(members)
    return log_mean, np.maximum(_entropy(log_mean) - entropies / members, 0)  # rounding may leave -1e-16


def entropy(logits: Floats) -> Doubles:
    """Entropy of the softmax of logits (n, k) in nats, shape (n,): from 0 (one label is certain) to ln k (all equal).

    Examples
    --------
    >>> entropy(np.array([[0.0, 0.0], [900.0, 0.0]])).round(4).tolist()
    [0.6931, 0.0]
    """
    return _entropy(_log_softmax(logits))


def _log_softmax(z: Floats) -> Doubles:
    shifted = z - z.max(axis=1, keepdims=True).astype(np.float64)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def _entropy(log_p: Doubles) -> Doubles:
    return (np.exp(log_p) * -log_p).sum(axis=1)
