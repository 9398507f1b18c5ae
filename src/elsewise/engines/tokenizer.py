"""Texts to token ids, the same for every engine: cut at `max_length`, without padding, and without torch.

tokenizer = TextTokenizer.open(folder / "tokenizer.json", max_length=256, pad=0, special=(0, 100, 101, 102))
tokens = tokenizer(["a text", "a longer text"])    # ids one after the other, lengths, truncated
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import tokenizers
from numpy.typing import NDArray

from elsewise.engines.tokenizer_safety import check_steps
from elsewise.errors import InputError, reading
from elsewise.outputs import ReadSpan
from elsewise.storage.json_files import Json

CHARACTERS_A_TOKEN: Final = 64  # characters read for each token, so that a cell of 10 MB costs no more than a page
LAST_CHARACTERS, LAST_WORDS = 80, 6  # shown of where a text was cut
RIGHT, LEFT = "right", "left"
CHUNK: Final = 1024  # texts; their encodings take a hundred times the memory of their ids, and are thrown away


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """n texts as token ids.

    Attributes
    ----------
    ids : (sum of lengths,) int32
        Ids of all texts, one text after the other, special tokens included.
    lengths, truncated : (n,) int32, (n,) bool
        Tokens of each text (0 for a text with nothing to see), and whether the text was cut.
    """

    ids: NDArray[np.int32]
    lengths: NDArray[np.int32]
    truncated: NDArray[np.bool_]

    def __len__(self) -> int:
        """Count the texts."""
        return len(self.lengths)

    def __iter__(self) -> Iterator[NDArray[np.int32]]:
        """Yield the ids of each text."""
        return iter(np.split(self.ids, np.cumsum(self.lengths)[:-1])) if len(self) else iter(())

    @classmethod
    def of(cls, texts: Sequence[Sequence[int]], truncated: Sequence[bool] | None = None) -> Self:
        """Concatenate lists of ids.

        Examples
        --------
        >>> [text.tolist() for text in Tokens.of([[101, 7592, 102], []])]
        [[101, 7592, 102], []]
        """
        lengths = np.array([len(ids) for ids in texts], dtype=np.int32)
        ids = np.fromiter((i for ids in texts for i in ids), dtype=np.int32, count=int(lengths.sum()))
        return cls(ids, lengths, np.array(truncated or [False] * len(texts), dtype=bool))

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> "Tokens":
        """Select texts by their indices, shape (m,)."""
        at = np.asarray(rows, dtype=np.int64)  # a tuple would index dimensions
        starts, lengths = np.cumsum(self.lengths) - self.lengths, self.lengths[at]
        shifts = starts[at] - (np.cumsum(lengths) - lengths)
        ids = self.ids[np.repeat(shifts, lengths) + np.arange(lengths.sum())]
        return Tokens(ids, lengths, self.truncated[at])

    def hold_any_but(self, special: Sequence[int]) -> NDArray[np.bool_]:
        """Tell which texts hold a token outside `special`, shape (n,): the others have nothing to read."""
        row_of = np.repeat(np.arange(len(self)), self.lengths)
        return np.bincount(row_of[~np.isin(self.ids, special)], minlength=len(self)) > 0


@dataclass(frozen=True, slots=True, eq=False)
class TextTokenizer:
    """A tokenizer for engines: it truncates, and never pads.

    Attributes
    ----------
    backend : tokenizers.Tokenizer
        Cuts at `max_length`, pads nothing.
    max_length : int
        Tokens read of a text, special tokens included.
    pad : int
        The masked id that fills up a batch.
    special : tuple of int
        Ids that carry no text, with the unknown token's.
    padding_side : {"right", "left"}
        Where a batch is filled up: the side that the model ignores.
    """

    backend: Any
    max_length: int
    pad: int
    special: tuple[int, ...]
    padding_side: str = RIGHT

    def __post_init__(self) -> None:
        if self.padding_side not in (RIGHT, LEFT):
            raise InputError(f"padding_side must be {RIGHT!r} or {LEFT!r}, got {self.padding_side!r}")

    @classmethod
    def of(
        cls, description: str, *, max_length: int, pad: int, special: Sequence[int], padding_side: str = RIGHT
    ) -> Self:
        """Make a tokenizer from the text of a tokenizer.json, without its padding and truncation.

        InputError if it can make much of a short text, or pads on no side.
        """
        backend = tokenizers.Tokenizer.from_str(description)
        check_steps(backend)
        backend.no_padding()
        backend.enable_truncation(max_length)
        return cls(backend, max_length, pad, tuple(sorted(special)), padding_side)

    @classmethod
    def open(cls, file: Path, settings: Json) -> Self:
        """Open a tokenizer.json with its `settings`; ArtifactError if it cannot be read."""
        wanted = {name: settings[name] for name in ("max_length", "pad", "special")}
        wanted |= {name: settings[name] for name in ("padding_side",) if name in settings}
        with reading(file):
            return cls.of(file.read_text(encoding="utf-8"), **wanted)

    @property
    def settings(self) -> Json:
        """What `open` needs besides the file (JSON)."""
        made: Json = {"max_length": self.max_length, "pad": self.pad, "special": list(self.special)}
        return made if self.padding_side == RIGHT else {**made, "padding_side": self.padding_side}

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """Tokenise n texts; lone surrogates become U+FFFD."""
        chunks = [self._chunk(texts[start : start + CHUNK]) for start in range(0, max(len(texts), 1), CHUNK)]
        columns = ([getattr(chunk, name) for chunk in chunks] for name in ("ids", "lengths", "truncated"))
        return Tokens(*map(np.concatenate, columns))

    def read_span(self, text: str) -> ReadSpan:
        """Tell how much of a text is read, and which pieces of it are not in the vocabulary."""
        tokens, shown = self([text]), readable(text)
        if not tokens.lengths[0]:
            return ReadSpan(0, (), bool(tokens.truncated[0]), len(shown), 0)
        encoded = self.backend.encode(readable(text[: CHARACTERS_A_TOKEN * self.max_length]))
        unknown = unknown_ids(self.backend)
        missing = (shown[slice(*at)] for i, at in zip(encoded.ids, encoded.offsets, strict=True) if i in unknown)
        if not tokens.truncated[0]:
            return ReadSpan(int(tokens.lengths[0]), tuple(missing), False, len(shown), len(shown))  # noqa: FBT003
        end = max(end for _, end in encoded.offsets)
        last = " ".join(shown[max(0, end - LAST_CHARACTERS) : end].split()[-LAST_WORDS:])
        return ReadSpan(int(tokens.lengths[0]), tuple(missing), True, len(shown), end, last)  # noqa: FBT003

    def _chunk(self, texts: Sequence[str]) -> Tokens:
        limit = CHARACTERS_A_TOKEN * self.max_length
        read = [text[:limit] for text in texts]
        encoded = self.backend.encode_batch_fast([readable(text) for text in read])
        ids = [e.ids if is_visible(text) else [] for text, e in zip(read, encoded, strict=True)]
        is_cut = [len(text) > limit or bool(e.overflowing) for text, e in zip(texts, encoded, strict=True)]
        return Tokens.of(ids, is_cut)


def unknown_ids(backend: Any) -> set[int]:
    """Give the ids that a tokenizer uses for pieces outside its vocabulary."""
    return {backend.token_to_id(token) for token in ("[UNK]", "<unk>")} - {None}


def is_visible(text: str) -> bool:
    r"""Tell whether a text contains anything visible.

    Examples
    --------
    >>> is_visible(" ?"), is_visible(" \u200b\0")
    (True, False)
    """
    return any(c.isprintable() and not c.isspace() for c in text)


def readable(text: str) -> str:
    """Replace lone surrogates by U+FFFD: no tokenizer takes them, and nothing prints them."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
