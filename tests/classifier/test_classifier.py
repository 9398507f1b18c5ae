"""A classifier as people use it: columns in, decisions out one by one or as columns, and scikit-learn's names."""

import re

import numpy as np
import pytest

import elsewise as ew
from elsewise.engines.logits import LogitsEngine
from elsewise.engines.memory import MemoryEngine
from elsewise.errors import ElsewiseWarning, InputError

NAN = float("nan")
TABLE = {"sure": [4.0, 0.0], "hm": [0.1, 0.0], "not so": [0.0, 3.0]}
TEXTS = ["sure", None, "hm", "not so", NAN]


@pytest.fixture
def classifier():
    engine = MemoryEngine(("yes", "no"), TABLE, default=[9.0, 0.0])
    return ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.6))


def columns_of(name):
    """The same texts in a column of a library that is installed, and a table that holds the column."""
    library = pytest.importorskip(name)
    if name == "pandas":
        frame = library.DataFrame({"text": TEXTS, "id": range(5)}, index=list("vwxyz"))
        return frame["text"], frame
    table = library.table({"text": ["sure", None, "hm", "not so", None], "id": list(range(5))})
    return table["text"], table


@pytest.mark.parametrize("name", ["pandas", "pyarrow"])
def test_a_column_of_a_table_is_answered_and_the_table_is_refused(classifier, name):
    column, table = columns_of(name)

    assert classifier.decide(column).labels == ["yes", "Other", "Other", "no", "Other"]
    kind = type(table).__name__
    words = f"texts must be one column, got a {kind} of 'text', 'id'; pass one of them, as in frame['text']"
    for ask in (classifier.decide, classifier.predict, classifier.predict_proba, classifier.engine.run):
        with pytest.raises(InputError, match=f"^{re.escape(words)}$"):
            ask(table)
    with pytest.raises(InputError, match=f"^{re.escape(words)}$"):
        ew.evaluate(classifier, table, ["yes"] * 5)
    with pytest.raises(InputError, match=f"^{re.escape(words)}$"):
        ew.compare(classifier, classifier, table, ["yes"] * 5)
    with pytest.raises(InputError, match=f"^labels {re.escape(words[6:])}$"):
        ew.evaluate(classifier, TEXTS, table)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"texts": {"text": TEXTS}}, "texts must be one column, got a dict of 'text'"),
        ({"labels": {"label": TEXTS}}, "labels must be one column, got a dict of 'label'"),
        ({"groups": {"who": TEXTS}}, "groups must be one column, got a dict of 'who'"),
        ({"times": {"when": TEXTS}}, "times must be one column, got a dict of 'when'"),
        (
            {"held_out": {"text": TEXTS, "label": TEXTS}},
            "held_out must be a pair, as in (frame['text'], frame['label'])",
        ),
        ({"test": [("a", "yes")] * 5}, "test must be a pair, as in (frame['text'], frame['label']), got list"),
    ],
)
def test_fit_takes_columns_and_no_tables(classifier, given, words):
    rows = {"texts": ["a", "b"], "labels": ["yes", "no"], **given}

    with pytest.raises(InputError, match=f"^{re.escape(words)}"):
        ew.fit(**rows, engine=classifier.engine)


def test_missing_texts_are_unreadable_wherever_texts_are_taken(classifier):
    decisions = classifier.decide(TEXTS)
    judged = ew.evaluate(classifier, TEXTS, ["yes", "yes", "yes", "no", "no"])

    assert decisions.reasons.tolist() == ["answered", "unreadable", "ambiguous", "answered", "unreadable"]
    assert np.isnan(classifier.predict_proba(TEXTS)).all(axis=1).tolist() == [False, True, False, False, True]
    assert judged.rows.unreadable == 2
    assert ew.compare(classifier, classifier, TEXTS, ["yes"] * 5).models["a"].rows.unreadable == 2


def test_fit_names_the_rows_of_missing_texts():
    known = {f"text {i}": [4.0, 0.0] if i % 2 else [0.0, 4.0] for i in range(1200)}
    texts, labels = list(known), ["no" if i % 2 == 0 or i % 99 == 0 else "yes" for i in range(1200)]
    texts[3], texts[700] = None, NAN
    words = r"^2 rows with a blank text, which teaches nothing and is always Other \(rows 3, 700, counted from 0\); "

    with pytest.warns(ElsewiseWarning, match=words):
        made = ew.fit(texts, labels, engine=MemoryEngine(("yes", "no"), known))

    assert made.certificate.certified


