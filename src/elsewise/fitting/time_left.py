"""How long a fit still takes: estimated once the training was timed, measured while it runs, and corrected.

A stage is expected to take some seconds of an idle machine, and the time in which the encoder reads so many rows. Both
follow what training steps really take, so a machine that becomes busy is noticed; the stages after the training follow
those that are over.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from elsewise.data.defaults import PARTS
from elsewise.fitting.certify import REFERENCES
from elsewise.progress import Bar, Note, Progress, time_words

if TYPE_CHECKING:
    from elsewise.training.pace import Pace

TRAINING: Final = "training"
TOLD_AGAIN: Final = 1.4  # a new estimate is told if it differs by more than this factor
SETTLED: Final = 0.1  # share of the training after which its own pace is believed
BELIEF: Final = 0.5  # how far a finished stage corrects those to come
SHORT: Final = 1.0  # seconds; shorter stages correct nothing

# Measured on one thread of an idle machine.
PACKING: Final = 0.1  # seconds a layer to write the weights, and to open them again
WRITING: Final = 0.45  # seconds a layer to write the graph, and to compare it with the model
OPENING: Final = 0.3  # seconds a layer to compile it
QUANTISING: Final = 2.0  # seconds to begin with int8
QUANTISED_ROWS: Final = 300
QUANTISED_READS: Final = 15  # how often each of these rows is read to quantise
SPEED_ROWS: Final = 500  # rows whose speed is measured, about
SPEED_RUNS: Final = 4  # times
COUNTING: Final = 1.5e-3  # seconds a train row of the baseline


@dataclass(frozen=True, slots=True)
class Cost:
    """What a stage takes: seconds of an idle machine, rows that the encoder reads, and more trainings."""

    seconds: float
    rows: float = 0.0
    trainings: int = 0

    def at(self, pace: "Pace") -> float:
        """Seconds at this pace."""
        return self.seconds * pace.slowness + self.rows * pace.row + self.trainings * pace.steps * pace.step


class TimeLeft:
    """A `Progress` that passes reports on, and tells a bar and `note` how long all of it still takes.

    Parameters
    ----------
    progress, note : callable, optional
        Where reports and words go.
    clock : callable
        Seconds that have gone.
    """

    def __init__(
        self, progress: Progress | None, note: Note | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.progress, self.note, self.clock = progress, note, clock
        self.began = self.stage_began = clock()
        self.stage = ""
        self.steps = 0  # of the training that are done
        self.pace: Pace | None = None
        self.costs: dict[str, Cost] = {}  # of the stages that are not over, in their order
        self.factor = 1.0  # what stages take, by what was expected
        self.told = 0.0  # seconds in all, as they were told last

    def __call__(self, words: str, done: int, total: int) -> None:
        """Report a stage, and how much of it is done."""
        stage = words.partition(",")[0]
        if stage != self.stage:
            self._end_stage(stage)
        if stage == TRAINING and total and self.pace is not None:
            self.steps = self.pace.steps - (total - done)  # a training that continues begins with some
        if self.progress is not None:
            self.progress(words, done, total)
        if self.pace is not None:
            self._tell(self.pace)

    @property
    def is_heard(self) -> bool:
        """Whether anybody is told."""
        return self.progress is not None or self.note is not None

    def expect(self, costs: Mapping[str, Cost]) -> None:
        """Set what the stages after the training cost, in their order."""
        self.costs = dict(costs)

    def plan(self, pace: "Pace") -> None:
        """Take the pace of the training that begins now, and say how long all of it takes."""
        self.pace, self.stage, self.stage_began, self.steps = pace, TRAINING, self.clock(), 0
        self.told = self.clock() - self.began + self.left(pace)
        if self.note is not None:
            training = pace.sentence.removeprefix(f"{TRAINING} takes about ")
            self.note(f"fit takes about {time_words(self.told)} in all, its {TRAINING} {training}")

    def left(self, pace: "Pace") -> float:
        """Seconds that are left of this stage and those to come."""
        gone = self.clock() - self.stage_began
        to_come = sum(cost.at(pace) for cost in self.costs.values())
        if self.stage == TRAINING:
            step = self._step(pace)
            return (pace.steps - self.steps) * step + to_come * step / pace.step
        here = self.costs.get(self.stage)
        return self.factor * to_come - (0 if here is None else min(gone, self.factor * here.at(pace)))

    def _step(self, pace: "Pace") -> float:
        """Seconds of a training step: as measured before, until enough steps are done."""
        return (self.clock() - self.stage_began) / self.steps if self.steps > SETTLED * pace.steps else pace.step

    def _end_stage(self, new: str) -> None:
        """Correct what is expected by what the stage that ends has taken, and forget the stages before `new`."""
        if self.pace is not None:
            gone, expected = self.clock() - self.stage_began, self.costs.get(self.stage, Cost(0)).at(self.pace)
            if self.stage == TRAINING:
                slower = self._step(self.pace) / self.pace.step
                self.pace = replace(self.pace, row=slower * self.pace.row, slowness=slower * self.pace.slowness)
            elif min(gone, expected) > SHORT:
                self.factor += BELIEF * (gone / expected - self.factor)
            names = list(self.costs)
            over = names[: names.index(new)] if new in names else [self.stage]
            self.costs = {name: cost for name, cost in self.costs.items() if name not in over}
        self.stage, self.stage_began = new, self.clock()

    def _tell(self, pace: "Pace") -> None:
        """Tell the bar how long it takes or, where there is none, `note` when that has changed much."""
        left = self.left(pace)
        if isinstance(self.progress, Bar):
            self.progress.expect(left)
            return
        is_settled = self.stage != TRAINING or self.steps > SETTLED * pace.steps
        total = self.clock() - self.began + left
        if is_settled and self.note is not None and not self.told / TOLD_AGAIN < total < self.told * TOLD_AGAIN:
            said, now = time_words(self.told), time_words(total)
            self.note(f"fit takes about {now} in all, and not {said}: {time_words(left)} left")
            self.told = total


def costs_of(
    sizes: Mapping[str, int], layers: int, precisions: Sequence[str], *, graph: bool, opinions: bool, baseline: bool,
    members: int,
) -> dict[str, Cost]:  # fmt: skip
    """Give what each stage after the training costs, in their order, from measurements of three encoders.

    Parameters
    ----------
    sizes : mapping
        Rows of train, tune, certify and test.
    layers : int
        Layers of the encoder.
    precisions : sequence of str
        What is tried.
    graph : bool
        Whether the engine runs a graph, which is written, and for int8 made by reading train texts.
    opinions, baseline : bool
        Whether other opinions are asked, and whether a baseline is fitted.
    members : int
        Number of models that are trained.
    """
    train, tune, certify, test = (sizes[part] for part in PARTS)
    known, tried = min(train, REFERENCES), tune + SPEED_RUNS * min(tune, SPEED_ROWS)
    opening, writing = (OPENING * layers, WRITING * layers) if graph else (PACKING * layers, 0.0)
    is_quantised = graph and "int8" in precisions
    as_int8 = (QUANTISING, QUANTISED_READS * min(train, QUANTISED_ROWS)) if is_quantised else (0.0, 0)
    again = Cost(opening + as_int8[0], tried + as_int8[1])
    costs = {"calibrating": Cost(PACKING * layers, tune)}
    for precision in precisions:
        costs[f"trying {precision}"] = again if precision == "int8" else Cost(opening, tried)
    costs[f"trying {precisions[0]}"] = Cost(opening + writing, tried)
    if opinions:
        costs["mixing the opinions"] = again
    for number in range(2, members + 1):
        costs[f"member {number}"] = replace(again, trainings=1)
    if baseline:
        costs["fitting the baseline"] = Cost(1 + COUNTING * train)
    costs["certifying"] = Cost(0.5, known + certify)
    costs["judging on test rows"] = Cost(1, test)
    return costs
