"""What all certifications share: promises, counts and the walk along the grid."""

import numpy as np
import pytest
from scipy.stats import binom

from elsewise.errors import InputError
from elsewise.metrics import clopper_pearson_upper
from elsewise.rules import AccuracyBand, ByLabel, CertifiedThreshold, plan
from elsewise.rules.fixed_sequence import BinomialTest, Counts, last_passed
from support.small_rules import copy_of

NAN = float("nan")


def test_a_test_passes_exactly_where_its_bound_does():
    """The duality of the binomial test and Clopper-Pearson, on every pair of counts up to 120."""
    n = np.repeat(np.arange(1, 121), np.arange(2, 122))
    k = np.concatenate([np.arange(m + 1) for m in range(1, 121)])
    for alpha, delta in ((0.05, 0.05), (0.1, 0.01), (0.3, 0.2)):
        passed = BinomialTest(alpha, delta).passed(n, k)

        assert np.array_equal(passed, clopper_pearson_upper(k, n, delta) <= alpha)
        assert np.array_equal(passed, binom.cdf(k, n, alpha) <= delta)


def test_sharing_a_promise_divides_delta():
    assert BinomialTest(0.05, 0.05).shared(5).delta == pytest.approx(0.01)
    assert [BinomialTest(0.05, 0.05).shared(m).fewest for m in (1, 50, 77, 150)] == [59, 135, 144, 157]


def test_nothing_passed_is_an_infinite_threshold():
    grid = np.array([0.9, 0.5, -np.inf])

    assert last_passed(grid, np.array([False, True, True])) == np.inf
    assert last_passed(grid, np.array([True, True, True])) == -np.inf


def test_rows_needed_are_the_fewest_that_pass_at_the_rate():
    """Against trying every number of rows, for one threshold that everything reaches."""
    promise = BinomialTest(0.05, 0.05)
    for n, errors in ((60, 1), (100, 2), (150, 4), (300, 10)):
        counts = Counts(np.full(n, 0.9), np.minimum(np.arange(n + 1), errors), n)
        needed = counts.rows_needed(np.array([-np.inf]), promise)

        assert binom.cdf(np.ceil(errors / n * needed), needed, 0.05) <= 0.05
        assert needed > n
        assert needed - 1 == n or binom.cdf(np.ceil(errors / n * (needed - 1)), needed - 1, 0.05) > 0.05


def rows(n, seed=0):
    rng = np.random.default_rng(seed)
    s = rng.uniform(0.5, 1, n)
    return np.column_stack([s, 1 - s]), (rng.random(n) > 1 - 0.4 * (1 - s)).astype(int)


def test_every_look_is_counted_and_moves_no_threshold():
    p, codes = rows(1000)
    reference = rows(300, seed=1)[0]

    first, fourth = (
        CertifiedThreshold.fit(p, codes, reference=reference, looks=n, target_accuracy=0.9) for n in (1, 4)
    )

    assert first.threshold == fourth.threshold
    assert (first.certificate.looks, fourth.certificate.looks) == (1, 4)
    assert "and all 4 looks at them hold together at 80 %" in fourth.certificate.sentence


