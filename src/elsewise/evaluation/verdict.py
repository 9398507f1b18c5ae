"""Whether labelled rows keep the promise of a certificate: an exact binomial test, 5 % for both errors together.

A row counts if the promise is about it: the model was not made with its text, no earlier row has the same text (unless
the promise counts repeats), and its answer is a label that something is promised of. Where each label has a promise of
its own, each is tested by itself, and the verdict is that of the label that does worst.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final

import numpy as np

from elsewise.classifier.classifier import Classifier
from elsewise.evaluation.answers import Answers, Flags
from elsewise.messages import messages
from elsewise.messages.certificates import Group
from elsewise.metrics import Estimate
from elsewise.metrics.intervals import clopper_pearson_lower, clopper_pearson_upper
from elsewise.rules import ByLabel

DELTA: Final = 0.05
MOST_NEEDED: Final = 1_000_000  # answered rows, above which no number is told


class Outcome(StrEnum):
    """What rows tell of a promise."""

    KEPT = "kept"
    CONTRADICTED = "contradicted"
    TOO_FEW = "too few rows"


WORST_FIRST: Final = (Outcome.CONTRADICTED, Outcome.TOO_FEW, Outcome.KEPT)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether labelled rows keep a promise.

    Attributes
    ----------
    outcome : Outcome
        KEPT if the interval lies at the target or above, CONTRADICTED if it lies below, else TOO_FEW.
    target_accuracy : float
        What is promised of the answered texts.
    accuracy : Estimate
        Share of right answers among the answered rows, with its exact 95 % (Clopper-Pearson) interval.
    rows, answered, right, left_out : int
        Rows that count, answered rows among them, and right answers; and rows that do not count.
    rows_needed : int or None
        With TOO_FEW: about how many answered rows would tell, if as many of them are right; None for too many.
    out_of_scope_share, certified_share : float
        Share of out-of-scope rows among those that count, and the share that the promise is made for.
    label, kind : str
        With a promise for each label, the label that `answered` and `right` are about, and whether it is a "label", a
        "group" of labels or the "rare" ones; else empty.
    promises : int
        Number of promises. The interval is then an exact one at 1 - 0.05 / promises, so that all hold together.

    Examples
    --------
    >>> Verdict.of(0.95, rows=3080, answered=2741, right=2637).outcome.value
    'kept'
    >>> print(Verdict.of(0.95, rows=80, answered=60, right=59))
    Too few rows to tell: 98.3 % (91.1 to 100.0) of the 60 answered of these 80 rows are right, and at least 95 % is \
promised; about 150 answered rows would tell, as far as these do.
    """

    outcome: Outcome
    target_accuracy: float
    accuracy: Estimate
    rows: int
    answered: int
    right: int
    left_out: int
    rows_needed: int | None
    out_of_scope_share: float
    certified_share: float
    label: str = ""
    kind: str = ""
    promises: int = 1

    @classmethod
    def of(
        cls, target: float, *, rows: int, answered: int, right: int, left_out: int = 0,
        shares: tuple[float, float] = (0.0, 0.0), of: tuple[str, str] = ("", ""), promises: int = 1,
    ) -> "Verdict":  # fmt: skip
        """Test the counts of n rows.

        `shares` are those of out-of-scope rows here and in the promise, `of` the label and its kind where it is one of
        several `promises`.
        """
        delta = DELTA / promises
        accuracy = _exact(right, answered, delta)
        outcome = _outcome(accuracy, target)
        is_open = answered and outcome is Outcome.TOO_FEW
        needed = _needed(right / answered, target, answered, delta) if is_open else None
        return cls(outcome, target, accuracy, rows, answered, right, left_out, needed, *shares, *of, promises)

    def __str__(self) -> str:
        return self.sentence

    def as_dict(self) -> dict[str, Any]:
        """All fields, and the sentence."""
        own = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**own, "outcome": self.outcome.value, "accuracy": self.accuracy.as_dict(), "sentence": self.sentence}

    @property
    def sentence(self) -> str:
        """The verdict in English."""
        return self.say()

    def say(self, language: str = "en") -> str:
        """Write the verdict in a language of `elsewise.messages`; InputError for an unknown language."""
        words = messages(language)

        def number(written: str) -> str:
            return written.translate(str.maketrans(",.", words["thousands"] + words["decimal"]))

        def percent(written: str) -> str:
            return words["percent"].format(number=number(written))

        kind = {Outcome.KEPT: "kept", Outcome.CONTRADICTED: "contradicted"}.get(self.outcome, "too_few")
        low, high = self._ends()
        needed = self.rows_needed and words["verdict_needed"].format(needed=number(f"{self.rows_needed:,}"))
        said = [
            words[f"verdict_{kind}" if self.answered else "verdict_none"].format(
                rows=number(f"{self.rows:,}"), answered=number(f"{self.answered:,}"), needed=needed or "",
                given=words[f"verdict_given{self.kind and '_'}{self.kind}"].format(label=self.label),
                value=percent(f"{100 * self.accuracy.value:.1f}"), low=number(low), high=number(high),
                target=percent(f"{100 * self.target_accuracy:.4g}"),
            )
        ]  # fmt: skip
        if self.promises > 1:
            said.append(words["verdict_worst"].format(promises=number(f"{self.promises:,}")))
        if self.left_out:
            said.append(words["verdict_left_out"].format(left_out=number(f"{self.left_out:,}")))
        if self.outcome is Outcome.CONTRADICTED and self.out_of_scope_share > self.certified_share:
            here, there = (percent(f"{100 * share:.3g}") for share in (self.out_of_scope_share, self.certified_share))
            said.append(words["verdict_out_of_scope"].format(here=here, there=there))
        return " ".join(said)

    def _ends(self) -> tuple[str, str]:
        """Write the ends of the interval in percent, with enough digits that the outcome can be seen from them."""
        ends = (100 * self.accuracy.low, 100 * self.accuracy.high)
        for digits in range(1, 10):
            low, high = (f"{end:.{digits}f}" for end in ends)
            shown = Estimate(self.accuracy.value, float(low) / 100, float(high) / 100)
            if _outcome(shown, self.target_accuracy) is self.outcome:
                break
        return low, high


