"""Prediction sets and p-values against numbers worked by hand; their guarantees are simulated in guarantees/."""

from itertools import pairwise

import numpy as np
import pytest

from elsewise.arrays import softmax
from elsewise.errors import InputError
from elsewise.outputs import Evidence
from elsewise.rules.conformal import ConformalPValue, SplitConformal
from elsewise.rules.decisions import PredictionSets

TRUE = np.linspace(0.05, 0.95, 19)
ROWS = np.column_stack([TRUE, 1 - TRUE])


def rows(n, k=4, seed=0, decimals=None):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, k)) * 2
    p = softmax(z)
    return (p if decimals is None else p.round(decimals)), (z + rng.gumbel(size=z.shape)).argmax(axis=1)


@pytest.mark.parametrize(
    ("coverage", "limit"), [(0.9, 0.1), (0.95, 0.05), (0.951, -np.inf), (0.5, 0.5), (0.05, 0.95), (0.001, 0.95)]
)
def test_the_limit_is_the_one_of_that_rank(coverage, limit):
    """19 rows: the rank is ceil(20 coverage), counted from the largest probability; beyond 19, every label is kept."""
    fitted = SplitConformal.fit(ROWS, [0] * 19, coverage=coverage)

    assert fitted.limits == pytest.approx([limit] * 2)


def test_the_rank_is_that_of_the_decimal_number():
    """99 + 1 rows at coverage 0.07 are 7; as floats their product is a little more, and would be rounded up to 8."""
    true = np.linspace(0.01, 0.99, 99)

    fitted = SplitConformal.fit(np.column_stack([true, 1 - true]), [0] * 99, coverage=0.07)

    assert fitted.limits[0] == true[-7]


@pytest.mark.parametrize("n", [0, 1, 8])
def test_too_few_rows_keep_every_label(n):
    p, codes = rows(8)

    sets = SplitConformal.fit(p[:n], codes[:n], coverage=0.9)(p)

    assert sets.sizes.tolist() == [4] * 8
    assert sets[0] == ("0", "1", "2", "3")


def test_a_probability_equal_to_the_limit_keeps_its_label():
    fitted = SplitConformal.fit(ROWS, [0] * 19)

    assert fitted([[fitted.limits[0], 1 - fitted.limits[0]]])[0] == ("0", "1")


def test_single_and_double_precision_agree_on_ties():
    single = ROWS.astype(np.float32)
    fitted = SplitConformal.fit(single, [0] * 19)

    assert fitted(single).contain([0] * 19).sum() == 18


def test_by_label_each_has_its_own_limit():
    p = np.vstack([ROWS, ROWS[:, ::-1][:5], ROWS[:3]])
    codes = [0] * 19 + [1] * 5 + [0] * 3

    fitted = SplitConformal.fit(p, codes, coverage=0.8, by_label=True)

    rank = 22 - 18  # of 22 rows of label 0, the 19th = ceil(23 x 0.8) from the top is the 4th from below
    assert fitted.limits == pytest.approx([np.sort(np.r_[TRUE, TRUE[:3]])[rank - 1], TRUE[0]])
    assert SplitConformal.fit(p, codes, coverage=0.9, by_label=True).limits[1] == -np.inf


def test_out_of_scope_and_unreadable_rows_teach_nothing():
    p, codes = rows(50)
    more = np.vstack([p, np.full((3, 4), np.nan), p[:4]])

    fitted = SplitConformal.fit(more, [*codes, 0, 1, 2, -1, -1, -1, -1])

    assert fitted.n == 50
    assert fitted.limits.tolist() == SplitConformal.fit(p, codes).limits.tolist()


def test_an_unreadable_text_keeps_every_label():
    p, codes = rows(50)

    sets = SplitConformal.fit(p, codes, coverage=0.5)(np.vstack([p[:1], np.full((1, 4), np.nan)]))

    assert sets.sizes[1] == 4


def test_sets_can_be_empty_and_need_not_be():
    p = [[0.9, 0.05, 0.05]] * 9
    unsure = [[0.4, 0.35, 0.25]]

    assert SplitConformal.fit(p, [0] * 9, coverage=0.5)(unsure)[0] == ()
    assert SplitConformal.fit(p, [0] * 9, coverage=0.5, never_empty=True)(unsure)[0] == ("0",)


