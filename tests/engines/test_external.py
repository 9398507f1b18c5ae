"""An engine around a model that its user holds."""

import numpy as np
import pytest

import elsewise as ew
from elsewise.engines import as_engine, given_engine, prepared, quick_run
from elsewise.engines.external import ExternalEngine
from elsewise.engines.memory import MemoryEngine
from elsewise.errors import InputError
from elsewise.outputs import Outputs


class Model:
    labels = ("yes", "no")

    def __init__(self, answer):
        self.answer = answer

    def run(self, texts):
        return self.answer(texts)


def numbers(texts, k=2):
    return np.arange(len(texts) * k, dtype=np.float32).reshape(-1, k)


def test_texts_with_nothing_to_see_never_reach_the_model():
    asked = []
    engine = ExternalEngine.around(Model(lambda texts: asked.extend(texts) or Outputs(numbers(texts), numbers(texts))))

    outputs = engine.run(["a", " ", "b", "\u200b"])

    assert asked == ["a", "b"]
    assert np.isnan(outputs.logits[[1, 3]]).all()
    assert outputs.logits[[0, 2]].tolist() == [[0, 1], [2, 3]]
    assert outputs.features[2].tolist() == [2, 3]


def test_blank_texts_alone_have_features_as_wide_as_others():
    engine = ExternalEngine.around(Model(lambda texts: Outputs(numbers(texts), numbers(texts, 5))))

    outputs = engine.run([" ", ""])

    assert outputs.features.shape == (2, 5)
    assert np.isnan(outputs.logits).all()


def test_a_row_that_is_not_finite_is_unreadable():
    rows = np.array([[1.0, np.nan], [np.inf, 1.0], [1.0, 2.0], [1.0, -np.inf]])
    logits = ExternalEngine.around(Model(lambda texts: Outputs(rows))).run(["a", "b", "c", "d"]).logits

    assert np.isnan(logits).all(axis=1).tolist() == [True, True, False, False]
    assert ew.softmax(logits[3]).tolist() == [1, 0]  # minus infinity marks a label that cannot be


@pytest.mark.parametrize(
    ("dtype", "taken"), [(np.float16, np.float32), (np.int64, np.float64), (np.float32, np.float32)]
)
def test_logits_of_any_numbers_are_taken(dtype, taken):
    engine = ExternalEngine.around(Model(lambda texts: Outputs(numbers(texts).astype(dtype))))

    assert engine.run(["a", "b"]).logits.dtype == taken


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (numbers, r"must return elsewise\.Outputs, got ndarray; wrap it: elsewise\.wrap\(model, "),
        (lambda texts: {"logits": numbers(texts)}, r"must return elsewise\.Outputs, got dict"),
        (lambda _: None, r"must return elsewise\.Outputs, got NoneType"),
        (lambda texts: Outputs(numbers(texts, 3)), r"must give logits of shape \(2, 2\) .* got \(2, 3\) of float32"),
        (lambda texts: Outputs(numbers(texts[1:])), r"must give logits of shape \(2, 2\) .* got \(1, 2\)"),
        (lambda _: Outputs(np.array([["a", "b"]] * 2)), r"must give logits .* as numbers, got \(2, 2\) of <U1"),
        (
            lambda texts: Outputs(numbers(texts), numbers(["a"])),
            r"must give features of shape \(2, 2\) .* got \(1, 2\)",
        ),
        (
            lambda texts: Outputs(numbers(texts), np.zeros(len(texts))),
            r"must give features of shape \(2, 1\) .* got \(2,\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_what_came(answer, words):
    with pytest.raises(InputError, match=words):
        ExternalEngine.around(Model(answer)).run(["a", "b"])


class Bare:
    labels = ("yes", "no")


class OneLabel(Model):
    labels = ("yes",)


class OneSet(Model):
    labels = frozenset({"yes", "no"})


class OneWord(Model):
    labels = "yes"


class Twice(Model):
    labels = ("yes", "no", "yes")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (len, r"^a builtin_function_or_method cannot be used as an engine: it has no labels and no run\(texts\); wrap"),
        (Model, r"^the class Model cannot be used as an engine: pass an object of it$"),
        (
            Bare(),
            r"^a Bare cannot be used as an engine: it has no run\(texts\); wrap it: elsewise\.wrap\(model, labels",
        ),
        (OneLabel(numbers), r"^labels of an engine must be at least 2 different words, in order, got \('yes',\)$"),
        (OneSet(numbers), r"must be at least 2 different words, in order, got frozenset"),
        (OneWord(numbers), r"must be at least 2 different words, in order, got 'yes'$"),
        (Twice(numbers), r"must be at least 2 different words, in order, got \('yes', 'no', 'yes'\)$"),
    ],
)
def test_what_is_no_engine_is_refused(model, words):
    with pytest.raises(InputError, match=words):
        as_engine(model)


def test_an_engine_that_a_folder_can_hold_stays_itself():
    engine = MemoryEngine(("yes", "no"), {"sure": [4.0, 0.0]})
    given = given_engine(engine)

    assert as_engine(engine) is engine
    assert isinstance(given, ExternalEngine)
    assert given_engine(given) is given


def test_a_classifier_takes_any_object_with_labels_and_run():
    made = ew.Classifier(Model(lambda texts: Outputs(numbers(texts) * 9)), ew.Identity(), ew.FixedThreshold(0.5))

    assert made.decide(["a", " "]).labels == ["no", "Other"]
    assert "given" in repr(made)


def test_what_an_engine_of_two_members_is_given_ready_are_the_texts_themselves():
    model = Model(lambda texts: Outputs(numbers(texts)))

    assert prepared(model, ["a", "b"]) == ["a", "b"]
    assert quick_run(model, ["a", "b"]).logits.tolist() == [[0, 1], [2, 3]]


def test_a_model_that_fails_is_named_and_what_it_raised_stays_the_cause():
    """On the command line an OSError of the model's would otherwise be taken for a file of ours."""

    class Away(Model):
        def run(self, texts):
            raise ConnectionRefusedError(111, "the service is away")

    with pytest.raises(InputError, match=r"^run of .*Away failed on 2 texts: ConnectionRefusedError: .* away$") as one:
        ExternalEngine.around(Away(numbers)).run(["a", "b"])

    assert isinstance(one.value.__cause__, ConnectionRefusedError)
