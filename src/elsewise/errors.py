"""Every error and warning a caller may want to catch.

ElsewiseError
├── InputError        the arrays, texts or files handed in are wrong   (also a ValueError)
├── ArtifactError     a saved model folder is damaged, foreign or too new
└── MissingExtra      an optional dependency is not installed          (also an ImportError)

ElsewiseWarning       the answer stands, and something about it should be known   (also a UserWarning)
"""


class ElsewiseError(Exception):
    """Anything that Elsewise raises on purpose."""


class InputError(ElsewiseError, ValueError):
    """The arrays, texts or files handed in are wrong; the message says what, where and the remedy."""


class ArtifactError(ElsewiseError):
    """A saved model folder is damaged, foreign or too new; the message names the file."""


class MissingExtra(ElsewiseError, ImportError):  # noqa: N818  named for what the user lacks
    """An optional dependency is not installed; the message is the command that adds it."""


class ElsewiseWarning(UserWarning):
    """The answer stands, and something about it should be known."""
