"""Run the last layer of an encoder for the first token alone, the only token that the head reads.

The head of a BERT reads the vector of the first token. For that the last layer needs the keys and values of every
token; its other results are thrown away: of six layers, a seventh of the multiplications.

Nothing here knows an architecture. The layer runs twice under the tracer: on all tokens, to record the keys and values,
and on the first token, which attends to them. The exporter drops what only the first run used.
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from elsewise.errors import need

torch = need("torch", extra="train")
transformers = need("transformers", extra="train")


@contextlib.contextmanager
def first_token_only(model: Any) -> Iterator[None]:
    """Make the last layer of a model, its attention "eager", compute the first token alone within the block.

    Nothing guesses whether a head reads more tokens, or whether this version of `transformers` attends as the functions
    below expect: compare the answers with those of the whole model. The block may raise any error.
    """
    kind = transformers.modeling_layers.GradientCheckpointingLayer
    layer = [module for module in model.modules() if isinstance(module, kind)][-1]
    layer.forward = partial(_forward, layer, layer.forward)
    try:
        yield
    finally:
        del layer.forward  # the class's is underneath


def _forward(layer: Any, whole: Callable[..., Any], hidden: Any, *arguments: Any, **named: Any) -> Any:
    """Run a layer for the first token of `hidden` (n, tokens, d): (n, 1, d)."""
    heard: list[tuple[Any, Any, Any]] = []
    with _attention(partial(_attend, set(layer.modules()), heard)):
        whole(hidden, *arguments, **named)
        if named.get("position_embeddings") is not None:  # (1, tokens, d) each: of the query alone, from here on
            named["position_embeddings"] = tuple(part[:, :1] for part in named["position_embeddings"])
        return whole(hidden[:, :1], *arguments, **named)


@contextlib.contextmanager
def _attention(function: Callable[..., Any]) -> Iterator[None]:
    """Replace the attention function that models write out themselves by `function`."""
    known = transformers.modeling_utils.ALL_ATTENTION_FUNCTIONS
    known["eager"] = function
    try:
        yield
    finally:
        del known["eager"]


def _attend(
    inside: set[Any], heard: list[tuple[Any, Any, Any]], module: Any, query: Any, key: Any, value: Any,
    attention_mask: Any = None, *, scaling: float | None = None, **_: Any,
) -> tuple[Any, Any]:  # fmt: skip
    """Attend as the models do; within the layer, to the keys and values that were recorded first.

    Queries are (n, heads, rows, d); the mask may have more rows than there are.
    """
    if module in inside:
        heard.append((key, value, attention_mask))
        key, value, attention_mask = heard[0]
    weights = query @ key.transpose(2, 3) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    if attention_mask is not None:
        weights = weights + attention_mask[:, :, : query.shape[2]]
    weights = torch.nn.functional.softmax(weights, dim=-1)
    return (weights @ value).transpose(1, 2).contiguous(), weights
