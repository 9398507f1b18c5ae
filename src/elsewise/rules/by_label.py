"""A certified threshold for each predicted label, or for each group of labels: Mondrian by prediction.

Source: Vovk, Gammerman & Shafer (2005), "Algorithmic Learning in a Random World", section 4.5 (Mondrian categories),
with the fixed-sequence test of elsewise.rules.fixed_sequence in every category. Bonferroni joins them.

Why it is valid. Which labels are tested by themselves and which are pooled is decided by the predictions on the
reference rows, so the groups are fixed before a certify row is read. Given how many certify rows fall into each
group, those of one group are independent draws from it, and each group's test is the plain one. A group with fewer
certify rows than could ever pass is not tested; that goes by counts of predictions, which no certify label moves.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import ABSTAIN, Codes
from elsewise.errors import InputError
from elsewise.messages.wording import counted, percent
from elsewise.metrics.intervals import clopper_pearson_lower, clopper_pearson_upper
from elsewise.outputs import Evidence, as_evidence
from elsewise.rules.certificate import Certificate
from elsewise.rules.decisions import Decisions, confidence_of, decide
from elsewise.rules.fixed_sequence import (
    FIRST_MARGIN,
    Counts,
    Promise,
    Thresholds,
    as_separate,
    certify,
    check_looks,
    check_share,
    errors_of,
    known,
    out_of_scope_share_of,
)
from elsewise.scores import MaximumProbability, Score

Rare: TypeAlias = Literal["pool", "fall_back"]
POOLED = "rare labels"
METHOD = "exact binomial test, fixed sequence, in each group by itself"


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
    ambiguity_margin : float
        A text whose best two probabilities are closer than this is never answered.
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
    ambiguity_margin: float = 0.0
    joint: bool | None = None
    rare_are: Rare | None = None
    asked_groups: tuple[str, ...] = ()

    @property
    def asked(self) -> Mapping[str, Any] | None:
        """What `fit` was called with, beside rows, score and looks; None where that is not known."""
        if self.joint is None:
            return None
        return {
            "target_accuracy": self.certificate.target_accuracy,
            "confidence_level": self.certificate.confidence_level,
            "joint": self.joint,
            "rare": self.rare_are,
            "groups": list(self.asked_groups) or None,
            "ambiguity_margin": self.ambiguity_margin,
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
        ambiguity_margin: float = 0.0,
    ) -> Self:
        """Find the loosest threshold that passes, label by label.

        Parameters
        ----------
        evidence, codes, reference_codes, target_accuracy, confidence_level, score, looks, ambiguity_margin
            As for `CertifiedThreshold.fit`.
        reference : Evidence, or probabilities (m, k)
            Other rows. They place the grids, and tell which labels are rare: those of which they let expect hardly
            more certify rows than the fewest that could pass.
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
        promise = Promise.of(target_accuracy, confidence_level)
        check_looks(looks)
        check_share("ambiguity_margin", ambiguity_margin)
        if rare not in ("pool", "fall_back"):
            raise InputError(f"rare must be 'pool' or 'fall_back', got {rare!r}")
        rows, others = as_separate(evidence, reference)
        score = score or MaximumProbability()
        confidence, expected = (confidence_of(e, score, ambiguity_margin) for e in (rows, others))
        surest_first, likely = known(expected), _best(others, expected)
        names, of_label = _named_groups(groups, rows.probabilities.shape[1])
        grouping = _Grouping.of(names, of_label, likely, times=len(rows) / len(others), promise=promise, joint=joint)
        wrong, truth = errors_of(rows, codes)
        tests = _Tests(
            grouping=grouping,
            promise=promise,
            confidence=confidence,
            wrong=wrong,
            best=_best(rows, confidence),
            surest_first=surest_first,
            reference=grouping.divided(expected, likely),
            tried=_tried(grouping, others, reference_codes, expected),
            joint=joint,
            rare=rare,
            out_of_scope_share=out_of_scope_share_of(truth),
            looks=looks,
        )
        return cls(
            *tests.certificates(),
            names=grouping.names,
            groups=tuple(grouping.of_label.tolist()),
            rare=grouping.rare,
            score=score,
            ambiguity_margin=ambiguity_margin,
            joint=joint,
            rare_are=rare,
            asked_groups=() if groups is None else tuple(map(str, groups)),
        )

    def __call__(self, evidence: Any) -> Decisions:
        """Answer exactly where the confidence reaches the threshold of the best label."""
        rows = as_evidence(evidence)
        if rows.probabilities.shape[1] != len(self.groups):
            raise InputError(f"this rule was fitted for {len(self.groups)} labels, got {rows.probabilities.shape[1]}")
        return decide(rows, self.score, self.threshold, self.ambiguity_margin)


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


def _tried(
    grouping: "_Grouping", reference: Evidence, codes: Any, confidence: Thresholds
) -> tuple[list[Counts | None], Counts | None]:
    """Count the reference rows and their errors, group by group and all together, where their codes are known."""
    if codes is None:
        return [None] * len(grouping.names), None
    wrong, best = errors_of(reference, codes)[0], _best(reference, confidence)
    return [*grouping.counts(confidence, wrong, best)], Counts.of(confidence, wrong)


