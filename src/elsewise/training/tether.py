"""The tether: a second loss that keeps an encoder's embedding of train texts near what it was before fine-tuning.

Fine-tuning on labels folds away what separates texts that are unlike the training texts. The tether is 1 minus the
cosine between the mean of the last layer's tokens and the same mean by the encoder as it came, which is computed once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from elsewise.engines.mean_pooled import MeanPooled, embedding_of
from elsewise.engines.tokenizer import Tokens
from elsewise.engines.torch import TorchModel
from elsewise.errors import need
from elsewise.training.encoder import Learner

torch = need("torch", extra="train")


@dataclass(frozen=True, slots=True, eq=False)
class Tether:
    """A loss for rows of train texts.

    Attributes
    ----------
    weight : float
        How much it counts beside the cross-entropy.
    embedding : (m, e) tensor of float32
        Embeddings of the train texts by the encoder as it came, at length 1.
    """

    weight: float
    embedding: Any

    @classmethod
    def of(cls, learner: Learner, tokens: Tokens, weight: float, precision: str) -> "Tether":
        """Embed m train texts with a learner that has learnt nothing yet, computing in "f32" or "bf16"."""
        model = TorchModel.of(MeanPooled(learner.model.model.base_model), "f32")
        return cls(weight, torch.from_numpy(learner.outputs(model, tokens, precision).features))

    def loss(self, hidden: Any, mask: Any, rows: Any) -> Any:
        """Return the loss of a batch: last layer (n, tokens, d), mask (n, tokens), and rows (n,) of the train texts."""
        theirs = self.embedding.to(hidden.device)[rows]
        return self.weight * (1 - (embedding_of(hidden, mask) * theirs).sum(dim=1)).mean()


@contextmanager
def last_layer(model: Any) -> Iterator[list[Any]]:
    """Catch the last layer's output of a classifier of `transformers` within the block."""
    caught: list[Any] = []
    hook = model.base_model.register_forward_hook(lambda _module, _given, made: caught.append(made[0]))
    try:
        yield caught
    finally:
        hook.remove()
