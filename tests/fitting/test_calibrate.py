"""From a model that is trained already, or its logits and features, to a certified classifier."""

import warnings
from dataclasses import replace
from zlib import crc32

import numpy as np
import pytest

import elsewise as ew
from elsewise.data.splits import text_hash
from elsewise.engines.logits import LogitsEngine
from elsewise.engines.memory import MemoryEngine
from elsewise.errors import ArtifactError, ElsewiseWarning, InputError
from elsewise.fitting import open_threshold
from elsewise.scores import Mahalanobis

LABELS = ("delivery", "login", "refund")


class Model:
    """Somebody's own: twice too sure, with features, and no file."""

    labels = LABELS

    def run(self, texts):
        z = np.array([np.random.default_rng(crc32(text.encode())).normal(size=3) for text in texts])
        return ew.Outputs(8 * z.reshape(-1, 3), features=np.tanh(z).repeat(2, axis=1).reshape(-1, 6))


def rows(n=1200, start=0):
    texts = [f"text number {i}" for i in range(start, start + n)]
    honest = Model().run(texts).logits / 2
    codes = (honest + np.random.default_rng(start).gumbel(size=honest.shape)).argmax(axis=1)
    return texts, [LABELS[code] for code in codes]


@pytest.fixture(scope="module")
def made():
    return ew.fit(*rows(), engine=Model(), target_accuracy=0.9)


def test_a_model_of_yours_is_calibrated_certified_and_judged(made):
    assert made.provenance.record["splits"] == {"train": 0, "tune": 300, "certify": 600, "test": 300}
    assert made.calibrator.temperature == pytest.approx(2, rel=0.3)
    assert made.certificate.certified
    assert made.certificate.rows == 600
    assert made.evaluation["rows"]["in_scope"] == 300
    assert made.evaluation["rows"]["seen"] == 0


def test_fitting_around_a_model_is_calibrating_its_logits(made):
    """The same parts of the same rows, by the other door, have the same temperature."""
    texts, labels = rows()
    kept = made.provenance.arrays
    salt, tuned = kept["split.salt"].tobytes(), set(kept["split.tune"].tolist())
    tune = [i for i, text in enumerate(texts) if text_hash(text, salt) in tuned]

    again = ew.Temperature.fit(Model().run([texts[i] for i in tune]).logits, [LABELS.index(labels[i]) for i in tune])

    assert again.temperature == pytest.approx(made.calibrator.temperature, rel=1e-9)


@pytest.mark.filterwarnings("ignore:1 label has no row")
@pytest.mark.parametrize("mask", [-1e9, -np.inf])
def test_masks_over_logits_change_no_calibration_and_no_promise(mask):
    """A label that no text can have, by every door: arrays, and a model of yours that writes the mask itself."""
    texts, labels = rows()
    logits, codes = Model().run(texts).logits, np.array([LABELS.index(label) for label in labels])

    class Masked(Model):
        labels = (*LABELS, "closed")

        def run(self, texts):
            return ew.Outputs(np.column_stack([super().run(texts).logits, np.full(len(texts), mask)]))

    plain = ew.calibrate(logits, codes, target_accuracy=0.9)
    masked = ew.calibrate(Masked().run(texts).logits, codes, target_accuracy=0.9)
    around = ew.fit(texts, labels, engine=Masked(), target_accuracy=0.9)

    new = rows(50, start=5000)[0]
    assert masked.calibrator.temperature == pytest.approx(plain.calibrator.temperature, rel=1e-9)
    assert masked.certificate.threshold == pytest.approx(plain.certificate.threshold, abs=1e-9)
    assert around.calibrator.temperature == pytest.approx(2, rel=0.3)
    assert around.certificate.certified
    assert around.probabilities(new)[:, 3].max() == 0
    assert "unreadable" not in around.decide(new).reasons


