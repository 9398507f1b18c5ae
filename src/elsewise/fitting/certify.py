"""The steps that `fit`, `fit_external` and `calibrate` share: from what an engine answered to certified parts.

tune -> calibrator, score, grid    certify -> threshold + certificate    test -> evaluation

Distances of features are measured from the texts that the model was trained on. Where nobody says which, half of the
tune rows take their place; the other half chooses the score, places the grid and tells what is unfamiliar, since a row
is always close to itself. Certify rows stay fresh either way.
"""

import platform
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import ABSTAIN, Codes
from elsewise.calibrators.choice import choose_calibrator
from elsewise.classifier.classifier import Classifier
from elsewise.classifier.provenance import Provenance
from elsewise.data.splits import Splits, hashes, stratified
from elsewise.engines import Engine
from elsewise.errors import ElsewiseWarning, InputError
from elsewise.evaluation.evaluate import evaluate
from elsewise.messages.wording import percent
from elsewise.metrics.intervals import clopper_pearson_upper
from elsewise.outputs import Evidence, Outputs, References
from elsewise.rules import CertifiedThreshold
from elsewise.rules.conformal import SplitConformal
from elsewise.rules.familiarity import FamiliarityTest
from elsewise.rules.fixed_sequence import BinomialTest, check_promise
from elsewise.scores.choice import check_score, named_score
from elsewise.scores.distances import references_of

REFERENCES = 20_000  # train texts that distances are measured from

Labelled = tuple[Evidence, Codes]
Answered = tuple[Outputs, Codes]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Promised:
    """What a threshold is certified for: a share that is right of what is answered, at a level, and by which score."""

    target_accuracy: float
    confidence_level: float
    score: str

    def __post_init__(self) -> None:
        check_promise(self.target_accuracy, self.confidence_level)
        check_score(self.score)

    @property
    def tested(self) -> BinomialTest:
        """The share of errors that is tested, and at which level."""
        return BinomialTest.of(self.target_accuracy, self.confidence_level)


def certified_classifier(
    engine: Engine, answered: Mapping[str, Answered], known: Answered | None, promise: Promised, seed: int
) -> tuple[Classifier, Indices]:
    """Calibrate and certify; say which tune rows no distance is measured from, so that they can judge."""
    outputs, codes = answered["tune"]
    if not np.isfinite(outputs.logits).all(axis=1).any():
        raise InputError(f"none of {len(codes):,} tune rows has finite logits: all are blank, or the model fails")
    _warn_of_order(outputs.logits, codes)
    choice = choose_calibrator(outputs.logits, codes)
    of_references, judging = _halves(outputs, codes, seed) if known is None else (None, np.arange(len(codes)))
    if of_references is not None:
        known = outputs.take(of_references), codes[of_references]
    references = None
    if known is not None and known[0].features is not None:
        references = references_of(Evidence(known[0].logits, known[0]), known[1])
    tuned, certify = (
        (Evidence.of(outputs, choice.calibrator), codes)
        for outputs, codes in ((outputs.take(judging), codes[judging]), answered["certify"])
    )
    parts, compared = judged(tuned, certify, references, promise)
    record = {"calibrator": choice.record, "score": compared}
    return Classifier(engine, choice.calibrator, **parts, provenance=Provenance(record=record)), judging


def _warn_of_order(logits: NDArray[Any], codes: Codes) -> None:
    """Warn where fewer rows are right than one and the same answer to all would be: labels in another order do that."""
    inside = (codes != ABSTAIN) & np.isfinite(logits).all(axis=1)
    n, right = int(inside.sum()), int((logits[inside].argmax(axis=1) == codes[inside]).sum())
    if n and clopper_pearson_upper(right, n, 0.001) < np.bincount(codes[inside]).max() / n:
        words = "the labels may stand in another order than the columns of the model"
        only = f"only {percent(right / n)} of the {n:,} tune rows are right"
        warnings.warn(f"{only}: {words}", ElsewiseWarning, stacklevel=4)


def _halves(outputs: Outputs, codes: Codes, seed: int) -> tuple[Indices | None, Indices]:
    """Divide tune rows into those that distances are measured from, where there are features, and the others."""
    everything = np.arange(len(codes))
    if outputs.features is None:
        return None, everything
    one, other = stratified(codes, (1 / 2, 1 / 2), np.random.default_rng(seed), whole=0)
    usable = (codes != ABSTAIN) & np.isfinite(outputs.features).all(axis=1)
    return (one, other) if usable[one].any() and usable[other].any() else (None, everything)


def judged(
    tuned: Labelled, certify: Labelled, known: References | None, promise: Promised, looks: int = 1
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Choose the score on tune rows and certify its threshold; add what explains decisions, and how it was chosen."""
    score, compared = named_score(promise.score, *tuned, known)
    rule = CertifiedThreshold.fit(
        *certify,
        reference=tuned[0],
        reference_codes=tuned[1],
        score=score,
        target_accuracy=promise.target_accuracy,
        confidence_level=promise.confidence_level,
        looks=looks,
    )
    familiarity = FamiliarityTest.fit(*tuned, references=known) if _can_be_read(*tuned) else None
    sets = SplitConformal.fit(*certify) if _can_be_read(*certify) else None
    return {"rule": rule, "familiarity": familiarity, "sets": sets}, compared


def _can_be_read(rows: Evidence, codes: Codes) -> bool:
    return bool(((codes != ABSTAIN) & ~np.isnan(rows.probabilities).any(axis=1)).any())


def evaluated(classifier: Classifier, texts: Any, codes: Any) -> Classifier:
    """Add an evaluation on test rows, where there are any."""
    if not len(texts):
        return classifier
    return classifier.with_provenance(evaluation=evaluate(classifier, texts, codes=codes).as_dict())


def record_of(parts: Splits) -> dict[str, Any]:
    """Give the sizes of the parts, for the record."""
    sizes = {name: len(getattr(parts, name)) for name in ("train", "tune", "certify", "test")}
    return {
        "splits": sizes,
        "dropped": {"untrained": parts.untrained, "repeated": parts.repeated, "seen": parts.seen},
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Give the versions of what answers depend on."""
    found = {"python": platform.python_version()}
    for library in (
        "elsewise",
        "numpy",
        "scipy",
        "tokenizers",
        "openvino",
        "onnxruntime",
        "torch",
        "transformers",
        "nncf",
    ):
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def seen_by(parts: Splits) -> dict[str, Any]:
    """Give the hashes of the texts that a model was made with, as a folder keeps them."""
    named = (("train", parts.train), ("tune", parts.tune), ("certify", parts.certify))
    return {f"split.{name}": np.array(hashes(part.texts), dtype=np.uint64) for name, part in named}
