"""The gates that are on by default: which are made, on how many rows, and how a folder changes them."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

import elsewise as ew
from elsewise.data.splits import divide
from elsewise.errors import ElsewiseWarning, InputError
from elsewise.fitting import open_threshold
from elsewise.fitting.baseline import fit_baseline, train_baseline
from elsewise.fitting.certify import Promise, Words
from elsewise.outputs import Evidence, Outputs
from elsewise.rules import AmbiguityMargin, Floor, Unfamiliar, asked_record
from elsewise.rules.familiarity import FamiliarityTest
from support.running import run

OLD = Path(__file__).parents[1] / "classifier" / "old_folders"
LABELS = ("delivery", "login", "refund")
FAR = [[3.0, 0.0, 0.0, *[-9.0] * 6]]  # sure of a label, in a place where no text was
UNSURE = [[0.1, 0.0, 0.0, 1.0, 1.0, *[0.0] * 4]]  # among the texts of "delivery", by its features


def rows_of(n=1200, k=3, seed=0):
    """Logits of k labels, codes, and features around a direction of each label."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, k)) * 3
    codes = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    return z, codes, np.eye(k)[codes].repeat(2, axis=1) + 0.2 * rng.normal(size=(n, 2 * k))


def made_of(z, codes, features, **options):
    return ew.calibrate(z, codes, features=features, **{"target_accuracy": 0.8, "count_repeats": True, **options})


@pytest.fixture(scope="module")
def made():
    return made_of(*rows_of(), labels=LABELS)


@pytest.fixture
def model(made, tmp_path):
    made.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def without_features(tmp_path):
    z, codes, _ = rows_of()
    ew.calibrate(z, codes, target_accuracy=0.8).save(tmp_path / "model")
    return tmp_path / "model"


def gates_of(path):
    return ew.load(path).rule.gates


# By default.


def test_with_features_unfamiliar_and_improbable_texts_are_barred(made):
    decisions = made.decide([*FAR, *UNSURE])

    assert made.rule.gates == (Unfamiliar(0.02), Floor(0.5))
    assert decisions.labels == ["Other", "Other"]
    assert decisions.reasons.tolist() == ["unfamiliar", "unsure"]


def test_without_features_only_improbable_texts_are_barred():
    z, codes, _ = rows_of()

    made = ew.calibrate(z, codes, target_accuracy=0.8)

    assert made.rule.gates == (Floor(0.5),)
    assert made.decide([[9.0, 0.0, 0.0], [0.1, 0.0, 0.0]]).reasons.tolist() == ["answered", "unsure"]


def test_no_gate_is_made_where_both_are_switched_off():
    made = made_of(*rows_of(), unfamiliar=0, floor=0)

    assert made.rule.gates == ()
    assert made.certificate.barred == ()
    assert made.decide(FAR).reasons.tolist() == ["answered"]


def test_a_share_of_unfamiliar_texts_needs_features():
    z, codes, _ = rows_of()

    with pytest.raises(InputError, match=r"^unfamiliar needs features, the input of the last layer, and there are non"):
        ew.calibrate(z, codes, unfamiliar=0.02)


@pytest.mark.parametrize("name", ["floor", "unfamiliar"])
@pytest.mark.parametrize("wrong", [-0.1, 1.5, float("nan")])
def test_what_is_no_share_is_refused_before_any_work(name, wrong, monkeypatch):
    monkeypatch.setattr("elsewise.fitting.calibrate.certified_engine", lambda *_: pytest.fail("it was worked on"))

    with pytest.raises(InputError, match=rf"^{name} must lie in 0\.\.1, got {wrong}$"):
        made_of(*rows_of(), **{name: wrong})


def test_what_is_certified_is_what_passes_the_gates(made):
    kept = made.provenance.arrays
    rows = np.hstack([kept[f"refit.certify.{column}"] for column in ("logits", "features")])
    decisions, codes = made.decide(rows), kept["refit.certify.codes"]

    unfamiliar, floor = made.certificate.barred
    assert (made.certificate.n, made.certificate.rows) == ((~decisions.abstained).sum(), len(rows))
    assert made.certificate.errors == (decisions.codes != codes)[~decisions.abstained].sum()
    assert unfamiliar.n == (made.familiarity(made.evidence(rows)) <= 0.02).sum() > 0
    assert floor.n == (made.probabilities(rows).max(axis=1) < 0.5).sum() > 0


# How many tune rows are enough.


def familiarity_of(n):
    z, codes, features = rows_of(n)
    return FamiliarityTest.fit(Evidence(ew.softmax(z), Outputs(z, features)), codes)


