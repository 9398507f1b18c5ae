"""The torch engine on the architectures that people fine-tune, with small random weights."""

import json

import numpy as np
import pytest

from elsewise.calibrators import Temperature
from elsewise.engines.files import ModelFiles, Opening
from elsewise.errors import InputError
from support.small_models import ARCHITECTURES, LABELS, learner_of, model_of, texts, tokenizer

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from elsewise.engines.torch import TorchModel, head_input, last_linear, text_tokenizer  # noqa: E402


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logits_are_those_of_the_model_and_features_lead_to_them(architecture):
    learner = learner_of(architecture)
    model, tokens = learner.model.model, learner.tokenize(texts(24))

    outputs = learner.by_torch(learner.model, tokens)

    head = last_linear(model)
    with torch.no_grad():
        plain = [model(input_ids=torch.tensor([ids.tolist()])).logits[0].numpy() for ids in tokens]
        again = torch.nn.functional.linear(torch.from_numpy(outputs.features), head.weight, head.bias).numpy()
    assert np.abs(outputs.logits - np.array(plain)).max() < 1e-4
    assert np.abs(again - outputs.logits).max() < 1e-4


@pytest.mark.parametrize("architecture", ["bert", "roberta", "electra"])
def test_a_folded_temperature_divides_the_logits_and_leaves_the_first_model_alone(architecture):
    learner = learner_of(architecture)
    tokens = learner.tokenize(texts(24))
    before = learner.by_torch(learner.model, tokens).logits

    folded = learner.model.folded(Temperature(0.5))

    assert np.allclose(learner.by_torch(folded, tokens).logits, 2 * before, atol=1e-5)
    assert learner.by_torch(learner.model, tokens).logits.tobytes() == before.tobytes()


def test_the_input_of_the_head_is_that_of_this_thread_alone():
    from concurrent.futures import ThreadPoolExecutor

    model, ids = model_of("bert"), torch.ones(2, 5, dtype=torch.int64)
    with torch.no_grad(), ThreadPoolExecutor(1) as another, head_input(model) as outer:
        another.submit(model, ids).result()
        with head_input(model) as inner:
            logits = model(ids).logits
        model(ids)

    assert (len(outer), len(inner)) == (2, 1)
    assert torch.equal(last_linear(model)(inner[0]), logits)
    assert not last_linear(model)._forward_pre_hooks


def test_a_head_that_scores_every_token_is_refused():
    model = model_of("gpt2", n_embd=32, n_layer=1, n_head=2, n_positions=64)

    with pytest.raises(InputError, match="scores every token, not every text"):
        TorchModel.of(model, "f32")


def test_a_tokenizer_without_a_fast_backend_is_refused():
    with pytest.raises(InputError, match=r"has no tokenizer\.json; take another encoder"):
        text_tokenizer(object(), 64)


def test_a_certificate_of_another_device_is_refused(tmp_path):
    learner = learner_of("bert")
    learner.model.write(tmp_path, tokenizer(), LABELS, 64)
    settings = {**learner.tokenize.settings, "precision": "f32", "device": "abacus"}

    with pytest.raises(InputError, match="certified on abacus, and this machine computes on c"):
        TorchModel.open(Opening(ModelFiles.of(tmp_path), LABELS, settings))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device: it is tested where there is one")
@pytest.mark.parametrize("precision", ["f32", "bf16", "f16"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_gpu_gives_the_answers_of_the_processor(architecture, precision):
    from dataclasses import replace

    learner = learner_of(architecture)
    tokens = learner.tokenize(texts(300))
    with torch.no_grad():
        own = learner.model.model.to("cpu")
        plain = np.array([own(input_ids=torch.tensor([ids.tolist()])).logits[0].numpy() for ids in tokens])
    model = TorchModel.of(own, precision)

    outputs = learner.by_torch(model, tokens)
    alone = learner.by_torch(replace(model), learner.tokenize(texts(300)[:1]))

    assert model.model.device.type == "cuda"
    assert np.abs(outputs.logits - plain).max() < (1e-3 if precision == "f32" else 0.3)
    assert alone.logits.tobytes() == outputs.logits[:1].tobytes()


# config.json


def config_of(tmp_path, **more):
    from elsewise.engines.torch import plain_config

    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", **more}), encoding="utf-8")
    return plain_config(tmp_path, local_files_only=True)


@pytest.mark.parametrize(
    "more",
    [{"rope_theta": 10**7}, {"max_position_embeddings": 2**21}, {"num_hidden_layers": 1000}, {"pad_token_id": -1}],
)
def test_the_sizes_that_models_have_are_taken(tmp_path, more):
    assert config_of(tmp_path, **more).model_type == "bert"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"num_hidden_layers": 1001}, r"num_hidden_layers 1,001"),
        ({"encoder": {"n_layers": [12, 10**6]}}, r"n_layers 1,000,000"),
        ({"vocab_size": 2**21 + 1}, r"vocab_size 2,097,153"),
        ({"num_labels": 10**9}, r"num_labels 1,000,000,000"),
        ({"hidden_size": -(2**40)}, r"hidden_size -1,099,511,627,776"),
    ],
)
def test_sizes_that_no_model_has_are_refused_before_it_is_made(tmp_path, more, said):
    with pytest.raises(InputError, match=rf"its config\.json says {said}, which no model has"):
        config_of(tmp_path, **more)


@pytest.mark.parametrize("key", ["transformers_weights", "configuration_files"])
def test_a_config_that_names_what_to_open_is_refused(tmp_path, key):
    """Such a file is in no fingerprint."""
    with pytest.raises(InputError, match=rf"it has weights or settings in other files \({key}\)"):
        config_of(tmp_path, **{key: ["config.4.0.0.json"]})
