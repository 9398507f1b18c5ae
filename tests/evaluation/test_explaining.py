"""Explanations: pulls in closed form, only of what was read, and the same answer as without them."""

import json
from dataclasses import replace

import numpy as np
import pytest

import elsewise as ew
from elsewise.engines import tokenizer_of
from elsewise.engines.ensemble import Ensemble
from elsewise.engines.logits import LogitsEngine
from elsewise.engines.memory import MemoryEngine
from elsewise.errors import InputError
from elsewise.evaluation.explaining import MOST_PARTS, explain, words_of
from elsewise.rules.conformal import SplitConformal
from elsewise.storage.json_files import finite

WORDS = {"not good": [0.0, 2.0], "not ": [0.0, 1.0], " good": [3.0, 0.0], "good": [3.0, 0.0]}


def by_heart(table=WORDS, default=None, threshold=0.6):
    return ew.Classifier(MemoryEngine(("yes", "no"), table, default), ew.Identity(), ew.FixedThreshold(threshold))


@pytest.fixture(scope="module")
def small():
    """A small text model that reads 64 tokens, of a vocabulary of few words."""
    pytest.importorskip("torch")
    from support.small_folders import classifier_of

    return classifier_of()


def test_decisions_explain_by_the_columns_that_they_hold():
    p = np.array([[0.5, 0.4, 0.1], [np.nan] * 3])
    decisions = ew.FixedThreshold(0.6)(p)
    full = replace(
        decisions,
        names=("billing", "returns", "account"),
        familiarity=np.array([0.25, np.nan]),
        nearest=np.array([[1, -1], [-1, -1]]),
        epistemic=np.array([0.125, np.nan]),
        sets=replace(SplitConformal.fit(np.array([[0.5, 0.4, 0.1]] * 30), [1] * 30)(p), names=("b", "r", "a")),
    )

    made, unreadable = full.explain(0), full.explain(1)

    assert (made.label, made.abstained, made.reason) == ("Other", True, "ambiguous")
    assert list(made.probabilities.items()) == [("billing", 0.5), ("returns", 0.4)]
    assert (made.confidence, made.threshold) == (0.5, 0.6)
    assert (made.familiarity, made.nearest, made.epistemic) == (0.25, ("returns",), 0.125)
    assert made.possible == ("billing", "returns")
    assert (made.sentence, made.customer_sentence) == (full.sentence(0), full.customer_sentence(0))
    assert (unreadable.probabilities, unreadable.nearest) == ({}, ())
    assert decisions.explain(0).possible is None


def test_an_explanation_speaks_the_language_that_is_asked_for():
    made = explain(by_heart(), "not good", language="tr")

    assert made.sentence.startswith('Etiket: "no", olasılığı 0,881')
    assert made.customer_sentence == 'Bu metin otomatik olarak "no" başlığı altında sınıflandırıldı.'


def test_pulls_are_falls_of_log_odds():
    """Of two labels the log-odds are the difference of the logits: 2 with both words, -3 and 1 with one of them."""
    made = explain(by_heart(), "not good")

    assert [(pull.words, pull.start, pull.end) for pull in made.words] == [("not", 0, 3), ("good", 4, 8)]
    assert [pull.pull for pull in made.words] == pytest.approx([5, 1])
    assert made.words[0].without == pytest.approx(1 / (1 + np.exp(3)))


def test_words_that_speak_against_the_label_come_last():
    table = {"a b": [1.0, 0.0], " b": [3.0, 0.0], "a ": [0.5, 0.0]}

    assert [(pull.words, round(pull.pull, 6)) for pull in explain(by_heart(table), "a b").words] == [
        ("b", 0.5),
        ("a", -2.0),
    ]


def test_pulls_tell_words_apart_where_probabilities_are_all_but_one():
    table = {"a b": [60.0, 0.0], " b": [50.0, 0.0], "a ": [55.0, 0.0]}

    made = explain(by_heart(table), "a b")

    assert [pull.pull for pull in made.words] == pytest.approx([10, 5])
    assert {pull.without for pull in made.words} == {1.0}


def test_a_word_without_which_nothing_can_be_read_has_no_pull():
    assert explain(by_heart({"sure": [4.0, 0.0]}), "sure").words == ()


def test_words_can_be_left_alone():
    assert explain(by_heart(), "not good", occlusion=False).words == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("(My parcel, e-mail: a@b.de)...", ["My", "parcel", "e-mail", "a@b.de"]),
        ("İstanbul'da kargo gelmedi!", ["İstanbul'da", "kargo", "gelmedi"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("返金 please", ["返", "金", "please"]),
        ("5 € 😡 ... \u200b", ["5", "€", "😡"]),
        (" \n", []),
    ],
)
def test_words_are_what_people_call_words(text, words):
    assert [text[start:end] for start, end in words_of(text)] == words


