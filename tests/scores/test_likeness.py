"""Likeness by hand, and what familiarity makes of it."""

from dataclasses import replace

import numpy as np
import pytest

from elsewise.arrays import softmax
from elsewise.outputs import Evidence, Outputs, References
from elsewise.scores import Familiarity
from elsewise.scores.likeness import Likeness


def of_length_one(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def known(m=90, k=4, e=6, seed=0):
    """Embeddings of training texts around a direction of their label; the last label has none."""
    rng = np.random.default_rng(seed)
    codes = np.arange(m) % (k - 1)
    return of_length_one(3 * np.eye(e)[codes] + rng.normal(size=(m, e))), codes


def evidence_of(embedding, logits):
    return Evidence(softmax(logits), Outputs(logits, features=logits.copy(), embedding=embedding))


def test_both_signs_by_hand():
    """Cosine to the centroid of the said label and to its nearest text; -1 for a label without texts."""
    embedding, codes = known()
    rng = np.random.default_rng(1)
    rows, logits = of_length_one(rng.normal(size=(30, 6))), rng.normal(size=(30, 4))

    found = Likeness.fit(embedding, codes, 4)(evidence_of(rows, logits))

    centroids = of_length_one(np.array([embedding[codes == code].sum(axis=0) for code in range(3)]))
    said = logits.argmax(axis=1)
    signs = [
        (-1, -1) if code == 3 else (rows[i] @ centroids[code], (embedding[codes == code] @ rows[i]).max())
        for i, code in enumerate(said)
    ]
    assert {*said.tolist()} == {0, 1, 2, 3}
    assert found == pytest.approx(np.array(signs), abs=2e-3)  # texts are kept in float16


def test_a_text_alone_has_the_likeness_it_has_among_others():
    embedding, codes = known()
    likeness, rows = Likeness.fit(embedding, codes, 4), known(seed=2)[0]
    logits = np.random.default_rng(3).normal(size=(90, 4))
    together = likeness(evidence_of(rows, logits))

    for i in (0, 41, 89):
        assert likeness(evidence_of(rows[i : i + 1], logits[i : i + 1])).tobytes() == together[i : i + 1].tobytes()


def test_a_text_without_embedding_has_no_likeness():
    embedding, codes = known()
    rows = embedding[:3].copy()
    rows[1] = np.nan

    found = Likeness.fit(embedding, codes, 4)(evidence_of(rows, np.eye(4)[:3]))

    assert np.isnan(found).all(axis=1).tolist() == [False, True, False]


def test_training_texts_without_embedding_are_left_out():
    embedding, codes = known()
    more = np.concatenate([embedding, np.full((5, 6), np.nan)]), np.concatenate([codes, [0, 1, 2, 3, 3]])
    rows = evidence_of(embedding, np.eye(4)[codes])

    assert np.array_equal(Likeness.fit(*more, 4)(rows), Likeness.fit(embedding, codes, 4)(rows))


def test_embeddings_that_are_all_equal_say_nothing():
    rows = np.tile(of_length_one(np.ones((1, 6))), (20, 1))

    found = Likeness.fit(rows, np.arange(20) % 4, 4)(evidence_of(rows, np.eye(4)[np.arange(20) % 4]))

    assert found == pytest.approx(np.ones((20, 2)), abs=1e-3)


def judged(asked, seed=5, n=200):
    """Tune rows of which some are asked about, the references, and the codes."""
    embedding, codes = known(n, seed=seed)
    logits = 4 * np.eye(4)[codes] + np.random.default_rng(seed).normal(size=(n, 4))
    rows = np.where(asked(logits)[:, None], embedding, np.nan)
    return evidence_of(rows, logits), codes, References(logits, codes, known(seed=6)[0][np.arange(n) % 90])


def some(logits):
    return logits.max(axis=1) < np.median(logits.max(axis=1))


def test_familiarity_is_half_energy_and_half_likeness():
    rows, codes, references = judged(lambda z: np.ones(len(z), dtype=bool))
    likeness = Likeness.fit(references.embedding, references.codes, 4)
    parts = np.column_stack([np.log(np.exp(rows.logits).sum(axis=1)), likeness(rows)])

    found = Familiarity.fit(rows, codes, references=references)(rows)

    scaled = (parts - parts.mean(axis=0)) / parts.std(axis=0)
    assert found == pytest.approx(scaled @ [1 / 2, 1 / 4, 1 / 4])


def test_a_text_that_is_not_asked_about_is_more_familiar_than_all_that_are():
    rows, codes, references = judged(some)

    found = Familiarity.fit(rows, codes, references=references)(rows)

    asked = some(rows.logits)
    assert found[~asked].min() > found[asked].max()
    assert np.isfinite(found).all()
    assert len(np.unique(found[~asked])) > 90


def test_an_unreadable_text_has_no_familiarity():
    rows, codes, references = judged(some)
    logits = rows.logits.copy()
    logits[0] = np.nan
    unreadable = replace(rows, outputs=replace(rows.outputs, logits=logits))

    assert np.flatnonzero(np.isnan(Familiarity.fit(rows, codes, references=references)(unreadable))).tolist() == [0]


def test_features_that_are_no_numbers_are_not_taken_for_a_text_that_was_not_asked_about():
    rows, codes, references = judged(some)
    plain = replace(rows, outputs=replace(rows.outputs, embedding=None))
    score = Familiarity.fit(plain, codes, references=replace(references, embedding=None))
    features = plain.features.copy()
    features[3] = np.nan

    found = score(replace(plain, outputs=replace(plain.outputs, features=features)))

    assert np.flatnonzero(np.isnan(found)).tolist() == [3]


@pytest.mark.parametrize("with_embedding", [True, False])
def test_a_text_that_a_cascade_answers_early_is_more_familiar_than_all_others(with_embedding):
    """It was found like the train texts before; the scale is that of the others."""
    rows, codes, references = judged(some)
    embedding = rows.embedding if with_embedding else None
    early = np.arange(len(codes)) % 3 == 0
    features = np.where(early[:, None], np.nan, rows.features)
    rows = replace(rows, outputs=replace(rows.outputs, features=features, embedding=embedding, early=early))
    references = references if with_embedding else replace(references, embedding=None)

    score = Familiarity.fit(rows, codes, references=references)
    found, nearest = score.judge(rows)

    alone = Familiarity.fit(rows.take(~early), codes[~early], references=references)
    assert (found[early] > found[~early].max()).all()
    assert found[~early].tobytes() == alone(rows.take(~early)).tobytes()
    assert nearest[early].tolist() == np.argsort(-rows.logits[early], axis=1, kind="stable")[:, :2].tolist()
    assert (nearest[~early] == alone.judge(rows.take(~early))[1]).all()


def test_familiarity_can_be_fitted_where_a_cascade_answers_every_text_early():
    rows, codes, references = judged(some)
    everything = replace(rows, outputs=replace(rows.outputs, early=np.ones(len(codes), bool)))

    found = Familiarity.fit(everything, codes, references=references)(everything)

    assert len(set(found.tolist())) == 1


def test_familiarity_takes_the_rows_themselves_where_there_are_no_references():
    """The rows that were asked about have embeddings, the others none; no row asked about, and distances decide."""
    rows, codes, _ = judged(some)
    none, _, _ = judged(lambda z: np.zeros(len(z), dtype=bool))

    assert np.isfinite(Familiarity.fit(rows, codes)(rows)).all()
    assert Familiarity.fit(none, codes).likeness is None
    assert np.isfinite(Familiarity.fit(none, codes)(none)).all()
