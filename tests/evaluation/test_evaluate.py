"""Every number of an evaluation, against its own definition."""

import json
from enum import Enum

import numpy as np
import pytest

import elsewise as ew
from elsewise.classifier.provenance import Provenance
from elsewise.engines.logits import LogitsEngine
from elsewise.engines.memory import MemoryEngine
from elsewise.errors import ElsewiseWarning, InputError
from elsewise.storage.json_files import finite, plain


@pytest.fixture
def judged():
    """Ten in-scope rows of which one is wrong and one is left as Other, and two out-of-scope rows."""
    classifier = ew.Classifier(
        LogitsEngine(("a", "b")), ew.Identity(), ew.FixedThreshold(0.7), out_of_scope_label="none"
    )
    z = np.array([[3.0, 0.0]] * 8 + [[0.0, 3.0], [0.5, 0.0], [0.1, 0.0], [0.0, 4.0]])
    labels = ["a"] * 8 + ["a", "a", "none", "none"]
    return ew.evaluate(classifier, z, labels)


def test_rows_are_counted(judged):
    counts = {"in_scope": 10, "out_of_scope": 2, "unreadable": 0, "seen": 0, "rejected": 0}
    assert plain(judged.rows) == {**counts, "seen_in": {}, "unknown_labels": {}}


def test_printed_it_says_what_is_asked_first(judged):
    lines = str(judged).splitlines()
    coverage = judged.system.coverage
    assert len(lines) < 10
    assert lines[1].startswith("accuracy, every row answered")
    assert [line.split() for line in lines if line.startswith("coverage ")] == [
        ["coverage", f"{coverage.value:.4f}", f"{coverage.low:.4f}", "to", f"{coverage.high:.4f}"]
    ]
    assert f"({judged.classifier.ece.null:.4f} if perfect)" in str(judged)
    assert f"{judged.rows.in_scope:,} in scope, {judged.rows.out_of_scope:,} out of scope" in str(judged)


def test_the_bare_classifier_is_judged_on_in_scope_rows(judged):
    """9 of 10 right; log loss by hand."""
    surprise = [np.log1p(np.exp(-3))] * 8 + [np.log1p(np.exp(3)), np.log1p(np.exp(-0.5))]

    assert judged.classifier.accuracy.value == pytest.approx(0.9)
    assert judged.classifier.log_loss.value == pytest.approx(np.mean(surprise))


def test_the_system_is_judged_on_all_rows_and_on_in_scope_rows(judged):
    """Answered: 9 in-scope rows, 8 right, and one out-of-scope row, which is an error."""
    assert judged.system.coverage.value == pytest.approx(10 / 12)
    assert judged.system.accuracy_when_answered.value == pytest.approx(8 / 10)
    assert judged.system.other_share.value == pytest.approx(2 / 12)
    assert judged.system.reasons == {"ambiguous": 2, "answered": 10}
    assert judged.system.in_scope.coverage.value == pytest.approx(0.9)
    assert judged.system.in_scope.accuracy_when_answered.value == pytest.approx(8 / 9)


def test_out_of_scope_rows_are_judged(judged):
    """One of two is left as Other; its confidence is below all, the other's above all."""
    assert judged.out_of_scope.recall.value == pytest.approx(0.5)
    assert judged.out_of_scope.auroc.value == pytest.approx(0.5)


def test_outcomes_count_other_as_one_of_them(judged):
    """Right: 8 answers and one out-of-scope row left as Other, of 12. F1: a 16/17, b 0/3, Other 2/4."""
    assert judged.system.open_set.accuracy.value == pytest.approx(9 / 12)
    assert judged.system.open_set.macro_f1.value == pytest.approx((16 / 18 + 0 + 2 / 4) / 3)


def test_points_of_the_curve_are_given(judged):
    """Surest first: an out-of-scope row, nine in-scope rows of which one is wrong, and two left as Other."""
    at = judged.system.accuracy_at_coverage

    assert [point.coverage for point in at] == [0.5, 0.7, 0.8, 0.9, 0.95]
    assert judged.system.coverage_at_accuracy.accuracy == 0.95
    assert judged.system.coverage_at_accuracy.coverage.value == 0
    assert judged.system.e_aurc.value > 0


