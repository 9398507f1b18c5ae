"""Wrap scikit-learn classifiers and pipelines, and objects with their `predict_proba` and `classes_`.

The columns of scikit-learn are sorted by label; here they follow the order of `labels`.
"""

from typing import Any, Final

import numpy as np

from elsewise.arrays import to_numpy
from elsewise.engines.external import ExternalEngine
from elsewise.errors import InputError
from elsewise.outputs import Outputs
from elsewise.wrappers.request import WrapRequest, pick
from elsewise.wrappers.weights import library_of

METHODS: Final = {
    "probabilities": "predict_proba",
    "log_probabilities": "predict_log_proba",
    "sigmoid": "predict_proba",  # several labels a text, each independent
    "logits": "decision_function",
}


def takes(model: Any) -> bool:
    """Tell whether the object is of scikit-learn, or has the same methods."""
    return library_of(model, "sklearn") or (hasattr(model, "predict_proba") and hasattr(model, "classes_"))


def engine(model: Any, request: WrapRequest) -> ExternalEngine:
    """Make the engine, of probabilities or, where there are none, of the decision function.

    InputError if the model is not fitted, gives neither of them, or has different labels.
    """
    name = type(model).__name__
    own = getattr(model, "classes_", None)
    if own is None:
        raise InputError(f"{name} has no classes_: fit it first, or pass a classifier")
    if isinstance(own, list):
        raise InputError(f"{name} has {len(own)} outputs; wrap a classifier with one output")
    kind = request.kind or ("probabilities" if hasattr(model, "predict_proba") else "logits")
    if not hasattr(model, method := METHODS[kind]):
        raise InputError(f"{name} gives no {kind}: it has no {method}")
    labels, columns = request.columns(tuple(map(str, own)))
    if method == "decision_function" and len(labels) > 2 and _is_one_against_one(model):  # noqa: PLR2004
        pairs = f"{name} has a column for each pair of labels"
        raise InputError(f"{pairs}; set decision_function_shape='ovr' for one column a label")

    def answer(texts: list[str]) -> Outputs:
        values = to_numpy(pick(getattr(model, method)(request.inputs(texts)), request.output))
        if values.ndim == 1 and len(labels) == 2:  # noqa: PLR2004  the second class's, before the columns change places
            values = np.column_stack([np.zeros_like(values), values])
        return Outputs(values)

    return request.engine(answer, labels, kind, name, columns=columns)


def _is_one_against_one(model: Any) -> bool:
    """Tell whether a support vector machine inside the model gives a column for each pair of labels."""
    settings = getattr(model, "best_estimator_", model).get_params() if hasattr(model, "get_params") else {}
    return any(name.endswith("decision_function_shape") and value == "ovo" for name, value in settings.items())
