"""What the served model does lately: Other, confidence and labels on a window, and whether the promise still stands.

The window is judged by `elsewise.evaluation.shift`, as `elsewise predict` judges a file. An alarm stands on
consequence: the answers' own probabilities expect less than was promised, labelled answers are right too seldom, or so
much more is Other that it costs people work. Each is a `MeanTest`, so that the chance that it is ever false is known.
"""

from collections import Counter
from typing import Any, Final

import numpy as np

from elsewise.evaluation.audit import MeanTest
from elsewise.evaluation.shift import Shift, Tally, shift
from elsewise.messages import messages
from elsewise.messages.wording import localised
from elsewise.rules.certificate import Certificate
from elsewise.rules.decisions import Decisions
from elsewise.server.served import Served
from elsewise.storage.json_files import finite

MARGIN: Final = 0.05  # more Other than this above what was certified is work for people
MOST_LABELS: Final = 50  # of the label mix
ALARMS: Final = ("accuracy", "labelled", "other")


class Window:
    """The last decisions, at most `size`, as a ring of columns."""

    COLUMNS: Final = ("codes", "confidence", "reasons", "best", "best_probability", "truncated")

    def __init__(self, size: int) -> None:
        self.size, self.n = size, 0
        self.columns: dict[str, Any] = {}

    def add(self, decisions: Decisions) -> None:
        """Add decisions, which push the oldest out."""
        last = slice(-self.size, None)
        at = (self.n + np.arange(len(decisions)))[last] % self.size
        for name in self.COLUMNS:
            values = getattr(decisions, name)
            values = np.zeros(len(decisions), dtype=bool) if values is None else values
            kind = "<U20" if name == "reasons" else values.dtype
            self.columns.setdefault(name, np.zeros(self.size, dtype=kind))[at] = values[last]
        self.n += len(decisions)

    @property
    def texts(self) -> int:
        """Number of decisions in the window."""
        return min(self.n, self.size)

    def decisions(self, names: tuple[str, ...]) -> Decisions | None:
        """Give the decisions of the window, in no order; None for none."""
        if not self.n:
            return None
        columns = {name: column[: self.texts] for name, column in self.columns.items()}
        unknown = np.full(self.texts, np.nan)
        return Decisions(**columns, threshold=unknown, second=columns["best"], second_probability=unknown, names=names)


class Watch:
    """Watches one served model. It is made again when the model is swapped."""

    def __init__(self, served: Served, size: int, alarm_rate: float) -> None:
        self.served, self.alarm_rate, self.window = served, alarm_rate, Window(size)
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

    def shifted(self) -> Shift | None:
        """Judge the window against the certify rows; None without a promise or a text."""
        decisions = self.window.decisions(self.served.classifier.labels)
        if decisions is None or self.served.reference is None:
            return None
        return shift(Tally.of(decisions), self.served.reference)

    def report(self, language: str = "en") -> dict[str, Any]:
        """Describe the window and the alarms (JSON)."""
        decisions, found = self.window.decisions(self.served.classifier.labels), self.shifted()
        tally = Tally() if decisions is None else Tally.of(decisions)
        known = np.empty(0) if decisions is None else decisions.confidence[~np.isnan(decisions.confidence)]
        shares = Counter(tally.labels).most_common(MOST_LABELS)
        return {
            "texts": tally.rows,
            "other_share": tally.other / tally.rows if tally.rows else None,
            "mean_confidence": float(known.mean()) if len(known) else None,
            "labels": {label: n / tally.rows for label, n in shares},
            "shift": None if found is None else finite(found.as_dict()),
            "labelled": {"right": self.right[True], "wrong": self.right[False]},
            "alarms": [self._alarm(name, language) for name in self.tests],
            "alarm_rate": self.alarm_rate,
            "words": self._words(found, language),
        }

    def _test(self, name: str, values: Any) -> None:
        if name in self.tests:
            self.tests[name] = self.tests[name].after(np.clip(values, 0, 1))

    def _alarm(self, name: str, language: str) -> dict[str, Any]:
        test, words = self.tests[name], messages(language)

        def percent(share: float) -> str:
            return words["percent"].format(number=localised(f"{100 * share:.4g}", words))

        return {
            "name": name,
            "raised": test.alarms(self.alarm_rate),
            "least": test.least,
            "evidence": test.evidence,
            "texts": test.n,
            "words": words[f"watch_{name}"].format(least=percent(test.least), rate=percent(self.alarm_rate)),
        }

    def _words(self, found: Shift | None, language: str) -> str:
        words = messages(language)
        if self.served.reference is None:
            return words["watch_no_promise"]
        if found is None:
            return words["watch_no_text"]
        raised = ", ".join(name for name, is_raised in self.alarms().items() if is_raised)
        said = words["watch_raised"].format(alarms=raised) if raised else words["watch_quiet"]
        return f"{found.say(language)} {said}"
