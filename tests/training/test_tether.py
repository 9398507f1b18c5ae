"""The tether: fine-tuning with it leaves the embedding of train texts where the encoder as it came has it."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from elsewise.engines.batching import run_batched  # noqa: E402
from elsewise.engines.mean_pooled import MeanPooled  # noqa: E402
from elsewise.engines.torch import TorchModel  # noqa: E402
from elsewise.errors import InputError  # noqa: E402
from elsewise.training.fine_tune import train  # noqa: E402
from elsewise.training.tether import Tether, last_layer  # noqa: E402
from support.small_models import ARCHITECTURES, learner_of, texts  # noqa: E402
from support.small_training import how, rows, trained  # noqa: E402


def embeddings(learner, tokens):
    model = TorchModel.of(MeanPooled(learner.model.model.base_model), "f32")
    return run_batched(tokens, learner.tokenize, model.forward, model.widths, model.budget).features


def moved(weight):
    """Mean cosine of train texts between before and after a training, and its tune log loss."""
    learner = learner_of("bert")
    transformers.set_seed(0)
    tokens = learner.tokenize(rows(0, 80).texts)
    before = embeddings(learner, tokens)
    train(learner, rows(0, 80), rows(100, 40), how(tether=weight, epochs=6))
    return float((before * embeddings(learner, tokens)).sum(axis=1).mean())


def test_a_tethered_training_moves_embeddings_less_and_a_strong_one_hardly():
    free, tethered, strong = moved(0.0), moved(3.0), moved(100.0)

    assert free < tethered < strong
    assert strong > 0.98


def test_the_loss_is_one_minus_the_cosine_times_its_weight_and_begins_at_0():
    learner = learner_of("bert")
    tokens = learner.tokenize(texts(6))
    tether = Tether.of(learner, tokens, 3.0, "f32")
    model = learner.model.model.eval()
    ids = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(one).long() for one in tokens], batch_first=True)
    mask = (torch.arange(ids.shape[1]) < torch.from_numpy(tokens.lengths)[:, None]).long()

    with torch.no_grad(), last_layer(model) as caught:
        model(input_ids=ids, attention_mask=mask)
        own, other = (tether.loss(caught[-1], mask, torch.tensor(at)) for at in (range(6), [1, 2, 3, 4, 5, 0]))

    cosines = (embeddings(learner, tokens) * embeddings(learner, tokens)[[1, 2, 3, 4, 5, 0]]).sum(axis=1)
    assert float(own) == pytest.approx(0, abs=1e-5)
    assert float(other) == pytest.approx(3 * (1 - cosines).mean(), abs=1e-5)


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_the_last_layer_of_every_architecture_is_caught(architecture):
    learner = learner_of(architecture)
    model = learner.model.model.eval()
    ids = torch.arange(5, 12)[None]

    with torch.no_grad(), last_layer(model) as caught:
        model(input_ids=ids, attention_mask=torch.ones_like(ids))

    assert caught[-1].shape == (1, 7, model.config.hidden_size)


def test_a_tethered_training_is_repeated_bit_for_bit():
    first, again = trained(tether=3.0), trained(tether=3.0)

    assert all(np.array_equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize("weight", [-1, float("nan"), float("inf")])
def test_a_weight_that_cannot_be_is_refused(weight):
    with pytest.raises(InputError, match="tether must be at least 0 and finite"):
        how(tether=weight)
