"""Scores by hand, their direction, and what each of them cannot see."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from elsewise.arrays import softmax
from elsewise.errors import InputError
from elsewise.metrics import auc
from elsewise.outputs import Evidence, Outputs, References
from elsewise.scores import (
    Combined,
    Energy,
    Familiarity,
    Mahalanobis,
    Margin,
    MaximumLogit,
    MaximumProbability,
    NearestNeighbours,
    NegativeEntropy,
    NormalisedMaximumLogit,
    RelativeMahalanobis,
)
from elsewise.scores.combined import _logistic, _signs
from elsewise.scores.distances import shrunk_covariance

P = np.array([[0.5, 0.3, 0.2], [0.0, 1.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])


def evidence_of(logits):
    z = np.asarray(logits, dtype=np.float64)
    return Evidence(softmax(z), Outputs(z))


@pytest.mark.parametrize(
    ("score", "confidence"),
    [
        (MaximumProbability(), [0.5, 1.0, 1 / 3]),
        (Margin(), [0.2, 1.0, 0.0]),
        (NegativeEntropy(), [0.5 * np.log(0.5) + 0.3 * np.log(0.3) + 0.2 * np.log(0.2), 0.0, -np.log(3)]),
    ],
)
def test_scores_of_probabilities_by_hand(score, confidence):
    assert score(P) == pytest.approx(np.array(confidence), abs=1e-12)


def test_energy_by_hand():
    """ln(1 + 2 + 3) for logits ln 1, ln 2, ln 3; and no overflow at 1000."""
    assert Energy()(evidence_of([np.log([1, 2, 3])]))[0] == pytest.approx(np.log(6))
    assert Energy()(evidence_of([[1000.0, 1000.0]]))[0] == pytest.approx(1000 + np.log(2))


def test_energy_sees_a_constant_that_probabilities_do_not():
    z = np.random.default_rng(0).normal(size=(40, 5))
    plain, shifted = evidence_of(z), evidence_of(z + 7.25)

    assert Energy()(shifted) == pytest.approx(Energy()(plain) + 7.25)
    for score in (MaximumProbability(), Margin(), NegativeEntropy()):
        assert score(shifted) == pytest.approx(score(plain), abs=1e-12)


@pytest.mark.parametrize("score", [MaximumProbability(), Margin(), NegativeEntropy(), Energy()])
def test_a_longer_lead_is_surer(score):
    confidence = score(evidence_of([[lead, 0.0, 0.0] for lead in (0.0, 0.5, 1.0, 4.0, 20.0)]))

    assert (np.diff(confidence) > 0).all()


@pytest.mark.parametrize("score", [MaximumProbability(), Margin(), NegativeEntropy(), Energy()])
def test_an_unreadable_text_has_no_confidence(score):
    z = np.array([[1.0, 0.0], [np.nan, np.nan]])

    confidence = score(Evidence.of(Outputs(z), softmax))

    assert np.isnan(confidence).tolist() == [False, True]


def test_energy_of_bare_probabilities_is_refused():
    with pytest.raises(InputError, match="this score needs logits, got only probabilities"):
        Energy()(P)


def placed(features, logits=None):
    """Evidence of texts that stand at these features; logits say nothing unless given."""
    features = np.asarray(features, dtype=np.float64)
    z = np.zeros((len(features), 3)) if logits is None else np.asarray(logits, dtype=np.float64)
    return Evidence(softmax(z), Outputs(z, features))


def clusters(n, seed=0, k=5, d=12, spread=0.3):
    """Features around k directions, and logits that their products with these give."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(k, size=n)
    features = np.eye(k, d)[codes] + rng.normal(size=(n, d)) * spread
    return placed(features, features @ np.eye(d, k) * 8), codes


DISTANCES = [Mahalanobis, RelativeMahalanobis, NearestNeighbours]
ALL = [*DISTANCES, Familiarity, Combined, Energy, MaximumLogit, NormalisedMaximumLogit, MaximumProbability]


@pytest.mark.parametrize("kind", [*DISTANCES, Familiarity])
def test_far_away_is_told_from_near_and_the_same_is_not(kind):
    """AUROC near 1 for texts that lie elsewhere; near 1/2 for more texts of the same kind."""
    train, codes = clusters(2000)
    more, _ = clusters(2000, seed=1)
    far = placed(np.random.default_rng(2).normal(size=(500, 12)) - np.eye(5, 12).sum(axis=0) * 2)
    tune, tune_codes = clusters(1000, seed=3)
    fitted = kind.fit(tune, tune_codes, references=References(train.features, codes))

    known, same, other = (fitted(rows) for rows in (tune, more, far))

    least = 0.85 if kind is RelativeMahalanobis else 0.98  # far from all texts: what the relative one takes away
    assert auc(np.append(known, other), np.arange(1500) < 1000).value > least
    assert auc(np.append(known, same), np.arange(3000) < 1000).value == pytest.approx(0.5, abs=0.03)


