"""Sentences of certificates, from the numbers of a promise and its scope.

    rule.certificate.say("tr")

A promise about all answers has no scope; a promise about some of them has a scope that says which.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from elsewise.messages.wording import in_percent, localised

Words: TypeAlias = Mapping[str, str]

# Names of the tests, as stored in certificates.
PLAIN: Final = "exact binomial test, fixed sequence"
MIXED: Final = "exact bounds of both kinds of text, fixed sequence"
LOWEST: Final = 0.5  # accuracy below which nothing is promised instead of what was asked for
NOTABLE: Final = 0.01  # share of repeated rows that is told
IN_GROUPS: Final = "exact binomial test, fixed sequence, in each group by itself"


@dataclass(frozen=True, slots=True)
class Mixture:
    """Scope of a promise for texts of which a stated share is out-of-scope.

    Attributes
    ----------
    rows, n : int
        Number of out-of-scope rows in the test, and of answers among them.
    high : float
        Upper bound of the share of out-of-scope texts that are answered.
    """

    rows: int
    n: int
    high: float


@dataclass(frozen=True, slots=True)
class Band:
    """Scope of a promise at one of several thresholds with joint bounds.

    Attributes
    ----------
    points : int
        Number of thresholds.
    supported, at : bool, float
        False if no accuracy is supported at the given threshold; and that threshold.
    """

    points: int
    supported: bool = True
    at: float = math.inf


@dataclass(frozen=True, slots=True)
class Group:
    """Scope of a promise about one group of labels.

    Attributes
    ----------
    name, of_labels : str, bool
        Name of the label or group; whether the caller grouped the labels.
    rare : int
        Number of labels in the pool of rare labels; 0 for the other groups.
    together, joint_level : int, float
        Number of promises that hold together, 0 if each holds by itself; and their joint confidence level.
    """

    name: str
    of_labels: bool
    rare: int
    together: int
    joint_level: float


@dataclass(frozen=True, slots=True)
class FallenBack:
    """Scope of labels without a promise, which use the threshold of all labels together.

    Attributes
    ----------
    labels, certified : int, bool
        Number of labels; whether the threshold of all labels is certified.
    """

    labels: int
    certified: bool


@dataclass(frozen=True, slots=True)
class Groups:
    """Scope of the promises about several groups of labels.

    Attributes
    ----------
    of_labels, joint : bool
        Whether the caller grouped the labels; whether all promises hold together at the confidence level.
    alone, certified, tests : int
        Number of groups tested by themselves, of certified groups among them, and of tested promises.
    rare, rare_threshold : int, float
        Number of labels too rare to be tested by themselves; their threshold, inf if they are never answered.
    rare_certified, falls_back : bool
        Whether the rare labels are certified as one group; whether they use the threshold of all labels.
    """

    of_labels: bool
    alone: int
    certified: int
    tests: int
    joint: bool
    rare: int
    rare_certified: bool
    falls_back: bool
    rare_threshold: float


@dataclass(frozen=True, slots=True)
class Barred:
    """How many in-scope certify rows a gate barred: a share of such texts that is never answered.

    Attributes
    ----------
    reason : str
        Reason of the gate.
    rows, n : int
        Number of readable in-scope rows, and of those that the gate barred.
    high : float
        Upper bound of the barred share (Clopper-Pearson) at the confidence level, by itself.
    """

    reason: str
    rows: int
    n: int
    high: float


@dataclass(frozen=True, slots=True)
class Caught:
    """How many out-of-scope certify rows the gates barred, all gates together.

    Attributes
    ----------
    rows, n : int
        Number of readable out-of-scope rows, and of those that a gate barred.
    low : float
        Lower bound of the barred share (Clopper-Pearson) at the confidence level, by itself.
    """

    rows: int
    n: int
    low: float


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """Facts of a certificate: the fields and properties of the same names of `elsewise.rules.Certificate`."""

    certified: bool
    target_accuracy: float
    confidence_level: float
    threshold: float
    rows: int
    n: int
    errors: int
    out_of_scope_share: float
    best_accuracy: float
    rows_needed: int | None
    method: str
    looks: int
    earlier_delta: float | None
    barred: tuple[Barred, ...]
    caught: Caught | None
    coverage: float
    asked_for: float
    is_lower: bool
    ladder: bool


@dataclass(frozen=True, slots=True)
class Population:
    """The texts that a promise is about.

    Attributes
    ----------
    rows, repeats : int
        Number of labelled rows drawn for the test, and of those left out because they repeat an earlier row.
    counts_repeats : bool
        Whether a text counts as often as it comes; else it counts once.
    by_group : bool
        Whether a group of rows (a customer, a thread) counts once, by one row drawn by chance.
    newest : bool
        Whether the rows are the newest.
    """

    rows: int = 0
    repeats: int = 0
    counts_repeats: bool = False
    by_group: bool = False
    newest: bool = False

    @property
    def drops_repeats(self) -> bool:
        """Whether a notable share of the rows was left out as repeated."""
        return self.repeats > NOTABLE * self.rows

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing to tell: distinct texts, each by itself, in no order."""
        return not (self.drops_repeats or self.counts_repeats or self.by_group or self.newest)


