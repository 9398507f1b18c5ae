"""`fit`, `threshold` and `evaluate` have a line about strange texts, where the model can answer them."""

import json

import numpy as np
import pytest

import elsewise as ew
from elsewise.cli.tables import show_fitted
from elsewise.data.strangers import strange_texts
from elsewise.engines.memory import MemoryEngine
from support.running import run

KINDS = "(weather, sports, greetings, other languages, random letters)"
LINE = f"Of 200 built-in strange texts {KINDS} 4 % would get a label."
SURE = [4.0, 0.0]
COUNTED = {"n": 200, "answered": 8, "sentence": LINE}


def by_heart():
    table = dict.fromkeys([*strange_texts()[:8], "a text"], SURE) | {"another": [0.0, 4.0]}
    engine = MemoryEngine(("yes", "no"), table, default=[0.1, 0.0])
    return ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.8))


@pytest.fixture
def model(tmp_path):
    by_heart().save(tmp_path / "model")
    (tmp_path / "rows.csv").write_text("text,label\na text,yes\nanother,no\n", encoding="utf-8")
    return tmp_path / "model"


COMMANDS = {
    "evaluate": ("evaluate", "model", "rows.csv"),
    "threshold": ("threshold", "model"),
    "a change": ("threshold", "model", "--at", "0.75"),
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS.keys())
def test_a_command_says_it(model, words):
    done = run(*words, folder=model.parent)

    assert done.returncode == 0, done.stderr
    assert f"\n{LINE}\n" in done.stdout
    assert done.stdout.count("strange texts") == 1


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS.keys())
def test_its_json_has_the_counts(model, words):
    assert json.loads(run(*words, "--json", folder=model.parent).stdout)["strangers"] == COUNTED


def test_a_fit_ends_with_the_line_and_its_json_has_the_counts(tmp_path, capsys):
    """With test rows it is in the evaluation; without them it is measured."""
    judged = by_heart().with_provenance(evaluation=ew.evaluate(by_heart(), ["a text"], ["yes"]).as_dict())
    for made in (judged, by_heart()):
        classifier = made.with_provenance(record={"splits": {"train": 1}})
        show_fitted(classifier, tmp_path, as_json=False)
        assert capsys.readouterr().out.rstrip().endswith(LINE)
        show_fitted(classifier, tmp_path, as_json=True)
        assert json.loads(capsys.readouterr().out)["strangers"] == COUNTED


def test_there_is_no_line_for_a_model_of_logits(tmp_path):
    z, codes = np.tile([[2.0, 0.0], [0.0, 2.0]], (300, 1)), np.tile([0, 1], 300)
    codes[:12] = 1 - codes[:12]
    ew.calibrate(z, codes, count_repeats=True).save(tmp_path / "model")

    shown = run("threshold", "model", folder=tmp_path)

    assert shown.returncode == 0, shown.stderr
    assert "strange texts" not in shown.stdout
    assert json.loads(run("threshold", "model", "--json", folder=tmp_path).stdout)["strangers"] is None