@pytest.mark.filterwarnings("ignore:no finite temperature")
@pytest.mark.filterwarnings("ignore::elsewise.errors.PromiseWarning")
def test_labels_in_another_order_than_the_columns_are_warned_of():
    logits, codes = np.tile(np.eye(3) * 4, (400, 1)), np.tile(np.arange(3), 400)

    with pytest.warns(
        ElsewiseWarning, match=r"^only 0 % of the 400 tune rows are right: the labels are probably not in"
    ):
        ew.calibrate(logits, np.roll(codes, 1), count_repeats=True)


def test_no_torch_is_needed_to_fit_around_a_model():
    import subprocess
    import sys

    program = (
        "import sys, elsewise as ew\n"
        "from elsewise.engines.memory import MemoryEngine\n"
        "known = {f't {i}': [4.0, 0.0] if i % 2 else [0.0, 4.0] for i in range(1200)}\n"
        "said = ['no' if i % 2 == 0 or i % 99 == 0 else 'yes' for i in range(1200)]\n"
        "ew.fit(list(known), said, engine=MemoryEngine(('yes', 'no'), known))\n"
        "print(sorted({'torch', 'transformers', 'sklearn', 'openvino'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_held_out_rows_calibrate_and_the_data_are_what_the_model_learned_from():
    """A held-out text that was trained on is left out, and distances are measured from all the train rows."""
    train, fresh = rows(300), rows(900, start=1000)
    held_out = [*fresh[0], train[0][0]], [*fresh[1], train[1][0]]

    made = ew.fit(*train, engine=Model(), held_out=held_out, target_accuracy=0.6, score="neighbours")

    assert made.provenance.record["splits"] == {"train": 300, "tune": 300, "certify": 600, "test": 0}
    assert made.provenance.record["dropped"]["seen"] == 1
    assert len(made.rule.score.references) == 300
    assert made.evaluation is None


def test_without_train_rows_half_of_the_tune_rows_are_what_distances_are_measured_from():
    """So no row is judged by its distance from itself: the folder keeps the other half to judge on."""
    made = ew.fit(*rows(), engine=Model(), target_accuracy=0.6, score="neighbours")

    references, judging = made.rule.score.references, made.provenance.arrays["refit.tune.features"]

    assert len(references) == len(judging) == 150
    mine = judging / np.linalg.norm(judging, axis=1, keepdims=True)
    assert np.abs(mine[:, None] - references[None]).max(axis=2).min() > 1e-9
    assert len(made.familiarity.in_scope.values) == 150


def test_rows_marked_out_of_scope_are_errors_when_answered():
    texts, labels = rows()
    more = [f"poem {i}" for i in range(300)]

    made = ew.fit(
        [*texts, *more], [*labels, *["none"] * 300], engine=Model(), out_of_scope_label="none", target_accuracy=0.6
    )

    assert made.certificate.out_of_scope_share == pytest.approx(0.2)
    assert made.evaluation["rows"]["out_of_scope"] == 75


@pytest.mark.parametrize("held_out", [([], []), (["a", "b"], ["yes", "no"])], ids=["none", "all trained on"])
def test_held_out_rows_that_all_drop_out_are_said(held_out):
    engine = MemoryEngine(("yes", "no"), {"a": [2.0, 0.0], "b": [0.0, 2.0]})

    with pytest.raises(
        InputError, match=r"^no row is left to calibrate on; hand over labelled texts that the model was"
    ):
        ew.fit(["a", "b"], ["yes", "no"], engine=engine, held_out=held_out)


@pytest.mark.filterwarnings("ignore::elsewise.errors.ElsewiseWarning")
def test_rows_that_nothing_can_be_read_of_are_said():
    class Nothing:
        labels = ("yes", "no")

        def run(self, texts):
            return ew.Outputs(np.full((len(texts), 2), np.nan))

    with pytest.raises(InputError, match=r"^none of 10 tune rows has finite logits: all are blank, or the model fails"):
        ew.fit([f"text {i}" for i in range(40)], ["yes", "no"] * 20, engine=Nothing())


def test_labels_that_no_row_has_are_fine_and_said():
    texts, labels = rows()
    kept = [i for i, label in enumerate(labels) if label != "login"]

    with pytest.warns(ElsewiseWarning, match=r"^1 label has no row: 'login'; labels without rows are not tested"):
        made = ew.fit([texts[i] for i in kept], [labels[i] for i in kept], engine=Model(), target_accuracy=0.6)

    assert made.labels == LABELS


def test_a_label_that_the_model_lacks_is_refused_with_its_row():
    with pytest.raises(InputError, match=r"^the data: label 'b' in row 1 is none of the model's 3 labels; rename it"):
        ew.fit(["x 1", "y 2"], ["login", "b"], engine=Model())


def test_a_label_of_the_model_cannot_mark_out_of_scope_rows():
    with pytest.raises(InputError, match=r"^'login' is one of the model's labels; leave out_of_scope_label= out$"):
        ew.fit(["x 1", "y 2"], ["login", "refund"], engine=Model(), out_of_scope_label="login")


@pytest.mark.parametrize(
    "words", [{"epochs": 3}, {"encoder": "mine"}, {"laplace": True}, {"precision": "int8"}, {"checkpoints": "place"}]
)
def test_what_is_about_training_is_refused(words):
    with pytest.raises(InputError, match=rf"^{next(iter(words))} is about training, and the engine is a model that is"):
        ew.fit(*rows(20), engine=Model(), **words)


def test_a_model_of_logits_is_sent_to_the_other_door():
    with pytest.raises(InputError, match=r"^a model of logits reads no texts; calibrate it with elsewise\.calibrate"):
        ew.fit(*rows(20), engine=LogitsEngine(LABELS))


def test_the_folder_holds_no_model_and_answers_when_it_is_passed_again(made, tmp_path):
    made.save(tmp_path / "model")
    texts = [*rows(40)[0], " "]

    again = ew.load(tmp_path / "model", engine=Model())

    assert again.probabilities(texts).tobytes() == made.probabilities(texts).tobytes()
    assert again.decide(texts).labels == made.decide(texts).labels
    assert again.decide(texts).reasons[-1] == "unreadable"
    words = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert "fitted around a model that it does not contain (" in words
    assert "test\\_calibrate.Model)" in words
    assert "transformers" not in words


def test_without_its_model_a_folder_says_what_to_pass(made, tmp_path):
    made.save(tmp_path / "model")

    with pytest.raises(
        ArtifactError, match=r"model was fitted around a model of yours \(.*test_calibrate\.Model\); pass"
    ):
        ew.load(tmp_path / "model")


def test_another_threshold_needs_no_model(made, tmp_path):
    """Tune and certify rows are there with what the model said of them."""
    made.save(tmp_path / "model")

    change = open_threshold(tmp_path / "model").change("certified", target_accuracy=0.7)

    again = ew.load(tmp_path / "model", engine=Model())
    assert change.after.certificate.looks == 2
    assert again.rule.threshold < made.rule.threshold
    assert again.certificate == change.after.certificate


class Turned(Model):
    labels = LABELS[::-1]


class Larger(Model):
    labels = (*LABELS, "returns")


class Changed(Model):
    def run(self, texts):
        outputs = super().run(texts)
        return replace(outputs, logits=outputs.logits + np.array([0.0, 0.0, 0.5]))


class Named(Model):
    fingerprint = "version 2"


@pytest.mark.parametrize(
    ("other", "error", "words"),
    [
        (Turned, InputError, r"the labels of .*model, in a different order: 'refund' instead of 'delivery'; pass"),
        (
            Larger,
            InputError,
            r"the model that was passed has 4 labels, and .*model has 3; pass the model that this folder",
        ),
        (
            Changed,
            ArtifactError,
            r"probabilities differ by 0\.0\d+ from when it was certified; pass the model that this",
        ),
        (Named, ArtifactError, r"belongs to other files or settings; pass the model that this folder"),
    ],
)
def test_another_model_in_its_place_is_refused(made, tmp_path, other, error, words):
    made.save(tmp_path / "model")

    with pytest.raises(error, match=words):
        ew.load(tmp_path / "model", engine=other())


def test_a_folder_that_holds_its_engine_takes_no_other(tmp_path):
    engine = MemoryEngine(("yes", "no"), {"sure": [4.0, 0.0]})
    ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.6)).save(tmp_path / "model")

    with pytest.raises(InputError, match=r"model contains its own model; leave engine= out$"):
        ew.load(tmp_path / "model", engine=engine)


