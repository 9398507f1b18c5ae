"""From texts to a certified classifier."""

import re
import warnings

import numpy as np
import pytest

import elsewise as ew
from elsewise.classifier.kept_rows import refit_tokens
from elsewise.classifier.load import open_baseline
from elsewise.data.checks import check
from elsewise.data.labels import label_codes
from elsewise.data.splits import divide
from elsewise.engines.memory import MemoryEngine
from elsewise.engines.pool import Pooled, fine_tuned
from elsewise.errors import ElsewiseWarning, InputError
from elsewise.evaluation.evaluate import count_seen
from elsewise.fitting.calibrate import calibrate
from elsewise.fitting.certify import Promise, of_splits
from elsewise.fitting.engines_to_try import Wanted
from elsewise.fitting.taught import opened_encoder
from elsewise.scores import SCORES, Energy
from elsewise.training.settings import Training
from support import small_models


def test_a_fitted_classifier_carries_its_promise_and_its_evaluation(fitted, sample):
    assert fitted.certificate is not None
    assert fitted.certificate.target_accuracy == 0.6
    assert fitted.evaluation["rows"]["in_scope"] > 100
    assert fitted.evaluation["classifier"]["accuracy"]["value"] > 0.5
    assert (
        sum(fitted.provenance.record["splits"].values()) + sum(fitted.provenance.record["dropped"].values())
        >= len(sample) - 100
    )
    assert "out_of_scope" not in fitted.labels


def test_folding_a_temperature_makes_plain_softmax_calibrated(fitted):
    """Undone, the logits of the tune rows have the folded temperature as their best one; folded, they have 1."""
    codes = fitted.provenance.arrays["refit.tune.codes"]
    alone = fine_tuned(fitted.engine)
    logits = alone.run(refit_tokens(fitted.provenance.arrays, "tune")).logits[codes >= 0]

    again = ew.Temperature.fit(logits, codes[codes >= 0])

    assert again.temperature == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("text", ["", "   ", "\u200b\u200d", "\x00\x07", "\ud800"])
def test_a_text_with_nothing_to_read_is_other_and_says_why(fitted, text):
    decisions = fitted.decide([text, "where is my parcel"])

    assert decisions.reasons[0] == "unreadable"
    assert decisions.labels[0] == "Other"
    assert np.isnan(decisions.confidence[0])
    assert decisions.reasons[1] != "unreadable"


def test_fit_warns_of_cut_texts_as_check_does_and_advises_nothing_that_cannot_help(tmp_path):
    pytest.importorskip("torch")
    small_models.model_of("bert").save_pretrained(tmp_path)
    small_models.tokenizer().save_pretrained(tmp_path)
    long = small_models.texts(80, longest=200)
    rows = long, ["ab"[i % 2] for i in range(80)]
    of_encoder = {"encoder": str(tmp_path), "max_length": 128}
    how, promise = Training(precision="f32", **of_encoder), Promise(0.95, 0.95, "auto")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        divided, wanted = divide(rows, None, None, None, seed=0), Wanted.of("torch", "f32")
        opened_encoder(divided, how, wanted, promise, None, None, trains=True)

    (found,) = (one for one in check(*rows, **of_encoder).findings if one.kind == "truncated_texts")
    assert f"{found.sentence}; {found.remedy}" in [str(one.message) for one in caught]
    assert "longer than the 72 tokens that the encoder reads at most" in found.sentence
    assert "--max-length" not in found.remedy


def test_no_texts_give_no_decisions(fitted):
    assert len(fitted.decide([])) == 0


def test_one_string_is_not_a_list_of_texts(fitted):
    with pytest.raises(InputError, match=r"texts must be a list of strings, got one str; put it in a list"):
        fitted.decide("where is my parcel")


def test_one_label_only_is_refused():
    with pytest.raises(InputError, match=r"at least 2 labels are needed to tell texts apart, got only 'a'"):
        ew.fit(["x", "y"], ["a", "a"])


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("learnig_rate", "; did you mean learning_rate?"),
        ("target", "; did you mean target_accuracy?"),
        ("num_epochs", "; did you mean epochs?"),
        ("verbosity", ""),
    ],
)
@pytest.mark.parametrize("engine", ["auto", MemoryEngine(("a", "b"), {})])
def test_an_unknown_keyword_is_refused_at_once_and_the_nearest_is_named(name, near, engine):
    words = f"fit() got an unexpected keyword argument {name!r}{near}"

    with pytest.raises(TypeError, match=f"^{re.escape(words)}$"):
        ew.fit(["x"], ["a"], engine=engine, **{name: 1})


