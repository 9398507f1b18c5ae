"""Shared steps of `fit`, `fit_external` and `calibrate`: from an engine's outputs to certified parts.

tune -> calibrator, score, grid    certify -> threshold + certificate    test -> evaluation

Distances of features are measured from the texts that the model was trained on. Where those are unknown, half of the
tune rows replace them. The other half then chooses the score, places the grid and tells which texts are unfamiliar,
since a row is always close to itself. Certify rows stay fresh in both cases.
"""

import math
import platform
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import ABSTAIN, Codes, label_word
from elsewise.calibrators import Calibrator
from elsewise.calibrators.choice import choose_calibrator
from elsewise.classifier.classifier import Classifier, check_other
from elsewise.classifier.kept_rows import population_record
from elsewise.classifier.provenance import Provenance
from elsewise.data.checks import majority_findings
from elsewise.data.defaults import FLOOR, LEFT_OUT, PARTS, UNFAMILIAR
from elsewise.data.division import stratified
from elsewise.data.splits import Splits, hashes
from elsewise.engines import Stored
from elsewise.errors import InputError, PromiseWarning, warn_caller
from elsewise.evaluation.evaluate import evaluate
from elsewise.messages.certificates import Population
from elsewise.messages.wording import listed, percent
from elsewise.metrics.intervals import clopper_pearson_upper
from elsewise.outputs import Evidence, Outputs, References
from elsewise.rules import CertifiedThreshold, Gate, about
from elsewise.rules.certificate import Certificate
from elsewise.rules.conformal import SplitConformal
from elsewise.rules.familiarity import FamiliarityTest
from elsewise.rules.fixed_sequence import BinomialTest, check_promise
from elsewise.rules.gates import with_gates
from elsewise.scores.choice import check_score, named_score
from elsewise.scores.distances import references_of
from elsewise.storage.json_files import Json

REFERENCES: Final = 20_000  # train texts that distances are measured from
LIBRARIES: Final = ("elsewise", "numpy", "scipy", "tokenizers",
                    "openvino", "onnxruntime", "torch", "transformers", "nncf")  # fmt: skip

Labelled = tuple[Evidence, Codes]
Answered = tuple[Outputs, Codes]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Promise:
    """What a threshold is certified for, and what it never answers.

    Attributes
    ----------
    target_accuracy, confidence_level, score : float, float, str
        The accuracy of answered texts, the confidence level, and the name of the score.
    floor, unfamiliar : float, float or None
        Settings of the gates `Floor` and `Unfamiliar`, 0 for none. None: 0.02 where features tell familiar texts from
        others.
    strict : bool
        Whether no lower accuracy is promised where this one cannot be certified.
    """

    target_accuracy: float
    confidence_level: float
    score: str
    floor: float = FLOOR
    unfamiliar: float | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        check_promise(self.target_accuracy, self.confidence_level)
        check_score(self.score)
        with_gates((), {"floor": self.floor, "unfamiliar": self.unfamiliar})

    @property
    def tested(self) -> BinomialTest:
        """The tested share of errors, and its significance level."""
        return BinomialTest.of(self.target_accuracy, self.confidence_level)

    def gates(self, familiarity: FamiliarityTest | None) -> tuple[Gate, ...]:
        """Make the gates; InputError if `unfamiliar` is asked for, and no features tell familiar texts from others.

        ElsewiseWarning where in-scope tune rows are too few to bar such a share of the texts: none is then unfamiliar.
        """
        share = self.unfamiliar
        if familiarity is None or familiarity.score.labels is None:
            if share:
                raise InputError("unfamiliar needs features, the input of the last layer, and there are none")
            share = 0
        else:
            share = UNFAMILIAR if share is None else share
            share = 0 if warn_of_few_rows(share, familiarity) else share  # a certificate tells of no gate that is none
        return with_gates((), {"floor": self.floor, "unfamiliar": share})


def warn_of_promise(certificate: Certificate | None) -> None:
    """Warn where less is promised than was asked for, or nothing."""
    if certificate is not None and (certificate.is_lower or not certificate.certified):
        warn_caller(certificate.headline(), kind=PromiseWarning)


def warn_of_few_rows(share: float, familiarity: FamiliarityTest) -> bool:
    """Warn where in-scope tune rows are too few for `Unfamiliar(share)` to bar any text, and tell whether they are."""
    rows = len(familiarity.in_scope.values)
    are_few = share > 0 and 1 / (rows + 1) > share  # the smallest p-value
    if are_few:
        few = f"{rows} in-scope tune rows are too few to tell the {percent(share)} least familiar texts"
        needed = math.ceil(1 / share) - 1
        warn_caller(f"{few}: none is barred; {needed:,} are needed")
    return are_few


