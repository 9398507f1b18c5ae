"""Comparisons: planted differences are found, equal models are not told apart, and names rule, not places."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest

import elsewise as ew
from elsewise.engines.memory import MemoryEngine
from elsewise.errors import ElsewiseWarning, InputError
from elsewise.evaluation.compare import compare
from elsewise.evaluation.comparison import ChangedRow, ComparedLabels, Said
from elsewise.evaluation.paired_bootstrap import BestOutcomes, Both
from elsewise.metrics import mean_interval
from elsewise.rules import ByLabel

LABELS = ("a", "b", "c", "d")
SURE = {"yes": [4.0, 0.0], "no": [0.0, 4.0]}


def logits_of(codes, strength, seed, k=4):
    """Logits that know the code as well as `strength` says, and are unsure of every fifth row."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(len(codes), k))
    z[np.arange(len(codes)), codes] += np.where(np.arange(len(codes)) % 5, strength, 1.0)
    return 2 * z


def certified(z, codes, labels=LABELS, **promise):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ElsewiseWarning)  # of the few rows
        return ew.calibrate(z, codes, labels=labels, **promise)


@pytest.fixture(scope="module")
def rows():
    """True codes, and for three models logits of them: two that are as good, and a worse one."""
    codes = np.random.default_rng(0).integers(0, 4, 1600)
    return codes, {name: logits_of(codes, s, i) for i, (name, s) in enumerate((("x", 4), ("y", 4), ("worse", 2.2)))}


@pytest.fixture(scope="module")
def models(rows):
    codes, z = rows
    return {name: certified(z[name][:800], codes[:800], target_accuracy=0.85) for name in z}


@pytest.fixture(scope="module")
def judge(rows, models):
    """Compare some of the models, by name."""
    codes, z = rows

    def of(*names, **options):
        given = {name: z[name][800:] for name in names}
        return compare(*(models[name] for name in names), given, codes=codes[800:], names=names, **options)

    return of


def by_heart(table, labels=("yes", "no"), threshold=0.6, **more):
    return ew.Classifier(MemoryEngine(labels, table), ew.Identity(), ew.FixedThreshold(threshold), **more)


def numbers(comparison):
    """All differences of the first pair, as one array."""
    figures = comparison.pairs[0].figures.values()
    return np.array([[(e := f.difference).value, e.low, e.high] for f in figures])


def test_a_planted_difference_is_found_at_the_same_promise(judge):
    found = judge("x", "worse")

    assert found.primary.figure == "right"
    assert found.primary.target_accuracy == 0.85
    assert found.verdict.startswith("x answers more of 800 texts right than worse, at the same promise: x ")
    for name in ("accuracy", "right", "log_loss", "brier", "auc", "augrc", "accuracy_at_coverage_0.8"):
        assert found.pairs[0].figures[name].shown, name
    assert found.pairs[0].figures["log_loss"].less_is_better
    assert found.pairs[0].figures["log_loss"].difference.high < 0
    assert found.leaderboard[0].name == "x"


def test_models_that_are_as_good_are_not_told_apart(judge):
    assert judge("x", "y").verdict.startswith(
        "No difference shown in how many of 800 texts are answered right, at the same promise: "
    )


def test_a_model_does_not_differ_from_itself(rows, models):
    codes, z = rows
    same = compare(models["x"], models["x"], z["x"][800:], codes=codes[800:])

    assert not numbers(same)[:, 0].any()
    assert not any(figure.shown for figure in same.pairs[0].figures.values())
    assert same.changed == []
    assert same.pairs[0].outcomes.changed == 0
    assert same.verdict.startswith("No difference shown")
    assert str(same).splitlines() == [same.verdict, *same.notes]


def test_swapping_the_two_turns_every_sign(judge):
    one, other = numbers(judge("x", "worse")), numbers(judge("worse", "x"))

    assert other[:, 0] == pytest.approx(-one[:, 0], abs=1e-12)
    assert other[:, 1] == pytest.approx(-one[:, 2], abs=1e-9)
    assert judge("worse", "x").verdict == judge("x", "worse").verdict


