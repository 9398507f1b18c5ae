"""The native engine in tests: skipped with a word where nothing is compiled."""

import pytest

from elsewise.engines.native_library import library
from elsewise.errors import MissingExtra


def compiled():
    """Skip the test that asks where the library is not compiled."""
    try:
        library()
    except MissingExtra as error:
        pytest.skip(str(error))