def test_an_impossible_promise_is_refused_before_training():
    with pytest.raises(InputError, match=r"target_accuracy must lie between 0 and 1, got 95"):
        ew.fit(["x", "y"], ["a", "b"], target_accuracy=95)


def test_texts_and_labels_of_other_lengths_are_refused():
    with pytest.raises(InputError, match=r"texts and labels must have equal lengths, got 2 and 3"):
        ew.fit(["x", "y"], ["a", "b", "a"])


@pytest.mark.parametrize("label", [None, float("nan"), "", "  "])
def test_a_missing_label_is_refused_with_its_row(label):
    with pytest.raises(InputError, match=r"labels must be words or whole numbers, got .* in row 1"):
        ew.fit(["x", "y"], ["a", label])


def test_a_held_out_label_that_training_lacks_is_refused():
    with pytest.raises(InputError, match=r"held_out: label 'c' in row 0 is not in the training rows"):
        ew.fit(["x", "y"], ["a", "b"], held_out=(["z"], ["c"]))


def test_an_out_of_scope_label_that_no_row_has_is_refused():
    with pytest.raises(InputError, match=r"no row has the out-of-scope label 'OOS'; check its spelling"):
        ew.fit(["x", "y", "z"], ["a", "b", "oos"], out_of_scope_label="OOS")


def test_labels_that_are_numbers_keep_their_order():
    divided = divide(([f"text {i}" for i in range(36)], [i % 12 for i in range(36)]), None, None, None, 0)

    assert divided.names == tuple(map(str, range(12)))
    assert divided.parts.train.codes.max() == 11


@pytest.mark.parametrize("words", [{"epochs": 0}, {"learning_rate": 0.0}, {"max_length": 2}, {"precision": "int3"}])
def test_impossible_settings_are_refused(words):
    pytest.importorskip("torch")
    with pytest.raises(InputError, match=next(iter(words))):
        ew.fit(["x", "y"], ["a", "b"], **words)


def test_an_encoder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no encoder at .*nowhere"):
        ew.fit(["x", "y"], ["a", "b"], encoder=str(tmp_path / "nowhere"))


def planted(n=900, k=3, scale=2.5, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, k)) * 4
    codes = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    return scale * z, codes


def test_brought_logits_are_calibrated_and_certified():
    z, codes = planted()

    classifier = calibrate(z, codes, labels=["a", "b", "c"], target_accuracy=0.9)

    assert classifier.calibrator.temperature == pytest.approx(2.5, rel=0.15)
    assert classifier.certificate.certified
    assert classifier.certificate.rows == 600
    assert set(classifier.decide(z).labels) <= {"a", "b", "c", "Other"}


def test_few_rows_are_said_with_what_they_could_certify_at_best():
    """0.05 ** (1 / 60) = 0.9513: sixty rows without an error certify no more."""
    z, codes = planted(n=90)

    with pytest.warns(ElsewiseWarning) as said:
        calibrate(z, codes)

    words = [str(warning.message) for warning in said]
    assert "30 tune rows are too few to calibrate on (50 needed): probabilities stay as the model gives them" in words
    few = "60 certify rows are few: 95.1% is the best accuracy that could be certified on them, without one error"
    assert few in words


def test_a_row_of_logits_with_nan_is_other():
    z, codes = planted()
    classifier = calibrate(z, codes, target_accuracy=0.9)
    new = z[:3].copy()
    new[1, 0] = np.nan

    decisions = classifier.decide(new)

    assert decisions.reasons[1] == "unreadable"
    assert decisions.labels[1] == "Other"


