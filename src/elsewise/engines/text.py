"""The engine of a text model: a tokenizer, a model that a library runs, and the files of both."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import as_texts
from elsewise.engines.batching import Batch, Result, Rows, run_batched, run_windows
from elsewise.engines.canaries import CANARIES
from elsewise.engines.files import TOKENIZER, ModelFiles, Opening
from elsewise.engines.one_process import OneProcess
from elsewise.engines.short_batches import FEW, ShortBatches
from elsewise.engines.tokenizer import TextTokenizer, Tokens
from elsewise.errors import ArtifactError, InputError
from elsewise.outputs import Outputs
from elsewise.storage.json_files import Json

SETTINGS: Final = ("device", "max_length", "pad", "padding_side", "precision", "special")  # of an engine of this kind


class Model(Protocol):
    """A model that a library runs: token batches in, logits and features out."""

    @property
    def settings(self) -> Json:
        """The settings to open the model with again, with its precision."""

    @property
    def widths(self) -> tuple[int, int]:
        """Columns of logits and of features."""

    @property
    def budget(self) -> int:
        """Tokens in a batch."""

    @property
    def short(self) -> ShortBatches | None:
        """What is known of batches with fewer rows; None where each has all its rows."""

    def forward(self, batches: Iterable[Batch]) -> Iterator[Result]:
        """Run batches, in order; the rows of a batch never depend on the batches before it."""


class FlatModel(Protocol):
    """A model that takes texts of any lengths as they are, without batches of one shape."""

    @property
    def settings(self) -> Json:
        """The settings to open the model with again, with its precision."""

    @property
    def widths(self) -> tuple[int, int]:
        """Columns of logits and of features."""

    def answers(self, ids: Sequence[NDArray[np.int32]], wanted: Rows) -> Iterator[tuple[Rows, Result]]:
        """Yield every wanted row of the texts once, with its logits and features; no text changes another's."""


@dataclass(frozen=True, slots=True, eq=False)
class TextEngine(OneProcess):
    """Turns texts into outputs, bit-identical for a text whatever its neighbours.

    Attributes
    ----------
    name : str
        The engine's name in the table ENGINES.
    model, tokenizer : Model or FlatModel, TextTokenizer
        The model that runs, and the tokenizer for it.
    labels : tuple of str
        In the order of logits.
    files : ModelFiles
        All files of the model, those of other engines too.
    graph : tuple of str
        Names of the files that `model` was opened from.
    """

    name: str
    model: Any = field(repr=False)
    tokenizer: TextTokenizer = field(repr=False)
    labels: tuple[str, ...] = field(repr=False)
    files: ModelFiles = field(repr=False)
    graph: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.model.widths[0] != len(self.labels):
            where = self.files.path / self.graph[0]
            raise ArtifactError(f"{where} gives {self.model.widths[0]} logits, and there are {len(self.labels)} labels")

    @property
    def _is_flat(self) -> bool:
        """Whether `model` is a FlatModel: to look up a protocol takes long."""
        return hasattr(self.model, "answers")

    @property
    def settings(self) -> Json:
        """What `open` needs besides the files (JSON)."""
        return {**self.model.settings, **self.tokenizer.settings}

    @property
    def fingerprint(self) -> str:
        """Hash of the files and settings that the answers depend on; a certificate belongs to one fingerprint."""
        return text_fingerprint(self.name, Opening(self.files, self.labels, self.settings), *self.graph)

    @property
    def canaries(self) -> Sequence[str]:
        """Fixed texts of many scripts and lengths."""
        return CANARIES

    @property
    def size(self) -> int:
        """Bytes of the files that the engine runs from."""
        return sum((self.files.path / name).stat().st_size for name in self.graph)

    def save(self, folder: Path) -> None:
        """Copy the files of the model into an existing folder."""
        self.files.copy_to(folder)

    def with_files(self, files: ModelFiles) -> Self:
        """Give the same engine with more files to save."""
        return replace(self, files=files)

    def prepare(self, texts: Sequence[str]) -> Tokens:
        """Tokenise n texts, for `run`."""
        return self.tokenizer(as_texts(texts))

    def run(self, texts: Sequence[str] | Tokens) -> Outputs:
        """Return logits (n, k) and features (n, d), float32; a row of NaN for a text with nothing to read."""
        given = texts if isinstance(texts, Tokens) else as_texts(texts)
        model = self.model
        if self._is_flat:
            return run_windows(given, self.tokenizer, model.answers, model.widths)
        fewer = partial(model.short.rows, forward=model.forward) if model.short and len(given) <= FEW else None
        return run_batched(given, self.tokenizer, model.forward, model.widths, model.budget, fewer=fewer)

    def quick_run(self, tokens: Tokens) -> Outputs:
        """Return outputs as `run` does, in few shapes, since a new shape costs time; the last digits may differ."""
        if self._is_flat:  # no shape is new to it
            return self.run(tokens)
        return run_batched(tokens, self.tokenizer, self.model.forward, self.model.widths, exact=0)


def text_fingerprint(name: str, opening: Opening, *graph: str) -> str:
    """Compute the fingerprint of the engine `name` from its settings and the hashes of files: none is opened."""
    for file in (TOKENIZER, *graph):
        opening.files.need(file)
    settings = sorted((key, value) for key, value in opening.settings.items() if key in SETTINGS)
    return opening.files.fingerprint(TOKENIZER, *graph, of=(name, settings, opening.labels))


def check_precision(precision: str, engine: str, able: Sequence[str]) -> None:
    """Raise InputError if an engine cannot compute in this precision on this machine."""
    if precision not in able:
        raise InputError(f"engine {engine} does not compute in {precision} on this machine, but in {', '.join(able)}")
