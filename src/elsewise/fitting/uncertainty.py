"""Fit an engine around the one that serves: an ensemble, MC dropout or last-layer Laplace. Off unless asked for.

It is made of train rows, compared and re-calibrated on tune rows, and only then certified, like any other engine.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from elsewise.data.splits import LabelledTexts
from elsewise.engines import SizedEngine, engine_class
from elsewise.engines.files import ModelFiles, Opening
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import ElsewiseWarning, InputError
from elsewise.fitting.engine_choice import Rows, Serving, fitted_calibrator, gate_rows, measure, quantised
from elsewise.progress import Note, Progress
from elsewise.storage.json_files import Json
from elsewise.training.checkpoint_folder import Unfinished, member_of

if TYPE_CHECKING:
    from elsewise.training.settings import Training

FEWEST: Final = 2  # members, or passes

Table = tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class Around:
    """Which engine stands around the one that serves, if any.

    Attributes
    ----------
    ensemble : int or None
        So many members, trained from different seeds.
    mc_dropout : int or None
        So many thinned networks of one model.
    laplace : bool
        What the train texts leave open about the last layer.

    Raises
    ------
    InputError
        If more than one is asked for, or of less than two.
    """

    ensemble: int | None = None
    mc_dropout: int | None = None
    laplace: bool = False

    def __post_init__(self) -> None:
        if len(asked := self.record) > 1:
            raise InputError(f"choose one of ensemble, mc_dropout and laplace, got {' and '.join(asked)}")
        for name, number in asked.items():
            if number is not True and number < FEWEST:
                raise InputError(f"{name} must be at least {FEWEST}, got {number}")

    @property
    def record(self) -> dict[str, Any]:
        """What was asked for, by name (JSON)."""
        asked = {"ensemble": self.ensemble, "mc_dropout": self.mc_dropout, "laplace": self.laplace or None}
        return {name: value for name, value in asked.items() if value is not None}

    def inside(self, engine: str) -> str:
        """Name the engine inside, where this one needs a certain one.

        Raises
        ------
        InputError
            If MC dropout is asked for on another engine than torch.
        """
        if self.mc_dropout is None:
            return engine
        if engine not in ("auto", "torch"):
            raise InputError(f"mc_dropout runs on engine torch, got {engine!r}; laplace takes any engine")
        return "torch"

    def serving(
        self, best: Serving, table: Table, rows: Rows, train: Tokens, member: Callable[[int], ModelFiles]
    ) -> tuple[Serving, Table]:
        """Stand around what serves: re-calibrated on tune rows, and compared there with what is inside.

        Parameters
        ----------
        best : Serving
            The engine inside, chosen.
        table : table of the gate
            One more row is added.
        rows : Rows
            To compare and to calibrate on.
        train : Tokens
            Of all train rows.
        member : callable
            Trains one more member: number (1, 2, ...) -> its files.

        Warns
        -----
        ElsewiseWarning
            If it answers worse than what is inside, by the margins of the gate.
        """
        if not self.record:
            return best, table
        made = measure(self._engine(best.engine, rows, train, member), rows.tune, rows.codes, best)
        if made.measured.accuracy is not None and not made.measured.passed:
            warnings.warn(
                f"{made.measured.engine} answers worse on tune rows than {best.measured.engine} inside it does (see "
                "the table of the gate): its certificate holds, and the engine inside answers better",
                ElsewiseWarning,
                stacklevel=3,
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
        others = [_opened_like(engine, member(number), rows.train) for number in range(1, self.ensemble or 0)]
        return kind((engine, *others))


def _opened_like(engine: SizedEngine, files: ModelFiles, train: Tokens) -> SizedEngine:
    """Open another model's files as `engine` was, quantised where it is."""
    its_files = quantised(files, train) if engine.settings["precision"] == "int8" else files
    return engine_class(engine.name).open(Opening(its_files, engine.labels, engine.settings))  # type: ignore[return-value]


def train_member(
    labels: tuple[str, ...], train_rows: LabelledTexts, in_scope: LabelledTexts, rows: Rows, how: "Training",
    progress: Progress | None = None, unfinished: Unfinished | None = None, note: Note | None = None,
) -> Callable[[int], ModelFiles]:  # fmt: skip
    """Give the function that trains one more model: the same rows, the seed `how.seed` plus its number.

    Each has its own temperature folded in, so that what members disagree by is not how sure training left them.
    """
    from elsewise.training.encoder import prepare  # noqa: PLC0415  torch
    from elsewise.training.fine_tune import train  # noqa: PLC0415  torch
    from elsewise.training.onnx_graph import write_model  # noqa: PLC0415  torch

    def member(number: int) -> ModelFiles:
        its_own = replace(how, seed=how.seed + number)
        learner = prepare(labels, its_own)
        model = train(
            learner, train_rows, in_scope, its_own, _numbered(progress, number + 1),
            checkpoints=member_of(unfinished, number),
            note=note and (lambda words: note(f"member {number + 1}: {words}")),
        )  # fmt: skip
        calibrator = fitted_calibrator(learner.outputs(model, rows.tune), rows.codes)
        return write_model(model.folded(calibrator), learner, labels)

    return member


def _numbered(progress: Progress | None, number: int) -> Progress | None:
    if progress is None:
        return None
    return lambda words, done, total: progress(f"member {number}, {words}", done, total)
