"""The door for arrays: facts about softmax, every framework's arrays, and what each refusal says."""

import re
from collections import namedtuple

import numpy as np
import pytest
import torch
from transformers.modeling_outputs import SequenceClassifierOutput

from elsewise.arrays import (
    as_codes,
    as_logits,
    as_probabilities,
    as_texts,
    log_losses,
    log_softmax,
    readable_logits,
    softmax,
    to_numpy,
    true_log_softmax,
)
from elsewise.errors import InputError

LOGITS = [[1.5, 0.8, -0.2], [2.0, 1.0, 0.1]]
SOFTMAX = [[0.595497, 0.295715, 0.108788], [0.659001, 0.242433, 0.098566]]

PredictionOutput = namedtuple("PredictionOutput", ["predictions", "label_ids", "metrics"])  # noqa: PYI024  as transformers


def ticket_logits():
    """49 logits of a Turkish ticket model: one label at 9.149789, the others between -2.28 and 2.12."""
    z = np.random.default_rng(24).uniform(-2.28, 2.12, size=49)
    z[24] = 9.149789
    return z


def test_softmax_gives_the_worked_values():
    assert softmax(LOGITS) == pytest.approx(np.array(SOFTMAX), abs=1e-6)
    assert softmax(LOGITS[0]) == pytest.approx(np.array(SOFTMAX[0]), abs=1e-6)


def test_a_ticket_whose_logit_is_far_ahead_is_nearly_certain():
    p = softmax(ticket_logits())

    assert p.shape == (49,)
    assert p.argmax() == 24
    assert p[24] > 0.99
    assert p.sum() == pytest.approx(1, abs=1e-12)


def test_softmax_taken_twice_flattens():
    """Cross-entropy of the true label 0: 0.518358 from logits, 0.856806 when fed probabilities."""
    assert -log_softmax(LOGITS[0])[0] == pytest.approx(0.518358, abs=1e-6)
    assert -log_softmax(softmax(LOGITS[0]))[0] == pytest.approx(0.856806, abs=1e-6)


def test_sigmoids_are_another_thing():
    """A sigmoid is the softmax against a logit of 0: one yes-or-no question per label, and no sum of 1."""
    sigmoids = [softmax([z, 0.0])[0] for z in LOGITS[0]]

    assert sigmoids == pytest.approx([0.8176, 0.6900, 0.4502], abs=5e-5)
    assert sum(sigmoids) > 1.9


@pytest.mark.parametrize(
    ("lead", "rivals", "probability"),
    [
        (np.log(0.6 * 49 / 0.4), 49, 0.6),
        (4.297, 49, 0.6),
        (np.log(1.5), 1, 0.6),
        (2.0, 2, 0.787),
        (2.0, 49, 0.131),
    ],
)
def test_how_far_a_logit_must_lead(lead, rivals, probability):
    assert softmax([lead, *[0.0] * rivals])[0] == pytest.approx(probability, abs=5e-4)


def test_a_constant_added_to_a_row_changes_nothing():
    z = np.random.default_rng(0).normal(size=(50, 7)) * 5

    assert softmax(z + 1e4) == pytest.approx(softmax(z), abs=1e-10)


def test_large_logits_do_not_overflow():
    assert softmax([[1000, 1000, 0]]).tolist() == [[0.5, 0.5, 0.0]]
    assert softmax([-np.inf, 0.0]).tolist() == [0.0, 1.0]
    assert log_softmax([1000.0, 0.0]).tolist() == [0.0, -1000.0]
    assert log_softmax([-np.inf, 0.0]).tolist() == [-np.inf, 0.0]


def test_log_softmax_is_the_logarithm_of_softmax():
    z = np.random.default_rng(1).normal(size=(50, 7))

    assert np.exp(log_softmax(z)) == pytest.approx(softmax(z), abs=1e-14)


def test_softmax_keeps_the_top_label():
    z = np.random.default_rng(2).normal(size=(10_000, 11)).astype(np.float32) * 3

    assert np.array_equal(softmax(z).argmax(axis=1), z.argmax(axis=1))