def _count_tests(sizes: NDArray[Any], promise: Promise) -> int:
    """Fewest tests m so that no more than m groups have the rows to pass at delta / m."""
    return next(m for m in range(1, len(sizes) + 2) if (sizes >= promise.shared(m).fewest).sum() <= m)


@dataclass(frozen=True, slots=True, eq=False)
class _Grouping:
    """Which labels are tested together: fixed by names and by reference rows, before a certify row is read."""

    names: tuple[str, ...]
    of_label: Codes
    rare: tuple[int, ...]
    asked: bool  # whether the groups have more than one label because the caller said so

    @classmethod
    def of(
        cls, names: tuple[str, ...], of_label: Codes, best: Codes, *, times: float, promise: Promise, joint: bool
    ) -> Self:
        """Pool the groups that `times` as many rows as the reference has would hardly give enough of."""
        expected = np.bincount(of_label[best[best >= 0]], minlength=len(names)) * times / FIRST_MARGIN
        tests = _count_tests(expected, promise) if joint else 1
        is_rare = expected < promise.shared(tests).fewest
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

    def counts(self, confidence: Thresholds, wrong: NDArray[np.bool_], best: Codes) -> list[Counts]:
        """Count rows and errors, group by group."""
        return [
            Counts.of(*columns)
            for columns in zip(self.divided(confidence, best), self.divided(wrong, best), strict=True)
        ]

    def who(self, g: int) -> str:
        """Say which labels a group has."""
        if g == self.alone:
            return f"{counted(len(self.rare), 'rare label')} taken as one group"
        return f'{"the group" if self.asked else "label"} "{self.names[g]}"'


