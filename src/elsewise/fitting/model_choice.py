"""Which model a folder serves: the fine-tuned encoder with its opinions, the encoder as it came, or the baseline.

Chosen on tune rows, before a certify row is read. A model that costs less takes the place of the first one only on
significant evidence: a smaller log loss, by the normal interval of the paired differences (level 95 %, divided among
the models that are compared), and no fewer right labels. Each has the temperature that is best on the other half of the
rows, so that none is judged by how sure it sounds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from elsewise import metrics
from elsewise.arrays import Codes, Floats, true_log_softmax
from elsewise.calibrators.best_temperature import best_temperature
from elsewise.errors import InputError
from elsewise.messages.wording import percent
from elsewise.metrics import Estimate
from elsewise.storage.json_files import Json

BEST, ENCODER, FROZEN, BASELINE = KEEPS = ("best", "encoder", "frozen", "baseline")
MODELS: Final = {
    ENCODER: "the fine-tuned encoder",
    FROZEN: "the encoder as it came",
    BASELINE: "TF-IDF and logistic regression",
}
LEVEL: Final = 0.95
FEWEST: Final = 20  # in-scope tune rows that tell one model from another


@dataclass(frozen=True, slots=True)
class Keeping:
    """What the caller wants served.

    Attributes
    ----------
    keep : {"best", "encoder", "frozen", "baseline"}
        The model, or the best on tune rows.
    trains : bool
        Whether the encoder is fine-tuned.
    compares_baseline : bool
        Whether the baseline may be served where it is the best.
    """

    keep: str
    trains: bool
    compares_baseline: bool

    @classmethod
    def of(cls, keep: str, *, quick: bool, method: Json, baseline: bool, given: Mapping[str, bool]) -> Self:
        """Settle what is served.

        Parameters
        ----------
        keep, quick : str, bool
            As in `fit`.
        method : JSON
            The uncertainty method by name, if there is one.
        baseline : bool
            Whether the baseline is fitted.
        given : mapping
            Parameters that only an encoder can follow, and whether each was given.

        Raises
        ------
        InputError
            If `keep` is unknown, or does not go with the others.
        """
        if keep not in KEEPS:
            raise InputError(f"keep must be one of {', '.join(KEEPS)}, got {keep!r}")
        told = f"{keep=}" if keep in (FROZEN, BASELINE) else "quick=True" if quick else ""
        if told and method:
            raise InputError(f"{next(iter(method))}= is about training, and {told} trains nothing; leave one out")
        if quick and keep == ENCODER:
            raise InputError(f"{keep=} serves the fine-tuned encoder, and quick=True trains none; leave one out")
        if keep == BASELINE:
            _refuse_with_baseline(given, fitted=baseline)
        settled = ENCODER if method else keep
        compares = baseline and not any(given[name] for name in ONLY_ENCODER)
        return cls(settled, not told, compares_baseline=settled == BEST and compares)


ONLY_ENCODER: Final = ("engine", "precision", "unfamiliar", "score", "keep_refit_rows")


def _refuse_with_baseline(given: Mapping[str, bool], *, fitted: bool) -> None:
    """Raise InputError for the first parameter that the baseline cannot follow."""
    if not fitted:
        raise InputError("keep='baseline' serves the baseline, and baseline=False leaves it out; leave one out")
    for name, is_given in given.items():
        if is_given:
            raise InputError(f"keep='baseline' has no encoder that {name}= could be about; leave one out")


@dataclass(frozen=True, slots=True)
class Judged:
    """How another model compares with the first one on tune rows.

    Attributes
    ----------
    accuracy : float
        Share of the in-scope rows with the right best label.
    log_loss_gain : Estimate
        By how much its mean log loss is smaller, in nats, with an interval.
    is_better : bool
        Whether it takes the place of the first.
    """

    accuracy: float
    log_loss_gain: Estimate
    is_better: bool


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The model that is served, and what was compared.

    Attributes
    ----------
    kept, first : str
        The chosen model, and the one that was compared with the others.
    rows, accuracy : int, float
        In-scope tune rows, and the share of them that the first one gets right.
    judged : mapping
        The others, by name.
    """

    kept: str
    first: str
    rows: int = 0
    accuracy: float = float("nan")
    judged: Mapping[str, Judged] | None = None

    @property
    def sentence(self) -> str:
        """Say what is served where it is not the first; else empty."""
        if self.kept == self.first or not self.judged:
            return ""
        found = self.judged[self.kept]
        gain = found.log_loss_gain
        served = f"{MODELS[self.kept]} is served, and not {MODELS[self.first]}"
        right = f"{percent(found.accuracy)} of its best labels are right instead of {percent(self.accuracy)}"
        less = f"its log loss is {gain.value:.2f} smaller ({gain.low:.2f} to {gain.high:.2f})"
        return f"{served[0].upper()}{served[1:]}: on {self.rows:,} tune rows {right}, and {less}."

    @property
    def record(self) -> Json:
        """What a folder keeps of it (JSON)."""
        judged = {
            name: {"accuracy": one.accuracy, "log_loss_gain": list(_ends(one.log_loss_gain)), "better": one.is_better}
            for name, one in (self.judged or {}).items()
        }
        beside = {"rows": self.rows, "accuracy": self.accuracy, "compared": judged} if judged else {}
        return {"kept": self.kept, "first": self.first, "sentence": self.sentence, **beside}


