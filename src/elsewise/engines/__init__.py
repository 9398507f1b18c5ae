"""Engines: something with labels that turns texts into outputs. A new one is a file here and a line in ENGINES.

    engine = engine_class("torch").open(folder, labels, settings)
    outputs = engine.run(["a text", "another"])                # logits (n, k), features (n, d), ...

The table is lazy: an engine's library is imported when the engine is asked for, and not before.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.errors import ArtifactError
from elsewise.outputs import Outputs

ENGINES: Final[dict[str, str]] = {
    "logits": "elsewise.engines.logits:LogitsEngine",
    "memory": "elsewise.engines.memory:MemoryEngine",
    "torch": "elsewise.engines.torch:TorchEngine",
}


class Engine(Protocol):
    """Turns texts into outputs; the answer for one text never depends on its neighbours."""

    name: ClassVar[str]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the columns of logits."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """What `open` needs, beside the files, to give the same answers again (JSON)."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of all that the answers depend on: a certificate belongs to one."""
        ...

    @classmethod
    def open(cls, folder: Path, labels: tuple[str, ...], settings: Mapping[str, Any]) -> Self:
        """Open what `save` wrote."""
        ...

    def save(self, folder: Path) -> None:
        """Write the engine's own files into an existing folder."""
        ...

    @property
    def canaries(self) -> Sequence[Any]:
        """Texts to be answered again whenever the engine is opened (JSON)."""
        ...

    def tokenize(self, texts: Sequence[Any]) -> tuple[list[list[int]], NDArray[np.bool_]]:
        """Return the token ids of n texts, and which were truncated; no ids where the engine has no tokens."""
        ...

    def run(self, texts: Sequence[Any]) -> Outputs:
        """Return outputs of n texts, in order; a row of NaN logits for a text that cannot be read."""
        ...


def engine_class(name: str) -> type[Engine]:
    """Find an engine by its name in ENGINES, importing its library.

    Raises
    ------
    ArtifactError
        If no engine has this name.
    """
    if name not in ENGINES:
        raise ArtifactError(f"unknown engine {name!r}; this version of elsewise knows {', '.join(ENGINES)}")
    module, _, attribute = ENGINES[name].partition(":")
    return getattr(import_module(module), attribute)
