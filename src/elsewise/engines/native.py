"""Our own engine: int8 or float32 on any processor, with the same bits on each of them.

A library of ours in C computes a text's tokens row by row, without padding, so that no neighbour, order, number of
threads or instruction set changes a bit. A certificate belongs to the weights, and not to the machine.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.engines.batching import Result, Rows
from elsewise.engines.files import CONFIG, NATIVE, TOKENIZER, ModelFiles, Opening, TemporaryPlace
from elsewise.engines.machine import cores
from elsewise.engines.native_file import open_file, write_file
from elsewise.engines.native_library import Opened, kernel_in_use, library
from elsewise.engines.native_weights import family_of, packed
from elsewise.engines.second_opinion import HOME
from elsewise.engines.text import TextEngine, check_precision, text_fingerprint
from elsewise.engines.tokenizer import TextTokenizer
from elsewise.storage.json_files import Json

AT_ONCE: Final = 1 << 16  # tokens of one call: so often it is told how many texts are done


@dataclass(frozen=True, slots=True, eq=False)
class NativeModel:
    """A model that the compiled library holds.

    Attributes
    ----------
    precision : {"f32", "int8"}
        Of the matrix products of the layers; the head is float32.
    opened : Opened
        The model.
    threads : int
        Calls that run side by side.
    """

    precision: str
    opened: Opened = field(repr=False)
    threads: int

    @staticmethod
    def precisions() -> tuple[str, ...]:
        """Name the precisions that it computes in, on every machine; MissingExtra where it is not compiled."""
        library()
        return ("f32", "int8")

    @staticmethod
    def fingerprint_of(opening: Opening) -> str:
        """Compute the fingerprint before anything is opened."""
        return text_fingerprint("native", opening, NATIVE.format(opening.settings["precision"]))

    @staticmethod
    def with_weights(files: ModelFiles, precision: str) -> ModelFiles:
        """Copy a model's files and add the weights of a precision, unless they have them.

        InputError for an architecture that this engine does not compute.
        """
        name = NATIVE.format(precision)
        if name in files:
            return files
        place = TemporaryPlace()
        files.copy_to(place.path)
        for folder in (place.path, place.path / HOME):
            if (folder / CONFIG).exists():
                (folder / name).parent.mkdir(exist_ok=True)
                write_file(folder / name, *packed(folder, precision))
        return ModelFiles.of(place.path, place)

    @staticmethod
    def check_architecture(config: Json) -> None:
        """Raise InputError for a config.json of a model that this engine does not compute."""
        family_of(config)

    @classmethod
    def open(cls, opening: Opening) -> TextEngine:
        """Map the weights of the precision in `settings`; InputError for another, ArtifactError for a damaged file."""
        files, precision = opening.files, opening.settings["precision"]
        check_precision(precision, "native", cls.precisions())
        kernel_in_use()
        graph = NATIVE.format(precision)
        model = cls(precision, open_file(files.need(graph)), opening.threads or cores())
        tokenizer = TextTokenizer.open(files.need(TOKENIZER), opening.settings)
        return TextEngine.of(opening, "native", model, tokenizer, (graph,))

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Pack the weights of a folder of `transformers` in float32, into a file there, and map them.

        InputError for an architecture that this engine does not compute, ArtifactError for a file that is missing or
        damaged.
        """
        file = folder / "native.safetensors"
        write_file(file, *packed(folder, "f32"))
        return cls("f32", open_file(file), cores())

    @property
    def settings(self) -> Json:
        """The settings to open the model with again."""
        return {"precision": self.precision}

    @property
    def widths(self) -> tuple[int, int]:
        """Columns of logits and of features."""
        return self.opened.widths

    def answers(self, ids: Sequence[NDArray[np.int32]], wanted: Rows) -> Iterator[tuple[Rows, Result]]:
        """Yield rows of the wanted texts, with their logits and features."""
        ends = np.cumsum([len(ids[row]) for row in wanted.tolist()])
        cuts = np.flatnonzero(np.diff((ends - 1) // AT_ONCE)) + 1 if len(ends) else ()
        for rows in np.split(wanted, cuts) if len(ends) else ():
            texts = [ids[row] for row in rows.tolist()]
            lengths = np.array([len(text) for text in texts], dtype=np.int32)
            yield rows, self.opened.answer(np.concatenate(texts), lengths, self.threads)
