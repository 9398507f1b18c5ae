"""What is stated of a model's numbers, and what contradicts it."""

import numpy as np
import pytest

import elsewise as ew
from elsewise.engines.output_kinds import to_logits
from elsewise.errors import ElsewiseWarning, InputError

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(200, 5)) * 3
P = ew.softmax(Z)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def test_logits_stay_what_they_are():
    assert to_logits(Z, "logits", 5) is Z


@pytest.mark.parametrize(("values", "kind"), [(P, "probabilities"), (np.log(P), "log_probabilities")])
def test_softmax_of_the_logits_gives_the_probabilities_back(values, kind):
    assert np.abs(ew.softmax(to_logits(values, kind, 5)) - P).max() < 1e-12


def test_a_sigmoid_for_each_label_gives_its_log_odds():
    assert np.abs(to_logits(sigmoid(Z), "sigmoid", 5) - Z).max() < 1e-9


def test_a_probability_of_zero_is_floored_and_stays_the_least():
    logits = to_logits([[0.0, 1e-5, 1 - 1e-5]], "probabilities", 3)

    assert logits[0, 0] == pytest.approx(np.log(1e-12))
    assert np.isfinite(to_logits([[-np.inf, 0.0]], "log_probabilities", 2)).all()


def test_float16_becomes_float32_and_stays_within_its_rounding():
    logits = to_logits(P.astype(np.float16), "probabilities", 5)

    assert logits.dtype == np.float32
    assert np.abs(ew.softmax(logits) - P).max() < 1e-3


@pytest.mark.parametrize("shape", [(200,), (200, 1)])
@pytest.mark.parametrize("kind", ["logits", "probabilities", "log_probabilities", "sigmoid"])
def test_one_column_of_two_labels_is_the_second_label(kind, shape):
    z = Z[:, 0]
    values = {"logits": z, "probabilities": sigmoid(z), "log_probabilities": np.log(sigmoid(z)), "sigmoid": sigmoid(z)}

    logits = to_logits(values[kind].reshape(shape), kind, 2)

    assert np.abs(ew.softmax(logits)[:, 1] - sigmoid(z)).max() < 1e-9


@pytest.mark.parametrize(
    ("values", "kind", "words"),
    [
        (P, "logits", r"stated as logits, and all 200 rows are >= 0 and sum to 1.*say kind='probabilities'"),
        (P.astype(np.float16), "logits", r"say kind='probabilities'"),
        (Z, "probabilities", r"200 of 200 rows are not >= 0 with the sum 1, first is row 0.*kind='logits'"),
        (np.log(P), "probabilities", r"if they are log-probabilities, say kind='log_probabilities'"),
        (sigmoid(Z), "probabilities", r"do not sum to 1, and lie in 0..1 each.*say kind='sigmoid'"),
        (P, "log_probabilities", r"are not logarithms of what sums to 1.*say kind='probabilities'"),
        (Z, "log_probabilities", r"say kind='logits'"),
        (Z, "sigmoid", r"stated as sigmoid, and \d+ of 200 rows do not lie in 0..1.*say kind='logits'"),
        (P, "sigmoid", r"all 200 rows sum to 1, as those of a softmax do; say kind='probabilities'"),
        (P, "odds", r"^kind must be one of logits, probabilities, log_probabilities, sigmoid, got 'odds'$"),
        (P[:, :4], "probabilities", r"one column a label, \(n, 5\), got \(200, 4\)"),
        (P[0], "probabilities", r"\(n, 5\), got \(5,\)"),
        ([["a"] * 5], "logits", r"a model must give numbers, got <U1"),
        ([[1, 2], [1]], "logits", r"rows must have equal lengths"),
    ],
)
def test_what_contradicts_the_statement_is_refused_with_what_it_looks_like(values, kind, words):
    with pytest.raises(InputError, match=words):
        to_logits(values, kind, 5)


def test_softmax_applied_twice_is_said():
    with pytest.warns(
        ElsewiseWarning, match=r"no probability of 200 rows is above 0.405, as after two softmaxes over 5 labels: pass"
    ):
        to_logits(ew.softmax(P), "probabilities", 5)


def test_softmax_applied_twice_is_said_of_logarithms_too():
    with pytest.warns(ElsewiseWarning, match="as after two softmaxes"):
        to_logits(np.log(ew.softmax(P)), "log_probabilities", 5)


def test_sigmoids_that_are_all_sure_are_no_softmax():
    """One label has 1 and the others 0, as the rows of a softmax may have."""
    sure = sigmoid(20 * np.eye(5) - 10)

    logits = to_logits(sure, "sigmoid", 5)

    assert np.abs(logits - (20 * np.eye(5) - 10)).max() < 1e-6


@pytest.mark.parametrize("kind", ["probabilities", "log_probabilities", "sigmoid"])
def test_a_refused_row_is_counted_among_all_rows(kind):
    """Rows of NaN, which could not be read, stand before it."""
    rows = np.where([[True], [False], [True]], np.nan, np.full((3, 5), 2.0))

    with pytest.raises(InputError, match=r"1 of 1 rows .*, first is row 1;"):
        to_logits(rows, kind, 5)


def test_softmax_applied_twice_is_said_of_float16_too():
    with pytest.warns(ElsewiseWarning, match="as after two softmaxes"):
        to_logits(ew.softmax(P).astype(np.float16), "probabilities", 5)


def test_an_unsure_model_is_no_softmax_applied_twice():
    """Its rows lie below the limit of two softmaxes, and are none."""
    p = ew.softmax(np.random.default_rng(1).normal(size=(200, 5)) * 0.25)

    assert p.max() < np.e / (np.e + 4)
    to_logits(p, "probabilities", 5)  # a warning would be an error


def test_a_few_unsure_rows_say_nothing():
    to_logits(ew.softmax(P[:31]), "probabilities", 5)


def test_minus_infinity_marks_a_label_that_cannot_be():
    z = Z.copy()
    z[3, 1] = -np.inf
    z[4] = -np.inf

    logits = to_logits(z, "logits", 5)

    assert np.array_equal(ew.softmax(logits[3]), ew.softmax(z[3]))
    assert np.isfinite(logits[3]).all()
    assert np.isnan(logits[4]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_row_that_is_not_finite_is_nan_as_a_whole_and_changes_no_other(bad):
    z = Z.copy()
    z[3, 1] = bad

    logits = to_logits(z, "logits", 5)

    assert np.isnan(logits[3]).all()
    assert np.array_equal(np.delete(logits, 3, axis=0), np.delete(Z, 3, axis=0))


def test_no_rows_are_no_contradiction():
    assert to_logits(np.empty((0, 5)), "probabilities", 5).shape == (0, 5)


def test_ten_thousand_labels_in_float32_sum_to_one_still():
    p = ew.softmax(RNG.normal(size=(40, 10_000)).astype(np.float32))

    assert np.abs(ew.softmax(to_logits(p, "probabilities", 10_000)) - p).max() < 1e-7
