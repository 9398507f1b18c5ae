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
from elsewise.engines.files import DESCRIPTION, TOKENIZER, ModelFiles, Opening
from elsewise.engines.one_process import OneProcess
from elsewise.engines.short_batches import FEW, ShortBatches
from elsewise.engines.tokenizer import TextTokenizer, Tokens
from elsewise.engines.windows import KEY, Windows, read_in_windows
from elsewise.errors import ArtifactError, InputError, reading
from elsewise.outputs import Outputs
from elsewise.storage.json_files import Json

SETTINGS: Final = ("device", "max_length", "pad", "padding_side", "precision", "special", KEY)  # of such an engine


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
    windows : Windows, optional
        How texts are read that are longer than the model reads. Default: they are cut.
    """

    name: str
    model: Any = field(repr=False)
    tokenizer: TextTokenizer = field(repr=False)
    labels: tuple[str, ...] = field(repr=False)
    files: ModelFiles = field(repr=False)
    graph: tuple[str, ...]
    windows: Windows | None = None

    @classmethod
    def of(cls, opening: Opening, name: str, model: Any, tokenizer: TextTokenizer, graph: tuple[str, ...]) -> Self:
        """Put what was opened together; ArtifactError for windows that cannot be read."""
        with reading(opening.files.path / DESCRIPTION, "holds windows that cannot be read"):
            windows = Windows.read(opening.settings)
        return cls(name, model, tokenizer, opening.labels, opening.files, graph, windows)

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
        windows = {} if self.windows is None else self.windows.settings
        return {**self.model.settings, **self.tokenizer.settings, **windows}

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
        if self.windows is None:
            return self._run(given, self.tokenizer)
        tokens = given if isinstance(given, Tokens) else self.prepare(given)
        return read_in_windows(self.windows, partial(self._run, tokenizer=self._of_a_window), tokens)

    def _run(self, given: Sequence[str] | Tokens, tokenizer: TextTokenizer) -> Outputs:
        model = self.model
        if self._is_flat:
            return run_windows(given, tokenizer, model.answers, model.widths)
        fewer = partial(model.short.rows, forward=model.forward) if model.short and len(given) <= FEW else None
        return run_batched(given, tokenizer, model.forward, model.widths, model.budget, fewer=fewer)

    @property
    def at_once(self) -> int:
        """Tokens that the model reads at once, of a longer text."""
        return self.tokenizer.max_length if self.windows is None else self.windows.size

    @property
    def _of_a_window(self) -> TextTokenizer:
        """The tokenizer as batches need it."""
        return replace(self.tokenizer, max_length=self.at_once)

    def quick_run(self, tokens: Tokens) -> Outputs:
        """Return outputs as `run` does, in few shapes, since a new shape costs time; the last digits may differ."""
        if self._is_flat:  # no shape is new to it
            return self.run(tokens)
        model, tokenizer = self.model, self._of_a_window

        def run(some: Tokens) -> Outputs:
            return run_batched(some, tokenizer, model.forward, model.widths, exact=0)

        return read_in_windows(self.windows, run, tokens)


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
