"""Token counts: what is counted and weighed, how they are mixed in, and what is refused of a folder that holds them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file
from sklearn.feature_extraction.text import TfidfTransformer

from elsewise.engines import tfidf
from elsewise.engines.token_counts import FILE, TokenCounts
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import ArtifactError

FIRST, LAST = 101, 102


def planted(n=300, k=3, seed=0):
    """Texts of 12 tokens of 30; a label's own token stands somewhere in each."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(k, size=n)
    bodies = rng.integers(10, 40, size=(n, 12))
    bodies[np.arange(n), rng.integers(12, size=n)] = 50 + codes
    return Tokens.of([[FIRST, *body, LAST] for body in bodies.tolist()]), codes


@pytest.fixture(scope="module")
def learnt():
    return TokenCounts.learn(*planted(), 3, special=(FIRST, LAST))


def test_labels_are_told_by_a_token_anywhere_in_a_text(learnt):
    tokens, codes = planted(seed=1)

    assert (learnt.logits(tokens).argmax(axis=1) == codes).mean() > 0.9


def test_every_token_but_special_ones_and_those_of_a_single_text_is_counted():
    made = TokenCounts.learn(Tokens.of([[1, 7, 8], [1, 7, 9, 9], [1, 8, 7]]), np.array([0, 1, 1]), 2, special=(1,))

    assert made.ids.tolist() == [7, 8]


def test_values_are_the_tf_idf_of_scikit_learn(learnt):
    """With sublinear frequencies, smooth weights and rows of length 1."""
    train, new = planted()[0], Tokens.of([[FIRST, 10, 10, 10, 50, LAST], [FIRST, 12, 13, LAST], [FIRST, 999, LAST]])

    def counts(tokens):
        return np.array([[(ids == known).sum() for known in learnt.ids] for ids in tokens])

    theirs = TfidfTransformer(sublinear_tf=True).fit(counts(train)).transform(counts(new)).toarray()

    assert learnt.logits(new) == pytest.approx(theirs @ learnt.weights.T + learnt.biases, abs=1e-5)


def test_a_text_of_unknown_tokens_says_what_no_text_says(learnt):
    assert learnt.logits(Tokens.of([[FIRST, 999, LAST]]))[0].tolist() == learnt.biases.tolist()


def test_an_answer_does_not_depend_on_the_neighbours(learnt):
    tokens, _ = planted(seed=2)

    together = learnt.logits(tokens)

    order = np.random.default_rng(0).permutation(len(tokens))
    assert learnt.logits(tokens.take(order)).tobytes() == together[order].tobytes()
    assert np.concatenate([learnt.logits(tokens.take([row])) for row in range(20)]).tobytes() == together[:20].tobytes()


def test_of_many_tokens_the_most_frequent_are_taken(monkeypatch):
    monkeypatch.setattr("elsewise.engines.token_counts.NUMBERS", 2 * 3)
    tokens = Tokens.of([[7, 8, 9], [7, 8, 9], [7, 9]])

    assert TokenCounts.learn(tokens, np.array([0, 1, 2]), 3, special=()).ids.tolist() == [7, 9]


def test_texts_without_a_token_in_common_leave_the_frequencies_of_labels():
    made = TokenCounts.learn(Tokens.of([[5], [6], [7], [8]]), np.array([0, 0, 0, 1]), 2, special=())

    p = np.exp(made.logits(Tokens.of([[5]]))[0])
    assert p / p.sum() == pytest.approx([0.75, 0.25], abs=1e-3)


def test_a_file_is_read_as_it_was_written_to_the_last_byte(learnt, tmp_path):
    (tmp_path / FILE).write_bytes(learnt.content)

    again = TokenCounts.read(tmp_path / FILE)

    assert again.content == learnt.content
    assert again.logits(planted()[0]).tobytes() == learnt.logits(planted()[0]).tobytes()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"ids": np.array([3, 2, 1], np.int32)}, "ascending order"),
        ({"ids": np.array([1.0, 2.0, 3.0], np.float32)}, "ids must be finite int32"),
        ({"idf": np.float32([1, 1])}, "idf must be finite float32 of shape"),
        ({"weights": np.float32([[1, np.nan, 1], [0, 0, 0]])}, "weights must be finite"),
        ({"biases": np.float32([1, 2, 3])}, "weights must be finite float32 of shape"),
    ],
)
def test_arrays_that_cannot_be_are_refused_by_the_name_of_the_file(changed, words, tmp_path):
    usual = {"ids": np.array([1, 2, 3], np.int32), "idf": np.ones(3, np.float32)}
    usual |= {"weights": np.zeros((2, 3), np.float32), "biases": np.zeros(2, np.float32)}
    save_file({**usual, **changed}, tmp_path / FILE)

    with pytest.raises(ArtifactError, match=words) as said:
        TokenCounts.read(tmp_path / FILE)

    assert FILE in str(said.value)


