"""The estimator of scikit-learn: labels as they came, Other only when asked for, in the tools of scikit-learn."""

import numpy as np
import pytest

from elsewise.data.sample import OUT_OF_SCOPE, support_texts
from elsewise.errors import InputError

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from elsewise.sklearn import ElsewiseClassifier

pytestmark = pytest.mark.filterwarnings("ignore::elsewise.errors.ElsewiseWarning")  # of few rows
ROWS = support_texts(rows=900)
MORE = [row for row in support_texts(5, 4000) if row.label in ("refund", "late_delivery", "change_address")]
TEXTS, LABELS = [row.text for row in MORE], np.array([row.label for row in MORE])


def small(**settings):
    return ElsewiseClassifier(
        make_pipeline(TfidfVectorizer(), LogisticRegression(C=10)), **{"target_accuracy": 0.8, **settings}
    )


@pytest.fixture(scope="module")
def fitted():
    return small().fit(TEXTS, LABELS)


def test_it_always_says_a_label_unless_it_may_abstain(fitted):
    asked = ["I want my money back", "", None, "qwzx"]

    assert set(fitted.predict(asked)) <= set(LABELS)
    said = clone(fitted).set_params(abstain=True).fit(TEXTS, LABELS).predict(asked)
    assert said.tolist() == fitted.decide(asked).labels
    assert said.tolist() == ["refund", "Other", "Other", "Other"]


def test_probabilities_stand_in_the_order_of_the_classes_and_fit_the_labels(fitted):
    p = fitted.predict_proba(TEXTS[:50])

    assert fitted.classes_.tolist() == sorted(set(LABELS))
    assert np.abs(p.sum(axis=1) - 1).max() < 1e-6
    assert (fitted.classes_[p.argmax(axis=1)] == fitted.predict(TEXTS[:50])).all()
    assert (fitted.decision_function(TEXTS[:50]).argmax(axis=1) == p.argmax(axis=1)).all()
    assert fitted.score(TEXTS, LABELS) > 0.9


def test_a_text_that_cannot_be_read_gets_the_frequencies_of_the_labels(fitted):
    shares = [np.mean(label == LABELS) for label in fitted.classes_]

    assert np.allclose(fitted.predict_proba(["", None]), [shares, shares])
    assert fitted.predict([""])[0] == fitted.classes_[np.argmax(shares)]


@pytest.mark.parametrize(
    ("names", "kind"),
    [([10, 9, 2], np.integer), ([2.0, 0.0, 1.0], np.floating), (["c", "b", "a"], str), ([True, False, True], np.bool_)],
)
def test_labels_come_back_as_they_came(names, kind):
    """Ten sorts after nine: a number is no word."""
    known = dict(zip(sorted(set(LABELS)), names, strict=True))
    y = np.array([known[label] for label in LABELS])

    model = small().fit(TEXTS, y)

    assert model.classes_.tolist() == sorted(set(names))
    assert isinstance(model.predict(TEXTS[:1])[0], kind)
    assert (model.predict(TEXTS) == y).mean() > 0.9
    assert (model.set_params(abstain=True).predict(TEXTS) == y.astype(object)).mean() > 0.8


def test_two_classes_have_the_log_odds_of_the_second_as_their_decision_function():
    chosen = np.flatnonzero(LABELS != "refund")
    texts, y = [TEXTS[row] for row in chosen], LABELS[chosen]
    model = small().fit(texts, y)

    p = model.predict_proba(texts[:9])

    assert np.allclose(model.decision_function(texts[:9]), np.log(p[:, 1] / p[:, 0]))


def test_out_of_scope_rows_are_no_class():
    inside = {"refund", "late_delivery", "change_address", OUT_OF_SCOPE}
    rows = [row for row in support_texts(5, 4000) if row.label in inside]
    model = small(out_of_scope_label=OUT_OF_SCOPE, target_accuracy=0.6)

    model.fit([row.text for row in rows], [row.label for row in rows])

    assert model.classes_.tolist() == sorted(inside - {OUT_OF_SCOPE})
    assert model.classifier_.out_of_scope_label == OUT_OF_SCOPE
    assert OUT_OF_SCOPE not in model.estimator_.classes_


