"""The engine of a classifier around a model that its user holds: nothing of the model is in the folder.

Whoever opens such a folder passes the model again: ``elsewise.load("model", engine=...)``. No code is run for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import as_texts, to_numpy
from elsewise.engines.canaries import CANARIES
from elsewise.engines.files import ModelFiles
from elsewise.engines.tokenizer import is_visible
from elsewise.errors import ArtifactError, ElsewiseError, InputError, in_a_line
from elsewise.outputs import Outputs

MAKE: Final = "make an engine of any model with elsewise.wrap(model, labels=[...])"
AGAIN: Final = (
    "pass it again: elsewise.load(path, engine=...), or --engine module:object (compare: FOLDER=module:object)"
)


@dataclass(frozen=True, slots=True, eq=False)
class GivenEngine:
    """What has ``labels`` and ``run(texts) -> Outputs``, with all that a classifier asks of an engine.

    A text without a visible character never reaches the model: it is unreadable, a row of NaN.

    Attributes
    ----------
    labels : tuple of str
        The k labels, in the order of the columns.
    model : object or None
        What answers; None in a folder that was opened without it.
    fingerprint : str
        The model's own where it has one; a hash of the labels otherwise.
    described : str
        The model's class, for messages.
    """

    name: ClassVar[str] = "given"
    labels: tuple[str, ...]
    model: Any
    fingerprint: str
    described: str

    @classmethod
    def around(cls, model: Any) -> Self:
        """Take a model.

        Raises
        ------
        InputError
            If it lacks ``labels`` or ``run``, or its labels are not at least two different words.

        Examples
        --------
        >>> class Rules:
        ...     labels = ("question", "other talk")
        ...
        ...     def run(self, texts):
        ...         return Outputs(np.array([[3.0, 0.0] if text.endswith("?") else [0.0, 1.0] for text in texts]))
        >>> GivenEngine.around(Rules()).run(["Where is it?", " "]).logits.tolist()
        [[3.0, 0.0], [nan, nan]]
        """
        kind = type(model)
        if isinstance(model, type) or not callable(getattr(model, "run", None)) or not hasattr(model, "labels"):
            what = f"the class {model.__name__}" if isinstance(model, type) else f"a {kind.__name__}"
            raise InputError(f"{what} is no engine, which has labels and run(texts); {MAKE}")
        given = model.labels
        is_ordered = np.iterable(given) and not isinstance(given, str | Mapping | set | frozenset)
        labels = tuple(map(str, given)) if is_ordered else ()
        if len(set(labels)) < max(2, len(labels)):
            raise InputError(f"labels of an engine must be at least 2 different words, in order, got {given!r}")
        own = getattr(model, "fingerprint", None)
        fingerprint = own if isinstance(own, str) and own else sha256(repr(labels).encode()).hexdigest()[:16]
        described = getattr(model, "described", None)  # of one that stands around a model
        if not isinstance(described, str):
            described = f"{kind.__module__}.{kind.__qualname__}"
        return cls(labels, model, fingerprint, described)

    @property
    def settings(self) -> Mapping[str, Any]:
        """What tells the model again."""
        return {"model": self.described, "fingerprint": self.fingerprint}

    @classmethod
    def open(
        cls,
        files: ModelFiles,  # noqa: ARG003
        labels: tuple[str, ...],
        settings: Mapping[str, Any],
        threads: int | None = None,  # noqa: ARG003
    ) -> Self:
        """Take the place of the model until it is passed: everything but `run`."""
        return cls(labels, None, settings["fingerprint"], settings["model"])

    def save(self, folder: Path) -> None:
        """Write nothing: only code could make the model again."""

    @property
    def canaries(self) -> list[str]:
        """The texts that every folder is checked with."""
        return list(CANARIES)

    def prepare(self, texts: Sequence[str]) -> Sequence[str]:
        """Nothing needs to be made ready."""
        return texts

    def run(self, texts: Sequence[str]) -> Outputs:
        """Ask the model for outputs of n texts.

        Raises
        ------
        InputError
            If it fails, or gives anything but a row of k numbers for each text.
        ArtifactError
            If the folder was opened without the model.
        """
        if self.model is None:
            raise ArtifactError(self.missing("the folder"))
        given = as_texts(texts)
        seen = np.array([is_visible(text) for text in given], dtype=bool)
        asked = [text for text, is_seen in zip(given, seen, strict=True) if is_seen]
        # One text where there is none to read: how wide the columns are, only an answer tells.
        answered = self._outputs(asked or [CANARIES[0]])
        rows = np.full(len(given), -1)
        rows[seen] = np.arange(len(asked))
        return _spread(answered, rows)

    def missing(self, folder: str) -> str:
        """Say that a folder needs its model, and how it is passed."""
        return f"{folder} was fitted around a model of yours ({self.described}); {AGAIN}"

    def sketch(self, prepared: Sequence[str]) -> Outputs:
        """Return what `run` does."""
        return self.run(prepared)

    def _outputs(self, texts: list[str]) -> Outputs:
        n = len(texts)
        try:
            outputs = self.model.run(texts)
        except ElsewiseError:
            raise
        except Exception as error:  # whatever the user's own code may raise
            raise InputError(f"run of {self.described} failed on {n:,} texts: {in_a_line(error)}") from error
        if getattr(outputs, "logits", None) is None:
            kind = type(outputs).__name__
            raise InputError(f"run of {self.described} must return elsewise.Outputs, got {kind}; {MAKE}")
        columns = {name: getattr(outputs, name, None) for name in Outputs.__dataclass_fields__}
        arrays = {name: to_numpy(column) for name, column in columns.items() if column is not None}
        for name, array in arrays.items():
            width = array.shape[1] if array.ndim > 1 else 1
            wanted = {"logits": (n, len(self.labels)), "features": (n, width)}.get(name, (n,))
            if array.shape != wanted or array.dtype.kind not in "fiub":
                raise InputError(
                    f"{self.described} must give {name} of shape {wanted} for {n:,} texts and {len(self.labels):,} "
                    f"labels, as numbers, got {array.shape} of {array.dtype}"
                )
        return Outputs(**{name: _real(array) if array.ndim > 1 else array for name, array in arrays.items()})


def _real(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype in (np.float32, np.float64):
        return array
    return array.astype(np.float32 if array.dtype == np.float16 else np.float64)


def _spread(outputs: Outputs, rows: NDArray[Any]) -> Outputs:
    """Put the rows of the texts that were read in their places; NaN, 0 or False for the others (row -1)."""
    unread = rows < 0
    unread[~unread] = ~np.isfinite(outputs.logits[rows[~unread]]).all(axis=1)

    def column(values: NDArray[Any] | None) -> NDArray[Any] | None:
        if values is None:
            return None
        placed = values[rows]
        placed[unread] = np.nan if placed.dtype.kind == "f" else 0
        return placed

    return Outputs(
        *(column(getattr(outputs, name)) for name in Outputs.__dataclass_fields__)  # type: ignore[arg-type]
    )
