"""Two kinds of text, bounded apart and mixed: the published values, the three bounds, and shares that move."""

import numpy as np
import pytest
from scipy.stats import binomtest

from elsewise.errors import InputError
from elsewise.rules import CertifiedThreshold
from elsewise.rules.fixed_sequence import BinomialTest
from elsewise.rules.out_of_scope_share import Strata, mixed_risk

NAN = float("nan")


def column(confidence):
    s = np.asarray(confidence, dtype=np.float64)
    return np.column_stack([s, 1 - s])


def rows(inside, errors, outside, answered_outside):
    """In-scope rows, all sure; out-of-scope rows, some of them sure."""
    s = np.repeat([0.9, 0.9, 0.6], [inside, answered_outside, outside - answered_outside])
    codes = np.repeat([1, 0, -1], [errors, inside - errors, outside])
    return column(s), codes


@pytest.mark.parametrize(
    ("pi", "f", "c", "r", "risk"),
    [(0.182, 0.477, 0.95, 0.02, 0.1185), (0.1, 0.1, 0.9, 0.02, 0.0320), (0, 1, 0.5, 0.02, 0.02), (1, 0.5, 0, 0, 1)],
)
def test_the_formula_has_the_known_values(pi, f, c, r, risk):
    assert mixed_risk(pi, f, c, r) == pytest.approx(risk, abs=5e-5)


def test_nothing_answered_is_no_risk():
    assert mixed_risk(0.1, 0.0, 0.0, 0.5) == 0


def test_the_risk_grows_with_f_r_and_share_and_falls_with_c():
    rng = np.random.default_rng(0)
    pi, f, c, r = rng.uniform(0.01, 0.99, size=(4, 1000))
    more = 0.01

    plain = mixed_risk(pi, f, c, r)

    assert (mixed_risk(np.minimum(pi + more, 1), f, c, r) >= plain).all()
    assert (mixed_risk(pi, f + more, c, r) >= plain).all()
    assert (mixed_risk(pi, f, c, r + more) >= plain).all()
    assert (mixed_risk(pi, f, c + more, r) <= plain).all()


def bounds(p, codes):
    """What the two kinds of row say of the threshold 0.6, at 95 %."""
    s, truth = p[:, 0], np.asarray(codes)
    return Strata.of(s, truth != 0, truth, 1.0).bounds(np.array([0.6]), 0.05)


def measured_risk(found, share):
    return mixed_risk(share, found.f, found.c, found.r)[0]


def test_the_mixture_has_the_known_risks_and_exact_bounds():
    s = np.repeat([0.9, 0.5, 0.9, 0.5], [950, 50, 477, 523])
    codes = np.repeat([1, 0, -1], [19, 981, 1000])
    codes[950:1000] = 1

    found, shares = bounds(column(s), codes), (0, 0.05, 0.182)

    f = binomtest(477, 1000, alternative="less").proportion_ci(1 - 0.05 / 3).high
    r = binomtest(19, 950, alternative="less").proportion_ci(1 - 0.05 / 3).high
    c = binomtest(950, 1000, alternative="greater").proportion_ci(1 - 0.05 / 3).low
    measured = [measured_risk(found, share) for share in shares]
    assert measured == pytest.approx([0.02, mixed_risk(0.05, 0.477, 0.95, 0.02), 0.1185], abs=5e-5)
    assert [found.upper(share)[0] for share in shares] == pytest.approx([mixed_risk(pi, f, c, r) for pi in shares])


def test_the_other_sides_are_bounded_exactly_too():
    truth = np.repeat([1, 0, -1], [19, 931, 1000])
    confidence = np.repeat([0.9, 0.5, 0.9, 0.5], [900, 50, 477, 523])

    f_low, c_high, r_low = Strata.of(confidence, truth != 0, truth, 1.0).best_bounds(np.array([0.6]), 0.05)

    f = binomtest(477, 1000, alternative="greater").proportion_ci(1 - 0.05 / 3).low
    c = binomtest(900, 950, alternative="less").proportion_ci(1 - 0.05 / 3).high
    r = binomtest(19, 900, alternative="greater").proportion_ci(1 - 0.05 / 3).low
    assert (f_low[0], c_high[0], r_low[0]) == pytest.approx((f, c, r))


def test_without_out_of_scope_rows_all_are_taken_as_answered():
    found = bounds(column([0.9] * 90 + [0.5] * 10), [0] * 100)

    assert [measured_risk(found, share) for share in (0, 0.1)] == pytest.approx([0, mixed_risk(0.1, 1, 0.9, 0)])
    assert found.upper(0.1)[0] > measured_risk(found, 0.1)


@pytest.mark.parametrize("share", [-0.1, 1.1, NAN])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(InputError, match=r"^out_of_scope_share must lie in 0\.\.1, got"):
        CertifiedThreshold.fit(column([0.9]), [0], reference=column([0.9]), out_of_scope_share=share)


