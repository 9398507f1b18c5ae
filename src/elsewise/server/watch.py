"""What the served model does lately: Other, confidence and labels on a window, and whether the promise still stands.

An alarm stands on consequence: the answers' expected accuracy has fallen below the promise, labelled answers are right
too seldom, or Other is more frequent than was certified by a margin that costs people work. Each is a `MeanTest`, so
that the chance that it is ever false is known.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from elsewise.arrays import ABSTAIN
from elsewise.evaluation.audit import MeanTest, expected_accuracy
from elsewise.messages.wording import percent
from elsewise.metrics.intervals import Estimate
from elsewise.rules.certificate import Certificate
from elsewise.rules.decisions import Decisions
from elsewise.server.answers import number
from elsewise.server.served import Served

MARGIN: Final = 0.05  # more Other than this above what was certified is work for people
MOST_LABELS: Final = 50  # of the label mix
ALARMS: Final = ("accuracy", "labelled", "other")


@dataclass(slots=True, eq=False)
class Window:
    """The last decisions, at most `size`, as a ring."""

    codes: Any
    confidence: Any
    probability: Any
    n: int = 0

    @classmethod
    def of(cls, size: int) -> "Window":
        """Make an empty window."""
        return cls(np.full(size, ABSTAIN), np.full(size, np.nan), np.full(size, np.nan))

    def add(self, decisions: Decisions) -> None:
        """Add decisions, which push the oldest out."""
        size, last = len(self.codes), slice(-len(self.codes), None)
        at = (self.n + np.arange(len(decisions)))[last] % size
        self.codes[at], self.confidence[at] = decisions.codes[last], decisions.confidence[last]
        self.probability[at] = decisions.best_probability[last]
        self.n += len(decisions)

    @property
    def texts(self) -> int:
        """Number of decisions in the window."""
        return min(self.n, len(self.codes))

    def answered(self) -> Any:
        """Tell which of the window's texts were answered, shape (texts,)."""
        return self.codes[: self.texts] != ABSTAIN


class Watch:
    """Watches one served model. It is made again when the model is swapped."""

    def __init__(self, served: Served, size: int, alarm_rate: float) -> None:
        self.served, self.alarm_rate, self.window = served, alarm_rate, Window.of(size)
        self.tests: dict[str, MeanTest] = {}
        promise = served.classifier.certificate
        if promise is not None and promise.certified:
            self.tests["accuracy"] = MeanTest(promise.target_accuracy)
            self.tests["labelled"] = MeanTest(promise.target_accuracy)
            if (least := promise.coverage_low - MARGIN) > 0:
                self.tests["other"] = MeanTest(least)
        self.right = Counter[bool]()

    @property
    def promise(self) -> Certificate | None:
        """The promise, if there is one."""
        return self.served.classifier.certificate

    def saw(self, decisions: Decisions) -> None:
        """Take decisions in, in the order in which they were made."""
        self.window.add(decisions)
        answered = ~decisions.abstained
        self._test("accuracy", decisions.best_probability[answered])
        self._test("other", answered.astype(float))

    def labelled(self, *, right: bool) -> None:
        """Take in whether an answer that was drawn at random for labelling was right."""
        self.right[right] += 1
        self._test("labelled", np.array([float(right)]))

    def alarms(self) -> dict[str, bool]:
        """Tell for each alarm whether it was raised since the model is served."""
        return {name: test.alarms(self.alarm_rate) for name, test in self.tests.items()}

    def report(self) -> dict[str, Any]:
        """Describe the window and the alarms (JSON)."""
        window, answered = self.window, self.window.answered()
        accuracy = expected_accuracy(np.clip(window.probability[: window.texts][answered], 0, 1))
        confidence = window.confidence[: window.texts]
        known = confidence[~np.isnan(confidence)]
        return {
            "texts": window.texts,
            "other_share": share(window.texts - int(answered.sum()), window.texts),
            "mean_confidence": float(known.mean()) if len(known) else None,
            "labels": self._mix(),
            "expected_accuracy": _plain(accuracy),
            "labelled": {"right": self.right[True], "wrong": self.right[False]},
            "alarms": [self._alarm(name) for name in self.tests],
            "alarm_rate": self.alarm_rate,
            "words": self._words(accuracy),
        }

    def _test(self, name: str, values: Any) -> None:
        if name in self.tests:
            self.tests[name] = self.tests[name].after(np.clip(values, 0, 1))

    def _mix(self) -> dict[str, float]:
        codes = self.window.codes[: self.window.texts]
        counts = Counter(codes[codes != ABSTAIN].tolist()).most_common(MOST_LABELS)
        return {self.served.classifier.labels[code]: n / self.window.texts for code, n in counts}

    def _alarm(self, name: str) -> dict[str, Any]:
        test = self.tests[name]
        return {
            "name": name,
            "raised": test.alarms(self.alarm_rate),
            "least": test.least,
            "evidence": test.evidence,
            "texts": test.n,
            "words": ABOUT[name].format(least=percent(test.least), rate=percent(self.alarm_rate)),
        }

    def _words(self, accuracy: Estimate) -> str:
        promise = self.promise
        if promise is None or not promise.certified:
            return "This model promises nothing, so there is nothing to keep."
        if not self.window.texts:
            return f"{percent(promise.target_accuracy)} of the answers are promised to be right. No text has come yet."
        raised = [name for name, is_raised in self.alarms().items() if is_raised]
        said = (
            f"{percent(promise.target_accuracy)} of the answers are promised to be right. By their own confidence, "
            f"{accuracy.value:.1%} of the last answers are ({accuracy.low:.1%} to {accuracy.high:.1%}), if the "
            "probabilities are still calibrated, which only labels can tell."
        )
        return f"{said} Alarms: {', '.join(raised)}." if raised else f"{said} No alarm."


ABOUT: Final = {
    "accuracy": "The answers' own probabilities say that fewer than {least} are right. False at most once in "
    "{rate} of servers, however long they run.",
    "labelled": "Of the answers that were drawn for labelling, fewer than {least} are right. False at most once in "
    "{rate} of servers, however long they run.",
    "other": "Fewer than {least} of the texts are answered. False at most once in {rate} of servers, however long "
    "they run.",
}


def share(part: int, whole: int) -> float | None:
    """Divide counts; None for no texts."""
    return part / whole if whole else None


def _plain(estimate: Estimate) -> dict[str, float | None]:
    return {name: number(value) for name, value in estimate.as_dict().items()}