def test_predict_says_other_where_decide_does_and_proba_has_a_column_a_class(classifier):
    texts = ["sure", "hm", "not so"]

    p = classifier.predict_proba(texts)

    assert classifier.classes_.tolist() == ["yes", "no"]
    assert classifier.predict(texts).tolist() == ["yes", "Other", "no"] == classifier.decide(texts).labels
    assert classifier.classes_[p.argmax(axis=1)].tolist() == ["yes", "yes", "no"]
    assert classifier.decide(texts).columns["best_label"] == ["yes", "yes", "no"]
    assert p == pytest.approx(ew.softmax([TABLE[text] for text in texts]))
    assert classifier.predict([]).shape == (0,)
    assert classifier.predict_proba([]).shape == (0, 2)


def test_scikit_learn_counts_an_abstention_as_wrong(classifier):
    metrics = pytest.importorskip("sklearn.metrics")
    texts, truth = ["sure", "hm", "not so"], ["yes", "yes", "no"]

    assert metrics.accuracy_score(truth, classifier.predict(texts)) == pytest.approx(2 / 3)
    assert metrics.log_loss(truth, classifier.predict_proba(texts)[:, ::-1], labels=["no", "yes"]) < 0.5


def test_a_classifier_of_logits_has_the_same_names():
    classifier = ew.Classifier(LogitsEngine(("yes", "no")), ew.Identity(), ew.FixedThreshold(0.6))
    z = [[4.0, 0.0], [NAN, 0.0]]

    assert classifier.predict(z).tolist() == ["yes", "Other"]
    assert classifier.decide(iter(z)).texts is None
    with pytest.raises(InputError, match=r"^texts must be a list or an array, got str$"):
        classifier.predict("sure")


def test_a_frame_of_decisions_keeps_texts_index_and_the_columns_of_an_answers_file(classifier):
    pytest.importorskip("pandas")
    from elsewise.batch.answers import COLUMNS

    column, frame = columns_of("pandas")
    decided = classifier.decide(column)

    made = decided.to_frame()

    assert made.columns.tolist() == ["text", *COLUMNS]
    assert made.index.tolist() == frame.index.tolist()
    assert made["label"].tolist() == decided.labels
    assert made["confidence"].isna().tolist() == [False, True, False, False, True]
    assert decided[1:3].to_frame().index.tolist() == ["w", "x"]
    assert decided[decided.abstained].to_frame()["text"].isna().tolist() == [True, False, True]
    assert frame.join(made.drop(columns="text")).loc["y", "label"] == "no"
    assert classifier.decide(["hm"]).to_frame()["text"].tolist() == ["hm"]
    assert ew.FixedThreshold(0.6)([[0.9, 0.1]]).to_frame().columns.tolist() == list(COLUMNS)


def test_an_evaluation_takes_its_slices_from_a_frame(classifier):
    column, frame = columns_of("pandas")

    judged = ew.evaluate(classifier, column, ["yes"] * 5, slices=frame[["id"]])

    assert len(judged.slices["id"]) == 5


def test_a_frame_needs_pandas_and_says_so(classifier, monkeypatch):
    import sys

    from elsewise.errors import MissingExtra

    monkeypatch.setitem(sys.modules, "pandas", None)

    with pytest.raises(MissingExtra, match=r"^pandas is not installed; run: pip install pandas$"):
        classifier.decide(["hm"]).to_frame()


def test_a_field_that_no_provenance_has_is_refused(classifier):
    with pytest.raises(TypeError, match=r"'evaluations'; did you mean evaluation\?$"):
        classifier.with_provenance(evaluations={})


def test_what_is_shown_of_a_result_is_a_line_and_printed_a_page(classifier):
    from elsewise.data import check
    from elsewise.evaluation import explain

    judged = ew.evaluate(classifier, ["sure", "hm", "not so", ""], ["yes", "yes", "yes", "no"])
    compared = ew.compare(classifier, classifier, ["sure", "hm"], ["yes", "no"])
    found = check(["where is it", "my money", "a refund"], ["delivery", "refund", "Refund"])

    assert repr(judged) == "Evaluation(rows=4, accuracy=0.6667, coverage=0.5000, accuracy_when_answered=0.5000)"
    assert repr(compared) == f"Comparison({compared.verdict!r})"
    counts = [len(found.of_level(level)) for level in ("warning", "note")]
    assert repr(found) == "Findings(errors=0, warnings={}, notes={})".format(*counts)
    assert str(found).startswith("warning: one label in 2 spellings: 'Refund' (1 row), 'refund' (1 row); if they")
    assert len(repr(explain(classifier, "hm"))) < 400
