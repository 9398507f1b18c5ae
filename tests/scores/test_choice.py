"""A score is chosen on evidence: planted reasons are found, and chance is not."""

import numpy as np
import pytest

from elsewise.arrays import softmax
from elsewise.outputs import Evidence, Outputs, References
from elsewise.scores import Combined, Energy, MaximumProbability
from elsewise.scores.choice import OF_LOGITS, choose_score


def honest(n, seed=0, k=10, features=False):
    """Probabilities that are true: nothing tells right from wrong better than the largest."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, k)) * 3
    codes = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    return Evidence(softmax(z), Outputs(z, rng.normal(size=(n, 6)) if features else None)), codes


def loud_when_right(n, seed=0):
    """A constant added to all logits of right rows: energy sees it, softmax does not."""
    rows, codes = honest(n, seed)
    right = rows.probabilities.argmax(axis=1) == codes
    return Evidence(rows.probabilities, Outputs(rows.logits + 4.0 * right[:, None])), codes


@pytest.mark.slow
def test_maximum_probability_stays_where_nothing_is_better():
    """100 tune sets: at most 5 % plus three standard errors may be led astray by chance."""
    chosen = [choose_score(*honest(600, seed))[1]["chosen"] for seed in range(100)]

    assert np.mean([name != "maximum_probability" for name in chosen]) <= 0.05 + 3 * (0.05 * 0.95 / 100) ** 0.5


def test_a_score_that_is_better_is_found():
    score, record = choose_score(*loud_when_right(900))

    assert isinstance(score, Energy)
    assert record["chosen"] == "energy"
    assert record["compared"]["energy"]["low"] > 0
    assert (record["rows"], record["errors"]) == (900, int((~_right(*loud_when_right(900))).sum()))


def _right(rows, codes):
    return rows.probabilities.argmax(axis=1) == codes


def test_out_of_scope_rows_are_wrong_whatever_the_label():
    """They are far in features and confident in logits: only a distance, or all signs together, can tell."""
    rng = np.random.default_rng(0)
    rows, codes = honest(2000)
    codes[::8] = -1
    features = np.eye(10, 12)[rows.probabilities.argmax(axis=1)] + rng.normal(size=(2000, 12)) * 0.2
    features[::8] = rng.normal(size=(250, 12))
    references = References(np.eye(10, 12).repeat(50, axis=0) + rng.normal(size=(500, 12)) * 0.2, np.arange(500) // 50)

    score, record = choose_score(
        Evidence(rows.probabilities, Outputs(rows.logits, features)), codes, references=references
    )

    assert isinstance(score, Combined)
    assert record["compared"]["combined"]["value"] > max(
        gain["value"] for name, gain in record["compared"].items() if name != "combined"
    )


@pytest.mark.parametrize(
    ("n", "wrong", "compared"), [(499, 100, 0), (600, 29, 0), (600, 30, 5), (1000, 49, 5), (1000, 50, 6), (999, 100, 5)]
)
def test_few_rows_or_errors_choose_nothing(n, wrong, compared):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(n, 4)) * 3
    codes = z.argmax(axis=1)
    codes[:wrong] = (codes[:wrong] + 1) % 4

    _, record = choose_score(Evidence(softmax(z), Outputs(z)), codes)

    assert len(record["compared"]) == compared


def test_distances_need_references():
    rows, codes = honest(600, features=True)
    known = References(np.random.default_rng(1).normal(size=(50, 6)), np.arange(50) % 10)

    assert "mahalanobis" not in choose_score(rows, codes)[1]["compared"]
    assert "mahalanobis" in choose_score(rows, codes, references=known)[1]["compared"]
    assert set(choose_score(rows.probabilities, codes)[1]["compared"]) == {"margin", "entropy"}


def test_behind_a_cascade_no_score_needs_features():
    """Some texts have none: the encoder did not read them. They count all the same."""
    rows, codes = honest(2000, features=True)
    early = np.arange(2000) % 2 == 0
    features = np.where(early[:, None], np.nan, rows.features)
    known = References(rows.features[:60], codes[:60])
    some = Evidence(rows.probabilities, Outputs(rows.logits, features, early=early))

    _, record = choose_score(some, codes, references=known)

    assert record["rows"] == 2000
    assert set(record["compared"]) == set(OF_LOGITS)


def test_rows_that_cannot_be_read_are_left_out():
    rows, codes = loud_when_right(900)
    z = np.concatenate([rows.logits, np.full((30, 10), np.nan)])
    gappy = Evidence(np.concatenate([rows.probabilities, np.full((30, 10), np.nan)]), Outputs(z))

    assert choose_score(gappy, np.append(codes, np.zeros(30, int)))[1] == choose_score(rows, codes)[1]


def test_no_rows_keep_the_maximum_probability():
    assert isinstance(choose_score(np.zeros((0, 3)), [])[0], MaximumProbability)
