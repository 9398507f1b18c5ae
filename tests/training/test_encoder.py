"""Encoders as people save theirs: opened with their own limits, or refused in one line."""

import json

import numpy as np
import pytest
import tokenizers

from support.native import is_compiled
from support.small_models import as_it_came, encoder_of, learner_of, texts, tokenizer

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from elsewise.errors import InputError  # noqa: E402
from elsewise.training.encoder import Learner, prepare  # noqa: E402
from elsewise.training.settings import Training  # noqa: E402

LABELS = ("a", "b", "c")


def prepared(folder, **settings):
    return prepare(LABELS, Training(encoder=str(folder), **settings))


@pytest.mark.parametrize(("architecture", "longest"), [("bert", 72), ("mpnet", 70), ("roberta", 71), ("xlnet", 256)])
def test_as_many_tokens_are_read_as_there_are_positions(tmp_path, architecture, longest):
    learner = prepared(encoder_of(tmp_path, architecture))

    tokens = learner.tokenize(["where is my order " * 100])

    assert tokens.lengths.tolist() == [longest]
    assert np.isfinite(learner.by_torch(learner.model, tokens).logits).all()


def test_fewer_tokens_are_read_where_that_was_asked_for(tmp_path):
    assert prepared(encoder_of(tmp_path, "bert"), max_length=10).tokenize.max_length == 10


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(("architecture", "positions"), [("bert", 200), ("xlnet", None)])
def test_padding_changes_no_answer_whatever_the_tokenizer_says(tmp_path, architecture, positions, side):
    """Above 64 tokens lengths are rounded up; XLNet reads its last token, and must not find padding there."""
    words = tokenizer()
    words.padding_side = side
    learner = prepared(encoder_of(tmp_path, architecture, words, max_position_embeddings=positions))
    texts = ["order " * length for length in (3, 64, 67, 90)]

    logits = learner.by_torch(learner.model, learner.tokenize(texts)).logits
    padded = learner.tokenizer(texts, padding=True, return_tensors="pt")

    with torch.no_grad():
        alone = [learner.model.model(**learner.tokenizer(text, return_tensors="pt")).logits for text in texts]
        together = learner.model.model(input_ids=padded["input_ids"], attention_mask=padded["attention_mask"]).logits
    assert np.abs(logits - torch.cat(alone).numpy()).max() < 1e-5
    assert np.abs(together.numpy() - logits).max() < 1e-5


def test_a_tokenizer_with_words_that_were_added_to_it_alone_is_refused(tmp_path):
    words = tokenizer()
    words.add_tokens([f"<T{i}>" for i in range(50)])

    with pytest.raises(InputError, match=r"^encoder .* has 64 embeddings, and its tokenizer has ids up to 69 "):
        prepared(encoder_of(tmp_path, "bert", words))


def test_turkish_lowercasing_holds_for_whoever_reads_the_folder(tmp_path):
    """Also for an encoder of a class that makes its steps anew: BertTokenizer."""
    words = transformers.BertTokenizer(vocab={word: i for i, word in enumerate(tokenizer().get_vocab())})
    encoder_of(tmp_path / "encoder", "bert", words)
    learner = prepared(tmp_path / "encoder", lowercase="tr")

    learner.model.write(tmp_path / "made", learner.tokenizer, LABELS, 64)
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "made")
    backend = tokenizers.Tokenizer.from_file(str(tmp_path / "made" / "tokenizer.json"))

    text = "WHERE İS IT"
    assert again.backend_tokenizer.normalizer.normalize_str(text) == "where is ıt"
    assert again(text)["input_ids"] == backend.encode(text).ids == learner.tokenize([text]).ids.tolist()
    assert again.all_special_tokens == words.all_special_tokens
    described = json.loads((tmp_path / "made" / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert described["tokenizer_class"] == "PreTrainedTokenizerFast"


def test_lowercasing_as_in_a_language_that_is_not_known_is_refused():
    with pytest.raises(InputError, match=r"^lowercase must be 'tr', got 'german'$"):
        Training(lowercase="german")


@pytest.mark.parametrize("architecture", ["bert", "roberta", "distilbert", "electra", "mpnet"])
def test_the_native_engine_stands_in_for_torch_where_it_computes_the_encoder(architecture, monkeypatch):
    learner, as_given = learner_of(architecture), as_it_came(architecture)
    tokens, asked = learner.tokenize([*texts(40), ""]), []
    really = Learner.by_torch
    monkeypatch.setattr(Learner, "by_torch", lambda *given: asked.append(1) or really(*given))

    for model in (learner.model, as_given):
        ours, theirs = learner.outputs(model, tokens), really(learner, model, tokens)
        assert ours.logits == pytest.approx(theirs.logits, abs=2e-3, nan_ok=True)
        assert ours.features == pytest.approx(theirs.features, abs=1e-3, nan_ok=True)
        assert np.isnan(ours.logits[-1]).all()

    assert len(asked) == (2 if architecture == "mpnet" or not is_compiled() else 0)


def test_weights_that_are_no_numbers_are_left_to_torch():
    """Whoever calls says what is wrong with them: a training that has diverged, for instance."""
    learner = learner_of("bert")
    with torch.no_grad():
        learner.model.model.classifier.bias.fill_(float("nan"))

    assert np.isnan(learner.outputs(learner.model, learner.tokenize(texts(3))).logits).all()
