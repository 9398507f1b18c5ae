"""Turn the weights of a `transformers` model into those of the native engine, in float32 or int8.

What is read: BERT, RoBERTa, XLM-R, CamemBERT, DistilBERT and ELECTRA (MiniLM is a BERT), with the heads that
`transformers` gives them, and an encoder as it came, with its head (`elsewise.engines.mean_pooled`). Each row of
weights is quantised with its own scale; activations later, each token with its own, so no texts are needed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from elsewise.engines.files import CONFIG
from elsewise.engines.native_library import FIRST_TOKEN, GELU, MEAN, RELU, TANH, Shape
from elsewise.errors import InputError, reading
from elsewise.storage.json_files import Json, read_arrays, read_json

LANES: Final = 16
BLOCK: Final = 64
WEIGHTS: Final = "model.safetensors"
HEAD: Final = "head.safetensors"  # of an encoder as it came

Singles = NDArray[np.float32]
Weights = Mapping[str, Singles]


@dataclass(frozen=True, slots=True)
class Family:
    """How an architecture names its parts.

    Attributes
    ----------
    layer, query, key, value, output, norm1, first, second, norm2 : str
        Of layer number {}.
    sizes : tuple of str
        In config.json: hidden, inner, layers, heads, activation.
    dense, then, classifier : str, int, str
        The head: its dense layer, what follows that, and the last layer.
    after_padding : bool
        Whether positions begin after the row of padding.
    """

    layer: str = "encoder.layer.{}."
    query: str = "attention.self.query"
    key: str = "attention.self.key"
    value: str = "attention.self.value"
    output: str = "attention.output.dense"
    norm1: str = "attention.output.LayerNorm"
    first: str = "intermediate.dense"
    second: str = "output.dense"
    norm2: str = "output.LayerNorm"
    sizes: tuple[str, ...] = (
        "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "hidden_act",
    )  # fmt: skip
    dense: str = "classifier.dense"
    then: int = TANH
    classifier: str = "classifier.out_proj"
    after_padding: bool = False


ROBERTA: Final = Family(after_padding=True)
FAMILIES: Final = {
    "bert": Family(dense="pooler.dense", classifier="classifier"),
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA,
    "camembert": ROBERTA,
    "electra": Family(then=GELU),
    "distilbert": Family(
        layer="transformer.layer.{}.",
        query="attention.q_lin",
        key="attention.k_lin",
        value="attention.v_lin",
        output="attention.out_lin",
        norm1="sa_layer_norm",
        first="ffn.lin1",
        second="ffn.lin2",
        norm2="output_layer_norm",
        sizes=("dim", "hidden_dim", "n_layers", "n_heads", "activation"),
        dense="pre_classifier",
        then=RELU,
        classifier="classifier",
    ),
}


def packed(folder: Path, precision: str) -> tuple[Shape, dict[str, NDArray[Any]]]:
    """Read a model folder of `transformers`, and pack its weights in the order of c/native.c.

    InputError for an architecture that is not computed here, ArtifactError for a file that is missing or damaged.
    """
    config = read_json(folder / CONFIG)
    family = family_of(config)
    with reading(folder / WEIGHTS):
        weights = _named(read_arrays(folder / WEIGHTS))
        if (folder / HEAD).exists():
            weights |= {f"head.{name}": array for name, array in read_arrays(folder / HEAD).items()}
        shape = _shape(config, family, weights, is_int8=precision == "int8")
        return shape, dict(_tensors(shape, family, weights))


def family_of(config: Json) -> Family:
    """Find the family of a model by its config.json; InputError where something in it is not computed here."""
    name = str(config.get("model_type"))
    remedy = "choose engine='openvino'"
    if name not in FAMILIES:
        raise InputError(f"the engine native does not compute {name}, but {', '.join(FAMILIES)}; {remedy}")
    family = FAMILIES[name]
    activation, positions = config.get(family.sizes[4]), config.get("position_embedding_type") or "absolute"
    if activation != "gelu":
        raise InputError(f"the engine native computes the activation gelu, and this {name} has {activation}; {remedy}")
    if positions != "absolute" or config.get("is_decoder"):
        kind = "is a decoder" if config.get("is_decoder") else f"has {positions} positions"
        raise InputError(f"the engine native reads learnt positions both ways, and this {name} {kind}; {remedy}")
    return family


def _named(weights: Weights) -> dict[str, Singles]:
    """Name the weights without the prefix of their encoder, as in "bert.", and give them in float32."""
    (start,) = {name[: -len(WORDS)] for name in weights if name.endswith(WORDS)}
    return {name.removeprefix(start): np.asarray(array, dtype=np.float32) for name, array in weights.items()}


WORDS: Final = "embeddings.word_embeddings.weight"


def _shape(config: Json, family: Family, weights: Weights, *, is_int8: bool) -> Shape:
    hidden, inner, layers, heads = (int(config[name]) for name in family.sizes[:4])
    vocabulary, embedding = weights[WORDS].shape
    padding = int(config["pad_token_id"]) if family.after_padding else -1
    is_mean = "head.weight" in weights
    if heads < 1 or hidden % heads:
        raise ValueError(f"{hidden} columns do not divide into {heads} heads")
    last = weights["head.weight" if is_mean else f"{family.classifier}.weight"]
    return Shape(
        int8=int(is_int8),
        vocabulary=vocabulary,
        positions=len(weights["embeddings.position_embeddings.weight"]),
        first_position=padding + 1,
        padding=padding,
        embedding=embedding,
        projected=int("embeddings_project.weight" in weights),
        hidden=hidden,
        inner=inner,
        layers=layers,
        heads=heads,
        head_width=_up(hidden // heads, LANES),
        pooling=MEAN if is_mean else FIRST_TOKEN,
        dense=0 if is_mean else len(weights[f"{family.dense}.weight"]),
        dense_then=0 if is_mean else family.then,
        labels=len(last),
        epsilon=float(config.get("layer_norm_eps", 1e-12)),
    )


def _tensors(shape: Shape, family: Family, weights: Weights) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield all tensors in the order in which the library takes them."""
    is_int8 = bool(shape.int8)
    yield from _embeddings(shape, weights)
    if shape.projected:
        yield from _linear("project", *_of(weights, "embeddings_project"), is_int8=is_int8)
    for number in range(shape.layers):
        yield from _layer(shape, family, weights, number)
    if shape.dense:
        yield from _linear("dense", *_of(weights, family.dense), is_int8=False)
    last = "head" if shape.pooling == MEAN else family.classifier
    yield from _linear("classifier", *_of(weights, last), is_int8=False)


