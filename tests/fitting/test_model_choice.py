"""The model that is served: the fine-tuned encoder, unless another one is better on tune rows, or is asked for."""

import json
import warnings

import numpy as np
import pytest

import elsewise as ew
from elsewise.fitting import open_threshold
from elsewise.fitting.engines_to_try import usual_engine
from elsewise.fitting.model_choice import Keeping, choose_model
from support.running import run
from support.small_models import encoder_of

NOTHING = dict.fromkeys(("encoder", "engine", "precision", "unfamiliar", "score", "keep_refit_rows", "epochs"), False)


def logits_of(codes, right, k=4, sure=3.0, seed=0):
    """Logits of rows with these codes, of which a share is right, each more or less sure."""
    rng = np.random.default_rng(seed)
    said = np.where(rng.random(len(codes)) < right, codes, (codes + 1) % k)
    return np.eye(k)[said] * sure + rng.normal(size=(len(codes), k)) / 2


def codes_of(n, k=4):
    return np.arange(n) % k


def test_a_model_that_is_clearly_better_takes_the_place_of_the_first():
    codes = codes_of(100)

    chosen = choose_model("encoder", {"encoder": logits_of(codes, 0.6), "baseline": logits_of(codes, 0.95)}, codes)

    assert chosen.kept == "baseline"
    assert chosen.judged["baseline"].log_loss_gain.low > 0
    said = chosen.sentence
    assert said.startswith("TF-IDF and logistic regression is served, and not the fine-tuned encoder: on 100 tune rows")
    assert f"{chosen.judged['baseline'].accuracy:.0%}".replace("%", " %") in said


def test_where_no_difference_is_shown_the_first_is_served():
    codes = codes_of(100)

    chosen = choose_model("encoder", {"encoder": logits_of(codes, 0.9), "frozen": logits_of(codes, 0.9, seed=1)}, codes)

    assert chosen.kept == "encoder"
    assert chosen.sentence == ""
    assert chosen.record["compared"]["frozen"]["better"] is False


def test_one_that_only_knows_its_doubts_better_is_not_served_where_fewer_labels_are_right():
    codes = codes_of(400)
    first = logits_of(codes, 0.8)
    shy = np.where(first.argmax(axis=1)[:, None] == codes[:, None], first * 3, first / 100)
    shy[:8] = np.roll(shy[:8], 1, axis=1)

    found = choose_model("encoder", {"encoder": first, "baseline": shy}, codes)

    assert found.judged["baseline"].log_loss_gain.low > 0
    assert found.judged["baseline"].accuracy < found.accuracy
    assert found.kept == "encoder"


def test_how_sure_a_model_sounds_does_not_count():
    """Logits times ten are the same model at another temperature, and a temperature is fitted afterwards."""
    codes = codes_of(200)
    first = logits_of(codes, 0.8)

    found = choose_model("encoder", {"encoder": first, "baseline": first * 10}, codes)

    assert found.judged["baseline"].log_loss_gain.value == pytest.approx(0, abs=1e-6)


def test_texts_that_a_model_cannot_read_count_as_wrong():
    codes = codes_of(100)
    deaf = logits_of(codes, 1.0)
    deaf[:50] = np.nan

    found = choose_model("encoder", {"encoder": logits_of(codes, 0.9), "baseline": deaf}, codes)

    assert found.judged["baseline"].accuracy == 0.5
    assert found.kept == "encoder"


def test_out_of_scope_rows_and_too_few_rows_do_not_tell():
    codes = codes_of(60)
    logits = {"encoder": logits_of(codes, 0.3), "baseline": logits_of(codes, 1.0)}
    assert choose_model("encoder", logits, codes).rows == 60

    few = np.where(np.arange(60) < 19, codes, -1)

    assert choose_model("encoder", logits, few).kept == "encoder"


