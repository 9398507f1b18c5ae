"""The second opinion: the encoder as it came, with a logistic regression on its embeddings of train texts."""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes, Floats, log_softmax
from elsewise.engines.batching import run_batched
from elsewise.engines.encoders import find_encoder
from elsewise.engines.files import ModelFiles
from elsewise.engines.mean_pooled import MeanPooled
from elsewise.engines.tokenizer import Tokens
from elsewise.engines.torch import TorchModel, plain_config
from elsewise.errors import need
from elsewise.training.encoder import Learner
from elsewise.training.onnx_graph import write_model
from elsewise.training.settings import Training

torch = need("torch", extra="train")
transformers = need("transformers", extra="train")

STRENGTH: Final = 30.0  # inverse regularisation strength C
STEPS: Final = 200  # of the solver, at most


@dataclass(frozen=True, slots=True, eq=False)
class AsItCame:
    """The encoder before fine-tuning, with a head of its own.

    Attributes
    ----------
    files : ModelFiles
        Its files, as those of any model.
    embedding : (m, e) float16
        Embeddings of the texts that the head was fitted on, at length 1; NaN for an unreadable text.
    """

    files: ModelFiles
    embedding: NDArray[np.float16]

    @classmethod
    def learn(
        cls, learner: Learner, how: Training, tokens: Tokens, codes: Codes, labels: tuple[str, ...]
    ) -> "AsItCame":
        """Open the encoder once more, and fit a head on the embeddings of m train texts with codes (m,).

        Raises whatever `transformers` and torch raise for an encoder without such an embedding, and InputError if torch
        cannot trace it.
        """
        place = find_encoder(how.encoder)
        config = plain_config(place, num_labels=len(labels), id2label=dict(enumerate(labels)))
        encoder = transformers.AutoModel.from_pretrained(
            place, config=config, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
        )
        model = TorchModel.of(MeanPooled(encoder), "f32")
        fast = replace(model, precision="bf16") if how.precision == "bf16" else model
        embedding: Any = run_batched(tokens, learner.tokenize, fast.forward, fast.widths, fast.budget).features
        read = np.isfinite(embedding).all(axis=1)
        weight, bias = logistic_regression(embedding[read], codes[read], len(labels))
        with torch.no_grad():
            model.model.classifier.weight.copy_(torch.from_numpy(weight))
            model.model.classifier.bias.copy_(torch.from_numpy(bias))
        return cls(write_model(model, learner, labels), embedding.astype(np.float16))


def logistic_regression(x: Floats, codes: Codes, k: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fit a logistic regression on rows (n, d) with codes (n,), 0..k-1: weights (k, d) and biases (k,).

    The penalty is that of scikit-learn's C = 30, of all weights and of no bias.
    """
    from scipy.optimize import minimize  # noqa: PLC0415

    rows = np.concatenate([x.astype(np.float32), np.ones((len(x), 1), np.float32)], axis=1)
    penalty = np.append(np.full(x.shape[1], 1 / (STRENGTH * len(rows)), np.float32), 0)

    def loss(flat: NDArray[Any]) -> tuple[float, NDArray[np.float64]]:
        w = flat.reshape(k, -1).astype(np.float32)
        log_p = log_softmax(rows @ w.T)
        apart = np.exp(log_p)
        apart[np.arange(len(rows)), codes] -= 1
        value = -float(log_p[np.arange(len(rows)), codes].mean(dtype=np.float64)) + float((penalty * w**2).sum()) / 2
        return value, (apart.T @ rows / len(rows) + penalty * w).ravel().astype(np.float64)

    found = minimize(loss, np.zeros(k * rows.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": STEPS})
    w = found.x.reshape(k, -1).astype(np.float32)
    return np.ascontiguousarray(w[:, :-1]), np.ascontiguousarray(w[:, -1])
