"""Change what a model folder promises without training: another rule, while model, calibrator and score stay.

Whatever is measured here is measured on tune rows, before and after alike: they can be looked at as often as you like.
Certify rows are read by a certification and by nothing else, and each is one more look at them: a look is never
forgotten, not when it is undone either.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes
from elsewise.classifier.classifier import Classifier
from elsewise.classifier.history import recorded, restored, set_apart, to_undo
from elsewise.classifier.kept_rows import kept_evidence
from elsewise.classifier.load import choose_entry, open_classifier
from elsewise.classifier.model_folder import ModelFolder
from elsewise.classifier.packing import NAMES, pack
from elsewise.errors import InputError
from elsewise.evaluation.answers import Answers
from elsewise.metrics import Estimate, wilson
from elsewise.outputs import Evidence
from elsewise.progress import Progress
from elsewise.rules import RULES, ByLabel, Rule, asked_record, fit_as_asked
from elsewise.rules.certificate import Certificate
from elsewise.storage.sealed_folder import MANIFEST, check_target, digest

COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)  # at which an overview shows what a threshold would do
PER = 1000
USUAL = {"target_accuracy": 0.95, "confidence_level": 0.95}

Labelled = tuple[Evidence, Codes]


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """A rule, what it promises, and what it does on tune rows.

    Attributes
    ----------
    rule : Rule
        With its certificate, when it has one.
    labels : tuple of str
        The names of the labels.
    measured : mapping
        On tune rows, nothing of it certified: `rows`, `out_of_scope` (so many of them), `coverage`,
        `accuracy_when_answered`, `errors_per_1000` and `other_per_1000` of 1,000 texts (each an Estimate with its 95 %
        interval), the same `in_scope`, and the range of `confidence`. Empty in a folder that keeps no rows.
    """

    rule: Rule
    labels: tuple[str, ...]
    measured: Mapping[str, Any]

    @property
    def certificate(self) -> Certificate | None:
        """The tested promise, or None."""
        return self.rule.certificate

    @property
    def by_label(self) -> list[dict[str, Any]]:
        """The labels with thresholds of their own, those first that are not certified; empty where one is for all."""
        rule = self.rule
        if not isinstance(rule, ByLabel):
            return []
        columns = zip(self.labels, rule.threshold, rule.certified_labels, rule.groups, strict=True)
        found = [
            {
                "label": label,
                "threshold": float(threshold),
                "certified": bool(certified),
                "rare": code in rule.rare,
                **{name: getattr(rule.certificates[group], name) for name in ("rows", "n", "errors")},
            }
            for code, (label, threshold, certified, group) in enumerate(columns)
        ]
        return sorted(found, key=lambda row: (row["certified"], -row["threshold"]))

    def as_dict(self) -> dict[str, Any]:
        """Give the same as plain dictionaries, lists and numbers."""
        return {
            "rule": NAMES[type(self.rule)],
            "asked": asked_record(self.rule),
            "score": NAMES[type(self.rule.score)],
            "threshold": np.asarray(self.rule.threshold).tolist(),
            "certificate": None if self.certificate is None else self.certificate.as_dict(),
            "measured_on_tune_rows": _plain(self.measured) or None,
            "labels": self.by_label,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What a change of the threshold did.

    Attributes
    ----------
    engine : str
        Whose threshold it is, as in "openvino-int8".
    before, after : Standing
        Both measured on the same rows.
    entry : mapping
        What the history of the folder says of it.
    others : tuple of str
        Engines of the folder that keep a threshold of their own.
    """

    engine: str
    before: Standing
    after: Standing
    entry: Mapping[str, Any]
    others: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Give the same as plain dictionaries, lists and numbers."""
        return {
            "engine": self.engine,
            "before": self.before.as_dict(),
            "after": self.after.as_dict(),
            "entry": _told(self.entry),
            "others": list(self.others),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Overview:
    """How a folder's threshold stands, what others would do, and how it came about.

    Attributes
    ----------
    engine : str
        Whose threshold it is.
    present : Standing
        The rule that answers now.
    possible : tuple of Standing
        Rules by coverage, measured on the same rows; empty where none are kept.
    history : sequence of mappings
        Every change, also of other engines.
    looks : int
        How many certifications were made on the certify rows.
    others : tuple of str
        Engines of the folder that keep a threshold of their own.
    """

    engine: str
    present: Standing
    possible: tuple[Standing, ...]
    history: Sequence[Mapping[str, Any]]
    looks: int
    others: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Give the same as plain dictionaries, lists and numbers."""
        return {
            "engine": self.engine,
            "present": self.present.as_dict(),
            "possible": [standing.as_dict() for standing in self.possible],
            "history": [_told(entry) for entry in self.history],
            "looks": self.looks,
            "others": list(self.others),
        }


