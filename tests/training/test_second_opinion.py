"""The encoder as it came: its embedding, its head, and the graph of both."""

import numpy as np
import pytest

from elsewise.arrays import softmax
from support.small_models import ARCHITECTURES, LABELS, LONGEST, as_it_came, learner_of, model_of, texts, tokenizer
from support.small_training import how

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from elsewise.engines import engine_class  # noqa: E402
from elsewise.engines.files import Opening  # noqa: E402
from elsewise.engines.logistic_regression import logistic_regression  # noqa: E402
from elsewise.training.onnx_graph import with_graph, write_onnx  # noqa: E402
from elsewise.training.second_opinion import STRENGTH, AsItCame  # noqa: E402


def mean_of_last_layer(encoder, ids):
    with torch.no_grad():
        mean = encoder(torch.from_numpy(ids.astype(np.int64))[None]).last_hidden_state[0].mean(dim=0).numpy()
    return mean / np.linalg.norm(mean)


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """A small encoder in a folder, and what is learnt of it from 60 texts, one of which cannot be read."""
    place = tmp_path_factory.mktemp("encoder")
    model_of("bert").save_pretrained(place)
    tokenizer().save_pretrained(place)
    learner = learner_of("bert")
    tokens, codes = learner.tokenize([*texts(59), ""]), np.arange(60) % len(LABELS)
    return AsItCame.learn(learner, how(encoder=str(place)), tokens, codes, LABELS), tokens, codes, place, learner


def test_the_embedding_is_the_mean_of_the_encoders_last_layer(learnt):
    made, tokens, _, place, _ = learnt
    encoder = transformers.AutoModel.from_pretrained(place).eval()

    direct = np.array([mean_of_last_layer(encoder, ids) for ids in list(tokens)[:-1]])

    assert made.embedding.dtype == np.float16
    assert made.embedding[:-1].astype(float) == pytest.approx(direct, abs=1e-3)
    assert np.isnan(made.embedding[-1]).all()


@pytest.mark.parametrize("name", ["openvino", "onnxruntime", "torch"])
def test_every_engine_gives_the_embedding_and_the_head_of_it(learnt, name):
    made, tokens, codes, _, learner = learnt
    settings = {**learner.tokenize.settings, "precision": "f32"}

    outputs = engine_class(name).open(Opening(with_graph(made.files), LABELS, settings)).run(tokens)

    weight, bias = logistic_regression(made.embedding[:-1].astype(np.float32), codes[:-1], len(LABELS), STRENGTH)
    assert outputs.features[:-1] == pytest.approx(made.embedding[:-1].astype(float), abs=1e-3)
    assert softmax(outputs.logits[:-1]) == pytest.approx(softmax(outputs.features[:-1] @ weight.T + bias), abs=5e-3)
    assert np.isnan(outputs.logits[-1]).all()


def test_learning_it_again_gives_the_same(learnt):
    """A fit that was stopped and repeated ends in the same model."""
    made, tokens, codes, place, learner = learnt

    again = AsItCame.learn(learner, how(encoder=str(place)), tokens, codes, LABELS)

    assert again.files.digests == made.files.digests
    assert again.embedding.tobytes() == made.embedding.tobytes()


@pytest.mark.parametrize("architecture", sorted({*ARCHITECTURES} - {"bert"}))
def test_the_graph_of_every_architecture_answers_as_torch_does(architecture):
    """Padding among the tokens; none of it counts in the mean."""
    model, learner = as_it_came(architecture), learner_of("bert")
    files, rng = with_graph(learner.write(model, LABELS)), np.random.default_rng(0)
    engine = engine_class("openvino").open(Opening(files, LABELS, {**learner.tokenize.settings, "precision": "f32"}))

    for length in (3, 11, LONGEST):
        ids = rng.integers(5, 20, size=(4, length))
        mask = np.ones_like(ids)
        mask[1:, 1 + length // 2 :] = 0
        ((logits, features),) = engine.model.forward([(ids, mask)])
        ((plain, embedding),) = model.forward([(ids, mask)])
        assert np.abs(features - embedding).max() < 1e-4
        assert np.abs(logits - plain).max() < 1e-3


def test_padding_does_not_count_in_the_mean():
    model, ids = as_it_came("bert"), np.array([[2, 7, 8, 9, 3, 0, 0, 0]])
    mask = (ids > 0).astype(np.int64)

    ((_, padded),) = model.forward([(ids, mask)])
    ((_, plain),) = model.forward([(ids[:, :5], mask[:, :5])])

    assert np.abs(padded - plain).max() < 1e-5


def test_attention_is_as_it_was_when_a_graph_has_been_written(tmp_path):
    model = as_it_came("bert")
    before = model.model.config._attn_implementation

    write_onnx(model, tmp_path)

    assert model.model.encoder.config._attn_implementation == before == "sdpa"
