"""The baseline engine: what scikit-learn would answer, without it."""

import json
import sys

import numpy as np
import pytest

import elsewise as ew
from elsewise.data.sample import support_texts
from elsewise.engines.files import ModelFiles, Opening
from elsewise.engines.tfidf import LONGEST, TfidfEngine
from elsewise.errors import ArtifactError, InputError, MissingExtra

pytest.importorskip("sklearn")

NONE = np.empty(0, dtype=np.int64)
ODD = [
    "Siparişim nerede? İADE ve IŞIK",
    "  blanks   around\tand\n\nbetween  ",
    "a b c d",
    "refund, refund refund; don't",
    "parcel " * 300,
    "xn--snake_case 123 4",
]


def rows(labels=None):
    sample = [row for row in support_texts(rows=600) if row.label != "out_of_scope"]
    names = sorted({row.label for row in sample})[:labels]
    kept = [row for row in sample if row.label in names]
    return [row.text for row in kept], np.array([names.index(row.label) for row in kept]), tuple(names)


def fitted(labels=None):
    texts, codes, names = rows(labels)
    return TfidfEngine.fit(texts[50:], codes[50:], names, texts[:50], codes[:50])


@pytest.fixture(scope="module")
def engine():
    return fitted()


def features_by_sklearn(engine, learned_from, texts):
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import TfidfVectorizer

    kinds = ({"ngram_range": (1, 2)}, engine.words), ({"ngram_range": (2, 5), "analyzer": "char_wb"}, engine.pieces)
    vectorizers = [TfidfVectorizer(**kind, vocabulary=list(known), sublinear_tf=True) for kind, known in kinds]
    return hstack([vectorizer.fit(learned_from).transform(texts) for vectorizer in vectorizers]).tocsr()


@pytest.mark.slow
@pytest.mark.parametrize("labels", [None, 2])
def test_probabilities_are_those_of_scikit_learn_for_words_pieces_and_odd_texts(labels):
    from sklearn.linear_model import LogisticRegression

    texts, codes, _ = rows(labels)
    engine = fitted(labels)
    theirs = LogisticRegression().fit(features_by_sklearn(engine, texts[50:], texts[50:]), codes[50:])
    theirs.coef_ = engine.weights if labels is None else 2 * engine.weights[1:]
    theirs.intercept_ = engine.biases if labels is None else 2 * engine.biases[1:]
    asked = [*texts, *ODD]

    probabilities = ew.softmax(engine.run(asked).logits)

    expected = theirs.predict_proba(features_by_sklearn(engine, texts[50:], asked))
    assert np.abs(probabilities - expected).max() < 1e-6


def test_weights_are_those_of_scikit_learn_on_all_features():
    """With so few labels every feature is kept; the strength is one of those that are tried."""
    from sklearn.linear_model import LogisticRegression

    texts, codes, names = rows(3)
    engine = TfidfEngine.fit(texts, codes, names, [], NONE)

    theirs = LogisticRegression(C=10, tol=1e-3).fit(features_by_sklearn(engine, texts, texts), codes)

    ours = engine.weights - engine.weights.mean(axis=0)
    assert np.abs(ours - theirs.coef_).max() < 0.05 * np.abs(theirs.coef_).max()


def test_words_and_pieces_are_those_in_two_texts_at_least():
    texts = ["red apple", "red pear", "green pear"]

    engine = TfidfEngine.fit(texts, np.array([0, 1, 1]), ("a", "b"), [], NONE)

    assert engine.words == ("pear", "red")
    assert {" re", "pear", "ear "} <= set(engine.pieces)
    assert " ap" not in engine.pieces


def test_the_strength_is_the_one_that_tune_texts_like_best():
    """On what it learned from itself, the strongest is; without tune texts it is the usual one."""
    texts, codes, names = rows(3)

    strong, usual = (
        TfidfEngine.fit(texts, codes, names, texts, codes),
        TfidfEngine.fit(texts, codes, names, [], NONE),
    )

    assert np.abs(strong.weights).sum() > 1.5 * np.abs(usual.weights).sum()


def test_it_learns_what_the_labels_are_about(engine):
    texts, codes, _ = rows()

    assert (engine.run(texts[:50]).logits.argmax(axis=1) == codes[:50]).mean() > 0.3  # one in 20 by chance


