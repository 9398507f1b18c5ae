"""The summary of a run: counts that add up, and whether the promise can be believed for the file."""

import json

import numpy as np
import pytest

import elsewise as ew
from elsewise.batch import source
from elsewise.batch.predict import predict_file
from elsewise.engines.memory import MemoryEngine

TABLE = {"sure": [4.0, 0.0], "hm": [0.1, 0.0], "no way": [0.0, 5.0]}


@pytest.fixture
def classifier():
    return ew.Classifier(MemoryEngine(("yes", "no"), TABLE), ew.Identity(), ew.FixedThreshold(0.6))


def test_a_summary_stands_beside_the_output(classifier, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "CHUNK_ROWS", 4)
    data = tmp_path / "in.csv"
    data.write_text("id,text\n" + "1,sure\n2,sure\n3,hm\n4,no way\n5\n" * 3 + "6,never seen\n", encoding="utf-8")

    summary = predict_file(classifier, str(data), str(tmp_path / "out.csv"))

    told = json.loads((tmp_path / "out.csv.summary.json").read_text(encoding="utf-8"))
    run = told.pop("run")
    assert told == json.loads(json.dumps(summary.as_dict()))
    assert run["bytes"] == (tmp_path / "out.csv").stat().st_size
    assert run["identity"]["input"]["bytes"] == data.stat().st_size
    assert (told["read"], told["answered"], told["other"], told["rejected"]) == (16, 9, 4, 3)
    assert told["labels"] == {"yes": 6, "no": 3}
    assert told["reasons"] == {"ambiguous": 3, "unreadable": 1}
    assert told["other_share"]["value"] == pytest.approx(4 / 13)
    assert told["repeated"] == 3  # within a part of four rows
    assert (sum(told["probabilities"]["readable"]), sum(told["probabilities"]["answered"])) == (12, 9)
    assert told["promise"] is None
    assert told["speed"]["rows"] == 16


def test_the_same_counts_come_from_a_stream(classifier, tmp_path):
    data = tmp_path / "in.csv"
    data.write_text("id,text\n" + "1,sure\n2,sure\n3,hm\n4,no way\n5\n" * 3, encoding="utf-8")

    parts = predict_file(classifier, str(data), str(tmp_path / "out.csv")).as_dict()
    stream = predict_file(classifier, str(data), "/dev/null").as_dict()

    for name in ("speed", "rejects"):
        del parts[name], stream[name]
    assert parts == stream


def test_rejected_rows_have_their_place_in_the_file(classifier, tmp_path):
    data = tmp_path / "in.csv"
    data.write_text("id,text\n1,şöyle\n2\n3,sure\n4,5,6\n", encoding="utf-8")

    predict_file(classifier, str(data), str(tmp_path / "out.csv"))

    lines = (tmp_path / "out.csv.rejected.jsonl").read_text(encoding="utf-8").splitlines()
    for row in map(json.loads, lines):
        assert data.read_bytes()[row["byte"] :].startswith(row["raw"].encode())
    assert [json.loads(line)["line"] for line in lines] == [3, 5]


@pytest.mark.parametrize(("scale", "standing"), [(1.0, "believed"), (0.45, "below")])
def test_the_promise_is_judged_against_certify_rows(tmp_path, scale, standing):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(1500, 3)) * 4
    made = ew.calibrate(z, (z + rng.gumbel(size=z.shape)).argmax(axis=1), target_accuracy=0.85)
    np.save(tmp_path / "z.npy", rng.normal(size=(3000, 3)) * 4 * scale)

    found = predict_file(made, str(tmp_path / "z.npy"), str(tmp_path / "out.csv")).shift

    assert found.standing.value == standing
    assert found.expected_reasons is not None
    told = json.loads((tmp_path / "out.csv.summary.json").read_text(encoding="utf-8"))["promise"]
    assert told["sentence"] == found.sentence
    assert told["accuracy"]["low"] <= told["accuracy"]["value"] <= told["accuracy"]["high"]
