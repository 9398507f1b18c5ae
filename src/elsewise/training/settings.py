"""Settings of fine-tuning, checked, with defaults by the number of rows and the width of the encoder."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from elsewise.data.defaults import MAX_LENGTH, TETHER
from elsewise.engines.encoders import DEFAULT_ENCODER
from elsewise.engines.lowercase import check_lowercase
from elsewise.errors import InputError

USUAL_ROWS, USUAL_EPOCHS = 15_000, 4
STEPS: Final = 400  # of the optimizer, about, that an encoder needs to learn labels, however few the rows
BATCH_SIZES: Final = (64, 32, 16, 8)
WAIT: Final = 0.3  # of the epochs, without a better tune log loss, before training stops
USUAL_WIDTH, USUAL_RATE = 384, 2e-4
TRAINING_PRECISIONS: Final = ("auto", "bf16", "f32")
BALANCED: Final = "balanced"


@dataclass(frozen=True, slots=True)
class Training:
    """Settings of fine-tuning.

    Attributes
    ----------
    encoder : str
        A name or a folder.
    epochs : int or None
        Maximum number of epochs; None chooses 3 to 12, fewer for more rows, and more than 12 for fewer than 250.
    learning_rate : float or None
        Peak learning rate of the encoder; None chooses by its width: 2e-4 at 384 (MiniLM), 5e-5 at 768 (BERT-base).
    batch_size : int or None
        Texts in a step; None chooses 64, or down to 8 for fewer rows, so that there are about 400 steps.
    patience : int or None
        Stop after this many epochs without a better tune log loss; None chooses 3, more where there are many.
    max_length : int
        Tokens read of a text at once, special tokens included.
    windows : int
        Longer texts are read in up to so many windows of `max_length`, which overlap and whose answers are joined; 1
        cuts them.
    precision : {"auto", "bf16", "f32"}
        Precision of the encoder while it learns; auto is bf16 where that is faster, as measured.
    seed : int
        Seed of the splits, the head, dropout and the order of the texts.
    lowercase : {"tr"}, optional
        Lowercase texts as this language does, before the encoder's own steps; written into the tokenizer.json.
    tether : float
        Weight of the loss that keeps the embedding near that of the encoder as it came; 0 leaves it free.
    class_weights : None, "balanced" or mapping of label to weight
        How much an error on a text of each label counts in training. balanced is n / (k n_y), so that every label
        counts the same. In a mapping only ratios matter, and missing labels count 1. The logits are corrected
        afterwards: probabilities are those of the frequencies in the data.
    """

    encoder: str = DEFAULT_ENCODER
    epochs: int | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    patience: int | None = None
    max_length: int = MAX_LENGTH
    windows: int = 1
    precision: str = "auto"
    seed: int = 0
    tether: float = TETHER
    class_weights: str | Mapping[str, float] | None = None
    lowercase: str | None = None

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("patience", 1), ("max_length", 8), ("windows", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"{name} must be at least {least}, got {value}")
        if self.learning_rate is not None and not 0 < self.learning_rate < 1:
            raise InputError(f"learning_rate must lie between 0 and 1, got {self.learning_rate}")
        check_lowercase(self.lowercase)
        if not 0 <= self.tether < np.inf:
            raise InputError(f"tether must be at least 0 and finite, got {self.tether}")
        if self.precision not in TRAINING_PRECISIONS:
            raise InputError(
                f"the training precision must be one of {', '.join(TRAINING_PRECISIONS)}, got {self.precision!r}"
            )
        if not (self.class_weights in (None, BALANCED) or isinstance(self.class_weights, Mapping)):
            raise InputError(
                f"class_weights must be {BALANCED!r} or a weight for each label, got {self.class_weights!r}"
            )

    def resolved(self, rows: int, width: int) -> "Training":
        """Fill in the defaults: more epochs and smaller batches for fewer rows, smaller steps for wider encoders."""
        from elsewise.engines.torch import is_faster_in_bf16  # noqa: PLC0415  torch

        epochs = int(np.clip(round(USUAL_EPOCHS * (USUAL_ROWS / max(rows, 1)) ** 0.5), 3, 12))
        enough = (size for size in BATCH_SIZES if epochs * math.ceil(rows / size) >= STEPS)
        batch_size = next(enough, BATCH_SIZES[-1]) if self.batch_size is None else self.batch_size
        epochs = max(epochs, math.ceil(STEPS / math.ceil(max(rows, 1) / batch_size)))
        rate = float(np.clip(USUAL_RATE * (USUAL_WIDTH / width) ** 2, 2e-5, 5e-4))
        return replace(
            self,
            epochs=epochs if self.epochs is None else self.epochs,
            batch_size=batch_size,
            patience=max(3, round(WAIT * epochs)) if self.patience is None else self.patience,
            learning_rate=rate if self.learning_rate is None else self.learning_rate,
            precision=("bf16" if is_faster_in_bf16() else "f32") if self.precision == "auto" else self.precision,
        )
