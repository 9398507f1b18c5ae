"""A certified threshold for each predicted label, or for each group of labels: Mondrian by prediction.

Source: Vovk, Gammerman & Shafer (2005), "Algorithmic Learning in a Random World", section 4.5 (Mondrian categories),
with the fixed-sequence test of elsewise.rules.fixed_sequence in every category. Bonferroni joins them.

Why it is valid. Predictions on the reference rows decide which labels are tested by themselves and which are pooled.
So the groups are fixed before a certify row is read, and given their sizes, each group's rows are independent draws
and its test is the plain one. A group with too few certify rows to pass is not tested. That depends on counts of
predictions, which no certify label changes.
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
from elsewise.rules.certify_rows import CertifyRows
from elsewise.rules.decisions import Decisions, Gate, decide
from elsewise.rules.fixed_sequence import FIRST_MARGIN, BinomialTest, Counts, Thresholds, certify
from elsewise.rules.gates import Asked, as_gates
from elsewise.scores import MaximumProbability, Score

Rare: TypeAlias = Literal["pool", "fall_back"]
POOLED = "rare labels"


@dataclass(frozen=True, slots=True)
class ByLabel:
    """Rule with a threshold for each label: answers if the confidence reaches the threshold of the best label.

    Attributes
    ----------
    certificate : Certificate
        Certificate of all labels together: its sentence says what is promised, and of which labels. Its threshold is
        the lowest, and its counts are those of all answers.
    certificates, names : tuple of Certificate, tuple of str
        Certificate and name of each group of labels; a label without a named group is called by its code.
    groups, rare : tuple of int
        Group of each of the k labels; codes of the labels too rare to be certified by themselves.
    score, gates : Score, tuple of Gate
        The confidence; texts that a gate flags are never answered.
    joint, rare_are, asked_groups : bool, str, tuple of str
        Arguments `joint`, `rare` and `groups` of `fit`: None where not known, empty where each label is a group.
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
        """Arguments of `fit` besides rows, score and looks; None where they are not known."""
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
        """Threshold of each label, shape (k,)."""
        return np.array([certificate.threshold for certificate in self.certificates])[list(self.groups)]

    @property
    def certified_labels(self) -> NDArray[np.bool_]:
        """Whether each label is certified, by itself or in its named group, shape (k,)."""
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
            Other rows: they place the grids, and show which labels are rare (hardly more certify rows to expect than
            the fewest that could pass).
        joint : bool
            True: all promises hold together at the confidence level, each tested at (1 - level) / number of groups.
            Default: each promise holds by itself.
        rare : "pool" or "fall_back"
            Tests rare labels as one group, or gives them the threshold certified for all labels, with no promise.
        groups : k names or numbers, optional
            Labels of one group are certified together. Default: each label is a group.

        Returns
        -------
        ByLabel
            A label that could not be certified is never answered, unless it fell back. Errors as in
            `CertifiedThreshold.fit`, and InputError unless there are k `groups`, or for an unknown `rare`.

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
        if rare not in ("pool", "fall_back"):
            raise InputError(f"rare must be 'pool' or 'fall_back', got {rare!r}")
        rows = CertifyRows.of(evidence, codes, reference, score, as_gates(gates, ambiguity_margin), looks)
        grouping = _Grouping.of(groups, rows, test, joint=joint)
        tests = _Tests(rows, grouping, test, joint, rows.certify(test, reference_codes))
        found = tests.by_group(reference_codes, falls_back=rare == "fall_back" and bool(grouping.rare))
        return cls(
            rows.with_barred(tests.overall(found)),
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
    """Name the groups, in order of their first labels, and number the group of each label."""
    if groups is None:
        return tuple(map(str, range(k))), np.arange(k)
    if len(groups) != k:
        raise InputError(f"groups must hold one name or number for each of {k} labels, got {len(groups)}")
    names = tuple(dict.fromkeys(map(str, groups)))
    number = {name: g for g, name in enumerate(names)}
    return names, np.array([number[str(name)] for name in groups])


def _best(rows: Evidence, confidence: Thresholds) -> Codes:
    """Most probable label of each row, shape (n,); -1 for a row that is never answered."""
    return np.where(np.isnan(confidence), ABSTAIN, rows.probabilities.argmax(axis=1))


def _count_tests(sizes: NDArray[Any], test: BinomialTest) -> int:
    """Fewest tests m so that no more than m groups have the rows to pass at delta / m."""
    return next(m for m in range(1, len(sizes) + 2) if (sizes >= test.shared(m).fewest).sum() <= m)


@dataclass(frozen=True, slots=True, eq=False)
class _Grouping:
    """Groups of labels tested together: fixed by names and reference rows, before a certify row is read."""

    names: tuple[str, ...]
    of_label: Codes
    rare: tuple[int, ...]
    asked: bool  # whether the groups have more than one label because the caller said so

    @classmethod
    def of(cls, groups: Sequence[Any] | None, rows: CertifyRows, test: BinomialTest, *, joint: bool) -> Self:
        """Pool the groups for which the reference rows predict hardly enough certify rows."""
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
        """Number of groups tested by themselves; the pool of rare labels comes after them."""
        return len(self.names) - bool(self.rare)

    def divided(self, column: NDArray[Any], best: Codes) -> list[NDArray[Any]]:
        """Divide a column of rows by the group of their best labels; rows that are never answered are left out."""
        group = np.where(best == ABSTAIN, len(self.names), self.of_label[best])
        order = np.argsort(group, kind="stable")
        return np.split(column[order], np.searchsorted(group[order], np.arange(1, len(self.names) + 1)))[:-1]

    def counts(self, evidence: Evidence, confidence: Thresholds, wrong: NDArray[np.bool_]) -> list[Counts]:
        """Count the rows and errors of each group."""
        best = _best(evidence, confidence)
        return [*map(Counts.of, self.divided(confidence, best), self.divided(wrong, best))]


@dataclass(frozen=True, slots=True)
class _Found:
    """Certificates of the groups."""

    certificates: list[Certificate]
    tests: int  # groups with enough rows to pass
    falls_back: bool  # the last certificate is for rare labels, which use the threshold of all labels


@dataclass(frozen=True, slots=True, eq=False)
class _Tests:
    """Tests on the certify rows, group by group and all together."""

    rows: CertifyRows
    grouping: _Grouping
    test: BinomialTest
    joint: bool
    whole: Certificate  # of one threshold for all labels, as without groups

    def by_group(self, reference_codes: Any, *, falls_back: bool) -> _Found:
        """Test every group; rare labels may use the threshold of all labels instead."""
        rows, grouping = self.rows, self.grouping
        samples = grouping.counts(rows.evidence, rows.confidence, rows.wrong)
        tested = samples[: grouping.alone] if falls_back else samples
        able = np.array([sample.rows for sample in tested])
        tests = _count_tests(able, self.test) if self.joint else int((able >= self.test.fewest).sum())
        places = grouping.divided(rows.expected, _best(rows.reference, rows.expected))
        tried: list[Counts | None] = [None] * len(samples)
        if reference_codes is not None:
            tried = [*grouping.counts(rows.reference, rows.expected, rows.reference_errors(reference_codes))]
        found = [
            self._group(g, sample, places[g], tried[g], together=tests if self.joint else 0)
            for g, sample in enumerate(tested)
        ]
        return _Found([*found, self._fallen_back(samples[-1])] if falls_back else found, tests, falls_back)

    def overall(self, found: _Found) -> Certificate:
        """Combine the certificates of the groups."""
        certificates, whole, scope = found.certificates, self.whole, self._scope(found)
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

    def _group(self, g: int, sample: Counts, place: Thresholds, tried: Counts | None, *, together: int) -> Certificate:
        rows, test = self.rows, self.test.shared(together)
        surest_first, share = np.sort(place)[::-1] if len(place) else rows.surest_first, rows.out_of_scope_share
        certificate = certify(sample, test, surest_first, out_of_scope_share=share, looks=rows.looks, tried=tried)
        rare = len(self.grouping.rare) if g == self.grouping.alone else 0
        scope = Group(self.grouping.names[g], self.grouping.asked, rare, together, round(1 - self.test.delta, 12))
        return replace(certificate, method=IN_GROUPS, scope=scope)

    def _fallen_back(self, sample: Counts) -> Certificate:
        """Certificate of the rare labels that use the threshold of all labels: it promises nothing."""
        whole = self.whole
        n, errors = (int(count[0]) for count in sample.at(np.array([whole.threshold])))
        coverage, low, high = sample.coverage(whole.threshold, self.test.delta)
        return replace(
            whole, certified=False, rows=sample.rows, n=n, errors=errors, coverage=coverage, coverage_low=low,
            coverage_high=high, rows_needed=None, scope=FallenBack(len(self.grouping.rare), whole.certified),
        )  # fmt: skip
