"""The encoder as it came: its embedding, its head, and the graph of both."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from elsewise.arrays import softmax
from support.small_models import ARCHITECTURES, LABELS, LONGEST, as_it_came, learner_of, model_of, texts, tokenizer
from support.small_training import how

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from elsewise.engines import engine_class  # noqa: E402
from elsewise.engines.files import Opening  # noqa: E402
from elsewise.training.onnx_graph import write_model  # noqa: E402
from elsewise.training.second_opinion import STRENGTH, AsItCame, logistic_regression  # noqa: E402

K = 5


def embeddings(n=400, d=12, k=K, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(k, size=n)
    rows = np.eye(d)[codes] + rng.normal(size=(n, d))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), codes


@pytest.mark.parametrize("k", [2, K])
def test_the_head_is_the_logistic_regression_of_scikit_learn(k):
    """For two labels scikit-learn has one vector instead of two that differ: its penalty is then half of ours."""
    x, codes = embeddings(k=k)
    strength = STRENGTH * (2 if k == 2 else 1)

    weight, bias = logistic_regression(x, codes, k)

    theirs = LogisticRegression(C=strength, max_iter=2000, tol=1e-8).fit(x, codes).predict_proba(x)
    assert softmax(x @ weight.T + bias) == pytest.approx(theirs, abs=1e-3)


def test_a_label_of_one_row_and_one_of_none_have_a_place_in_the_head():
    x, codes = embeddings(k=3)
    codes[codes == 2] = 0
    codes[0] = 2

    weight, bias = logistic_regression(x, codes, 4)

    p = softmax(x @ weight.T + bias)
    assert (weight.shape, bias.shape) == ((4, 12), (4,))
    assert p[0].argmax() == 2
    assert p[:, 3].max() < 0.01


def test_embeddings_that_are_all_equal_have_the_frequencies_of_labels_as_probabilities():
    codes = np.array([0] * 60 + [1] * 30 + [2] * 10)

    weight, bias = logistic_regression(np.full((100, 4), 0.5), codes, 3)

    assert softmax(np.full((1, 4), 0.5) @ weight.T + bias)[0] == pytest.approx([0.6, 0.3, 0.1], abs=1e-3)


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

    outputs = engine_class(name).open(Opening(made.files, LABELS, settings)).run(tokens)

    weight, bias = logistic_regression(made.embedding[:-1].astype(np.float32), codes[:-1], len(LABELS))
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
    files, rng = write_model(model, learner, LABELS), np.random.default_rng(0)
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


def test_attention_is_as_it_was_when_a_graph_has_been_written():
    model = as_it_came("bert")
    before = model.model.config._attn_implementation

    write_model(model, learner_of("bert"), LABELS)

    assert model.model.encoder.config._attn_implementation == before == "sdpa"
