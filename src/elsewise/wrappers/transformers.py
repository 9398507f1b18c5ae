"""Wrap `transformers` models with their tokenizer, and text-classification pipelines.

Their library defines that they return logits. They know their labels (`config.id2label`) unless nobody named them.
"""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from elsewise.data.model_labels import is_unnamed
from elsewise.engines.encoder_facts import check_ids, label_names, most_tokens, padding_side
from elsewise.engines.external import ExternalEngine
from elsewise.errors import InputError
from elsewise.outputs import Outputs
from elsewise.wrappers.request import SAY_SIGMOID, WrapRequest, of_texts, pick
from elsewise.wrappers.weights import answering, digest_of, library_of, unwrapped, weights_of

DEFAULT_LENGTH = 512  # tokens, of a model that has no last position


def takes(model: Any) -> bool:
    """Tell whether the object is a model, a pipeline, a trainer, or a pair of a model and its tokenizer."""
    if isinstance(model, tuple):
        return len(model) == 2 and takes(model[0])  # noqa: PLR2004
    return library_of(model, "transformers") and hasattr(getattr(model, "model", model), "config")


def engine(model: Any, request: WrapRequest) -> ExternalEngine:
    """Make the engine.

    InputError without a tokenizer, or with one that has ids that the model does not know; for labels that are not the
    model's, for a kind other than logits, for a regression, and for several labels a text where `kind` is missing.
    """
    model, prepare, cuts = _parts(model, request.preprocess)
    config, name = model.config, type(model).__name__
    _check_kind(config, request.kind)
    names = label_names(config.id2label)
    is_its_own = request.labels is not None and set(request.labels) == set(names)  # LABEL_1, LABEL_0: in another order
    is_named = len(names) > 1 and (is_its_own or not is_unnamed(names))
    labels, columns = request.columns(names) if is_named else (request.named(), None)
    lock = threading.Lock()

    def answer(texts: list[str]) -> Outputs:
        from elsewise.engines.torch import head_input  # noqa: PLC0415  torch

        given = prepare(texts)
        inputs = {key: value.to(model.device) for key, value in given.items()}
        with lock, answering(model), head_input(model) as read:
            logits = pick(model(**inputs), request.output)
        is_cut = None if cuts is None else np.array(cuts(texts), dtype=bool)
        return Outputs(logits, of_texts(read[-1]), truncated=is_cut)

    digest = request.fingerprint or digest_of(weights_of(model))
    return request.engine(answer, labels, "logits", name, digest, columns)


def _parts(
    given: Any, preprocess: Any
) -> tuple[Any, Callable[[list[str]], Any], Callable[[list[str]], list[bool]] | None]:
    """Return the model, the function that makes its inputs, and the function that tells which texts are truncated."""
    if isinstance(given, tuple):
        model, preprocess = given
    elif hasattr(given, "processing_class"):  # a trainer
        model, preprocess = given.model, preprocess or given.processing_class
    elif hasattr(given, "tokenizer"):  # a pipeline
        model, preprocess = given.model, preprocess or given.tokenizer
    else:
        model = given
    model = unwrapped(model)
    if preprocess is None:
        raise InputError(f"{type(model).__name__} needs its tokenizer: pass it as preprocess=")
    if not hasattr(preprocess, "model_max_length"):
        return model, preprocess, None
    check_ids(model, preprocess, type(model).__name__)
    longest = min(preprocess.model_max_length, most_tokens(model) or DEFAULT_LENGTH)
    side = _padding_side(model, preprocess)

    def tokenize(texts: list[str]) -> Any:
        how = {"padding": True, "padding_side": side, "truncation": True, "max_length": longest}
        return preprocess(texts, **how, return_tensors="pt")

    def cuts(texts: list[str]) -> list[bool]:
        # A character is at most 4 tokens, its bytes: few texts are tokenised again.
        return [4 * len(text) + 8 > longest and len(preprocess(text)["input_ids"]) > longest for text in texts]

    return model, tokenize, cuts


def _padding_side(model: Any, tokenizer: Any) -> str | None:
    """Find where padding changes nothing; None, for the tokenizer's own side, if the model cannot say."""
    try:
        with answering(model):
            return padding_side(model, tokenizer)
    except Exception:  # noqa: BLE001  it may need more than ids and a mask; what is wrong with it is said when it answers
        return None


def _check_kind(config: Any, kind: str | None) -> None:
    if kind not in (None, "logits", "sigmoid"):
        raise InputError(f"kind={kind!r} was stated, and a transformers model gives logits; leave kind out")
    if config.problem_type == "regression":
        raise InputError("the model was trained for regression: its numbers are no logits; train a classifier")
    if kind is None and config.problem_type == "multi_label_classification":
        raise InputError(f"the model was made for texts with several labels, a sigmoid for each. {SAY_SIGMOID}")
    if kind is None and config.num_labels == 1:
        one = "the model has one output, which transformers trains as a regression"
        raise InputError(f"{one}; if it gives the log-odds of the second label, say kind='sigmoid'")