@pytest.mark.slow
def test_it_stands_at_the_end_of_a_pipeline_and_is_searched_and_cross_validated():
    pipeline = make_pipeline(FunctionTransformer(lambda texts: [text.lower() for text in texts]), small())
    search = GridSearchCV(pipeline, {"elsewiseclassifier__estimator__logisticregression__C": [0.001, 10.0]}, cv=2)

    search.fit(TEXTS, LABELS)
    said = cross_val_predict(pipeline, TEXTS, LABELS, cv=2)
    p = cross_val_predict(pipeline, TEXTS, LABELS, cv=2, method="predict_proba")

    assert search.best_params_ == {"elsewiseclassifier__estimator__logisticregression__C": 10.0}
    assert (said == LABELS).mean() > 0.85
    assert p.shape == (len(TEXTS), 3)
    assert cross_val_score(pipeline, TEXTS, LABELS, cv=2, scoring="neg_log_loss").min() > -0.5


def test_whole_groups_are_held_out():
    groups = [f"customer {row // 7}" for row in range(len(TEXTS))]

    model = small().fit(TEXTS, LABELS, groups=groups)

    assert model.classifier_.certificate.rows < len(set(groups))
    assert "groups" in model.classifier_.certificate.sentence


def test_a_column_of_a_frame_and_an_array_of_one_column_are_texts(fitted):
    pd = pytest.importorskip("pandas")
    expected = fitted.predict(TEXTS[:5]).tolist()

    for given in (pd.Series(TEXTS[:5]), pd.DataFrame({"text": TEXTS[:5]}), np.array(TEXTS[:5], object)[:, None]):
        assert fitted.predict(given).tolist() == expected


def test_an_encoder_is_trained_where_no_estimator_is_given(tiny_encoder):
    rows = [row for row in ROWS if row.label != OUT_OF_SCOPE]
    model = ElsewiseClassifier(encoder=str(tiny_encoder), target_accuracy=0.6, quick=True, precision="f32")

    model.fit([row.text for row in rows], [row.label for row in rows])

    assert model.score([row.text for row in rows], [row.label for row in rows]) > 0.8
    assert model.classifier_.provenance.record["training"]["quick"] is True
    assert "estimator_" not in vars(model)


def test_parameters_are_those_of_the_constructor_and_are_cloned():
    model = small(abstain=True, other="Diğer")

    copy = clone(model)

    assert copy.get_params()["other"] == "Diğer"
    assert copy.get_params()["estimator__logisticregression__C"] == 10
    assert copy.estimator is not model.estimator


@pytest.mark.parametrize(
    ("change", "given", "words"),
    [
        ({"epochs": 3}, (TEXTS, LABELS), r"^epochs is about training an encoder, and an estimator was given"),
        ({}, (TEXTS[:5], LABELS[:4]), r"^X and y must have equal lengths, got 5 and 4$"),
        ({}, (TEXTS, ["a"] * len(TEXTS)), r"^at least 2 classes are needed to tell texts apart, got only one class$"),
        ({}, (TEXTS, None), r"requires y to be passed, but the target y is None"),
        ({}, (np.zeros((5, 2)), LABELS[:5]), r"^texts must be one column, got an array of shape \(5, 2\)$"),
        ({}, ([1, 2], LABELS[:2]), r"^texts must be strings, got int in row 0$"),
    ],
)
def test_what_does_not_fit_is_refused(change, given, words):
    with pytest.raises(InputError, match=words):
        small(**change).fit(*given)


def test_it_says_when_it_is_not_fitted():
    with pytest.raises(NotFittedError, match="This ElsewiseClassifier instance is not fitted yet"):
        small().predict(["x"])
