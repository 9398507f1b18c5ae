"""Explanations over HTTP are those of Python, are bounded, and leave no trace in what is watched or kept."""

import json

import numpy as np
import pytest

import elsewise as ew
from elsewise.engines.memory import MemoryEngine
from elsewise.evaluation.explaining import MOST_PARTS, explain
from elsewise.rules import ByLabel
from elsewise.storage.json_files import finite
from support.serving import LABELS, TEXTS, by_heart, serving

TEXT = "where is my parcel"


def without(text, word):
    """A text without one of its words, as `explain` leaves it out."""
    return text.replace(word, "", 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("explained") / "model"
    known = {TEXT: (0.0, 4.0, 0.0), without(TEXT, "parcel"): (0.0, 1.0, 0.0), without(TEXT, "where"): (0.0, 5.0, 0.0)}
    engine = MemoryEngine(LABELS, {**TEXTS, **known}, default=(0.0, 4.0, 0.0))
    ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.6)).save(place)
    return place


@pytest.fixture(scope="module")
def served(folder):
    with serving(folder) as made:
        yield made


def asked(served, **body):
    return served.client.post("/v1/explain", json=body)


@pytest.mark.parametrize(("text", "language"), [(TEXT, "en"), ("parcel or invoice", "tr"), (" ", "en")])
def test_it_is_the_explanation_that_python_gives(served, folder, text, language):
    own = explain(ew.load(folder), text, language=language)

    found = asked(served, text=text, language=language).json()

    assert (found.pop("model"), found.pop("certificate")) == (served.decide("a").json()["model"], None)
    assert found == json.loads(json.dumps(finite(own.as_dict())))


def test_the_words_are_sorted_by_their_pull(served):
    found = asked(served, text=TEXT).json()

    assert [(word["words"], round(word["pull"], 6)) for word in found["words"]] == [
        ("parcel", 3.0), ("is", 0.0), ("my", 0.0), ("where", -1.0),
    ]  # fmt: skip
    assert [TEXT[word["start"] : word["end"]] for word in found["words"]] == ["parcel", "is", "my", "where"]


def test_a_long_text_is_asked_no_more_than_65_times(served):
    before = sum(decided(served).values())

    found = asked(served, text=" ".join(f"w{i}" for i in range(500))).json()

    assert len(found["words"]) == MOST_PARTS
    assert sum(decided(served).values()) - before == MOST_PARTS + 1


def decided(served):
    """How many texts the engine has decided, by reason."""
    lines = served.client.get("/metrics").text.splitlines()
    found = (line.rpartition(" ") for line in lines if line.startswith("elsewise_decisions_total"))
    return {name: float(value) for name, _, value in found}


def test_the_watch_does_not_see_texts_that_nobody_sent(served):
    before = served.client.get("/v1/certificate").json()["watch"]["texts"]
    asked(served, text=TEXT)
    served.decide("send it back")

    assert served.client.get("/v1/certificate").json()["watch"]["texts"] == before + 1


def test_nothing_of_it_is_drawn_for_the_audit_file(folder, tmp_path):
    with serving(folder, audit_share=1.0, audit_file=tmp_path / "audit.jsonl") as served:
        asked(served, text=TEXT)
        served.decide("send it back")

    kept = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["text"] for line in kept if "text" in line] == ["send it back"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"text": "x" * 10_001}, "text_long"),
        ({"text": "a", "language": "xx"}, "request_invalid"),
        ({"text": "a", "threshold": 0.5}, "request_invalid"),
        ({"texts": ["a"]}, "request_invalid"),
        ({"text": None}, "request_invalid"),
    ],
)
def test_what_cannot_be_explained_is_refused(served, body, code):
    assert asked(served, **body).json()["code"] == code


def test_the_model_is_described(served, folder):
    body = served.client.get("/v1/model").json()

    assert (body["labels"], body["other"], body["name"]) == (list(LABELS), "Other", "model")
    assert (body["threshold"], body["thresholds"], body["score"]) == (0.6, None, "maximum_probability")
    assert body["limits"] == {
        "texts": 256,
        "characters": 100_000,
        "explained_characters": 10_000,
        "body_bytes": 4 << 20,
    }


def test_a_threshold_of_each_label_and_an_infinite_one_are_told(tmp_path):
    p = np.random.default_rng(0).dirichlet([4, 1, 1], 1200)
    rule = ByLabel.fit(p[:600], p[:600].argmax(axis=1), reference=p[600:], target_accuracy=0.8, rare="fall_back")
    ew.Classifier(MemoryEngine(LABELS, TEXTS), ew.Identity(), rule).save(tmp_path / "each")
    by_heart(float("inf")).save(tmp_path / "nothing")

    with serving(tmp_path / "each") as each, serving(tmp_path / "nothing") as nothing:
        found = each.client.get("/v1/model").json()
        assert found["threshold"] is None
        assert found["thresholds"] == dict(zip(LABELS, finite(rule.threshold.tolist()), strict=True))
        assert nothing.client.get("/v1/model").json()["threshold"] == "inf"
