"""From a fine-tuned folder to a certified classifier, whose answers are those of `transformers`, calibrated."""

import shutil
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("onnxruntime")

import elsewise as ew  # noqa: E402
from elsewise.classifier.kept_rows import refit_tokens  # noqa: E402
from elsewise.data.sample import OUT_OF_SCOPE  # noqa: E402
from elsewise.errors import ElsewiseWarning, InputError  # noqa: E402
from elsewise.evaluation import explain  # noqa: E402
from elsewise.fitting import open_threshold  # noqa: E402
from elsewise.fitting.calibrate_folder import calibrate_folder  # noqa: E402
from elsewise.fitting.certify import Promise, Words  # noqa: E402
from elsewise.fitting.export import export  # noqa: E402
from support.workshop import linked  # noqa: E402

NEW = ["where is my parcel, it is two weeks late", "I want my money back", "what is the capital of France", "x"]


@pytest.fixture(scope="module")
def made(calibrated):
    return ew.load(calibrated)


@pytest.fixture
def folder(calibrated, tmp_path):
    linked(calibrated, tmp_path / "model")
    return tmp_path / "model"


def columns(rows):
    return [row.text for row in rows], [row.label for row in rows]


def own_logits(place, texts):
    """What `transformers` answers, text by text, without padding."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(place)
    tuned = transformers.AutoModelForSequenceClassification.from_pretrained(place, dtype=torch.float32).eval()
    with torch.inference_mode():
        return np.vstack([tuned(**tokenizer(text, truncation=True, return_tensors="pt")).logits for text in texts])


def test_before_calibration_the_probabilities_are_those_of_transformers_on_the_folder(made, my_bert, held_out):
    texts = [row.text for row in held_out[:60]] + NEW

    unfolded = made.provenance.folded.temperature * made.engine.run(texts).logits

    assert ew.softmax(unfolded) == pytest.approx(ew.softmax(own_logits(my_bert, texts)), abs=1e-5)


def test_after_it_they_are_those_of_transformers_on_the_new_folder(made, calibrated):
    assert made.probabilities(NEW) == pytest.approx(ew.softmax(own_logits(calibrated, NEW)), abs=1e-5)


def test_it_is_calibrated_certified_and_judged(made, my_bert, held_out):
    config = transformers.AutoConfig.from_pretrained(my_bert)

    assert made.labels == tuple(config.id2label[code] for code in range(config.num_labels))
    assert made.provenance.folded.temperature > 1.5
    assert made.certificate.certified
    assert made.certificate.target_accuracy == 0.6
    assert made.evaluation["rows"]["in_scope"] + made.evaluation["rows"]["out_of_scope"] == 300
    assert made.provenance.record["model"] == {
        "folder": str(my_bert), "kind": "BertForSequenceClassification", "max_length": 128
    }  # fmt: skip
    splits = made.provenance.record["splits"]
    assert splits == {"train": 0, "tune": 300, "certify": 600, "test": 300}
    assert sum(splits.values()) == len(held_out)


def test_what_needs_train_rows_takes_half_of_the_tune_rows_or_is_left_out(made):
    """The kept tune rows are those that no distance is measured from; int8 is quantised on the others."""
    kept = made.provenance.arrays
    judging, quantised = refit_tokens(kept, "tune"), refit_tokens(kept, "train")

    assert len(judging) == len(kept["refit.tune.codes"]) == 150
    assert 0 < len(quantised) <= 150
    assert not {text.tobytes() for text in judging if len(text)} & {text.tobytes() for text in quantised}
    assert {type(gate).__name__ for gate in made.rule.gates} == {"Floor", "Unfamiliar"}
    assert made.decide(["zxq vvbn krrt"]).familiarity[0] < 0.1
    assert made.provenance.baseline is None
    assert "second_opinion" not in made.provenance.record


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "torch"])
def test_every_engine_serves_it(engine, made, folder):
    exported = export(folder, engine=engine, precision="f32")

    again = ew.load(folder, engine=engine)
    assert again.engine.name == exported.engine.name == engine
    assert again.certificate.certified
    assert again.probabilities(NEW) == pytest.approx(made.probabilities(NEW), abs=1e-5)


def test_int8_is_made_from_the_rows_that_it_keeps(folder):
    pytest.importorskip("nncf")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ElsewiseWarning)  # a model this small may change in int8
        exported = export(folder, engine="openvino", precision="int8")

    assert exported.engine.settings["precision"] == "int8"
    assert exported.certificate.looks == 2


def test_the_new_folder_is_like_any_other(made, folder, held_out):
    open_threshold(folder).change("certified", target_accuracy=0.5)
    again = ew.load(folder)

    assert again.certificate.target_accuracy == 0.5
    assert again.certificate.looks == 2
    assert max(explain(again, NEW[0]).probabilities.values()) == pytest.approx(made.probabilities(NEW[:1]).max())
    with pytest.warns(ElsewiseWarning, match=r"^\d+ of 200 texts were used to make the model \(train 0, tune "):
        ew.evaluate(again, *columns(held_out[:200]))
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "BertForSequenceClassification from " in card
    assert "tokens of tune and certify texts" in card


def test_its_tokenizer_reads_as_the_folder_reads(made, my_bert):
    """Length, case and special tokens are the model's own."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(my_bert)
    for text in (*NEW, "WHERE İS ISPARTA?", "word " * 300):
        (ours,) = made.engine.prepare([text])
        assert ours.tolist() == tokenizer(text, truncation=True)["input_ids"]