def _embeddings(shape: Shape, weights: Weights) -> Iterator[tuple[str, NDArray[Any]]]:
    words, places = weights[WORDS], weights["embeddings.position_embeddings.weight"]
    if (types := weights.get("embeddings.token_type_embeddings.weight")) is not None:
        places = places + types[0]  # every token of one text has the first type
    table = _padded(words, BLOCK, LANES)
    if shape.int8:
        rows, scale = _quantised(table)
        yield "tokens", rows
        yield "tokens.scale", scale
    else:
        yield "tokens", table
    yield "positions", _padded(places, 1, LANES)
    yield from _norm("embeddings.norm", weights, "embeddings.LayerNorm")


def _layer(shape: Shape, family: Family, weights: Weights, number: int) -> Iterator[tuple[str, NDArray[Any]]]:
    start, name, is_int8 = family.layer.format(number), f"layer {number} ", bool(shape.int8)
    parts = {part: _of(weights, start + getattr(family, part)) for part in ("query", "key", "value", "output")}
    narrow = shape.hidden // shape.heads
    rows = {part: tuple(_heads(array, shape) for array in parts[part]) for part in ("query", "key", "value")}
    scale = np.float32(1 / np.sqrt(narrow))  # of scores, in the weights
    yield from _linear(f"{name}query", *(part * scale for part in rows["query"]), is_int8=is_int8)
    both = (np.concatenate(pair) for pair in zip(rows["key"], rows["value"], strict=True))
    yield from _linear(f"{name}key and value", *both, is_int8=is_int8)
    output, bias = parts["output"]
    yield from _linear(f"{name}output", _heads(output.T, shape).T, bias, is_int8=is_int8)
    yield from _norm(f"{name}norm 1", weights, start + family.norm1)
    yield from _linear(f"{name}first", *_of(weights, start + family.first), is_int8=is_int8)
    yield from _linear(f"{name}second", *_of(weights, start + family.second), is_int8=is_int8)
    yield from _norm(f"{name}norm 2", weights, start + family.norm2)


