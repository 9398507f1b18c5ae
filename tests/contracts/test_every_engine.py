"""What holds for every engine in the table. A new engine needs a line in MADE, which makes a small one."""

import numpy as np
import pytest

from elsewise.engines import ENGINES, engine_class
from elsewise.errors import ArtifactError, InputError

WORDS = ["where", "is", "my", "order", "refund", "the", "invoice", "##s", "please", "hello", "a", "b", "c", "?", "12"]
LABELS = tuple(f"label {i}" for i in range(30))
UNREADABLE = ["", "   ", "\t\n", "\x00\x01\x07", "\u200b\u200d", "\ufeff", "\ud83d", "\u00a0\u2028"]
LONGEST = 64


def torch_engine(precision):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {token: i for i, token in enumerate([*special, *WORDS])}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token=special[1]))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=backend, **dict(zip(names, special, strict=True)))
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=LONGEST,
        num_labels=len(LABELS),
        initializer_range=0.5,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.BertForSequenceClassification(config)
    return engine_class("torch").of(model, tokenizer, LABELS, max_length=LONGEST, precision=precision)


def texts(n):
    rng = np.random.default_rng(n)
    return [" ".join(rng.choice(WORDS[:7] + WORDS[8:], size=size)) for size in rng.integers(1, 80, size=n)]


def memory_engine():
    rng = np.random.default_rng(0)
    return engine_class("memory")(LABELS, {text: rng.normal(size=len(LABELS)).tolist() for text in texts(64)})


MADE = {  # makes an engine, its texts, and texts that it cannot read
    "logits": lambda: (
        engine_class("logits")(LABELS),
        np.random.default_rng(0).normal(size=(64, len(LABELS))).tolist(),
        [[bad, *[0.0] * (len(LABELS) - 1)] for bad in (np.nan, np.inf, -np.inf)],
    ),
    "memory": lambda: (memory_engine(), texts(64), [*UNREADABLE, "never heard of"]),
    "torch f32": lambda: (torch_engine("f32"), texts(64), [*UNREADABLE, "完"]),
    "torch bf16": lambda: (torch_engine("bf16"), texts(64), [*UNREADABLE, "完"]),
}


@pytest.fixture(scope="module", params=MADE)
def made(request):
    return MADE[request.param]()


@pytest.fixture(scope="module")
def answers(made):
    engine, known, _ = made
    return engine.run(known)


def equal(outputs, others):
    """Bit for bit, NaN included."""
    pairs = [(outputs.logits, others.logits), (outputs.features, others.features), (outputs.tokens, others.tokens)]
    return all(one is other is None or np.asarray(one).tobytes() == np.asarray(other).tobytes() for one, other in pairs)


def rows(outputs, which):
    return type(outputs)(
        *(
            None if c is None else c[which]
            for c in (outputs.logits, outputs.features, outputs.tokens, outputs.truncated)
        )
    )


def test_every_engine_is_made_here():
    assert {name.split()[0] for name in MADE} == set(ENGINES)


def test_an_engine_has_the_name_it_is_found_by():
    for name in ENGINES:
        if name != "torch" or pytest.importorskip("torch"):
            assert engine_class(name).name == name
    with pytest.raises(ArtifactError, match=r"^unknown engine 'abacus'; this version of elsewise knows logits, memory"):
        engine_class("abacus")


def test_there_is_a_row_for_each_text_and_a_column_for_each_label(made, answers):
    engine, known, _ = made

    assert engine.labels == LABELS
    assert answers.logits.shape == (len(known), len(LABELS))
    assert np.isfinite(answers.logits).all()
    assert len(np.unique(answers.logits.round(6), axis=0)) > 32
    assert answers.features is None or (len(answers.features) == len(known) and np.isfinite(answers.features).all())


def test_a_text_alone_has_the_answer_it_has_among_others(made, answers):
    engine, known, _ = made

    for i in (0, 1, 17, 40, 63):
        assert equal(engine.run([known[i]]), rows(answers, slice(i, i + 1)))


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_texts_changes_no_answer(made, answers, seed):
    engine, known, _ = made
    order = np.random.default_rng(seed).permutation(len(known))

    assert equal(engine.run([known[i] for i in order]), rows(answers, order))


def test_any_part_of_the_texts_has_the_same_answers(made, answers):
    engine, known, _ = made
    for size in (2, 7, 33):
        parts = [engine.run(known[start : start + size]) for start in range(0, len(known), size)]
        assert np.vstack([part.logits for part in parts]).tobytes() == answers.logits.tobytes()