def test_relative_mahalanobis_is_the_difference_of_two_distances():
    """By brute force on 20 points, each distance from its own definition."""
    train, codes = clusters(60)
    rows = placed(np.random.default_rng(4).normal(size=(20, 12)))

    score = RelativeMahalanobis.fit(train, codes)

    def squared(of):
        u = train.features / np.linalg.norm(train.features, axis=1, keepdims=True)
        means = np.stack([u[of == label].mean(axis=0) for label in np.unique(of)])
        inverse = np.linalg.inv(shrunk_covariance(u - means[of]))
        v = rows.features / np.linalg.norm(rows.features, axis=1, keepdims=True)
        return np.array([min((x - m) @ inverse @ (x - m) for m in means) for x in v])

    assert score(rows) == pytest.approx(squared(np.zeros(60, int)) - squared(codes))
    assert Mahalanobis.fit(train, codes)(rows) == pytest.approx(-np.sqrt(squared(codes)))


@pytest.mark.parametrize("k", [1, 3, 10, 200])
@pytest.mark.parametrize("spread", [0.05, 0.3, 2.0])
def test_neighbours_are_those_of_brute_force(k, spread):
    """Whole labels are passed over, and no neighbour with them; 200 is more than there are."""
    train, codes = clusters(150, spread=spread)
    rows = placed(np.concatenate([clusters(200, seed=1, spread=spread)[0].features, np.eye(12), -np.eye(12)]))

    nearest = NearestNeighbours.fit(train, codes, k=k)(rows)

    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (rows.features, train.features))
    assert nearest == pytest.approx(np.sort(a @ b.T, axis=1)[:, -min(k, 150)], abs=1e-6)


def test_neighbours_of_labels_with_one_row_each():
    train = placed(np.eye(4))
    score = NearestNeighbours.fit(train, [0, 1, 2, 0], k=2)

    assert score(placed([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 5.0]])) == pytest.approx([0.5**0.5, 0.0], abs=1e-6)
    with pytest.raises(InputError, match=r"^k must be at least 1, got 0$"):
        NearestNeighbours.fit(train, [0, 1, 2, 0], k=0)


@pytest.mark.parametrize("kind", DISTANCES)
def test_the_length_of_features_says_nothing(kind):
    train, codes = clusters(100)
    score, rows = kind.fit(train, codes), clusters(30, seed=1)[0]

    assert score(placed(rows.features * 10)) == pytest.approx(score(rows), abs=1e-6)


@pytest.mark.parametrize("kind", [*DISTANCES, Familiarity])
def test_out_of_scope_rows_are_no_references(kind):
    train, codes = clusters(100)
    codes[::5] = -1
    inside = codes >= 0
    rows = clusters(30, seed=1)[0]

    alone = placed(train.features[inside], train.logits[inside])

    assert np.array_equal(kind.fit(train, codes)(rows), kind.fit(alone, codes[inside])(rows))


@pytest.mark.parametrize("kind", DISTANCES)
def test_distances_need_features(kind):
    with pytest.raises(InputError, match=r"^this score needs features, and the engine gives none$"):
        kind.fit(evidence_of([[1.0, 0.0]]), [0])


@pytest.mark.parametrize("kind", [Familiarity, Combined])
def test_without_features_logits_must_do(kind):
    z = np.random.default_rng(0).normal(size=(200, 4)) * 3
    codes = (z + np.random.default_rng(1).gumbel(size=z.shape)).argmax(axis=1)

    score = kind.fit(evidence_of(z), codes)

    assert score.labels is None
    assert np.isfinite(score(evidence_of(z))).all()
    if kind is Familiarity:  # energy, in standard deviations
        energy = Energy()(evidence_of(z))
        assert score(evidence_of(z)) == pytest.approx((energy - energy.mean()) / energy.std())
        assert np.array_equal(score.judge(evidence_of(z))[1], np.argsort(-z, axis=1)[:, :2])


def test_a_large_norm_is_the_largest_logit_and_no_norm_the_centred_one():
    z = np.array([[1.0, 2.0, 6.0], [-9.0, 3.0, 6.0], [1e30, 0.0, -1e30], [4.0, 4.0, 4.0]])
    centred = z - z.mean(axis=1, keepdims=True)

    assert NormalisedMaximumLogit(0)(evidence_of(z)) == pytest.approx(centred.max(axis=1))
    by_hand = [3 / np.sqrt(14), 6 / np.sqrt(126), 1 / np.sqrt(2), 0]
    assert NormalisedMaximumLogit(2)(evidence_of(z)) == pytest.approx(by_hand)
    assert NormalisedMaximumLogit(9)(evidence_of(z * 7)) == pytest.approx(NormalisedMaximumLogit(9)(evidence_of(z)))


