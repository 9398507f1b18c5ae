"""The arguments of `wrap`, and the choice of the array of labels among a model's outputs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from elsewise.arrays import as_labels
from elsewise.engines.external import Answer, ExternalEngine
from elsewise.engines.output_kinds import KINDS
from elsewise.errors import InputError, refuse_unknown
from elsewise.messages.wording import listed

AT_ONCE: Final = 32  # texts in one call of a model
SAY_SIGMOID: Final = "If exactly one label is right for a text, say kind='sigmoid': log-odds are calibrated as logits"


@dataclass(frozen=True, slots=True)
class EndpointOptions:
    """What `wrap` takes of an endpoint besides its address and the labels.

    Attributes
    ----------
    instructions, criteria : str, mapping from label to str
        The question, and what labels mean where their names do not say it. Both are part of what is certified.
    timeout, tries, at_once : float, int, int
        Seconds for one request, how often it is sent at most, and how many are under way.
    cache : path, optional
        A file that keeps answers, by a hash of the text, for the next fit. Default: they are kept while the engine is.
    """

    instructions: str = "Which label fits the text?"
    criteria: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 30.0
    tries: int = 6
    at_once: int = 8
    cache: str | Path | None = None

    def __post_init__(self) -> None:
        for name in ("tries", "at_once"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.timeout < float("inf"):
            raise InputError(f"timeout must be above 0 and finite, got {self.timeout}")

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "EndpointOptions":
        """Make them of keywords; TypeError for an unknown one."""
        refuse_unknown("wrap", given, [*cls.__dataclass_fields__, "labels", "api_key_from"])
        return cls(**given)


def is_url(model: Any) -> bool:
    """Tell whether an object is the address of an endpoint."""
    return isinstance(model, str) and model.startswith(("http://", "https://"))


@dataclass(frozen=True, slots=True)
class WrapRequest:
    """The arguments of `wrap` besides the model."""

    labels: tuple[str, ...] | None = None
    preprocess: Callable[[list[str]], Any] | None = None
    kind: str | None = None
    output: str | int | None = None
    texts: Sequence[str] | None = None
    fingerprint: str | None = None
    batch_size: int = AT_ONCE
    api_key_from: str | None = None
    endpoint: Mapping[str, Any] = field(default_factory=dict)

    def inputs(self, texts: list[str]) -> Any:
        """Turn texts into the model's input."""
        return texts if self.preprocess is None else self.preprocess(texts)

    def named(self) -> tuple[str, ...]:
        """Return the caller's labels; InputError where there are none."""
        if self.labels is None:
            raise InputError("the model does not say its labels; pass them in the order of its columns: labels=[...]")
        return self.labels

    def stated(self, known: str | None = None) -> str:
        """Return the kind of the numbers; InputError where neither the caller nor the library says it."""
        kind = self.kind or known
        if kind is None:
            kinds = ", ".join(map(repr, KINDS))
            raise InputError(f"say what the model gives, which numbers alone do not tell: kind= one of {kinds}")
        return kind

    def engine(
        self, answer: Answer, labels: tuple[str, ...], kind: str, name: str,
        digest: str = "", columns: tuple[int, ...] | None = None,
    ) -> ExternalEngine:  # fmt: skip
        """Make the engine, with the caller's batch size and fingerprint."""
        return ExternalEngine(labels, answer, kind, name, self.fingerprint or digest, columns, self.batch_size)

    def columns(self, own: Sequence[str]) -> tuple[tuple[str, ...], tuple[int, ...] | None]:
        """Return the labels in the caller's order, and the column of each; None where the columns are in that order."""
        if self.labels is None or self.labels == tuple(own):
            return as_labels(own), None
        pairs = ((own, set(self.labels)), (self.labels, set(own)))
        missing, extra = ([name for name in names if name not in others] for names, others in pairs)
        if missing or extra:
            says = [f"{words} {_some(names)}" for words, names in (("lacks", missing), ("adds", extra)) if names]
            raise InputError(f"labels= {' and '.join(says)}: the model has {_some(own)}")
        return self.labels, tuple(list(own).index(label) for label in self.labels)


def _some(names: Iterable[Any]) -> str:
    return listed(map(repr, names))


def of_texts(features: Any) -> Any:
    """Return features (n, d) unchanged; None for any other shape, such as a vector for each token."""
    return features if len(getattr(features, "shape", ())) == 2 else None  # noqa: PLR2004


def pick(answer: Any, output: str | int | None) -> Any:
    """Choose the array of the labels among a model's outputs; InputError for several without `output`."""
    if isinstance(answer, Mapping):
        names: list[Any] = list(answer)
        if output is None and "logits" not in names and len(names) != 1:
            raise InputError(f"the model returns a dictionary of {_some(names)}; say which holds the labels: output=")
        chosen = output if output is not None else "logits" if "logits" in names else names[0]
        if chosen not in names:
            raise InputError(f"the model returns no {chosen!r}, but {_some(names)}")
        return answer[chosen]
    if isinstance(answer, tuple | list) and any(len(getattr(one, "shape", ())) > 1 for one in answer):
        if output is None and len(answer) > 1:
            shapes = listed(str(tuple(getattr(one, "shape", ()))) for one in answer)
            returned = f"a {type(answer).__name__} of {len(answer)}, of shapes {shapes}"
            raise InputError(f"the model returns {returned}; say which holds the labels: output=")
        at = output or 0
        if not isinstance(at, int) or not -len(answer) <= at < len(answer):
            raise InputError(f"the model returns {len(answer)} outputs, and none is {at!r}")
        return answer[at]
    if output is not None:
        raise InputError(f"the model returns one {type(answer).__name__}; output={output!r} is for several")
    return answer