def test_the_words_of_a_long_text_go_several_at_a_time():
    text = " ".join(f"w{i}" for i in range(100))

    parts = sorted(explain(by_heart({}, default=[1.0, 0.0]), text).words, key=lambda pull: pull.start)

    assert len(parts) == MOST_PARTS
    assert " ".join(pull.words for pull in parts) == text


def test_the_answer_is_the_one_that_the_text_gets_without_an_explanation(small):
    text = "where is my order please"
    decisions = small.decide([text])

    made = explain(small, text, top=3)

    p = small.probabilities([text])[0]
    best = np.argsort(-p)[:3]
    assert made.confidence == decisions.confidence[0]
    assert made.sentence == decisions.sentence(0)
    assert made.nearest == decisions.nearest_names(0) != ()
    assert made.score == "maximum_probability"
    assert list(made.probabilities.items()) == [(small.labels[code], float(p[code])) for code in best]


def test_each_pull_is_what_the_model_says_without_the_word(small):
    text = "where is my order please"
    made = explain(small, text)
    best = small.decide([text]).best[0]

    assert {pull.words for pull in made.words} == set(text.split())
    for pull in made.words:
        p = small.probabilities([text[: pull.start] + text[pull.end :]])[0]
        assert pull.without == p[best]


def test_what_was_read_is_told_and_only_that_is_left_out(small):
    """64 tokens, two of them special: the first 62 words."""
    text = "order " * 62 + "refund hello"

    made = explain(small, text)

    assert (made.extent.tokens, made.extent.truncated) == (64, True)
    assert (made.extent.characters, made.extent.characters_read) == (len(text), 62 * 6 - 1)
    assert made.extent.last_words == "order order order order order order"
    assert len(made.words) == 62
    assert {pull.words for pull in made.words} == {"order"}


def test_pieces_that_the_vocabulary_lacks_are_named(small):
    extent = explain(small, "where is 😡 my qqq order").extent

    assert extent.unknown == ("😡", "qqq")
    assert (extent.tokens, extent.truncated, extent.characters_read) == (8, False, extent.characters)


@pytest.mark.parametrize("text", ["", " \u200b", "😡"])
def test_an_unreadable_text_is_explained_without_labels_and_words(small, text):
    made = explain(small, text, neighbours=(["hello"], ["label 1"]))

    assert (made.reason, made.probabilities, made.words, made.neighbours) == ("unreadable", {}, (), ())
    assert np.isnan(made.confidence)


def test_lone_surrogates_are_explained_and_can_be_printed(small):
    made = explain(small, "where is \udcff my order", neighbours=(["\ud800 order"], ["label 1"]))

    assert made.neighbours[0].text == "\ufffd order"
    assert json.dumps(finite(made.as_dict()), ensure_ascii=False, allow_nan=False).encode()


def test_the_nearest_texts_are_those_of_the_largest_cosine(small):
    known = ["hello", "where is my order", "refund the invoice please", "a b c", "the invoice", "12 ? ?", "\u200b"]
    seen = []

    made = explain(small, "the invoice", neighbours=(known, list("abcdefg")), progress=lambda *args: seen.append(args))

    features = small.engine.run(known[:6]).features.astype(np.float64)
    cosines = features @ features[4] / np.linalg.norm(features, axis=1) / np.linalg.norm(features[4])
    order = np.argsort(-cosines)[:5]
    assert [near.text for near in made.neighbours] == [known[i] for i in order]
    assert [near.label for near in made.neighbours] == ["abcdef"[i] for i in order]
    assert [near.similarity for near in made.neighbours] == pytest.approx(cosines[order])
    assert made.neighbours[0].text == "the invoice"
    assert seen == [("comparing", 7, 7)]


def test_neighbours_need_features_and_a_label_each():
    with pytest.raises(InputError, match="the nearest texts need features, and engine memory gives none"):
        explain(by_heart(), "good", neighbours=(["good"], ["yes"]))
    with pytest.raises(InputError, match="got 1 texts and 2 labels"):
        explain(by_heart(), "good", neighbours=(["good"], ["yes", "no"]))


def test_a_model_of_logits_has_no_words_to_explain():
    classifier = ew.Classifier(LogitsEngine(("yes", "no")), ew.Identity(), ew.FixedThreshold(0.6))

    with pytest.raises(
        InputError, match=r"a model of logits reads no text; explain a row: classifier\.decide\(logits\)"
    ):
        explain(classifier, "good")

    assert classifier.decide([[4.0, 0.0]]).explain(0).label == "yes"


def test_one_text_is_asked_for():
    with pytest.raises(InputError, match="texts must be strings, got int in row 0"):
        explain(by_heart(), 5)


def test_engines_around_engines_show_the_tokenizer_inside(small):
    memory = by_heart().engine

    assert tokenizer_of(Ensemble((small.engine, small.engine))) is small.engine.tokenizer
    assert tokenizer_of(Ensemble((memory, memory))) is None
