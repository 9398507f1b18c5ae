"""The result of a comparison: dataclasses whose fields have the names of the JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from elsewise.evaluation.paired_bootstrap import Pair, SharedThreshold
from elsewise.messages.notebook import html_table
from elsewise.metrics import CalibrationError, Estimate
from elsewise.rules.certificate import Certificate
from elsewise.storage.json_files import Json, plain, plain_fields

EXAMPLES = 20  # changed rows that `as_dict` holds


@dataclass(frozen=True, slots=True)
class Primary:
    """The deciding figure: "right", rows answered right at the same promise, or "accuracy" of the most probable label.

    Coverages are compared at the target accuracy: the promise that all share, or 0.95.
    """

    figure: str
    why: str
    target_accuracy: float


@dataclass(frozen=True, slots=True)
class ComparedRows:
    """Numbers of rows that are compared, and of rows that are not.

    `readable` counts the in-scope rows that every classifier can read, `left_out` rows by a label that some classifiers
    do not have, `repeated` rows with a text that came before, `rejected` unreadable rows of a file.
    """

    compared: int
    in_scope: int
    out_of_scope: int
    readable: int
    left_out: Mapping[str, int]
    repeated: int
    rejected: int


@dataclass(frozen=True, slots=True)
class ComparedLabels:
    """The `common` labels, which are compared, and for each model the `other` labels, which some model lacks."""

    common: list[str]
    other: Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class ModelRows:
    """Rows that a model could not read, and texts that it was made with (see `elsewise.evaluation.evaluate.Seen`)."""

    unreadable: int
    seen: int
    seen_in: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """Figures of one model alone.

    Attributes
    ----------
    figures : mapping from name to Estimate or CalibrationError
        With 95 % intervals.
    shared_threshold : SharedThreshold
        The model's shares at one threshold for all models.
    threshold, certificate : float or list of float, Certificate or None
        The model's own threshold (a list: one for each label), and its promise.
    engine : mapping
        Name, settings and fingerprint (JSON).
    rows : ModelRows
        Rows that the model could not read, or has seen.
    texts_per_second, texts_per_second_at_fit : float or None
        Speed in this run, and when the engine was chosen.
    """

    figures: Mapping[str, Estimate | CalibrationError]
    shared_threshold: SharedThreshold
    threshold: float | list[float]
    certificate: Certificate | None
    engine: Json
    rows: ModelRows
    texts_per_second: float | None
    texts_per_second_at_fit: float | None


@dataclass(frozen=True, slots=True)
class Place:
    """A model's place by its primary figure, and how far it is behind the best model (None: it is the best)."""

    name: str
    figure: Estimate
    behind_the_best: Estimate | None
    shown: bool


@dataclass(frozen=True, slots=True)
class Said:
    """A model's answer for one row; Other is right for an out-of-scope text."""

    label: str
    abstained: bool
    right: bool
    best_label: str | None
    confidence: float


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """A row that the models decide differently: its index from 0, true label (None: out-of-scope), and all answers."""

    row: int
    label: str | None
    models: Mapping[str, Said]


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """Differences between classifiers, and which of them are shown to hold beyond these rows.

    Attributes
    ----------
    verdict, primary : str, Primary
        One sentence, and the figure that it rests on.
    notes : tuple of str
        What should be known of the compared rows and labels.
    rows, labels : ComparedRows, ComparedLabels
        What is compared, and what is left out.
    models : mapping from name to ModelFigures
        Each classifier alone.
    pairs : list of Pair
        Two classifiers: a minus b, as given. More: the best by the primary figure minus each of the others.
    leaderboard : list of Place
        All classifiers, the best by the primary figure first.
    changed : list of ChangedRow
        Rows that the classifiers decide differently.
    """

    verdict: str
    primary: Primary
    notes: tuple[str, ...]
    rows: ComparedRows
    labels: ComparedLabels
    models: Mapping[str, ModelFigures]
    pairs: list[Pair]
    leaderboard: list[Place]
    changed: list[ChangedRow]

    def __repr__(self) -> str:
        return f"Comparison({self.verdict!r})"

    def __str__(self) -> str:
        return "\n".join([self.verdict, *self.notes])

    def _repr_html_(self) -> str:
        rows = [
            (place.name, place.figure, "" if place.behind_the_best is None else place.behind_the_best)
            for place in self.leaderboard
        ]
        return html_table(str(self), ("model", self.primary.figure, "the best minus it"), rows)

    def as_dict(self) -> dict[str, Any]:
        """Give plain dictionaries, lists and numbers; of the changed rows their number and the first 20."""
        changed = {"rows": len(self.changed), "first": plain(self.changed[:EXAMPLES])}
        return {**plain_fields(self), "changed": changed}
