"""What the handlers of all routes share: the served model, its queue, and what is remembered of answers."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from elsewise.server.answers import answers_of, problem_answer
from elsewise.server.asgi import Call, in_thread
from elsewise.server.batcher import Batcher, Job, Round
from elsewise.server.measures import Measures
from elsewise.server.problems import Problem, retry_after
from elsewise.server.receipts import AuditFile, Receipt, Receipts
from elsewise.server.schemas import Answer, Options
from elsewise.server.served import Served, truncated_of
from elsewise.server.settings import Settings
from elsewise.server.tokenising import Tokenising
from elsewise.server.watch import Watch

STARTING: Final = "starting"
READY: Final = "ready"
DRAINING: Final = "draining"
SHORT: Final = 8_000  # characters that are tokenised where they are; more go to a thread


@dataclass(slots=True, eq=False)
class Desk:
    """State of one serving process.

    Attributes
    ----------
    stage : {"starting", "ready", "draining"}
        Whether it answers.
    served, watch : Served and Watch, or None
        The model and its watch; None before it is loaded.
    """

    settings: Settings
    measures: Measures
    batcher: Batcher = field(init=False)
    receipts: Receipts = field(init=False)
    tokenising: Tokenising = field(default_factory=Tokenising)
    audit: AuditFile | None = None
    stage: str = STARTING
    served: Served | None = None
    watch: Watch | None = None
    since: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        self.receipts = Receipts(self.settings.secret)
        self.batcher = Batcher(self.settings.limits, self.finished)

    def serve(self, served: Served) -> None:
        """Answer with this model from now on; what waits is answered by the one before."""
        self.served = served
        self.watch = Watch(served, self.settings.window, self.settings.alarm_rate)
        self.measures.model.clear()
        self.measures.model.labels(served.model, served.certificate or "").set(1)
        if self.stage == STARTING:
            self.stage = READY

    def current(self) -> Served:
        """Give the model that answers; Problem (not_ready) before there is one."""
        if self.served is None:
            raise Problem("not_ready", "the model is still being loaded", retry_after(1))
        return self.served

    def finished(self, done: Round) -> None:
        """Take a round of the engine in."""
        self.measures.saw(done)
        if self.watch is not None and done.served is self.watch.served:
            self.watch.saw(done.promised.decisions)

    async def decide(self, call: Call, texts: Sequence[Any], options: Options) -> tuple[Served, list[Answer]]:
        """Answer texts, each with a decision or a problem of its own.

        Raises
        ------
        Problem
            not_ready, queue_full, or deadline, for all of them.
        """
        served = self.current()
        self.batcher.refuse_if_full()
        problems = {row: problem for row, text in enumerate(texts) if (problem := self._unfit(text)) is not None}
        fit = [row for row in range(len(texts)) if row not in problems]
        given = [texts[row] for row in fit]
        is_short = sum(map(len, given)) <= SHORT
        ready = await (self.tokenising.ask(served, given) if is_short else in_thread(served.prepare, given))
        if options.truncation == "strict" and (cut := truncated_of(ready)).any():
            words = "this text is longer than the model reads; shorten it, or ask with truncation: flag"
            problems |= {fit[i]: Problem("text_truncated", words) for i in cut.nonzero()[0].tolist()}
            fit = [row for row in fit if row not in problems]
            given = [texts[row] for row in fit]
            ready = served.prepare(given)
        decided = await self._answered(call, served, ready, options) if fit else []
        answers = self._issued(served, given, decided, is_promised=options.threshold is None)
        found = dict(zip(fit, answers, strict=True))
        found |= {row: problem_answer(problem) for row, problem in problems.items()}
        for problem in problems.values():
            self.measures.problems.labels(problem.code).inc()
        call.noted |= {"texts": len(texts), "model": served.model}
        return served, [found[row] for row in range(len(texts))]

    async def _answered(self, call: Call, served: Served, ready: Any, options: Options) -> list[tuple[Answer, int]]:
        deadline = time.monotonic() + self.settings.limits.deadline_seconds
        future = self.batcher.future()
        job = Job(served, ready, options.threshold, self._client(call), deadline, call.gone, future)
        await self.batcher.answer(job)
        return answers_of(job, options)

    def _unfit(self, text: Any) -> Problem | None:
        """Say what is wrong with one text, as a client sent it."""
        if not isinstance(text, str):
            return Problem("text_missing", f"a text must be a string, got {_kind(text)}")
        most = self.settings.limits.characters
        if len(text) > most:
            return Problem("text_long", f"a text may have {most:,} characters, got {len(text):,}")
        return None

    def _client(self, call: Call) -> str:
        """Name whose turn a request takes: of an API key, or of an address."""
        return str(call.noted.get("key") or (call.scope.get("client") or ("",))[0])

    def _issued(
        self, served: Served, texts: Sequence[str], decided: Sequence[tuple[Answer, int]], *, is_promised: bool
    ) -> list[Answer]:
        """Give answers their ids, and draw some for the audit file; without a promise there is nothing to audit."""
        for text, (answer, code) in zip(texts, decided, strict=True):
            is_drawn = bool(self.audit and is_promised and not answer.abstained and self.audit.draws())
            answer.id = self.receipts.issue(Receipt(served.model, code, is_drawn))
            if is_drawn and self.audit is not None:
                self.audit.write(
                    "answer", id=answer.id, text=text, label=answer.label, probability=answer.probability,
                    confidence=answer.confidence, share=self.audit.share, model=served.model,
                )  # fmt: skip
        return [answer for answer, _ in decided]


def _kind(value: Any) -> str:
    return "null" if value is None else {bool: "a boolean", int: "a number", float: "a number", list: "an array"}.get(
        type(value), "an object"
    )  # fmt: skip
