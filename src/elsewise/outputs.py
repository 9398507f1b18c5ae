"""What is known of n texts before a rule decides: the outputs of an engine, or of several, and the evidence of them."""

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
    """What an engine says of n texts, as columns of equal length.

    Attributes
    ----------
    logits : (n, k)
        A row of NaN is a text that could not be read: nothing of it reached the model.
    features : (n, d) or None
        The input of the last linear layer.
    tokens : (n,) or None
        Tokens used for each text, special ones included.
    truncated : (n,) bool or None
        Whether a text was longer than the engine reads.
    epistemic : (n,) or None
        What several models, or one model's doubt about its own weights, disagree by: the mutual information of label
        and model in nats, 0 where all agree.
    """

    logits: Floats
    features: Floats | None = None
    tokens: NDArray[np.int64] | None = None
    truncated: NDArray[np.bool_] | None = None
    epistemic: NDArray[np.float64] | None = None

    def take(self, rows: NDArray[Any]) -> "Outputs":
        """Select m of n texts: by their indices (m,), or by a flag for each (n,)."""
        columns = (getattr(self, name) for name in Outputs.__dataclass_fields__)
        return Outputs(*(None if column is None else column[rows] for column in columns))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, eq=False)
class Uncertainty:
    """What is not known of the labels of n texts, in nats: ``total == aleatoric + epistemic``.

    Attributes
    ----------
    total : (n,)
        Entropy of the probabilities; 0 where one label is certain, ln k where none stands out.
    aleatoric : (n,)
        What every model leaves open: the text itself does not say which label.
    epistemic : (n,)
        What models disagree by; more training texts of this kind would remove it.
    """

    total: NDArray[np.float64]
    aleatoric: NDArray[np.float64]
    epistemic: NDArray[np.float64]


def uncertainty(outputs: Outputs) -> Uncertainty:
    """Divide what is not known of n texts into what the texts leave open and what the model does not know.

    Of the outputs as the engine gives them, before a calibrator; rows of NaN for texts that could not be read.

    Raises
    ------
    InputError
        If the engine gives no mutual information.

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
    """Texts that the model was trained on, from which a score measures how far away another text is.

    Attributes
    ----------
    features : (m, d)
        As the engine that answers gives them.
    codes : (m,)
        Their true codes, 0..k-1.
    """

    features: Floats
    codes: Codes


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Probabilities of n texts, with the outputs that they were made from when there are any.

    Attributes
    ----------
    probabilities : (n, k)
        Rows sum to 1; a row of NaN is a text that could not be read.
    outputs : Outputs or None
        None when a caller brings nothing but probabilities.
    """

    probabilities: Floats
    outputs: Outputs | None = None

    @classmethod
    def of(cls, outputs: Outputs, calibrator: Callable[[Floats], Floats]) -> Self:
        """Calibrate outputs with logits (n, k); rows that could not be read keep NaN and never reach the calibrator."""
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
        """Select m of n texts: by their indices (m,), or by a flag for each (n,)."""
        return Evidence(self.probabilities[rows], self.outputs and self.outputs.take(rows))

    @property
    def logits(self) -> Floats:
        """The logits, shape (n, k); InputError where only probabilities are known."""
        if self.outputs is None:
            raise InputError(
                "this score needs logits, and only probabilities were given; pass an Evidence with outputs"
            )
        return self.outputs.logits

    @property
    def has_features(self) -> bool:
        """Whether the engine gives features."""
        return self.outputs is not None and self.outputs.features is not None

    @property
    def features(self) -> Floats:
        """The features, shape (n, d); InputError where the engine gives none."""
        if self.outputs is None or self.outputs.features is None:
            raise InputError("this score needs features, and the engine gives none")
        return self.outputs.features

    @property
    def epistemic(self) -> NDArray[np.float64]:
        """The mutual information of label and model, shape (n,); InputError where the engine gives none."""
        if self.outputs is None or self.outputs.epistemic is None:
            raise InputError(f"this score needs {WITHOUT_EPISTEMIC}")
        return self.outputs.epistemic


def as_evidence(values: Any) -> Evidence:
    """Pass evidence through; wrap an (n, k) array of probabilities, rows of NaN allowed.

    Examples
    --------
    >>> len(as_evidence([[0.5, 0.5], [0.1, 0.9]]))
    2
    """
    return values if isinstance(values, Evidence) else Evidence(as_probabilities(values, allow_nan_rows=True))


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of a text the model read.

    Attributes
    ----------
    tokens : int
        Used, special ones included; 0 for a text with nothing to read.
    unknown : tuple of str
        Pieces of the text that the vocabulary does not have: the model knows no more than that something stood there.
    truncated : bool
        Whether the text goes on after what was read.
    characters, characters_read : int
        Of the text, and how many of them were read.
    last_words : str
        The end of what was read of a truncated text.
    """

    tokens: int
    unknown: tuple[str, ...]
    truncated: bool
    characters: int
    characters_read: int
    last_words: str = ""


def mixture(logits: Iterable[Floats]) -> tuple[Doubles, Doubles]:
    """Average the probabilities of members, and measure how much they disagree.

    Source: Depeweg, Hernandez-Lobato, Doshi-Velez & Udluft (2018), https://arxiv.org/abs/1710.07283: the entropy of the
    mean is what is not known in all (total); the mean entropy is what each member leaves open (aleatoric); the rest,
    never negative, is the mutual information of label and member (epistemic), which more training texts could remove.

    Parameters
    ----------
    logits : iterable of (n, k)
        Of each member, taken one at a time; a row with NaN gives a row of NaN.

    Returns
    -------
    (n, k) and (n,)
        Logarithms of the mean probabilities, finite where probabilities would round to zero; and the mutual information
        of label and member in nats, from 0 (all agree) to the logarithm of the number of members.

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
    for members, z in enumerate(logits, start=1):  # noqa: B007  how many there were
        log_p = _log_softmax(z)
        entropies = entropies + _entropy(log_p)
        with np.errstate(invalid="ignore"):  # NaN in, NaN out
            sums = log_p if sums is None else np.logaddexp(sums, log_p)
    if sums is None:
        raise ValueError("a mixture needs a member")
    log_mean = sums - math.log(members)
    return log_mean, np.maximum(_entropy(log_mean) - entropies / members, 0)  # rounding may leave -1e-16


def entropy(logits: Floats) -> Doubles:
    """Entropy of each row's softmax in nats, shape (n,): 0 where one label is certain, ln k where none stands out.

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