def test_the_callers_array_stays_as_it_was():
    z = np.array(LOGITS)
    before = z.copy()

    softmax(z), log_softmax(z), as_probabilities(softmax(z))

    assert np.array_equal(z, before)


def test_float32_stays_float32_and_whole_numbers_become_float64():
    assert as_logits(np.zeros((1, 2), np.float32)).dtype == np.float32
    assert as_logits(np.zeros((1, 2), np.longdouble)).dtype == np.float64
    assert as_logits([[1, 2]]).dtype == np.float64
    assert softmax(np.array([[1, 2]], np.int8)) == pytest.approx(softmax([[1.0, 2.0]]))


def test_no_copy_is_made_where_none_is_needed():
    z, p = np.zeros((2, 2), np.float32), np.full((2, 2), 0.5)

    assert as_logits(z) is z
    assert as_probabilities(p) is p


def test_no_rows_are_rows():
    assert softmax(np.zeros((0, 3))).shape == (0, 3)
    assert as_probabilities(np.zeros((0, 3))).shape == (0, 3)
    assert as_codes([], like=np.zeros((0, 3))).dtype == np.int64
    assert as_texts([]) == []


@pytest.mark.parametrize(
    "values",
    [
        np.array(LOGITS),
        np.asfortranarray(LOGITS),
        tuple(map(tuple, LOGITS)),
        [np.array(row) for row in LOGITS],
        torch.tensor(LOGITS),
        torch.tensor(LOGITS, dtype=torch.float64),
        torch.tensor(LOGITS, requires_grad=True),
        SequenceClassifierOutput(loss=torch.tensor(1.0), logits=torch.tensor(LOGITS)),
        PredictionOutput(np.array(LOGITS), np.array([0, 0]), {}),
        PredictionOutput((np.array(LOGITS), np.zeros((2, 5, 8))), np.array([0, 0]), {}),
        (torch.tensor(LOGITS), torch.zeros(2, 5, 8)),
    ],
    ids=["numpy", "fortran", "tuples", "rows", "torch", "double", "grad", "output", "prediction", "hidden", "tuple"],
)
def test_every_kind_of_array_gives_the_same_numbers(values):
    assert softmax(values) == pytest.approx(np.array(SOFTMAX), abs=1e-6)


@pytest.mark.parametrize(
    "half",
    [np.array(LOGITS, np.float16), torch.tensor(LOGITS).half(), torch.tensor(LOGITS).bfloat16()],
    ids=["numpy", "torch", "bfloat16"],
)
def test_half_precision_is_widened_first(half):
    """exp(12) is infinite in float16; what is left is only the rounding of the logits themselves."""
    assert to_numpy(half).dtype == np.float32
    assert softmax(half) == pytest.approx(np.array(SOFTMAX), abs=1e-3)
    assert softmax(np.array([12.0, 0.0], np.float16))[0] == pytest.approx(1 - np.exp(-12), abs=1e-7)


def test_whole_number_tensors_are_taken():
    assert softmax(torch.tensor([[1, 2]])) == pytest.approx(softmax([[1.0, 2.0]]))
    assert as_codes(torch.tensor([1, 0]), like=np.zeros((2, 2))).tolist() == [1, 0]


def test_jax_arrays_are_taken():
    jnp = pytest.importorskip("jax.numpy")

    assert softmax(jnp.array(LOGITS)) == pytest.approx(np.array(SOFTMAX), abs=1e-6)
    assert softmax(jnp.array(LOGITS, dtype=jnp.bfloat16)) == pytest.approx(np.array(SOFTMAX), abs=1e-3)


def test_tensorflow_arrays_are_taken():
    tf = pytest.importorskip("tensorflow")

    assert softmax(tf.constant(LOGITS)) == pytest.approx(np.array(SOFTMAX), abs=1e-6)
    assert softmax(tf.cast(LOGITS, tf.bfloat16)) == pytest.approx(np.array(SOFTMAX), abs=1e-3)