def test_the_target_of_the_certificate_is_measured():
    z, y = np.tile([[2.0, 0.0], [0.0, 2.0]], (300, 1)), np.tile([0, 1], 300)
    y[:12] = 1 - y[:12]
    classifier = ew.calibrate(z, y, target_accuracy=0.9, count_repeats=True)

    judged = ew.evaluate(classifier, z[100:], codes=y[100:]).system.coverage_at_accuracy

    assert (judged.accuracy, judged.coverage.value) == (0.9, 1)


def test_average_precision_is_given_both_ways(judged):
    """Out-of-scope rows come first (answered) and last; in-scope rows from the second place on."""
    assert judged.out_of_scope.aupr.value == pytest.approx((1 / 1 + 2 / 12) / 2)
    assert judged.out_of_scope.aupr_in.value < 1


def test_labels_slices_and_shares_are_given(judged):
    assert [row.label for row in judged.labels] == ["a", "b"]
    assert judged.slices == {}
    assert judged.out_of_scope_shares.worst_case is False
    assert set(judged.as_dict()["labels"][0]["system"]["coverage"]) == {"value", "low", "high"}


def test_texts_are_sliced_by_length_and_by_columns(fitted, sample):
    rows = [row for row in sample if row.label != "out_of_scope"][:40]
    longer = " ".join(["parcel"] * 200)
    texts, channels = [*(f"{row.text} ok" for row in rows), longer], ["mail"] * 20 + ["chat"] * 20 + ["mail"]

    judged = ew.evaluate(fitted, texts, [*(row.label for row in rows), rows[0].label], slices={"channel": channels})

    assert [(row.value, row.rows) for row in judged.slices["channel"]] == [("mail", 21), ("chat", 20)]
    assert sum(row.rows for row in judged.slices["tokens"]) == 41
    assert [row.rows for row in judged.slices["truncated"]] == [40, 1]


def test_an_evaluation_is_json_with_value_low_and_high(judged):
    written = json.loads(json.dumps(finite(judged.as_dict())))

    assert set(written) == {
        "rows",
        "classifier",
        "system",
        "labels",
        "slices",
        "out_of_scope",
        "out_of_scope_shares",
        "certificate",
        "engine",
        "baseline",
        "strangers",
        "verdict",
    }
    assert set(written["classifier"]["accuracy"]) == {"value", "low", "high"}
    assert set(written["classifier"]["ece"]) == {"value", "low", "high", "null"}
    assert set(written["engine"]) == {"name", "precision", "fingerprint"}


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (("1", "2"), ["1.0", "2.0"]),
        (("1", "2"), np.array([1.0, 2.0])),
        (("1.0", "2.0"), [1, 2]),
        (("True", "False"), np.array([True, False])),
        (("True", "False"), ["true", "false"]),
        (("a", "b"), list(Enum("Topic", {"A": "a", "B": "b"}))),
    ],
)
def test_labels_may_be_written_otherwise_than_those_of_the_model(names, labels):
    engine = MemoryEngine(names, {"sure": [4.0, 0.0], "no": [0.0, 4.0]})
    classifier = ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.6))

    assert ew.evaluate(classifier, ["sure", "no"], labels).classifier.accuracy.value == 1
    assert ew.compare(classifier, classifier, ["sure", "no"], labels).rows.compared == 2


def test_an_unknown_label_counts_as_out_of_scope_and_is_said_with_a_near_one():
    classifier = ew.Classifier(LogitsEngine(("refund", "delivery")), ew.Identity(), ew.FixedThreshold(0.7))
    labels = ["refund", "refnd", "refnd", "spam"]

    with pytest.warns(ElsewiseWarning) as said:
        judged = ew.evaluate(classifier, [[3.0, 0.0]] * 4, labels)

    (message,) = (str(one.message) for one in said)
    assert message == (
        "3 of 4 rows have labels that the model does not know, and count as out-of-scope: 'refnd' (2 rows), 'spam' (1 "
        "row); 'refnd' is near 'refund': rename it"
    )
    assert (judged.rows.in_scope, judged.rows.out_of_scope) == (1, 3)
    assert judged.rows.unknown_labels == {"refnd": 2, "spam": 1}
    assert judged.system.accuracy_when_answered.value == pytest.approx(1 / 4)


