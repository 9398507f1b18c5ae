"""A queue of texts in front of the engine, bounded in tokens, and the thread that answers them in rounds.

A round is what waits when the engine is idle: nobody waits for company. It holds a limited number of tokens, taken in
turns: a slice of each client's oldest request, so that a request of a thousand texts lets short ones pass. Texts of a
request are taken by length, since texts of one length run together. Work that is too old, or whose client has left, is
dropped when its turn comes.
"""

import asyncio
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.classifier.classifier import Classifier
from elsewise.outputs import Evidence
from elsewise.rules.decisions import Decisions
from elsewise.server.problems import Problem, retry_after
from elsewise.server.served import Served, joined, lengths_of
from elsewise.server.settings import Limits

ROUND_TOKENS: Final = 2048  # fewer make more short batches, more let short requests wait longer
SLICE_TOKENS: Final = 256  # of one request before the next client's turn
NEWEST: Final = 0.3  # weight of the last round in the measured rate
LESS, MORE = 0.8, 1.05  # how the accepted wait moves, a round, when answers come too late, and when they do not
LEAST: Final = 0.05

Rows = NDArray[np.int64]
Finished = Callable[["Round"], None]
log = logging.getLogger("elsewise.server")


@dataclass(slots=True, eq=False)
class Job:
    """The texts of one request.

    Attributes
    ----------
    served, ready : Served, prepared texts
        What answers, and n texts as it reads them.
    threshold : float or None
        The request's own threshold.
    client : str
        Whose turn it takes.
    deadline : float
        Moment of `time.monotonic` after which it is dropped.
    gone : callable
        Tells whether the client has left.
    parts : list of (Decided, first row in it, rows of this job (m,))
        Answers so far.
    """

    served: Served
    ready: Any
    threshold: float | None
    client: str
    deadline: float
    gone: Callable[[], bool]
    future: "asyncio.Future[None]"
    lengths: Rows = field(init=False)
    order: Rows = field(init=False)
    created: float = field(default_factory=time.monotonic)
    taken: int = 0
    left: int = field(init=False)
    parts: list[tuple["Decided", int, Rows]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lengths = lengths_of(self.ready)
        self.order = np.argsort(self.lengths, kind="stable")
        self.left = len(self.lengths)

    @property
    def tokens(self) -> int:
        """Tokens that still wait."""
        return int(self.lengths[self.order[self.taken :]].sum())

    def take(self, budget: int) -> Rows:
        """Take the next texts of at most `budget` tokens, at least one, shape (m,)."""
        waiting = self.order[self.taken :]
        fit = int(np.searchsorted(np.cumsum(self.lengths[waiting]), budget, side="right"))
        rows = waiting[: max(1, fit)]
        self.taken += len(rows)
        return rows


@dataclass(frozen=True, slots=True, eq=False)
class Decided:
    """Texts that were decided together, under one rule.

    Attributes
    ----------
    evidence, decisions, columns : Evidence, Decisions, mapping
        Of n texts; `columns` are plain values, n each.
    """

    evidence: Evidence
    decisions: Decisions
    columns: dict[str, list[Any]]

    @classmethod
    def by(cls, classifier: Classifier, evidence: Evidence) -> Self:
        """Apply a classifier's rule to evidence."""
        decisions = classifier.decisions(evidence)
        return cls(evidence, decisions, {**decisions.columns, "threshold": decisions.threshold.tolist()})


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """What the engine answered in one run.

    Attributes
    ----------
    served : Served
        What answered.
    promised : Decided
        All its texts, under the certified rule.
    parts : list of (Decided, first row)
        Where the texts of each share begin, and under which rule.
    tokens, seconds : int, float
        Size and duration.
    """

    served: Served
    promised: Decided
    parts: list[tuple[Decided, int]]
    tokens: int
    seconds: float


class Batcher:
    """A queue and its thread. Its methods but `_work` are called on the event loop."""

    def __init__(self, limits: Limits, finished: Finished) -> None:
        self.limits, self.finished = limits, finished
        self.rate = 0.0  # tokens a second while more wait than a round holds
        self.share = 1.0  # of the longest wait that is accepted: answers have come too late where it is less
        self._ended = 0.0  # when the last round ended, if others waited by then
        self.waiting_tokens = 0
        self._turns: OrderedDict[str, deque[Job]] = OrderedDict()
        self._changed = threading.Condition()
        self._stopped = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="elsewise-batcher", daemon=True)
        self._thread.start()

    def refuse_if_full(self, tokens: int = 1) -> None:
        """Raise Problem (queue_full) where `tokens` more would wait too long; an empty queue takes anything."""
        waiting = self.waiting_tokens
        if not waiting:
            return
        seconds = (waiting + tokens) / self.rate if self.rate else 0.0
        longest = self.limits.wait_seconds * self.share
        if waiting + tokens > self.limits.queue_tokens or seconds > longest:
            soon = waiting / self.rate - longest / 2 if self.rate else 1.0
            raise Problem("queue_full", f"{waiting:,} tokens wait; come again later", retry_after(soon))

    async def answer(self, job: Job) -> None:
        """Wait until all texts of a job are answered.

        Raises
        ------
        Problem
            queue_full, or deadline.
        """
        tokens = int(job.lengths.sum())
        self.refuse_if_full(tokens)
        with self._changed:
            self.waiting_tokens += tokens
            self._turns.setdefault(job.client, deque()).append(job)
            self._changed.notify()
        await job.future

    @property
    def is_alive(self) -> bool:
        """Whether texts are still answered."""
        return self._thread.is_alive()

    def future(self) -> "asyncio.Future[None]":
        """Make the future of a job."""
        return self._loop.create_future()

    def stop(self) -> None:
        """End the thread after its round; what waits is not answered."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._turns and not self._stopped:
                    self._changed.wait()
                if self._stopped:
                    return
                shares = self._next_round()
            if not shares:
                continue
            try:
                done = _run(shares)
            except BaseException as error:  # whoever asked gets it
                log.exception("a round has failed")
                self._loop.call_soon_threadsafe(self._fail, [job for job, _ in shares], error)
            else:
                self._measure(shares, done)
                self._loop.call_soon_threadsafe(self._deliver, shares, done)

    def _measure(self, shares: Sequence[tuple[Job, Rows]], done: Round) -> None:
        """Measure how fast texts are answered, by the clock, and whether they wait too long."""
        now = time.monotonic()
        is_crowded, since = self.waiting_tokens > 0, self._ended or now - done.seconds
        rate = done.tokens / max(now - since, 1e-6)
        if rate > self.rate or not self.rate:
            self.rate = rate if not is_crowded else self.rate + NEWEST * (rate - self.rate)
        elif is_crowded:  # a small round says little of how many a large one answers
            self.rate += NEWEST * (rate - self.rate)
        self._ended = now if is_crowded else 0.0
        is_late = now - min(job.created for job, _ in shares) > self.limits.wait_seconds
        self.share = max(LEAST, self.share * LESS) if is_late else min(1.0, self.share * MORE)

    def _next_round(self) -> list[tuple[Job, Rows]]:
        """Take the texts of a round, by turns, all for one model."""
        shares: list[tuple[Job, Rows]] = []
        budget, now = ROUND_TOKENS, time.monotonic()
        while self._turns and budget > 0:
            client, jobs = next(iter(self._turns.items()))
            job = jobs[0]
            if now > job.deadline or job.future.done() or job.gone():
                self._drop(client, job)
                continue
            if shares and (job.served is not shares[0][0].served):
                break  # the model was swapped: the next round is the new one's
            rows = job.take(min(budget, SLICE_TOKENS))
            tokens = int(job.lengths[rows].sum())
            budget -= tokens
            self.waiting_tokens -= tokens
            shares.append((job, rows))
            self._turn(client, is_whole=job.taken == len(job.order))
        return shares

    def _turn(self, client: str, *, is_whole: bool) -> None:
        """Move a client, and its job if texts of it are left, behind the others."""
        jobs = self._turns[client]
        job = jobs.popleft()
        if not is_whole:
            jobs.append(job)
        if jobs:
            self._turns.move_to_end(client)
        else:
            del self._turns[client]

    def _drop(self, client: str, job: Job) -> None:
        self.waiting_tokens -= job.tokens
        self._turn(client, is_whole=True)
        problem = Problem("deadline", "the request was not answered in time", retry_after(1))
        self._loop.call_soon_threadsafe(self._fail, [job], problem)

    def _deliver(self, shares: Sequence[tuple[Job, Rows]], done: Round) -> None:
        for (job, rows), (decided, first) in zip(shares, done.parts, strict=True):
            job.parts.append((decided, first, rows))
            job.left -= len(rows)
            if not job.left and not job.future.done():
                job.future.set_result(None)
        self.finished(done)

    def _fail(self, jobs: Sequence[Job], error: BaseException) -> None:
        for job in jobs:
            if not job.future.done():
                job.future.set_exception(error)


def _run(shares: Sequence[tuple[Job, Rows]]) -> Round:
    """Answer the texts of a round, in the order of the shares."""
    start, served = time.perf_counter(), shares[0][0].served
    evidence = served.classifier.evidence(joined([(job.ready, rows) for job, rows in shares]))
    promised = Decided.by(served.classifier, evidence)
    parts, first = [], 0
    for job, rows in shares:
        if job.threshold is None:
            parts.append((promised, first))
        else:
            own = evidence.take(np.arange(first, first + len(rows)))
            parts.append((Decided.by(served.with_threshold(job.threshold), own), 0))
        first += len(rows)
    tokens = sum(int(job.lengths[rows].sum()) for job, rows in shares)
    return Round(served, promised, parts, tokens, time.perf_counter() - start)