def test_frequencies_have_room_for_the_longest_text(learnt):
    """The table of term weights ends somewhere: no encoder reads so many tokens."""
    many = len(tfidf.TERM_WEIGHTS) - 1

    assert np.isfinite(learnt.logits(Tokens.of([[10] * many]))).all()


pytest.importorskip("torch")
pytest.importorskip("transformers")

from elsewise.engines import early_fingerprint, engine_class, entry_of, open_entry  # noqa: E402
from elsewise.engines.files import ModelFiles, Opening  # noqa: E402
from support.small_models import LABELS, asking_a_second, graph_of, texts, with_token_counts  # noqa: E402

KNOWN = texts(40)


@pytest.fixture(scope="module")
def made():
    files, learner = graph_of("bert")
    settings = {**learner.tokenize.settings, "precision": "f32"}
    return with_token_counts(engine_class("openvino").open(Opening(files, LABELS, settings)), learner)


@pytest.fixture
def folder(made, tmp_path):
    made.save(tmp_path)
    return tmp_path


def opened(folder, engine, **settings):
    entry = entry_of(engine)
    entry["settings"] = {**entry["settings"], **settings}
    return open_entry(json.loads(json.dumps(entry)), Opening(ModelFiles.of(folder), LABELS, {}))


def test_every_text_gets_the_mixture_and_the_features_of_the_first(made):
    outputs, first = made.run([*KNOWN, ""]), made.engine.run([*KNOWN, ""])

    mixed = made.pool.mixed(first.logits[:-1], made.counts.logits(made.prepare(KNOWN)))
    assert outputs.logits[:-1].tobytes() == mixed.tobytes()
    assert np.isnan(outputs.logits[-1]).all()
    assert outputs.features.tobytes() == first.features.tobytes()


def test_a_folder_answers_as_what_was_saved(made, folder):
    again = opened(folder, made)

    assert again.run(KNOWN).logits.tobytes() == made.run(KNOWN).logits.tobytes()
    assert again.fingerprint == made.fingerprint
    assert early_fingerprint(entry_of(made), Opening(ModelFiles.of(folder), LABELS, {})) == made.fingerprint


def test_a_second_opinion_may_stand_around_them(made, tmp_path):
    engine = asking_a_second(made, graph_of("bert")[1])
    engine.save(tmp_path)

    again = opened(tmp_path, engine)

    assert again.run(KNOWN).logits.tobytes() == engine.run(KNOWN).logits.tobytes()
    assert again.fingerprint == engine.fingerprint
    assert early_fingerprint(entry_of(engine), Opening(ModelFiles.of(tmp_path), LABELS, {})) == engine.fingerprint


def test_the_fingerprint_is_of_the_model_of_the_counts_and_of_how_they_are_mixed(made):
    other = replace(made.counts, biases=made.counts.biases + 1)
    fingerprints = {
        made.fingerprint,
        made.engine.fingerprint,
        replace(made, pool=replace(made.pool, weight=0.5)).fingerprint,
        replace(made, counts=other).fingerprint,
    }

    assert len(fingerprints) == 4


def test_a_folder_without_them_is_refused(made, folder):
    (folder / FILE).unlink()

    with pytest.raises(ArtifactError, match=f"has no {FILE}; make the model again"):
        opened(folder, made)


def test_counts_of_other_labels_are_refused(made, folder):
    counts = made.counts
    wrong = TokenCounts(counts.ids, counts.idf, counts.weights[:2], counts.biases[:2])
    (folder / FILE).write_bytes(wrong.content)

    with pytest.raises(ArtifactError, match=f"{FILE} counts tokens for 2 labels, and the model has {len(LABELS)}"):
        opened(folder, made)


@pytest.mark.parametrize("kept", [None, 3, [], {}, {"weight": 2, "temperatures": [1, 1]}])
def test_settings_that_cannot_be_are_refused(made, folder, kept):
    with pytest.raises(ArtifactError, match=r"elsewise.json holds token counts that cannot be read: "):
        opened(folder, made, token_counts=kept)
