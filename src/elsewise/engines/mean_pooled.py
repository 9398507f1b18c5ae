"""An encoder as it came, with a linear head on its embedding: the mean of the last layer's tokens, at length 1.

Source: Reimers & Gurevych (2019), "Sentence-BERT", https://arxiv.org/abs/1908.10084.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, Self

from elsewise.errors import need
from elsewise.storage.json_files import read_arrays

torch = need("torch", extra="train")
transformers = need("transformers", extra="train")

HEAD: Final = "head.safetensors"  # of a folder with such an encoder


class MeanPooled(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Gives logits of the embedding; `engines.torch` runs it as it runs a classifier of `transformers`."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder, self.config = encoder, encoder.config
        self.classifier = torch.nn.Linear(self.config.hidden_size, self.config.num_labels)

    @classmethod
    def from_pretrained(cls, folder: Path, config: Any, **how: Any) -> Self:
        """Open what `save_pretrained` wrote."""
        made = cls(transformers.AutoModel.from_pretrained(folder, config=config, **how))
        head = read_arrays(folder / HEAD)
        made.classifier.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in head.items()})
        return made

    @property
    def device(self) -> Any:
        """Where its weights are."""
        return self.encoder.device

    def forward(self, input_ids: Any, attention_mask: Any = None) -> Any:
        """Return the logits (n, k) of token ids and their mask (n, tokens)."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        return SimpleNamespace(logits=self.classifier(embedding_of(hidden, mask)))

    def get_input_embeddings(self) -> Any:
        """Give the embeddings of token ids."""
        return self.encoder.get_input_embeddings()

    def set_attn_implementation(self, name: str) -> None:
        """Choose how the encoder attends."""
        self.encoder.set_attn_implementation(name)

    def save_pretrained(self, folder: Path, **how: Any) -> None:
        """Write config.json and model.safetensors of the encoder, and the head beside them."""
        from safetensors.torch import save_file  # noqa: PLC0415

        self.encoder.save_pretrained(folder, **how)
        head = self.classifier.state_dict()
        save_file({name: tensor.cpu().contiguous() for name, tensor in head.items()}, folder / HEAD)


def embedding_of(hidden: Any, mask: Any) -> Any:
    """Give the embeddings (n, d), float32, of a last layer (n, tokens, d) under its mask (n, tokens)."""
    hidden, weights = hidden.float(), mask[:, :, None].float()
    return torch.nn.functional.normalize((hidden * weights).sum(dim=1) / weights.sum(dim=1), dim=1)
