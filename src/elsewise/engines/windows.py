"""Texts longer than a model reads at once: read in windows that overlap, whose answers are joined.

All windows of a text have the length that the model reads, lie evenly, and share at least a quarter with the next. Each
begins and ends with the special tokens of the text. The first window is what a model reads that cuts the text.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Floats, log_softmax
from elsewise.engines.tokenizer import TextTokenizer, Tokens
from elsewise.errors import InputError
from elsewise.outputs import Outputs
from elsewise.progress import sharing
from elsewise.storage.json_files import Json

KEY: Final = "windows"  # in an engine's settings
MEAN, SUREST = "mean", "surest"
JOINS: Final = (MEAN, SUREST)
SHARED: Final = 4  # one in so many tokens, at least, is also in the next window

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Windows:
    """How long texts are read.

    Attributes
    ----------
    size : int
        Tokens of a window, special tokens included.
    before, after : int
        Special tokens that every text begins and ends with.
    join : {"mean", "surest"}
        The logits and features of a text: the mean of its windows, or those of the window with the largest probability.
        With either, the features still give the logits.
    """

    size: int
    before: int
    after: int
    join: str = MEAN

    def __post_init__(self) -> None:
        numbers = (self.size, self.before, self.after)
        if not all(type(number) is int and number >= 0 for number in numbers) or self._room < SHARED:
            raise ValueError(f"windows of {self.size!r} tokens around {self.before!r} and {self.after!r} special ones")
        if self.join not in JOINS:
            raise ValueError(f"windows are joined by {' or '.join(JOINS)}, not by {self.join!r:.40}")

    @classmethod
    def of(cls, tokenizer: TextTokenizer) -> Self:
        """Make windows of the tokens that a tokenizer cuts texts at; InputError where they leave no room."""
        special = tokenizer.backend.encode("a").special_tokens_mask
        before = next((at for at, is_special in enumerate(special) if not is_special), len(special))
        after = next((at for at, is_special in enumerate(reversed(special)) if not is_special), 0)
        try:
            return cls(tokenizer.max_length, before, after)
        except ValueError as error:
            raise InputError(f"{error}; set max_length higher") from error

    @classmethod
    def read(cls, settings: Json) -> Self | None:
        """Make the windows in the settings of an engine; None without any. Raises what unusable ones raise."""
        return cls(**settings[KEY]) if KEY in settings else None

    @property
    def settings(self) -> Json:
        """What `read` needs (JSON)."""
        return {KEY: asdict(self)}

    @property
    def _room(self) -> int:
        return self.size - self.before - self.after

    def tokens(self, most: int) -> int:
        """Count the tokens of the longest text that so many windows cover.

        Examples
        --------
        >>> Windows(256, 1, 1).tokens(1), Windows(256, 1, 1).tokens(4)
        (256, 829)
        """
        shared = self._room // SHARED
        return self.before + self.after + shared + most * (self._room - shared)

    def starts(self, length: int) -> list[int]:
        """Give the places where the windows of a text of `length` tokens begin, after its special tokens.

        Examples
        --------
        >>> windows = Windows(10, 1, 1)
        >>> windows.starts(10), windows.starts(11), windows.starts(25)
        ([0], [0, 1], [0, 5, 10, 15])
        """
        content, shared = length - self.before - self.after, self._room // SHARED
        if content <= self._room:
            return [0]
        count = -(-(content - shared) // (self._room - shared))
        return [round(place) for place in np.linspace(0, content - self._room, count)]

    def cut(self, tokens: Tokens) -> tuple[Tokens, Rows]:
        """Cut n texts into m windows, a text after the other; also give the text (m,) that each is of."""
        windows, owners = [], []
        for row, ids in enumerate(tokens):
            ends = ids[: self.before], ids[len(ids) - self.after :]
            for start in self.starts(len(ids)):
                inside = ids[self.before + start : self.before + start + self._room]
                windows.append(ids if len(ids) <= self.size else np.concatenate([ends[0], inside, ends[1]]))
                owners.append(row)
        lengths = np.array([len(ids) for ids in windows], dtype=np.int32)
        flat = np.concatenate([*windows, np.empty(0, dtype=np.int32)])
        owner = np.array(owners, dtype=np.int64)
        return Tokens(flat, lengths, tokens.truncated[owner]), owner

    def joined(self, outputs: Outputs, owner: Rows, tokens: Tokens) -> Outputs:
        """Join the outputs of m windows, each of the text `owner` (m,), to those of n texts.

        A window with nothing to read does not count; a text of such windows has a row of NaN.
        """
        read = np.flatnonzero(np.isfinite(outputs.logits).all(axis=1))
        if self.join == SUREST:
            sure = log_softmax(outputs.logits[read]).max(axis=1)
            read = read[np.lexsort((-sure, owner[read]))]
            read = read[np.unique(owner[read], return_index=True)[1]]
        texts, starts, counts = np.unique(owner[read], return_index=True, return_counts=True)

        def mean(values: Floats) -> Floats:
            made = np.full((len(tokens), values.shape[1]), np.nan, dtype=values.dtype)
            made[texts] = np.add.reduceat(values[read], starts, axis=0) / counts[:, None].astype(values.dtype)
            return made

        return Outputs(
            mean(outputs.logits),
            None if outputs.features is None else mean(outputs.features),
            tokens.lengths.astype(np.int64),
            tokens.truncated,
        )


def read_in_windows(windows: Windows | None, run: Callable[[Tokens], Outputs], tokens: Tokens) -> Outputs:
    """Run a model that takes n texts of at most `windows.size` tokens on texts of any length; a row counts once."""
    if windows is None:
        return run(tokens)
    parts, owner = windows.cut(tokens)
    with sharing(max(len(parts), 1) / max(len(tokens), 1)):
        return windows.joined(run(parts), owner, tokens)
