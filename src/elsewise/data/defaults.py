"""Defaults of `fit` and `check`, in Python and on the command line."""

from typing import Final

TARGET_ACCURACY: Final = 0.95
CONFIDENCE_LEVEL: Final = 0.95
FLOOR: Final = 0.5
UNFAMILIAR: Final = 0.02
MAX_LENGTH: Final = 256
CASCADE_CHANGE: Final = 0.01  # share of labels that a cascade may change
TETHER: Final = 3.0  # weight of the loss that keeps an embedding near that of the encoder as it came
PARTS: Final = ("train", "tune", "certify", "test")
LEFT_OUT: Final = ("untrained", "repeated", "seen", "grouped")  # counts of rows that are in none of the parts
