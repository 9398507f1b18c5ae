"""What several models make of one text: the mean of their probabilities, and how much they disagree.

Source: Depeweg, Hernandez-Lobato, Doshi-Velez & Udluft (2018), https://arxiv.org/abs/1710.07283: the entropy of the
mean is what is not known in all (total); the mean entropy is what each model leaves open (aleatoric); the rest, never
negative, is the mutual information of label and model (epistemic), which more training texts could remove.
"""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Floats

Doubles = NDArray[np.float64]


def mixture(logits: Iterable[Floats]) -> tuple[Doubles, Doubles]:
    """Average the probabilities of members, and measure how much they disagree.

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
