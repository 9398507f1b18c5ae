"""An optional library is imported, or one line says how to get it."""

import sys

import pytest

from elsewise.errors import ElsewiseError, MissingExtra, need


def test_a_library_that_is_there_is_imported():
    assert need("xml.dom", extra="train") is sys.modules["xml.dom"]


@pytest.mark.parametrize("module", ["no_such_library", "no_such_library.inner"])
def test_a_library_that_is_not_there_is_one_line(module):
    with pytest.raises(MissingExtra) as caught:
        need(module, extra="train")

    assert str(caught.value) == f"{module} is not installed; run: pip install 'elsewise[train]'"
    assert isinstance(caught.value, ImportError)
    assert isinstance(caught.value, ElsewiseError)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("import a_library_of_a_library", ModuleNotFoundError),
        ("raise ImportError('libcuda.so')", ImportError),
        ("raise ModuleNotFoundError('nameless')", ModuleNotFoundError),
    ],
)
def test_a_library_broken_inside_tells_its_own_story(body, expected, tmp_path, monkeypatch):
    (tmp_path / "broken_inside.py").write_text(body)
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(expected) as caught:
        need("broken_inside", extra="train")

    assert not isinstance(caught.value, MissingExtra)