Scope: TypeAlias = Mixture | Band | Group | FallenBack | Groups
METHODS: Final = {PLAIN: "method_plain", MIXED: "method_mixed", IN_GROUPS: "method_groups"}


def certificate_sentence(
    tested: CertificateFacts, scope: Scope | None, words: Words, population: Population | None = None
) -> str:
    """Write the promise: over what randomness, for which texts, what is not covered, and what gates bar."""
    said = _Said(tested, words)
    sentences = [_promise(said, scope), *said.ladder()]
    if tested.certified and population is not None and not isinstance(scope, Group | FallenBack):
        sentences += said.population(population)
    return " ".join([*sentences, *said.gates()])


def headline(tested: CertificateFacts, words: Words) -> str:
    """Write in one line what must not be missed; empty where the target asked for is certified at a threshold."""
    said, lines = _Said(tested, words), []
    if tested.is_lower:
        lines.append("head_lower")
    if tested.threshold == math.inf:
        lines.append("head_nothing")
    elif tested.threshold == -math.inf and tested.method != IN_GROUPS:
        lines.append("head_gates" if tested.barred else "head_everything")
    elif tested.coverage == 1:
        lines.append("head_all")
    return " ".join(said.line(name) for name in lines)


def _promise(said: "_Said", scope: Scope | None) -> str:
    if scope is None:
        return said.everything()
    say: Mapping[type, Callable[[Any], str]] = {
        Mixture: said.mixture, Band: said.band, Group: said.group, FallenBack: said.fallen_back, Groups: said.groups
    }  # fmt: skip
    return say[type(scope)](scope)