def test_bad_logits_are_refused_with_what_and_where():
    z, codes = planted(n=10)

    with pytest.raises(InputError, match=r"logits must be finite, .*: 1 of 10 rows are not, first is row 4"):
        calibrate(np.where(np.arange(10)[:, None] == 4, np.inf, z), codes)
    with pytest.raises(InputError, match=r"codes must have shape \(10,\), one for each row, got \(9,\)"):
        calibrate(z, codes[:9])
    with pytest.raises(InputError, match=r"codes must lie in -1..2, got 3 in row 0"):
        calibrate(z, np.full(10, 3))
    with pytest.raises(InputError, match=r"logits have 3 columns, got 2 labels"):
        calibrate(z, codes, labels=["a", "b"])
    with pytest.raises(InputError, match=r"labels must differ, got 'a' twice"):
        calibrate(z, codes, labels=["a", "b", "a"])


def test_two_labels_are_enough():
    z, codes = planted(k=2)

    assert calibrate(z, codes, target_accuracy=0.9).certificate.certified


def test_a_name_wins_over_a_code():
    code_of = label_codes(["1", "2"])

    assert (code_of("1"), code_of("2")) == (0, 1)
    with pytest.raises(InputError, match=r"label '0' is neither"):
        code_of("0")
    assert label_codes(["a", "b"], "oos")("oos") == -1
    with pytest.raises(InputError, match=r"label 'x' is neither one of the 2 names nor a code; .*out_of_scope_label"):
        code_of("x")


def test_the_same_seed_gives_the_same_model(tiny_default, sample):
    texts, labels = [row.text for row in sample[:300]], [row.label for row in sample[:300]]

    def fitted():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ew.fit(texts, labels, epochs=1, max_length=32, precision="f32", seed=3, baseline=False)

    assert fitted().probabilities(texts[:20]).tobytes() == fitted().probabilities(texts[:20]).tobytes()


def test_eight_texts_are_enough_to_get_an_honest_answer(tiny_default):
    """Nothing to tune or certify on: everything is Other, and what is missing is said."""
    texts = [f"{word} {i}" for word in ("refund my money", "where is my parcel") for i in range(4)]

    with pytest.warns(ElsewiseWarning) as said:
        classifier = ew.fit(texts, ["refund"] * 4 + ["delivery"] * 4, epochs=1, max_length=32)

    assert [str(warning.message).split(":")[0] for warning in said][1] == "1 certify rows are few"
    assert classifier.decide(texts).labels == ["Other"] * 8
    assert not classifier.certificate.certified
    assert classifier.certificate.rows_needed == 59
    assert not open_baseline(classifier).certificate.certified