def choose_model(first: str, logits: Mapping[str, Floats], codes: Codes) -> ModelChoice:
    """Compare the other models with the first one, on n tune rows.

    Parameters
    ----------
    first : str
        The model that is served unless another one is better.
    logits : mapping of name to (n, k)
        Of the first one and of the others; a row that is not finite is a text that this model cannot read, and wrong.
    codes : (n,)
        True codes, -1 for out-of-scope.

    Examples
    --------
    >>> codes = np.arange(60) % 2
    >>> right, worse = np.eye(2)[codes] * 4, np.eye(2)[codes * (np.arange(60) % 3 > 0)] * 4
    >>> right[:2] = right[1::-1]
    >>> chosen = choose_model("encoder", {"encoder": worse, "baseline": right}, codes)
    >>> chosen.kept, chosen.judged["baseline"].is_better
    ('baseline', True)
    >>> choose_model("encoder", {"encoder": right, "baseline": worse}, codes).kept
    'encoder'
    """
    inside = codes >= 0
    others, rows = [name for name in logits if name != first], int(inside.sum())
    if not others or rows < FEWEST:
        return ModelChoice(first, first)
    losses = {name: _losses(z[inside], codes[inside]) for name, z in logits.items()}
    right = {name: _right(z[inside], codes[inside]) for name, z in logits.items()}
    judged = {}
    for name in others:
        gain = metrics.mean_interval(losses[first] - losses[name], 1 - (1 - LEVEL) / len(others))
        judged[name] = Judged(right[name], gain, is_better=gain.low > 0 and right[name] >= right[first])
    kept = max((name for name in others if judged[name].is_better), key=lambda name: judged[name].log_loss_gain.value,
               default=first)  # fmt: skip
    return ModelChoice(kept, first, rows, right[first], judged)


def _losses(logits: Floats, codes: Codes) -> Floats:
    """Give the log loss of each of n in-scope rows, at the temperature that is best on the other half of them.

    A text that is not read has that of equal probabilities.
    """
    read = np.isfinite(logits).all(axis=1)
    losses = np.full(len(codes), np.log(logits.shape[1]))
    halves = np.arange(len(codes)) % 2 == 0
    for half in (halves, ~halves):
        rows, others = half & read, ~half & read
        temperature = (best_temperature(logits[others], codes[others]) if others.any() else None) or 1.0
        losses[rows] = -true_log_softmax(logits[rows].astype(np.float64) / temperature, codes[rows])
    return losses


def _right(logits: Floats, codes: Codes) -> float:
    read = np.isfinite(logits).all(axis=1)
    return float((read & (np.nan_to_num(logits).argmax(axis=1) == codes)).mean())


def _ends(estimate: Estimate) -> Iterable[Any]:
    return estimate.value, estimate.low, estimate.high