@dataclass(frozen=True, slots=True, eq=False)
class _Tests:
    """The certify rows, group by group, and the tests that they are put to."""

    grouping: _Grouping
    promise: Promise
    confidence: Thresholds
    wrong: NDArray[np.bool_]
    best: Codes
    surest_first: Thresholds
    reference: list[Thresholds]
    tried: tuple[list[Counts | None], Counts | None]
    joint: bool
    rare: Rare
    out_of_scope_share: float
    looks: int

    def certificates(self) -> tuple[Certificate, tuple[Certificate, ...]]:
        """Test every group, and put what was found together."""
        samples = self.grouping.counts(self.confidence, self.wrong, self.best)
        falls_back = self.rare == "fall_back" and bool(self.grouping.rare)
        tested = samples[: self.grouping.alone] if falls_back else samples
        able = np.array([sample.rows for sample in tested])
        tests = _count_tests(able, self.promise) if self.joint else int((able >= self.promise.fewest).sum())
        share = self.promise.shared(tests) if self.joint else self.promise
        found = [self._group(g, sample, share, tests) for g, sample in enumerate(tested)]
        if falls_back:
            found.append(self._fallen_back(samples[-1]))
        return self._overall(found, tests, falls_back=falls_back), tuple(found)

    def _certify(self, sample: Counts, promise: Promise, reference: Thresholds, tried: Counts | None) -> Certificate:
        place = np.sort(reference)[::-1] if len(reference) else self.surest_first
        share = self.out_of_scope_share
        return certify(sample, promise, place, out_of_scope_share=share, looks=self.looks, tried=tried)

    def _whole(self) -> Certificate:
        """One threshold for all labels, certified as without groups."""
        sample = Counts.of(self.confidence, self.wrong)
        return self._certify(sample, self.promise, self.surest_first, self.tried[1])

    def _group(self, g: int, sample: Counts, promise: Promise, tests: int) -> Certificate:
        tested = self._certify(sample, promise, self.reference[g], self.tried[0][g])
        certificate = replace(tested, method=METHOD)
        return replace(certificate, words=self._group_words(certificate, self.grouping.who(g), tests))

    def _group_words(self, c: Certificate, who: str, tests: int) -> str:
        level = percent(c.confidence_level)
        if not c.certified:
            more = "more would not help" if c.rows_needed is None else f"about {c.rows_needed:,} would be needed"
            return (
                f"Nothing is promised of {who}, and it is never answered: {percent(c.target_accuracy)} right could not "
                f"be certified at confidence level {level} on {c.rows:,} labelled rows; {more}."
            )
        held = percent(max(0.0, 1 - self.looks * self.promise.delta))
        all_of_them = f" All {tests:,} promises hold together at {held}." if self.joint and tests > 1 else ""
        return (
            f"At least {percent(c.target_accuracy)} of what is answered with {who} is right, at confidence level "
            f"{level}: {c.tested} {c.over_draws}{all_of_them}"
        )

    def _fallen_back(self, sample: Counts) -> Certificate:
        """Give labels of which nothing is promised the threshold of all labels together."""
        whole = self._whole()
        n, errors = (int(count[0]) for count in sample.at(np.array([whole.threshold])))
        coverage, low, high = sample.coverage(whole.threshold, self.promise.delta)
        who = counted(len(self.grouping.rare), "label")
        source = "the one that is certified for all labels together" if whole.certified else "used as none is certified"
        words = (
            f"Nothing is promised of {who} too rare to be certified per label: the threshold {whole.threshold:g} is "
            f"{source}. Of {sample.rows:,} labelled texts that would get one "
            f"of these labels, {n:,} were answered and {errors:,} of those wrongly."
        )
        return replace(
            whole, certified=False, rows=sample.rows, n=n, errors=errors, coverage=coverage, coverage_low=low,
            coverage_high=high, rows_needed=None, words=words,
        )  # fmt: skip

    def _overall(self, found: list[Certificate], tests: int, *, falls_back: bool) -> Certificate:
        whole = self._whole()
        if falls_back and len(found) == 1:  # every label falls back: this is the plain rule
            return replace(whole, words=f"No label is certified by itself. {whole.sentence}")
        n, errors, rows = sum(c.n for c in found), sum(c.errors for c in found), len(self.confidence)
        delta, certified = self.promise.delta, any(c.certified for c in found)
        needed = [c.rows_needed * rows / max(c.rows, 1) for c in found if c.rows_needed is not None]
        overall = replace(
            whole,
            certified=certified,
            threshold=min(c.threshold for c in found),
            n=n,
            errors=errors,
            coverage=n / rows if rows else 0.0,
            coverage_low=float(clopper_pearson_lower(n, rows, delta / 2)),
            coverage_high=float(clopper_pearson_upper(n, rows, delta / 2)),
            rows_needed=None if certified or not needed else math.ceil(min(needed)),
            method=METHOD,
        )
        return replace(overall, words=self._words(overall, found, tests, falls_back=falls_back))

    def _words(self, overall: Certificate, found: list[Certificate], tests: int, *, falls_back: bool) -> str:
        """Say exactly what is promised, of which labels, and of which nothing is."""
        alone = self.grouping.alone
        certified = sum(c.certified for c in found[:alone])
        pooled = bool(self.grouping.rare) and not falls_back
        unit = ("group of labels", "groups of labels") if self.grouping.asked else ("label", "labels")
        source = (
            f"It holds for texts that come from the same source, {percent(self.out_of_scope_share)} of them "
            f"out-of-scope; another share of out-of-scope texts is not covered."
        )
        sentences = [
            "" if certified else f"No {unit[0]} is certified by itself.",
            self._claim(overall, certified, unit, tests, pool_kept=pooled and found[-1].certified),
            self._together(overall, tests, falls_back=falls_back),
            _never(alone - certified, unit),
            self._rare_words(found[-1], falls_back=falls_back) if self.grouping.rare else "",
            source if overall.certified else "",
        ]
        return " ".join(sentence for sentence in sentences if sentence)

    def _claim(
        self, overall: Certificate, certified: int, unit: tuple[str, str], tests: int, *, pool_kept: bool
    ) -> str:
        target, level = percent(overall.target_accuracy), percent(overall.confidence_level)
        if not overall.certified:
            needed = overall.rows_needed
            more = "more rows would not help this model" if needed is None else f"about {needed:,} would be needed"
            other = "" if overall.n else ", and every text becomes Other"
            return (
                f"Nothing is promised{other}: {target} right among what is answered could not be certified at "
                f"confidence level {level} on {overall.rows:,} labelled rows; {more}."
            )
        who = [f"each of {certified:,} {unit[1]}" if certified > 1 else f"one {unit[0]}"] if certified else []
        who += [f"{counted(len(self.grouping.rare), 'rare label')} taken as one group"] if pool_kept else []
        each = "for all of these promises together" if self.joint else "for each of these promises by itself"
        over = overall.over_draws
        if tests > 1 and not self.joint:
            over = over.replace("at most", "for each promise, at most", 1)
        return (
            f"At least {target} of what is answered with {' and with '.join(who)} is right, at confidence level {level}"
            f"{' ' + each if tests > 1 else ''}: {overall.tested} {over}"
        )

    def _together(self, overall: Certificate, tests: int, *, falls_back: bool) -> str:
        if not overall.certified or tests <= 1:
            return ""
        if not self.joint:
            held = percent(max(0.0, 1 - self.looks * tests * self.promise.delta))
            return f"Nothing is promised of all answers at once: all {tests:,} promises hold together at {held} only."
        target = percent(overall.target_accuracy)
        return "" if falls_back else f"So at least {target} of everything that is answered is right, too."

    def _rare_words(self, last: Certificate, *, falls_back: bool) -> str:
        who = f"{counted(len(self.grouping.rare), 'label')} too rare to be certified per label"
        if falls_back and last.threshold == math.inf:
            return f"There are {who}; no threshold could be certified for all labels, and they are never answered."
        if falls_back:
            return (
                f"There are {who}; they use the threshold {last.threshold:g} that is certified for all labels "
                f"together, and nothing is promised of them, nor of everything that is answered."
            )
        if last.certified:
            return f"There are {who}: the promise is for them taken together, not certified per label."
        return f"There are {who}; taken as one group they could not be certified either, and are never answered."


def _never(labels: int, unit: tuple[str, str]) -> str:
    if not labels:
        return ""
    return f"{labels:,} {unit[labels > 1]} could not be certified and {('is', 'are')[labels > 1]} never answered."