def test_probabilities_may_be_rounded_or_in_half_precision():
    rng = np.random.default_rng(3)
    p = softmax(rng.normal(size=(200, 150)))

    assert as_probabilities(softmax(rng.normal(size=(200, 50))).round(3)).shape == (200, 50)
    assert as_probabilities(p.astype(np.float16)).shape == p.shape
    assert as_probabilities(torch.tensor(p).bfloat16()).shape == p.shape
    assert as_probabilities(torch.softmax(torch.zeros(2, 3).bfloat16(), -1)).shape == (2, 3)


def test_a_row_with_nan_becomes_nan_as_a_whole():
    given = np.array([[0.5, 0.5], [np.nan, 1.0]])

    p = as_probabilities(given, allow_nan_rows=True)

    assert np.array_equal(p, [[0.5, 0.5], [np.nan, np.nan]], equal_nan=True)
    assert given[1, 1] == 1


def test_codes_may_be_whole_floats_and_minus_one_where_it_is_allowed():
    like = np.zeros((3, 2))

    assert as_codes([0.0, 1.0, 0.0], like=like).dtype == np.int64
    assert as_codes(np.array([0, 1, 1], np.uint8), like=like).tolist() == [0, 1, 1]
    assert as_codes([0, -1, 1], like=like, allow_abstain=True).tolist() == [0, -1, 1]


