"""The mean of several models' probabilities, and what they disagree by."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elsewise.arrays import softmax
from elsewise.errors import InputError
from elsewise.outputs import Outputs, entropy, mixture, uncertainty


def members(m, n=50, k=6, scale=3.0, seed=0, dtype=np.float64):
    return list((np.random.default_rng(seed).normal(size=(m, n, k)) * scale).astype(dtype))


def test_one_sure_and_one_even_member_by_hand():
    """Mean (0.75, 0.25): 0.5623 in all, half of ln 2 = 0.3466 left open, and 0.2158 disagreement."""
    log_mean, epistemic = mixture([np.array([[900.0, 0.0]]), np.zeros((1, 2))])

    parts = uncertainty(Outputs(log_mean, epistemic=epistemic))

    assert np.exp(log_mean)[0] == pytest.approx([0.75, 0.25])
    assert parts.total == pytest.approx([0.562335], abs=1e-6)
    assert parts.aleatoric == pytest.approx([0.346574], abs=1e-6)
    assert parts.epistemic == pytest.approx([0.215762], abs=1e-6)


@given(m=st.integers(1, 6), scale=st.floats(0, 200), seed=st.integers(0, 99))
def test_total_is_aleatoric_and_epistemic_and_no_part_is_negative(m, scale, seed):
    logits = members(m, n=9, scale=scale, seed=seed)

    log_mean, epistemic = mixture(logits)

    parts = uncertainty(Outputs(log_mean, epistemic=epistemic))
    p = np.mean([softmax(z) for z in logits], axis=0)
    assert softmax(log_mean) == pytest.approx(p, abs=1e-12)
    assert np.array_equal(parts.total, parts.aleatoric + parts.epistemic)
    assert parts.total == pytest.approx(entropy(log_mean), abs=1e-12)
    assert parts.aleatoric == pytest.approx(np.mean([entropy(z) for z in logits], axis=0), abs=1e-12)
    assert (epistemic >= 0).all()
    assert (epistemic <= np.log(m) + 1e-12).all()


def test_members_that_agree_disagree_by_nothing():
    (z,) = members(1)

    log_mean, epistemic = mixture([z] * 5)

    assert softmax(log_mean) == pytest.approx(softmax(z), abs=1e-14)
    assert epistemic == pytest.approx(0, abs=1e-14)


def test_the_order_of_members_changes_nothing():
    logits = members(4)

    (one, its), (other, others) = mixture(logits), mixture(logits[::-1])

    assert one == pytest.approx(other, abs=1e-13)
    assert its == pytest.approx(others, abs=1e-13)


def test_a_row_has_the_answer_alone_that_it_has_among_others():
    for dtype in (np.float32, np.float64):
        logits = members(3, n=300, k=150, dtype=dtype)
        log_mean, epistemic = mixture(logits)
        for rows in (slice(0, 1), slice(7, 8), slice(5, 40)):
            some, their = mixture([z[rows] for z in logits])
            assert some.tobytes() == log_mean[rows].tobytes()
            assert their.tobytes() == epistemic[rows].tobytes()


def test_what_no_member_thinks_possible_keeps_a_finite_logarithm():
    log_mean, epistemic = mixture([np.array([[3000.0, 0.0]]), np.array([[2900.0, 0.0]])])

    assert log_mean[0] == pytest.approx([0, -2900 - np.log(2)])
    assert epistemic.tolist() == [0.0]


def test_a_text_that_could_not_be_read_has_nan_and_no_rows_have_no_rows():
    log_mean, epistemic = mixture([np.array([[np.nan, np.nan], [1.0, 0.0]])] * 2)

    assert np.isnan(log_mean).all(axis=1).tolist() == np.isnan(epistemic).tolist() == [True, False]
    assert mixture([np.empty((0, 3))])[0].shape == (0, 3)


def test_no_members_are_no_mixture():
    with pytest.raises(ValueError, match="a mixture needs a member"):
        mixture([])


def test_outputs_of_one_model_have_no_parts():
    with pytest.raises(InputError, match="need a mutual information, and the engine gives none; fit with ensemble"):
        uncertainty(Outputs(np.zeros((1, 2))))
