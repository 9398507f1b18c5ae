"""The engine of a classifier without a text model: its "texts" are rows of logits that somebody else made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from elsewise.arrays import to_numpy
from elsewise.errors import InputError
from elsewise.modelfiles import ModelFiles
from elsewise.outputs import Outputs


@dataclass(frozen=True, slots=True)
class LogitsEngine:
    """Passes logits through, whatever framework's array they come in.

    Examples
    --------
    >>> LogitsEngine(("yes", "no")).run([[4.0, 0.0]]).logits.tolist()
    [[4.0, 0.0]]
    """

    name: ClassVar[str] = "logits"
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))  # a list is welcome

    @property
    def settings(self) -> Mapping[str, Any]:
        """Nothing to remember."""
        return {}

    @property
    def fingerprint(self) -> str:
        """Hash of all that the answers depend on."""
        return sha256(repr(self.labels).encode()).hexdigest()[:16]

    @classmethod
    def open(
        cls,
        files: ModelFiles,  # noqa: ARG003
        labels: tuple[str, ...],
        settings: Mapping[str, Any],  # noqa: ARG003
        threads: int | None = None,  # noqa: ARG003
    ) -> Self:
        """There are no files to open."""
        return cls(labels)

    def save(self, folder: Path) -> None:
        """There are no files to save."""

    @property
    def canaries(self) -> list[list[float]]:
        """One row for each of the first labels, that label one ahead."""
        return np.eye(len(self.labels))[:32].tolist()

    def prepare(self, texts: Sequence[Any]) -> Sequence[Any]:
        """Nothing needs to be made ready."""
        return texts

    def run(self, texts: Sequence[Any]) -> Outputs:
        """Take n rows of k logits; a row with NaN or an infinite value is unreadable.

        Raises
        ------
        InputError
            If a row does not hold one number for each label.
        """
        logits = to_numpy(texts)
        if logits.size == 0:
            logits = np.empty((0, len(self.labels)))
        if logits.dtype.kind not in "fiu":
            raise InputError(f"logits must be numbers, got {logits.dtype}")
        if logits.ndim != 2 or logits.shape[1] != len(self.labels):  # noqa: PLR2004
            raise InputError(
                f"logits must have shape (n, {len(self.labels)}), a column for each label, got {logits.shape}"
            )
        logits = logits if logits.dtype in (np.float32, np.float64) else logits.astype(np.float64)
        unreadable = ~np.isfinite(logits).all(axis=1)
        return Outputs(np.where(unreadable[:, None], np.nan, logits) if unreadable.any() else logits)

    def sketch(self, prepared: Sequence[Any]) -> Outputs:
        """Return what `run` does."""
        return self.run(prepared)
