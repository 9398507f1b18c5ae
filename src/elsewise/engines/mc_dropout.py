"""MC dropout: one torch model with dropout on, run in several fixed ways and averaged like an ensemble.

Source: Gal & Ghahramani (2016), https://arxiv.org/abs/1506.02142. One pass is one thinned network: which units are
dropped depends on the pass and the layer alone, and is the same for every token of every text, as in a sample of
weights (their section 3; their paper on recurrent networks, https://arxiv.org/abs/1512.05287, does the same over time).
So the answer for a text never depends on its neighbours. Dropout on attention weights stays off.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np

from elsewise.engines import engine_class
from elsewise.engines.files import Opening
from elsewise.engines.text import TextEngine
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import InputError, need
from elsewise.outputs import Outputs, mixture
from elsewise.progress import sharing
from elsewise.storage.json_files import Json

torch = need("torch", extra="train")

FEWEST_PASSES: Final = 2
MOST_PASSES: Final = 1_000
SEED: Final = 0


@dataclass(frozen=True, slots=True, eq=False)
class McDropout:
    """Runs thinned copies of a model, which share its weights, and averages their probabilities.

    Features come from the whole model, in one more pass. The model and its copies stay in evaluation mode.

    Attributes
    ----------
    engine : TextEngine
        A torch engine; its model must have dropout.
    passes : int
        Number of thinned networks, 2 to 1,000.
    """

    name: ClassVar[str] = "mc_dropout"
    engine: TextEngine
    passes: int = 10
    networks: tuple[TextEngine, ...] = field(init=False)

    def __post_init__(self) -> None:
        if self.engine.name != "torch":
            raise InputError(f"MC dropout needs engine torch, got {self.engine.name}")
        if not FEWEST_PASSES <= self.passes <= MOST_PASSES:
            raise InputError(f"MC dropout needs {FEWEST_PASSES} to {MOST_PASSES:,} passes, got {self.passes}")
        object.__setattr__(self, "networks", tuple(_thinned(self.engine, number) for number in range(self.passes)))

    @staticmethod
    def fingerprint_of(opening: Opening) -> str:
        """Compute the fingerprint before anything is opened."""
        inside: Any = engine_class("torch")
        return _fingerprint(inside.fingerprint_of(opening), opening.settings["passes"])

    @classmethod
    def open(cls, opening: Opening) -> Self:
        """Open the torch engine, and thin it."""
        engine: Any = engine_class("torch").open(opening)
        return cls(engine, opening.settings["passes"])

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the columns of logits."""
        return self.engine.labels

    @property
    def settings(self) -> Json:
        """What `open` needs besides the files (JSON)."""
        return {**self.engine.settings, "passes": self.passes}

    @property
    def fingerprint(self) -> str:
        """Hash of the model's fingerprint and of what thins it."""
        return _fingerprint(self.engine.fingerprint, self.passes)

    @property
    def canaries(self) -> Sequence[str]:
        """Fixed texts of many scripts and lengths."""
        return self.engine.canaries

    @property
    def size(self) -> int:
        """Bytes of the files that the engine runs from."""
        return self.engine.size

    def save(self, folder: Path) -> None:
        """Copy the files of the model into an existing folder."""
        self.engine.save(folder)

    def prepare(self, texts: Sequence[str]) -> Tokens:
        """Tokenise n texts, for `run`."""
        return self.engine.prepare(texts)

    def run(self, texts: Sequence[str] | Tokens) -> Outputs:
        """Return the logarithms of the mean probabilities (n, k), and the disagreement of the thinned networks (n,)."""
        tokens = texts if isinstance(texts, Tokens) else self.prepare(texts)
        return self._mixed(lambda engine: engine.run(tokens))

    def quick_run(self, tokens: Tokens) -> Outputs:
        """Return outputs as `run` does, faster on a fresh start; the last digits may differ."""
        return self._mixed(lambda engine: engine.quick_run(tokens))

    def _mixed(self, ask: Callable[[TextEngine], Outputs]) -> Outputs:
        with sharing(1 + self.passes):
            whole = ask(self.engine)
            log_mean, epistemic = mixture(ask(network).logits for network in self.networks)
        return replace(whole, logits=log_mean.astype(whole.logits.dtype), epistemic=epistemic)


def _fingerprint(inside: str, passes: int) -> str:
    return sha256(repr((McDropout.name, inside, passes, SEED)).encode()).hexdigest()[:16]


class _Thinned(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Replaces a dropout layer, and always drops the same units."""

    def __init__(self, number: int, layer: int, share: float) -> None:
        super().__init__()
        self.number, self.layer, self.share = number, layer, share
        self.p = 0.0  # some models read it, for attention weights

    def forward(self, x: Any) -> Any:
        """Drop units, and scale up the remaining ones; attention weights, (rows, heads, tokens, tokens), pass."""
        if x.ndim > 3:  # noqa: PLR2004
            return x
        return x * _mask(self.number, self.layer, x.shape[-1], self.share).to(device=x.device, dtype=x.dtype)


@cache
def _mask(number: int, layer: int, units: int, share: float) -> Any:
    """Draw the factor of each unit in a layer of one thinned network: 0, or 1 / (1 - share)."""
    left = np.random.default_rng((SEED, number, layer)).random(units) >= share
    return torch.from_numpy(left / (1 - share))


def _thinned(engine: TextEngine, number: int) -> TextEngine:
    """Make an engine over a thinned copy of the model, which shares its weights; InputError without dropout."""
    model = engine.model.model
    shared = {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())}
    thinned = copy.deepcopy(model, memo=shared)
    found = [(parent, name, child) for parent in thinned.modules() for name, child in parent.named_children()]
    dropouts = [(parent, name, child.p) for parent, name, child in found if _drops(child)]
    if not dropouts:
        raise InputError(f"{type(model).__name__} has no dropout: MC dropout would change nothing; take an ensemble")
    for layer, (parent, name, share) in enumerate(dropouts):
        setattr(parent, name, _Thinned(number, layer, share))
    return replace(engine, model=replace(engine.model, model=thinned.eval()))


def _drops(module: Any) -> bool:
    return isinstance(module, torch.nn.Dropout) and 0 < module.p < 1
