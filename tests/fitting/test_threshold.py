"""Another threshold for a model that is there: what is promised, what is measured on which rows, and the way back."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import elsewise as ew
from elsewise.arrays import ABSTAIN
from elsewise.classifier.model_folder import ModelFolder
from elsewise.errors import ArtifactError, InputError
from elsewise.evaluation.evaluate import evaluate
from elsewise.fitting import open_threshold
from elsewise.fitting.calibrate import calibrate
from elsewise.rules import (
    RULES,
    AccuracyBand,
    ByLabel,
    CertifiedThreshold,
    CostThreshold,
    TargetCoverage,
    among_looks,
    asked_record,
)
from elsewise.rules.gates import AmbiguityMargin
from elsewise.scores import Margin
from test_import_is_light import alone


def logits_of(n, seed):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 4)) * 4
    codes = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    codes[::40] = ABSTAIN
    return 2 * z, codes


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of logits without gates, certified for 85 %, with an evaluation."""
    path = tmp_path_factory.mktemp("made") / "model"
    classifier = calibrate(*logits_of(2400, 0), labels=list("abcd"), target_accuracy=0.85, floor=0)
    judged = evaluate(classifier, logits_of(300, 1)[0], codes=logits_of(300, 1)[1]).as_dict()
    classifier.with_provenance(evaluation=judged).save(path)
    return path


@pytest.fixture
def model(made, tmp_path):
    return shutil.copytree(made, tmp_path / "model")


