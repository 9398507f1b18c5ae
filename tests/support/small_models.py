"""Small models with random weights, of the architectures that people fine-tune."""

from functools import cache

import numpy as np
import pytest

LABELS = tuple(f"label {i}" for i in range(30))
LONGEST = 64
WORDS = ["where", "is", "my", "order", "refund", "the", "invoice", "##s", "please", "hello", "a", "b", "c", "?", "12"]
SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": LONGEST + 8,
    "vocab_size": 64,
    "pad_token_id": 0,
    "initializer_range": 0.3,  # large, so that a mistake with padding shows
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
    "xlnet": {"d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 64, "max_position_embeddings": None},
}


def texts(n, longest=80):
    rng = np.random.default_rng(n)
    return [" ".join(rng.choice(WORDS[:7] + WORDS[8:], size=size)) for size in rng.integers(1, longest, size=n)]


def tokenizer():
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    transformers = pytest.importorskip("transformers")
    vocabulary = {token: i for i, token in enumerate([*SPECIAL.values(), *WORDS])}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token=SPECIAL["unk_token"]))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return transformers.PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL)


def model_of(architecture, seed=0, **more):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    size = {**SMALL, **ARCHITECTURES.get(architecture, {}), **more}
    config = transformers.AutoConfig.for_model(
        architecture, **{name: value for name, value in size.items() if value is not None}, num_labels=len(LABELS)
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return transformers.AutoModelForSequenceClassification.from_config(config)


def learner_of(architecture, **more):
    """A model, its tokenizer, and the tokenizer as engines use it."""
    from elsewise.engines.encoder_facts import padding_side
    from elsewise.engines.torch import TorchModel, text_tokenizer
    from elsewise.training.encoder import Learner

    model, made = TorchModel.of(model_of(architecture, **more), "f32"), tokenizer()
    made.padding_side = padding_side(model.model, made)
    return Learner(model, made, text_tokenizer(made, LONGEST))


def encoder_of(folder, architecture, words=None, **more):
    """Write an encoder with random weights to a folder, as people save theirs."""
    model_of(architecture, **more).save_pretrained(folder)
    (words or tokenizer()).save_pretrained(folder)
    return folder


def files_of(architecture, seed=0, **more):
    """The files of a small model, as `fit` writes them; temporary, for as long as they are held."""
    learner = learner_of(architecture, seed=seed, **more)
    return learner.write(learner.model, LABELS), learner


def graph_of(architecture, seed=0):
    """The files of a small model with its graph, for engines that run one: written once, not to be changed."""
    return _with_graph(architecture, seed), learner_of(architecture, seed=seed)


@cache
def _with_graph(architecture, seed):
    from elsewise.training.onnx_graph import with_graph

    return with_graph(files_of(architecture, seed)[0])


def as_it_came(architecture, seed=7, **more):
    """A mean-pooled encoder with a head, of random weights."""
    from elsewise.engines.mean_pooled import MeanPooled
    from elsewise.engines.torch import TorchModel

    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    whole = model_of(architecture, seed=seed, **more)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = MeanPooled(transformers.AutoModel.from_config(whole.config))
        torch.nn.init.normal_(made.classifier.weight, std=3)
    return TorchModel.of(made, "f32")


@cache
def second_files_of(architecture):
    """The files of a small encoder as it came, as `fit` writes them, with its graph; not to be changed."""
    from elsewise.training.onnx_graph import with_graph

    return with_graph(learner_of(architecture).write(as_it_came(architecture), LABELS))


def asking_a_second(engine, learner, share=0.3):
    """Ask a small encoder as it came beside an engine: about so many texts by energy, and as many by confidence."""
    from dataclasses import replace

    from elsewise.engines.pool import Pool
    from elsewise.engines.second_opinion import SecondOpinion
    from elsewise.fitting.engine_choice import opened_like

    tokens = learner.tokenize(texts(64))
    pool = Pool(0.4, (1.5, 0.8))
    energy, confidence = (float(np.quantile(sign, share)) for sign in pool.signs(engine.run(tokens).logits))
    other = opened_like(engine, second_files_of("bert"), tokens)
    return SecondOpinion(engine, replace(pool, energy=energy, confidence=confidence), other)


def with_token_counts(engine, learner):
    """Mix in token counts that know random codes of a few texts."""
    from elsewise.engines.pool import Pool
    from elsewise.engines.token_counts import TokenCounts, WithTokenCounts

    tokens, codes = learner.tokenize(texts(60)), np.arange(60) % len(LABELS)
    counts = TokenCounts.learn(tokens, codes, len(LABELS), learner.tokenize.special)
    return WithTokenCounts(engine, Pool(0.4, (1.5, 0.8)), counts)


def before(engine, learner, sure=0.4):
    """Put token counts before an engine: they answer about so many of `texts(64)`."""
    from elsewise.engines.cascade import Cascade, HandOver, silent_ids
    from elsewise.engines.token_counts import TokenCounts

    tokens, codes = learner.tokenize(texts(60)), np.arange(60) % len(LABELS)
    counts = TokenCounts.learn(tokens, codes, len(LABELS), learner.tokenize.special)
    logits, known = counts.judged(learner.tokenize(texts(64)), silent_ids(learner.tokenize))
    evidence = float(np.quantile(logits.max(axis=1) * known, 1 - sure))
    over = HandOver(temperature=0.5, confidence=0.01, evidence=evidence, energy=3.0, change=0.01)
    return Cascade(engine, counts, over)