def test_the_norm_is_chosen_where_it_matters():
    """Loudness is noise here: the size of a text's logits varies by itself, so that some norm must be taken."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(3000, 10)) * 3
    codes = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    loud = evidence_of(z * rng.lognormal(sigma=1.5, size=(3000, 1)))

    chosen = NormalisedMaximumLogit.fit(loud, codes)

    right = z.argmax(axis=1) == codes
    assert chosen.p > 0
    assert auc(chosen(loud), right).value > auc(MaximumLogit()(loud), right).value + 0.05
    assert NormalisedMaximumLogit.fit(loud, z.argmax(axis=1)).p == 0  # all right: nothing to learn from


def test_the_combined_score_is_the_best_without_weights_below_zero():
    """At the least loss the slope is zero for weights above 0, and not below zero for those at 0 (Kuhn-Tucker)."""
    train, codes = clusters(400, spread=0.5)
    tune, truth = clusters(500, seed=1, spread=0.5)
    truth[::10] = -1
    score = Combined.fit(tune, truth, references=References(train.features, codes))

    signs = (_signs(tune, score.labels, score.all_texts) - score.centre) / score.scale
    wrong_by = 1 / (1 + np.exp(-score(tune))) - (tune.probabilities.argmax(axis=1) == truth)
    slope = signs.T @ wrong_by + score.weights

    assert 0 < (score.weights > 0).sum() < 6
    assert slope[score.weights > 0] == pytest.approx(0, abs=1e-3)
    assert (slope[score.weights == 0] >= 0).all()
    assert wrong_by.sum() == pytest.approx(0, abs=1e-3)


def test_the_combined_score_is_that_of_scikit_learn_where_no_weight_is_below_zero():
    rng = np.random.default_rng(0)
    signs = rng.normal(size=(400, 3))
    right = rng.random(400) < 1 / (1 + np.exp(-signs @ [2.0, 1.0, 0.5] - 1))
    peer = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(signs, right)

    weights, bias = _logistic(signs, right.astype(float))

    assert weights == pytest.approx(peer.coef_[0], abs=1e-4)
    assert bias == pytest.approx(peer.intercept_[0], abs=1e-4)


def test_the_combined_score_learns_from_out_of_scope_rows():
    """They lie between the labels with confident logits: only their distance gives them away."""
    rng = np.random.default_rng(0)
    train, codes = clusters(500)

    def rows(n, seed):
        inside, truth = clusters(n, seed=seed)
        between = rng.normal(size=(n // 4, 12))
        outside = inside.logits[rng.integers(n, size=n // 4)]
        features, z = (np.concatenate(pair) for pair in ((inside.features, between), (inside.logits, outside)))
        return placed(features, z), np.append(truth, np.full(n // 4, -1))

    (tune, truth), (test, test_truth) = rows(1000, 1), rows(1000, 2)
    score = Combined.fit(tune, truth, references=References(train.features, codes))

    assert auc(score(test), test_truth >= 0).value > auc(MaximumProbability()(test), test_truth >= 0).value + 0.3


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("truth", ["right", "wrong", "one"])
def test_rows_that_are_all_alike_are_fitted(kind, truth):
    rows, codes = clusters(50)
    best = rows.probabilities.argmax(axis=1)
    codes = {"right": best, "wrong": (best + 1) % 5, "one": np.zeros(50, int)}[truth]

    assert np.isfinite(kind.fit(rows, codes)(rows)).all()


@pytest.mark.parametrize("kind", ALL)
def test_ties_everywhere_stay_ties(kind):
    rows = placed(np.ones((40, 12)), np.zeros((40, 5)))

    confidence = kind.fit(rows, np.arange(40) % 5)(rows)

    assert np.isfinite(confidence).all()
    assert len(np.unique(confidence)) == 1


@pytest.mark.parametrize("kind", ALL)
def test_ten_thousand_labels_are_scored(kind):
    rng = np.random.default_rng(0)
    rows = placed(rng.normal(size=(60, 8)), rng.normal(size=(60, 10_000)).astype(np.float32))

    assert np.isfinite(kind.fit(rows, rng.integers(10_000, size=60))(rows)).all()


@pytest.mark.parametrize("kind", [*DISTANCES, Familiarity, Combined])
def test_features_that_are_not_finite_have_no_confidence(kind):
    rows, codes = clusters(50)
    gappy = rows.features.copy()
    gappy[3, 2] = np.nan

    confidence = kind.fit(rows, codes)(placed(gappy, rows.logits))

    assert np.flatnonzero(np.isnan(confidence)).tolist() == [3]
    assert np.isfinite(kind.fit(placed(gappy, rows.logits), codes)(rows)).all()


@pytest.mark.parametrize("kind", [Familiarity, Combined])
def test_no_row_to_learn_from_is_refused(kind):
    z = np.full((3, 2), np.nan)

    with pytest.raises(InputError, match=r"at least one .*row that can be read, got 0$"):
        kind.fit(Evidence(z, Outputs(z)), [0, 1, 0])
