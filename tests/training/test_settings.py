"""Defaults of fine-tuning: enough steps for few rows, and no more than are needed for many."""

import math

import pytest

from elsewise.training.settings import BATCH_SIZES, STEPS, Training

pytest.importorskip("torch")


def resolved(rows, **given):
    return Training(precision="f32", **given).resolved(rows, 384)


@pytest.mark.parametrize("rows", [1, 10, 124, 300, 1000, 5000, 15_000, 200_000])
def test_there_are_enough_steps_however_few_the_rows(rows):
    how = resolved(rows)

    assert how.epochs * math.ceil(rows / how.batch_size) >= STEPS


@pytest.mark.parametrize(
    ("rows", "epochs", "batch_size", "patience"),
    [(15_000, 4, 64, 3), (4400, 7, 64, 3), (1000, 12, 16, 4), (124, 25, 8, 8), (1_000_000, 3, 64, 3)],
)
def test_few_rows_have_small_batches_and_more_epochs(rows, epochs, batch_size, patience):
    how = resolved(rows)

    assert (how.epochs, how.batch_size, how.patience) == (epochs, batch_size, patience)


def test_what_is_given_stays():
    how = resolved(124, epochs=2, batch_size=50, patience=1, learning_rate=1e-3)

    assert (how.epochs, how.batch_size, how.patience, how.learning_rate) == (2, 50, 1, 1e-3)


def test_a_batch_size_that_is_given_leaves_enough_steps():
    assert resolved(128, batch_size=64).epochs == STEPS // 2
    assert BATCH_SIZES[0] == 64
