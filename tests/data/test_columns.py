"""Columns of every library, and generators, go in wherever a list of texts or of labels does."""

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest

import elsewise as ew
from elsewise.arrays import as_column, as_texts, label_words
from elsewise.data.checks import check
from elsewise.engines.memory import MemoryEngine
from elsewise.errors import InputError

KNOWN = {f"text {i}": [0.0, 3.0] if (i + (i % 40 == 9)) % 2 else [3.0, 0.0] for i in range(900)}
TEXTS = [*KNOWN][:8]
HOLED = [*TEXTS[:3], None, *TEXTS[3:]]
LABELS = [("even", "odd")[i % 2] for i in range(900)]


def pandas(dtype):
    def of(values):
        pd = pytest.importorskip("pandas")
        if dtype == "arrow":
            pytest.importorskip("pyarrow")
        kinds = {"arrow": "string[pyarrow]", "unused": pd.CategoricalDtype([*KNOWN, "unused", "odd", "even"])}
        return pd.Series(list(values), dtype=kinds.get(dtype, dtype), index=np.arange(len(values)) + 7)

    return of


def polars(**kind):
    return lambda values: pytest.importorskip("polars").Series(list(values), **kind)


def arrow(make):
    return lambda values: make(pytest.importorskip("pyarrow"), list(values))


def hub(get):
    def of(values):
        return get(pytest.importorskip("datasets").Dataset.from_dict({"x": list(values)}))

    return of


COLUMNS = {
    "list": list,
    "generator": lambda values: (value for value in values),
    "numpy": lambda values: np.array(values, dtype=object),
    "pandas object": pandas("object"),
    "pandas string": pandas("str"),
    "pandas categorical": pandas("category"),
    "pandas categorical with unused levels": pandas("unused"),
    "pandas of arrow": pandas("arrow"),
    "polars": polars(),
    "pyarrow array": arrow(lambda pa, values: pa.array(values)),
    "pyarrow column": arrow(lambda pa, values: pa.table({"x": values})["x"]),
    "pyarrow dictionary": arrow(lambda pa, values: pa.array(values).dictionary_encode()),
    "dataset": hub(lambda rows: rows["x"]),
    "dataset as numpy": hub(lambda rows: rows.with_format("numpy")["x"]),
    "streamed dataset": hub(lambda rows: (row["x"] for row in rows.to_iterable_dataset())),
}


@pytest.fixture(scope="module")
def classifier():
    engine = MemoryEngine(("even", "odd"), KNOWN)
    return ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.6))


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_missing_text_is_unreadable_and_the_others_are_read(kind, classifier):
    decisions = classifier.decide(COLUMNS[kind](HOLED))

    assert as_texts(COLUMNS[kind](HOLED)) == [text or "" for text in HOLED]
    assert decisions.reasons[3] == "unreadable"
    assert decisions.labels[:3] + decisions.labels[4:] == classifier.decide(TEXTS).labels
    if importlib.util.find_spec("pandas"):
        texts = decisions.to_frame()["text"]
        assert [as_texts([text])[0] for text in texts] == [text or "" for text in HOLED]


@pytest.mark.parametrize("kind", COLUMNS)
def test_every_door_takes_it(kind, classifier):
    column, texts = COLUMNS[kind], [*KNOWN]

    judged = ew.evaluate(classifier, column(texts), column(LABELS), slices={"half": column(LABELS)})
    compared = ew.compare(classifier, classifier, column(texts), column(LABELS))
    fitted = ew.fit(column(texts), column(LABELS), engine=classifier.engine, groups=column(texts))
    found = check(column(texts), column(LABELS), encoder="nobody/nothing")
    array = ew.wrap(np.array([*KNOWN.values()]), texts=column(texts), labels=("even", "odd"), kind="logits")

    assert judged.rows.in_scope == compared.rows.compared == 900
    assert {row.value for row in judged.slices["half"]} == {"even", "odd"}
    assert fitted.labels == ("even", "odd")
    assert fitted.certificate.rows == 450
    assert [row.label for row in found.labels] == ["even", "odd"]
    assert (array.run(column(TEXTS)).logits == classifier.engine.run(TEXTS).logits).all()
    assert classifier.predict(column(TEXTS)).tolist() == classifier.decide(TEXTS).labels
    assert (classifier.predict_proba(column(TEXTS)) == classifier.probabilities(TEXTS)).all()


@pytest.mark.parametrize("kind", COLUMNS)
def test_labels_that_are_whole_numbers_are_words(kind):
    values = [2, 10, 2] if "pandas" not in kind or "cat" in kind else ["2", "10", "2"]
    if "unused" in kind:
        values = ["odd", "even", "odd"]

    assert label_words(COLUMNS[kind](values)) == [str(value) for value in values]


def test_a_frame_with_repeated_column_names_is_refused_and_says_which():
    """Its syntax for one column gives both."""
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame([["a", "b", "c"]], columns=["text", "label", "text"])

    words = r"^texts must be one column, and several of a DataFrame of 'text', 'text' are called 'text'; rename them$"
    with pytest.raises(InputError, match=words):
        as_texts(frame["text"])
    with pytest.raises(InputError, match="are called 'text'; rename them"):
        as_texts(frame)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: pytest.importorskip("polars").DataFrame({"x": ["a"]}), r"a DataFrame of 'x'; .* frame\['x'\]$"),
        (lambda: pytest.importorskip("polars").LazyFrame({"x": ["a"]}), r"a LazyFrame of 'x'; .* frame\.collect\(\)\["),
        (lambda: pytest.importorskip("pyarrow").table({"x": ["a"]}), r"a Table of 'x'; .* frame\['x'\]$"),
        (lambda: hub(lambda rows: rows)(["a"]), r"a Dataset of 'x'; .* frame\['x'\]$"),
        (lambda: SimpleNamespace(columns=["x"]), r"a SimpleNamespace of 'x'"),
    ],
)  # fmt: skip
def test_a_whole_frame_is_refused_with_the_syntax_of_one_column(make, words):
    with pytest.raises(InputError, match=rf"^texts must be one column, got {words}"):
        as_column(make(), "texts")
