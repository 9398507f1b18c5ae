"""A step of a batch is pure: chunks in, answers and counts out, in any order."""

import numpy as np
import pytest

import elsewise as ew
from elsewise.batch.answers import Ledger, MoreColumns, answered
from elsewise.batch.source import CHUNK_CHARACTERS, CHUNK_ROWS, Chunk, chunks
from elsewise.batch.summary import Summary
from elsewise.data.rows import Row
from elsewise.engines.memory import MemoryEngine

TABLE = {"sure": [4.0, 0.0], "hm": [0.1, 0.0], "no way": [0.0, 5.0]}
BAD = Row(9, 9, {}, "has 3 fields, the header has 2", "a,b,c")


@pytest.fixture
def classifier():
    return ew.Classifier(MemoryEngine(("yes", "no"), TABLE), ew.Identity(), ew.FixedThreshold(0.6))


def chunk_of(*texts, rejected=()):
    rows = tuple(Row(n, n, {"text": text}, None, text) for n, text in enumerate(texts, start=1))
    return Chunk(rows, list(texts), tuple(rejected))


def test_a_chunk_is_answered_alike_however_often(classifier):
    chunk = chunk_of("sure", "hm", "?", rejected=[BAD])
    more = MoreColumns(top=1, probabilities=True, sentences="en")

    first, again = answered(classifier, chunk, more), answered(classifier, chunk, more)

    rows = list(first.rows)
    assert first.totals == again.totals
    assert first.totals.ledger == Ledger(1, 2, 1, {"ambiguous": 1, "unreadable": 1})
    assert repr(rows) == repr(list(first.rows)) == repr(list(again.rows))
    assert [row["label"] for row in rows] == ["yes", "Other", "Other"]
    assert [row["label_1"] for row in rows] == ["yes", "yes", ""]
    assert list(rows[0])[-len(more.names(classifier.labels)) :] == [
        *("label_1", "probability_1", "p_yes", "p_no", "sentence", "customer_sentence")
    ]


def test_a_chunk_of_rejected_rows_alone_asks_no_engine():
    done = answered(None, chunk_of(rejected=[BAD, BAD]), MoreColumns())

    assert list(done.rows) == []
    assert done.totals.ledger == Ledger(rejected=2)


def test_ledgers_add_up_in_any_order():
    parts = [Ledger(2, 1, 0, {"ambiguous": 1}), Ledger(0, 3, 1, {"ambiguous": 1, "unreadable": 2}), Ledger(rejected=4)]

    there, back = (sum(order, start=Ledger()) for order in (parts, parts[::-1]))

    assert there == back == Ledger(2, 4, 5, {"ambiguous": 2, "unreadable": 2})
    assert there.read == 11


def test_a_summary_says_all_rows_first():
    summary = Summary(2, 1, 1, {"ambiguous": 1}, "out.csv.rejected.jsonl", ("encoding utf-8",))

    assert list(summary.as_dict())[:7] == ["read", "answered", "other", "rejected", "reasons", "rejects", "notes"]
    assert summary.as_dict()["read"] == 4


@pytest.mark.parametrize(("length", "sizes"), [(1, [CHUNK_ROWS, 2]), (CHUNK_CHARACTERS, [1, 1, 1])])
def test_a_chunk_ends_at_its_rows_or_its_characters(length, sizes):
    rows = CHUNK_ROWS + 2 if length == 1 else 3
    raw = "x" * length
    items = ((Row(n, n, {}, BAD.problem if n == 1 else None, raw), n) for n in range(1, rows + 1))

    cut = list(chunks(items, np.array))

    assert [len(chunk.rows) + len(chunk.rejected) for chunk in cut] == sizes
    assert np.concatenate([chunk.prepared for chunk in cut]).tolist() == list(range(2, rows + 1))
    assert [row.number for row in cut[0].rejected] == [1]