@pytest.mark.filterwarnings("error::elsewise.errors.ElsewiseWarning")
def test_forty_nine_tune_rows_are_enough_for_two_in_a_hundred():
    assert Promise(0.95, 0.95, "auto").gates(familiarity_of(49)) == (Unfamiliar(0.02), Floor(0.5))
    assert Promise(0.95, 0.95, "auto", unfamiliar=0).gates(familiarity_of(3)) == (Floor(0.5),)


@pytest.mark.parametrize(
    ("n", "share", "told"),
    [
        (48, None, r"48 in-scope tune rows are too few to tell the 2 % least familiar texts: none is barred; 49 are"),
        (98, 0.01, r"98 in-scope tune rows are too few to tell the 1 % least familiar texts: none is barred; 99 are"),
        (13, 0.07, r"13 in-scope tune rows are too few to tell the 7 % least familiar texts: none is barred; 14 are"),
    ],
)
def test_fewer_tune_rows_are_warned_of_with_the_number_that_is_needed(n, share, told):
    promise, test = Promise(0.95, 0.95, "auto", unfamiliar=share), familiarity_of(n)

    with pytest.warns(ElsewiseWarning, match=f"^{told} needed$"):
        assert promise.gates(test) == (Floor(0.5),)

    gate = Unfamiliar(share or 0.02)
    worst = Evidence(np.full((1, 2), 0.5), familiarity=test.in_scope([-np.inf]))
    enough = Evidence(np.full((1, 2), 0.5), familiarity=familiarity_of(n + 1).in_scope([-np.inf]))
    assert (gate(worst).tolist(), gate(enough).tolist()) == ([False], [True])


def test_the_warning_points_to_the_call_that_asked(model):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        made_of(*rows_of(180))
        open_threshold(model).change("certified", unfamiliar=0.0001)

    few = [warning for warning in said if "least familiar texts" in str(warning.message)]
    assert [warning.filename for warning in few] == [__file__] * 2
    assert str(few[1].message).endswith("the 0.01 % least familiar texts: none is barred; 9,999 are needed")


# A folder's gates are changed without training.


def test_a_gate_is_changed_removed_and_put_back(model):
    first = ew.load(model)

    wider = open_threshold(model).change("certified", unfamiliar=0.05, floor=0.6, note="strangers")
    narrower = open_threshold(model).change("certified", unfamiliar=0)
    undone = open_threshold(model).undo()

    assert wider.before.rule == first.rule
    assert wider.after.rule.gates == undone.after.rule.gates == gates_of(model) == (Unfamiliar(0.05), Floor(0.6))
    assert narrower.after.rule.gates == (Floor(0.6),)
    assert [change.after.certificate.looks for change in (wider, narrower, undone)] == [2, 3, 3]
    shares = [gate.n for change in (wider, undone) for gate in change.after.certificate.barred]
    assert shares[:2] == shares[2:]
    assert shares[0] > first.certificate.barred[0].n
    assert shares[1] > first.certificate.barred[1].n


@pytest.mark.parametrize("rule", [{"rule": "fixed", "threshold": 0.7}, {"rule": "coverage", "coverage": 0.5}])
def test_a_threshold_without_a_promise_keeps_the_gates(model, rule):
    change = open_threshold(model).change(**rule)

    assert change.after.rule.gates == gates_of(model) == (Unfamiliar(0.02), Floor(0.5))
    assert ew.load(model).decide(FAR).reasons.tolist() == ["unfamiliar"]


def test_the_command_changes_gates_as_one_look_and_the_history_says_so(model):
    changed = run("threshold", model, "--unfamiliar", 0.05, "--floor", 0.6, "--note", "strangers")
    removed = run("threshold", model, "--unfamiliar", 0, "--json")
    looked = run("threshold", model)

    assert changed.returncode == removed.returncode == looked.returncode == 0, changed.stderr + removed.stderr
    lines = [" ".join(line.split()) for line in (changed.stdout + looked.stdout).splitlines()]
    assert any("unfamiliar 0.02 0.05" in line for line in lines)
    assert any("floor 0.5 0.6" in line for line in lines)
    assert "A text unlike the known texts is never answered: of " in changed.stdout
    assert "A text whose best label is too improbable is never answered: of " in changed.stdout
    asked = json.loads(removed.stdout)["after"]["asked"]
    assert (asked["unfamiliar"], asked["floor"]) == (0.0, 0.6)
    assert "The certify rows were read for 3 certifications; the next one is look 4." in looked.stdout
    assert "No threshold is needed beside the gates: " in changed.stdout
    assert any(line.endswith("strangers") and " logits changed certified: " in line for line in lines)
    assert any("confidence_level 0.95, unfamiliar 0.05," in line for line in lines)

    undone = run("threshold", model, "--undo")

    assert undone.returncode == 0, undone.stderr
    assert gates_of(model) == (Unfamiliar(0.05), Floor(0.6))
    assert ew.load(model).certificate.looks == 3