def files_of(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def described(path):
    return json.loads((path / "elsewise.json").read_text(encoding="utf-8"))


def kept(path, split):
    """Evidence and codes of the rows that a folder keeps, made here."""
    classifier = ew.load(path)
    logits, codes = (classifier.provenance.arrays[f"refit.{split}.{column}"] for column in ("logits", "codes"))
    return ew.Evidence(classifier.calibrator(logits), ew.Outputs(logits)), codes


def without_certify_labels(path):
    """Make every certify code one that no label has: whoever reads them fails."""
    classifier = ew.load(path)
    spoilt = np.full_like(classifier.provenance.arrays["refit.certify.codes"], 99)
    classifier.with_provenance(arrays={**classifier.provenance.arrays, "refit.certify.codes": spoilt}).save(path)


def without_rows(path):
    ew.load(path).with_provenance(arrays={}).save(path)


def test_looking_changes_nothing_and_reads_no_certify_row(model):
    without_certify_labels(model)
    before = files_of(model)

    overview = open_threshold(model).overview()

    assert overview.present.rule == ew.load(model).rule
    assert (overview.looks, overview.history) == (1, [])
    assert [standing.rule.coverage for standing in overview.possible] == [1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5]
    assert files_of(model) == before


def test_a_new_target_is_certified_on_the_certify_rows_and_is_one_more_look(model):
    (certify, codes), (tune, _) = kept(model, "certify"), kept(model, "tune")

    change = open_threshold(model).change("certified", target_accuracy=0.8)

    expected = CertifiedThreshold.fit(certify, codes, reference=tune, target_accuracy=0.8, looks=2, strict=False)
    assert change.after.rule == ew.load(model).rule == expected
    assert expected.certificate.certified
    assert "all 2 looks at them hold together at 90 %" in (model / "README.md").read_text()


@pytest.mark.parametrize(
    ("rule", "asked"),
    [
        ("fixed", {"threshold": 0.7}),
        ("coverage", {"coverage": 0.6}),
        ("cost", {"cost_of_error": 5, "cost_of_review": 1}),
    ],
)
def test_a_threshold_without_a_promise_reads_no_certify_row(model, rule, asked):
    tune, codes = kept(model, "tune")
    without_certify_labels(model)

    change = open_threshold(model).change(rule, **asked)

    assert change.after.rule == ew.load(model).rule == RULES[rule].fit(tune, codes, **asked)
    assert change.after.certificate is None
    assert open_threshold(model).overview().looks == change.entry["looks"] == 1
    assert "None: the threshold" in (model / "README.md").read_text()


def test_all_thresholds_of_one_band_are_one_look(model):
    (certify, codes), (tune, _) = kept(model, "certify"), kept(model, "tune")

    first = open_threshold(model).change("accuracy_band", threshold=0.7)
    again = [open_threshold(model).change("accuracy_band", threshold=at).after for at in (0.8, 0.6, 0.7)]

    expected = AccuracyBand.fit(certify, codes, reference=tune, looks=2).rule(0.7).certificate
    assert first.after.certificate == again[-1].certificate == expected
    assert first.after.rule.threshold >= 0.7
    assert {one.certificate.looks for one in again} == {2}
    assert len({one.rule.threshold for one in again}) == 3
    assert "all 2 looks at them hold together at 90 %" in first.after.certificate.sentence


def test_another_level_other_gates_and_other_promises_are_further_looks(model):
    looks = [
        open_threshold(model).change(rule, **asked).after.certificate.looks
        for rule, asked in [
            ("accuracy_band", {"threshold": 0.7}),
            ("accuracy_band", {"threshold": 0.7, "confidence_level": 0.9}),
            ("certified", {"target_accuracy": 0.8}),
            ("accuracy_band", {"threshold": 0.8, "confidence_level": 0.95, "ambiguity_margin": 0.1}),
            ("accuracy_band", {"threshold": 0.6, "confidence_level": 0.95, "ambiguity_margin": 0}),
        ]
    ]

    assert looks == [2, 3, 4, 5, 5]


def test_a_promise_for_each_label_can_be_asked_for(model):
    (certify, codes), (tune, known) = kept(model, "certify"), kept(model, "tune")

    change = open_threshold(model).change("by_label", joint=True)

    expected = ByLabel.fit(
        certify, codes, reference=tune, reference_codes=known, target_accuracy=0.85, joint=True, looks=2
    )
    assert change.after.rule == ew.load(model).rule == expected
    rows = change.after.by_label
    assert sorted(row.label for row in rows) == list("abcd")
    assert {row.label: row.threshold for row in rows} == dict(zip("abcd", expected.threshold, strict=True))
    assert [row.certified for row in rows] == sorted(row.certified for row in rows)


def test_figures_are_counted_on_the_tune_rows_before_and_after_alike(model):
    tune, codes = kept(model, "tune")

    change = open_threshold(model).change("fixed", threshold=0.8)

    n = len(codes)
    for standing in (change.before, change.after):
        decided = standing.rule(tune).codes
        answered, right = int((decided >= 0).sum()), int(((decided >= 0) & (decided == codes)).sum())
        measured = standing.measured
        assert (measured.rows, measured.out_of_scope) == (n, int((codes < 0).sum()))
        assert measured.coverage.value == answered / n
        assert measured.accuracy_when_answered.value == right / answered
        assert measured.errors_per_1000.value == pytest.approx(1000 * (answered - right) / n)
        assert measured.other_per_1000.value == pytest.approx(1000 * (n - answered) / n)
        assert measured.in_scope.coverage.value == (decided[codes >= 0] >= 0).mean()
        assert measured.errors_per_1000.low < measured.errors_per_1000.value < measured.errors_per_1000.high


def test_undo_puts_back_exactly_what_was_there(model):
    before = ew.load(model).rule
    open_threshold(model).change("by_label")
    open_threshold(model).change("fixed", threshold=float("inf"))

    once = open_threshold(model).undo(note="nothing was answered")
    twice = open_threshold(model).undo()

    assert isinstance(once.after.rule, ByLabel)
    assert twice.after.rule == ew.load(model).rule == among_looks(before, 2)
    assert [entry["what"] for entry in described(model)["history"]] == ["changed", "changed", "undone", "undone"]


def test_undo_puts_back_the_gate_too(model):
    open_threshold(model).change("certified", ambiguity_margin=0.2)
    gated = ew.load(model).rule
    ungated = open_threshold(model).change("certified", ambiguity_margin=0).after.rule

    undone = open_threshold(model).undo().after.rule

    assert (gated.gates, ungated.gates) == ((AmbiguityMargin(0.2),), ())
    assert undone == ew.load(model).rule == among_looks(gated, 3)


def test_a_change_after_an_undo_is_undone_to_where_the_undo_had_led(model):
    for threshold in (0.5, 0.6):
        open_threshold(model).change("fixed", threshold=threshold)
    open_threshold(model).undo()
    open_threshold(model).change("fixed", threshold=0.7)

    led = [open_threshold(model).undo().after.rule for _ in range(2)]

    assert led[0] == ew.FixedThreshold(0.5)
    assert isinstance(led[1], CertifiedThreshold)


def test_there_is_not_always_something_to_undo(model):
    open_threshold(model).change("fixed", threshold=0.5)
    open_threshold(model).undo()
    before = files_of(model)

    with pytest.raises(InputError, match=r"model: there is no change of the threshold of logits to undo$"):
        open_threshold(model).undo()

    assert files_of(model) == before


def test_looks_are_not_forgotten_when_they_are_undone(model):
    open_threshold(model).change("certified", target_accuracy=0.8)
    undone = open_threshold(model).undo()

    third = open_threshold(model).change("certified", target_accuracy=0.9)

    assert undone.after.certificate.looks == 2  # it was chosen again after two
    assert undone.entry["looks"] == 2
    assert third.after.certificate.looks == 3


def test_levels_of_several_looks_are_added_up_whatever_they_are(model):
    """Looks at 95, 60 and 99 %: they hold together at 1 - (0.05 + 0.4 + 0.01)."""
    first = ew.load(model).certificate.target_accuracy

    loose = open_threshold(model).change("certified", target_accuracy=0.8, confidence_level=0.6).after
    strict = open_threshold(model).change("certified", target_accuracy=0.8, confidence_level=0.99).after
    undone = [open_threshold(model).undo().after for _ in range(2)]

    assert "all 2 looks at them hold together at 55 %" in loose.certificate.sentence
    assert "all 3 looks at them hold together at 54 %" in strict.certificate.sentence
    for rule in undone:
        assert "all 3 looks at them hold together at 54 %" in rule.certificate.sentence
    assert ew.load(model).certificate.target_accuracy == first
    fourth = open_threshold(model).change("certified", target_accuracy=0.8, confidence_level=0.9).after
    assert "all 4 looks at them hold together at 44 %" in fourth.certificate.sentence


def test_an_earlier_threshold_is_not_put_on_another_confidence(model):
    open_threshold(model).change("fixed", threshold=0.5)
    replace(ew.load(model), rule=ew.FixedThreshold(0.3, Margin())).save(model)

    with pytest.raises(
        InputError, match="the score was changed after this threshold was set, so it cannot be restored"
    ):
        open_threshold(model).undo()


def test_the_history_says_what_was_asked_when_and_why(model):
    open_threshold(model).change("coverage", coverage=0.6, note="two people are ill")

    entry = described(model)["history"][0]

    gates = {"unfamiliar": 0.0, "floor": 0.0, "ambiguity_margin": 0.0}
    assert entry["asked"] == {"rule": "coverage", "coverage": 0.6, **gates}
    assert entry["note"] == "two people are ill"
    assert entry["engine"] == "logits"
    assert entry["when"].endswith("+00:00")
    assert entry["threshold"] == ew.load(model).rule.threshold
    assert "before" not in open_threshold(model).overview().as_dict()["history"][0]


def test_what_is_not_said_of_a_promise_is_that_of_the_last_certificate(model):
    open_threshold(model).change("certified", confidence_level=0.9, ambiguity_margin=0.1)
    open_threshold(model).change("fixed", threshold=0.5)

    certificate = open_threshold(model).change("certified").after

    assert asked_record(certificate.rule) == {
        "target_accuracy": 0.85, "confidence_level": 0.9, "out_of_scope_share": None,
        "unfamiliar": 0.0, "floor": 0.0, "ambiguity_margin": 0.1, "strict": False,
    }  # fmt: skip


def test_a_folder_without_rows_takes_a_threshold_by_hand_and_nothing_else(model):
    without_rows(model)

    change = open_threshold(model).change("fixed", threshold=0.5)

    assert ew.load(model).rule == ew.FixedThreshold(0.5)
    assert change.after.measured is None
    assert open_threshold(model).overview().possible == ()
    for rule, asked in (("certified", {}), ("coverage", {"coverage": 0.5})):
        with pytest.raises(
            InputError, match=r"keeps no rows to choose a threshold on \(keep_refit_rows=False\); set one by"
        ):
            open_threshold(model).change(rule, **asked)


def test_what_was_judged_with_another_threshold_is_set_apart_and_comes_back_with_it(model):
    before = json.loads((model / "evaluation.json").read_text())
    card = (model / "README.md").read_text()

    open_threshold(model).change("fixed", threshold=0.5)
    open_threshold(model).change("fixed", threshold=0.6)

    changed = json.loads((model / "evaluation.json").read_text())
    assert set(changed) == {"rows", "classifier", "engine", "outdated"}
    assert changed["classifier"] == before["classifier"]
    assert changed["outdated"]["system"] == before["system"]
    assert "measured before the threshold was changed on 20" in changed["outdated"]["words"]
    assert "| Accuracy when answered |" in card
    assert "| Accuracy when answered |" not in (model / "README.md").read_text()
    assert "not judged with this threshold" in (model / "README.md").read_text()
    open_threshold(model).undo()
    open_threshold(model).undo()
    assert json.loads((model / "evaluation.json").read_text()) == before
    assert (model / "README.md").read_text() == card


def test_the_judged_rule_comes_back_with_its_figures_and_a_certificate_of_every_look(model):
    """Certified again with the same target it decides as it did, but the rows were looked at twice."""
    judged = json.loads((model / "evaluation.json").read_text())
    open_threshold(model).change("fixed", threshold=0.5)

    open_threshold(model).change("certified")

    back = json.loads((model / "evaluation.json").read_text())
    assert back["system"] == judged["system"]
    assert (judged["certificate"]["looks"], back["certificate"]["looks"]) == (1, 2)
    assert back["certificate"]["sentence"] == ew.load(model).certificate.sentence


def test_another_promise_than_the_judged_one_brings_nothing_back(model):
    open_threshold(model).change("fixed", threshold=0.5)

    open_threshold(model).change("certified", target_accuracy=0.8)

    assert "system" not in json.loads((model / "evaluation.json").read_text())


def test_a_folder_that_was_changed_meanwhile_is_left_alone(model):
    progress = iter([lambda: open_threshold(model).change("fixed", threshold=0.4)])

    with pytest.raises(InputError, match="was changed meanwhile, and that change would be lost; run the command again"):
        open_threshold(model, progress=lambda *_: next(progress)()).change("fixed", threshold=0.5)

    assert ew.load(model).rule == ew.FixedThreshold(0.4)


@pytest.mark.parametrize(
    ("rule", "asked", "words"),
    [
        ("abacus", {}, r"unknown rule 'abacus'; choose one of fixed, certified"),
        (
            "fixed",
            {"coverage": 0.5},
            r"the rule 'fixed' takes no coverage; it takes ambiguity_margin, floor, threshold, unfamiliar",
        ),
        ("certified", {"looks": 1}, r"the rule 'certified' takes no looks; it takes"),
        ("certified", {"target": 0.9}, r"the rule 'certified' takes no target; did you mean target_accuracy\?$"),
        ("fixed", {"threshold": float("nan")}, r"threshold must be a number, got nan"),
        ("coverage", {"coverage": 1.1}, r"coverage must lie in 0..1, got 1.1"),
        ("cost", {"cost_of_error": 0, "cost_of_review": 1}, r"cost_of_error must be a number above 0"),
        ("certified", {"target_accuracy": 1.0}, r"target_accuracy must lie between 0 and 1"),
    ],
)
def test_what_makes_no_rule_is_refused_and_the_folder_stays(model, rule, asked, words):
    before = files_of(model)

    with pytest.raises(InputError, match=words):
        open_threshold(model).change(rule, **asked)

    assert files_of(model) == before


def test_a_folder_that_is_none_and_an_engine_that_it_does_not_have_are_refused(model, tmp_path):
    with pytest.raises(ArtifactError, match="is not a model folder"):
        open_threshold(tmp_path / "nothing").overview()
    with pytest.raises(ArtifactError, match=r"has no certificate for openvino \(it has logits\)"):
        open_threshold(model, engine="openvino").change("fixed")


def test_a_cost_is_placed_on_tune_rows_and_tells_what_it_expects(model):
    tune, codes = kept(model, "tune")

    rule = open_threshold(model).change("cost", cost_of_error=5, cost_of_review=1).after.rule

    assert rule.expected_cost == CostThreshold.fit(tune, codes, cost_of_error=5, cost_of_review=1).expected_cost


def test_the_possible_thresholds_are_those_that_the_command_would_set(model):
    possible = {standing.rule.coverage: standing for standing in open_threshold(model).overview().possible}

    made = open_threshold(model).change("coverage", coverage=0.7).after

    assert made.rule == possible[0.7].rule == TargetCoverage.fit(*kept(model, "tune"), coverage=0.7)
    assert made.measured == possible[0.7].measured


@pytest.fixture(scope="module")
def texts_made(tmp_path_factory):
    """A folder of a small text model on two engines."""
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    from elsewise.fitting.export import export
    from support.small_folders import classifier_of

    path = tmp_path_factory.mktemp("texts") / "model"
    classifier_of().save(path)
    export(path, engine="onnxruntime")
    return path


@pytest.fixture
def text_model(texts_made, tmp_path):
    return shutil.copytree(texts_made, tmp_path / "model")


def test_the_models_files_stay_as_they_are_and_so_do_the_canaries(text_model):
    before = files_of(text_model)

    open_threshold(text_model).change("coverage", coverage=0.5)

    after = files_of(text_model)
    assert {name for name in before if before[name] != after[name]} == {"elsewise.json", "README.md", "manifest.json"}
    assert set(after) == set(before)


def test_the_rows_are_run_on_the_engine_whose_threshold_it_is(text_model):
    """The looks of all engines count together; the other engine, and the card of the default one, stay."""
    from elsewise.classifier.kept_rows import refit_tokens

    card = (text_model / "README.md").read_text()
    default = described(text_model)["engine"]

    change = open_threshold(text_model, engine="openvino").change("certified", target_accuracy=0.5)

    changed = ew.load(text_model, engine="openvino")
    decided = changed.rule(changed.evidence(refit_tokens(changed.provenance.arrays, "certify")))
    answered = ~decided.abstained
    wrong = (decided.codes != changed.provenance.arrays["refit.certify.codes"])[answered].sum()
    assert default == "onnxruntime-f32"
    assert change.engine == "openvino-f32"
    assert change.others == ("onnxruntime-f32",)
    assert changed.certificate.looks == 3
    assert (changed.certificate.n, changed.certificate.errors) == (answered.sum(), wrong)
    assert ew.load(text_model).rule.certificate.looks == 2
    assert described(text_model)["engine"] == default
    assert (text_model / "README.md").read_text() == card
    with pytest.raises(InputError, match="no change of the threshold of onnxruntime-f32 to undo"):
        open_threshold(text_model).undo()
    assert open_threshold(text_model, engine="openvino").undo().after.certificate.looks == 3


def test_neither_torch_nor_transformers_is_needed(text_model, tmp_path):
    (tmp_path / "home").mkdir()
    program = f"""
from elsewise.cli import app
app(["threshold", {str(text_model)!r}, "--target-accuracy", "0.5", "--json"], standalone_mode=False)
"""

    done = alone(program, tmp_path / "home")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["after"]["certificate"]["looks"] == 3


def test_a_change_that_would_be_refused_makes_no_look(model, monkeypatch):
    late = open_threshold(model)
    open_threshold(model).change("certified", target_accuracy=0.8)
    monkeypatch.setattr("elsewise.fitting.threshold.fit_as_asked", lambda *_, **__: pytest.fail("rows were read"))

    with pytest.raises(InputError, match="was changed meanwhile"):
        late.change("certified", target_accuracy=0.9)
    with pytest.raises(InputError, match="was changed meanwhile"):
        late.undo()

    assert ModelFolder.read(model).looks == 2


def test_an_opened_threshold_is_changed_once(model):
    """What it knows of the folder is what was there before its own change."""
    opened = open_threshold(model)
    opened.change("fixed", threshold=0.4)

    with pytest.raises(InputError, match="was changed meanwhile"):
        opened.change("fixed", threshold=0.5)

    assert len(ModelFolder.read(model).history) == 1
