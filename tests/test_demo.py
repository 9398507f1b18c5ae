"""The demo, on fewer epochs than it runs for users."""

import csv

import pytest

from elsewise.demo import run_demo


def test_the_demo_fits_decides_and_leaves_files_to_go_on_with(tmp_path):
    pytest.importorskip("torch")

    shown = run_demo(tmp_path / "demo", epochs=1, max_length=48)

    with (shown.folder / "support.csv").open(encoding="utf-8", newline="") as file:
        known = list(csv.DictReader(file))
    assert len({row["label"] for row in known} - {"out_of_scope"}) == 20
    assert len(known) >= 2000
    assert len(shown.decisions) == len(shown.new)
    assert sum(shown.reasons().values()) == len(shown.new)
    assert {row.text for row in shown.new}.isdisjoint(row["text"] for row in known)
    assert (shown.folder / "model" / "manifest.json").is_file()
    assert all(sentence.endswith(".") for _, _, sentence in shown.examples())
