"""The multilingual encoder as an ordinary folder of `transformers`, its vocabulary cut to the scripts of texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from elsewise.engines.multilingual import (
    SPECIAL,
    PackedEncoder,
    find_file,
    kept_pieces,
    scripts_of,
    tokenizer_of,
)
from elsewise.engines.torch import quiet
from elsewise.errors import need
from elsewise.messages.wording import listed

torch = need("torch", extra="train")
transformers = need("transformers", extra="train")

LONGEST: Final = 512
IN_A_LAYER: Final = {  # of the file, and of BertModel
    "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
    "ao": "attention.output.dense", "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense", "fo": "output.dense", "oln": "output.LayerNorm",
}  # fmt: skip
EMBEDDINGS: Final = {
    "emb.pos": "embeddings.position_embeddings.weight", "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight", "emb.ln.b": "embeddings.LayerNorm.bias",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CutEncoder:
    """What was kept of the encoder: pieces of how many, and the scripts besides Latin."""

    kept: int
    of: int
    scripts: tuple[str, ...]

    def __str__(self) -> str:
        """Say it in a sentence.

        Examples
        --------
        >>> print(CutEncoder(112_468, 250_002, ()))
        the multilingual encoder keeps 112,468 of its 250,002 pieces, those of Latin script
        """
        scripts = listed(["Latin", *self.scripts])
        return f"the multilingual encoder keeps {self.kept:,} of its {self.of:,} pieces, those of {scripts} script"


def write_encoder(folder: Path, texts: Sequence[str]) -> CutEncoder:
    """Write config.json, model.safetensors and the tokenizer for texts; raises as `find_file`."""
    return write_packed(PackedEncoder.read(find_file()), folder, texts)


def write_packed(packed: PackedEncoder, folder: Path, texts: Sequence[str]) -> CutEncoder:
    """Write an encoder that was read."""
    quiet()
    scripts = scripts_of(texts)
    kept = kept_pieces(packed.pieces, scripts)
    model = transformers.BertModel(_config(packed, len(kept)))
    model.load_state_dict(_weights(packed, kept), strict=True)
    model.save_pretrained(folder, safe_serialization=True)
    named = {**SPECIAL, "cls_token": "<s>", "sep_token": "</s>"}
    named |= {"mask_token": "<mask>"} if packed.pieces[kept[-1]] == "<mask>" else {}
    longest = min(LONGEST, packed.sizes["positions"])
    backend = tokenizer_of(packed, kept)
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, model_max_length=longest, **named
    ).save_pretrained(folder)  # fmt: skip
    return CutEncoder(len(kept), len(packed.pieces), tuple(sorted(scripts)))


def _config(packed: PackedEncoder, pieces: int) -> Any:
    sizes = packed.sizes
    return transformers.BertConfig(
        vocab_size=pieces, hidden_size=sizes["width"], num_hidden_layers=sizes["layers"],
        num_attention_heads=sizes["heads"], intermediate_size=sizes["inner"],
        max_position_embeddings=sizes["positions"], type_vocab_size=sizes["types"], layer_norm_eps=sizes["epsilon"],
        pad_token_id=packed.pieces.index("<pad>"), bos_token_id=packed.pieces.index("<s>"),
        eos_token_id=packed.pieces.index("</s>"), hidden_act="gelu",
    )  # fmt: skip


def _weights(packed: PackedEncoder, kept: Sequence[int]) -> dict[str, Any]:
    """Give all weights of BertModel by name; its pooler, which the file lacks, changes nothing but by its tanh."""
    width = packed.sizes["width"]
    words = packed.tensor("emb.word").reshape(-1, width)[np.asarray(kept)]
    made = {"embeddings.word_embeddings.weight": words}
    made |= {name: packed.tensor(own) for own, name in EMBEDDINGS.items()}
    for layer in range(packed.sizes["layers"]):
        for own, name in IN_A_LAYER.items():
            made[f"encoder.layer.{layer}.{name}.weight"] = packed.tensor(f"l{layer}.{own}.w")
            made[f"encoder.layer.{layer}.{name}.bias"] = packed.tensor(f"l{layer}.{own}.b")
    made |= {"pooler.dense.weight": np.eye(width, dtype=np.float32), "pooler.dense.bias": np.zeros(width, np.float32)}
    return {name: torch.from_numpy(_shaped(name, array, width).copy()) for name, array in made.items()}


def _shaped(name: str, array: Any, width: int) -> Any:
    """Give a weight its rows, which are outputs: all have one input a unit of `width`, but for the inner one's."""
    if array.ndim > 1 or not name.endswith("weight") or "LayerNorm" in name:
        return array
    if name.endswith("output.dense.weight") and "attention" not in name:
        return array.reshape(width, -1)
    return array.reshape(-1, width)