def test_a_folder_without_features_refuses_the_gate_in_a_line_and_stays(without_features):
    before = (without_features / "elsewise.json").read_bytes()

    done = run("threshold", without_features, "--unfamiliar", 0.05)

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"elsewise: {without_features} cannot tell unfamiliar texts: its engine gave no features when it was fitted\n"
    )
    assert (without_features / "elsewise.json").read_bytes() == before
    assert run("threshold", without_features, "--unfamiliar", 0, "--floor", 0.7).returncode == 0
    assert gates_of(without_features) == (Floor(0.7),)


@pytest.mark.parametrize("name", ["logits", "texts"])
def test_an_old_folder_takes_a_floor_and_no_gate_that_its_rows_do_not_support(name, tmp_path):
    model = shutil.copytree(OLD / name, tmp_path / "model")
    margin, looks = gates_of(model), open_threshold(model).overview().looks

    change = open_threshold(model).change("certified", floor=0.5)

    assert change.after.rule.gates == gates_of(model) == (Floor(0.5), *margin)
    assert change.after.certificate.looks == looks + 1
    assert {gate.reason for gate in change.after.certificate.barred} == {"unsure", *(gate.reason for gate in margin)}
    with pytest.raises(InputError, match=r"model cannot tell unfamiliar texts: its engine gave no features when it wa"):
        open_threshold(model).change("certified", unfamiliar=0.05)
    assert open_threshold(model).undo().after.rule.gates == margin


def test_a_folder_without_gates_takes_one_where_its_rows_hold_features(tmp_path):
    """As folders are that were written before there were gates, of engines with features."""
    without = made_of(*rows_of(), unfamiliar=0, floor=0)
    without.save(tmp_path / "model")

    change = open_threshold(tmp_path / "model").change("certified", unfamiliar=0.02, floor=0.5)

    by_default = made_of(*rows_of())
    assert change.after.rule.gates == by_default.rule.gates
    assert change.after.certificate.barred == by_default.certificate.barred
    assert change.after.rule.threshold == by_default.rule.threshold
    assert ew.load(tmp_path / "model").decide(FAR).reasons.tolist() == ["unfamiliar"]


def test_the_margin_and_the_other_gates_leave_each_other_alone(model):
    asked = open_threshold(model).change("certified", ambiguity_margin=0.1).after.rule

    assert asked.gates == gates_of(model) == (Unfamiliar(0.02), Floor(0.5), AmbiguityMargin(0.1))
    settings = asked_record(asked)
    assert (settings["unfamiliar"], settings["floor"], settings["ambiguity_margin"]) == (0.02, 0.5, 0.1)


# Data that are few, or alike.


def test_two_labels_are_barred_only_where_they_are_unfamiliar():
    """The better of two probabilities is never below one half."""
    made = made_of(*rows_of(k=2))

    assert made.rule.gates == (Unfamiliar(0.02), Floor(0.5))
    assert [gate.n > 0 for gate in made.certificate.barred] == [True, False]
    assert made.decide([[0.0, 0.0, 0.9, 1.1, 0.0, 0.1]]).reasons[0] == "answered"


def test_a_label_with_one_row_is_no_obstacle():
    z, codes, features = rows_of()
    keep = np.flatnonzero((codes != 2) | (np.arange(len(codes)) == np.flatnonzero(codes == 2)[0]))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ElsewiseWarning)  # of the label that is rare
        made = made_of(z[keep], codes[keep], features[keep])

    assert made.certificate.certified
    assert made.decide(FAR).reasons.tolist() == ["unfamiliar"]


@pytest.mark.filterwarnings("ignore::elsewise.errors.ElsewiseWarning")
def test_sixty_tune_rows_bar_no_text_as_unfamiliar_and_are_warned_of():
    """Half of them are what distances are measured from."""
    with pytest.warns(ElsewiseWarning, match=r"^\d\d in-scope tune rows are too few to tell the 2 % least familiar"):
        made = made_of(*rows_of(180))

    assert made.provenance.record["splits"]["tune"] == 60
    assert made.rule.gates == (Floor(0.5),)
    assert "unlike the known texts" not in made.certificate.sentence
    assert not np.isnan(made.decide(FAR).confidence[0])


