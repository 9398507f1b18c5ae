"""True labels of evaluated rows: one that the model does not know counts as out-of-scope, and that is said."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from elsewise.arrays import Codes, label_words
from elsewise.classifier.classifier import Classifier
from elsewise.data.labels import near_labels, own_labels
from elsewise.errors import warn_caller
from elsewise.messages.wording import counted, listed


def true_codes(classifier: Classifier, labels: Any) -> tuple[Codes, Mapping[str, int]]:
    """Turn n true labels into codes, (n,), -1 for out-of-scope and unknown ones; and count the rows of each unknown.

    InputError if no row has a label of the model, nor its out-of-scope label: these are then other labels altogether.

    Examples
    --------
    >>> import warnings
    >>> from elsewise import FixedThreshold, Identity
    >>> from elsewise.engines.memory import MemoryEngine
    >>> asked = Classifier(MemoryEngine(("yes", "no"), {}), Identity(), FixedThreshold(0.6))
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     true_codes(asked, ["no", "spam", "yes"])
    (array([ 1, -1,  0]), {'spam': 1})
    """
    names = label_words(labels)
    mark = classifier.out_of_scope_label
    own = own_labels(names, [*classifier.labels, *([] if mark is None else [mark])])
    is_known = np.array([name is not None for name in own], dtype=bool)
    if not is_known.any():
        return classifier.codes(names), {}  # refuses them, unless there are none
    codes = np.full(len(names), -1, dtype=np.int64)
    codes[is_known] = classifier.codes([name for name in own if name is not None])
    unknown = Counter(name for name, known in zip(names, own, strict=True) if known is None)
    warn_of_unknown(unknown, len(names), classifier.labels)
    return codes, dict(unknown)


def warn_of_unknown(unknown: Mapping[str, int], rows: int, labels: Sequence[str]) -> None:
    """Warn that some of so many rows have unknown labels, and name the labels of the model near the first of them."""
    if not unknown:
        return
    wrong = sum(unknown.values())
    have = (
        "has a label that the model does not know, and counts"
        if wrong == 1
        else ("have labels that the model does not know, and count")
    )
    names = listed(f"{name!r} ({counted(count, 'row')})" for name, count in unknown.items())
    near = next(((name, near[0]) for name in unknown if (near := near_labels(name, labels))), None)
    remedy = f"; {near[0]!r} is near {near[1]!r}: rename it" if near else ""
    typed = shlex.join(["--map", f"{near[0]}={near[1]}"]) if near else ""
    some = f"{wrong:,} of {counted(rows, 'row')}"
    warn_caller(f"{some} {have} as out-of-scope: {names}{remedy}", typed=typed)
