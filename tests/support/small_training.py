"""A training of a few seconds, that can be run in another process and killed there."""

import csv

import numpy as np

from support.small_models import learner_of, model_of, texts, tokenizer

EPOCHS, STEPS = 3, 5  # so many steps in an epoch


def how(**changes):
    from elsewise.training.settings import Training

    return Training(**{"epochs": EPOCHS, "batch_size": 16, "precision": "f32", "learning_rate": 1e-3, **changes})


def rows(start, n):
    from elsewise.data.splits import LabelledTexts

    return LabelledTexts(tuple(texts(200)[start : start + n]), np.arange(n) % 3)


def trained(path=None, progress=None, note=None, tune=40, **changes):
    """Train a small model with checkpoints in `path`; give its weights."""
    import transformers

    from elsewise.training.checkpoint_folder import Checkpoints
    from elsewise.training.checkpoints import weights_of
    from elsewise.training.fine_tune import train

    learner = learner_of("bert")
    transformers.set_seed(0)
    checkpoints = None if path is None else Checkpoints(path)
    model = train(learner, rows(0, 80), rows(100, tune), how(**changes), progress, checkpoints=checkpoints, note=note)
    return {name: tensor.clone() for name, tensor in weights_of(model.model).items()}


TOPICS = ("where is order", "refund please my", "the invoice a b", "hello hello c")


def fit_words(folder, n=1600):
    """Write rows that are easy to tell apart, and a small encoder; give the words of a `fit` of seconds."""
    rng = np.random.default_rng(0)
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label"])
        for i in range(n):
            words = [*rng.choice(TOPICS[i % 4].split(), 3), *rng.choice(["a", "b", "c", "12", "?"], 4)]
            rows.writerow([f"{' '.join(rng.permutation(words))} {'a b c ? 12'[: i % 11]}", f"topic {i % 4}"])
    model_of("bert", initializer_range=0.05).save_pretrained(folder / "encoder")
    tokenizer().save_pretrained(folder / "encoder")
    options = [
        "--encoder",
        folder / "encoder",
        "--epochs",
        4,
        "--precision",
        "f32",
        "--learning-rate",
        "5e-4",
        "--no-baseline",
    ]
    return ["fit", folder / "rows.csv", *options]


def train_in_a_process(path):
    """Train with a checkpoint at every step, on one thread: a forked process has no other."""
    import torch

    from elsewise.training import checkpoints

    torch.set_num_threads(1)
    checkpoints.EVERY, checkpoints.COST = 0, 1e9
    trained(path)