def test_equal_texts_get_the_frequencies_of_their_labels():
    codes = np.array([0] * 30 + [1] * 10)

    engine = TfidfEngine.fit(["the same"] * 40, codes, ("a", "b"), [], NONE)

    assert ew.softmax(engine.run(["the same"]).logits)[0] == pytest.approx([0.75, 0.25], abs=0.01)


def test_one_feature_is_enough():
    engine = TfidfEngine.fit(["x", "x", "!?", "y"], np.array([0, 0, 1, 1]), ("a", "b"), [], NONE)

    assert engine.words == ()
    assert engine.run(["x"]).logits.argmax() == 0
    assert np.isnan(engine.run(["z"]).logits).all()


def test_texts_that_share_nothing_are_refused():
    with pytest.raises(InputError, match=r"^no word or piece of a word is in 2 of 2 texts$"):
        TfidfEngine.fit(["abc", "xyz"], np.array([0, 1]), ("a", "b"), [], NONE)


def test_a_label_without_a_text_is_refused():
    with pytest.raises(InputError, match=r"^label 'c' has no text to learn from$"):
        TfidfEngine.fit(["x", "x"], np.array([0, 1]), ("a", "b", "c"), [], NONE)


def test_with_more_labels_there_are_fewer_features(monkeypatch):
    """So that the number of weights, and with it the memory, is bounded."""
    monkeypatch.setattr("elsewise.engines.tfidf.NUMBERS", 300)

    engine = fitted(3)

    assert len(engine.words) == len(engine.pieces) == 50
    assert engine.weights.shape == (3, 100)


def test_a_text_is_read_up_to_a_length_and_this_is_said(engine):
    start = ("where is my parcel " * LONGEST)[:LONGEST]

    outputs = engine.run([start, f"{start[:-1]}. i want my money back", "where"])

    assert outputs.truncated.tolist() == [False, True, False]
    assert outputs.logits[0] == pytest.approx(outputs.logits[1], abs=0.05)


def test_without_scikit_learn_it_answers_and_does_not_learn(engine, tmp_path, monkeypatch):
    engine.save(tmp_path)
    texts, codes, names = rows(2)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.delitem(sys.modules, "sklearn.linear_model", raising=False)

    again = TfidfEngine.open(Opening(ModelFiles.of(tmp_path), engine.labels, {}))

    assert again.run(texts).logits.tobytes() == engine.run(texts).logits.tobytes()
    with pytest.raises(MissingExtra, match=r"is not installed; run: pip install 'elsewise\[sklearn\]'$"):
        TfidfEngine.fit(texts, codes, names, texts, codes)


def test_its_files_are_json_and_numbers(engine, tmp_path):
    engine.save(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["vocabulary.json", "weights.safetensors"]


def test_half_of_a_surrogate_pair_can_be_a_piece(tmp_path):
    texts, codes = ["bad \ud83d sign", "good \ud83d sign", "fine"], np.array([0, 1, 1])
    engine = TfidfEngine.fit(texts, codes, ("a", "b"), [], NONE)

    engine.save(tmp_path)
    again = TfidfEngine.open(Opening(ModelFiles.of(tmp_path), engine.labels, {}))

    assert " \ud83d " in again.pieces
    assert again.fingerprint == engine.fingerprint


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda words: {"words": words[1:]}, r"idf must be finite float32 of shape"),
        (lambda words: {"words": [words[1], *words[1:]]}, "words and pieces must differ"),
        (lambda words: {"words": [1, *words[1:]]}, "must be lists of strings"),
        (lambda words: {"words": "".join(words)}, "must be lists of strings"),
    ],
)
def test_a_damaged_vocabulary_is_refused(engine, tmp_path, change, said):
    engine.save(tmp_path)
    file = tmp_path / "vocabulary.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change(list(engine.words))}))

    with pytest.raises(ArtifactError, match=said):
        TfidfEngine.open(Opening(ModelFiles.of(tmp_path), engine.labels, {}))


def test_files_of_other_labels_are_refused(engine, tmp_path):
    engine.save(tmp_path)

    with pytest.raises(ArtifactError, match=r"weights must be finite float32 of shape \(2, "):
        TfidfEngine.open(Opening(ModelFiles.of(tmp_path), ("a", "b"), {}))