def test_the_order_of_the_rows_leaves_no_trace(rows, models, judge):
    codes, z = rows
    mixed = 800 + np.random.default_rng(1).permutation(800)

    given = {name: z[name][mixed] for name in z}
    shuffled = compare(models["x"], models["worse"], given, codes=codes[mixed], names=("x", "worse"))

    assert numbers(shuffled) == pytest.approx(numbers(judge("x", "worse")), abs=1e-9)


def test_each_figure_alone_is_what_an_evaluation_says(rows, models, judge):
    codes, z = rows
    alone, judged = judge("x", "y").models["x"].figures, ew.evaluate(models["x"], z["x"][800:], codes=codes[800:])

    for name in ("accuracy", "log_loss", "brier", "auc", "ece"):
        assert alone[name].value == pytest.approx(getattr(judged.classifier, name).value, abs=1e-12), name
    assert alone["ece"].null == judged.classifier.ece.null
    assert alone["auc"].low == pytest.approx(judged.classifier.auc.low)
    for name in ("coverage", "accuracy_when_answered", "augrc"):
        assert alone[name].value == pytest.approx(getattr(judged.system, name).value, abs=1e-12), name
    assert alone["coverage_at_accuracy"].value == judged.system.coverage_at_accuracy.coverage.value
    at = {point.coverage: point.accuracy.value for point in judged.system.accuracy_at_coverage}
    assert alone["accuracy_at_coverage_0.9"].value == pytest.approx(at[0.9])


def test_the_bootstrap_interval_of_a_mean_is_about_the_normal_one(rows, models, judge):
    codes, z = rows
    true = np.arange(800), codes[800:]
    loss = [-np.log(models[name].probabilities(z[name][800:])[true]) for name in ("x", "worse")]

    found, normal = judge("x", "worse").pairs[0].figures["log_loss"].difference, mean_interval(loss[0] - loss[1])

    assert found.value == pytest.approx(normal.value, abs=1e-12)
    assert found.high - found.low == pytest.approx(normal.high - normal.low, rel=0.15)


def test_columns_are_compared_by_the_names_of_their_labels(rows, models, judge):
    codes, z = rows
    turned = certified(z["worse"][:800, ::-1], 3 - codes[:800], labels=LABELS[::-1], target_accuracy=0.85)
    names = np.array(LABELS)[codes[800:]]

    given = {"x": z["x"][800:], "worse": z["worse"][800:, ::-1]}
    same = compare(models["x"], turned, given, names, names=("x", "worse"))

    figures, expected = same.pairs[0].figures, judge("x", "worse").pairs[0].figures
    assert figures["accuracy"].difference.value > 0.05
    for name in ("accuracy", "log_loss", "auc"):
        assert figures[name].difference.value == pytest.approx(expected[name].difference.value, abs=0.02), name
    with pytest.raises(InputError, match="and label 0 is 'a' for x and 'd' for turned; pass labels="):
        compare(models["x"], turned, {"x": z["x"], "turned": z["worse"]}, codes=codes, names=("x", "turned"))


def test_different_labels_are_compared_on_those_in_common():
    """The second also knows `maybe`: rows of it are left out, and saying it of others is wrong."""
    first = by_heart({"t1": [4.0, 0.0], "t2": [0.0, 4.0], "t3": [4.0, 0.0], "t4": [4.0, 0.0]})
    second = by_heart(
        {"t1": [0.0, 0.0, 4.0], "t2": [0.0, 9.0, 0.0], "t3": [4.0, 0.0, 0.0], "t4": [4.0, 0.0, 0.0]},
        labels=("maybe", "no", "yes"),
    )

    found = compare(first, second, ["t1", "t2", "t3", "t4"], ["yes", "no", "yes", "maybe"])

    assert found.rows.left_out == {"maybe": 1}
    assert found.labels == ComparedLabels(common=["yes", "no"], other={"a": [], "b": ["maybe"]})
    assert [found.models[name].figures["accuracy"].value for name in "ab"] == pytest.approx([1, 2 / 3])
    yes = Said("yes", abstained=False, right=True, best_label="yes", confidence=pytest.approx(0.98201, abs=1e-5))
    maybe = Said("maybe", abstained=False, right=False, best_label="maybe", confidence=pytest.approx(0.96466, abs=1e-5))
    assert found.changed == [ChangedRow(2, "yes", {"a": yes, "b": maybe})]
    assert found.notes[0].startswith("compared on the 2 labels that all models have (b has 1 more)")
    assert found.notes[1] == "left out: 1 row with a label that some model lacks"


