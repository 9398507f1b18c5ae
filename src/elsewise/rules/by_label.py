"""A certified threshold for each predicted label, or for each group of labels: Mondrian by prediction.

Source: Vovk, Gammerman & Shafer (2005), "Algorithmic Learning in a Random World", section 4.5 (Mondrian categories),
with the fixed-sequence test of elsewise.rules.fixed_sequence in every category. Bonferroni joins them.

Why it is valid. Which labels are tested by themselves and which are pooled is decided by the predictions on the
reference rows, so the groups are fixed before a certify row is read. Given how many certify rows fall into each
group, those of one group are independent draws from it, and each group's test is the plain one. A group with fewer
certify rows than could ever pass is not tested; that goes by counts of predictions, which no certify label moves.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import ABSTAIN, Codes
from elsewise.errors import InputError
from elsewise.messages.certificates import IN_GROUPS, FallenBack, Group, Groups
from elsewise.metrics.intervals import clopper_pearson_lower, clopper_pearson_upper
from elsewise.outputs import Evidence, as_evidence
from elsewise.rules.certificate import Certificate
from elsewise.rules.decisions import Decisions, Gate, decide
from elsewise.rules.fixed_sequence import (
    FIRST_MARGIN,
    BinomialTest,
    CertifyRows,
    Counts,
    Thresholds,
    certify,
    check_looks,
    errors_of,
)
from elsewise.rules.gates import Asked, as_gates
from elsewise.scores import MaximumProbability, Score

Rare: TypeAlias = Literal["pool", "fall_back"]
POOLED = "rare labels"


@dataclass(frozen=True, slots=True)
class ByLabel:
    """Answer where the confidence reaches the threshold of the label that would be answered.

    Attributes
    ----------
    certificate : Certificate
        Of all labels together: its sentence says exactly what is promised, and of which labels. Its threshold is the
        lowest of all, and its counts are those of everything that is answered.
    certificates : tuple of Certificate
        One for each group of labels.
    names : tuple of str
        What the groups are called: the codes of labels that stand alone, unless `groups` named them.
    groups : tuple of int
        The group of each label, k of them.
    rare : tuple of int
        Codes of the labels that were too rare to be tested by themselves: not certified per label.
    score : Score
        The confidence.
    gates : tuple of Gate
        Texts that they flag are never answered.
    joint, rare_are, asked_groups : bool, str, tuple of str
        How it was asked for: `joint` and `rare` as `fit` was given them, None where that is not known, and the group of
        each label, empty where each is by itself.
    """

    tested: ClassVar[bool] = True
    certificate: Certificate
    certificates: tuple[Certificate, ...]
    names: tuple[str, ...]
    groups: tuple[int, ...]
    rare: tuple[int, ...] = ()
    score: Score = field(default_factory=MaximumProbability)
    gates: tuple[Gate, ...] = ()
    joint: bool | None = None
    rare_are: Rare | None = None
    asked_groups: tuple[str, ...] = ()

    @property
    def asked(self) -> Asked | None:
        """What `fit` was called with, beside rows, score and looks; None where that is not known."""
        if self.joint is None:
            return None
        return {
            "target_accuracy": self.certificate.target_accuracy,
            "confidence_level": self.certificate.confidence_level,
            "joint": self.joint,
            "rare": self.rare_are,
            "groups": list(self.asked_groups) or None,
            "gates": self.gates,
        }

    @property
    def threshold(self) -> Thresholds:
        """The thresholds, shape (k,): that of the label which would be answered counts."""
        return np.array([certificate.threshold for certificate in self.certificates])[list(self.groups)]

    @property
    def certified_labels(self) -> NDArray[np.bool_]:
        """Which labels are certified by themselves, or in the group that was asked for, shape (k,)."""
        certified = np.array([certificate.certified for certificate in self.certificates])[list(self.groups)]
        certified[list(self.rare)] = False
        return certified

    @classmethod
    def fit(
        cls,
        evidence: Any,
        codes: Any,
        *,
        reference: Any,
        reference_codes: Any = None,
        target_accuracy: float = 0.95,
        confidence_level: float = 0.95,
        score: Score | None = None,
        looks: int = 1,
        joint: bool = False,
        rare: Rare = "pool",
        groups: Sequence[Any] | None = None,
        gates: Sequence[Gate] = (),
        ambiguity_margin: float | None = None,
    ) -> Self:
        """Find the loosest threshold that passes, label by label.

        Parameters
        ----------
        evidence, codes, reference_codes, target_accuracy, confidence_level, score, looks, gates, ambiguity_margin
            As for `CertifiedThreshold.fit`.
        reference : Evidence, or probabilities (m, k)
            Other rows. They place the grids, and tell which labels are rare: those with
            hardly more certify rows to expect than the fewest that could pass.
        joint : bool
            Each promise holds at the confidence level by itself; with `joint`, all of them hold together at it,
            which costs each a test at (1 - level) / number of groups tested.
        rare : "pool" or "fall_back"
            Rare labels are tested as one group; or they use the threshold that is certified for all labels together,
            and nothing is promised of them.
        groups : k names or numbers, optional
            Labels with the same one are certified together; by default each label is by itself.

        Returns
        -------
        ByLabel
            A label that could not be certified is never answered, unless it fell back.

        Raises
        ------
        InputError
            As `CertifiedThreshold.fit`; and if `groups` are not k, or `rare` is another word.

        Examples
        --------
        Label 0 is always right, label 1 half the time: only label 0 is answered.

        >>> import numpy as np
        >>> p = np.repeat([[0.9, 0.1], [0.1, 0.9]], 100, axis=0)
        >>> rule = ByLabel.fit(p, np.repeat([0, 1, 0], [100, 50, 50]), reference=p.copy())
        >>> rule.threshold.tolist(), rule.certified_labels.tolist()
        ([-inf, inf], [True, False])
        """
        test = BinomialTest.of(target_accuracy, confidence_level)
        check_looks(looks)
        if rare not in ("pool", "fall_back"):
            raise InputError(f"rare must be 'pool' or 'fall_back', got {rare!r}")
        rows = CertifyRows.of(evidence, codes, reference, score, as_gates(gates, ambiguity_margin))
        grouping = _Grouping.of(groups, rows, test, joint=joint)
        tests = _Tests(rows, grouping, test, looks=looks, joint=joint, tried=rows.tried(reference_codes))
        found = tests.by_group(reference_codes, falls_back=rare == "fall_back" and bool(grouping.rare))
        return cls(
            tests.overall(found),
            tuple(found.certificates),
            names=grouping.names,
            groups=tuple(grouping.of_label.tolist()),
            rare=grouping.rare,
            score=rows.score,
            gates=rows.gates,
            joint=joint,
            rare_are=rare,
            asked_groups=() if groups is None else tuple(map(str, groups)),
        )

    def __call__(self, evidence: Any) -> Decisions:
        """Answer exactly where the confidence reaches the threshold of the best label."""
        rows = as_evidence(evidence)
        if rows.probabilities.shape[1] != len(self.groups):
            raise InputError(f"this rule was fitted for {len(self.groups)} labels, got {rows.probabilities.shape[1]}")
        return decide(rows, self.score, self.threshold, self.gates)


def _named_groups(groups: Sequence[Any] | None, k: int) -> tuple[tuple[str, ...], Codes]:
    """Give each label its group, numbered in order of first labels, and the names; by default each its own."""
    if groups is None:
        return tuple(map(str, range(k))), np.arange(k)
    if len(groups) != k:
        raise InputError(f"groups must hold one name or number for each of {k} labels, got {len(groups)}")
    names = tuple(dict.fromkeys(map(str, groups)))
    number = {name: g for g, name in enumerate(names)}
    return names, np.array([number[str(name)] for name in groups])


def _best(rows: Evidence, confidence: Thresholds) -> Codes:
    """Find the label that would be answered, shape (n,); -1 for a row that is never answered."""
    return np.where(np.isnan(confidence), ABSTAIN, rows.probabilities.argmax(axis=1))


def _count_tests(sizes: NDArray[Any], test: BinomialTest) -> int:
    """Fewest tests m so that no more than m groups have the rows to pass at delta / m."""
    return next(m for m in range(1, len(sizes) + 2) if (sizes >= test.shared(m).fewest).sum() <= m)


@dataclass(frozen=True, slots=True, eq=False)
class _Grouping:
    """Which labels are tested together: fixed by names and by reference rows, before a certify row is read."""

    names: tuple[str, ...]
    of_label: Codes
    rare: tuple[int, ...]
    asked: bool  # whether the groups have more than one label because the caller said so

    @classmethod
    def of(cls, groups: Sequence[Any] | None, rows: CertifyRows, test: BinomialTest, *, joint: bool) -> Self:
        """Pool the groups of which the reference rows let expect hardly enough certify rows."""
        names, of_label = _named_groups(groups, rows.evidence.probabilities.shape[1])
        best, times = _best(rows.reference, rows.expected), len(rows.evidence) / len(rows.reference)
        expected = np.bincount(of_label[best[best >= 0]], minlength=len(names)) * times / FIRST_MARGIN
        tests = _count_tests(expected, test) if joint else 1
        is_rare = expected < test.shared(tests).fewest
        if not is_rare.any():
            return cls(names, of_label, (), len(names) < len(of_label))
        kept = np.cumsum(~is_rare) - 1
        pooled = np.where(is_rare, (~is_rare).sum(), kept)
        alone = tuple(name for name, rare in zip(names, is_rare, strict=True) if not rare)
        rare = tuple(np.flatnonzero(is_rare[of_label]).tolist())
        return cls((*alone, POOLED), pooled[of_label], rare, len(names) < len(of_label))

    @property
    def alone(self) -> int:
        """How many groups are tested for themselves; the pool of rare ones comes after them."""
        return len(self.names) - bool(self.rare)

    def divided(self, column: NDArray[Any], best: Codes) -> list[NDArray[Any]]:
        """Divide a column of rows into the groups of their best labels; those that are never answered fall out."""
        group = np.where(best == ABSTAIN, len(self.names), self.of_label[best])
        order = np.argsort(group, kind="stable")
        return np.split(column[order], np.searchsorted(group[order], np.arange(1, len(self.names) + 1)))[:-1]

    def counts(self, evidence: Evidence, confidence: Thresholds, wrong: NDArray[np.bool_]) -> list[Counts]:
        """Count rows and errors, group by group."""
        best = _best(evidence, confidence)
        return [
            Counts.of(*columns)
            for columns in zip(self.divided(confidence, best), self.divided(wrong, best), strict=True)
        ]


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found for each group."""

    certificates: list[Certificate]
    tests: int  # how many groups have the rows to pass
    falls_back: bool  # the last one is that of labels that use the threshold of all