def test_targets_and_looks_that_are_none_are_refused():
    p, codes = rows(100)
    reference = p.copy()
    for target in (0, 1, -0.5, 2, NAN):
        with pytest.raises(InputError, match=r"^target_accuracy must lie between 0 and 1, got"):
            CertifiedThreshold.fit(p, codes, reference=reference, target_accuracy=target)
    with pytest.raises(InputError, match=r"^looks must be at least 1, as this certification counts too, got 0$"):
        CertifiedThreshold.fit(p, codes, reference=reference, looks=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_margin_is_certified_as_it_is_served(dtype):
    """C33: what the certificate counted is what the rule answers on the same rows."""
    rng = np.random.default_rng(4)
    p = rng.dirichlet(np.full(4, 0.3), size=2000).astype(dtype)
    codes = (np.log(np.maximum(p, 1e-9)) + rng.gumbel(size=p.shape)).argmax(axis=1)
    reference = rng.dirichlet(np.full(4, 0.3), size=500).astype(dtype)

    rule = CertifiedThreshold.fit(p, codes, reference=reference, target_accuracy=0.85, ambiguity_margin=0.3)

    top = np.sort(p.astype(np.float64), axis=1)
    decisions = rule(p)
    answered = ~decisions.abstained
    assert rule.certificate.certified
    assert (rule.certificate.n, rule.certificate.errors) == (answered.sum(), (decisions.codes != codes)[answered].sum())
    assert not answered[top[:, -1] - top[:, -2] < 0.3].any()
    assert rule.certificate.rows == 2000


def test_rows_that_could_begin_stricter_are_asked_for():
    """200 rows, the surest half without error: 62 % of them have to be tested first, of 800 rows only 37 %."""
    s = np.linspace(0.99, 0.6, 200)
    p, codes = np.column_stack([s, 1 - s]), np.repeat([0, 1], [100, 100])

    certificate = CertifiedThreshold.fit(p, codes, reference=copy_of(p), target_accuracy=0.97).certificate

    assert not certificate.certified
    assert 200 < certificate.rows_needed <= 800
    s, codes = np.linspace(0.99, 0.6, 800), np.repeat([0, 1], [400, 400])
    more = CertifiedThreshold.fit(np.column_stack([s, 1 - s]), codes, reference=copy_of(p), target_accuracy=0.97)
    assert more.certificate.certified


FITS = {
    "certified": CertifiedThreshold.fit,
    "mixture": lambda *a, **o: CertifiedThreshold.fit(*a, out_of_scope_share=0.02, **o),
    "by label": ByLabel.fit,
    "jointly": lambda *a, **o: ByLabel.fit(*a, joint=True, **o),
    "fall back": lambda *a, **o: ByLabel.fit(*a, rare="fall_back", **o),
    "band": lambda *a, **o: AccuracyBand.fit(*a, **o).rule(target_accuracy=0.95),
    "plan": plan,
}


def alike(row, n, code):
    return np.tile(np.asarray(row, dtype=np.float64), (n, 1)), np.full(n, code)


SEVENTH = np.where(np.arange(10_000) == 7, 0.5, 0.5 / 9999)
ODD = {
    "all right": alike([0.7, 0.3], 400, 0),
    "even odds": alike([0.5, 0.5], 400, 0),
    "ten thousand labels": alike(SEVENTH, 400, 7),
    "all wrong": alike([0.7, 0.3], 400, 1),
    "all out-of-scope": alike([0.7, 0.3], 400, -1),
    "all unreadable": alike([NAN, NAN], 400, 0),
    "one row": alike([0.7, 0.3], 1, 0),
    "no row": alike([0.7, 0.3], 0, 0),
}
CERTIFIABLE = {"all right", "even odds", "ten thousand labels"}


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("kind", ODD)
def test_odd_rows_have_a_defined_answer(fit, kind):
    """Everywhere tied: all that is right is certified and answered, all else is not, and a sentence says so."""
    p, codes = ODD[kind]
    reference = ODD[kind if kind in CERTIFIABLE else "all right"][0].copy()

    found = FITS[fit](p, codes, reference=reference)

    assert found.certificate.certified == (kind in CERTIFIABLE)
    assert found.certificate.sentence
    if fit != "plan":
        assert found(p).abstained.all() == (kind not in CERTIFIABLE)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("target", [0, 1, -1, 2, NAN])
def test_a_confidence_level_or_target_that_is_no_share_is_refused(fit, target):
    p, codes = ODD["all right"]
    with pytest.raises(InputError, match=r"^confidence_level must lie between 0 and 1, got"):
        FITS[fit](p, codes, reference=copy_of(p), confidence_level=target)
    if fit != "band":
        with pytest.raises(InputError, match=r"^target_accuracy must lie between 0 and 1, got"):
            FITS[fit](p, codes, reference=copy_of(p), target_accuracy=target)


@pytest.mark.slow
@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("share", [1, 0.5, 0.1])
def test_certify_rows_that_are_reference_rows_too_are_refused_whatever_array_they_lie_in(fit, share):
    """Thresholds chosen on the rows that test them: a promise would be broken in 60 of 300 draws instead of 15."""
    p = np.random.default_rng(0).dirichlet(np.ones(3), size=600)
    codes, copies = np.zeros(300, dtype=int), int(300 * share)
    tune = np.vstack([p[:copies], p[300 + copies :]])

    with pytest.raises(InputError, match=rf"^{copies} of 300 certify rows are reference rows too: "):
        FITS[fit](p[:300], codes, reference=tune)

    FITS[fit](p[:300], codes, reference=p[300:])


def test_rows_that_a_model_repeats_by_itself_and_unreadable_ones_are_no_copies():
    """A model that gives one of twenty answers, and one that fails on a tenth of the texts."""
    rng = np.random.default_rng(1)
    few, unreadable = rng.dirichlet(np.ones(3), size=20)[rng.integers(20, size=600)], rng.dirichlet(np.ones(3), 600)
    unreadable[::10] = np.nan

    rounded = rng.random(600).round(3)
    for p in (few, unreadable, np.column_stack([rounded, 1 - rounded])):
        CertifiedThreshold.fit(p[:300], np.zeros(300, dtype=int), reference=p[300:])
