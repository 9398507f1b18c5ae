"""A training of a few seconds, that can be run in another process and killed there."""

import numpy as np

from small_models import learner_of, texts

EPOCHS, STEPS = 3, 5  # so many steps in an epoch


def how(**changes):
    from elsewise.training import Training

    return Training(**{"epochs": EPOCHS, "batch_size": 16, "precision": "f32", "learning_rate": 1e-3, **changes})


def rows(start, n):
    from elsewise.splits import LabelledTexts

    return LabelledTexts(tuple(texts(200)[start : start + n]), np.arange(n) % 3)


def trained(path=None, progress=None, note=None, tune=40, **changes):
    """Train a small model with checkpoints in `path`; give its weights."""
    import transformers

    from elsewise.checkpoints import weights_of
    from elsewise.training import train
    from elsewise.unfinished import Checkpoints

    learner = learner_of("bert")
    transformers.set_seed(0)
    checkpoints = None if path is None else Checkpoints(path)
    model = train(learner, rows(0, 80), rows(100, tune), how(**changes), progress, checkpoints=checkpoints, note=note)
    return {name: tensor.clone() for name, tensor in weights_of(model.model).items()}


def train_in_a_process(path):
    """Train with a checkpoint at every step, on one thread: a forked process has no other."""
    import torch

    from elsewise import checkpoints

    torch.set_num_threads(1)
    checkpoints.EVERY, checkpoints.COST = 0, 1e9
    trained(path)