def test_a_folder_without_rows_holds_no_word_of_the_texts_and_still_knows_what_it_has_seen(tiny_default, tmp_path):
    texts = [f"{word} {i} zyxxwv" for word in ("refund my money", "where is my parcel") for i in range(40)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = ew.fit(
            texts, ["refund"] * 40 + ["delivery"] * 40, epochs=1, max_length=32, precision="f32", keep_refit_rows=False
        )
    fitted.save(tmp_path / "model")

    files = [path for path in (tmp_path / "model").rglob("*") if path.is_file()]
    assert not [path for path in files if b"zyxxwv" in path.read_bytes()]
    assert not (tmp_path / "model" / "baseline").exists()
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert "It is not kept, for its vocabulary would hold words of the texts." in card
    unseen = fitted.provenance.record["splits"]["test"]
    assert count_seen(ew.load(tmp_path / "model"), [*texts, "new"]).seen == len(texts) - unseen


def test_hashes_of_one_text_differ_from_folder_to_folder():
    parts = divide(([f"text {i}" for i in range(40)], ["a", "b"] * 20), None, None, None, 0).parts
    (_, one), (_, other) = of_splits(parts), of_splits(parts)

    assert one.keys() == other.keys() == {"split.train", "split.tune", "split.certify", "split.salt"}
    assert not set(one["split.train"].tolist()) & set(other["split.train"].tolist())
    assert len(one["split.salt"]) == 16


def test_a_blank_word_for_other_is_refused_before_training():
    with pytest.raises(InputError, match="must not be blank"):
        ew.fit(["x", "y"], ["a", "b"], other=" ")


def test_labels_with_one_or_two_rows_survive(tiny_default, sample):
    texts, labels = [row.text for row in sample[:200]], [row.label for row in sample[:200]]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier = ew.fit(
            [*texts, "só one", "two a", "two b"], [*labels, "one", "two", "two"], epochs=1, max_length=32
        )

    assert {"one", "two"} <= set(classifier.labels)
    assert np.isfinite(classifier.probabilities(texts[:5])).all()


def test_training_in_bfloat16_leaves_a_model_in_float32_that_can_be_written(tiny_default, monkeypatch):
    """What trained in half precision must be served, and traced, without the wrapper that did that."""
    monkeypatch.setattr("elsewise.engines.torch.is_faster_in_bf16", lambda: True)
    texts = [f"{word} {i}" for word in ("refund my money", "where is my parcel") for i in range(4)]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier = ew.fit(texts, ["refund"] * 4 + ["delivery"] * 4, epochs=1, max_length=32, baseline=False)

    assert classifier.provenance.record["training"]["precision"] == "bf16"
    assert np.isfinite(classifier.probabilities(texts)).all()


def test_a_fitted_classifier_says_what_was_tried_and_what_serves(fitted):
    """precision="f32" tries nothing else; the rows that are kept are those that export certifies on."""
    assert [row["engine"] for row in fitted.provenance.gate] == [f"{fitted.engine.name}-f32"]
    assert fitted.provenance.gate[0]["passed"]
    assert fitted.calibrator == ew.Identity() or isinstance(fitted.engine, Pooled)
    assert isinstance(fitted.provenance.folded, ew.Temperature)
    assert fitted.provenance.record["calibrator"]["chosen"] == "temperature"
    for split, columns in (("train", ()), ("tune", ("codes", "logits")), ("certify", ("codes", "logits"))):
        lengths = fitted.provenance.arrays[f"refit.{split}.lengths"]
        assert lengths.sum() == len(fitted.provenance.arrays[f"refit.{split}.token_ids"])
        assert {len(fitted.provenance.arrays[f"refit.{split}.{column}"]) for column in columns} <= {len(lengths)}


@pytest.mark.parametrize("words", [{"engine": "abacus"}, {"engine": "memory"}, {"precision": "int3"}])
def test_an_engine_that_there_is_not_is_refused_before_training(words):
    with pytest.raises(InputError, match=rf"unknown {next(iter(words))} .*; choose one of"):
        ew.fit(["x", "y"], ["a", "b"], **words)


def test_logits_whose_labels_are_off_by_different_amounts_get_biases_and_the_card_says_so(tmp_path):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(9000, 5)) * 3
    biases = np.array([1, 0.5, 0, -0.5, -1])
    codes = (z + biases + rng.gumbel(size=z.shape)).argmax(axis=1)

    classifier = ew.calibrate(2 * z, codes)
    classifier.save(tmp_path / "model")

    record = classifier.provenance.record["calibrator"]
    assert (record["chosen"], record["rows"]) == ("temperature_bias", 3000)
    assert classifier.calibrator.biases == pytest.approx(biases, abs=0.25)
    assert (
        "Calibrator temperature_bias, on 3,000 rows: clearly the better of 4"
        in (tmp_path / "model" / "README.md").read_text()
    )


def test_a_fitted_classifier_explains_what_it_does_not_answer(fitted):
    """Noise is less familiar than nearly all in-scope texts; every text has its nearest labels."""
    noise = [f"zxq {i} wvk jjp {i * 7} qqz" for i in range(40)]

    decisions = fitted.decide(noise)

    assert decisions.familiarity.shape == (40,)
    assert decisions.nearest.shape == (40, 2)
    assert np.median(decisions.familiarity) < 0.15
    assert len(decisions.sets) == 40
    assert set(decisions.reasons[decisions.abstained]) <= {"unfamiliar", "ambiguous", "unsure"}


def test_the_choice_of_the_score_is_recorded(fitted):
    assert fitted.provenance.record["score"]["chosen"] in SCORES


