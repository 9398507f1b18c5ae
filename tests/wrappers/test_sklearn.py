"""scikit-learn classifiers and pipelines: their columns follow the labels, or the labels are refused."""

import numpy as np
import pytest

import elsewise as ew
from elsewise.errors import InputError

pytest.importorskip("sklearn")
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC, LinearSVC

TEXTS = [f"{word} number {i}" for i in range(20) for word in ("refund money", "parcel late", "hello you")]
LABELS = ["money", "delivery", "greeting"] * 20


def fitted(classifier, labels=LABELS):
    return make_pipeline(TfidfVectorizer(), classifier).fit(TEXTS, labels)


def test_a_pipeline_brings_its_labels_and_its_probabilities():
    pipeline = fitted(LogisticRegression())

    engine = ew.wrap(pipeline)

    assert engine.labels == ("delivery", "greeting", "money")
    assert np.abs(ew.softmax(engine.run(TEXTS).logits) - pipeline.predict_proba(TEXTS)).max() < 1e-9


def test_columns_follow_the_labels_in_any_order():
    pipeline = fitted(LogisticRegression())

    engine = ew.wrap(pipeline, labels=["money", "delivery", "greeting"])

    assert engine.labels == ("money", "delivery", "greeting")
    assert [engine.labels[code] for code in engine.run(TEXTS).logits.argmax(axis=1)] == LABELS


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["money", "delivery"], r"^labels= lacks 'greeting': the model has 'delivery', 'greeting', 'money'$"),
        (["money", "delivery", "greeting", "x"], r"^labels= adds 'x': the model has"),
        (["money", "delivery", "Greeting"], r"^labels= lacks 'greeting' and adds 'Greeting'"),
    ],
)
def test_labels_that_the_model_does_not_have_are_refused(labels, words):
    with pytest.raises(InputError, match=words):
        ew.wrap(fitted(LogisticRegression()), labels=labels)


def test_a_classifier_without_probabilities_gives_its_decision_function():
    pipeline = fitted(LinearSVC())

    engine = ew.wrap(pipeline)

    assert engine.kind == "logits"
    assert np.allclose(engine.run(TEXTS).logits, pipeline.decision_function(TEXTS))


@pytest.mark.parametrize("labels", [["no", "yes"], ["yes", "no"]])
def test_a_decision_function_of_two_labels_is_the_second_classes(labels):
    pipeline = fitted(LinearSVC(), ["yes", "no", "no"] * 20)

    engine = ew.wrap(pipeline, labels=labels)

    assert [engine.labels[code] for code in engine.run(TEXTS).logits.argmax(axis=1)] == ["yes", "no", "no"] * 20


def test_logits_can_be_asked_for():
    pipeline = fitted(LogisticRegression())

    engine = ew.wrap(pipeline, kind="logits")

    assert np.abs(ew.softmax(engine.run(TEXTS).logits) - pipeline.predict_proba(TEXTS)).max() < 1e-9


def test_labels_of_numbers_come_as_words():
    assert ew.wrap(fitted(LogisticRegression(), [2, 1, 10] * 20)).labels == ("1", "2", "10")


def test_probabilities_of_zero_stay_finite():
    engine = ew.wrap(fitted(RandomForestClassifier(5, random_state=0)))

    assert np.isfinite(engine.run(TEXTS).logits).all()


def test_a_classifier_of_no_library_that_looks_like_one_is_taken():
    class Own:
        classes_ = np.array(["a", "b"])

        def predict_proba(self, texts):
            return np.tile([0.2, 0.8], (len(texts), 1))

    assert ew.softmax(ew.wrap(Own()).run(["x"]).logits).round(6).tolist() == [[0.2, 0.8]]


@pytest.mark.parametrize("around", [lambda machine: machine, lambda machine: GridSearchCV(machine, {"C": [1.0, 2.0]})])
def test_a_column_for_each_pair_of_labels_is_refused_where_it_looks_like_one_a_label(around):
    """Three labels have three pairs."""
    with pytest.raises(InputError, match=r"a column for each pair of labels; set decision_function_shape='ovr'"):
        ew.wrap(fitted(around(SVC(decision_function_shape="ovo"))))

    pipeline = fitted(around(SVC(decision_function_shape="ovr")))
    engine = ew.wrap(pipeline)
    best = np.array(engine.labels)[engine.run(TEXTS).logits.argmax(axis=1)]
    assert best.tolist() == pipeline.predict(TEXTS).tolist()


def test_a_sigmoid_for_each_label_is_handled_on_request():
    """The labels of a text exclude each other, and the model was fitted as if they did not."""
    pipeline = fitted(OneVsRestClassifier(LogisticRegression()), np.eye(3, dtype=int)[[0, 1, 2] * 20])

    with pytest.raises(InputError, match=r"if they are a sigmoid for each label, say kind='sigmoid'"):
        ew.wrap(pipeline)
    logits = ew.wrap(pipeline, kind="sigmoid").run(TEXTS).logits
    assert np.abs(1 / (1 + np.exp(-logits)) - pipeline.predict_proba(TEXTS)).max() < 1e-9


@pytest.mark.parametrize(
    ("model", "more", "words"),
    [
        (LogisticRegression(), {}, r"LogisticRegression has no classes_: fit it first, or pass a classifier"),
        (TfidfVectorizer(), {}, r"TfidfVectorizer has no classes_"),
        (None, {"kind": "probabilities"}, r"Pipeline gives no probabilities: it has no predict_proba"),
        (None, {"kind": "sigmoid"}, r"Pipeline gives no sigmoid: it has no predict_proba"),
    ],
)
def test_what_gives_no_such_numbers_is_refused(model, more, words):
    with pytest.raises(InputError, match=words):
        ew.wrap(model or fitted(LinearSVC()), **more)