@pytest.mark.slow
def test_a_false_change_is_rare():
    """Two models as good as the first: one of them takes its place in at most 5 % of draws; beyond 7.5 % is no chance.

    Of 400 draws at 5 %, more than 30 (7.5 %) come up once in 60.
    """
    changed = 0
    for seed in range(400):
        codes = codes_of(60)
        logits = {
            name: logits_of(codes, 0.8, seed=3 * seed + i) for i, name in enumerate(("encoder", "frozen", "baseline"))
        }
        changed += choose_model("encoder", logits, codes).kept != "encoder"

    assert changed <= 30


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"keep": "bert"}, "keep must be one of best, encoder, frozen, baseline, got 'bert'"),
        (
            {"keep": "encoder", "quick": True},
            "keep='encoder' serves the fine-tuned encoder, and quick=True trains none",
        ),
        (
            {"keep": "frozen", "method": {"ensemble": 2}},
            "ensemble= is about training, and keep='frozen'",
        ),
        ({"keep": "best", "quick": True, "method": {"laplace": True}}, "laplace= is about training, and quick=True"),
        (
            {"keep": "baseline", "baseline": False},
            "keep='baseline' serves the baseline, and baseline=False",
        ),
        (
            {"keep": "baseline", "given": {**NOTHING, "epochs": True}},
            "keep='baseline' has no encoder that epochs=",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(asked, said):
    given = {"quick": False, "method": {}, "baseline": True, "given": NOTHING, **asked}

    with pytest.raises(ew.InputError, match=said):
        Keeping.of(given.pop("keep"), **given)


@pytest.mark.parametrize("only", ["engine", "precision", "unfamiliar", "score", "keep_refit_rows"])
def test_what_the_baseline_cannot_follow_leaves_it_out_of_the_comparison(only):
    how = {"quick": False, "method": {}, "baseline": True}

    assert Keeping.of("best", **how, given=NOTHING).compares_baseline
    assert not Keeping.of("best", **how, given={**NOTHING, only: True}).compares_baseline
    assert not Keeping.of("best", **{**how, "baseline": False}, given=NOTHING).compares_baseline
    assert Keeping.of("best", **{**how, "method": {"laplace": True}}, given=NOTHING).keep == "encoder"


# End to end: words that the encoder does not know, and the baseline does.

TOPICS = ("zebra stripes", "quartz mineral", "violin concert", "tractor harvest")


def rows(n=480, seed=0):
    rng = np.random.default_rng(seed)
    others = ["where", "is", "my", "the", "please", "a", "b", "c"]
    codes = rng.integers(4, size=n)
    texts = [f"{' '.join(rng.choice(others, size=5))} {rng.choice(TOPICS[c].split())} {i}" for i, c in enumerate(codes)]
    return texts, [f"topic {code}" for code in codes]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    pytest.importorskip("sklearn")
    return str(encoder_of(tmp_path_factory.mktemp("encoder"), "bert", initializer_range=0.1))


def fitted(encoder, **how):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ew.fit(*rows(), encoder=encoder, max_length=32, **{"epochs": 1, **how})


@pytest.fixture(scope="module")
def best(encoder, tmp_path_factory):
    said, path = [], tmp_path_factory.mktemp("best") / "model"
    classifier = fitted(encoder, note=said.append)
    classifier.save(path)
    return classifier, path, said


def test_the_baseline_is_served_where_the_encoder_cannot_read_what_matters(best):
    classifier, path, said = best

    assert classifier.engine.name == "sklearn"
    assert classifier.certificate.looks == 1
    assert classifier.certificate.certified
    (sentence,) = [words for words in said if "is served" in words]
    assert sentence.startswith("TF-IDF and logistic regression is served, and not the fine-tuned encoder: on 48 tune")
    assert sentence in (path / "README.md").read_text(encoding="utf-8")
    assert classifier.evaluation["classifier"]["accuracy"]["value"] > 0.95
    assert not (path / "baseline").exists()
    assert not (path / "model.onnx").exists()


def test_its_folder_is_like_any_other(best):
    classifier, path, _ = best
    texts = rows(20, seed=5)[0]

    loaded = ew.load(path)
    changed = open_threshold(path).change("certified", target_accuracy=0.9).after

    assert loaded.probabilities(texts).tobytes() == classifier.probabilities(texts).tobytes()
    assert changed.rule.certificate.target_accuracy == 0.9
    assert changed.rule.certificate.looks == 2


def test_the_encoder_is_served_all_the_same_where_it_is_asked_for(encoder):
    classifier = fitted(encoder, keep="encoder", second_opinion=False, precision="f32", baseline=False)

    assert classifier.engine.name == usual_engine()
    assert classifier.provenance.record["kept"]["kept"] == "encoder"


def test_the_baseline_alone_needs_no_encoder(monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.setattr("elsewise.training.encoder.prepare", None)
    texts, labels = rows()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier = ew.fit(texts, labels, keep="baseline")

    assert classifier.engine.name == "sklearn"
    assert classifier.provenance.record["kept"] == {"kept": "baseline", "first": "baseline", "sentence": ""}
    assert classifier.evaluation["classifier"]["accuracy"]["value"] > 0.95


def test_a_baseline_that_can_learn_nothing_is_named(monkeypatch):
    monkeypatch.setattr("elsewise.fitting.baseline.MOST_ROWS", 100)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ew.InputError, match="keep='baseline' serves the baseline, and the baseline is left out"):
            ew.fit(*rows(), keep="baseline")


def test_frozen_is_what_quick_serves_with_or_without_other_opinions(encoder):
    how = {"precision": "f32", "baseline": False}
    texts = rows(10, seed=9)[0]

    one, other, alone = (
        fitted(encoder, **how, **asked)
        for asked in ({"keep": "frozen"}, {"quick": True}, {"keep": "frozen", "second_opinion": False})
    )

    assert one.probabilities(texts) == pytest.approx(other.probabilities(texts), abs=1e-6)
    assert "token_counts" not in alone.engine.settings
    assert alone.provenance.record["training"]["quick"] is True


def test_the_encoder_as_it_came_takes_the_place_of_a_worse_fine_tuned_one(encoder, monkeypatch):
    """Whichever is better in truth, the folder holds what was chosen."""
    choose = choose_model
    swapped = {"encoder": "frozen", "frozen": "encoder"}

    def choose_frozen(first, logits, codes):
        worse = {swapped[name]: logits_of(codes, right) for name, right in (("frozen", 0.3), ("encoder", 0.95))}
        assert logits.keys() == worse.keys()
        return choose(first, worse, codes)

    monkeypatch.setattr("elsewise.fitting.fit.choose_model", choose_frozen)

    classifier = fitted(encoder, precision="f32", baseline=False)

    assert classifier.provenance.record["kept"]["kept"] == "frozen"
    assert classifier.provenance.record["training"]["quick"] is True


def test_few_rows_can_be_fitted_quickly(encoder):
    """15 tune rows are too few to judge other opinions on, and the encoder as it came needs none."""
    texts, labels = rows(150)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier = ew.fit(texts, labels, encoder=encoder, max_length=32, quick=True, precision="f32", baseline=False)

    assert classifier.provenance.record["training"]["quick"] is True
    assert "token_counts" not in classifier.engine.settings


def test_the_command_says_in_a_line_what_is_served(encoder, tmp_path):
    texts, labels = rows()
    file = tmp_path / "rows.csv"
    file.write_text("text,label\n" + "".join(f"{t},{label}\n" for t, label in zip(texts, labels, strict=True)))

    done = run("fit", file, "--encoder", encoder, "--epochs", 1, "--max-length", 32, "-o", tmp_path / "model")

    said = "TF-IDF and logistic regression is served, and not the fine-tuned encoder"
    assert said in done.stdout
    assert said not in done.stderr
    record = json.loads((tmp_path / "model" / "elsewise.json").read_text(encoding="utf-8"))["record"]
    assert record["kept"]["kept"] == "baseline"


def test_the_command_serves_the_baseline_and_refuses_in_its_own_words(tmp_path):
    texts, labels = rows(300)
    file = tmp_path / "rows.csv"
    file.write_text("text,label\n" + "".join(f"{t},{label}\n" for t, label in zip(texts, labels, strict=True)))

    alone = run("fit", file, "--keep", "baseline", "-o", tmp_path / "model")
    both = run("fit", file, "--keep", "encoder", "--quick", "-o", tmp_path / "other")
    none = run("fit", file, "--keep", "baseline", "--epochs", 3, "-o", tmp_path / "other")

    assert alone.returncode == 0, alone.stderr
    assert ew.load(tmp_path / "model").engine.name == "sklearn"
    assert "--keep encoder serves the fine-tuned encoder, and --quick trains none; leave one out" in both.stderr
    assert "--keep baseline has no encoder that --epochs could be about; leave one out" in none.stderr
