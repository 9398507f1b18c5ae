"""The native engine in tests: skipped with a word where nothing is compiled; and models of random weights for it."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from elsewise.engines import native, native_library
from elsewise.engines.native_file import open_file, write_file
from elsewise.engines.native_weights import packed
from elsewise.errors import MissingExtra


def is_compiled():
    """Tell whether the library is compiled."""
    try:
        native_library.library()
    except MissingExtra:
        return False
    return True


def compiled():
    """Skip the test that asks where the library is not compiled."""
    if not is_compiled():
        pytest.skip("the engine native is not compiled")


def without_native(monkeypatch):
    """Look as if the library were not compiled."""
    missing = partial(native_library.library.__wrapped__, Path("none.so"))
    for module in (native_library, native):
        monkeypatch.setattr(module, "library", missing)


def with_library(monkeypatch, file):
    """Compute by a library that was compiled elsewhere."""
    made = native_library.library.__wrapped__(file)
    for module in (native_library, native):
        monkeypatch.setattr(module, "library", lambda: made)


def random_folder(folder, seed, kind="bert", *, hidden=48, heads=3, inner=80, layers=2, words=50, positions=40,
                  labels=5, embedding=None, is_mean=False):  # fmt: skip
    """Write config.json and weights of a model, as `transformers` names them; needs no torch."""
    rng = np.random.default_rng(seed)
    embedding = embedding or hidden

    def linear(name, outputs, inputs):
        weights[f"{name}.weight"] = rng.normal(size=(outputs, inputs), scale=2 / np.sqrt(inputs))
        weights[f"{name}.bias"] = rng.normal(size=outputs, scale=0.3)

    def norm(name, width):
        weights[f"{name}.weight"], weights[f"{name}.bias"] = rng.normal(1, 0.2, width), rng.normal(0, 0.2, width)

    start = "" if is_mean else f"{kind}."
    weights = {f"{start}embeddings.{name}_embeddings.weight": rng.normal(size=(rows, embedding)) for name, rows in (
        ("word", words), ("position", positions), ("token_type", 2))}  # fmt: skip
    norm(f"{start}embeddings.LayerNorm", embedding)
    if embedding != hidden:
        linear(f"{start}embeddings_project", hidden, embedding)
    for number in range(layers):
        layer = f"{start}encoder.layer.{number}."
        for part in ("query", "key", "value"):
            linear(f"{layer}attention.self.{part}", hidden, hidden)
        linear(f"{layer}attention.output.dense", hidden, hidden)
        norm(f"{layer}attention.output.LayerNorm", hidden)
        linear(f"{layer}intermediate.dense", inner, hidden)
        linear(f"{layer}output.dense", hidden, inner)
        norm(f"{layer}output.LayerNorm", hidden)
    config = {"model_type": kind, "hidden_size": hidden, "num_attention_heads": heads, "intermediate_size": inner,
              "num_hidden_layers": layers, "hidden_act": "gelu", "pad_token_id": 1}  # fmt: skip
    folder.mkdir(exist_ok=True, parents=True)
    if is_mean:
        head = {"weight": rng.normal(size=(labels, hidden)), "bias": rng.normal(size=labels)}
        save_file({name: array.astype(np.float32) for name, array in head.items()}, folder / "head.safetensors")
    else:
        linear("bert.pooler.dense" if kind == "bert" else "classifier.dense", hidden, hidden)
        linear("classifier" if kind == "bert" else "classifier.out_proj", labels, hidden)
    save_file({name: array.astype(np.float32) for name, array in weights.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def random_model(folder, seed, precision, **more):
    """Open a model of random weights."""
    write_file(folder / "native.safetensors", *packed(random_folder(folder, seed, **more), precision))
    return open_file(folder / "native.safetensors")


def random_texts(rng, opened, n):
    """Ids of n random texts, one after the other, and their lengths: some of one token, one of the most."""
    longest = opened.shape.positions - opened.shape.first_position
    lengths = rng.integers(1, longest + 1, size=n).astype(np.int32)
    lengths[0], lengths[-1] = 1, longest
    return rng.integers(0, opened.shape.vocabulary, size=int(lengths.sum())).astype(np.int32), lengths