def _exact(right: int, n: int, delta: float) -> Estimate:
    if not n:
        return Estimate(float("nan"), 0.0, 1.0)
    low, high = clopper_pearson_lower(right, n, delta / 2), clopper_pearson_upper(right, n, delta / 2)
    return Estimate(right / n, float(low), float(high))


def _outcome(accuracy: Estimate, target: float) -> Outcome:
    if accuracy.low >= target:
        return Outcome.KEPT
    return Outcome.CONTRADICTED if accuracy.high < target else Outcome.TOO_FEW


def _needed(share: float, target: float, answered: int, delta: float) -> int | None:
    """About how many rows, of which this share is right, would tell; to two digits."""
    n = float(answered)
    while n <= MOST_NEEDED:
        n *= 1.05
        if _outcome(_exact(round(share * n), round(n), delta), target) is not Outcome.TOO_FEW:
            digits = 10 ** max(len(str(int(n))) - 2, 0)
            return int(-(-n // digits) * digits)
    return None


def verdict(classifier: Classifier, answers: Answers, fresh: Flags) -> Verdict | None:
    """Judge the promise of a classifier by n answered rows, of which the `fresh` ones (n,) count; None for no promise.

    Where labels have promises of their own, answers by the labels without one do not count.
    """
    certificate, rule = classifier.certificate, classifier.rule
    if certificate is None or not certificate.certified:
        return None
    each = {("", ""): answers.answered}
    if isinstance(rule, ByLabel):
        each = dict(_promised(rule, classifier.labels, answers)) or each  # none: all labels have one promise together
    promised = np.any([*each.values()], axis=0)
    counted = fresh & (promised | ~answers.answered)
    rows, inside = int(counted.sum()), int((counted & answers.in_scope).sum())
    share = 1 - inside / rows if rows else 0.0
    verdicts = [
        Verdict.of(
            certificate.target_accuracy,
            rows=rows,
            answered=int((counted & own).sum()),
            right=int((counted & own & answers.correct).sum()),
            left_out=len(fresh) - rows,
            shares=(share, certificate.out_of_scope_share),
            of=of,
            promises=len(each),
        )
        for of, own in each.items()
    ]
    return min(verdicts, key=lambda one: (WORST_FIRST.index(one.outcome), not one.answered, one.accuracy.low))


def _promised(rule: ByLabel, labels: tuple[str, ...], answers: Answers) -> Iterator[tuple[tuple[str, str], Flags]]:
    """Name each label, or group of labels, that has a promise of its own, and flag its answers (n,)."""
    groups = np.array(rule.groups)
    for g, certificate in enumerate(rule.certificates):
        if certificate.certified:
            scope, (first, *_) = certificate.scope, np.flatnonzero(groups == g).tolist()
            asked = isinstance(scope, Group) and scope.of_labels
            kind = "rare" if first in rule.rare else "group" if asked else "label"
            own = answers.answered & (groups[np.maximum(answers.decided, 0)] == g)
            yield (rule.names[g] if asked else labels[first], kind), own