def test_a_text_that_comes_twice_is_answered_twice(made, answers):
    engine, known, _ = made

    assert equal(engine.run([known[3]] * 5), rows(answers, [3] * 5))


def test_an_unreadable_text_is_a_row_of_nan_and_changes_no_other(made, answers):
    engine, known, unreadable = made
    mixed = [text for pair in zip(known, unreadable, strict=False) for text in pair]

    outputs, only = engine.run(mixed), engine.run(unreadable)

    assert np.isnan(only.logits).all()
    assert np.isnan(outputs.logits[1::2]).all()
    assert outputs.logits[::2].tobytes() == answers.logits[: len(unreadable)].tobytes()
    if outputs.features is not None:
        assert np.isnan(outputs.features[1::2]).all()


def test_no_texts_have_no_rows(made):
    outputs = made[0].run([])

    assert outputs.logits.shape == (0, len(LABELS))
    assert outputs.features is None or len(outputs.features) == 0
    assert outputs.truncated is None or outputs.truncated.tolist() == []


def test_tokens_and_truncation_are_told_for_each_text(made, answers):
    engine, known, unreadable = made

    ids, truncated = engine.tokenize([*known, *unreadable])

    assert len(ids) == len(truncated) == len(known) + len(unreadable)
    assert truncated.dtype == bool
    assert answers.tokens is None or answers.tokens.tolist() == [len(i) for i in ids[: len(known)]]


def test_settings_and_canaries_are_json(made, tmp_path):
    """What is written beside the files opens an engine that answers as before."""
    import json

    engine, known, _ = made
    settings = json.loads(json.dumps(dict(engine.settings)))
    canaries = json.loads(json.dumps(list(engine.canaries)))

    engine.save(tmp_path)
    again = type(engine).open(tmp_path, engine.labels, settings)

    assert 1 <= len(canaries) <= 32
    assert again.labels == engine.labels
    assert equal(again.run(known), engine.run(known))
    assert equal(again.run(canaries), engine.run(canaries))


@pytest.mark.parametrize("name", ["torch f32", "torch bf16"])
def test_a_long_text_is_cut_where_the_model_ends_and_this_is_said(name):
    engine = MADE[name]()[0]
    fits, longer, other_end = ("a " * (LONGEST - 2), "a " * (LONGEST - 1), "a " * (LONGEST - 2) + "refund refund")

    outputs = engine.run([fits, longer, other_end, "a"])

    assert outputs.truncated.tolist() == [False, True, True, False]
    assert outputs.tokens.tolist() == [LONGEST, LONGEST, LONGEST, 3]
    assert len({outputs.logits[i].tobytes() for i in range(3)}) == 1


@pytest.mark.parametrize("name", ["torch f32", "torch bf16"])
def test_features_are_what_the_last_layer_reads(name):
    engine = MADE[name]()[0]

    outputs = engine.run(texts(20))

    head = engine.model.classifier
    weight, bias = head.weight.detach().numpy(), head.bias.detach().numpy()
    assert outputs.features.shape == (20, 32)
    assert outputs.features @ weight.T + bias == pytest.approx(outputs.logits, abs=1e-5)


def test_bf16_differs_from_f32_by_its_rounding_only():
    full, half = (MADE[name]()[0].run(texts(64)) for name in ("torch f32", "torch bf16"))

    assert half.logits.dtype == np.float32
    assert 0 < np.abs(half.logits - full.logits).max() < 0.15 * np.abs(full.logits).max()


def test_rows_of_logits_need_one_number_for_each_label():
    engine = engine_class("logits")(("yes", "no"))

    for wrong, got in ((np.zeros((2, 3)), r"\(2, 3\)"), (np.zeros(2), r"\(2,\)")):
        with pytest.raises(InputError, match=rf"^logits must have shape \(n, 2\), a column for each label, got {got}$"):
            engine.run(wrong)


def test_a_memory_needs_one_logit_for_each_label():
    with pytest.raises(InputError, match=r"^2 labels need as many logits, got 1 for 'hm'$"):
        engine_class("memory")(("yes", "no"), {"hm": [1.0]})
    with pytest.raises(InputError, match=r"^2 labels need as many logits, got 3 for 'default'$"):
        engine_class("memory")(("yes", "no"), {}, default=[1.0, 2.0, 3.0])


def test_a_memory_may_have_a_default():
    engine = engine_class("memory")(("yes", "no"), {"sure": [4.0, 0.0]}, default=[0.0, 1.0])

    assert engine.run(["what?", "sure"]).logits.tolist() == [[0.0, 1.0], [4.0, 0.0]]
