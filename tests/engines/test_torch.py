"""The torch engine on the architectures that people fine-tune, with small random weights."""

import numpy as np
import pytest

from elsewise.calibrators import Temperature
from elsewise.engines.torch import TorchEngine, last_linear, resolve_precision
from elsewise.errors import InputError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

WORDS = ["where", "is", "my", "order", "please", "cancel", "it", "now", "thank", "you"]
LABELS = ("a", "b", "c", "d", "e")
LONGEST = 40
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": LONGEST + 8,
    "vocab_size": 64,
    "pad_token_id": 0,
    "initializer_range": 0.3,
}
ARCHITECTURES = {
    "bert": {},
    "distilbert": {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 2},
    "roberta": {},
    "xlm-roberta": {},
    "electra": {"embedding_size": 32},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_buckets": 16},
    "modernbert": {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3},
    "albert": {"embedding_size": 32},
    "mpnet": {},
}


@pytest.fixture(scope="module")
def tokenizer():
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {token: i for i, token in enumerate([*special, *WORDS])}
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))  # noqa: S106
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return transformers.PreTrainedTokenizerFast(tokenizer_object=backend, **dict(zip(names, special, strict=True)))


def model_of(architecture, **more):
    config = transformers.AutoConfig.for_model(
        architecture, **{**SMALL, **ARCHITECTURES.get(architecture, {}), **more}, num_labels=len(LABELS)
    )
    torch.manual_seed(0)
    return transformers.AutoModelForSequenceClassification.from_config(config)


def texts(n=24):
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, size=size)) for size in rng.integers(1, LONGEST - 2, size=n)]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logits_are_those_of_the_model_and_features_lead_to_them(architecture, tokenizer):
    model = model_of(architecture)
    engine = TorchEngine.of(model, tokenizer, LABELS, max_length=LONGEST, precision="f32")

    outputs = engine.run(texts())

    head = last_linear(model)
    weight, bias = head.weight.detach().numpy(), head.bias.detach().numpy()
    with torch.no_grad():
        plain = [model(input_ids=torch.tensor([engine.backend.encode(text).ids])).logits[0].numpy() for text in texts()]
    assert np.abs(outputs.logits - np.array(plain)).max() < 1e-4
    assert np.abs(outputs.features @ weight.T + bias - outputs.logits).max() < 1e-4


@pytest.mark.parametrize("architecture", ["bert", "roberta", "electra"])
def test_a_folded_temperature_divides_the_logits_and_leaves_the_first_engine_alone(architecture, tokenizer):
    engine = TorchEngine.of(model_of(architecture), tokenizer, LABELS, max_length=LONGEST, precision="f32")
    before = engine.run(texts()).logits

    folded = engine.folded(Temperature(0.5))

    assert np.allclose(folded.run(texts()).logits, 2 * before, atol=1e-5)
    assert engine.run(texts()).logits.tobytes() == before.tobytes()


def test_a_head_that_scores_every_token_is_refused(tokenizer):
    model = model_of("gpt2", n_embd=32, n_layer=1, n_head=2, n_positions=64)

    with pytest.raises(InputError, match="scores every token, not every text"):
        TorchEngine.of(model, tokenizer, LABELS, max_length=LONGEST, precision="f32")


def test_a_tokenizer_without_a_fast_backend_is_refused():
    with pytest.raises(InputError, match=r"has no tokenizer\.json; take an encoder that has one"):
        TorchEngine.of(model_of("bert"), object(), LABELS, max_length=LONGEST, precision="f32")


def test_precisions_are_checked():
    assert resolve_precision("f32") == "f32"
    assert resolve_precision("auto") in ("bf16", "f32")
    with pytest.raises(InputError, match="precision must be one of auto, bf16, f32, got 'int4'"):
        resolve_precision("int4")
