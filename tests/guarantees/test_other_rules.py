"""The promises of the other certified rules, judged as in test_certified_threshold: labels, mixtures, margins, bands.

The truths are flat and just failing wherever a rule has no room: accuracy 0.94999 at every threshold, so every
promise of 0.95 is false. Each rule has a wrong twin beside it, which must be caught.
"""

import numpy as np
import pytest

from elsewise.outputs import Evidence
from elsewise.rules import AccuracyBand, BandThreshold, ByLabel, CertifiedThreshold
from elsewise.rules.fixed_sequence import BinomialTest, Counts, grid_of, last_passed
from elsewise.rules.out_of_scope_share import Strata, mixed_risk
from support.known_truths import ALPHA, DELTA, allowed, report

JUST_FAILING = 0.94999

trials_each = pytest.mark.parametrize("trials", [150, pytest.param(2000, marks=pytest.mark.guarantee)])
fewer_trials_each = pytest.mark.parametrize("trials", [60, pytest.param(2000, marks=pytest.mark.guarantee)])


# Labels: k groups of predictions, confidence above 1/2 so that the best label is the one that was drawn.


def labelled(rng, n, shares, accuracy):
    """Probabilities (n, k) with a best label drawn from `shares`, right with that label's accuracy."""
    k = len(shares)
    best, s = rng.choice(k, size=n, p=shares), rng.uniform(0.55, 1, size=n)
    p = np.repeat(((1 - s) / (k - 1))[:, None], k, axis=1)
    p[np.arange(n), best] = s
    right = rng.random(n) < np.broadcast_to(accuracy, k)[best]
    return p, np.where(right, best, (best + 1) % k)


EVEN = np.full(5, 0.2)
UNEVEN = np.array([0.4, 0.3, *[0.03] * 10])
NEAR_THE_LIMIT = np.array([0.55, *[0.075] * 6])  # 75 of 1,000 rows expected: now tested alone, now pooled


def by_label(rng, shares, accuracy, **options):
    p, codes = labelled(rng, 1000, shares, accuracy)
    return ByLabel.fit(p, codes, reference=labelled(rng, 500, shares, accuracy)[0], **options)


@fewer_trials_each
@pytest.mark.parametrize("shares", [EVEN, UNEVEN, NEAR_THE_LIMIT], ids=["even", "uneven", "near the limit"])
def test_promises_of_all_labels_hold_together(shares, trials):
    rng = np.random.default_rng(40)

    false = sum(by_label(rng, shares, JUST_FAILING, joint=True).certificate.certified for _ in range(trials))

    report(false=false)
    assert false <= allowed(trials)


@fewer_trials_each
def test_promises_hold_for_each_label_singly(trials):
    rng, false = np.random.default_rng(41), np.zeros(5)
    for _ in range(trials):
        false += by_label(rng, EVEN, JUST_FAILING).certified_labels

    report(most=false.max())
    assert false.max() <= allowed(trials)


@fewer_trials_each
def test_promises_of_single_labels_do_not_hold_together(trials):
    """The wrong twin of the joint rule: eight tests at 5 % each."""
    rng, eight = np.random.default_rng(42), np.full(8, 1 / 8)

    false = sum(by_label(rng, eight, JUST_FAILING).certificate.certified for _ in range(trials))

    report(false=false)
    assert false > allowed(trials)


@fewer_trials_each
def test_the_pool_of_rare_labels_keeps_its_promise_when_its_labels_differ(trials):
    """Rare labels are wrong at 2 % and at 8.002 %, half and half: the pool just fails, the others are faultless."""
    shares = np.array([0.5, 0.125, 0.125, 0.0625, 0.0625, 0.0625, 0.0625])
    accuracy = np.array([1, 0.98, 0.91998, 0.98, 0.91998, 0.98, 0.91998])
    rng, false, pooled = np.random.default_rng(43), 0, 0
    for _ in range(trials):
        p, codes = labelled(rng, 500, shares, accuracy)
        rule = ByLabel.fit(p, codes, reference=labelled(rng, 500, shares, accuracy)[0], joint=True)
        whole = [c for c, name in zip(rule.certificates, rule.names, strict=True) if name == "rare labels"]
        true = [
            shares[np.array(rule.groups) == g] @ (1 - accuracy[np.array(rule.groups) == g])
            > ALPHA * shares[np.array(rule.groups) == g].sum()
            for g in range(len(rule.names))
        ]
        pooled += bool(whole)
        false += any(c.certified and bad for c, bad in zip(rule.certificates, true, strict=True))

    report(false=false, pooled=pooled)
    assert pooled > trials / 2
    assert false <= allowed(trials)


