"""The demo, on fewer epochs than it runs for users, and in one precision."""

import csv

import pytest

import elsewise as ew
from elsewise.cli.demo import run_demo
from elsewise.errors import InputError


def labelled(path):
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["label"] for row in rows]


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "new.csv").write_text("mine", encoding="utf-8")

    with pytest.raises(InputError, match="holds other things than a demo; choose another folder with --out"):
        run_demo(tmp_path)

    assert (tmp_path / "new.csv").read_text(encoding="utf-8") == "mine"


def test_the_demo_fits_decides_and_leaves_files_to_go_on_with(tiny_default, tmp_path):
    shown = run_demo(tmp_path / "demo", epochs=1, max_length=96, precision="f32")

    with (shown.folder / "support.csv").open(encoding="utf-8", newline="") as file:
        known = list(csv.DictReader(file))
    assert len({row["label"] for row in known} - {"out_of_scope"}) == 20
    assert len(known) >= 2000
    assert len(shown.decisions) == len(shown.new)
    assert sum(shown.reasons().values()) == len(shown.new)
    assert {row.text for row in shown.new}.isdisjoint(row["text"] for row in known)
    assert (shown.folder / "model" / "manifest.json").is_file()
    assert "How far this classifier can be trusted" in (shown.folder / "model" / "report.html").read_text()
    assert "baseline" in shown.classifier.evaluation["baseline"]["sentence"]
    assert ew.evaluate(shown.classifier, *labelled(shown.folder / "new.csv")).rows.seen == 0
    assert all(sentence.endswith(".") for _, _, sentence in shown.examples())