def test_labels_of_which_none_is_known_are_refused():
    classifier = ew.Classifier(LogitsEngine(("a", "b")), ew.Identity(), ew.FixedThreshold(0.7))

    with pytest.raises(InputError, match=r"the model has no label 'c', which row 0 has .*out_of_scope_label"):
        ew.evaluate(classifier, [[1.0, 0.0], [1.0, 0.0]], ["c", "d"])


def test_a_label_in_another_spelling_is_named_beside_the_right_one():
    classifier = ew.Classifier(LogitsEngine(("refund", "b")), ew.Identity(), ew.FixedThreshold(0.7))

    with pytest.raises(InputError, match=r"no label 'Refund ', .*; 'refund' is alike, so rename it$"):
        ew.evaluate(classifier, [[1.0, 0.0]], ["Refund "])


def test_a_label_of_the_model_cannot_mark_out_of_scope_texts():
    classifier = ew.Classifier(LogitsEngine(("a", "b")), ew.Identity(), ew.FixedThreshold(0.7))

    with pytest.raises(InputError, match=r"'a' is one of the model's labels"):
        ew.evaluate(classifier, [[1.0, 0.0]], ["a"], out_of_scope_label="a")


def test_no_rows_and_other_lengths_are_refused():
    classifier = ew.Classifier(LogitsEngine(("a", "b")), ew.Identity(), ew.FixedThreshold(0.7))

    with pytest.raises(InputError, match=r"at least one labelled text, got 0"):
        ew.evaluate(classifier, [], [])
    with pytest.raises(InputError, match=r"equal lengths, got 1 and 2"):
        ew.evaluate(classifier, [[1.0, 0.0]], ["a", "b"])
    with pytest.raises(InputError, match=r"either labels or codes"):
        ew.evaluate(classifier, [[1.0, 0.0]])
    with pytest.raises(InputError, match=r"codes must be whole numbers"):
        ew.evaluate(classifier, [[1.0, 0.0]], codes=[0.7])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"texts": None}, "texts must be a list or an array, got NoneType"),
        ({"labels": "a"}, "labels must be a list of strings, got one str"),
        ({"labels": None, "codes": 1}, "codes must be a list or an array, got int"),
        ({"classifier": "model"}, "evaluate needs a classifier, got str; use elsewise.load"),
    ],
)
def test_what_cannot_be_judged_is_refused(given, message):
    classifier = ew.Classifier(LogitsEngine(("a", "b")), ew.Identity(), ew.FixedThreshold(0.7))

    with pytest.raises(InputError, match=message):
        ew.evaluate(**{"classifier": classifier, "texts": [[1.0, 0.0]], "labels": ["a"], **given})


def test_out_of_scope_rows_can_be_named_when_judging():
    classifier = ew.Classifier(LogitsEngine(("a", "b")), ew.Identity(), ew.FixedThreshold(0.7))

    judged = ew.evaluate(classifier, [[3.0, 0.0], [0.1, 0.0]], ["a", "oos"], out_of_scope_label="oos")

    assert judged.rows.out_of_scope == 1
    assert judged.out_of_scope.recall.value == 1


def test_unreadable_rows_count_for_the_system_and_not_for_the_bare_classifier():
    classifier = ew.Classifier(LogitsEngine(("a", "b")), ew.Identity(), ew.FixedThreshold(0.7))

    judged = ew.evaluate(classifier, np.array([[3.0, 0.0], [np.nan, 0.0]]), ["a", "a"])

    assert judged.rows.unreadable == 1
    assert judged.classifier.accuracy.value == 1
    assert judged.system.coverage.value == 0.5
    assert judged.system.reasons == {"answered": 1, "unreadable": 1}


def test_texts_that_made_the_model_are_counted(fitted, sample):
    with pytest.warns(ElsewiseWarning, match=r"of 50 texts were used to make the model \(train \d+, tune \d+, cert"):
        judged = ew.evaluate(fitted, [row.text for row in sample[:50]], [row.label for row in sample[:50]])

    assert 20 <= judged.rows.seen <= 50
    assert set(judged.rows.seen_in) == {"train", "tune", "certify"}
    assert judged.rows.seen == sum(judged.rows.seen_in.values())


