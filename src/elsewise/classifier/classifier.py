"""The classifier: an engine, a calibrator and a rule that answer together."""

import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes, Floats, label_words
from elsewise.calibrators import Calibrator
from elsewise.classifier.model_folder import BASELINE, CANARY, write_folder
from elsewise.classifier.packing import pack
from elsewise.classifier.provenance import Provenance
from elsewise.data.labels import label_form, own_labels
from elsewise.engines import Stored, as_engine, as_input, key_of, prepared, quick_run, reads_logits
from elsewise.engines.one_process import OneProcess
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import InputError, refuse_unknown
from elsewise.messages.notebook import html_table
from elsewise.messages.wording import listed
from elsewise.outputs import Evidence, Outputs
from elsewise.rules import Rule, threshold_words
from elsewise.rules.certificate import Certificate
from elsewise.rules.conformal import SplitConformal
from elsewise.rules.decisions import Decisions
from elsewise.rules.familiarity import FamiliarityTest, explained
from elsewise.storage.paths import at_home


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Classifier(OneProcess):
    """Answers texts by an engine, a calibrator and a rule, fitted together.

    Attributes
    ----------
    engine, calibrator, rule
        They turn texts into outputs, outputs into probabilities, and probabilities into decisions. Any object with
        labels and run can be the engine.
    other : str
        The word shown for an abstention. A real label may have the same name; ``abstained`` tells them apart.
    out_of_scope_label : str or None
        The label of out-of-scope texts in the data.
    familiarity, sets : FamiliarityTest or None, SplitConformal or None
        They tell how familiar a text is, for gates and explanations, and which labels stay possible for it.
    provenance : Provenance
        How the classifier was made; saved in its folder and loaded again.

    Examples
    --------
    >>> from elsewise import FixedThreshold, Identity
    >>> from elsewise.engines.memory import MemoryEngine
    >>> engine = MemoryEngine(("yes", "no"), {"sure": [4.0, 0.0], "hm": [0.1, 0.0]})
    >>> Classifier(engine, Identity(), FixedThreshold(0.6)).decide(["sure", "hm"]).labels
    ['yes', 'Other']
    >>> Classifier(engine, Identity(), FixedThreshold(0.6))
    Classifier(2 labels or 'Other', memory, Identity, FixedThreshold)
    """

    engine: Stored
    calibrator: Calibrator
    rule: Rule
    other: str = "Other"
    out_of_scope_label: str | None = None
    familiarity: FamiliarityTest | None = None
    sets: SplitConformal | None = None
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        check_other(self.other)
        object.__setattr__(self, "engine", as_engine(self.engine))

    def __repr__(self) -> str:
        calibrator, rule = (type(part).__name__ for part in (self.provenance.folded or self.calibrator, self.rule))
        return f"Classifier({len(self.labels):,} labels or {self.other!r}, {key_of(self.engine)}, {calibrator}, {rule})"

    def __str__(self) -> str:
        """Print the parts, and the promise."""
        return "\n".join([repr(self), *([] if self.certificate is None else [self.certificate.sentence])])

    def _repr_html_(self) -> str:
        promise = "none" if self.certificate is None else self.certificate.sentence
        rows = {
            "labels": listed(self.labels, most=20),
            "word for an abstention": self.other,
            "engine": key_of(self.engine),
            "calibrator": (self.provenance.folded or self.calibrator).sentence,
            "threshold": threshold_words(self.rule, digits=4),
            "promise": promise,
        }
        return html_table(repr(self), ("classifier", ""), rows.items())

    @property
    def labels(self) -> tuple[str, ...]:
        """The k labels, without Other."""
        return self.engine.labels

    @property
    def certificate(self) -> Certificate | None:
        """The tested promise, or None."""
        return self.rule.certificate

    @property
    def evaluation(self) -> Mapping[str, Any] | None:
        """The evaluation on the classifier's own test rows, as in evaluation.json; None without test rows."""
        return self.provenance.evaluation

    def evidence(self, texts: Any) -> Evidence:
        """Return what the rule decides by: the evidence of n texts, or of their `engines.prepared` form."""
        return self.evidence_of(self.engine.run(texts))

    def evidence_of(self, outputs: Outputs) -> Evidence:
        """Calibrate the engine's outputs for n texts, and judge how familiar the texts are."""
        evidence = Evidence.of(outputs, self.calibrator)
        return evidence if self.familiarity is None else self.familiarity.judged(evidence)

    def probabilities(self, texts: Iterable[Any]) -> Floats:
        """Return calibrated probabilities, shape (n, k); a row of NaN for a text that cannot be read."""
        return Evidence.of(self.engine.run(as_input(self.engine, texts)), self.calibrator).probabilities

    def decide(self, texts: Iterable[Any]) -> Decisions:
        """Answer each of n texts, in order: a list, a column of a data frame, or a generator.

        A missing text (None, NaN) is unreadable. A classifier of logits takes their rows, (n, k).

        Raises
        ------
        InputError
            If texts are not one column of strings, such as a whole data frame.
        """
        rows = as_input(self.engine, texts)
        decisions = self.decisions(self.evidence(rows))
        if reads_logits(self.engine):
            return decisions
        return replace(decisions, texts=texts if hasattr(texts, "iloc") else rows)

    @property
    def classes_(self) -> NDArray[np.object_]:
        """The k labels in the order of the columns of `predict_proba`, as scikit-learn calls them; never Other."""
        return np.array(self.labels, dtype=object)

    def predict(self, texts: Iterable[Any]) -> NDArray[np.object_]:
        """Return a label for each of n texts, or the word for an abstention, shape (n,): as ``decide(texts).labels``.

        Unlike a classifier of scikit-learn, it does not guess: a text below the threshold gets `other`, which is none
        of `classes_`, and which ``sklearn.metrics`` counts as wrong. The most probable label of every text, answered or
        not, is ``decide(texts).columns["best_label"]``.
        """
        return np.array(self.decide(texts).labels, dtype=object)

    def predict_proba(self, texts: Iterable[Any]) -> Floats:
        """Return calibrated probabilities (n, k), a column for each of `classes_`: as `probabilities`."""
        return self.probabilities(texts)

    def decisions(self, evidence: Evidence) -> Decisions:
        """Apply the rule to evidence, and add explanations and the names of labels and Other."""
        if self.familiarity is not None and evidence.familiarity is None:
            evidence = self.familiarity.judged(evidence)
        decisions = explained(self.rule(evidence), evidence)
        if self.sets is not None:
            decisions = replace(decisions, sets=self.sets(evidence, names=self.labels))
        return replace(decisions, names=self.labels, other=self.other)

    def codes(self, labels: Sequence[Any]) -> Codes:
        """Turn label names into codes, shape (n,); the out-of-scope label into -1.

        Raises
        ------
        InputError
            If a name is unknown; the message shows it and its place.
        """
        known = {label: code for code, label in enumerate(self.labels)}
        if self.out_of_scope_label in known:
            raise InputError(f"{self.out_of_scope_label!r} is one of the model's labels, and cannot mark other texts")
        if self.out_of_scope_label is not None:
            known[self.out_of_scope_label] = -1
        names = label_words(labels)
        own = own_labels(names, known)
        if None in own:
            row = own.index(None)
            raise self._unknown(names[row], row)
        return np.array([known[name] for name in own if name is not None], dtype=np.int64)

    def _unknown(self, name: str, row: int) -> InputError:
        said = f"the model has no label {name!r}, which row {row} has (counted from 0)"
        if alike := [label for label in self.labels if label_form(label) == label_form(name)]:
            typed = shlex.join(["--map", f"{name}={alike[0]}"])
            return InputError(f"{said}; {alike[0]!r} is alike, so rename it", typed=typed)
        remedy = "fit again with them"
        if self.out_of_scope_label is None:
            remedy = f"if it marks out-of-scope texts, say so with out_of_scope_label={name!r}"
        return InputError(f"{said}; {remedy}, or leave such rows out", typed=shlex.join(["--drop-label", name]))

    def with_provenance(self, **changed: Any) -> "Classifier":
        """Copy the classifier with other fields in its `provenance`; its answers stay the same."""
        refuse_unknown("with_provenance", changed, (one.name for one in fields(Provenance)))
        return replace(self, provenance=replace(self.provenance, **changed))

    def save(self, path: str | Path) -> None:
        """Write the model folder, whole or not at all; an existing model folder is replaced.

        Raises
        ------
        InputError
            If `path` holds something else, cannot be written, or was changed by another program since this classifier
            was loaded from it or saved to it.
        """
        key, (entry, packed), kept = key_of(self.engine), self.entry(), self.provenance
        entries = {**kept.others, key: entry}
        arrays = {**kept.arrays, **packed}
        folded = None if kept.folded is None else pack(kept.folded, arrays, "folded")
        texts = self.engine.canaries
        tokens = prepared(self.engine, texts)
        token_ids = [ids.tolist() for ids in tokens] if isinstance(tokens, Tokens) else None
        answers = {name: entry[CANARY] for name, entry in entries.items()}
        described = {**self._description(), "folded": folded, "engine": key, "engines": entries}
        canary = {"texts": texts, "token_ids": token_ids, "probabilities": answers}
        judged = (kept.evaluation, kept.report)
        write_folder(Path(at_home(path)), self._save_files, described, canary, arrays, *judged, kept.seen)

    def _save_files(self, place: Path) -> None:
        self.engine.save(place)
        shutil.rmtree(place / BASELINE, ignore_errors=True)  # an older baseline among the engine's files
        if self.provenance.baseline is not None:
            (place / BASELINE).mkdir()
            self.provenance.baseline.copy_to(place / BASELINE)

    def entry(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Give the folder's entry for this engine (JSON), and the arrays of its parts, (k,) or (k, d)."""
        arrays: dict[str, NDArray[Any]] = {}
        prefix = f"engine.{key_of(self.engine)}"
        return {
            "name": self.engine.name,
            "settings": dict(self.engine.settings),
            "fingerprint": self.engine.fingerprint,
            "calibrator": pack(self.calibrator, arrays, f"{prefix}.calibrator"),
            "rule": pack(self.rule, arrays, f"{prefix}.rule"),
            "sets": self.sets and pack(self.sets, arrays, f"{prefix}.sets"),
            "familiarity": self.familiarity and pack(self.familiarity, arrays, f"{prefix}.familiarity"),
            "gate": list(self.provenance.gate),
            CANARY: canary_probabilities(self, prepared(self.engine, self.engine.canaries)).tolist(),
        }, arrays

    def _description(self) -> dict[str, Any]:
        from importlib.metadata import version  # noqa: PLC0415  0.03 s to import

        return {
            "elsewise": version("elsewise"),
            "labels": list(self.labels),
            "other": self.other,
            "out_of_scope_label": self.out_of_scope_label,
            "record": dict(self.provenance.record),
            "history": list(self.provenance.history),
        }


def canary_probabilities(classifier: Classifier, ready: Any) -> Floats:
    """Compute probabilities (n, k) of the canary texts, as quickly as the engine can."""
    return Evidence.of(quick_run(classifier.engine, ready), classifier.calibrator).probabilities


def check_other(other: str) -> None:
    """Raise InputError for a blank word: an abstention must be visible."""
    if not other.strip():
        raise InputError(f"the word for an abstention must not be blank, got {other!r}")
