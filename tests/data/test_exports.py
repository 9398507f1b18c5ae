"""The public names of the room: found when they are used, and described."""

import inspect
import subprocess
import sys

import pytest

from elsewise import data
from elsewise.data import checks, sample


def test_every_public_name_is_found_and_is_the_one_of_its_file():
    found = {name: getattr(data, name) for name in data.__all__}

    assert found == {
        "OUT_OF_SCOPE": sample.OUT_OF_SCOPE,
        "check": checks.check,
        "support_texts": sample.support_texts,
    }
    assert set(data.__all__) <= set(dir(data))
    assert "elsewise.data import check, support_texts" in inspect.getdoc(data)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"^module 'elsewise\.data' has no attribute 'perplexity'$"):
        _ = data.perplexity


def test_importing_the_room_loads_none_of_its_files():
    program = "import sys, elsewise.data; print([name for name in sys.modules if name.startswith('elsewise.')])"

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert loaded == "['elsewise.data']\n"