@pytest.mark.parametrize("keep", [True, False])
def test_brought_logits_are_kept_in_the_folder_unless_that_is_refused(tmp_path, keep):
    z, codes = loud_rows(600)

    ew.calibrate(z, codes, keep_refit_rows=keep, target_accuracy=0.6).save(tmp_path / "model")

    arrays = ew.load(tmp_path / "model").provenance.arrays
    kept = {name: array for name, array in arrays.items() if name.startswith("refit.")}
    assert sorted(kept) == sorted(
        f"refit.{split}.{column}" for split in ("tune", "certify") for column in ("logits", "codes") if keep
    )
    if keep:
        rows = {tuple(row) for split in ("tune", "certify") for row in kept[f"refit.{split}.logits"].tolist()}
        assert rows == {tuple(row) for row in np.asarray(z).tolist()}
        assert len(kept["refit.certify.codes"]) == 2 * len(kept["refit.tune.codes"])
    card = (tmp_path / "model" / "README.md").read_text()
    assert ("holds logits and codes of tune and certify rows" in card) == keep


def loud_rows(n=3000, k=6, seed=0):
    """Right rows have a constant added to their logits: only energy can see it."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, k)) * 2
    codes = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    return z + 3.0 * (z.argmax(axis=1) == codes)[:, None], codes


def test_brought_logits_get_the_score_that_tells_right_from_wrong():
    z, codes = loud_rows()

    chosen = ew.calibrate(z, codes, target_accuracy=0.8)
    usual = ew.calibrate(z, codes, target_accuracy=0.8, score="maximum_probability")

    assert chosen.rule.score == Energy()
    assert chosen.certificate.coverage > usual.certificate.coverage + 0.1


def test_a_score_that_there_is_not_is_refused():
    with pytest.raises(InputError, match=r"^unknown score 'loudness'; choose auto, maximum_probability, margin, .*"):
        ew.calibrate(*loud_rows(100), score="loudness")


def test_a_score_of_features_is_refused_for_logits():
    with pytest.raises(InputError, match=r"^this score needs features, and the engine gives none$"):
        ew.calibrate(*loud_rows(600), score="mahalanobis")


def test_what_explains_is_saved_with_the_folder(tmp_path):
    z, codes = loud_rows()
    made = ew.calibrate(z, codes)
    made.save(tmp_path / "model")

    again = ew.load(tmp_path / "model")

    one, other = made.decide(z[:200]), again.decide(z[:200])
    assert np.array_equal(one.familiarity, other.familiarity)
    assert np.array_equal(one.nearest, other.nearest)
    assert np.array_equal(one.sets.bits, other.sets.bits)
    assert [one.sentence(i) for i in range(200)] == [other.sentence(i) for i in range(200)]


def test_labels_that_stay_possible_are_named_where_two_are_close():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(3000, 6)) * 1.5
    codes = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    made = ew.calibrate(z, codes, labels=list("abcdef"), target_accuracy=0.8)

    decisions = made.decide(z)

    ambiguous = np.flatnonzero((decisions.reasons == "ambiguous") & (decisions.sets.sizes > 2))
    assert len(ambiguous) > 20
    names = ", ".join(f'"{name}"' for name in decisions.sets[int(ambiguous[0])])
    assert f"(possible are {names})" in decisions.sentence(int(ambiguous[0]))


def test_capitals_are_read_as_in_turkish_by_every_reader_of_the_folder(tiny_encoder, tmp_path):
    """The tiny encoder was made with a tokenizer that lowercases as in English, and drops marks."""
    transformers = pytest.importorskip("transformers")
    rows = [(f"{word} ŞUBESİ {i}", label) for i in range(40) for word, label in (("ISPARTA", "a"), ("İZMİR", "b"))]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few rows
        made = ew.fit(
            *zip(*rows, strict=True), encoder=str(tiny_encoder), quick=True, precision="f32", lowercase="tr",
            baseline=False,
        )  # fmt: skip
    made.save(tmp_path / "model")
    again = ew.load(tmp_path / "model")
    ours = again.probabilities(["ISPARTA ŞUBESİ", "ısparta şubesi", "isparta şubesi"])
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")

    assert (ours[0] == ours[1]).all()
    assert (ours[0] != ours[2]).any()
    assert tokenizer("ISPARTA ŞUBESİ")["input_ids"] == next(iter(again.engine.prepare(["ısparta şubesi"]))).tolist()
    assert made.provenance.record["training"]["lowercase"] == "tr"
