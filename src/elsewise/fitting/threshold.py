"""Change a model folder's threshold without training: model, calibrator and score stay the same.

Thresholds are compared on tune rows, before and after alike, as often as you like. Only certifications read certify
rows, and each is one more look at them: looks are counted for ever, even those that are undone.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from elsewise.arrays import Codes
from elsewise.classifier.classifier import Classifier
from elsewise.classifier.history import is_looked_at, marked, recorded, restored, set_apart, to_undo
from elsewise.classifier.kept_rows import kept_evidence, kept_population
from elsewise.classifier.load import choose_entry, open_classifier
from elsewise.classifier.model_folder import ModelFolder
from elsewise.classifier.packing import NAMES, pack, unpack
from elsewise.data.defaults import CONFIDENCE_LEVEL, TARGET_ACCURACY
from elsewise.errors import InputError, did_you_mean
from elsewise.evaluation.answers import Answers, Flags
from elsewise.evaluation.strangers import Strangers, strangers_of
from elsewise.fitting.certify import warn_of_few_rows
from elsewise.messages.certificates import MIXED, PLAIN
from elsewise.metrics import Estimate, wilson
from elsewise.outputs import Evidence
from elsewise.progress import Progress
from elsewise.rules import GATES, RULES, ByLabel, Gate, Rule, Unfamiliar, about, among_looks, asked_record, fit_as_asked
from elsewise.rules.certificate import Certificate
from elsewise.rules.gates import with_gates
from elsewise.storage.json_files import Json, plain, plain_fields
from elsewise.storage.paths import at_home
from elsewise.storage.sealed_folder import changing, check_target, check_unchanged, steady

COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)  # coverages of the thresholds in an overview
PER = 1000
USUAL = {"target_accuracy": TARGET_ACCURACY, "confidence_level": CONFIDENCE_LEVEL, "strict": False}

Labelled = tuple[Evidence, Codes]


@dataclass(frozen=True, slots=True)
class Rates:
    """Coverage, accuracy, and errors and Other per 1,000 texts, of a rule on some rows."""

    coverage: Estimate
    accuracy_when_answered: Estimate
    errors_per_1000: Estimate
    other_per_1000: Estimate


@dataclass(frozen=True, slots=True)
class ConfidenceRange:
    """The lowest and the highest confidence of some rows."""

    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class TuneRates:
    """Coverage, accuracy and rates of a rule on tune rows; nothing here is certified.

    Attributes
    ----------
    rows, out_of_scope : int
        How many rows there are, and how many of them are out-of-scope.
    coverage, accuracy_when_answered, errors_per_1000, other_per_1000 : Estimate
        As in `Rates`, on all rows.
    in_scope, confidence : Rates, ConfidenceRange or None
        Rates of in-scope rows alone, and the range of readable rows; None where there are none.
    """

    rows: int
    out_of_scope: int
    coverage: Estimate
    accuracy_when_answered: Estimate
    errors_per_1000: Estimate
    other_per_1000: Estimate
    in_scope: Rates
    confidence: ConfidenceRange | None

    @classmethod
    def of(cls, rule: Rule, evidence: Evidence, codes: Codes) -> "TuneRates":
        """Apply a rule to n rows with their true codes, shape (n,)."""
        decisions = rule(evidence)
        answers = Answers(codes, decisions.best, decisions.codes)
        answered, correct, inside = answers.answered, answers.correct, answers.in_scope
        confidence = decisions.confidence[~np.isnan(decisions.confidence)]
        return cls(
            len(codes),
            int((~inside).sum()),
            *_rates(answered, correct),
            in_scope=Rates(*_rates(answered[inside], correct[inside])),
            confidence=ConfidenceRange(float(confidence.min()), float(confidence.max())) if len(confidence) else None,
        )


def _rates(answered: Flags, correct: Flags) -> tuple[Estimate, Estimate, Estimate, Estimate]:
    """Count the fields of `Rates`."""
    n, kept, right = len(answered), int(answered.sum()), int((answered & correct).sum())
    return wilson(kept, n), wilson(right, kept), _per_1000(kept - right, n), _per_1000(n - kept, n)


def _per_1000(count: int, n: int) -> Estimate:
    share = wilson(count, n)
    return Estimate(PER * share.value, PER * share.low, PER * share.high)


@dataclass(frozen=True, slots=True)
class LabelThreshold:
    """The threshold of one label, and the certify rows that it was tested on.

    Attributes
    ----------
    label, threshold : str, float
        The label, and its own threshold.
    certified, rare : bool
        Whether it is certified by itself, and whether it has too few rows for that.
    rows, n, errors : int
        Certify rows, answered rows, and wrong answers; of all rare labels together.
    """

    label: str
    threshold: float
    certified: bool
    rare: bool
    rows: int
    n: int
    errors: int


@dataclass(frozen=True, slots=True, eq=False)
class RuleOnTuneRows:
    """A rule with its certificate, if any, and its rates on tune rows.

    `measured` is None in a folder that keeps no rows.
    """

    rule: Rule
    label_names: tuple[str, ...]
    measured: TuneRates | None

    @property
    def certificate(self) -> Certificate | None:
        """The tested promise, or None."""
        return self.rule.certificate

    @property
    def by_label(self) -> list[LabelThreshold]:
        """Labels with thresholds of their own, uncertified labels first; empty where all labels share one threshold."""
        rule = self.rule
        if not isinstance(rule, ByLabel):
            return []
        tests = [rule.certificates[group] for group in rule.groups]
        columns = zip(self.label_names, rule.threshold, rule.certified_labels, tests, strict=True)
        found = [
            LabelThreshold(label, float(threshold), bool(certified), code in rule.rare, test.rows, test.n, test.errors)
            for code, (label, threshold, certified, test) in enumerate(columns)
        ]
        return sorted(found, key=lambda row: (row.certified, -row.threshold))

    def as_dict(self) -> dict[str, Any]:
        """Give plain dictionaries, lists and numbers."""
        return {
            "rule": NAMES[type(self.rule)],
            "asked": plain(asked_record(self.rule)),
            "score": NAMES[type(self.rule.score)],
            "threshold": np.asarray(self.rule.threshold).tolist(),
            "certificate": plain(self.certificate),
            "measured_on_tune_rows": plain(self.measured),
            "labels": plain(self.by_label),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """A change of the threshold, with the rules before and after on the same rows.

    Attributes
    ----------
    engine, others : str, tuple of str
        The engine of this threshold, as in "openvino-int8", and the folder's engines that keep their own.
    before, after : RuleOnTuneRows
        Both measured on the same rows.
    entry : mapping
        The entry in the folder's history (JSON).
    strangers : Strangers or None
        How many built-in strange texts would get a label now. None for a model that cannot answer them here.
    """

    engine: str
    before: RuleOnTuneRows
    after: RuleOnTuneRows
    entry: Json
    others: tuple[str, ...]
    strangers: Strangers | None

    def as_dict(self) -> dict[str, Any]:
        """Give plain dictionaries, lists and numbers."""
        return plain_fields(self)


@dataclass(frozen=True, slots=True, eq=False)
class Overview:
    """A folder's threshold, what other thresholds would do, and the history.

    Attributes
    ----------
    engine, others : str, tuple of str
        The engine of this threshold, and the folder's engines that keep their own.
    present : RuleOnTuneRows
        The rule that answers now.
    possible : tuple of RuleOnTuneRows
        Rules by coverage, measured on the same rows; empty where none are kept.
    history : sequence of mappings
        Every change, also of other engines (JSON).
    looks : int
        How many certifications were made on the certify rows.
    strangers : Strangers or None
        How many built-in strange texts would get a label. None for a model that cannot answer them here.
    """

    engine: str
    present: RuleOnTuneRows
    possible: tuple[RuleOnTuneRows, ...]
    history: Sequence[Json]
    looks: int
    others: tuple[str, ...]
    strangers: Strangers | None

    def as_dict(self) -> dict[str, Any]:
        """Give plain dictionaries, lists and numbers."""
        return plain_fields(self)


def open_threshold(
    path: str | Path, *, engine: str | None = None, precision: str | None = None,
    threads: int | None = None, progress: Progress | None = None,
) -> "FolderThreshold":  # fmt: skip
    """Open the threshold of a model folder: to look at it, to change it without training, or to undo a change.

    Parameters
    ----------
    path : str or Path
        A model folder.
    engine, precision : str, optional
        Whose threshold to open. Default: those of the folder. Other engines of the folder keep their thresholds.
    threads : int, optional
        Threads of the engine.
    progress : callable, optional
        Called with (words, 0, 0).

    Raises
    ------
    ArtifactError
        As `elsewise.load`.

    Examples
    --------
    >>> import tempfile
    >>> from elsewise import calibrate
    >>> z = np.tile([[2.0, 0.0], [0.0, 2.0]], (300, 1))
    >>> y = np.tile([0, 1], 300)
    >>> y[:12] = 1 - y[:12]
    >>> with tempfile.TemporaryDirectory() as place:
    ...     calibrate(z, y, count_repeats=True).save(f"{place}/model")
    ...     change = open_threshold(f"{place}/model").change("certified", target_accuracy=0.9, note="sales asked")
    >>> change.after.certificate.target_accuracy, change.after.certificate.looks
    (0.9, 2)
    """

    def opened(place: Path) -> FolderThreshold:
        folder = ModelFolder.read(place)
        key = choose_entry(folder, engine, precision)
        classifier = open_classifier(folder, key, threads, answers=False)  # kept rows hold a user's model's answers
        return FolderThreshold(folder, key, classifier, progress)

    return steady(Path(at_home(path)), opened)


@dataclass(frozen=True, eq=False)
class FolderThreshold:
    """The threshold of one engine in a model folder, as `open_threshold` opens it.

    Attributes
    ----------
    folder : ModelFolder
        The folder as it was read.
    engine : str
        Whose threshold it is, as in "openvino-int8".
    classifier : Classifier
        With the present rule.
    progress : callable or None
        Called with (words, 0, 0).
    """

    folder: ModelFolder
    engine: str
    classifier: Classifier
    progress: Progress | None = None

    def overview(self) -> Overview:
        """Show the present threshold, and what others would do: reads no certify row, and writes nothing."""
        possible: tuple[RuleOnTuneRows, ...] = ()
        if self._tune is not None and len(self._tune[1]):
            asked = {"gates": self.classifier.rule.gates}
            possible = tuple(self._judge(self._fit("coverage", {"coverage": c, **asked})) for c in COVERAGES)
        folder, present = self.folder, self._judge(self.classifier.rule)
        history = [_shown(entry) for entry in folder.history]
        strangers = strangers_of(self.classifier)
        return Overview(self.engine, present, possible, history, folder.looks, self._others, strangers)

    def change(self, rule: str, *, note: str = "", **asked: Any) -> Change:
        """Give the engine a new rule, made on the rows that the folder keeps, and save it there.

        Parameters
        ----------
        rule : {"certified", "by_label", "accuracy_band", "coverage", "cost", "fixed"}
            In the table `elsewise.rules.RULES`. The first three read the certify rows, which is one more look at them;
            all changes to thresholds of one band together are one look. The others are placed on tune rows, and promise
            nothing.
        note : str
            Why; kept in the history.
        **asked
            Arguments of the rule's `fit`, as in ``target_accuracy=0.9`` or ``threshold=0.6``, and settings of gates by
            their names in `elsewise.rules.GATES`, as in ``unfamiliar=0.05``; 0 removes one. The score is the present
            one. Defaults: the present gates; for a promise, the target accuracy that was asked for, the confidence
            level, and `strict`, of the present certificate, or else of the last one.

        Raises
        ------
        InputError
            If the rule or its options are unknown or out of range, the folder keeps no rows that it needs, or a
            different program changed the folder meanwhile.
        """
        settings = {name: asked.pop(name) for name in GATES if name in asked}
        _check_asked(rule, asked)
        with self._changing():
            present, looks = self.classifier.rule, self.folder.looks
            gates = with_gates(present.gates, settings)
            self._check_familiarity(gates, settings)
            usual = {name: value for name, value in self._last_promise().items() if name in _taken(rule)}
            made = self._fit(rule, {"gates": gates, **usual, **asked})
            return self._write(made, recorded("changed", self.engine, made, looks=looks, note=note, before=present))

    def undo(self, *, note: str = "") -> Change:
        """Put back the rule before the last change that was not undone yet; its certificate tells of every look since.

        Raises
        ------
        InputError
            If there is no change to undo, or the score was changed since.
        """
        with self._changing() as path:
            last = to_undo(self.folder.history, self.engine)
            if last is None:
                raise InputError(f"{path}: there is no change of the threshold of {self.engine} to undo")
            earlier = restored(last["before"], self.classifier.rule.score)
            rule = among_looks(earlier, self.folder.looks, self.folder.spent())
            return self._write(rule, recorded("undone", self.engine, rule, looks=self.folder.looks, note=note))

    def _check_familiarity(self, gates: Sequence[Gate], settings: Mapping[str, Any]) -> None:
        """Raise InputError for the gate `Unfamiliar` without features, and warn where it is new and bars no text."""
        test = self.classifier.familiarity
        if test is None or test.score.labels is None:
            if any(isinstance(gate, Unfamiliar) for gate in gates):
                path = self.folder.files.path
                raise InputError(f"{path} cannot tell unfamiliar texts: its engine gave no features when it was fitted")
        elif settings.get("unfamiliar"):
            warn_of_few_rows(settings["unfamiliar"], test)

    @contextmanager
    def _changing(self) -> Iterator[Path]:
        """Lock the folder, as it was read: a change that would be refused makes no look at certify rows."""
        path = self.folder.files.path
        with changing(path):
            check_target(path)
            check_unchanged(path, self.folder.manifest)
            yield path

    @cached_property
    def _tune(self) -> Labelled | None:
        """The engine's evidence of the tune rows, and their codes; None where the folder keeps no rows."""
        if "refit.tune.codes" not in self.folder.arrays:
            return None
        if self.progress:
            self.progress("measuring on tune rows", 0, 0)
        return kept_evidence(self.classifier, self.folder.arrays, "tune")

    @property
    def _others(self) -> tuple[str, ...]:
        return tuple(self.folder.others(self.engine))

    def _judge(self, rule: Rule) -> RuleOnTuneRows:
        measured = None if self._tune is None else TuneRates.of(rule, *self._tune)
        return RuleOnTuneRows(rule, self.classifier.labels, measured)

    def _last_promise(self) -> dict[str, Any]:
        """Give what was asked for by the present promise, or else by the last one in the history."""
        entries = [entry.get("before", {}) for entry in self.folder.history if entry["engine"] == self.engine]
        earlier = [before["certificate"] for before in entries if "certificate" in before]
        c = self.classifier.certificate
        if c is None and earlier:
            c = unpack(earlier[-1], {}, self.folder.file, Certificate)
        if c is None:
            return USUAL
        asked = {"target_accuracy": c.asked_for, "confidence_level": c.confidence_level}
        return USUAL | asked | ({"strict": not c.ladder} if c.method in (PLAIN, MIXED) else {})

    def _fit(self, name: str, asked: Json) -> Rule:
        """Make a rule on the kept rows, with the present score."""
        if self._tune is None and name != "fixed":
            raise InputError(
                f"{self.folder.files.path} keeps no rows to choose a threshold on (keep_refit_rows=False); "
                "set one by hand with threshold=, or fit it again"
            )

        def certify() -> Labelled:
            if self.progress:
                self.progress("certifying", 0, 0)
            return kept_evidence(self.classifier, self.folder.arrays, "certify")

        tune: tuple[Any, Any] = self._tune or (None, None)
        folder, score, looks = self.folder, self.classifier.rule.score, self.folder.looks + 1
        made = fit_as_asked(name, asked, tune=tune, certify=certify, score=score, looks=looks)
        made = about(made, kept_population(folder.description["record"]))
        if name == "accuracy_band" and is_looked_at(folder.history, self.engine, asked_record(made) or {}):
            return among_looks(made, folder.looks, folder.spent())
        return among_looks(made, looks, folder.spent(made.certificate))

    def _write(self, rule: Rule, entry: Json) -> Change:
        """Write the folder with a new rule and one more entry in its history."""
        folder, key, path = self.folder, self.engine, self.folder.files.path
        before, after = self._judge(self.classifier.rule), self._judge(rule)
        arrays, engines = dict(folder.arrays), folder.description["engines"]
        changed = {**engines[key], "rule": pack(rule, arrays, f"engine.{key}.rule")}
        evaluation = folder.evaluation and set_apart(
            folder.evaluation, self.classifier.engine.fingerprint, self.classifier.rule, rule, entry["when"]
        )
        strangers = strangers_of(replace(self.classifier, rule=rule).with_provenance(evaluation=evaluation))
        if strangers and evaluation and evaluation["engine"]["fingerprint"] == self.classifier.engine.fingerprint:
            evaluation = {**evaluation, "strangers": plain(strangers)}
        description = {**folder.description, "engines": {**engines, key: changed}, "history": [*folder.history, entry]}
        report = folder.report and marked(folder.report, outdated="outdated" in (evaluation or {}))
        replace(folder, description=description, arrays=arrays, evaluation=evaluation, report=report).write(path)
        return Change(key, before, after, _shown(entry), self._others, strangers)


def _check_asked(rule: str, asked: Json) -> None:
    if rule not in RULES:
        raise InputError(f"unknown rule {rule!r}; choose one of {', '.join(RULES)}")
    known = _taken(rule) | set(GATES)
    if unknown := sorted(set(asked) - known):
        near = did_you_mean(unknown[0], known) or f"; it takes {', '.join(sorted(known))}"
        raise InputError(f"the rule {rule!r} takes no {unknown[0]}{near}")


def _taken(rule: str) -> set[str]:
    """Name the arguments of a rule's `fit` that a caller may choose."""
    rows = {"evidence", "codes", "reference", "reference_codes", "score", "looks", "gates"}
    return set(inspect.signature(RULES[rule].fit).parameters) - rows


def _shown(entry: Json) -> dict[str, Any]:
    """Leave out the packed rule that an entry can put back."""
    return {name: value for name, value in entry.items() if name != "before"}
