"""Answers of several classifiers on the same labelled rows, in codes of the labels that all of them have.

Columns of logits are never compared by place: every code is translated by the label's name first.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import ABSTAIN, Codes, Floats, as_codes, label_word, label_words
from elsewise.classifier.classifier import Classifier
from elsewise.data.labels import own_labels
from elsewise.errors import InputError
from elsewise.evaluation.answers import Answers
from elsewise.messages.wording import listed
from elsewise.rules.decisions import Decisions


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """True labels of the compared rows.

    Attributes
    ----------
    names : tuple of str
        Every label of any classifier, the `common` ones first. Codes are places in it.
    common : int
        How many labels all classifiers have, in the order of the first classifier.
    kept, codes : (n,)
        Indices of the compared rows, and their true codes, below `common`; -1 for an out-of-scope row.
    left_out : mapping from label to int
        Rows that are not compared, by a label that some classifiers do not have.
    """

    names: tuple[str, ...]
    common: int
    kept: NDArray[np.int64]
    codes: Codes
    left_out: Mapping[str, int]

    @classmethod
    def of_labels(
        cls, models: Mapping[str, Classifier], labels: Sequence[Any], out_of_scope_label: str | None = None
    ) -> Self:
        """Read names of labels; leave out rows whose label some classifier lacks, and mark out-of-scope rows by -1.

        InputError if a name is no label of any classifier, no label is common to all, or no row is left.
        """
        names, common = _union(models)
        marks = {mark for m in models.values() if (mark := m.out_of_scope_label) is not None and mark not in names}
        known = {name: code for code, name in enumerate(names)} | dict.fromkeys(marks, ABSTAIN)
        if out_of_scope_label is not None:
            known[label_word(out_of_scope_label) or str(out_of_scope_label)] = ABSTAIN
        given = label_words(labels)
        own = own_labels(given, known)
        if None in own:
            row = own.index(None)
            remedy = "; if it marks out-of-scope texts, pass it as out_of_scope_label" if not marks else ""
            raise InputError(f"no model has label {given[row]!r}, which row {row} has (counted from 0){remedy}")
        words = [word for word in own if word is not None]
        codes = np.array([known[word] for word in words], dtype=np.int64)
        kept = np.flatnonzero(codes < common)
        if not len(kept):
            raise InputError("a comparison needs at least one row with a label that all models have, got 0")
        left_out = Counter(word for word, code in zip(words, codes.tolist(), strict=True) if code >= common)
        return cls(names, common, kept, codes[kept], dict(left_out))

    @classmethod
    def of_codes(cls, models: Mapping[str, Classifier], codes: Any) -> Self:
        """Read codes; InputError for a code out of range, or classifiers whose labels or their order differ."""
        (first, reference), *others = models.items()
        for name, model in others:
            if model.labels != reference.labels:
                apart = _difference(first, name, models)
                raise InputError(f"codes need models with the same labels in the same order, and {apart}; pass labels=")
        y = as_codes(codes, like=np.broadcast_to(0.0, (len(codes), len(reference.labels))), allow_abstain=True)
        return cls(reference.labels, len(reference.labels), np.arange(len(y)), y, {})


def _union(models: Mapping[str, Classifier]) -> tuple[tuple[str, ...], int]:
    """Give every label once, the labels that all classifiers have first, and the number of these."""
    first, *others = (model.labels for model in models.values())
    shared = set(first).intersection(*others)
    common = [name for name in first if name in shared]
    if not common:
        ours, theirs = (listed(map(repr, labels), 3) for labels in (first, others[0]))
        raise InputError(f"the models have no label in common: {ours}; {theirs}")
    return tuple(dict.fromkeys([*common, *first, *(name for labels in others for name in labels)])), len(common)


def _difference(first: str, second: str, models: Mapping[str, Classifier]) -> str:
    for place, (a, b) in enumerate(zip(models[first].labels, models[second].labels, strict=False)):
        if a != b:
            return f"label {place} is {a!r} for {first} and {b!r} for {second}"
    return f"{first} has {len(models[first].labels):,} and {second} {len(models[second].labels):,}"


@dataclass(frozen=True, slots=True, eq=False)
class ComparedModel:
    """One classifier and its answers for n rows.

    Attributes
    ----------
    name, classifier : str, Classifier
        The classifier, and its name in the comparison.
    probabilities : (n, k)
        In the classifier's own columns; a row of NaN for a text that it cannot read.
    decisions : Decisions
        In the classifier's own codes.
    answers : Answers
        In codes of the names that all classifiers share; see `Truth`.
    seconds : float
        How long the prediction took.
    """

    name: str
    classifier: Classifier
    probabilities: Floats
    decisions: Decisions
    answers: Answers
    seconds: float

    @classmethod
    def of(cls, name: str, classifier: Classifier, texts: Any, truth: Truth) -> Self:
        """Let a classifier answer the rows of `truth`; `texts` is the `as_input` of all rows given."""
        given = texts
        if len(truth.kept) < len(texts):
            given = texts[truth.kept] if isinstance(texts, np.ndarray) else [texts[i] for i in truth.kept.tolist()]
        start = time.perf_counter()
        evidence = classifier.evidence(given)
        seconds = time.perf_counter() - start
        decisions = classifier.rule(evidence)
        place = {label: code for code, label in enumerate(truth.names)}
        shared = np.array([*(place[label] for label in classifier.labels), ABSTAIN], dtype=np.int64)  # -1 stays -1
        answers = Answers(truth.codes, shared[decisions.best], shared[decisions.codes])
        return cls(name, classifier, evidence.probabilities, decisions, answers, seconds)

    def own_codes(self, codes: Codes, truth: Truth) -> Codes:
        """Translate codes (n,) of common labels into codes of this classifier."""
        own = {label: code for code, label in enumerate(self.classifier.labels)}
        return np.array([own[label] for label in truth.names[: truth.common]], dtype=np.int64)[codes]

    def columns(self, truth: Truth) -> Floats:
        """Give this classifier's probabilities (n, m) of the m common labels, in their order."""
        return self.probabilities[:, self.own_codes(np.arange(truth.common), truth)]