def certify(p, codes, share, **options):
    return CertifiedThreshold.fit(p, codes, reference=column([0.9, 0.6]), out_of_scope_share=share, **options)


def test_a_stated_share_is_certified_where_three_bounds_allow_it():
    """1,000 in-scope rows with 10 errors, 500 out-of-scope ones of which 5 are answered."""
    p, codes = rows(1000, 10, 500, 5)
    f = binomtest(5, 500, alternative="less").proportion_ci(1 - 0.05 / 3).high
    r = binomtest(10, 1000, alternative="less").proportion_ci(1 - 0.05 / 3).high
    c = binomtest(1000, 1000, alternative="greater").proportion_ci(1 - 0.05 / 3).low
    largest = next(share for share in np.linspace(1, 0, 10_001) if mixed_risk(share, f, c, r) <= 0.05)

    certified = certify(p, codes, largest).certificate

    assert certified.certified
    assert not certify(p, codes, largest + 0.001).certificate.certified
    assert certified.threshold == 0.9
    assert (certified.n, certified.errors, certified.rows) == (1005, 15, 1500)
    assert certified.out_of_scope_share == largest


def test_what_is_promised_of_a_stated_share_is_said():
    c = certify(*rows(1000, 10, 500, 5), 0.1).certificate

    assert c.sentence == (
        "At least 95 % of what is answered is right, at confidence level 95 %, where up to 10 % of the texts are "
        "out-of-scope: of 1,000 labelled in-scope texts kept aside for this test, 1,000 were answered and 10 of those "
        "wrongly; 5 of 500 out-of-scope texts were answered, taken as 2.45 % at most (exact bounds of both kinds of "
        "text, fixed sequence). The confidence is over the draw of those texts: at most 5 % of such draws would "
        "promise too much. It holds for texts of each kind that come from the same source; a larger share is not "
        "covered."
    )
    assert c.coverage == pytest.approx(0.9 + 0.1 * 0.01)
    assert c.coverage_low < c.coverage < c.coverage_high


def test_without_out_of_scope_rows_a_share_above_alpha_cannot_be_certified_and_it_says_so():
    p, codes = rows(1000, 0, 0, 0)

    assert not certify(p, codes, 0.06).certificate.certified
    small = certify(p, codes, 0.03).certificate
    assert small.certified
    assert "there was no out-of-scope text among them, and all that come are taken to be answered" in small.sentence


def test_a_share_of_none_is_the_plain_test_of_in_scope_rows():
    rng = np.random.default_rng(0)
    s = rng.uniform(0.5, 1, 1000)
    codes = (rng.random(1000) > 1 - 0.4 * (1 - s)).astype(int)
    codes[::7] = -1
    reference = column(rng.uniform(0.5, 1, 300))
    kept = codes >= 0

    mixed = CertifiedThreshold.fit(column(s), codes, reference=reference, out_of_scope_share=0.0, target_accuracy=0.9)
    plain = CertifiedThreshold.fit(column(s)[kept], codes[kept], reference=reference, target_accuracy=0.9)

    assert plain.certificate.certified
    assert mixed.threshold == plain.threshold


def test_rows_needed_would_do():
    """Four times the rows, with the shares kept, are certified where the plan says less than four times."""
    p, codes = rows(200, 2, 50, 1)

    needed = certify(p, codes, 0.1).certificate.rows_needed

    assert 250 < needed < 1500
    times = -(-needed // 250)
    assert certify(*rows(200 * times, 2 * times, 50 * times, times), 0.1).certificate.certified
    assert certify(*rows(200, 40, 50, 1), 0.1).certificate.rows_needed is None


def test_no_rows_promise_nothing():
    for p, codes in ((np.zeros((0, 2)), []), (column([0.9] * 5), [-1] * 5), (np.full((3, 2), NAN), [0, 0, 0])):
        certificate = certify(p, codes, 0.1).certificate

        assert not certificate.certified
        assert certificate.sentence.startswith("Nothing is promised")


def test_bounds_are_the_whole_range_where_nothing_is_known():
    strata = Strata.of(np.full(3, NAN), np.zeros(3, dtype=bool), np.array([0, 0, 0]), 0.1)

    bounds = strata.bounds(np.array([-np.inf]), 0.05)

    assert (bounds.f_high[0], bounds.c_low[0], bounds.r_high[0]) == (1, 0, 1)
    assert strata.upper(np.array([-np.inf]), 0.05)[0] == 1
    assert not strata.passed(np.array([-np.inf]), BinomialTest(0.05, 0.05))[0]


@pytest.mark.parametrize("share", [None, 0.0, 0.1])
def test_a_rule_remembers_the_share_that_it_was_asked_for(share):
    s, codes = np.full(600, 0.9), np.zeros(600, dtype=int)
    codes[:3] = -1

    assert (
        CertifiedThreshold.fit(column(s), codes, reference=column([0.9]), out_of_scope_share=share).asked[
            "out_of_scope_share"
        ]
        == share
    )