def pooled_by_luck(rng, k=40):
    """The wrong twin: of many small groups keep those that had the fewest errors, and test them as one."""
    p, codes = labelled(rng, 1000, np.full(k, 1 / k), JUST_FAILING)
    best = p.argmax(axis=1)
    wrong = best != codes
    rates = np.bincount(best, weights=wrong, minlength=k) / np.bincount(best, minlength=k)
    kept = np.isin(best, np.argsort(rates)[: k // 2])
    return bool(BinomialTest(ALPHA, DELTA).passed(np.array([kept.sum()]), np.array([wrong[kept].sum()]))[0])


@trials_each
def test_groups_that_were_chosen_by_their_errors_are_caught(trials):
    rng = np.random.default_rng(44)

    false = sum(pooled_by_luck(rng) for _ in range(trials))

    report(false=false)
    assert false > allowed(trials)


# Mixtures: in-scope and out-of-scope rows, and a share of out-of-scope texts that the certify rows do not have.

F = 0.1  # out-of-scope texts are answered a tenth as often at every threshold: the risk depends on f / c alone


def strata(rng, n, m, r):
    """In-scope rows, uniform confidences, wrong at r; out-of-scope rows answered F times as often at each threshold."""
    inside, outside = rng.uniform(0.5, 1, size=n), rng.uniform(0.5, 1, size=m)
    outside = np.where(rng.random(m) < F, outside, 0.4)
    wrong = np.concatenate([rng.random(n) < r, np.ones(m, dtype=bool)])
    return np.concatenate([inside, outside]), wrong, np.repeat([0, -1], [n, m])


def rate_that_just_fails(share):
    """Error rate r in-scope so that the mixture is wrong in 5.001 %: share F + (1 - share) r = 0.05001 of the sum."""
    answered = share * F + 1 - share
    return ((1 - JUST_FAILING) * answered - share * F) / (1 - share)


def certified_for(rng, share, rule):
    s, wrong, truth = strata(rng, 1500, 400, rate_that_just_fails(share))
    sample, promise = Strata.of(s, wrong, truth, share), BinomialTest(ALPHA, DELTA)
    grid = grid_of(np.sort(rng.uniform(0.5, 1, 500))[::-1], sample.first_coverage(promise))
    return last_passed(grid, rule(sample, grid, promise)) < np.inf


def ours(sample, grid, promise):
    return sample.passed(grid, promise)


def as_measured(sample, grid, promise):
    found = sample.bounds(grid, promise.delta)
    return mixed_risk(sample.share, found.f, found.c, found.r) <= promise.alpha


def as_they_stand(sample, grid, promise):
    """The plain test of in-scope rows, blind to the out-of-scope texts to come."""
    return sample.inside.passed(grid, promise)


def test_the_mixture_just_fails_at_every_threshold():
    for share in (0.1, 0.2):
        assert mixed_risk(share, F * 0.3, 0.3, rate_that_just_fails(share)) == pytest.approx(0.05001)


@trials_each
@pytest.mark.parametrize("share", [0.0, 0.1, 0.2])
def test_promises_for_a_stated_share_are_kept(share, trials):
    rng = np.random.default_rng(45)

    false = sum(certified_for(rng, share, ours) for _ in range(trials))

    report(false=false)
    assert false <= allowed(trials)


@trials_each
@pytest.mark.parametrize("rule", [as_measured, as_they_stand])
def test_wrong_mixtures_are_caught(rule, trials):
    rng = np.random.default_rng(46)

    false = sum(certified_for(rng, 0.2, rule) for _ in range(trials))

    report(false=false)
    assert false > allowed(trials)


# The margin: close calls are worse, what is left is just failing.


def with_close_calls(rng, n):
    """Three labels; a margin of 0.2 bars half of the rows, which are wrong half the time."""
    first, close = rng.uniform(0.55, 0.6, size=n), rng.random(n) < 0.5
    second = np.where(close, first - 0.15, first - 0.25)
    p = np.column_stack([first, np.minimum(second, 1 - first), np.zeros(n)])
    p[:, 2] = 1 - p[:, 0] - p[:, 1]
    barred = p[:, 0] - p[:, 1] < 0.2
    return p, np.where(rng.random(n) < np.where(barred, 0.5, 1 - JUST_FAILING), 1, 0)


def certify_close_calls(rng):
    p, codes = with_close_calls(rng, 1000)
    return CertifiedThreshold.fit(p, codes, reference=with_close_calls(rng, 500)[0], ambiguity_margin=0.2).certificate


@trials_each
def test_promises_behind_a_margin_are_kept(trials):
    rng = np.random.default_rng(47)

    false = sum(certify_close_calls(rng).certified for _ in range(trials))

    report(false=false)
    assert false <= allowed(trials)


@trials_each
def test_a_margin_that_is_chosen_by_its_errors_is_caught(trials):
    """The wrong twin: of twenty margins that all leave just failing rows, certify the luckiest."""
    rng, false = np.random.default_rng(48), 0
    for _ in range(trials):
        gap, wrong = rng.random(1000), rng.random(1000) > JUST_FAILING
        margins = np.linspace(0, 0.8, 20)
        n, errors = (gap[:, None] >= margins).sum(axis=0), ((gap[:, None] >= margins) & wrong[:, None]).sum(axis=0)
        false += BinomialTest(ALPHA, DELTA).passed(n, errors).any()

    report(false=false)
    assert false > allowed(trials)


# The band: any of its bounds above the truth is a violation, whichever threshold is chosen.


def risk_between(rng, n, slope):
    """Confidence s uniform on 0..1; the share of errors above t is a + slope (1 - (1 + t) / 2), linear in t."""
    s = rng.random(n)
    return s, rng.random(n) < 0.05 + slope * (1 - s)


def true_accuracy(thresholds, slope):
    t = np.clip(thresholds, 0, 1)
    return 1 - 0.05 - slope * (1 - t) / 2


def column(s):
    return Evidence(np.column_stack([(1 + s) / 2, (1 - s) / 2]))


def band(rng, slope):
    s, wrong = risk_between(rng, 1000, slope)
    return AccuracyBand.fit(column(s), wrong.astype(int), reference=column(risk_between(rng, 500, slope)[0]))


@trials_each
@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_all_bounds_of_a_band_hold_at_once(slope, trials):
    rng, false = np.random.default_rng(49), 0
    for _ in range(trials):
        made = band(rng, slope)
        false += (made.accuracy_low > true_accuracy(2 * made.thresholds - 1, slope)).any()

    report(false=false)
    assert false <= allowed(trials)


@trials_each
def test_a_threshold_that_is_chosen_to_break_the_promise_breaks_it_seldom(trials):
    """Whoever chooses looks at all thresholds, knows the truth, and takes the one that promises most beyond it."""
    slope, rng, false = 0.2, np.random.default_rng(53), 0
    for _ in range(trials):
        s, wrong = risk_between(rng, 1000, slope)
        rows = (column(s), wrong.astype(int))
        reference = column(risk_between(rng, 500, slope)[0])
        made = AccuracyBand.fit(*rows, reference=reference)
        beyond = made.accuracy_low - true_accuracy(2 * made.thresholds - 1, slope)
        chosen = BandThreshold.fit(*rows, reference=reference, threshold=made.thresholds[int(beyond.argmax())])
        false += chosen.certificate.target_accuracy > true_accuracy(2 * chosen.threshold - 1, slope)

    report(false=false)
    assert false <= allowed(trials)


@trials_each
def test_a_band_of_single_bounds_is_caught(trials):
    rng, false = np.random.default_rng(50), 0
    for _ in range(trials):
        s, wrong = risk_between(rng, 1000, 0.0)
        low = 1 - Counts.of(s, wrong).upper(np.append(np.linspace(0.9, 0.05, 19), -np.inf), DELTA)
        false += (low > 0.95).any()

    report(false=false)
    assert false > allowed(trials)


# Looks: several targets on the same rows.


def targets_at_once(rng, targets):
    """Accuracy rises in steps, each just below a target: one promise that is false is one violation."""
    n, k = 1000, len(targets)
    s = rng.random(n)
    wrong = rng.random(n) < 1 - np.array(targets)[np.minimum((s * k).astype(int), k - 1)] + 1e-5
    return s, wrong


@trials_each
def test_several_targets_hold_together_at_the_stated_level(trials):
    targets, rng, false = (0.9, 0.93, 0.95), np.random.default_rng(51), 0
    for _ in range(trials):
        s, wrong = targets_at_once(rng, targets)
        p, reference = column(s), column(targets_at_once(rng, targets)[0])
        rules = [
            CertifiedThreshold.fit(p, wrong.astype(int), reference=reference, target_accuracy=target, looks=3)
            for target in targets
        ]
        truth = [true_of_steps(2 * rule.threshold - 1, targets) for rule in rules]
        false += any(accuracy < target for accuracy, target in zip(truth, targets, strict=True))

    assert {rule.certificate.looks for rule in rules} == {3}
    report(false=false)
    assert false <= allowed(trials, 3 * DELTA)


def true_of_steps(t, targets):
    """Accuracy above t where it is a step function of s: the mean over the steps that are left; 1 for no answers."""
    if t == np.inf:
        return 1.0
    edges = np.linspace(0, 1, len(targets) + 1)
    left = np.clip(edges[1:] - np.maximum(edges[:-1], max(t, 0.0)), 0, None)
    return float(left @ (np.array(targets) - 1e-5) / left.sum())


@trials_each
def test_the_luckiest_of_several_scores_is_caught(trials):
    """The wrong twin: ten looks at the same rows, told as one."""
    rng, false = np.random.default_rng(52), 0
    for _ in range(trials):
        wrong = rng.random(1000) > JUST_FAILING
        looks = (Counts.of(rng.random(1000), wrong) for _ in range(10))
        grid = grid_of(np.linspace(1, 0, 500), 0.2)
        false += any(last_passed(grid, counts.passed(grid, BinomialTest(ALPHA, DELTA))) < np.inf for counts in looks)

    report(false=false)
    assert false > allowed(trials)