@dataclass(frozen=True, slots=True, eq=False)
class _Tests:
    """The tests that the certify rows are put to, group by group and all together."""

    rows: CertifyRows
    grouping: _Grouping
    test: BinomialTest
    looks: int
    joint: bool
    tried: Counts | None

    def by_group(self, reference_codes: Any, *, falls_back: bool) -> _Found:
        """Test every group; the rare labels may use the threshold of all labels together instead."""
        rows, grouping = self.rows, self.grouping
        samples = grouping.counts(rows.evidence, rows.confidence, rows.wrong)
        tested = samples[: grouping.alone] if falls_back else samples
        able = np.array([sample.rows for sample in tested])
        tests = _count_tests(able, self.test) if self.joint else int((able >= self.test.fewest).sum())
        places = grouping.divided(rows.expected, _best(rows.reference, rows.expected))
        tried: list[Counts | None] = [None] * len(samples)
        if reference_codes is not None:
            wrong = errors_of(rows.reference, reference_codes)[0]
            tried = [*grouping.counts(rows.reference, rows.expected, wrong)]
        found = [
            self._group(g, sample, places[g], tried[g], together=tests if self.joint else 0)
            for g, sample in enumerate(tested)
        ]
        return _Found([*found, self._fallen_back(samples[-1])] if falls_back else found, tests, falls_back)

    def overall(self, found: _Found) -> Certificate:
        """Put what was found for the groups together."""
        certificates, whole, scope = found.certificates, self._whole(), self._scope(found)
        if found.falls_back and len(certificates) == 1:  # every label falls back: this is the plain rule
            return replace(whole, scope=scope)
        n, errors, rows = sum(c.n for c in certificates), sum(c.errors for c in certificates), len(self.rows.confidence)
        certified = any(c.certified for c in certificates)
        needed = [c.rows_needed * rows / max(c.rows, 1) for c in certificates if c.rows_needed is not None]
        return replace(
            whole,
            certified=certified,
            threshold=min(c.threshold for c in certificates),
            n=n,
            errors=errors,
            coverage=n / rows if rows else 0.0,
            coverage_low=float(clopper_pearson_lower(n, rows, self.test.delta / 2)),
            coverage_high=float(clopper_pearson_upper(n, rows, self.test.delta / 2)),
            rows_needed=None if certified or not needed else math.ceil(min(needed)),
            method=IN_GROUPS,
            scope=scope,
        )

    def _scope(self, found: _Found) -> Groups:
        alone, last = self.grouping.alone, found.certificates[-1]
        pooled = bool(self.grouping.rare) and not found.falls_back
        return Groups(
            of_labels=self.grouping.asked,
            alone=alone,
            certified=sum(c.certified for c in found.certificates[:alone]),
            tests=found.tests,
            joint=self.joint,
            rare=len(self.grouping.rare),
            rare_certified=pooled and last.certified,
            falls_back=found.falls_back,
            rare_threshold=last.threshold,
        )

    def _certify(self, sample: Counts, test: BinomialTest, place: Thresholds, tried: Counts | None) -> Certificate:
        share = self.rows.out_of_scope_share
        return certify(sample, test, place, out_of_scope_share=share, looks=self.looks, tried=tried)

    def _whole(self) -> Certificate:
        """One threshold for all labels, certified as without groups."""
        return self._certify(self.rows.counts, self.test, self.rows.surest_first, self.tried)

    def _group(self, g: int, sample: Counts, place: Thresholds, tried: Counts | None, *, together: int) -> Certificate:
        surest_first = np.sort(place)[::-1] if len(place) else self.rows.surest_first
        certificate = self._certify(sample, self.test.shared(together), surest_first, tried)
        rare = len(self.grouping.rare) if g == self.grouping.alone else 0
        scope = Group(self.grouping.names[g], self.grouping.asked, rare, together, round(1 - self.test.delta, 12))
        return replace(certificate, method=IN_GROUPS, scope=scope)

    def _fallen_back(self, sample: Counts) -> Certificate:
        """Give labels of which nothing is promised the threshold of all labels together."""
        whole = self._whole()
        n, errors = (int(count[0]) for count in sample.at(np.array([whole.threshold])))
        coverage, low, high = sample.coverage(whole.threshold, self.test.delta)
        return replace(
            whole, certified=False, rows=sample.rows, n=n, errors=errors, coverage=coverage, coverage_low=low,
            coverage_high=high, rows_needed=None, scope=FallenBack(len(self.grouping.rare), whole.certified),
        )  # fmt: skip
