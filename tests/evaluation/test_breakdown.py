"""Figures by label, by slice and by the share of out-of-scope texts, against hand counts and scikit-learn."""

from dataclasses import fields

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

import elsewise as ew
from elsewise.engines.logits import LogitsEngine
from elsewise.errors import InputError
from elsewise.evaluation.answers import Answers
from elsewise.evaluation.breakdown import MOST_VALUES, as_columns, by_label, by_out_of_scope_share, by_slice
from elsewise.metrics import Estimate, wilson

# Two labels: row 4 is wrong and answered, row 5 right and left as Other, row 6 unreadable, rows 7 and 8 out-of-scope.
HAND = Answers(
    truth=np.array([0, 0, 0, 1, 1, 1, 1, -1, -1]),
    best=np.array([0, 0, 1, 1, 0, 1, -1, 1, 0]),
    decided=np.array([0, 0, -1, 1, 0, -1, -1, 1, -1]),
)


def drawn(n=600, k=5, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(-1, k, n)
    best = np.where((rng.random(n) < 0.7) & (truth >= 0), truth, rng.integers(0, k, n))
    return Answers(truth, best, np.where(rng.random(n) < 0.6, best, -1))


def test_each_label_is_counted_by_hand():
    """Label 1: 4 rows, 3 readable of which 2 right; it is said of 3 in-scope rows; answered twice, once rightly."""
    first, second = by_label(HAND, ["a", "b"])

    assert (first.label, first.rows, second.rows) == ("a", 3, 4)
    assert second.classifier.recall == wilson(2, 3)
    assert second.classifier.precision == wilson(2, 3)
    assert second.system.recall == wilson(1, 4)
    assert second.system.precision == wilson(1, 2)
    assert second.system.coverage == wilson(2, 4)
    assert second.system.accuracy_when_answered == wilson(1, 2)
    assert second.system.other_share == wilson(2, 4)
    assert first.system.f1.value == pytest.approx(2 * 2 / (3 + 3))


def test_labels_are_judged_as_scikit_learn_does():
    answers = drawn()
    inside = answers.in_scope

    table = by_label(answers, "abcde")

    for part, truth, said in (
        ("classifier", answers.truth[inside], answers.best[inside]),
        ("system", answers.truth, answers.decided),
    ):
        precision, recall, f1, _ = precision_recall_fscore_support(truth, said, labels=range(5))
        for name, known in (("precision", precision), ("recall", recall), ("f1", f1)):
            assert [getattr(getattr(row, part), name).value for row in table] == pytest.approx(known)


def test_intervals_of_f1_hold_the_truth():
    """A label has or gets a row with probability 0.5; of those it is right in 0.6: F1 is 1.2 / 1.6."""
    rng, held = np.random.default_rng(0), []
    for _ in range(300):
        kind = rng.choice(4, 80, p=[0.3, 0.1, 0.1, 0.5])  # hit, missed, said in vain, neither
        truth, best = np.isin(kind, (0, 1)).astype(int), np.isin(kind, (0, 2)).astype(int)
        f1 = by_label(Answers(truth, best, best), ["no", "yes"])[1].classifier.f1
        held.append(f1.low <= 0.75 <= f1.high)

    assert 0.92 <= np.mean(held) <= 0.99


def test_a_label_that_never_occurs_has_nothing_to_measure():
    row = by_label(HAND, ["a", "b", "c"])[2]

    assert row.rows == 0
    for part in (row.classifier, row.system):
        for field in fields(part):
            estimate = getattr(part, field.name)
            assert np.isnan(estimate.value)
            assert (estimate.low, estimate.high) == (0, 1)


def test_ten_thousand_labels_are_judged():
    codes = np.arange(10_000)

    table = by_label(Answers(codes, codes, codes), map(str, codes))

    assert len(table) == 10_000
    assert table[9_999].system.f1.value == 1


def test_slices_are_counted_by_hand():
    """Mail: rows 0 to 4, all in scope and readable, 3 right; chat: rows 5 to 8, of which only row 5 can be judged."""
    columns = as_columns({"channel": ["mail"] * 5 + ["chat"] * 4}, 9)

    mail, chat = by_slice(HAND, columns)["channel"]

    assert (mail.value, mail.pooled, mail.rows) == ("mail", 0, 5)
    assert mail.accuracy == wilson(3, 5)
    assert mail.coverage == wilson(4, 5)
    assert mail.accuracy_when_answered == wilson(3, 4)
    assert chat.accuracy == wilson(1, 1)
    assert chat.coverage == wilson(1, 4)
    assert chat.accuracy_when_answered == wilson(0, 1)


def test_slices_by_length_stand_in_their_order():
    tokens = np.array([600, 16, 17, 32, 33, 0, 512, 513, 1])

    slices = by_slice(HAND, {}, tokens=tokens, truncated=tokens > 512)

    assert [(row.value, row.rows) for row in slices["tokens"]] == [
        ("up to 16", 3),
        ("17 to 32", 2),
        ("33 to 64", 1),
        ("257 to 512", 1),
        ("more than 512", 2),
    ]
    assert [(row.value, row.rows) for row in slices["truncated"]] == [("no", 7), ("yes", 2)]


def test_rare_values_are_pooled_and_counted():
    """Value i occurs 30 - i times: the ten rarest are pooled, with 10 + 9 + ... + 1 rows."""
    values = [f"value {i:02}" for i in range(30) for _ in range(30 - i)]
    n = len(values)
    zeros = np.zeros(n, dtype=np.int64)

    judged = by_slice(Answers(zeros, zeros, zeros), {"city": values})["city"]

    assert [row.value for row in judged] == [*(f"value {i:02}" for i in range(MOST_VALUES)), None]
    assert (judged[-1].pooled, judged[-1].rows) == (10, 55)
    assert sum(row.rows for row in judged) == n


def test_a_slice_of_another_length_is_refused():
    classifier = ew.Classifier(LogitsEngine(("a", "b")), ew.Identity(), ew.FixedThreshold(0.7))

    with pytest.raises(InputError, match="slice 'channel' must have a value for each of 1 rows, got 2"):
        ew.evaluate(classifier, [[1.0, 0.0]], ["a"], slices={"channel": ["mail", "chat"]})


@pytest.mark.parametrize(
    ("pi", "f", "c", "r", "error"), [(0.182, 0.477, 0.95, 0.02, 0.1185), (0.10, 0.1, 0.9, 0.02, 0.0320)]
)
def test_the_mixture_has_the_known_errors(pi, f, c, r, error):
    from elsewise.evaluation.breakdown import _accuracy

    value = _accuracy(pi, *(Estimate(x, x, x) for x in (f, c, r))).value

    assert 1 - value == pytest.approx(error, abs=5e-5)


def test_the_threshold_at_other_shares_of_out_of_scope_texts():
    """In scope 4 of 7 answered, 1 of them wrongly; out of scope 1 of 2 answered."""
    table = by_out_of_scope_share(HAND)

    assert table.worst_case is False
    assert (table.in_scope_coverage.value, table.in_scope_risk.value) == (4 / 7, 1 / 4)
    assert table.out_of_scope_answered.value == 1 / 2
    assert [row.share for row in table.shares] == [0, 0.05, 0.1, 0.2]
    last = table.shares[-1]
    assert last.coverage.value == pytest.approx(0.2 / 2 + 0.8 * 4 / 7)
    assert last.accuracy_when_answered.value == pytest.approx(0.8 * 3 / 7 / (0.2 / 2 + 0.8 * 4 / 7))


def test_at_the_share_of_the_rows_it_is_the_accuracy_of_the_rows():
    rng = np.random.default_rng(0)
    answers = drawn(1000)
    inside, outside = np.flatnonzero(answers.in_scope)[:720], np.flatnonzero(~answers.in_scope)[:80]
    rows = rng.permutation(np.concatenate([inside, outside]))
    some = Answers(answers.truth[rows], answers.best[rows], answers.decided[rows])
    tenth = by_out_of_scope_share(some).shares[2]

    assert tenth.share == len(outside) / len(rows)
    assert tenth.coverage.value == pytest.approx(some.answered.mean())
    assert tenth.accuracy_when_answered.value == pytest.approx(some.correct[some.answered].mean())


def test_without_out_of_scope_rows_the_worst_is_taken():
    truth = np.zeros(100, dtype=np.int64)

    table = by_out_of_scope_share(Answers(truth, truth, truth))

    assert table.worst_case is True
    assert table.out_of_scope_answered == Estimate(1, 1, 1)
    assert [row.accuracy_when_answered.value for row in table.shares] == pytest.approx([1, 0.95, 0.9, 0.8])


def test_where_nothing_is_answered_or_no_row_is_in_scope():
    nothing = by_out_of_scope_share(Answers(HAND.truth, HAND.best, np.full(9, -1)))
    outside = by_out_of_scope_share(Answers(np.full(3, -1), np.zeros(3, dtype=int), np.zeros(3, dtype=int)))

    for row in nothing.shares:
        assert row.coverage.value == 0
        assert np.isnan(row.accuracy_when_answered.value)
        assert (row.accuracy_when_answered.low, row.accuracy_when_answered.high) == (0, 1)
    assert np.isnan(outside.shares[1].accuracy_when_answered.value)


def test_the_ends_hold_the_truth_of_new_rows():
    """Planted f = 0.4, c = 0.8, r = 0.1; at a fifth out-of-scope 0.8 * 0.8 * 0.9 / (0.2 * 0.4 + 0.8 * 0.8)."""
    rng, held = np.random.default_rng(0), []
    for _ in range(300):
        truth = np.repeat([0, -1], [200, 50])
        best = (rng.random(250) < 0.1).astype(int)
        decided = np.where(rng.random(250) < np.where(truth == 0, 0.8, 0.4), best, -1)
        e = by_out_of_scope_share(Answers(truth, best, decided)).shares[3].accuracy_when_answered
        held.append(e.low <= 0.576 / 0.72 <= e.high)

    assert np.mean(held) >= 0.95