def threshold_of(
    path: str | Path,
    *,
    engine: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Overview:
    """Tell how a folder's threshold stands, and what others would do; no certify row is read, and nothing is written.

    Parameters
    ----------
    path : str or Path
        A model folder.
    engine, precision : str, optional
        One that the folder is certified on; its default otherwise.
    threads : int, optional
        For the engine.
    progress : callable, optional
        Called with (words, 0, 0).

    Raises
    ------
    ArtifactError
        As `elsewise.load`.
    """
    bench = _Bench.open(Path(path), engine, precision, threads, progress)
    rule = bench.classifier.rule
    possible: tuple[Standing, ...] = ()
    if bench.tune is not None and len(bench.tune[1]):
        shares = ({"coverage": coverage, "gates": rule.gates} for coverage in COVERAGES)
        possible = tuple(bench.standing(bench.fit("coverage", asked)) for asked in shares)
    saved = bench.saved
    return Overview(bench.key, bench.standing(rule), possible, saved.history, saved.looks, bench.others)


def change_threshold(
    path: str | Path,
    rule: str,
    *,
    note: str = "",
    engine: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    **asked: Any,
) -> Change:
    """Give a folder's engine another rule, made on the rows that the folder keeps, and save it there.

    Parameters
    ----------
    path : str or Path
        A model folder, replaced as a whole.
    rule : {"certified", "by_label", "coverage", "cost", "fixed"}
        In the table `elsewise.rules.RULES`. The first two read the certify rows, which is one more look at them; the
        others are placed on tune rows, and promise nothing.
    note : str
        Why; kept in the history.
    engine, precision, threads, progress
        As in `threshold_of`; other engines of the folder keep their thresholds.
    **asked
        What the rule's `fit` takes, as in ``target_accuracy=0.9`` or ``threshold=0.6``. The score is the present one.
        So is the ambiguity margin, and a promise is for the target accuracy and at the confidence level of the present
        certificate, or else of the last one, unless they are said.

    Raises
    ------
    InputError
        If the rule or what is asked for is unknown or out of range, the folder keeps no rows that it needs, or another
        program changed the folder meanwhile.
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
    ...     calibrate(z, y).save(f"{place}/model")
    ...     change = change_threshold(f"{place}/model", "certified", target_accuracy=0.9, note="asked for by sales")
    >>> change.after.certificate.target_accuracy, change.after.certificate.looks
    (0.9, 2)
    """
    path = Path(path)
    check_target(path)
    _check_asked(rule, asked)
    bench = _Bench.open(path, engine, precision, threads, progress)
    present = bench.classifier.rule
    usual = _last_promise(bench.saved, bench.key) if RULES[rule].tested else {}
    made = bench.fit(rule, {"gates": present.gates, **usual, **asked}, progress)
    return bench.change(made, recorded("changed", bench.key, made, looks=bench.saved.looks, note=note, before=present))


def undo_threshold(
    path: str | Path,
    *,
    note: str = "",
    engine: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Change:
    """Put back, exactly, the rule before the last change that was not undone yet; the looks that were made stay made.

    Parameters are those of `change_threshold`.

    Raises
    ------
    InputError
        If there is no change to undo, or the confidence was changed since.
    ArtifactError
        As `elsewise.load`.
    """
    path = Path(path)
    check_target(path)
    bench = _Bench.open(path, engine, precision, threads, progress)
    last = to_undo(bench.saved.history, bench.key)
    if last is None:
        raise InputError(f"{path}: there is no change of the threshold of {bench.key} to undo")
    rule = restored(last["before"], bench.classifier.rule.score)
    return bench.change(rule, recorded("undone", bench.key, rule, looks=bench.saved.looks, note=note))


def _check_asked(rule: str, asked: Mapping[str, Any]) -> None:
    if rule not in RULES:
        raise InputError(f"unknown rule {rule!r}; choose one of {', '.join(RULES)}")
    rows = {"evidence", "codes", "reference", "reference_codes", "score", "looks", "gates"}
    known = set(inspect.signature(RULES[rule].fit).parameters) - rows
    if unknown := sorted(set(asked) - known):
        raise InputError(f"the rule {rule!r} takes no {unknown[0]}; it takes {', '.join(sorted(known))}")


def _last_promise(saved: ModelFolder, key: str) -> dict[str, float]:
    """Target and level of the present certificate, or else of the last one that the history knows."""
    present = saved.rule(key).certificate
    if present is not None:
        return {name: getattr(present, name) for name in USUAL}
    entries = [entry["before"] for entry in saved.history if entry["engine"] == key and "before" in entry]
    earlier = [before["certificate"] for before in entries if "certificate" in before]
    return {name: earlier[-1][name] for name in USUAL} if earlier else USUAL


@dataclass(frozen=True, slots=True, eq=False)
class _Bench:
    """A folder with one engine opened, and what that makes of the tune rows."""

    saved: ModelFolder
    manifest: str  # what the folder held when it was read
    key: str
    classifier: Classifier
    tune: Labelled | None

    @classmethod
    def open(
        cls, path: Path, engine: str | None, precision: str | None, threads: int | None, progress: Progress | None
    ) -> "_Bench":
        manifest = digest(path / MANIFEST) if (path / MANIFEST).is_file() else ""
        saved = ModelFolder.read(path)
        key = choose_entry(saved, engine, precision)
        classifier = open_classifier(
            saved, key, threads, answers=False
        )  # kept rows have the outputs of a model of yours
        if progress:
            progress("measuring on tune rows", 0, 0)
        tune = kept_evidence(classifier, saved.arrays, "tune") if "refit.tune.codes" in saved.arrays else None
        return cls(saved, manifest, key, classifier, tune)

    @property
    def others(self) -> tuple[str, ...]:
        return tuple(self.saved.others(self.key))

    def standing(self, rule: Rule) -> Standing:
        measured = {} if self.tune is None else _measured(rule, *self.tune)
        return Standing(rule, self.classifier.labels, measured)

    def fit(self, name: str, asked: Mapping[str, Any], progress: Progress | None = None) -> Rule:
        """Make a rule on the kept rows, the present score on all of them."""
        if self.tune is None and name != "fixed":
            raise InputError(
                f"{self.saved.files.path} keeps no rows to choose a threshold on (--no-refit-rows); "
                "set one by hand with --at, or fit it again"
            )

        def certify() -> Labelled:
            if progress:
                progress("certifying", 0, 0)
            return kept_evidence(self.classifier, self.saved.arrays, "certify")

        tune: tuple[Any, Any] = self.tune or (None, None)
        looks = self.saved.looks + 1
        return fit_as_asked(name, asked, tune=tune, certify=certify, score=self.classifier.rule.score, looks=looks)

    def change(self, rule: Rule, entry: Mapping[str, Any]) -> Change:
        """Write the folder with another rule and one more entry in its history."""
        saved, key, path = self.saved, self.key, self.saved.files.path
        before, after = self.standing(self.classifier.rule), self.standing(rule)
        arrays, engines = dict(saved.arrays), saved.description["engines"]
        changed = {**engines[key], "rule": pack(rule, arrays, f"engine.{key}.rule")}
        evaluation = saved.evaluation and set_apart(
            saved.evaluation, self.classifier.engine.fingerprint, self.classifier.rule, rule, entry["when"]
        )
        description = {
            **saved.description,
            "engines": {**engines, key: changed},
            "history": [*saved.history, entry],
        }
        if digest(path / MANIFEST) != self.manifest:
            raise InputError(f"{path} was changed by another program meanwhile; say it again")
        replace(saved, description=description, arrays=arrays, evaluation=evaluation).write(path)
        return Change(key, before, after, entry, self.others)


def _measured(rule: Rule, evidence: Evidence, codes: Codes) -> dict[str, Any]:
    decisions = rule(evidence)
    answers = Answers(codes, decisions.best, decisions.codes)
    inside = answers.in_scope
    confidence = decisions.confidence[~np.isnan(decisions.confidence)]
    return {
        "rows": len(codes),
        "out_of_scope": int((~inside).sum()),
        **_figures(answers.answered, answers.correct),
        "in_scope": _figures(answers.answered[inside], answers.correct[inside]),
        "confidence": {name: float(end(confidence)) for name, end in (("lowest", np.min), ("highest", np.max))}
        if len(confidence)
        else None,
    }


def _figures(answered: NDArray[np.bool_], correct: NDArray[np.bool_]) -> dict[str, Estimate]:
    n, kept, right = len(answered), int(answered.sum()), int((answered & correct).sum())
    return {
        "coverage": wilson(kept, n),
        "accuracy_when_answered": wilson(right, kept),
        "errors_per_1000": _per_1000(kept - right, n),
        "other_per_1000": _per_1000(n - kept, n),
    }


def _per_1000(count: int, n: int) -> Estimate:
    share = wilson(count, n)
    return Estimate(PER * share.value, PER * share.low, PER * share.high)


def _told(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != "before"}


def _plain(value: Any) -> Any:
    if isinstance(value, Estimate):
        return value.as_dict()
    return {name: _plain(item) for name, item in value.items()} if isinstance(value, Mapping) else value