def _of(weights: Weights, name: str) -> tuple[Singles, Singles]:
    """Give the weights (outputs, inputs) and the bias (outputs,) of a linear layer."""
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def _norm(name: str, weights: Weights, place: str) -> Iterator[tuple[str, NDArray[Any]]]:
    gain, bias = _of(weights, place)
    yield f"{name}.gain", _padded(gain[None], 1, LANES)[0]
    yield f"{name}.bias", _padded(bias[None], 1, LANES)[0]


def _linear(name: str, weights: Singles, bias: Singles, *, is_int8: bool) -> Iterator[tuple[str, NDArray[Any]]]:
    """Pack a layer in blocks of 64 outputs: [block][inputs / 4][64][4] in int8, [block][inputs][64] in float32."""
    table = _padded(weights, BLOCK, LANES)
    blocks, width = len(table) // BLOCK, table.shape[1]
    if is_int8:
        rows, scale = _quantised(table)
        shift = 128 * rows.sum(axis=1, dtype=np.int32)
        yield f"{name}.weights", rows.reshape(blocks, BLOCK, width // 4, 4).transpose(0, 2, 1, 3)
        yield f"{name}.scale", scale
        yield f"{name}.shift", shift
    else:
        yield f"{name}.weights", table.reshape(blocks, BLOCK, width).transpose(0, 2, 1)
    yield f"{name}.bias", _padded(bias[:, None], BLOCK, 1)[:, 0]


def _quantised(table: Singles) -> tuple[NDArray[np.int8], Singles]:
    """Round each row to 255 steps, from -127 to 127 times its scale.

    Examples
    --------
    >>> rows, scale = _quantised(np.array([[0.5, -1, 0.25], [0, 0, 0]], dtype=np.float32))
    >>> rows.tolist(), (scale * 127).tolist()
    ([[64, -127, 32], [0, 0, 0]], [1.0, 0.0])
    """
    scale = (np.abs(table).max(axis=1) / np.float32(127)).astype(np.float32)
    steps = table / np.where(scale > 0, scale, np.float32(1))[:, None]
    return np.clip(np.rint(steps), -127, 127).astype(np.int8), scale


def _heads(rows: Singles, shape: Shape) -> Singles:
    """Pad each head's rows with zeros, to a width that vectors divide."""
    narrow = shape.hidden // shape.heads
    made = np.zeros((shape.heads, shape.head_width, *rows.shape[1:]), dtype=np.float32)
    made[:, :narrow] = rows.reshape(shape.heads, narrow, *rows.shape[1:])
    return made.reshape(-1, *rows.shape[1:])


def _padded(table: Singles, rows: int, columns: int) -> Singles:
    """Fill a table up with zeros, to multiples of `rows` and of `columns`."""
    more = [(0, _up(size, by) - size) for size, by in zip(table.shape, (rows, columns), strict=True)]
    return np.pad(table, more)


def _up(number: int, by: int) -> int:
    return -(-number // by) * by
