"""The engine of a classifier without a text model: its "texts" are rows of logits.

Where it was fitted with features too, they follow the logits in the same row: see `rows_of`.
"""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import readable_logits, to_numpy
from elsewise.engines.files import Opening
from elsewise.errors import InputError
from elsewise.outputs import Outputs
from elsewise.storage.json_files import Json


@dataclass(frozen=True, slots=True)
class LogitsEngine:
    """Passes logits through, from an array of any framework.

    Attributes
    ----------
    labels, features : tuple of str, int
        The k labels, and how many numbers of a row, after the k logits, are features.

    Examples
    --------
    >>> LogitsEngine(("yes", "no")).run([[4.0, 0.0]]).logits.tolist()
    [[4.0, 0.0]]
    >>> LogitsEngine(("yes", "no"), features=1).run([[4.0, 0.0, 0.5]]).features.tolist()
    [[0.5]]
    """

    name: ClassVar[str] = "logits"
    labels: tuple[str, ...]
    features: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))  # a list is welcome

    @property
    def settings(self) -> Json:
        """The number of features, if any."""
        return {"features": self.features} if self.features else {}

    @property
    def fingerprint(self) -> str:
        """Hash of everything that the answers depend on."""
        depends_on = (self.labels, self.features) if self.features else self.labels
        return sha256(repr(depends_on).encode()).hexdigest()[:16]

    @classmethod
    def open(cls, opening: Opening) -> Self:
        """Open the engine, which has no files."""
        return cls(opening.labels, opening.settings.get("features", 0))

    def save(self, folder: Path) -> None:
        """Write nothing: the engine has no files."""

    @property
    def canaries(self) -> list[list[float]]:
        """One row for each of the first labels, in which this label is ahead by one."""
        return np.eye(len(self.labels), len(self.labels) + self.features)[:32].tolist()

    def run(self, texts: Any) -> Outputs:
        """Return n rows of k logits, and features where there are any; a row with NaN or plus infinity is unreadable.

        InputError if a row does not hold one number for each label and feature.
        """
        rows, k = to_numpy(texts), len(self.labels)
        if rows.size == 0:
            rows = np.empty((0, k + self.features))
        if rows.dtype.kind not in "fiu":
            raise InputError(f"logits must be numbers, got {rows.dtype}")
        if rows.ndim != 2 or rows.shape[1] != k + self.features:  # noqa: PLR2004
            if not self.features:
                raise InputError(f"logits must have shape (n, {k}), a column for each label, got {rows.shape}")
            wanted = f"rows must have shape (n, {k + self.features}), {k} logits and then {self.features} features"
            raise InputError(f"{wanted}, got {rows.shape}; put them side by side with numpy.hstack")
        rows = rows if rows.dtype in (np.float32, np.float64) else rows.astype(np.float64)
        logits, features = readable_logits(rows[:, :k]), rows[:, k:]
        unreadable = np.isnan(logits[:, :1])
        features = np.where(unreadable, np.nan, features) if unreadable.any() else features
        return Outputs(logits, features) if self.features else Outputs(logits)


def rows_of(logits: Any, features: Any) -> NDArray[Any]:
    """Append features (n, d) to logits (n, k), for an engine that was fitted with features.

    InputError if features are not finite numbers, one row for each row of logits.

    Examples
    --------
    >>> rows_of(np.zeros((1, 2)), [[0.5]]).tolist()
    [[0.0, 0.0, 0.5]]
    """
    given = to_numpy(features)
    if given.ndim != 2 or given.dtype.kind not in "fiu" or len(given) != len(logits) or not given.shape[1]:  # noqa: PLR2004
        got = f"{given.shape} of {given.dtype}"
        raise InputError(f"features must be numbers of shape ({len(logits)}, d), as there are logits, got {got}")
    finite = np.isfinite(given).all(axis=1)
    if not finite.all():
        raise InputError(f"features must be finite, and row {int(np.argmin(finite))} is not")
    return np.hstack([logits, given])


def check_features(engine: Any, file: str | None) -> int:
    """Return the number of features that an engine reads; InputError where a file of them is missing or not read."""
    wanted = engine.features if isinstance(engine, LogitsEngine) else 0
    if file is not None and not wanted:
        raise InputError(f"{file}: this model reads no features; leave features= out")
    if file is None and wanted:
        raise InputError(f"this model reads {wanted} features beside the logits; give a file of them with features=")
    return wanted
