"""A second opinion beside a fine-tuned engine: the encoder as it came, with a head of its own.

Fine-tuning forgets what an encoder knew of texts in general. So the same texts are read once more by the encoder as it
was before: its embedding tells texts that are unlike the training texts, and its probabilities are mixed with those of
the fine-tuned model (`elsewise.engines.pool`). It is asked only where it matters, where the fine-tuned model is unsure
or raises few logits. The mixture is one engine, calibrated and certified as a whole.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.engines import token_counts
from elsewise.engines.files import ModelFiles, Opening
from elsewise.engines.pool import Pool, Pooled, pooled_fingerprint, readable, taken
from elsewise.engines.tokenizer import Tokens
from elsewise.outputs import Outputs
from elsewise.progress import sharing
from elsewise.storage.json_files import Json

HOME: Final = "second-opinion"  # folder of the encoder as it came, inside the model folder
KEY: Final = "second_opinion"  # its settings, among those of the fine-tuned engine
ASKED: Final = 0.2  # the second is asked where the first is in its lowest share of tune rows, by energy or confidence


@dataclass(frozen=True, slots=True, eq=False)
class SecondOpinion(Pooled):
    """Runs the fine-tuned engine, and where it matters the encoder as it came.

    Its name and precision are those of the engines inside. Features, tokens and `truncated` are the first's; the
    outputs have the second's `embedding`, NaN where it was not asked.

    Attributes
    ----------
    other : engine of text
        The encoder as it came with a head of its own, with the same tokenizer.
    """

    other: Any

    @staticmethod
    def fingerprint_of(kind: Any, opening: Opening) -> str:
        """Compute the fingerprint before a library reads any file; `kind` is the class of the engines inside."""
        pool, first, second = _parts(opening)
        inside = token_counts.fingerprint_of(kind, first), kind.fingerprint_of(second)
        return pooled_fingerprint(KEY, pool, *inside)

    @classmethod
    def open(cls, kind: Any, opening: Opening) -> Self:
        """Open both models with an engine's class; raises as that engine, and ArtifactError for unusable settings."""
        pool, first, second = _parts(opening)
        return cls(token_counts.open_engine(kind, first), pool, kind.open(second))

    @property
    def settings(self) -> Json:
        """What `open` needs besides the files (JSON)."""
        return {**self.engine.settings, KEY: self.pool.settings}

    @property
    def fingerprint(self) -> str:
        """Hash of both fingerprints, and of how they are mixed."""
        return pooled_fingerprint(KEY, self.pool, self.engine.fingerprint, self.other.fingerprint)

    @property
    def files(self) -> ModelFiles:
        """All files: those of the second under its folder."""
        files: ModelFiles = self.engine.files
        below = {f"{HOME}/{name}": digest for name, digest in self.other.files.digests.items()}
        return replace(files, digests={**files.digests, **below})

    @property
    def size(self) -> int:
        """Bytes of the files that both run from."""
        return int(self.engine.size + self.other.size)

    def save(self, folder: Path) -> None:
        """Copy the files of both into an existing folder."""
        self.engine.save(folder)
        (folder / HOME).mkdir(exist_ok=True)
        self.other.save(folder / HOME)

    def with_files(self, files: ModelFiles) -> Self:
        """Give the same engine with more files to save."""
        engine, other = self.engine.with_files(files.beside(HOME)), self.other.with_files(files.below(HOME))
        return replace(self, engine=engine, other=other)

    def run(self, texts: Sequence[str] | Tokens) -> Outputs:
        """Return mixed logits (n, k), the first's features (n, d), and the second's embedding (n, e)."""
        tokens = texts if isinstance(texts, Tokens) else self.prepare(texts)
        first = self.engine.run(tokens)
        rows = readable(first)
        asked = rows[self.pool.asks(first.logits[rows])]
        with sharing(math.inf):  # these rows were counted
            second = self.other.run(tokens.take(asked))
        return self._mixed(first, asked, second)

    def quick_run(self, tokens: Tokens) -> Outputs:
        """Ask both about every text, faster on a fresh start; the last digits may differ.

        Canary texts go this way: last digits never decide whether the second is asked, and so jump to another answer.
        """
        first = self.engine.quick_run(tokens)
        asked = readable(first)
        return self._mixed(first, asked, self.other.quick_run(tokens.take(asked)))

    def _mixed(self, first: Outputs, asked: NDArray[np.int64], second: Outputs) -> Outputs:
        """Mix the first's outputs of n texts with the second's of the texts `asked` (m,).

        A text that the second gives no number for has none.
        """
        logits = first.logits.copy()
        embedding = np.full((len(logits), self.other.model.widths[1]), np.nan, np.float32)
        unasked, heard = np.setdiff1d(readable(first), asked), readable(second)
        logits[unasked], logits[asked] = self.pool.mixed(first.logits[unasked]), np.nan
        logits[asked[heard]] = self.pool.mixed(first.logits[asked[heard]], second.logits[heard])
        embedding[asked] = second.features
        alone = first.logits if first.alone is None else first.alone
        return replace(first, logits=logits, embedding=embedding, alone=alone)


def _parts(opening: Opening) -> tuple[Pool, Opening, Opening]:
    """Give how both are mixed, and what each is opened from; ArtifactError for settings that cannot be."""
    pool, rest = taken(opening, KEY, "a second opinion")
    first = replace(rest, files=opening.files.beside(HOME))
    return pool, first, replace(rest, files=opening.files.below(HOME))
