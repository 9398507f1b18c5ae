"""A small table that answers, an input for it, and short parts for those who ask."""

import pytest

import elsewise as ew
from elsewise.batch import source
from elsewise.engines.memory import MemoryEngine
from support.parted import TABLE, write_rows


@pytest.fixture
def short_parts(monkeypatch):
    monkeypatch.setattr(source, "CHUNK_ROWS", 10)


@pytest.fixture
def classifier():
    return ew.Classifier(MemoryEngine(("yes", "no"), TABLE), ew.Identity(), ew.FixedThreshold(0.6))


@pytest.fixture
def here(tmp_path):
    """A folder with an input of all kinds of rows, some of them bad."""
    write_rows(tmp_path / "in.csv")
    return tmp_path
