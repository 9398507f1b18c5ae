"""The second opinion: the encoder as it came, with a logistic regression on its embeddings of train texts."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes
from elsewise.engines.encoders import find_encoder
from elsewise.engines.files import ModelFiles
from elsewise.engines.logistic_regression import logistic_regression
from elsewise.engines.mean_pooled import MeanPooled
from elsewise.engines.tokenizer import Tokens
from elsewise.engines.torch import TorchModel, plain_config
from elsewise.errors import need
from elsewise.training.encoder import Learner
from elsewise.training.settings import Training

torch = need("torch", extra="train")
transformers = need("transformers", extra="train")

STRENGTH: Final = 30.0  # inverse regularisation strength C


@dataclass(frozen=True, slots=True, eq=False)
class AsItCame:
    """The encoder before fine-tuning, with a head of its own.

    Attributes
    ----------
    model : TorchModel
        With its head.
    files : ModelFiles
        Its files, as those of any model.
    embedding : (m, e) float16
        Embeddings of the texts that the head was fitted on, at length 1; NaN for an unreadable text.
    """

    model: TorchModel
    files: ModelFiles
    embedding: NDArray[np.float16]

    @classmethod
    def learn(
        cls, learner: Learner, how: Training, tokens: Tokens, codes: Codes, labels: tuple[str, ...]
    ) -> "AsItCame":
        """Open the encoder once more, and fit a head on the embeddings of m train texts with codes (m,).

        Raises whatever `transformers` and torch raise for an encoder without such an embedding.
        """
        place = find_encoder(how.encoder)
        config = plain_config(place, num_labels=len(labels), id2label=dict(enumerate(labels)))
        encoder = transformers.AutoModel.from_pretrained(
            place, config=config, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
        )
        model = TorchModel.of(MeanPooled(encoder), "f32")
        embedding = learner.outputs(model, tokens, how.precision).features
        assert embedding is not None
        read = np.isfinite(embedding).all(axis=1)
        weight, bias = logistic_regression(embedding[read], codes[read], len(labels), STRENGTH)
        with torch.no_grad():
            model.model.classifier.weight.copy_(torch.from_numpy(weight))
            model.model.classifier.bias.copy_(torch.from_numpy(bias))
        return cls(model, learner.write(model, labels), embedding.astype(np.float16))
