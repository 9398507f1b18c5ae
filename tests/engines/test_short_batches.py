"""Batches with fewer rows: only where the same bits were shown, and then for one text alone as among many."""

import numpy as np
import pytest

from elsewise.engines.files import Opening
from elsewise.engines.short_batches import ASKED, ShortBatches
from support.small_models import LABELS, graph_of, texts

IDS = np.array([1, 7, 8, 9, 2], dtype=np.int32)


def by_row(batches):
    """A model that computes each row for itself."""
    return ((ids.astype(np.float32), np.cumsum(ids, axis=1).astype(np.float32)) for ids, _ in batches)


def by_shape(batches):
    """A model whose last digits depend on how many rows there are."""
    return ((np.float32(1e-7) * len(ids) + ids, ids.astype(np.float32)) for ids, _ in batches)


def by_place(batches):
    """A model whose last row differs where the batch is whole."""
    return ((ids + (np.arange(len(ids))[:, None] == 11).astype(np.float32), ids) for ids, _ in batches)


def asked(short, forward, count, full=12, times=ASKED + 1):
    return [short.rows(count, full, IDS, forward=forward) for _ in range(times)]


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (2, 2), (3, 4), (5, 8), (8, 8), (9, 12), (12, 12)])
def test_the_rows_are_the_next_power_of_two_once_that_was_compared(count, rows):
    assert asked(ShortBatches(), by_row, count) == [12] * ASKED + [rows]


@pytest.mark.parametrize("forward", [by_shape, by_place])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_where_a_bit_moves_all_rows_stay(forward, count):
    assert asked(ShortBatches(), forward, count, times=ASKED + 3) == [12] * (ASKED + 3)


def test_a_shape_is_compared_once():
    calls = []

    def forward(batches):
        calls.append(1)
        return by_row(batches)

    asked(ShortBatches(), forward, 3, times=ASKED + 5)

    assert len(calls) == 1


def test_a_whole_batch_is_never_compared():
    assert ShortBatches().rows(1, 1, IDS, forward=None) == 1


@pytest.mark.parametrize("precision", ["f32", "int8"])
def test_a_text_alone_gets_the_bits_that_it_gets_among_others_and_soon_in_one_row(precision):
    pytest.importorskip("nncf")
    from elsewise.engines.openvino import OpenVinoModel
    from elsewise.fitting.engine_choice import quantised

    files, learner = graph_of("bert")
    files = quantised(files, learner.tokenize(texts(60))) if precision == "int8" else files
    engine = OpenVinoModel.open(Opening(files, LABELS, {**learner.tokenize.settings, "precision": precision}, 1))
    some = texts(40)
    among = engine.run(some * 8)  # more than have short batches

    for _ in range(ASKED + 2):
        alone = [engine.run([text]) for text in some]
        few = engine.run(some[:7])

        assert np.concatenate([one.logits for one in alone]).tobytes() == among.logits[:40].tobytes()
        assert np.concatenate([one.features for one in alone]).tobytes() == among.features[:40].tobytes()
        assert few.logits.tobytes() == among.logits[:7].tobytes()
    assert any(rows == 1 for rows, _ in engine.model.short.same)  # equal or not: the processor tells
