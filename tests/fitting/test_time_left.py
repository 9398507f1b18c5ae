"""How long a fit takes: told before the training, and right within a factor of 1.5 however busy the machine becomes."""

import pytest

from elsewise.fitting.time_left import Cost, TimeLeft, costs_of
from elsewise.progress import Bar
from elsewise.training.pace import Pace

SIZES = {"train": 600, "tune": 100, "certify": 150, "test": 150}
COSTS = {"calibrating": Cost(2.0), "trying int8": Cost(10.0, rows=1000), "certifying": Cost(1.0, rows=500)}
SECONDS = {"calibrating": 2.0, "trying int8": 20.0, "certifying": 6.0}  # at the pace below


def pace(steps=100, step=1.0, slowness=1.0):
    return Pace(step, steps, 0.01, slowness, f"training takes about {steps * step:g} seconds: 2 epochs of {steps // 2}")


class Machine:
    """A clock, and work that takes longer when the machine is busy."""

    def __init__(self):
        self.now, self.busy, self.said, self.totals = 0.0, 1.0, [], []
        self.left = TimeLeft(None, self.said.append, clock=lambda: self.now)

    def work(self, seconds):
        self.now += seconds * self.busy

    def train(self, steps, *, of=100, first=0, busy_from=None, times=3.0):
        for step in range(first, first + steps):
            if step == busy_from:
                self.busy *= times
            self.work(1.0)
            self.left("training, after epoch 1", step + 1, of)
            self.keep()

    def stages(self, seconds=SECONDS):
        for stage, its in seconds.items():
            self.left(stage, 0, 0)
            self.keep()
            self.work(its)
        return self.now

    def keep(self):
        self.totals.append((self.now, self.now + self.left.left(self.left.pace)))


def begun(costs=COSTS, **how):
    machine = Machine()
    machine.left.expect(costs)
    machine.left("measuring the speed", 0, 0)
    machine.work(2.0)
    machine.left.plan(pace(**how))
    return machine


def test_on_an_idle_machine_the_first_word_is_right_and_nothing_is_taken_back():
    machine = begun()
    machine.train(100)
    ended = machine.stages()

    assert ended == pytest.approx(130)
    assert machine.said == ["fit takes about 2 minutes in all, its training 100 seconds: 2 epochs of 50"]
    assert all(total == pytest.approx(ended) for _, total in machine.totals)


@pytest.mark.parametrize("busy_from", [0, 20, 60])
def test_on_a_machine_that_becomes_busy_it_is_corrected(busy_from):
    """From the moment that a tenth of the training has gone at the new speed it is right within a factor of 1.5."""
    machine = begun()
    machine.train(100, busy_from=busy_from)
    ended = machine.stages()

    slow = 2 + busy_from + 3 * 30
    assert all(ended / 1.5 < total < ended * 1.5 for now, total in machine.totals if now > slow)
    assert machine.said[1].startswith("fit takes about ")
    assert machine.said[1].split(": ")[0].endswith("in all, and not 2 minutes")


def test_what_a_bar_shows_is_not_said_too():
    machine = Machine()
    machine.left = TimeLeft(Bar("loading the libraries"), machine.said.append, clock=lambda: machine.now)
    machine.left.plan(pace())
    machine.train(100, busy_from=20)

    assert machine.said == ["fit takes about 2 minutes in all, its training 100 seconds: 2 epochs of 50"]


def test_a_stage_that_takes_longer_corrects_those_to_come():
    machine = begun()
    machine.train(100)
    machine.stages({"calibrating": 6.0})
    machine.left("trying int8", 0, 0)

    assert machine.left.factor == pytest.approx(2.0)  # half way to three times
    assert machine.left.left(machine.left.pace) == pytest.approx(2 * (20 + 6))


def test_a_training_that_stops_early_and_a_stage_that_is_left_out_take_no_more_time():
    machine = begun()
    machine.train(40)
    machine.left("certifying", 0, 0)

    assert machine.left.left(machine.left.pace) == pytest.approx(6.0)


def test_a_training_that_continues_counts_the_steps_that_are_left():
    machine = begun(steps=30)
    machine.train(15, first=70)

    assert machine.left.left(machine.left.pace) == pytest.approx(15 + 28)


def test_without_a_training_nothing_is_told():
    machine = Machine()
    machine.left("teaching", 0, 0)
    machine.left("certifying", 0, 0)

    assert machine.said == []


def test_a_bar_shows_the_share_of_all_of_it():
    bar, now = Bar("loading the libraries"), [0.0]
    left = TimeLeft(bar, None, clock=lambda: now[0])
    left.expect(COSTS)
    left.plan(pace())
    now[0] = 50.0
    left("training", 50, 100)

    assert bar.end == pytest.approx(bar.began + 50 + 28, abs=1.0)


def test_costs_are_those_of_the_stages_that_come():
    few = costs_of(SIZES, 6, ("f32",), graph=False, opinions=False, baseline=False, members=1)
    many = costs_of(SIZES, 6, ("f32", "bf16", "int8"), graph=True, opinions=True, baseline=True, members=2)

    assert list(few) == ["calibrating", "trying f32", "certifying", "judging on test rows"]
    assert list(many) == [
        "calibrating",
        "trying f32",
        "trying bf16",
        "trying int8",
        "mixing the opinions",
        "member 2",
        "fitting the baseline",
        "certifying",
        "judging on test rows",
    ]
    assert many["member 2"].at(pace()) > 100
    assert many["trying int8"].at(pace()) > many["trying bf16"].at(pace()) > few["trying f32"].at(pace())
    assert many["trying f32"].at(pace()) > many["trying bf16"].at(pace())  # the graph is written there
    assert many["trying int8"].at(pace(slowness=2.0)) > many["trying int8"].at(pace())
