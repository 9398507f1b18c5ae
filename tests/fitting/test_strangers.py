"""The strange texts after a change of the threshold: counted for the rule that answers then, and kept beside it."""

import json
import shutil

import numpy as np
import pytest

import elsewise as ew
from elsewise.data.strangers import strange_texts
from elsewise.engines.memory import MemoryEngine
from elsewise.evaluation import strangers
from elsewise.fitting import open_threshold

SURE, MIDDLING, UNSURE = ([np.log(odds), 0.0] for odds in (99, 4, 1.5))  # 0.99, 0.8 and 0.6


def saved(path, **kept):
    """A folder that answers, at 0.9, ten of the strange texts; thirty at 0.7."""
    texts = strange_texts()
    table = {**dict.fromkeys(texts[:10], SURE), **dict.fromkeys(texts[10:30], MIDDLING), "a text": SURE}
    classifier = ew.Classifier(MemoryEngine(("yes", "no"), table, UNSURE), ew.Identity(), ew.FixedThreshold(0.9))
    judged = ew.evaluate(classifier, ["a text"], ["yes"]).as_dict()
    classifier.with_provenance(evaluation={**judged, **kept}).save(path)
    return path


@pytest.fixture
def model(tmp_path):
    return saved(tmp_path / "model")


def kept_at(model):
    return json.loads((model / "evaluation.json").read_text())


def test_looking_says_what_is_known_and_measures_nothing(model, monkeypatch):
    monkeypatch.setattr(strangers, "strange_texts", lambda: pytest.fail("measured again"))

    assert open_threshold(model).overview().strangers.answered == 10


def test_a_folder_of_an_earlier_version_is_measured(model):
    earlier = {name: value for name, value in kept_at(model).items() if name != "strangers"}
    ew.load(model).with_provenance(evaluation=earlier).save(model)

    assert open_threshold(model).overview().strangers.answered == 10


def test_a_change_counts_with_the_new_rule_and_an_undo_with_the_old_one(model):
    before = kept_at(model)

    changed = open_threshold(model).change("fixed", threshold=0.7)

    assert changed.strangers.answered == 30
    assert kept_at(model)["strangers"]["answered"] == open_threshold(model).overview().strangers.answered == 30
    assert kept_at(model)["outdated"]["strangers"]["answered"] == 10
    assert changed.strangers.sentence in (model / "README.md").read_text()
    assert open_threshold(model).change("fixed", threshold=0.5).strangers.answered == 200
    open_threshold(model).undo()
    assert open_threshold(model).undo().strangers.answered == 10
    assert kept_at(model) == before


def test_an_evaluation_of_another_engine_stays_as_it_is(tmp_path):
    other = {"name": "memory", "precision": None, "fingerprint": "of another"}
    model = saved(tmp_path / "model", engine=other)
    before = kept_at(model)

    changed = open_threshold(model).change("fixed", threshold=0.7)

    assert changed.strangers.answered == 30
    assert kept_at(model) == before
    assert "strange texts" not in (model / "README.md").read_text()


def test_a_folder_without_an_evaluation_gets_none(model):
    shutil.rmtree(model)
    ew.Classifier(MemoryEngine(("yes", "no"), {"a text": SURE}, UNSURE), ew.Identity(), ew.FixedThreshold(0.9)).save(
        model
    )

    assert open_threshold(model).change("fixed", threshold=0.5).strangers.answered == 200
    assert not (model / "evaluation.json").exists()
