"""Ensemble: several models of the same labels, whose probabilities are averaged.

Source: Lakshminarayanan, Pritzel & Blundell (2017), https://arxiv.org/abs/1612.01474. The logits are the logarithms of
the mean probabilities, and `epistemic` is the disagreement of the members. A mean is fitted to no temperature:
calibrate the ensemble as a whole (Rahaman & Thiery 2021, https://arxiv.org/abs/2007.08792).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Self

from elsewise.engines import Engine, Stored, entry_of, fingerprint_of, open_entry, precision_of, prepared, quick_run
from elsewise.engines.files import TOKENIZER, Opening
from elsewise.engines.text import TextEngine
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import InputError
from elsewise.outputs import Outputs, mixture
from elsewise.progress import sharing
from elsewise.storage.json_files import Json


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """Runs every member, and averages the probabilities.

    Features, tokens and `truncated` are the first member's, since distances between texts only mean something within
    one model's features. The first member's files are in the model folder itself, so that other tools can open it;
    those of the others are in member-2/, member-3/, ...

    Attributes
    ----------
    members : tuple of Engine
        At least two, with the same labels in the same order.

    Examples
    --------
    >>> from elsewise.engines.memory import MemoryEngine
    >>> first, second = (MemoryEngine(("yes", "no"), {"hm": logits}) for logits in ([9.0, 0.0], [0.0, 9.0]))
    >>> outputs = Ensemble((first, second)).run(["hm"])
    >>> outputs.logits.round(4).tolist(), outputs.epistemic.round(4).tolist()
    ([[-0.6931, -0.6931]], [0.6919])
    """

    name: ClassVar[str] = "ensemble"
    members: tuple[Stored, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "members", tuple(self.members))  # a list is welcome
        if len(self.members) < 2:  # noqa: PLR2004
            raise InputError(f"an ensemble needs at least 2 members, got {len(self.members)}")
        for member in self.members:
            if member.labels != self.labels:
                raise InputError(f"members must have the same labels in the same order, got {member.labels}")

    @staticmethod
    def fingerprint_of(opening: Opening) -> str:
        """Compute the fingerprint before a library reads any member."""
        return _fingerprint(fingerprint_of(entry, one) for entry, one in _members(opening))

    @classmethod
    def open(cls, opening: Opening) -> Self:
        """Open the members one after the other; they also run one after the other, each on all threads."""
        return cls(tuple(open_entry(entry, one) for entry, one in _members(opening)))

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the columns of logits."""
        return self.members[0].labels

    @property
    def settings(self) -> Json:
        """What `open` needs besides the files (JSON)."""
        return {**precision_of(self.members[0]), "members": [entry_of(member) for member in self.members]}

    @property
    def fingerprint(self) -> str:
        """Hash of the members' fingerprints."""
        return _fingerprint(member.fingerprint for member in self.members)

    @property
    def canaries(self) -> Sequence[Any]:
        """The first member's canary texts."""
        return self.members[0].canaries

    @property
    def size(self) -> int:
        """Bytes of the files that all members run from."""
        members: tuple[Any, ...] = self.members
        return sum(member.size for member in members)

    def save(self, folder: Path) -> None:
        """Write the first member's files into an existing folder, and the others' below it."""
        self.members[0].save(folder)
        for number, member in enumerate(self.members[1:], start=2):
            home = folder / _home(number)
            home.mkdir(exist_ok=True)
            member.save(home)

    def prepare(self, texts: Sequence[Any]) -> Any:
        """Tokenise n texts once for all members; return the texts where members have different tokenizers."""
        return prepared(self.members[0], texts) if self._shares_tokens else texts

    def run(self, texts: Any) -> Outputs:
        """Return the logarithms of the mean probabilities (n, k), and the members' disagreement (n,)."""
        ready = texts if isinstance(texts, Tokens) else self.prepare(texts)
        return self._mixed(lambda member: member.run(ready))

    def quick_run(self, ready: Any) -> Outputs:
        """Return outputs as `run` does, faster on a fresh start; the last digits may differ."""
        shared = self._shares_tokens
        return self._mixed(lambda member: quick_run(member, ready if shared else prepared(member, ready)))

    def _mixed(self, ask: Callable[[Engine], Outputs]) -> Outputs:
        with sharing(len(self.members)):
            first = ask(self.members[0])
            log_mean, epistemic = mixture(chain([first.logits], (ask(member).logits for member in self.members[1:])))
        return replace(first, logits=log_mean.astype(first.logits.dtype), epistemic=epistemic)

    @property
    def _shares_tokens(self) -> bool:
        tokenizers = {_tokenizer(member) for member in self.members}
        return len(tokenizers) == 1 and None not in tokenizers


def _members(opening: Opening) -> list[tuple[Json, Opening]]:
    """Give the entry of each member, and what it is opened from."""
    files, entries = opening.files, opening.settings["members"]
    homes = [_home(number) for number in range(2, len(entries) + 1)]
    places = [files.beside(*homes), *(files.below(home) for home in homes)]
    return [(entry, replace(opening, files=place)) for entry, place in zip(entries, places, strict=True)]


def _fingerprint(inside: Iterable[str]) -> str:
    return sha256(repr((Ensemble.name, list(inside))).encode()).hexdigest()[:16]


def _home(number: int) -> str:
    return f"member-{number}"


def _tokenizer(member: Engine) -> str | None:
    """Identify a member's tokenizer; None where other members could not read its tokens."""
    if not isinstance(member, TextEngine):
        return None
    return repr((member.files.digests[TOKENIZER], sorted(member.tokenizer.settings.items())))