@pytest.mark.parametrize(("n", "shown"), [(1, False), (2, False), (5, False), (8, True)])
def test_no_figure_shows_a_difference_that_so_few_rows_cannot(n, shown):
    """Five rows that all speak for one of two: 2 / 2 ** 5 is more than 5 %."""
    right, wrong = ({f"t{i}": [4.0 * ((i + way) % 2), 2.0] for i in range(n)} for way in (0, 1))

    found = compare(by_heart(right), by_heart(wrong), list(right), ["no", "yes"] * (n // 2) + ["no"] * (n % 2))

    figures = {name: figure for name, figure in found.pairs[0].figures.items() if name != "coverage"}
    assert {name: figure.shown for name, figure in figures.items()} == dict.fromkeys(figures, shown)


def test_one_answer_that_is_right_does_not_show_that_all_are():
    """Of forty rows the first answers one, rightly, and the second all, a quarter of them wrongly."""
    few = by_heart({f"t{i}": [4.0, 0.0] if not i else [0.1, 0.0] for i in range(40)})
    all_ = by_heart({f"t{i}": [4.0, 0.0] if i % 4 else [0.0, 4.0] for i in range(40)})

    found = compare(few, all_, [f"t{i}" for i in range(40)], ["yes"] * 40).pairs[0].figures

    apart = found["accuracy_when_answered"]
    assert apart.difference.value == 0.25
    assert apart.difference.low < -0.4
    assert not apart.shown


def test_outcomes_and_labels_are_counted_by_hand():
    first = by_heart({"t1": [4.0, 0.0], "t2": [4.0, 0.0], "t3": [0.3, 0.0], "t4": [0.0, 4.0]})
    second = by_heart({"t1": [4.0, 0.0], "t2": [0.0, 4.0], "t3": [0.0, 0.3], "t4": [0.0, 0.3]})

    pair = compare(first, second, ["t1", "t2", "t3", "t4"], ["yes", "no", "yes", "no"]).pairs[0]

    assert pair.outcomes.best == BestOutcomes(both_right=2, only_a=1, only_b=1, both_wrong=0)
    assert pair.outcomes.decided == {
        "right": {"right": 1, "wrong": 0, "other": 1},
        "wrong": {"right": 1, "wrong": 0, "other": 0},
        "other": {"right": 0, "wrong": 0, "other": 1},
    }
    assert pair.outcomes.changed == 2
    assert [(row.label, row.rows, row.recall, row.difference.value) for row in pair.labels] == [
        ("yes", 2, Both(1.0, 0.5), 0.5),
        ("no", 2, Both(0.5, 1.0), -0.5),
    ]
    assert (pair.labels[0].f1.a, pair.labels[0].f1.b) == pytest.approx((4 / 5, 2 / 3))


def test_one_threshold_for_all_is_shown_for_what_it_does():
    """Probabilities 0.982 and 0.574: a threshold of 0.6 on the maximum probability, whatever the rule's own is."""
    a, b = by_heart(SURE, threshold=0.99), by_heart({"yes": [4.0, 0.0], "no": [0.3, 0.0]}, threshold=0.5)

    found = compare(a, b, ["yes", "no"], ["yes", "no"])

    shared = [found.models[name].shared_threshold for name in "ab"]
    assert [one.coverage.value for one in shared] == [1, 0.5]
    assert [one.accuracy_when_answered.value for one in shared] == [1, 1]
    assert [found.models[name].figures["coverage"].value for name in "ab"] == [0, 1]


def test_out_of_scope_rows_are_errors_when_answered():
    a = by_heart({**SURE, "hi": [4.0, 0.0]}, out_of_scope_label="none")
    b = by_heart({**SURE, "hi": [0.1, 0.0]})

    found = compare(a, b, ["yes", "no", "hi"], ["yes", "no", "none"])
    by_code = compare(a, b, ["yes", "no", "hi"], codes=[0, 1, -1])

    assert found.rows.out_of_scope == 1
    assert [found.models[name].figures["wrong"].value for name in "ab"] == pytest.approx([1 / 3, 0])
    assert [found.models[name].figures["accuracy"].value for name in "ab"] == [1, 1]
    assert found.changed[0].label is None
    assert all(said.right == said.abstained for said in found.changed[0].models.values())
    assert numbers(found) == pytest.approx(numbers(by_code), nan_ok=True)


def test_the_out_of_scope_label_may_be_a_number():
    found = compare(by_heart(SURE), by_heart(SURE), ["yes", "no"], ["yes", 0], out_of_scope_label=0)

    assert found.rows.out_of_scope == 1


def test_rows_that_one_cannot_read_are_other_for_it_and_left_out_of_its_probabilities():
    a, b = by_heart({**SURE, "x": [0.0, 4.0]}), by_heart(SURE)

    found = compare(a, b, ["yes", "no", "x"], ["yes", "no", "no"])

    assert (found.rows.in_scope, found.rows.readable) == (3, 2)
    assert found.models["b"].rows.unreadable == 1
    assert [found.models[name].figures["accuracy"].value for name in "ab"] == [1, 1]
    assert [found.models[name].figures["right"].value for name in "ab"] == pytest.approx([1, 2 / 3])
    assert found.notes[0].startswith("not readable by every model: 1 in-scope row;")


def test_only_one_promise_that_all_keep_compares_thresholds(rows, models):
    codes, z = rows
    strict = certified(z["y"][:800], codes[:800], target_accuracy=0.8)
    none = certified(z["y"][:800], codes[:800], target_accuracy=0.999, strict=True)
    byhand = replace(models["y"], rule=ew.FixedThreshold(0.6))

    def why(other):
        primary = compare(models["x"], other, {"a": z["x"][800:], "b": z["y"][800:]}, codes=codes[800:]).primary
        return primary.figure, primary.why

    assert why(strict) == ("accuracy", "the models promise different things")
    assert why(byhand) == ("accuracy", "b has no certificate")
    assert why(replace(none, rule=replace(none.rule, certificate=replace(none.certificate, target_accuracy=0.85)))) == (
        "accuracy",
        "b could not be certified for 85 % and answers nothing",
    )


def test_a_promise_for_each_label_is_not_the_promise_for_all_answers_together(rows, models):
    codes, z = rows
    p = models["y"].probabilities(z["y"][:800])
    by_label = ByLabel.fit(p[400:], codes[400:800], reference=p[:400], target_accuracy=0.85)
    given = {"a": z["x"][800:], "b": z["y"][800:]}

    found = compare(models["x"], replace(models["y"], rule=by_label), given, codes=codes[800:])

    assert found.primary.figure == "accuracy"
    assert found.verdict.endswith("(the models promise different things, so that accuracy decides).")


def test_a_leaderboard_has_wider_intervals_than_a_pair(judge):
    board = judge("worse", "y", "x")
    best = board.leaderboard[0].name
    together = next(pair for pair in board.pairs if pair.b == "worse").figures
    alone = judge(best, "worse").pairs[0].figures

    assert [entry.name for entry in board.leaderboard][-1] == "worse"
    assert {p.a for p in board.pairs} == {best}
    assert [entry.shown for entry in board.leaderboard] == [False, False, True]
    assert "; no difference from " in board.verdict
    for name in ("accuracy", "right", "log_loss", "auc"):
        one, wide = alone[name].difference, together[name].difference
        assert wide.value == pytest.approx(one.value, abs=1e-12)
        assert wide.high - wide.low > 1.05 * (one.high - one.low), name


def test_texts_that_a_model_was_made_with_are_warned_of_by_its_name():
    from elsewise.data.splits import hashes

    known = by_heart(SURE).with_provenance(arrays={"split.train": np.array(hashes(["yes"]), dtype=np.uint64)})

    with pytest.warns(ElsewiseWarning, match=r"^old: 1 of 2 texts were used to make the model \(train 1\)"):
        found = compare(known, by_heart(SURE), ["yes", "no"], ["yes", "no"], names=("old", "new"))
    assert found.models["old"].rows.seen == 1


def test_a_comparison_is_plain_json_and_keeps_the_first_changed_rows(judge):
    found = judge("x", "worse")
    plain = found.as_dict()

    assert json.loads(json.dumps(plain))["verdict"] == found.verdict
    assert plain["changed"]["rows"] == len(found.changed) == found.pairs[0].outcomes.changed
    assert len(plain["changed"]["first"]) == 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": None}, "either labels or codes"),
        ({"codes": [0, 1]}, "either labels or codes"),
        ({"texts": "yes"}, "texts must be a list of strings"),
        ({"labels": ["yes"]}, "a row for each of 1 labels, got 2 for a"),
        ({"labels": ["yes", "perhaps"]}, "no model has label 'perhaps', which row 1 has"),
        ({"texts": {"a": ["yes", "no"]}}, "texts by name must have an entry for every model, and 'b' has none"),
        ({"texts": [], "labels": []}, "at least one row"),
        ({"texts": [], "labels": None, "codes": []}, "at least one row"),
        ({"texts": None}, "texts must be a list or an array, got NoneType"),
        ({"texts": {"a": "yn", "b": ["yes", "no"]}}, "texts must be a list of strings, got one str"),
        ({"labels": "yn"}, "labels must be a list of strings, got one str"),
        ({"labels": None, "codes": 1}, "codes must be a list or an array"),
        ({"names": ("a", "b", "c")}, "names must be 2, one for each model, got 3"),
        ({"b": "model"}, "b must be a classifier, got str; use elsewise.load"),
        ({"names": ("a", "a")}, "needs models of different names, got a, a"),
        ({"shared_threshold": 60}, "shared_threshold must lie in 0..1, got 60"),
        (
            {"b": by_heart({"yes": [0.0, 1.0]}, labels=("up", "down"))},
            "no label in common: 'yes', 'no'; 'up', 'down'",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(change, message):
    given = {"a": by_heart(SURE), "b": by_heart(SURE), "texts": ["yes", "no"], "labels": ["yes", "no"], **change}

    with pytest.raises(InputError, match=message):
        compare(**given)


@pytest.mark.parametrize("codes", [[0, 1], [-1, -1]])
def test_without_a_row_to_judge_by_it_says_that_nothing_can_be_told(codes):
    found = compare(by_heart(SURE), by_heart({"other": [0.0, 1.0]}), ["yes", "no"], codes=codes)

    assert found.verdict == "Which is better cannot be told: there is no in-scope row that every model can read."


def test_labels_may_come_one_by_one():
    found = compare(by_heart(SURE), by_heart(SURE), iter(["yes", "no"]), iter(["yes", "no"]))

    assert found.rows.compared == 2


def test_repeated_texts_are_said_to_make_intervals_too_narrow():
    found = compare(by_heart(SURE), by_heart(SURE), ["yes"] * 9 + ["no"], ["yes"] * 9 + ["no"])

    assert found.rows.repeated == 8
    assert found.notes[0].startswith("repeated texts: 8 rows; the intervals assume rows drawn independently")


def test_three_models_are_compared_by_place_or_by_name():
    three, rows = [by_heart(SURE)] * 3, (["yes", "no"], ["yes", "no"])

    by_place, by_name = compare(*three, *rows), compare(*three, texts=rows[0], labels=rows[1], names=("a", "b", "c"))

    assert list(by_place.models) == ["a", "b", "c"]
    assert by_place.leaderboard == by_name.leaderboard == compare(*three, rows[1], texts=rows[0]).leaderboard


def test_what_comes_after_the_classifiers_twice_is_refused():
    given = (by_heart(SURE), by_heart(SURE), ["yes"])

    with pytest.raises(
        InputError, match=r"come texts and labels, once each; got 1 by place and 2 by name, .* type list"
    ):
        compare(*given, texts=["yes"], labels=["yes"])
    with pytest.raises(InputError, match="got 3 by place and 0 by name, the first of type str"):
        compare(*given[:2], "model", ["yes"], ["yes"])


def test_only_out_of_scope_rows_leave_the_bare_classifiers_without_figures():
    found = compare(by_heart(SURE), by_heart(SURE), ["yes", "no"], codes=[-1, -1])

    assert np.isnan(found.models["a"].figures["accuracy"].value)
    assert np.isnan(found.pairs[0].figures["auc"].difference.value)
    assert found.models["a"].figures["wrong"].value == 1
