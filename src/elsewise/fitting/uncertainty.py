"""Add an uncertainty method to the engine: an ensemble, MC dropout or last-layer Laplace; default: none.

The new engine is made on train rows, compared and calibrated again on tune rows, and only then certified.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from elsewise.data.splits import DividedTexts, LabelledTexts
from elsewise.engines import SizedEngine, engine_class
from elsewise.engines.files import ModelFiles
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import InputError, warn_caller
from elsewise.fitting.engine_choice import Rows, Serving, fitted_calibrator, gate_rows, measure, opened_like
from elsewise.progress import Note, Progress
from elsewise.storage.json_files import Json
from elsewise.training.checkpoint_folder import Unfinished, member_of

if TYPE_CHECKING:
    from elsewise.training.settings import Training

FEWEST: Final = 2  # members, or passes

Table = tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class UncertaintyMethod:
    """Which uncertainty method to add: ensemble, MC dropout, Laplace or none.

    Attributes
    ----------
    ensemble : int or None
        Number of members, trained from different seeds.
    mc_dropout : int or None
        Number of passes of one model, with dropout on.
    laplace : bool
        Last-layer Laplace: the uncertainty about the weights of the last layer.

    Raises
    ------
    InputError
        If two methods are chosen, or a number is below two.
    """

    ensemble: int | None = None
    mc_dropout: int | None = None
    laplace: bool = False

    def __post_init__(self) -> None:
        if len(asked := self.record) > 1:
            given = " and ".join(f"{name}=" for name in asked)
            raise InputError(f"choose one of ensemble=, mc_dropout= and laplace=, got {given}")
        for name, number in asked.items():
            if number is not True and number < FEWEST:
                raise InputError(f"{name} must be at least {FEWEST}, got {number}")

    @property
    def record(self) -> Json:
        """The chosen method by name, with its number (JSON); empty for none."""
        asked = {"ensemble": self.ensemble, "mc_dropout": self.mc_dropout, "laplace": self.laplace or None}
        return {name: value for name, value in asked.items() if value is not None}

    def inside(self, engine: str) -> str:
        """Name the engine that the method runs on; InputError for MC dropout on an engine other than torch."""
        if self.mc_dropout is None:
            return engine
        if engine not in ("auto", "torch"):
            raise InputError(f"mc_dropout= runs on engine torch, got {engine!r}; laplace= takes any engine")
        return "torch"

    def added_to(
        self, best: Serving, table: Table, rows: Rows, train: Tokens, member: Callable[[int], ModelFiles]
    ) -> tuple[Serving, Table]:
        """Add the method to an engine, calibrate again on tune rows, and compare with the engine alone.

        Parameters
        ----------
        best, table : Serving, table of the gate
            The chosen engine, and the table that gets one more row.
        rows, train : Rows, Tokens
            Rows to compare and calibrate on, and all train rows.
        member : callable
            Trains one more member: number (1, 2, ...) -> its files.

        Warns
        -----
        ElsewiseWarning
            If it answers worse than the engine alone, by the margins of the gate.
        """
        if not self.record:
            return best, table
        made = measure(self._engine(best.engine, rows, train, member), rows.tune, rows.codes, best)
        if made.measured.accuracy is not None and not made.measured.passed:
            warn_caller(
                f"{made.measured.engine} answers worse on tune rows than {best.measured.engine} inside it does. "
                "Its certificate holds, and the engine inside answers better (see the table of the gate)"
            )
        return made, (*table, *gate_rows([made]))

    def _engine(
        self, engine: SizedEngine, rows: Rows, train: Tokens, member: Callable[[int], ModelFiles]
    ) -> SizedEngine:
        (name,) = self.record
        kind: Any = engine_class(name)
        if self.laplace:
            return kind.fit(engine, train, rows.tune, rows.codes)
        if self.mc_dropout is not None:
            return kind(engine, passes=self.mc_dropout)
        others = [opened_like(engine, member(number), rows.train) for number in range(1, self.ensemble or 0)]
        return kind((engine, *others))


def train_member(
    divided: DividedTexts, rows: Rows, how: "Training",
    progress: Progress | None = None, unfinished: Unfinished | None = None, note: Note | None = None,
) -> Callable[[int], ModelFiles]:  # fmt: skip
    """Give the function that trains one more member on the same rows, from seed `how.seed` plus its number.

    Each member has its own temperature folded in: members then disagree about texts, and not in overconfidence.
    """
    from elsewise.training.encoder import prepare  # noqa: PLC0415  torch
    from elsewise.training.fine_tune import train  # noqa: PLC0415  torch

    def member(number: int) -> ModelFiles:
        its_own = replace(how, seed=how.seed + number)
        learner = prepare(divided.names, its_own)
        model = train(
            learner, divided.parts.train, in_scope(divided.parts.tune), its_own, _numbered(progress, number + 1),
            checkpoints=member_of(unfinished, number),
            note=note and (lambda words: note(f"member {number + 1}: {words}")),
        )  # fmt: skip
        calibrator = fitted_calibrator(learner.outputs(model, rows.tune), rows.codes)
        return learner.write(model.folded(calibrator), divided.names)

    return member


def in_scope(part: LabelledTexts) -> LabelledTexts:
    """Leave out the out-of-scope rows of a part."""
    return part.take(np.flatnonzero(part.codes >= 0))


def _numbered(progress: Progress | None, number: int) -> Progress | None:
    if progress is None:
        return None
    return lambda words, done, total: progress(f"member {number}, {words}", done, total)