@dataclass(frozen=True, slots=True)
class Words:
    """The words for texts without a label: `other` in answers, `out_of_scope_label` in the data."""

    other: str
    out_of_scope_label: str | None

    def __post_init__(self) -> None:
        check_other(self.other)

    @classmethod
    def of(cls, other: str, out_of_scope_label: Any) -> Self:
        """Turn the out-of-scope label into a word, as labels are."""
        label = None if out_of_scope_label is None else label_word(out_of_scope_label) or str(out_of_scope_label)
        return cls(other, label)


@dataclass(frozen=True, slots=True, eq=False)
class CertifiedParts:
    """The rule with its certificate, and the parts that explain its decisions.

    Attributes
    ----------
    rule, compared : CertifiedThreshold, mapping
        The rule with its certificate, and how its score was chosen (JSON).
    familiarity, sets : FamiliarityTest or None, SplitConformal or None
        They explain decisions; None where no row can be read.
    """

    rule: CertifiedThreshold
    familiarity: FamiliarityTest | None
    sets: SplitConformal | None
    compared: Json

    def about(self, population: Population) -> Self:
        """Tell the certificate which texts its rows stand for."""
        return replace(self, rule=about(self.rule, population))

    def classifier(self, engine: Stored, calibrator: Calibrator, words: Words, provenance: Provenance) -> Classifier:
        """Make a classifier of these parts, and of the engine and calibrator that they were fitted on."""
        named = (words.other, words.out_of_scope_label)
        return Classifier(engine, calibrator, self.rule, *named, self.familiarity, self.sets, provenance)


def certified_engine(
    engine: Stored, answered: Mapping[str, Answered], known: Answered | None, promise: Promise, words: Words, seed: int,
    population: Population,
) -> tuple[Classifier, Indices]:  # fmt: skip
    """Calibrate and certify an engine that was trained elsewhere.

    Parameters
    ----------
    engine : Stored
        An engine with k labels.
    answered : mapping
        Outputs and codes of "tune" and "certify" rows.
    known : (Outputs, codes), optional
        Outputs and codes of texts that the model was trained on.
    promise, words, seed
        As in `fit`.
    population : Population
        The texts that the certify rows stand for.

    Returns
    -------
    classifier, rows
        `rows` are indices of tune rows from which no distance is measured.
    """
    outputs, codes = answered["tune"]
    check_tune_rows(outputs.logits, codes)
    choice = choose_calibrator(outputs.logits, codes)
    of_references, judging = halves(outputs, codes, seed) if known is None else (None, np.arange(len(codes)))
    if of_references is not None:
        known = outputs.take(of_references), codes[of_references]
    references = None
    if known is not None and known[0].features is not None:
        references = references_of(Evidence(known[0].logits, known[0]), known[1])
    tuned, certify = (
        (Evidence.of(outputs, choice.calibrator), codes)
        for outputs, codes in ((outputs.take(judging), codes[judging]), answered["certify"])
    )
    parts = certified_parts(tuned, certify, references, promise, labels=engine.labels).about(population)
    provenance = Provenance(record={"calibrator": choice.record, "score": parts.compared})
    return parts.classifier(engine, choice.calibrator, words, provenance), judging


def check_tune_rows(logits: NDArray[Any], codes: Codes) -> None:
    """Check the logits (n, k) of tune rows, codes (n,), of a model that was trained elsewhere.

    InputError if no row can be used. ElsewiseWarning where one constant answer would be right more often: labels may be
    in the wrong order.
    """
    if not np.isfinite(logits).all(axis=1).any():
        raise InputError(f"none of {len(codes):,} tune rows has finite logits: all are blank, or the model fails")
    inside = (codes != ABSTAIN) & np.isfinite(logits).all(axis=1)
    n, right = int(inside.sum()), int((logits[inside].argmax(axis=1) == codes[inside]).sum())
    if n and clopper_pearson_upper(right, n, 0.001) < np.bincount(codes[inside]).max() / n:
        words = "the labels are probably not in the order of the model's columns"
        only = f"only {percent(right / n)} of the {n:,} tune rows are right"
        warn_caller(f"{only}: {words}")


