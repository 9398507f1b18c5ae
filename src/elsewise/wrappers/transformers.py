"""Wrap `transformers` models with their tokenizer, and text-classification pipelines.

Their library defines that they return logits. They know their labels (`config.id2label`) unless nobody named them.
"""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from elsewise.data.model_labels import is_unnamed
from elsewise.engines.external import ExternalEngine
from elsewise.errors import InputError
from elsewise.outputs import Outputs
from elsewise.wrappers.request import SAY_SIGMOID, WrapRequest, of_texts, pick
from elsewise.wrappers.weights import answering, digest_of, library_of, weights_of

DEFAULT_LENGTH = 512  # tokens, of a model that has no last position
OFFSET = ("roberta", "xlm-roberta", "camembert")  # their first positions are taken


def takes(model: Any) -> bool:
    """Tell whether the object is a model, a pipeline, a trainer, or a pair of a model and its tokenizer."""
    if isinstance(model, tuple):
        return len(model) == 2 and takes(model[0])  # noqa: PLR2004
    return library_of(model, "transformers") and hasattr(getattr(model, "model", model), "config")


def engine(model: Any, request: WrapRequest) -> ExternalEngine:
    """Make the engine.

    InputError without a tokenizer, for labels that are not the model's, for a kind other than logits, or if the model
    was made for several labels a text and `kind` is missing.
    """
    model, prepare, cuts = _parts(model, request.preprocess)
    config, name = model.config, type(model).__name__
    _check_kind(config, request.kind)
    names = tuple(str(config.id2label[code]) for code in sorted(config.id2label))
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
    if preprocess is None:
        raise InputError(f"{type(model).__name__} needs its tokenizer: pass it as preprocess=")
    if not hasattr(preprocess, "model_max_length"):
        return model, preprocess, None
    longest = min(preprocess.model_max_length, _longest(model.config))

    def tokenize(texts: list[str]) -> Any:
        return preprocess(texts, padding=True, truncation=True, max_length=longest, return_tensors="pt")

    def cuts(texts: list[str]) -> list[bool]:
        # A character is at most 4 tokens, its bytes: few texts are tokenised again.
        return [4 * len(text) + 8 > longest and len(preprocess(text)["input_ids"]) > longest for text in texts]

    return model, tokenize, cuts


def _longest(config: Any) -> int:
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None or positions < 1:
        return DEFAULT_LENGTH
    return int(positions - 2 if config.model_type in OFFSET else positions)


def _check_kind(config: Any, kind: str | None) -> None:
    if kind is None and config.problem_type == "multi_label_classification":
        raise InputError(f"the model was made for texts with several labels, a sigmoid for each. {SAY_SIGMOID}")
    if kind not in (None, "logits", "sigmoid"):
        raise InputError(f"kind={kind!r} was stated, and a transformers model gives logits; leave kind out")
