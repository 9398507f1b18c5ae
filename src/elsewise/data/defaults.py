"""What `fit` and `check` use where nothing else is said, in Python and on the command line alike."""

from typing import Final

TARGET_ACCURACY: Final = 0.95
CONFIDENCE_LEVEL: Final = 0.95
BATCH_SIZE: Final = 64
MAX_LENGTH: Final = 256