@dataclass(frozen=True, slots=True)
class _Said:
    """Sentences of one certificate in one language."""

    c: CertificateFacts
    words: Words

    def everything(self, method: str = "") -> str:
        """Write a promise about all answers, or why there is none."""
        if not self.c.certified:
            return self._refusal()
        tested, source = self._tested(method), self._fill("source")
        return self._fill("promise", tested=tested, over_draws=self._over_draws(), source=source)

    def line(self, name: str) -> str:
        """Write a line that has no numbers but those that every sentence may use."""
        return self._fill(name)

    def ladder(self) -> list[str]:
        """Write that the promise is lower than the one asked for and why, or that no lower one holds either."""
        if self.c.is_lower:
            return [self._fill("lower", more=self._more_rows())]
        return (
            [self._fill("none_lower", lowest=self._percent(LOWEST))] if self.c.ladder and not self.c.certified else []
        )

    def population(self, population: Population) -> list[str]:
        """Write which texts the promise is about, a sentence each."""
        rows, repeats = self._number(population.rows), self._number(population.repeats)
        told = {
            "distinct_texts": population.drops_repeats and not population.counts_repeats,
            "repeats_count": population.counts_repeats,
            "one_a_group": population.by_group,
            "newest_rows": population.newest,
        }
        return [self._fill(name, kept_aside=rows, repeats=repeats) for name, is_told in told.items() if is_told]

    def mixture(self, scope: Mixture) -> str:
        """Write a promise at a stated share of out-of-scope texts, on which every answer is an error."""
        rows, n, high = self._number(scope.rows), self._number(scope.n), self._percent(scope.high, up=True)
        template = "mixed_outside" if scope.rows else "mixed_no_outside"
        return self._fill(
            "mixed",
            rows=self._number(self.c.rows - scope.rows),
            n=self._number(self.c.n - scope.n),
            errors=self._number(self.c.errors - scope.n),
            outside=self._fill(template, rows=rows, n=n, high=high),
            method=self._method(),
            over_draws=self._over_draws(),
        )

    def band(self, scope: Band) -> str:
        """Write the promise at one of several thresholds."""
        if not scope.supported:
            return self._fill("band_refusal", threshold=self._threshold(scope.at))
        return self.everything(self._fill("method_band", points=str(scope.points)))

    def group(self, scope: Group) -> str:
        """Write the promise about one group of labels."""
        who = self._fill(f"who_{'group' if scope.of_labels else 'label'}", name=scope.name)
        who = self._counted("who_rare", scope.rare) if scope.rare else who
        if not self.c.certified:
            return self._fill("group_refusal", who=who, more=self._more("group_more_useless"))
        together = ""
        if scope.together > 1:
            held = self._held(1 - scope.joint_level)
            together = self._fill("group_together", tests=self._number(scope.together), held=held)
        return self._fill("group", who=who, tested=self._tested(), over_draws=self._over_draws(), together=together)

    def fallen_back(self, scope: FallenBack) -> str:
        """Write that labels have no promise, and their threshold."""
        return self._fill(
            "fallen_back",
            who=self._counted("too_rare", scope.labels),
            threshold=self._threshold(self.c.threshold),
            whence=self._fill(f"whence_{'certified' if scope.certified else 'refused'}"),
        )

    def groups(self, scope: Groups) -> str:
        """Write which labels have a promise, which have none, and what is promised."""
        unit = "groups" if scope.of_labels else "labels"
        if scope.falls_back and not scope.alone:  # every label falls back: this is the plain rule
            return f"{self._fill('none_of_labels')} {self.everything()}"
        never = scope.alone - scope.certified
        sentences = [
            "" if scope.certified else self._fill(f"none_of_{unit}"),
            self._claim(scope, unit) if self.c.certified else self._groups_refusal(),
            self._together(scope) if self.c.certified and scope.tests > 1 else "",
            self._counted(f"never_of_{unit}", never) if never else "",
            self._rare(scope) if scope.rare else "",
            self._fill("source") if self.c.certified else "",
        ]
        return " ".join(sentence for sentence in sentences if sentence)

    def gates(self) -> list[str]:
        """Write how many in-scope texts each gate bars, and what is known of out-of-scope texts."""
        c = self.c
        if not c.certified or not c.barred:
            return []
        said = [self._fill(f"gate_{gate.reason}", measured=self._measured(gate)) for gate in c.barred]
        if c.caught is None:
            return [*said, self._fill("gates_caught_none")]
        n, rows, low = self._number(c.caught.n), self._number(c.caught.rows), self._percent(c.caught.low)
        return [*said, self._fill("gates_caught", n=n, rows=rows, low=low)]

    def _measured(self, gate: Barred) -> str:
        n, rows, high = self._number(gate.n), self._number(gate.rows), self._percent(gate.high, up=True)
        return self._fill("gate_measured", n=n, rows=rows, high=high)

    def _claim(self, scope: Groups, unit: str) -> str:
        many = "each" if scope.certified > 1 else "one"
        who = [self._fill(f"{many}_of_{unit}", certified=self._number(scope.certified))] if scope.certified else []
        who += [self._counted("who_rare", scope.rare)] if scope.rare_certified else []
        alone = scope.tests > 1 and not scope.joint
        each = self._fill("each_together" if scope.joint else "each_alone") if scope.tests > 1 else ""
        return self._fill(
            "groups",
            who=who[0] if len(who) == 1 else self._fill("and_with", first=who[0], second=who[1]),
            each=each,
            tested=self._tested(),
            over=self._over_draws("over_draws_each" if alone else "over_draws"),
        )

    def _groups_refusal(self) -> str:
        other = "" if self.c.n else self._fill("groups_other")
        return self._fill("groups_refusal", other=other, more=self._more("groups_more_useless"))

    def _together(self, scope: Groups) -> str:
        if scope.joint:
            return "" if scope.falls_back else self._fill("all_together")
        held = self._held(scope.tests * (1 - self.c.confidence_level))
        return self._fill("all_alone", tests=self._number(scope.tests), held=held)

    def _rare(self, scope: Groups) -> str:
        kind = "rare_promised" if scope.rare_certified else "rare_pool_refused"
        if scope.falls_back:
            kind = "rare_refused" if scope.rare_threshold == math.inf else "rare_fall_back"
        who = self._counted("too_rare", scope.rare)
        return self._fill(kind, who=who, threshold=self._threshold(scope.rare_threshold))

    def _refusal(self) -> str:
        c, best = self.c, "best_none" if self.c.best_accuracy <= 0 else "best"
        if c.best_accuracy >= c.target_accuracy:
            best = "best_behind"
        supported = self._fill(best, accuracy=self._percent(c.best_accuracy))
        return self._fill("refusal", more=self._more_rows(), best=supported)

    def _more_rows(self) -> str:
        """Write how many rows would certify the target that was asked for."""
        c = self.c
        is_out_of_reach = (1 - c.confidence_level) < c.asked_for**c.rows  # even without one error
        return self._more(
            "more_hopeless" if c.ladder else "more_useless", "more_at_least" if is_out_of_reach else "more_about"
        )

    def _more(self, useless: str, more: str = "group_more") -> str:
        needed = self.c.rows_needed
        return self._fill(useless) if needed is None else self._fill(more, needed=self._number(needed))

    def _tested(self, method: str = "") -> str:
        return self._fill("tested", method=method or self._method())

    def _over_draws(self, kind: str = "over_draws") -> str:
        looks, delta, together = self.c.looks, 1 - self.c.confidence_level, ""
        if looks > 1:
            together = self._fill("looks", looks=str(looks), held=self._held(delta))
        return self._fill(kind, delta=self._percent(delta, up=True), together=together)

    def _method(self) -> str:
        known = METHODS.get(self.c.method)
        return self._fill(known) if known else self.c.method

    def _fill(self, template: str, /, **values: str) -> str:
        """Fill a template with values, and with the numbers that every sentence may use."""
        c = self.c
        numbers = {
            "target": self._percent(c.target_accuracy),
            "asked": self._percent(c.asked_for),
            "level": self._percent(c.confidence_level),
            "share": self._percent(c.out_of_scope_share),
            "rows": self._number(c.rows),
            "n": self._number(c.n),
            "errors": self._number(c.errors),
        }
        return self.words[template].format(**numbers | values)

    def _counted(self, name: str, labels: int) -> str:
        return self._fill(f"{name}_{'many' if labels > 1 else 'one'}", labels=self._number(labels))

    def _held(self, delta: float) -> str:
        """Write the level at which all looks hold together (Bonferroni), of which this one fails by `delta` at most."""
        earlier = self.c.earlier_delta
        return self._percent(max(0.0, 1 - delta - (delta * (self.c.looks - 1) if earlier is None else earlier)))

    def _percent(self, share: float, *, up: bool = False) -> str:
        written = in_percent(share, np.ceil if up else np.floor)
        return self.words["percent"].format(number=localised(written, self.words))

    def _number(self, count: int) -> str:
        return localised(f"{count:,}", self.words)

    def _threshold(self, threshold: float) -> str:
        return localised(f"{threshold:g}", self.words)
