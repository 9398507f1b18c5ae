"""What training chooses, and how it orders its batches."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from elsewise.training.checkpoints import CheckpointCallback, weights_of
from elsewise.training.settings import Training
from elsewise.training.trainer import _LengthGroups
from support.small_training import trained


def test_small_data_is_seen_more_often_and_wide_encoders_take_smaller_steps():
    minilm, base, large = (Training().resolved(15_000, width) for width in (384, 768, 1024))

    assert [Training().resolved(rows, 384).epochs for rows in (1000, 15_000, 40_000, 10**6)] == [12, 4, 3, 3]
    assert minilm.learning_rate == 2e-4
    assert base.learning_rate == 5e-5
    assert large.learning_rate == pytest.approx(2.8e-5, rel=0.01)


def test_what_was_asked_for_stays():
    asked = Training(epochs=1, learning_rate=1e-3, precision="f32").resolved(10**6, 1024)

    assert (asked.epochs, asked.learning_rate, asked.precision) == (1, 1e-3, "f32")


def test_an_epoch_gives_every_text_once_in_batches_of_similar_length():
    lengths = np.random.default_rng(0).integers(3, 60, size=6400)
    batches = _LengthGroups(lengths, 64, seed=0)

    epoch = list(batches)

    assert sorted(i for batch in epoch for i in batch) == list(range(6400))
    assert len(epoch) == len(batches) == 100
    assert np.mean([np.ptp(lengths[batch]) for batch in epoch]) < 3


def test_batches_come_in_no_order_of_length_and_in_another_one_every_epoch():
    lengths = np.random.default_rng(0).integers(3, 60, size=6400)
    batches = _LengthGroups(lengths, 64, seed=0)

    first = list(batches)
    batches.set_epoch(1)
    second = list(batches)

    means = [lengths[batch].mean() for batch in first]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.3
    assert first != second
    assert first == list(_LengthGroups(lengths, 64, seed=0))


def test_the_order_of_an_epoch_is_the_same_whatever_came_before():
    lengths = np.random.default_rng(0).integers(3, 60, size=640)
    straight, later = (_LengthGroups(lengths, 64, seed=3) for _ in range(2))
    list(straight)
    for batches in (straight, later):
        batches.set_epoch(2)

    assert list(straight) == list(later)


def test_the_last_batch_may_be_smaller():
    assert sorted(map(len, _LengthGroups(np.full(130, 5), 64, seed=0))) == [2, 64, 64]


def test_the_weights_are_those_of_the_best_epoch_and_training_ends_two_after_it(monkeypatch):
    """At a rate that spoils the weights: the best of 9 epochs by tune log loss is an early one."""
    judged, plain = [], CheckpointCallback.on_evaluate

    def on_evaluate(self, *parts, metrics, **more):
        weights = {name: tensor.clone() for name, tensor in weights_of(self.model).items()}
        judged.append((metrics["eval_log_loss"], weights))
        plain(self, *parts, metrics=metrics, **more)

    monkeypatch.setattr(CheckpointCallback, "on_evaluate", on_evaluate)

    last = trained(epochs=9, learning_rate=0.3, patience=2)

    best = min(range(len(judged)), key=lambda epoch: judged[epoch][0])
    equal = [all(torch.equal(weights[name], last[name]) for name in last) for _, weights in judged]
    assert len(judged) == best + 1 + 2 < 9
    assert equal == [epoch == best for epoch in range(len(judged))]
