"""A model folder that is served: opened, checked by its canary texts, and named, so that answers say who gave them."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from elsewise.classifier.classifier import Classifier
from elsewise.engines import prepared, reads_logits
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import InputError
from elsewise.evaluation.shift import Reference, reference_of
from elsewise.rules import FixedThreshold
from elsewise.storage.json_files import finite
from elsewise.storage.paths import at_home
from elsewise.storage.sealed_folder import manifest_hash, steady

LETTERS: Final = 16  # of a hash, in an id
MOST_REFERENCES: Final = 300  # certify rows that are run again whenever a folder is opened
CHARACTERS_A_TOKEN: Final = 4  # for engines that read no tokens

Texts = Sequence[str]


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """A classifier with its names.

    Attributes
    ----------
    classifier : Classifier
        What answers.
    name, model, certificate : str, str, str or None
        Name of the folder; ids of its content and of its promise, None where nothing is promised.
    reference : Reference or None
        What the last texts are compared with; None where nothing is promised.
    """

    classifier: Classifier
    name: str
    model: str
    certificate: str | None
    reference: Reference | None

    @classmethod
    def open(cls, folder: Path, load: Callable[[Path], Classifier]) -> Self:
        """Open a folder; its canary texts must get the answers that it was certified with.

        Raises
        ------
        ArtifactError, MissingExtra
            As `load`.
        InputError
            If the model reads logits, which no client has.
        """
        path = Path(at_home(folder))
        classifier, name = steady(path, lambda place: (load(place), manifest_hash(place)))
        if reads_logits(classifier.engine):
            raise InputError(f"{path} answers logits, and a server has texts; use elsewise predict {path} LOGITS")
        reference = reference_of(classifier, MOST_REFERENCES)
        return cls(classifier, path.resolve().name, name[:LETTERS], _certificate_id(classifier), reference)

    def prepare(self, texts: Texts) -> Any:
        """Tokenise n texts, or give them back where the engine reads texts."""
        return prepared(self.classifier.engine, texts)

    def with_threshold(self, threshold: float | None) -> Classifier:
        """Give the classifier with another threshold, without a promise; its own for None."""
        if threshold is None:
            return self.classifier
        rule = self.classifier.rule
        return replace(self.classifier, rule=FixedThreshold(threshold, score=rule.score, gates=rule.gates))


def lengths_of(ready: Any) -> NDArray[np.int64]:
    """Count the tokens of n prepared texts, shape (n,), at least 1 each."""
    if isinstance(ready, Tokens):
        return np.maximum(ready.lengths.astype(np.int64), 1)
    return np.array([1 + len(text) // CHARACTERS_A_TOKEN for text in ready], dtype=np.int64)


def truncated_of(ready: Any) -> NDArray[np.bool_]:
    """Tell which of n prepared texts were cut, shape (n,)."""
    return ready.truncated if isinstance(ready, Tokens) else np.zeros(len(ready), dtype=bool)


def divided(ready: Any, counts: Sequence[int]) -> list[Any]:
    """Divide prepared texts into parts of so many texts, in their order."""
    ends = np.cumsum([0, *counts]).tolist()
    texts = [slice(*ends[part : part + 2]) for part in range(len(counts))]
    if not isinstance(ready, Tokens):
        return [ready[some] for some in texts]
    at = np.cumsum([0, *ready.lengths.tolist()])[ends].tolist()
    ids = [ready.ids[at[part] : at[part + 1]] for part in range(len(counts))]
    return [Tokens(some, ready.lengths[part], ready.truncated[part]) for some, part in zip(ids, texts, strict=True)]


def joined(parts: Sequence[tuple[Any, NDArray[np.int64]]]) -> Any:
    """Put the chosen rows of several prepared texts together, for one run."""
    if not isinstance(parts[0][0], Tokens):
        return [ready[row] for ready, rows in parts for row in rows.tolist()]
    taken = [ready if len(ready) == 1 else ready.take(rows) for ready, rows in parts]
    columns = ([getattr(some, name) for some in taken] for name in ("ids", "lengths", "truncated"))
    return Tokens(*map(np.concatenate, columns))


def _certificate_id(classifier: Classifier) -> str | None:
    promise = classifier.certificate
    if promise is None or not promise.certified:
        return None
    words = msgspec.json.encode(finite(promise.as_dict()), order="sorted")
    return hashlib.sha256(words).hexdigest()[:LETTERS]