def test_texts_come_from_anything_that_gives_strings():
    assert as_texts(text for text in ("a", "b")) == ["a", "b"]
    assert as_texts(np.array(["a", "b"])) == ["a", "b"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_label_that_cannot_be_keeps_a_number_that_sums_stay_finite_with(dtype):
    """In float32 twice the lowest number is infinite, as a temperature below 1 makes of it."""
    given = np.array([[-np.inf, 0.5], [np.finfo(np.float32).min, 0.5], [2.0, 0.5]], dtype=dtype)

    for z in (as_logits(given), readable_logits(as_logits(given))):
        assert np.isfinite(1000 * z).all()
        assert softmax(z).tolist() == softmax(given).tolist()
        assert z[2].tolist() == [2.0, 0.5]


def test_a_missing_text_is_the_empty_one():
    assert as_texts(["a", None, float("nan"), np.float32("nan"), "nan"]) == ["a", "", "", "", "nan"]


LIKE = np.zeros((2, 3))
POSSIBLE = "logits must be finite, or minus infinity for a label that cannot be"
SUM = "rows of probabilities must be >= 0 and sum to 1 (of logits, take the softmax)"
WHOLE = "codes must be whole numbers, 0 for the first label, got "


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: as_logits(np.zeros(128)), "logits must have shape (n, k) with k >= 2, got (128,)"),
        (lambda: as_logits(np.zeros((4, 1))), "logits must have shape (n, k) with k >= 2, got (4, 1)"),
        (lambda: as_logits(np.zeros((2, 2, 2))), "logits must have shape (n, k) with k >= 2, got (2, 2, 2)"),
        (lambda: as_logits([["a", "b"]]), "logits must be numbers, got <U1"),
        (lambda: as_logits(None), "logits must be numbers, got object"),
        (lambda: as_logits([[True, False]]), "logits must be numbers, got bool"),
        (lambda: as_logits([[1, 2], [1, np.nan], [np.inf, 0]]), f"{POSSIBLE}: 2 of 3 rows are not, first is row 1"),
        (lambda: as_logits([[-np.inf, -np.inf]]), f"{POSSIBLE}: 1 of 1 rows are not, first is row 0"),
        (lambda: softmax([]), "logits must have shape (n, k) with k >= 2, got (1, 0)"),
        (lambda: softmax([[]]), "logits must have shape (n, k) with k >= 2, got (1, 0)"),
        (lambda: softmax(3.0), "logits must have shape (n, k) with k >= 2, got ()"),
        (lambda: softmax([[1.0], [2.0]]), "logits must have shape (n, k) with k >= 2, got (2, 1)"),
        (lambda: softmax([0.0, np.nan]), f"{POSSIBLE}: 1 of 1 rows are not, first is row 0"),
        (lambda: softmax([[0, 1], [-np.inf, -np.inf]]), f"{POSSIBLE}: 1 of 2 rows are not, first is row 1"),
        (lambda: log_softmax([[np.inf, 0]]), f"{POSSIBLE}: 1 of 1 rows are not, first is row 0"),
        (lambda: as_probabilities([[0.5, 0.5], [0.2, 0.9]]), f"{SUM}: 1 of 2 rows are not, first is row 1"),
        (lambda: as_probabilities([[-0.1, 1.1]]), f"{SUM}: 1 of 1 rows are not, first is row 0"),
        (lambda: as_probabilities([[np.nan, 1]]), f"{SUM}: 1 of 1 rows are not, first is row 0"),
        (lambda: as_probabilities([[np.inf, -np.inf]]), f"{SUM}: 1 of 1 rows are not, first is row 0"),
        (
            lambda: as_probabilities([[np.inf, -np.inf]], allow_nan_rows=True),
            f"{SUM}: 1 of 1 rows are not, first is row 0",
        ),
        (lambda: as_codes([0], like=LIKE), "codes must have shape (2,), one for each row, got (1,)"),
        (lambda: as_codes([[0], [1]], like=LIKE), "codes must have shape (2,), one for each row, got (2, 1)"),
        (lambda: as_codes([0, 3], like=LIKE), "codes must lie in 0..2, got 3 in row 1"),
        (lambda: as_codes([-1, 0], like=LIKE), "codes must lie in 0..2, got -1 in row 0"),
        (lambda: as_codes([0, -2], like=LIKE, allow_abstain=True), "codes must lie in -1..2, got -2 in row 1"),
        (lambda: as_codes([0.5, 1], like=LIKE), f"{WHOLE}float64"),
        (lambda: as_codes([np.nan, 1], like=LIKE), f"{WHOLE}float64"),
        (lambda: as_codes([np.inf, 1], like=LIKE), f"{WHOLE}float64"),
        (lambda: as_codes([1e30, 1], like=LIKE), f"{WHOLE}float64"),
        (lambda: as_codes([True, False], like=LIKE), f"{WHOLE}bool"),
        (lambda: as_codes(["yes", "no"], like=LIKE), f"{WHOLE}<U3"),
        (lambda: as_texts("a"), "texts must be a list of strings, got one str; put it in a list"),
        (lambda: as_texts(b"a"), "texts must be a list of strings, got one bytes; put it in a list"),
        (lambda: as_texts(["a", 2.5]), "texts must be strings, got float in row 1"),
        (lambda: as_texts({"a", "b"}), "texts must be a list or an array, got set"),
        (lambda: as_texts(None), "texts must be a list or an array, got NoneType"),
        (lambda: as_texts(np.array([["a"], ["b"]])), "texts must be one column, got an array of shape (2, 1)"),
        (
            lambda: as_texts({"text": ["a"], "label": ["x"]}),
            "texts must be one column, got a dict of 'text', 'label'; pass one of them, as in data['text']",
        ),
    ],
)
def test_a_refusal_says_what_and_where(call, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        call()


def test_rows_of_unequal_length_are_refused():
    with pytest.raises(InputError, match=r"^rows must have equal lengths: "):
        softmax([[1, 2], [3]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_log_loss_of_a_true_label_has_one_floor_and_no_value_below_0(dtype):
    p = np.array([[0.25, 0.75], [0.0, 1.0], [1.01, 0.0]], dtype=dtype)

    losses = log_losses(p, np.array([0, 0, 0]))

    assert losses.dtype == np.float64
    assert losses == pytest.approx([np.log(4), -np.log(float(np.finfo(dtype).tiny)), 0])


def test_the_log_softmax_of_the_true_labels_is_picked():
    z = np.array(LOGITS)

    assert np.exp(true_log_softmax(z, np.array([2, 0]))) == pytest.approx([SOFTMAX[0][2], SOFTMAX[1][0]], abs=1e-6)
