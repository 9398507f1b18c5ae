"""scikit-learn classifiers and pipelines, and whatever has their `predict_proba` and `classes_`.

The columns of scikit-learn are sorted by label; here they follow the order of `labels`.
"""

from typing import Any

import numpy as np

from elsewise.arrays import to_numpy
from elsewise.errors import InputError
from elsewise.wrapping import Asked, WrappedEngine, library_of, pick


def takes(model: Any) -> bool:
    """Whether it is of scikit-learn, or looks like it."""
    return library_of(model, "sklearn") or (hasattr(model, "predict_proba") and hasattr(model, "classes_"))


def engine(model: Any, asked: Asked) -> WrappedEngine:
    """Make the engine: of probabilities, or of the decision function where there are none or logits are asked for.

    Raises
    ------
    InputError
        If the model is not fitted, gives neither, or has other labels.
    """
    name = type(model).__name__
    own = getattr(model, "classes_", None)
    if own is None:
        raise InputError(f"{name} has no classes_: fit it first, or it is no classifier")
    if isinstance(own, list):
        raise InputError(f"{name} has {len(own)} outputs; wrap a classifier of one")
    kind = asked.kind or ("probabilities" if hasattr(model, "predict_proba") else "logits")
    method = {"probabilities": "predict_proba", "log_probabilities": "predict_log_proba"}.get(kind, "decision_function")
    if kind == "sigmoid" or not hasattr(model, method):
        raise InputError(f"{name} gives no {kind}: it has no {'sigmoid' if kind == 'sigmoid' else method}")
    labels, columns = asked.columns(tuple(map(str, own)))

    def answer(texts: list[str]) -> tuple[Any, Any]:
        values = to_numpy(pick(getattr(model, method)(asked.inputs(texts)), asked.output))
        if values.ndim == 1 and len(labels) == 2:  # noqa: PLR2004  the second class's, before the columns change places
            values = np.column_stack([np.zeros_like(values), values])
        return values, None

    return WrappedEngine(labels, kind, name, answer, asked.fingerprint or "", columns, asked.batch_size)
