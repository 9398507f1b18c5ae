"""Any text, label or row that there can be: 10,000 texts through a small model, others through readers and writers."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import elsewise as ew
from elsewise.batch.predict import predict_file
from elsewise.data.formats import open_rows, open_writer
from elsewise.engines.memory import MemoryEngine
from elsewise.rules.decisions import Reason
from support.small_folders import classifier_of
from support.small_models import WORDS

BATCHES, TEXTS = 100, 100
ANYTHING = st.text(st.characters(exclude_categories=()), max_size=30)
PIECES = st.sampled_from([
    *WORDS, "[CLS]", "[PAD]", "[UNK]", "[MASK]",
    *(" ", "\n", "\r", "\t", ",", ";", '"', "'", "{", "\\", "\0", "\x1b[2J"),
    *("\ud83d", "\ude00", "\ufeff", "\ufffe", "\u202e", "\u2066", "\u200d", "\u0301", "\u2028", "\x85", "İ", "ı", "ß"),
    *("ﷺ", "👩🏽\u200d🚀", "هذا", "שלום", "ไทย", "한국어", "語", "\U0010ffff", "NA", "01", "=1+1", "<b>"),
])  # fmt: skip
BUILT = st.lists(PIECES, max_size=12).map("".join)
LONG = st.tuples(PIECES, st.integers(1, 3000)).map(lambda pair: pair[0] * pair[1])


def whole(text):
    """Join the two halves of a surrogate pair, as every JSON parser does: together they are one character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


ODD = st.one_of(ANYTHING, BUILT, LONG).map(whole)
every_batch = settings(derandomize=True, max_examples=BATCHES, deadline=None, database=None)


@st.composite
def batches(draw):
    """TEXTS odd texts: a few drawn whole, the others put together from two of them."""
    seeds = draw(st.lists(ODD, min_size=10, max_size=10))
    return [a if i == j else whole(a + b) for i, a in enumerate(seeds) for j, b in enumerate(seeds)]


@pytest.fixture(scope="module")
def classifier():
    return classifier_of()


@every_batch
@given(batches())
def test_no_text_raises_or_gets_a_probability_that_is_no_number(classifier, texts):
    assert len(texts) == TEXTS

    evidence = classifier.evidence(texts)
    decisions = classifier.decisions(evidence)

    is_read = decisions.reasons != Reason.UNREADABLE
    p = evidence.probabilities
    assert np.isfinite(p[is_read]).all()
    assert ((p[is_read] >= 0) & (p[is_read] <= 1)).all()
    assert np.allclose(p[is_read].sum(axis=1), 1)
    assert np.isnan(p[~is_read]).all()
    assert decisions.abstained[~is_read].all()


def lossless(text, suffix):
    """What a format can hold of a text: UTF-8 has no lone surrogates, and JSON has escapes for them."""
    return text if suffix == "jsonl" else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
@settings(derandomize=True, max_examples=BATCHES // 4, deadline=None, database=None)
@given(texts=batches())
def test_every_row_comes_out_once_as_it_went_in(classifier, suffix, texts):
    with TemporaryDirectory() as place:
        data, out = Path(place) / f"data.{suffix}", Path(place) / f"out.{suffix}"
        with open_writer(data, ("text", "label")) as writer:
            writer.write({"text": text, "label": other} for text, other in zip(texts, reversed(texts), strict=True))
        with data.open("ab") as file:
            file.write({"csv": b"one,two,three\n", "jsonl": b"nothing\n"}[suffix])

        done = predict_file(classifier, str(data), str(out))

        with open_rows(out) as rows:
            found = [row.cells for row in rows]
    assert done.read == len(texts) + 1 == done.answered + done.other + done.rejected
    assert done.rejected == 1
    kept = [lossless(text, suffix) for text in texts]
    assert [row["text"] for row in found] == kept
    assert [row["input_label"] for row in found] == kept[::-1]
    assert {row["abstained"] for row in found} <= {"true", "false"}


@pytest.mark.slow
@settings(derandomize=True, max_examples=50, deadline=None, database=None)
@given(labels=st.lists(ODD.filter(str.strip), min_size=2, max_size=40, unique=True))
def test_any_words_are_labels_and_come_back_from_folder_and_file(labels):
    engine = MemoryEngine(tuple(labels), {str(i): np.eye(len(labels))[i] * 9 for i in range(len(labels))})
    with TemporaryDirectory() as place:
        ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.5)).save(f"{place}/model")
        opened = ew.load(f"{place}/model")
        data = Path(place) / "data.jsonl"
        data.write_text("".join(json.dumps({"text": str(i)}) + "\n" for i in range(len(labels))), encoding="utf-8")

        for suffix in ("csv", "jsonl"):
            predict_file(opened, str(data), f"{place}/out.{suffix}")

        with open_rows(f"{place}/out.csv") as rows:
            in_csv = [row.cells["label"] for row in rows]
        in_json = [json.loads(line)["label"] for line in Path(place, "out.jsonl").read_bytes().split(b"\n")[:-1]]
    assert opened.labels == tuple(labels)
    assert in_csv == [lossless(label, "csv") for label in labels]
    assert in_json == labels