def test_an_engine_with_files_is_fitted_anew_and_saved_with_them(tmp_path):
    texts, labels = rows()
    known = dict(zip(texts, Model().run(texts).logits.tolist(), strict=True))
    first = ew.Classifier(MemoryEngine(LABELS, known), ew.Identity(), ew.FixedThreshold(0.6))
    first.save(tmp_path / "first")

    made = ew.fit(texts, labels, engine=ew.load(tmp_path / "first").engine, target_accuracy=0.8)
    made.save(tmp_path / "second")

    assert ew.load(tmp_path / "second").certificate == made.certificate
    assert made.certificate.certified


def test_an_engine_of_tokens_keeps_those_of_its_rows(tmp_path):
    """So another threshold, or another precision, is certified on them without the texts."""
    pytest.importorskip("torch")
    from support.small_folders import classifier_of
    from support.small_models import texts

    engine = classifier_of().engine
    given = list(dict.fromkeys(texts(700)))
    codes = engine.run(given).logits.argmax(axis=1)
    codes[::5] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ElsewiseWarning)  # random weights answer few of the labels
        made = ew.fit(given, [engine.labels[code] for code in codes], engine=engine, target_accuracy=0.6)
    made.save(tmp_path / "model")

    change = open_threshold(tmp_path / "model").change("certified", target_accuracy=0.5)

    assert made.engine is engine
    assert len(made.provenance.arrays["refit.tune.lengths"]) == len(made.provenance.arrays["refit.tune.codes"])
    assert len(made.provenance.arrays["refit.certify.lengths"]) == made.provenance.record["splits"]["certify"]
    assert change.after.certificate.rows == made.certificate.rows
    assert ew.load(tmp_path / "model").engine.name == "openvino"


