"""The promise where rows belong together: groups of rows, texts that come often, and rows of logits that are copied.

A model is right just too seldom, at every confidence, so that every certificate is false. At confidence level 0.95 a
correct rule gives one in 5 % of the trials at most. Beside each option is what happens without it.
"""

import numpy as np
import pytest
from scipy.stats import binom

import elsewise as ew
from elsewise.data.splits import LabelledTexts, split
from elsewise.rules import CertifiedThreshold

RIGHT = 0.9499  # the promise is 95 %


def most(trials):
    return int(binom.ppf(0.999, trials, 0.05))


def confidences(rows, seed):
    """Probabilities of the rows of a part: of each text its own."""
    s = 0.5 + np.random.default_rng(seed).random(10_000) / 2
    own = s[[int(text) for text in rows.texts]]
    return np.column_stack([own, 1 - own])


def is_promised(parts, seed):
    """Certify a model that always says 0, on the rows that are kept for it."""
    tune, certify = (confidences(rows, seed) for rows in (parts.tune, parts.certify))
    rule = CertifiedThreshold.fit(certify, parts.certify.codes, reference=tune, reference_codes=parts.tune.codes)
    return rule.certificate.certified


def in_groups(rng, correlation, groups=300, each=5):
    """Rows whose errors are as alike within a group as the intra-class correlation says."""
    size = 1 / correlation - 1
    risk = rng.beta((1 - RIGHT) * size, RIGHT * size, size=groups).repeat(each)
    texts = tuple(map(str, range(groups * each)))
    return LabelledTexts(texts, (rng.random(len(texts)) < risk).astype(np.int64), np.arange(groups).repeat(each))


def broken_in_groups(trials, correlation, *, by_group):
    broken = 0
    for seed in range(trials):
        rows = in_groups(np.random.default_rng(seed), correlation)
        rows = rows if by_group else LabelledTexts(rows.texts, rows.codes)
        broken += is_promised(
            split(rows, test=LabelledTexts((), rows.codes[:0], rows.groups), seed=seed, trains=False), seed
        )
    return broken


@pytest.mark.parametrize(
    ("trials", "correlation"),
    [(60, 0.999), *(pytest.param(2000, each, marks=pytest.mark.guarantee) for each in (0.6, 0.999))],
)
def test_groups_of_5_hold_the_level_by_group_and_break_it_without(trials, correlation):
    assert broken_in_groups(trials, correlation, by_group=True) <= most(trials)
    assert broken_in_groups(trials, correlation, by_group=False) > most(trials)


def traffic(rng, n=4000, often=0.12, torn=0.3):
    """Rows of which `often` have one of 40 frequent texts, with torn labels, and the others are right more often."""
    right = (RIGHT - often * (1 - torn)) / (1 - often)
    is_frequent = rng.random(n) < often
    texts = np.where(is_frequent, rng.integers(40, size=n), 40 + np.arange(n))
    wrong = rng.random(n) >= np.where(is_frequent, 1 - torn, right)
    return LabelledTexts(tuple(map(str, texts.tolist())), wrong.astype(np.int64))


def broken_on_traffic(trials, *, count_repeats):
    drawn = ((traffic(np.random.default_rng(seed)), seed) for seed in range(trials))
    return sum(is_promised(split(rows, seed=seed, count_repeats=count_repeats), seed) for rows, seed in drawn)


@pytest.mark.parametrize("trials", [40, pytest.param(2000, marks=pytest.mark.guarantee)])
def test_a_promise_about_all_texts_that_come_in_holds_where_repeats_count_and_breaks_otherwise(trials):
    assert broken_on_traffic(trials, count_repeats=True) <= most(trials)
    assert broken_on_traffic(trials, count_repeats=False) > trials / 2


def copied(rng, n=450, times=10):
    z = np.tile(3 * rng.normal(size=(n, 3)), (times, 1))
    best = z.argmax(axis=1)
    wrong = np.tile(rng.random(n) >= RIGHT, times)
    return z, np.where(wrong, (best + 1) % 3, best)


@pytest.mark.filterwarnings("ignore::elsewise.errors.ElsewiseWarning")
@pytest.mark.parametrize("trials", [15, pytest.param(400, marks=pytest.mark.guarantee)])
def test_logits_that_come_ten_times_hold_the_level_unless_they_are_counted(trials):
    drawn = [copied(np.random.default_rng(seed)) for seed in range(trials)]
    broken = {
        count: sum(ew.calibrate(*rows, count_repeats=count, strict=True).certificate.certified for rows in drawn)
        for count in (False, True)
    }

    assert broken[False] <= most(trials)
    assert broken[True] > most(trials)
