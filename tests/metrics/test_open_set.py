"""Other as an outcome: hand cases, scikit-learn and invariances."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from elsewise.errors import InputError
from elsewise.metrics.classification import macro_f1
from elsewise.metrics.intervals import wilson
from elsewise.metrics.open_set import open_set_accuracy, open_set_macro_f1

BOTH = [open_set_accuracy, open_set_macro_f1]


def sample(n=400, k=6, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(-1, k, n)
    return np.where(rng.random(n) < 0.7, codes, rng.integers(-1, k, n)), codes


def test_both_are_those_of_scikit_learn_with_other_as_a_label():
    decided, codes = sample()

    assert open_set_accuracy(decided, codes).value == accuracy_score(codes, decided)
    assert open_set_macro_f1(decided, codes).value == pytest.approx(f1_score(codes, decided, average="macro"))


def test_accuracy_has_wilsons_interval():
    """Right: 0 for 0, and Other for out-of-scope; wrong: Other for 1, and 1 for out-of-scope."""
    assert open_set_accuracy([0, -1, -1, 1], [0, -1, 1, -1]) == wilson(2, 4)


def test_without_out_of_scope_rows_and_abstentions_it_is_the_ordinary_macro_f1():
    decided, codes = (np.abs(column) for column in sample())

    assert open_set_macro_f1(decided, codes) == macro_f1(np.eye(6)[decided], codes)


def test_names_of_labels_do_not_matter():
    decided, codes = sample()
    names = np.append(np.random.default_rng(1).permutation(6) * 10**12, -1)  # code -1 is the last entry: itself

    assert open_set_macro_f1(names[decided], names[codes]).value == pytest.approx(
        open_set_macro_f1(decided, codes).value
    )


@pytest.mark.parametrize(("decided", "value"), [([0, 1, -1], 1), ([1, -1, 0], 0), ([-1, -1, -1], 1 / 3)])
def test_all_right_all_wrong_and_all_left_as_other(decided, value):
    assert open_set_accuracy(decided, [0, 1, -1]).value == pytest.approx(value)


def test_saying_other_to_everything_has_the_f1_of_other_alone():
    """2 of 10 rows are out-of-scope: F1 of Other 4 / 12, of the two labels 0."""
    assert open_set_macro_f1([-1] * 10, [0] * 4 + [1] * 4 + [-1] * 2).value == pytest.approx(4 / 12 / 3)


@pytest.mark.parametrize("metric", BOTH)
def test_no_rows_give_nan_and_one_row_works(metric):
    assert np.isnan(metric([], []).value)
    assert metric([-1], [-1]).value == 1
    assert metric([0], [-1]).value == 0


@pytest.mark.parametrize("metric", BOTH)
def test_what_is_no_outcome_is_refused(metric):
    with pytest.raises(InputError, match=r"codes must have shape \(2,\), one for each of decided, got \(1,\)"):
        metric([0, 1], [0])
    with pytest.raises(InputError, match=r"decided must be whole numbers of shape \(n,\), got float64"):
        metric([0.5], [0])
    with pytest.raises(InputError, match="codes must be -1 or more, got -2 in row 1"):
        metric([0, 0], [0, -2])