def halves(outputs: Outputs, codes: Codes, seed: int) -> tuple[Indices | None, Indices]:
    """Divide n tune rows, codes (n,), into those that distances are measured from, and those that choose and test.

    None, and all rows, where there are no features (n, d) to measure distances of.
    """
    everything = np.arange(len(codes))
    if outputs.features is None:
        return None, everything
    one, other = stratified(codes, (1 / 2, 1 / 2), np.random.default_rng(seed), whole=0)
    usable = (codes != ABSTAIN) & np.isfinite(outputs.features).all(axis=1)
    return (one, other) if usable[one].any() and usable[other].any() else (None, everything)


def certified_parts(
    tuned: Labelled, certify: Labelled, known: References | None, promise: Promise, looks: int = 1,
    labels: Sequence[str] = (),
) -> CertifiedParts:  # fmt: skip
    """Choose the score on tune rows and certify its threshold; fit the parts that explain decisions.

    Parameters
    ----------
    tuned, certify : (Evidence, codes)
        Of n tune rows and m certify rows; codes have shapes (n,) and (m,), -1 for out-of-scope.
    known : References, optional
        Rows that distances of features are measured from.
    promise, looks : Promise, int
        What is certified, and the number of certifications on these certify rows, this time included.
    labels : k names, optional
        For a warning of labels that are never answered while one label for all would keep the promise.
    """
    score, compared = named_score(promise.score, *tuned, known)
    familiarity = FamiliarityTest.fit(*tuned, references=known) if _can_be_read(*tuned) else None
    if familiarity is not None:
        tuned, certify = ((familiarity.judged(rows), codes) for rows, codes in (tuned, certify))
    rule = CertifiedThreshold.fit(
        *certify, reference=tuned[0], reference_codes=tuned[1], score=score, looks=looks,
        target_accuracy=promise.target_accuracy, confidence_level=promise.confidence_level,
        gates=promise.gates(familiarity), strict=promise.strict,
    )  # fmt: skip
    sets = SplitConformal.fit(*certify) if _can_be_read(*certify) else None
    if labels and majority_findings(certify[1], labels, promise.tested):
        _warn_of_silent_labels(rule, *certify, labels)
    return CertifiedParts(rule, familiarity, sets, compared)


def _warn_of_silent_labels(rule: CertifiedThreshold, certify: Evidence, codes: Codes, labels: Sequence[str]) -> None:
    """Warn of labels that certify rows have and no answer gives, where one label for all would keep the promise."""
    answered = set(rule(certify).codes.tolist())
    silent = [repr(labels[code]) for code in np.unique(codes[codes != ABSTAIN]).tolist() if code not in answered]
    if silent and rule.certificate.certified:
        words = (
            f"{listed(silent)} is never answered, and the promise, which one label for all would keep, does not tell"
        )
        remedy = "elsewise threshold MODEL --per-label promises it of each label"
        warn_caller(f"{words}: {remedy}")


def _can_be_read(rows: Evidence, codes: Codes) -> bool:
    return bool(((codes != ABSTAIN) & ~np.isnan(rows.probabilities).any(axis=1)).any())


def evaluated(classifier: Classifier, texts: Any, codes: Any) -> Classifier:
    """Add an evaluation on n test rows, if there are any; codes have shape (n,)."""
    if not len(texts):
        return classifier
    judged = evaluate(classifier, texts, codes=codes)
    return classifier.with_provenance(evaluation=judged.as_dict(), judged=judged)


def sampled(codes: Codes, seed: int) -> Indices:
    """Sample the train rows, codes (n,), that distances are measured from: some of every label."""
    share = min(1.0, REFERENCES / max(len(codes), 1))
    return stratified(codes, (share, 1 - share), np.random.default_rng(seed))[0]


def of_splits(parts: Splits) -> tuple[Json, dict[str, NDArray[Any]]]:
    """Give the sizes of splits and the versions of libraries, for the record; and hashes of the texts of each, (n,).

    The hashes have a salt of this call: tables that others have made of hashes tell nothing of the texts.
    """
    sizes = {name: len(getattr(parts, name)) for name in PARTS}
    dropped = {name: getattr(parts, name) for name in LEFT_OUT}
    salt = secrets.token_bytes(16)
    seen = {f"split.{name}": hashes(getattr(parts, name).texts, salt) for name in PARTS[:-1]}
    arrays: dict[str, NDArray[Any]] = {name: np.array(values, dtype=np.uint64) for name, values in seen.items()}
    arrays["split.salt"] = np.frombuffer(salt, dtype=np.uint8)
    return {"splits": sizes, "dropped": dropped, "versions": versions(), **population_record(parts.population)}, arrays


def versions() -> dict[str, str]:
    """Give the versions of Python and of the libraries that answers depend on."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found