@pytest.mark.parametrize("of", ["everything", "features"])
@pytest.mark.filterwarnings("ignore::elsewise.errors.ElsewiseWarning")
def test_texts_that_are_all_alike_are_not_barred(of):
    """Ties are as familiar as each other: no text that is like all others is among the least familiar ones."""
    z, codes, features = rows_of()
    same = np.zeros_like(features)
    if of == "everything":
        z, codes = np.tile([[3.0, 0.0, 0.0]], (len(z), 1)), np.where(np.arange(len(z)) % 20, 0, 1)

    made = made_of(z, codes, same)

    unfamiliar = made.certificate.barred[0]
    assert made.certificate.certified
    assert unfamiliar.n <= (0 if of == "everything" else 0.05 * unfamiliar.rows)
    assert made.decide(np.hstack([z, same])).reasons.tolist().count("answered") > 0.8 * len(z)


class Mine:
    """A model of somebody's own; what it does not know is a stranger."""

    labels = LABELS

    def run(self, texts):
        z, _, features = rows_of()
        known = {f"text number {i}": row for i, row in enumerate(np.hstack([z, features]))}
        rows = np.array([known.get(text, FAR[0]) for text in texts])
        return Outputs(rows[:, :3], rows[:, 3:])


def test_a_wrapped_model_with_features_has_both_gates_and_its_folder_keeps_them(tmp_path):
    texts, labels = [f"text number {i}" for i in range(1200)], [LABELS[code] for code in rows_of()[1]]
    made = ew.fit(texts, labels, engine=Mine(), target_accuracy=0.8)
    made.save(tmp_path / "model")

    again = ew.load(tmp_path / "model", engine=Mine())

    assert made.rule.gates == again.rule.gates == (Unfamiliar(0.02), Floor(0.5))
    assert again.decide(["a stranger"]).reasons.tolist() == ["unfamiliar"]
    assert open_threshold(tmp_path / "model").change("certified", unfamiliar=0.1).after.rule.gates[0] == Unfamiliar(0.1)


def test_out_of_scope_rows_say_how_many_strangers_the_gates_catch():
    z, codes, features = rows_of()
    strangers = np.tile(FAR, (90, 1))

    made = made_of(z, codes, features, out_of_scope=(strangers[:, :3], strangers[:, 3:]), out_of_scope_label="none")

    caught = made.certificate.caught
    assert (caught.rows, caught.n) == (60, 60)
    assert caught.low == pytest.approx(0.05 ** (1 / 60))
    assert "Of 60 out-of-scope texts kept aside 60 were stopped so, at least 95.12 %" in made.certificate.sentence


def test_the_baseline_is_asked_for_no_share_of_unfamiliar_texts():
    """It has no features; its promise is the same otherwise."""
    pytest.importorskip("sklearn")
    texts, labels = [f"{LABELS[i % 3]} {i}" for i in range(600)], [LABELS[i % 3] for i in range(600)]
    promise = Promise(0.9, 0.95, "auto", floor=0.6, unfamiliar=0.05)

    divided = divide((texts, labels), None, None, None, 0)
    learned = train_baseline(divided.parts, divided.names)
    baseline = fit_baseline(learned, divided.parts, promise, Words("Other", None))

    assert ew.load(baseline.path).rule.gates == (Floor(0.6),)


# Sentences.


def test_a_barred_text_is_told_why_in_every_language(made):
    decisions = made.decide([*FAR, *UNSURE])

    assert decisions.sentence(0).startswith(
        "Other: the text is unlike the known texts, as at most 0.5 % of in-scope texts are; the nearest labels are "
    )
    assert decisions.sentence(0).endswith("; this rule never answers such a text.")
    assert decisions.sentence(0, "tr").endswith("bu kural böyle bir metne etiket vermez.")
    assert decisions.sentence(1).startswith(
        'Other: the model is not sure, its best label "delivery" has probability 0.3'
    )
    assert decisions.sentence(1).endswith("; that is below this rule's floor.")
    assert decisions.sentence(1, "tr").endswith("bu, kuralın taban olasılığının altında.")
    assert decisions.explain(0).reason == "unfamiliar"
    assert decisions.explain(1, "tr").sentence == decisions.sentence(1, "tr")
    for language in ("en", "tr"):
        assert not any(character.isdigit() for character in decisions.customer_sentence(0, language))


def test_the_certificate_tells_what_the_gates_cost(made):
    unfamiliar, floor = made.certificate.barred

    said = made.certificate.sentence

    for words, gate in (("unlike the known texts", unfamiliar), ("whose best label is too improbable", floor)):
        measured = f"of {gate.rows} in-scope texts kept aside {gate.n} were so, at confidence level 95 % at most "
        assert f"A text {words} is never answered: {measured}" in said
    assert said.endswith("is not known: there was none among them.")
    assert "etiket verilmez: kapsam içi olan, ayrılmış 800 metinden" in made.certificate.say("tr")