def few(held_out, n=240):
    """Few rows, quick to calibrate on."""
    return columns([row for row in held_out if row.label != OUT_OF_SCOPE][:n])


QUICKLY = {"engine": "torch", "precision": "f32"}


@pytest.mark.filterwarnings("ignore::elsewise.errors.ElsewiseWarning")
def test_codes_are_labels_of_a_model_that_knows_names(my_bert, held_out):
    texts, labels = few(held_out)
    names = ew.calibrate(my_bert, texts, labels, **QUICKLY).labels

    by_code = ew.calibrate(my_bert, texts, [names.index(label) for label in labels], **QUICKLY)

    assert by_code.labels == names
    assert by_code.evaluation["classifier"]["accuracy"]["value"] > 0.4


@pytest.mark.filterwarnings("ignore::elsewise.errors.ElsewiseWarning")
def test_other_names_keep_the_order_of_the_model(my_bert, held_out):
    texts, labels = few(held_out)
    said, before = [], ew.calibrate(my_bert, texts, labels, **QUICKLY)
    names = [f"new {name}" for name in before.labels]

    after = ew.calibrate(my_bert, texts, [f"new {label}" for label in labels], names=names, note=said.append, **QUICKLY)

    assert after.labels == tuple(names)
    assert after.probabilities(NEW) == pytest.approx(before.probabilities(NEW))
    assert after.engine.files.digests["tokenizer.json"] == before.engine.files.digests["tokenizer.json"]
    assert said[0].endswith("labels, reads up to 128 tokens of a text")
    assert any("no second opinion and no baseline" in words for words in said)
    assert any("half of the tune rows stand for them" in words for words in said)


@pytest.mark.filterwarnings("ignore::elsewise.errors.ElsewiseWarning")
def test_without_kept_rows_no_text_is_in_the_folder(my_bert, held_out, tmp_path):
    made = ew.calibrate(my_bert, *few(held_out), keep_refit_rows=False, **QUICKLY)
    made.save(tmp_path / "model")

    assert not [name for name in made.provenance.arrays if name.startswith("refit.")]
    assert not (tmp_path / "model" / "refit.safetensors").exists()


@pytest.mark.filterwarnings("ignore:no finite temperature", "ignore::elsewise.errors.PromiseWarning")
def test_labels_in_another_order_are_warned_of(my_bert, held_out):
    texts, labels = few(held_out, 600)
    names = sorted(set(labels))
    turned = [names[(names.index(label) + 1) % len(names)] for label in labels]

    with pytest.warns(ElsewiseWarning, match=r"the labels are probably not in the order of the model's columns"):
        ew.calibrate(my_bert, texts, turned, **QUICKLY)


def test_a_share_of_texts_that_is_cut_is_said(my_bert, held_out, tmp_path):
    texts, labels = few(held_out)
    place, said = tmp_path / "short", []
    shutil.copytree(my_bert, place)
    tokenizer = transformers.AutoTokenizer.from_pretrained(place, model_max_length=8)
    tokenizer.save_pretrained(place)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ElsewiseWarning)
        made = ew.calibrate(place, texts, labels, note=said.append, **QUICKLY)

    assert made.engine.settings["max_length"] == 8
    assert any("of the texts are longer than that; the rest" in words for words in said)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"labels": ["a", "b"]},
            r"^the rows have labels that the model does not have: 'a' \(1 row\), 'b' \(1 row\); it ",
        ),
        ({"labels": None}, r"^a folder needs texts and their labels: calibrate\('.*my-bert', texts, labels\)"),
        ({"features": np.eye(2)}, r"^features= is about logits, and a folder answers texts; leave it out"),
        ({"out_of_scope": np.eye(2)}, r"^out_of_scope= is about logits"),
        ({"names": ["a", "b"]}, r"^names= must name each of the model's \d+ labels, got 2 names"),
        ({"engine": "warp"}, r"^unknown engine 'warp'"),
    ],
)
def test_what_does_not_fit_a_folder_is_refused(given, said, my_bert):
    with pytest.raises(InputError, match=said):
        ew.calibrate(my_bert, ["one", "two"], **{"labels": ["login", "login"], **given})


@pytest.mark.parametrize("given", [{"names": ["a", "b"]}, {"engine": "torch"}, {"precision": "f32"}])
def test_what_only_a_folder_takes_is_refused_with_logits(given):
    with pytest.raises(InputError, match=rf"^{next(iter(given))}= is about a folder; leave it out"):
        ew.calibrate(5 * np.eye(2), [0, 1], **given)


def test_rows_that_are_all_of_one_text_leave_nothing_to_calibrate_on(my_bert, held_out):
    label = next(row.label for row in held_out if row.label != OUT_OF_SCOPE)
    with pytest.raises(InputError, match=r"^no row is left to calibrate on"):
        calibrate_folder(str(my_bert), (["one"], [label]), Promise(0.9, 0.9, "auto"), Words("Other", None))
