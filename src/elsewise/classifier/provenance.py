"""The provenance of a classifier: what its folder keeps besides the parts that answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from elsewise.calibrators import Calibrator
from elsewise.engines.files import ModelFiles
from elsewise.storage.json_files import Json


@dataclass(frozen=True, slots=True, eq=False)
class Provenance:
    """How a classifier was made, and what was measured since; no answer depends on it.

    Attributes
    ----------
    folded : Calibrator or None
        The calibrator folded into the engine's last layer, to undo it before more training.
    record : mapping
        How it was made, for people (JSON).
    arrays : mapping of arrays
        Hashes of the texts of each split, and the rows to certify again with, where they were kept.
    evaluation : mapping or None
        The evaluation on its own test rows.
    gate : sequence of mappings
        How this engine and the other candidates compared with float32 on tune rows (JSON).
    others : mapping from name to mapping
        The folder's entries for other engines, each with its own certificate (JSON).
    history : sequence of mappings
        Changes of the thresholds, the last change at the end (JSON); see `elsewise.classifier.history`.
    seen : dict from folder to SHA-256
        Manifests of the folders that it was read from or saved to, as they were then. Copies share it. A save into such
        a folder is refused where its manifest is another one by now.
    judged : object or None
        The evaluation with its rows, in the process that made it; it is not saved.
    report : str or None
        The page report.html of the folder.
    baseline : ModelFiles or None
        The folder of the baseline, TF-IDF and logistic regression fitted on the same rows for the same promise.
        `elsewise.classifier.load.open_baseline` opens it; no answer depends on it.
    """

    folded: Calibrator | None = None
    record: Json = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    evaluation: Json | None = None
    gate: Sequence[Json] = ()
    others: Mapping[str, Json] = field(default_factory=dict)
    history: Sequence[Json] = ()
    seen: dict[Path, str] = field(default_factory=dict)
    baseline: ModelFiles | None = None
    judged: Any = None
    report: str | None = None