def brought(n=900, seed=0):
    """Logits twice too sure, features that show the label, and codes."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 3)) * 4
    codes = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    return 2 * z, codes, np.eye(3)[codes].repeat(2, axis=1) + 0.2 * rng.normal(size=(n, 6))


def test_features_beside_logits_are_read_in_one_row_with_them(tmp_path):
    z, codes, features = brought()
    made = ew.calibrate(z, codes, features=features, target_accuracy=0.8, score="mahalanobis", unfamiliar=0)
    made.save(tmp_path / "model")
    away = -3 * np.ones((1, 6))

    again = ew.load(tmp_path / "model")
    near, far = (again.decide(np.hstack([z[:1], place])) for place in (features[:1], away))

    assert isinstance(again.rule.score, Mahalanobis)
    assert far.confidence[0] < near.confidence[0]
    assert far.familiarity[0] < 0.05
    assert len(made.provenance.arrays["refit.certify.features"]) == 600


@pytest.mark.parametrize(
    "make",
    [
        lambda p: ew.calibrate(p, p.argmax(axis=1)),
        lambda p: ew.fit([f"text {i}" for i in range(1400)], p.argmax(axis=1), engine=Guessing()),
    ],
    ids=["calibrate", "fit"],
)
def test_probabilities_in_the_place_of_logits_are_refused(make):
    """A second softmax would leave them far from what the model said."""
    with pytest.raises(
        InputError, match=r"rows of logits are >= 0 and sum to 1, .*over numpy.log\(numpy.maximum\(p, 1e"
    ):
        make(ew.softmax(np.random.default_rng(0).normal(size=(1400, 3))))


class Guessing:
    labels = ("0", "1", "2")

    def run(self, texts):
        return ew.Outputs(ew.softmax([[len(text) * 0.1, 0.0, crc32(text.encode()) % 2] for text in texts]))


@pytest.mark.parametrize("labels", [{"a", "b"}, {0: "a", 1: "b"}, "ab"])
def test_labels_without_an_order_are_refused(labels):
    with pytest.raises(InputError, match=r"labels must be a list of names in the order of the columns, got a"):
        ew.calibrate(5 * np.eye(2), [0, 1], labels=labels)


def test_features_that_are_missing_are_said():
    z, codes, features = brought()
    made = ew.calibrate(z, codes, features=features, target_accuracy=0.8)

    with pytest.raises(
        InputError, match=r"^rows must have shape \(n, 9\), 3 logits and then 6 features, got \(5, 3\); "
    ):
        made.decide(z[:5])


def test_out_of_scope_rows_of_their_own_teach_and_test():
    z, codes, features = brought()
    more = np.random.default_rng(5).normal(size=(90, 3)), np.zeros((90, 6))

    made = ew.calibrate(z, codes, features=features, out_of_scope=more, target_accuracy=0.7)

    assert made.certificate.rows == 660
    assert made.certificate.out_of_scope_share == pytest.approx(1 / 11)
    plain = ew.calibrate(z, codes, out_of_scope=more[0], target_accuracy=0.7)
    assert plain.certificate.out_of_scope_share == pytest.approx(1 / 11)


def test_test_rows_are_only_reported_on():
    z, codes, _ = brought()
    test_z, test_codes, _ = brought(seed=1)

    made, without = (
        ew.calibrate(z, codes, target_accuracy=0.8, **more) for more in ({"test": (test_z, test_codes)}, {})
    )

    assert made.certificate == without.certificate
    assert made.provenance.record["splits"]["test"] == 900
    right = (test_z.argmax(axis=1) == test_codes).mean()
    assert made.evaluation["classifier"]["accuracy"]["value"] == pytest.approx(right)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"features": np.zeros((5, 2))}, r"features must be numbers of shape \(900, d\), .* got \(5, 2\) of float64"),
        ({"features": np.full((900, 2), np.nan)}, r"features must be finite, and row 0 is not"),
        ({"out_of_scope": np.zeros((5, 4))}, r"out_of_scope must have 3 columns, as the rows to calibrate on, got 4"),
        ({"test": (np.zeros((5, 3)), [0] * 5, np.zeros((5, 2)))}, r"test must have logits alone, as the rows to"),
        ({"features": np.zeros((900, 2)), "test": (np.zeros((5, 3)), [0] * 5)}, r"test must have logits and features"),
    ],
)
def test_rows_that_do_not_fit_the_first_are_refused(more, words):
    z, codes, _ = brought()

    with pytest.raises(InputError, match=words):
        ew.calibrate(z, codes, **more)


def drawn(n=900, seed=0):
    """Logits of n texts and codes drawn from their softmax."""
    rng = np.random.default_rng(seed)
    z = 3 * rng.normal(size=(n, 3))
    return z, (z + rng.gumbel(size=z.shape)).argmax(axis=1)


def test_equal_rows_of_logits_count_once_and_are_told():
    z, codes = drawn()
    again, labels = np.tile(z, (10, 1)), np.tile(codes, 10)

    with pytest.warns(ElsewiseWarning, match=r"^8,100 of 9,000 rows of logits equal an earlier row to the last bit: "):
        made = ew.calibrate(again, labels, target_accuracy=0.8)

    once = ew.calibrate(z, codes, target_accuracy=0.8)
    assert made.rule.threshold == once.rule.threshold
    assert made.certificate.rows == once.certificate.rows == 600
    assert made.provenance.record["dropped"] == {"untrained": 0, "repeated": 8100, "seen": 0, "grouped": 0}
    assert (
        "8,100 of 9,000 labelled rows kept aside repeat an earlier row and were left out" in made.certificate.sentence
    )
    assert once.certificate.population is None


@pytest.mark.parametrize("copies", [9, 10])
def test_a_hundredth_of_equal_rows_is_not_warned_of(copies):
    z, codes = drawn(1000 - copies)
    made = ew.calibrate([*z, *z[:copies]], [*codes, *codes[:copies]], target_accuracy=0.8)

    assert made.provenance.record["dropped"]["repeated"] == copies
    assert made.certificate.population is None


def test_equal_rows_of_different_texts_can_be_counted():
    z, codes = drawn()

    made = ew.calibrate(np.tile(z, (2, 1)), np.tile(codes, 2), target_accuracy=0.8, count_repeats=True)

    assert made.certificate.rows == 1200
    assert "a text counts as often as it comes" in made.certificate.sentence


def test_logits_of_groups_calibrate_or_certify_and_count_once():
    z, codes = drawn()

    made = ew.calibrate(z, codes, groups=np.arange(900) // 2, target_accuracy=0.8)

    assert made.provenance.record["splits"] == {"tune": 150, "certify": 300}
    assert made.provenance.record["dropped"]["grouped"] == 450
    assert "each group counts once" in made.certificate.sentence


def test_the_newest_logits_certify():
    z, codes = drawn()
    when = np.random.default_rng(1).permutation(900)

    made = ew.calibrate(z, codes, times=when, target_accuracy=0.8)

    assert set(map(tuple, made.provenance.arrays["refit.certify.logits"])) == set(map(tuple, z[when >= 300]))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"groups": ["a", "b"]}, "groups must have one value for each of 900 rows, got 2"),
        ({"groups": ["a"] * 900}, "rows of 1 group cannot be divided into 2 parts: whole groups go to one part"),
        ({"times": ["2024-05-31"] * 900}, "900 rows with 1 time cannot be divided by time into 2 parts"),
        ({"times": ["soon"] * 900}, "the rows: the time 'soon' in row 0 cannot be read"),
        ({"times": range(900), "out_of_scope": np.eye(3)}, "out_of_scope rows have no times"),
    ],
)
def test_groups_and_times_that_do_not_do_are_refused(more, said):
    with pytest.raises(InputError, match=f"^{said}"):
        ew.calibrate(*drawn(), **more)


@pytest.mark.filterwarnings("ignore::elsewise.errors.PromiseWarning")
def test_out_of_scope_rows_are_groups_by_themselves():
    z, codes = drawn()

    made = ew.calibrate(z, codes, groups=np.arange(900) // 2, out_of_scope=drawn(90, seed=7)[0], target_accuracy=0.6)

    assert made.certificate.rows == 360
    assert made.certificate.out_of_scope_share == pytest.approx(60 / 360)


@pytest.mark.parametrize("marks", [{"groups": np.arange(900) // 2}, {"count_repeats": True, "times": range(900)}])
def test_a_later_threshold_is_about_the_same_texts(tmp_path, marks):
    ew.calibrate(*drawn(), target_accuracy=0.8, **marks).save(tmp_path / "model")
    promised = ew.load(tmp_path / "model").certificate

    changed = open_threshold(tmp_path / "model").change("certified", target_accuracy=0.7).after.certificate
    open_threshold(tmp_path / "model").change("fixed", threshold=0.9)
    again = open_threshold(tmp_path / "model").change("by_label").after.rule

    assert promised.population == changed.population == again.certificate.population is not None
    assert {certificate.population for certificate in again.certificates} == {promised.population}
    assert changed.rows == promised.rows


def test_logits_that_were_calibrated_on_are_recognised():
    z, codes = drawn()
    made = ew.calibrate(z, codes, target_accuracy=0.8)

    with pytest.warns(
        ElsewiseWarning, match=r"^100 of 200 texts were used to make the model \(tune \d+, certify \d+\)"
    ):
        judged = ew.evaluate(made, np.vstack([z[:100], drawn(100, seed=3)[0]]), codes=[*codes[:100], *[0] * 100])

    assert judged.rows.seen == 100
    counted = ew.calibrate(z, codes, target_accuracy=0.8, count_repeats=True)
    assert ew.evaluate(counted, z, codes=codes).rows.seen == 900


def marked_rows(n=1200):
    texts, labels = rows(n)
    return texts, labels, {"groups": [f"customer {i // 2}" for i in range(n)], "times": range(n)}


def test_a_model_of_yours_is_certified_by_groups_on_the_newest():
    texts, labels, marks = marked_rows()

    made = ew.fit(texts, labels, engine=Model(), target_accuracy=0.8, **marks)

    assert made.provenance.record["splits"] == {"train": 0, "tune": 150, "certify": 300, "test": 150}
    assert made.provenance.record["dropped"]["grouped"] == 600
    assert len(made.provenance.arrays["refit.certify.codes"]) == 300
    said = made.certificate.sentence
    assert (
        "It is about texts of new groups: each group counts once, by one row drawn by chance. "
        "The texts kept aside are newer than those that it was calibrated on."
    ) in said


def test_frequent_texts_are_told_of_or_counted():
    texts, labels = rows(900)
    more = np.random.default_rng(0).integers(30, size=300)
    given = [*texts, *(texts[i] for i in more)], [*labels, *(labels[i] for i in more)]

    once, counted = (
        ew.fit(*given, engine=Model(), target_accuracy=0.8, count_repeats=count) for count in (False, True)
    )

    assert "It is about distinct texts, however often each comes: " in once.certificate.sentence
    assert counted.certificate.rows == 600 > once.certificate.rows
    assert "It is about all texts that come in" in counted.certificate.sentence


def majority(sees_fraud):
    """Logits of a model that knows what is ok, and may know fraud: 1 % of the rows."""
    codes = np.arange(3000) % 100 == 0
    z = np.stack([np.zeros(3000), np.where(codes & sees_fraud, 6.0, -6.0)], axis=1)
    return z + np.random.default_rng(0).normal(size=z.shape) / 9, codes.astype(int)


@pytest.mark.parametrize("sees_fraud", [True, False])
def test_a_label_that_is_never_answered_is_named_where_one_label_keeps_the_promise(sees_fraud):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        classifier = ew.calibrate(*majority(sees_fraud), labels=["ok", "fraud"])

    assert classifier.certificate.certified
    told = [str(one.message) for one in caught]
    assert any("label 'ok' alone would keep the promise" in words for words in told)
    assert any(words.startswith("'fraud' is never answered") for words in told) == (not sees_fraud)
    assert all("threshold MODEL --per-label" in words for words in told if "keep" in words)


def of_three(n=600):
    rng = np.random.default_rng(0)
    codes = rng.integers(3, size=n)
    return rng.normal(size=(n, 3)) + 3 * np.eye(3)[codes], codes


@pytest.mark.parametrize("numbers", [np.arange(600), np.arange(600) + 7000, np.random.default_rng(1).permutation(600)])
def test_a_column_that_numbers_the_rows_is_no_label(numbers):
    z, codes = of_three()

    with pytest.raises(InputError, match=r"^column 'id' of the logits holds a whole number of its own for each row"):
        ew.calibrate(np.column_stack([numbers, z]), codes + 1, labels=["id", *LABELS])


def test_a_label_that_no_row_has_is_told_and_may_stay():
    z, codes = of_three()

    with pytest.warns(ElsewiseWarning, match=r"^1 label has no row: 'other'; labels without rows are not tested"):
        classifier = ew.calibrate(np.column_stack([z, z[:, 0] / 7 - 9]), codes, labels=[*LABELS, "other"])
    assert classifier.labels == (*LABELS, "other")
