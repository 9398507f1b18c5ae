"""The engine of a classifier around a model that its user holds: nothing of the model is in the folder.

Whoever opens such a folder passes the model again: ``elsewise.load("model", engine=...)``. No code is run for it.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import as_texts, to_numpy
from elsewise.engines.canaries import CANARIES
from elsewise.engines.files import ModelFiles
from elsewise.engines.output_kinds import to_logits
from elsewise.engines.tokenizer import is_visible, readable
from elsewise.errors import ArtifactError, ElsewiseError, ElsewiseWarning, InputError, in_a_line
from elsewise.outputs import Outputs

MAKE: Final = "make an engine of any model with elsewise.wrap(model, labels=[...])"
AGAIN: Final = (
    "pass it again: elsewise.load(path, engine=...), or --engine module:object (compare: FOLDER=module:object)"
)

AT_ONCE: Final = 32
MANY: Final = 31  # canary texts that reach the model; where it fails for as many, it does not work


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


@dataclass(frozen=True, slots=True, eq=False)
class WrappedEngine:
    """An engine around somebody's model.

    Attributes
    ----------
    labels : tuple of str
        The k labels.
    kind : str
        What `answer` gives, one of `elsewise.engines.output_kinds.KINDS`.
    model : str
        The name of its class, for people.
    answer : callable
        Takes a list of at most `batch_size` texts; gives a row for each, and their features or None.
    digest : str
        Of the model's weights, or what the caller named instead; empty where nothing of it can be hashed: then the
        canary texts alone tell whether it is another model.
    columns : tuple of int or None
        Which column of `answer` each label has; None where they stand in order.
    batch_size : int
        How many texts are answered at a time.
    cuts : callable or None
        Tells of each of n texts whether the model reads only its beginning; None where nobody knows.
    """

    name: ClassVar[str] = "wrapped"
    labels: tuple[str, ...]
    kind: str
    model: str
    answer: Callable[[list[str]], tuple[Any, Any]]
    digest: str = ""
    columns: tuple[int, ...] | None = None
    batch_size: int = AT_ONCE
    cuts: Callable[[list[str]], list[bool]] | None = None

    @property
    def described(self) -> str:
        """The name of the model, for messages of what stands around this engine."""
        return self.model

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the model is and gives; the model itself is not saved, and has to be passed again."""
        return {"model": self.model, "kind": self.kind}

    @property
    def fingerprint(self) -> str:
        """Hash of all that the answers depend on, as far as it can be hashed."""
        known = (self.labels, self.kind, self.model, self.digest, self.columns)
        return sha256(repr(known).encode()).hexdigest()[:16]

    @property
    def canaries(self) -> Sequence[str]:
        """The package's fixed texts."""
        return list(CANARIES)

    def save(self, folder: Path) -> None:
        """Write nothing: a model that can only be saved as code is passed again at load."""

    def prepare(self, texts: Sequence[str]) -> list[str]:
        """Check the texts."""
        return as_texts(texts)

    def run(self, texts: Sequence[str]) -> Outputs:
        """Ask the model; texts with nothing to see never reach it and are rows of NaN.

        Raises
        ------
        InputError
            If the model fails, gives other rows or columns than there are texts and labels, or numbers that contradict
            `kind`.
        """
        texts = as_texts(texts)
        seen = [row for row, text in enumerate(texts) if is_visible(text)]
        values, features = self._answers([readable(texts[row]) for row in seen])
        logits = np.full((len(texts), len(self.labels)), np.nan, dtype=np.float32)
        if values is not None:
            made = to_logits(values, self.kind, len(self.labels))
            logits = logits.astype(made.dtype)
            logits[seen] = made
            _check_finite(made)
        truncated = None if self.cuts is None else np.array(self.cuts(texts), dtype=bool)
        return Outputs(logits, _spread_features(features, seen, len(texts)), truncated=truncated)

    def sketch(self, prepared: Sequence[str]) -> Outputs:
        """Return what `run` does."""
        return self.run(prepared)

    def _answers(self, texts: list[str]) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
        values, features = [], []
        for start in range(0, len(texts), self.batch_size):
            part = texts[start : start + self.batch_size]
            try:
                answered, of_them = self.answer(part)
            except ElsewiseError:
                raise
            except Exception as error:  # whatever the user's own code may raise
                words = "which are strings unless preprocess= makes something else of them"
                raise InputError(f"{self.model} failed on {len(part)} texts, {words}: {in_a_line(error)}") from error
            rows = to_numpy(answered)
            if rows.shape[:1] != (len(part),):
                got = rows.shape if rows.ndim else type(answered).__name__
                raise InputError(f"a model must give one row a text, got {got} for {len(part)} texts")
            if self.columns is not None and rows.shape[1:] == (len(self.columns),):
                rows = rows[:, list(self.columns)]
            values.append(rows)
            features.append(None if of_them is None else to_numpy(of_them))
        widths = {rows.shape[1:] for rows in values}
        if len(widths) > 1:
            raise InputError(f"a model must give as many columns for every text, got {sorted(widths)}")
        there = [rows for rows in features if rows is not None and rows.ndim == 2]  # noqa: PLR2004
        return (
            np.concatenate(values) if values else None,
            np.concatenate(there) if there and len(there) == len(values) else None,
        )


def _spread_features(features: NDArray[Any] | None, seen: list[int], n: int) -> NDArray[Any] | None:
    """Put rows of features where their texts are."""
    if features is None or len(seen) == n:
        return features
    wide = np.full((n, features.shape[1]), np.nan, dtype=features.dtype)
    wide[seen] = features
    return wide


def _check_finite(logits: NDArray[Any]) -> None:
    bad = np.isnan(logits).any(axis=1)
    if len(bad) >= MANY and bad.all():
        raise InputError(f"a model must give numbers, got NaN or infinity for all {len(bad)} texts")
    if bad.any():
        warnings.warn(
            f"the model gives NaN or infinity for {int(bad.sum())} of {len(bad)} texts: these are never answered",
            ElsewiseWarning,
            stacklevel=3,
        )
