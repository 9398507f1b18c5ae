"""What a comparison of classifiers gives: one value, with the names that its JSON has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from elsewise.evaluation.paired_bootstrap import Difference, LabelPair, Outcomes, SharedThreshold
from elsewise.metrics import CalibrationError, Estimate
from elsewise.rules.certificate import Certificate
from elsewise.storage.json_files import Json, plain, plain_fields

EXAMPLES = 20  # changed rows that `as_dict` holds


@dataclass(frozen=True, slots=True)
class Primary:
    """What decides: "right", the share of rows answered right at the same promise, or "accuracy" of the best label.

    Coverages are compared at the target accuracy: the one that all promise, or 0.95.
    """

    figure: str
    why: str
    target_accuracy: float


@dataclass(frozen=True, slots=True)
class ComparedRows:
    """How many rows are compared, and how many of a file are not.

    `readable` are the in-scope rows that every classifier can read, `left_out` those by a label that some classifiers
    do not have, `repeated` those with a text that came before.
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
    """The labels: `common` ones are compared; `other` gives by model those that not all have."""

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
    """One model alone.

    Attributes
    ----------
    figures : mapping from name to Estimate
        With 95 % intervals.
    shared_threshold : SharedThreshold
        What one threshold for all models does to it.
    threshold : float or list of float
        Its own; one for each label where its rule has several.
    certificate : Certificate or None
        Its promise.
    engine : mapping
        Name, settings and fingerprint (JSON).
    rows : ModelRows
        Rows that it could not read, or has seen.
    texts_per_second, texts_per_second_at_fit : float or None
        How fast it was in this run, and when its engine was chosen.
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
class Pair:
    """Two models, a minus b; shares of rows have the exact test of McNemar, as `ShareDifference`."""

    a: str
    b: str
    figures: Mapping[str, Difference]
    outcomes: Outcomes
    labels: list[LabelPair]


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a model by its primary figure, and how far behind the best model it is (None: it is the best)."""

    name: str
    figure: Estimate
    behind_the_best: Estimate | None
    shown: bool


@dataclass(frozen=True, slots=True)
class Said:
    """What a model says of a row; Other is right for a text of no label."""

    label: str
    abstained: bool
    right: bool
    best_label: str | None
    confidence: float


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """A row that not all models decide alike: its place from 0, its true label (None: out of scope), what each says."""

    row: int
    label: str | None
    models: Mapping[str, Said]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between classifiers, and what of it other rows would show too.

    Attributes
    ----------
    verdict : str
        One sentence, which rests on `primary`.
    primary : Primary
        What decides.
    notes : tuple of str
        What should be known of the rows and labels that are compared.
    rows, labels : ComparedRows, ComparedLabels
        What is compared, and what is left out.
    models : mapping from name to ModelFigures
        Each alone.
    pairs : list of Pair
        Two classifiers: a minus b, as they were given. More: the best by the primary figure minus each other one.
    leaderboard : list of Place
        All classifiers, the best by the primary figure first.
    changed : list of ChangedRow
        Rows that not all classifiers decide alike.
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

    def __str__(self) -> str:
        return "\n".join([self.verdict, *self.notes])

    def as_dict(self) -> dict[str, Any]:
        """Give the same as plain dictionaries, lists and numbers; of the changed rows their number and the first 20."""
        changed = {"rows": len(self.changed), "first": plain(self.changed[:EXAMPLES])}
        return {**plain_fields(self), "changed": changed}
