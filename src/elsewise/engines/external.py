"""The engine around a user's own model, of which nothing is saved in the folder.

`elsewise.wrap` makes this engine from a library's model, `ExternalEngine.around` from any object with labels and run.
To open the folder, pass the model again: ``elsewise.load("model", engine=...)``. Loading runs no code for it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import as_texts, readable_logits, to_numpy
from elsewise.engines.canaries import CANARIES
from elsewise.engines.files import Opening
from elsewise.engines.one_process import OneProcess, spare_threads
from elsewise.engines.output_kinds import to_logits
from elsewise.engines.tokenizer import is_visible, readable
from elsewise.errors import ArtifactError, ElsewiseError, InputError, in_a_line, warn_caller
from elsewise.outputs import Outputs
from elsewise.progress import tick
from elsewise.storage.json_files import Json

WRAP: Final = "wrap it: elsewise.wrap(model, labels=[...])"
OUTPUTS: Final = "outputs"  # the kind of a model that gives `Outputs` itself, with logits in them
COLUMNS: Final = tuple(Outputs.__dataclass_fields__)
MANY: Final = 31  # canary texts that reach the model; if it fails for all, it does not work

Columns = dict[str, NDArray[Any]]
Answer = Callable[[list[str]], Outputs]  # a row for each text, in arrays of any framework


@dataclass(frozen=True, slots=True, eq=False)
class ExternalEngine(OneProcess):
    """Runs a user's own model; blank and invisible texts never reach it and are rows of NaN.

    Attributes
    ----------
    labels : tuple of str
        The k labels.
    answer : callable or None
        Takes a list of texts and returns `Outputs` with a row for each, in arrays of any framework. None in a folder
        that was opened without its model.
    kind : str
        What the logits of `answer` are: a name in `elsewise.engines.output_kinds.KINDS`, or "outputs" where the user's
        object gives logits itself.
    described : str
        The name of the model, for people.
    digest : str
        Hash of the model's weights, or the caller's name for them. Empty where nothing can be hashed: then only the
        canary texts tell whether it is a different model. For "outputs", the fingerprint of the engine.
    columns : tuple of int or None
        Which column of the logits each label has; None where they are in order.
    batch_size : int or None
        How many texts are answered at a time; None for all at once.
    endpoint, tolerance : str, float or None
        Protocol and address of the endpoint that answers, empty for a model in this process; and how much of a
        probability may change in the canary texts, where that is known.
    """

    name: ClassVar[str] = "given"
    labels: tuple[str, ...]
    answer: Answer | None
    kind: str
    described: str
    digest: str = ""
    columns: tuple[int, ...] | None = None
    batch_size: int | None = None
    endpoint: str = ""
    tolerance: float | None = None

    @classmethod
    def around(cls, model: Any) -> Self:
        """Make an engine of an object with ``labels`` and ``run(texts) -> Outputs``.

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
        >>> ExternalEngine.around(Rules()).run(["Where is it?", " "]).logits.tolist()
        [[3.0, 0.0], [nan, nan]]
        """
        if isinstance(model, type):
            raise InputError(f"the class {model.__name__} cannot be used as an engine: pass an object of it")
        kind, has_run = type(model), callable(getattr(model, "run", None))
        if not has_run or not hasattr(model, "labels"):
            lacks = " and no ".join(["labels"] * (not hasattr(model, "labels")) + ["run(texts)"] * (not has_run))
            raise InputError(f"a {kind.__name__} cannot be used as an engine: it has no {lacks}; {WRAP}")
        given = model.labels
        is_ordered = np.iterable(given) and not isinstance(given, str | Mapping | set | frozenset)
        labels = tuple(map(str, given)) if is_ordered else ()
        if len(set(labels)) < max(2, len(labels)):
            raise InputError(f"labels of an engine must be at least 2 different words, in order, got {given!r}")
        own = getattr(model, "fingerprint", None)
        fingerprint = own if isinstance(own, str) and own else sha256(repr(labels).encode()).hexdigest()[:16]
        return cls(labels, model.run, OUTPUTS, f"{kind.__module__}.{kind.__qualname__}", fingerprint)

    @classmethod
    def open(cls, opening: Opening) -> Self:
        """Open the folder without its model: everything but `run` works."""
        settings = opening.settings
        endpoint = str(settings.get("endpoint", ""))
        return cls(opening.labels, None, OUTPUTS, settings["model"], settings["fingerprint"], endpoint=endpoint)

    @property
    def settings(self) -> Json:
        """The name and fingerprint of the model, which must be passed again."""
        made: Json = {"model": self.described, "fingerprint": self.fingerprint}
        return {**made, "endpoint": self.endpoint} if self.endpoint else made

    @property
    def fingerprint(self) -> str:
        """Hash of everything that the answers depend on, as far as it can be hashed."""
        if self.kind == OUTPUTS:
            return self.digest
        known = (self.labels, self.kind, self.described, self.digest, self.columns)
        return sha256(repr(known).encode()).hexdigest()[:16]

    @property
    def canaries(self) -> Sequence[str]:
        """The texts that every folder is checked with."""
        return list(CANARIES)

    def save(self, folder: Path) -> None:
        """Write nothing: only code could make the model again."""

    def run(self, texts: Sequence[str]) -> Outputs:
        """Run the model on n texts: logits (n, k), and its other outputs.

        Raises
        ------
        InputError
            If the model fails, its rows or columns do not fit texts and labels, or its numbers contradict `kind`.
        ArtifactError
            If the folder was opened without the model.
        """
        given = as_texts(texts)
        seen = np.array([is_visible(text) for text in given], dtype=bool)
        asked = [readable(text) for text, is_seen in zip(given, seen, strict=True) if is_seen]
        # One text where none can be read: only an answer tells the width of the columns.
        answered = self._answered(asked or [CANARIES[0]])
        rows = np.full(len(given), -1)
        rows[seen] = np.arange(len(asked))
        return _spread(answered, rows)

    def missing(self, folder: str) -> ArtifactError:
        """Make the error of a folder that needs its model."""
        if self.endpoint:
            address = self.endpoint.partition(":")[2]
            words = f"{folder} was fitted around an endpoint, and opening a folder asks nobody; wrap it again"
            return ArtifactError(
                f"{words}: engine=elsewise.wrap({address!r}, labels=...)", typed=f"--engine {self.endpoint}"
            )
        words = f"{folder} was fitted around a model of yours ({self.described}); pass it again with engine="
        return ArtifactError(words, typed="module:object; in compare: FOLDER=module:object")

    def _answered(self, texts: list[str]) -> Outputs:
        size = self.batch_size or len(texts)
        parts = []
        for start in range(0, len(texts), size):
            parts.append(self._part(texts[start : start + size]))
            tick(len(texts[start : start + size]))
        columns = _joined(parts)
        if self.kind != OUTPUTS:
            columns["logits"] = to_logits(columns["logits"], self.kind, len(self.labels))
            _check_finite(columns["logits"])
        for name, array in columns.items():
            if array.ndim > 1 and array.dtype not in (np.float32, np.float64):
                columns[name] = array.astype(np.float64)
        return Outputs(**{**columns, "logits": readable_logits(columns["logits"])})

    def _part(self, texts: list[str]) -> Columns:
        """Answer one batch of texts, and check that each column has a row for each text."""
        outputs, n = self._asked(texts), len(texts)
        columns = {name: to_numpy(column) for name in COLUMNS if (column := getattr(outputs, name, None)) is not None}
        if self.kind != OUTPUTS:
            columns["logits"] = self._in_order(outputs.logits, n)
        elif "logits" not in columns:
            kind = type(outputs).__name__
            raise InputError(f"run of {self.described} must return elsewise.Outputs, got {kind}; {WRAP}")
        for name, array in columns.items():
            self._check_column(name, array, n)
        return columns

    def _asked(self, texts: list[str]) -> Outputs:
        if self.answer is None:
            raise self.missing("the folder")
        spare_threads()
        try:
            return self.answer(texts)
        except ElsewiseError:
            raise
        except Exception as error:  # whatever the user's own code may raise
            words = f"{self.described} failed on {len(texts):,} texts"
            strings = "which are strings unless preprocess= makes something else of them"
            words = f"run of {words}" if self.kind == OUTPUTS else f"{words}, {strings}"
            raise InputError(f"{words}: {in_a_line(error)}") from error

    def _in_order(self, given: Any, n: int) -> NDArray[Any]:
        """Check that there is a row for each of n texts, and sort the columns in the order of the labels."""
        rows = to_numpy(given)
        if rows.shape[:1] != (n,):
            got = rows.shape if rows.ndim else type(given).__name__
            raise InputError(f"a model must give one row a text, got {got} for {n} texts")
        is_whole = self.columns is not None and rows.shape[1:] == (len(self.columns),)
        return rows[:, list(self.columns or ())] if is_whole else rows

    def _check_column(self, name: str, array: NDArray[Any], n: int) -> None:
        if name == "logits" and self.kind != OUTPUTS:
            return  # `to_logits` says what is wrong with numbers of this kind
        width = array.shape[1] if array.ndim > 1 else 1
        wanted = {"logits": (n, len(self.labels)), "features": (n, width)}.get(name, (n,))
        if array.shape != wanted or array.dtype.kind not in "fiub":
            who = f"{self.described} must give {name} of shape {wanted}"
            got = f"as numbers, got {array.shape} of {array.dtype}"
            raise InputError(f"{who} for {n:,} texts and {len(self.labels):,} labels, {got}")


def _joined(parts: Sequence[Columns]) -> Columns:
    """Concatenate the columns of all parts; drop a column that only some parts have."""
    widths = {part["logits"].shape[1:] for part in parts}
    if len(widths) > 1:
        raise InputError(f"a model must give the same number of columns for every text, got {sorted(widths)}")
    names = [name for name in parts[0] if all(name in part for part in parts)]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def _spread(outputs: Outputs, rows: NDArray[Any]) -> Outputs:
    """Put the rows of readable texts in their places; NaN, 0 or False for the others (row -1)."""
    unread = rows < 0
    unread[~unread] = ~np.isfinite(outputs.logits[rows[~unread]]).all(axis=1)
    columns: Columns = {name: column[rows] for name in COLUMNS if (column := getattr(outputs, name)) is not None}
    for column in columns.values():
        column[unread] = np.nan if column.dtype.kind == "f" else 0
    return Outputs(**columns)


def _check_finite(logits: NDArray[Any]) -> None:
    bad = np.isnan(logits).any(axis=1)
    if len(bad) >= MANY and bad.all():
        raise InputError(f"a model must give numbers, got NaN or infinity for all {len(bad)} texts")
    if bad.any():
        some = f"the model gives NaN or infinity for {int(bad.sum())} of {len(bad)} texts"
        warn_caller(f"{some}: these are never answered")
