"""What a classifier carries to its folder and back, beside the parts that answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from elsewise.calibrators import Calibrator
from elsewise.engines.files import ModelFiles
from elsewise.storage.json_files import Json


@dataclass(frozen=True, slots=True, eq=False)
class Provenance:
    """How a classifier was made, and what was seen of it since; nothing here takes part in an answer.

    Attributes
    ----------
    folded : Calibrator or None
        What was folded into the engine's last layer, so that it can be undone before more training.
    record : mapping
        How it was made, for people (JSON).
    arrays : mapping of arrays
        Hashes of the texts of each split, and the rows to certify again with, where they were kept.
    evaluation : mapping or None
        What its own test rows showed.
    gate : sequence of mappings
        How the engine compared with float32 on tune rows, and others that were looked at (JSON).
    others : mapping from name to mapping
        What the folder holds for other engines, each with its own certificate (JSON).
    history : sequence of mappings
        How thresholds were changed since it was made, the last change at the end (JSON); see
        `elsewise.classifier.history`.
    baseline : ModelFiles or None
        The folder of TF-IDF and logistic regression, fitted on the same rows for the same promise, to compare with.
        `elsewise.classifier.load.open_baseline` opens it: answering takes none.
    """

    folded: Calibrator | None = None
    record: Json = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    evaluation: Json | None = None
    gate: Sequence[Json] = ()
    others: Mapping[str, Json] = field(default_factory=dict)
    history: Sequence[Json] = ()
    baseline: ModelFiles | None = None
