"""A fine-tuned folder as `transformers` opens it, and what would answer otherwise refused with what to do."""

import json
import shutil

import numpy as np
import pytest

from support.small_models import ARCHITECTURES, LABELS, model_of, texts, tokenizer

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from elsewise.errors import InputError  # noqa: E402
from elsewise.training.saved_folder import labels_of_head  # noqa: E402
from elsewise.training.trained_folder import open_trained  # noqa: E402


def saved(place, architecture="bert", reads=None, **more):
    """Save a small model with a head of random weights."""
    tuned = model_of(architecture, **more)
    tuned.config.id2label = dict(enumerate(LABELS))
    tuned.config.label2id = {label: code for code, label in enumerate(LABELS)}
    tuned.save_pretrained(place)
    (reads or tokenizer()).save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("kept") / "mine")


@pytest.fixture
def mine(kept, tmp_path, monkeypatch):
    shutil.copytree(kept, tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mine"


def changed(folder, name="config.json", **values):
    file = folder / name
    file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), **values}), encoding="utf-8")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_logits_are_those_of_transformers(architecture, tmp_path):
    place = saved(tmp_path / "mine", architecture)
    reads = transformers.AutoTokenizer.from_pretrained(place)
    tuned = transformers.AutoModelForSequenceClassification.from_pretrained(place).eval()

    learner, labels = open_trained(str(place))

    limit = learner.tokenize.max_length
    given = [reads(text, truncation=True, max_length=limit, return_tensors="pt") for text in texts(20, longest=90)]
    with torch.inference_mode():
        own = np.vstack([tuned(**one).logits for one in given])
    assert labels == LABELS
    assert learner.outputs(learner.model, learner.tokenize(texts(20, longest=90))).logits == pytest.approx(
        own, abs=1e-4
    )


@pytest.mark.parametrize(("says", "limit"), [(None, 72), (40, 40), (500, 72)])
def test_it_reads_what_its_tokenizer_says_and_what_it_has_positions_for(says, limit, mine):
    if says:
        changed(mine, "tokenizer_config.json", model_max_length=says)

    assert open_trained("mine")[0].tokenize.max_length == limit


def test_labels_come_in_the_order_of_their_codes_however_they_were_written(mine):
    config = json.loads((mine / "config.json").read_text(encoding="utf-8"))
    changed(mine, id2label=dict(reversed(config["id2label"].items())))

    assert open_trained("mine")[1] == LABELS
    assert set(labels_of_head("mine")) == set(LABELS)


@pytest.mark.parametrize("lowers", [True, False])
def test_upper_case_is_read_as_the_model_reads_it(lowers, mine):
    """Also from a folder of older versions of `transformers`, with a vocabulary and no tokenizer.json."""
    words = [*tokenizer().get_vocab(), "Order"]
    (mine / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    (mine / "tokenizer.json").unlink()
    reads = {"tokenizer_class": "BertTokenizer", "do_lower_case": lowers}
    (mine / "tokenizer_config.json").write_text(json.dumps(reads), encoding="utf-8")

    ids = open_trained("mine")[0].tokenize(["my Order"]).ids.tolist()

    assert ids == transformers.AutoTokenizer.from_pretrained(mine)("my Order")["input_ids"]
    assert [words[i] for i in ids[1:-1]] == ["my", "order" if lowers else "Order"]


def test_the_check_leaves_no_truncation_in_the_tokenizer(mine, tmp_path):
    learner, _ = open_trained("mine")
    learner.tokenizer.save_pretrained(tmp_path / "again")

    assert json.loads((tmp_path / "again" / "tokenizer.json").read_text(encoding="utf-8"))["truncation"] is None


WRAP = r"; open it yourself: elsewise\.fit\(texts, labels, engine=elsewise\.wrap\(\(model, tokenizer\)\)\)$"


def test_a_model_that_answers_otherwise_where_a_text_is_padded_is_refused(mine, monkeypatch):
    """Such as one that reads the last token; here, one that looks at every token whatever the mask says."""
    forward = transformers.BertForSequenceClassification.forward

    def deaf(self, input_ids, attention_mask=None, **more):
        return forward(self, input_ids, torch.ones_like(input_ids), **more)

    monkeypatch.setattr(transformers.BertForSequenceClassification, "forward", deaf)

    with pytest.raises(InputError, match=rf"^mine: its logits differ by .* where a text is padded{WRAP}"):
        open_trained("mine")


def test_an_encoder_without_a_tokenizer_is_refused_too(mine):
    """`transformers` opens one of special tokens alone, and knows no word."""
    from elsewise.training.encoder import load_encoder

    (mine / "tokenizer.json").unlink()

    with pytest.raises(InputError, match=r"^encoder mine has no tokenizer; save it there: "):
        load_encoder("mine", ("a", "b"))


@pytest.mark.parametrize("folder", ["nowhere", "mine/model.safetensors"])
def test_what_is_no_folder_has_no_head(folder, mine):
    assert labels_of_head(folder) == ()


def test_a_base_model_has_no_head(mine):
    model_of("bert").bert.save_pretrained(mine)

    assert labels_of_head("mine") == ()
