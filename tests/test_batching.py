"""Batches: one shape for one length, rows back in order, and nothing left of the filler."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elsewise.batching import EXACT_LENGTHS, TOKEN_BUDGET, run_in_batches, shape

PAD = 9999


class Recorder:
    """A model that says what it read: the sum and the number of a row's unmasked tokens; and remembers its shapes."""

    def __init__(self):
        self.shapes, self.seen = [], []

    def __call__(self, ids, mask):
        self.shapes.append(ids.shape)
        self.seen.append((ids, mask))
        return np.stack([(ids * mask).sum(axis=1), mask.sum(axis=1)], axis=1).astype(np.float32), mask[:, 0] * 7.0


def texts_of(lengths):
    return [[i % 50 + 1] * length for i, length in enumerate(lengths)]


def run(ids, longest=512):
    model = Recorder()
    return model, run_in_batches(ids, model, longest=longest, pad=PAD)


def test_rows_come_back_in_order():
    ids = texts_of([3, 70, 1, 3, 200, 64, 65, 3])

    _, (logits, features) = run(ids)

    assert logits.tolist() == [[sum(text), len(text)] for text in ids]
    assert features.tolist() == [7.0] * len(ids)
    assert logits.dtype == features.dtype == np.float32


@pytest.mark.parametrize("length", [1, 2, 7, 64, 65, 80, 81, 255, 256, 257, 512])
def test_a_text_runs_at_the_same_shape_alone_and_in_company(length):
    rng = np.random.default_rng(length)
    alone, _ = run(texts_of([length]))
    crowd, _ = run(texts_of([length, *rng.integers(1, 512, size=63)]))

    assert alone.shapes == [shape(length, 512)]
    assert shape(length, 512) in crowd.shapes


def test_shapes_are_within_the_budget_and_few():
    shapes = {shape(length, 512) for length in range(1, 513)}

    assert all(rows * tokens <= TOKEN_BUDGET or rows == 1 for rows, tokens in shapes)
    assert all(rows * (tokens + 1) + tokens > TOKEN_BUDGET or rows == 1 for rows, tokens in shapes)
    assert len(shapes) == EXACT_LENGTHS + (512 - EXACT_LENGTHS) // 16
    assert len({tokens for _, tokens in shapes}) == len(shapes)


def test_no_text_is_cut_and_none_is_longer_than_the_model_reads():
    for longest in (64, 70, 100, 128, 510, 512):
        tokens = [shape(length, longest)[1] for length in range(1, longest + 1)]
        assert all(length <= t <= longest for length, t in enumerate(tokens, start=1))


def test_a_text_longer_than_the_longest_runs_as_it_is():
    _, (logits, _) = run(texts_of([100, 5]), longest=64)

    assert shape(100, longest=64) == (2, 100)
    assert logits[:, 1].tolist() == [100, 5]


def test_short_batches_are_filled_with_copies_and_short_texts_are_masked():
    model, _ = run([[5, 6, 7], [8] * 70])

    (ids, mask), (long_ids, long_mask) = model.seen
    assert (ids == [5, 6, 7]).all()
    assert mask.all()
    assert ids.shape == (85, 3)
    assert long_ids[:, :70].tolist() == [[8] * 70] * 3
    assert (long_ids[:, 70:] == PAD).all()
    assert long_mask.sum(axis=1).tolist() == [70] * 3


def test_full_batches_come_before_one_filled_one():
    model, (logits, _) = run(texts_of([50] * 12))

    assert model.shapes == [(5, 50)] * 3
    assert logits[:, 1].tolist() == [50] * 12


@settings(derandomize=True, max_examples=80, deadline=None, database=None)
@given(
    st.lists(st.lists(st.integers(0, 1000), min_size=1, max_size=150), min_size=1, max_size=40),
    st.integers(1, 150),
    st.randoms(use_true_random=False),
)
def test_any_texts_in_any_order_read_the_same(ids, longest, random):
    order = list(range(len(ids)))
    random.shuffle(order)

    _, (logits, _) = run(ids, longest)
    _, (shuffled, _) = run([ids[i] for i in order], longest)

    assert logits.tolist() == [[sum(text), len(text)] for text in ids]
    assert np.array_equal(shuffled, logits[order])