def test_more_coverage_keeps_every_label_that_less_keeps():
    p, codes = rows(300)
    kept = [SplitConformal.fit(p, codes, coverage=c)(p) for c in (0.5, 0.8, 0.95)]

    for less, more in pairwise(kept):
        assert not (less.bits & ~more.bits).any()
    assert kept[0].sizes.mean() < kept[2].sizes.mean()


def test_ties_cover_at_least_as_much():
    """Probabilities of one decimal: a limit shared by many rows keeps them all."""
    p = np.repeat([[0.6, 0.4], [0.7, 0.3], [0.9, 0.1]], 40, axis=0)

    sets = SplitConformal.fit(p, [0] * 120, coverage=0.5)(p)

    assert sets.contain([0] * 120).mean() == pytest.approx(2 / 3)


@pytest.mark.parametrize("k", [2, 7, 8, 9, 150])
def test_sets_know_their_sizes_their_labels_and_what_they_contain(k):
    rng = np.random.default_rng(k)
    kept = rng.random((30, k)) < 0.3
    names = tuple(f"label {code}" for code in range(k))
    sets = PredictionSets(np.packbits(kept, axis=1), k, names)
    codes = rng.integers(k, size=30)

    assert len(sets) == 30
    assert sets.sizes.tolist() == kept.sum(axis=1).tolist()
    assert np.array_equal(sets.contain(codes), kept[np.arange(30), codes])
    assert not sets.contain(np.full(30, -1)).any()
    for i in range(30):
        assert sets[i] == tuple(names[code] for code in np.flatnonzero(kept[i]))


def test_evidence_and_names_are_taken():
    p, codes = rows(50)
    fitted = SplitConformal.fit(Evidence(p), codes)

    sets = fitted(Evidence(p), names=["a", "b", "c", "d"])

    assert set(sets[0]) <= {"a", "b", "c", "d"}
    assert np.array_equal(sets.bits, fitted(p).bits)


def test_the_sentence_says_what_is_promised():
    fitted = SplitConformal.fit(ROWS, [0] * 19, by_label=True)

    assert fitted.sentence == (
        "A set holds the true label in at least 0.9 of in-scope texts of every label by itself. This holds on "
        "average over draws of the 19 rows that it was fitted on and of texts from the same source. "
        "Out-of-scope texts are not covered."
    )


def test_what_is_wrong_is_refused():
    for coverage in (0, 1, -0.1, float("nan")):
        with pytest.raises(InputError, match=r"^coverage must lie between 0 and 1, got"):
            SplitConformal.fit(ROWS, [0] * 19, coverage=coverage)
    fitted = SplitConformal.fit(ROWS, [0] * 19)
    with pytest.raises(InputError, match=r"^probabilities must have 2 columns, as fitted, got 3$"):
        fitted([[0.2, 0.3, 0.5]])
    with pytest.raises(InputError, match=r"^names must be 2, one for each label, got 1$"):
        fitted(ROWS, names=["a"])
    with pytest.raises(InputError, match=r"codes must have shape \(19,\)"):
        fitted(ROWS).contain([0])
    with pytest.raises(InputError, match=r"^values must be numbers of shape \(n,\), got float64 of shape \(1, 2\)$"):
        ConformalPValue.fit([[1.0, 2.0]])


def test_p_values_are_shares_of_values_as_low():
    p_value = ConformalPValue.fit([3.0, 1.0, np.nan, 2.0, 2.0])

    assert p_value.values.tolist() == [1, 2, 2, 3]
    assert p_value([0.5, 1, 2, 2.5, 9]).tolist() == [0.2, 0.4, 0.8, 0.8, 1]
    assert np.isnan(p_value([np.nan])).all()
    assert p_value([-np.inf, np.inf]).tolist() == [0.2, 1]


def test_no_values_tell_nothing():
    assert ConformalPValue.fit([])([-5.0, 5.0]).tolist() == [1, 1]


def test_its_values_belong_to_it():
    mine = np.array([2.0, 1.0])
    p_value = ConformalPValue.fit(mine)
    mine[:] = 0

    assert p_value.values.tolist() == [1, 2]
    with pytest.raises(ValueError, match="read-only"):
        p_value.values[0] = 5