def test_a_promise_is_not_contradicted_by_the_test_rows(fitted):
    """Fixed seeds: the upper end of the interval reaches what was promised."""
    assert fitted.certificate.certified
    assert fitted.evaluation["system"]["accuracy_when_answered"]["high"] >= fitted.certificate.target_accuracy


@pytest.mark.parametrize("labels", [["a"], ["none"], ["b"], ["a", "none"] * 9])
@pytest.mark.parametrize("row", [[3.0, 0.0], [0.0, 0.0], [np.nan, 0.0]])
def test_one_row_one_kind_and_nothing_but_ties_are_judged(labels, row):
    classifier = ew.Classifier(
        LogitsEngine(("a", "b")), ew.Identity(), ew.FixedThreshold(0.7), out_of_scope_label="none"
    )

    judged = ew.evaluate(classifier, [row] * len(labels), labels, slices={"city": ["x"] * len(labels)})

    assert json.dumps(finite(judged.as_dict()), allow_nan=False)
    assert judged.slices["city"][0].rows == len(labels)


@pytest.mark.parametrize("salt", [b"", b"sixteen bytes..."])
def test_texts_that_made_the_model_are_warned_of_by_split(salt):
    """Folders of earlier versions have no salt."""
    from elsewise.data.splits import hashes

    engine = MemoryEngine(("yes", "no"), {"sure": [4.0, 0.0], "new": [0.0, 2.0]}, default=[0.1, 0.0])
    made_with = {"split.train": ["sure"], "split.tune": ["hm"]}
    arrays = {name: np.array(hashes(texts, salt), dtype=np.uint64) for name, texts in made_with.items()}
    arrays |= {"split.salt": np.frombuffer(salt, dtype=np.uint8)} if salt else {}
    classifier = ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.6), provenance=Provenance(arrays=arrays))

    with pytest.warns(ElsewiseWarning, match=r"^2 of 3 texts were used to make the model \(train 1, tune 1\): the fig"):
        judged = ew.evaluate(classifier, ["Sure ", "hm", "new"], codes=[0, 0, 1])

    assert judged.rows.seen_in == {"train": 1, "tune": 1}
    ew.evaluate(classifier, ["new"], codes=[1])  # a warning would be an error here


# Repeated rows


def distinct(n=40):
    return [f"text {i}" for i in range(n)], ["a", "b"] * (n // 2)


@pytest.fixture(scope="module")
def of_many():
    table = {text: [2.0, 0.0] if i % 3 else [0.0, 2.0] for i, text in enumerate(distinct()[0])}
    return ew.Classifier(MemoryEngine(("a", "b"), table), ew.Identity(), ew.FixedThreshold(0.6))


def test_rows_that_repeat_others_are_told_with_their_number(of_many):
    texts, labels = distinct()
    shouted = [text.upper() if i % 2 else f" {text}" for i, text in enumerate(texts)]

    with pytest.warns(ElsewiseWarning, match=r"^40 of 80 rows have a text that came before: the intervals are too na"):
        ew.evaluate(of_many, texts + shouted, labels * 2)


def test_few_repeats_and_rows_that_differ_are_not_told(of_many):
    texts, labels = distinct()

    ew.evaluate(of_many, texts, labels)
    ew.evaluate(of_many, [*texts, *texts[:20]], [*labels, *labels[:20]])


def test_rows_of_logits_that_repeat_others_are_told_unless_the_promise_counts_them():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=600)
    z = rng.normal(size=(600, 3)) + 2 * np.eye(3)[y]
    again = np.tile(z[:30] + 0.5, (4, 1)), np.tile(y[:30], 4)

    with pytest.warns(ElsewiseWarning, match=r"^90 of 120 rows have a text that came before"):
        ew.evaluate(ew.calibrate(z, y, target_accuracy=0.7), again[0], codes=again[1])
    ew.evaluate(ew.calibrate(z, y, target_accuracy=0.7, count_repeats=True), again[0], codes=again[1])
