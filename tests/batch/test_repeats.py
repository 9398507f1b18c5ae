"""Texts that come again are answered once, across chunks too, and nothing else changes."""

import io
import json
from typing import ClassVar

import numpy as np
import pytest

import elsewise as ew
from elsewise.batch import run, source
from elsewise.batch.predict import predict_file
from elsewise.engines.memory import MemoryEngine
from support.running import run as command

LABELS = ("yes", "no", "maybe")


class Asked:
    """Texts that an engine was asked about."""

    texts: ClassVar[list] = []


@pytest.fixture(autouse=True)
def short_parts(monkeypatch):
    monkeypatch.setattr(source, "CHUNK_ROWS", 50)
    answer = MemoryEngine.run

    def noted(self, texts):
        Asked.texts += [] if list(texts) == self.canaries else texts
        return answer(self, texts)

    monkeypatch.setattr(MemoryEngine, "run", noted)
    Asked.texts.clear()


@pytest.fixture
def here(tmp_path):
    """1,000 rows of 100 texts, some of them bad, long or strange."""
    rng = np.random.default_rng(0)
    known = [f"text {i}" for i in range(95)] + ["", "unknown", "x" * 2500, "Şişli", "\u200b"]
    table = {text: rng.normal(size=3).tolist() for text in known if text not in ("unknown", "")}
    lines = [json.dumps({"id": n, "text": str(rng.choice(known))} if n % 30 != 29 else {"id": n}) for n in range(1000)]
    (tmp_path / "in.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return ew.Classifier(MemoryEngine(LABELS, table), ew.Identity(), ew.FixedThreshold(0.6)), tmp_path


def predict(classifier, here, out="out.csv"):
    summary = predict_file(
        classifier, str(here / "in.jsonl"), str(here / out), top=2, probabilities=True, sentences="en"
    )
    return summary, (here / out).read_bytes()


def test_a_text_is_asked_about_once(here):
    classifier, place = here

    summary, _ = predict(classifier, place)

    once = [text for text in Asked.texts if len(text) < 2000]
    assert len(once) == len(set(once)) == 99
    assert 1 < Asked.texts.count("x" * 2500) <= 20  # a long text is not remembered from chunk to chunk
    assert summary.read == 1000


@pytest.mark.slow
@pytest.mark.parametrize("most", [0, 1, 7, 60])
def test_little_memory_gives_the_same_bytes(here, most, monkeypatch):
    classifier, place = here
    summary, whole = predict(classifier, place)
    asked = len(Asked.texts)
    monkeypatch.setattr(run, "MOST_TEXTS", most)

    again, same = predict(classifier, place, "again.csv")
    assert len(Asked.texts) > 2 * asked
    monkeypatch.setattr(run, "seen_by", lambda *_: None)
    without, plain = predict(classifier, place, "plain.csv")

    assert whole == same == plain
    assert summary.tally == again.tally == without.tally


def test_an_engine_of_your_own_is_asked_about_every_row(here):
    class Model:
        labels = LABELS

        def run(self, texts):
            Asked.texts.extend(texts)
            return ew.Outputs(np.zeros((len(texts), 3)))

    _, place = here

    predict_file(
        ew.Classifier(Model(), ew.Identity(), ew.FixedThreshold(0.2)), str(place / "in.jsonl"), str(place / "o.csv")
    )

    assert len(Asked.texts) > 900


def test_progress_goes_to_programs_as_lines_of_json(here):
    _, place = here
    engine = MemoryEngine(LABELS, {"text 1": [4.0, 0.0, 0.0]})
    ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.6)).save(place / "model")

    done = command("predict", "model", "in.jsonl", "-o", "out.csv", "--progress", "json", folder=place)
    wrong = command("predict", "model", "in.jsonl", "-o", "o.csv", "--progress", "xml", folder=place)

    told = [json.loads(line) for line in io.StringIO(done.stderr) if line.startswith("{")]
    assert [line["done"] for line in told] == list(range(50, 1001, 50))
    assert {line["total"] for line in told} == {1000}
    assert told[-1]["rows_per_second"] > 0
    assert told[-1]["seconds_left"] == 0
    assert 0.9 < told[-1]["other_share"] < 1
    assert wrong.stderr == "elsewise: --progress xml: name bar or json\n"
