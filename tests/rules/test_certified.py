"""The certified threshold: hand cases, edges, and the pseudo-code of its definition as an oracle."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from elsewise.arrays import softmax
from elsewise.errors import InputError
from elsewise.outputs import Evidence, Outputs
from elsewise.rules import CertifiedThreshold
from elsewise.rules.fixed_sequence import BinomialTest, Counts, last_passed
from elsewise.rules.fixed_sequence import certify as certify_counts
from elsewise.scores import Energy, Margin
from support.small_rules import copy_of

NAN = float("nan")


def column(confidence):
    """Two columns of probabilities whose larger one is `confidence`, all for label 0."""
    s = np.asarray(confidence, dtype=np.float64)
    return np.column_stack([s, 1 - s])


def rows(right, wrong, confidence=0.9):
    return np.tile([confidence, 1 - confidence], (right + wrong, 1)), np.repeat([0, 1], [right, wrong])


def certify(right, wrong, **options):
    p, codes = rows(right, wrong)
    return CertifiedThreshold.fit(p, codes, reference=copy_of(p), **options).certificate


def spread_rows(rng, n, *, k=3, out_of_scope=0.0, scale=2.0):
    """Probabilities of k labels and codes drawn from them, some out-of-scope."""
    p = softmax(rng.normal(size=(n, k)) * scale)
    codes = (np.log(p) + rng.gumbel(size=p.shape)).argmax(axis=1)
    return p, np.where(rng.random(n) < out_of_scope, -1, codes)


@pytest.mark.parametrize(
    ("target", "errors", "fewest"),
    [(0.95, 0, 59), (0.95, 1, 93), (0.95, 5, 208), (0.90, 2, 61), (0.98, 0, 149), (0.98, 3, 386), (0.99, 1, 473)],
)
def test_the_fewest_rows_that_certify_are_the_tabulated_ones(target, errors, fewest):
    """All rows alike: one threshold, so the table of single binomial tests applies."""
    assert certify(fewest - errors, errors, target_accuracy=target).certified
    assert not certify(fewest - errors - 1, errors, target_accuracy=target).certified


@pytest.mark.parametrize(
    ("target", "level", "fewest"), [(0.5, 0.875, 3), (0.5, 0.75, 2), (0.9, 0.9, 22), (0.8, 0.96, 15)]
)
def test_a_test_that_passes_exactly_passes(target, level, fewest):
    """0.5 ** 3 is 1 - 0.875 to the last bit; 0.8 ** 15 = 0.0352 and 0.8 ** 14 = 0.0440."""
    assert certify(fewest, 0, target_accuracy=target, confidence_level=level).certified
    assert not certify(fewest - 1, 0, target_accuracy=target, confidence_level=level).certified


def test_all_answered_has_no_threshold_at_all():
    """196 of 200 right; an upper bound of 4.5 % on the errors."""
    certificate = certify(196, 4)

    assert certificate.threshold == -math.inf
    assert (certificate.n, certificate.errors, certificate.rows) == (200, 4, 200)
    assert certificate.coverage == certificate.coverage_high == 1
    assert certificate.coverage_low == pytest.approx(0.025 ** (1 / 200))
    assert certificate.rows_needed is None
    assert certificate.sentence.startswith(
        "At least 95 % of what is answered is right, at confidence level 95 %: of 200 labelled texts kept aside for "
        "this test, 200 were answered and 4 of those wrongly"
    )


def test_two_levels_of_confidence_are_parted():
    """200 sure rows without error, 200 unsure ones half wrong: the threshold is the sure ones' confidence."""
    p = column([0.9] * 200 + [0.6] * 200)
    codes = np.array([0] * 300 + [1] * 100)

    rule = CertifiedThreshold.fit(p, codes, reference=p.copy())

    assert rule.threshold == 0.9
    assert (rule.certificate.n, rule.certificate.errors, rule.certificate.coverage) == (200, 0, 0.5)
    assert rule(column([0.9, np.nextafter(0.9, 0)])).abstained.tolist() == [False, True]


def test_the_first_failure_ends_the_search():
    """The surest 100 rows are half wrong, the next 900 all right: answering all would pass, and is not reached."""
    p = column(np.linspace(0.99, 0.6, 1000))
    codes = np.array([0, 1] * 20 + [0] * 960)

    certificate = CertifiedThreshold.fit(p, codes, reference=copy_of(p), target_accuracy=0.94).certificate

    assert binom.cdf(20, 1000, 0.06) < 0.05
    assert not certificate.certified
    assert certificate.threshold == math.inf


@pytest.mark.parametrize("n", [0, 1, 58])
def test_too_few_rows_say_how_many_are_needed(n):
    certificate = (
        certify(n, 0) if n else CertifiedThreshold.fit(np.zeros((0, 2)), [], reference=column([0.9])).certificate
    )

    assert (certificate.certified, certificate.rows_needed, certificate.threshold) == (False, 59, math.inf)
    assert (certificate.n, certificate.errors, certificate.coverage, certificate.coverage_low) == (0, 0, 0, 0)
    assert "at least 59 such rows would be needed, more if some are answered wrongly" in certificate.sentence


@pytest.mark.parametrize(
    ("right", "wrong", "needed"), [(59, 1, 93), (98, 2, 208 + 42), (190, 10, None), (0, 300, None)]
)
def test_rows_needed_keep_the_share_of_errors(right, wrong, needed):
    """At 1 in 60, 93 rows hold 2 errors: needs 124 of them, which hold 3, ... found by trying every number of rows."""
    rate = wrong / (right + wrong)
    tried = (m for m in range(59, 5000) if rate < 0.05 and binom.cdf(math.ceil(rate * m), m, 0.05) <= 0.05)

    certificate = certify(right, wrong)

    assert not certificate.certified
    assert certificate.rows_needed is None if needed is None else certificate.rows_needed >= next(tried)
    assert needed is None or binom.cdf(math.ceil(rate * certificate.rows_needed), certificate.rows_needed, 0.05) <= 0.05


def test_more_rows_than_there_are_are_asked_for_whenever_any_are():
    """Also where looser thresholds would pass by themselves, and are not reached."""
    rng, asked = np.random.default_rng(0), 0
    for _ in range(200):
        n = int(rng.integers(59, 300))
        p, codes = column(rng.uniform(0.5, 1, size=n)), (rng.random(n) < rng.choice([0.005, 0.02])).astype(np.int64)
        certificate = CertifiedThreshold.fit(p, codes, reference=column(rng.uniform(0.5, 1, size=100))).certificate

        asked += certificate.rows_needed is not None
        assert certificate.rows_needed is None or certificate.rows_needed > certificate.rows

    assert asked > 20


@pytest.mark.parametrize("n", [75, 100, 120])
def test_a_faultless_model_is_certified_on_few_rows(n):
    """A first step at half of 75 rows could never pass: 59 are the fewest. Certain at n = 75, so in 20 of 20."""
    rng = np.random.default_rng(n)
    for _ in range(20):
        p = column(rng.uniform(0.5, 1, size=n))
        certificate = CertifiedThreshold.fit(
            p, np.zeros(n), reference=column(rng.uniform(0.5, 1, size=400))
        ).certificate

        assert certificate.certified
        assert certificate.coverage > 0.9


def test_best_accuracy_is_the_bound_at_the_best_of_all_thresholds():
    """One value of confidence: two thresholds, it and "all", so each bound at half of 5 %."""
    assert certify(58, 0).best_accuracy == pytest.approx(0.025 ** (1 / 58))
    assert certify(0, 10).best_accuracy == 0
    upper = binomtest(10, 200, alternative="less").proportion_ci(0.975).high
    assert certify(190, 10).best_accuracy == pytest.approx(1 - upper)


def test_the_coverage_has_its_exact_interval():
    p = column([0.9] * 200 + [0.6] * 200)

    certificate = CertifiedThreshold.fit(
        p, [0] * 300 + [1] * 100, reference=copy_of(p), confidence_level=0.9
    ).certificate

    exact = binomtest(200, 400).proportion_ci(0.9, method="exact")
    assert (certificate.coverage_low, certificate.coverage_high) == pytest.approx((exact.low, exact.high))


def test_out_of_scope_rows_that_are_answered_are_errors():
    p, codes = rows(200, 0)
    codes[:30] = -1

    certificate = CertifiedThreshold.fit(p, codes, reference=copy_of(p), target_accuracy=0.8).certificate

    assert (certificate.n, certificate.errors) == (200, 30)
    assert certificate.out_of_scope_share == 0.15
    assert "15 % of them out-of-scope" in certificate.sentence


@pytest.mark.parametrize(
    ("pi", "f", "c", "r", "error"), [(0.182, 0.477, 0.95, 0.02, 0.1185), (0.1, 0.1, 0.9, 0.02, 0.0320)]
)
def test_errors_of_a_mixture_follow_the_mixture_formula(pi, f, c, r, error):
    """(pi f + (1 - pi) c r) / (pi f + (1 - pi) c), as counts of a million rows."""
    n, out = 1_000_000, round(pi * 1_000_000)
    answered_in, answered_out = round(c * (n - out)), round(f * out)
    confidence = np.repeat([0.9, 0.6, 0.9, 0.6], [answered_in, n - out - answered_in, answered_out, out - answered_out])
    codes = np.zeros(n, dtype=np.int64)
    codes[: round(r * answered_in)] = codes[answered_in : n - out] = 1  # whoever is not answered would be wrong
    codes[n - out :] = -1

    test = CertifiedThreshold.fit(column(confidence), codes, reference=column([0.9]), target_accuracy=0.8).certificate
    mixture = (pi * f + (1 - pi) * c * r) / (pi * f + (1 - pi) * c)

    assert mixture == pytest.approx(error, abs=5e-5)
    assert test.threshold == 0.9
    assert test.errors / test.n == pytest.approx(mixture, abs=1e-5)


def test_unreadable_rows_are_counted_and_never_answered():
    p, codes = rows(100, 0)
    p = np.vstack([p, np.full((50, 2), NAN)])

    certificate = CertifiedThreshold.fit(p, np.append(codes, np.ones(50)), reference=copy_of(p)).certificate

    assert (certificate.rows, certificate.n, certificate.errors) == (150, 100, 0)
    assert certificate.coverage == pytest.approx(2 / 3)


def test_a_score_that_is_blind_to_unreadable_rows_is_served_as_it_was_certified():
    p, codes = rows(100, 0)
    p = np.vstack([p, np.full((50, 2), NAN)])

    rule = CertifiedThreshold.fit(
        p, np.append(codes, np.ones(50)), reference=copy_of(p), score=lambda e: np.ones(len(e))
    )

    assert (rule.certificate.n, rule.certificate.errors) == (100, 0)
    assert (~rule(p).abstained).sum() == 100


def test_ties_are_answered_together_or_not_at_all():
    rng = np.random.default_rng(1)
    s = rng.choice([0.5, 0.6, 0.7, 0.8, 0.9], size=4000)
    p, codes = column(s), (rng.random(4000) > s).astype(np.int64)

    rule = CertifiedThreshold.fit(p, codes, reference=p[::-1].copy(), target_accuracy=0.82)

    assert rule.threshold == 0.8
    assert rule.certificate.n == (s >= 0.8).sum() == (~rule(p).abstained).sum()


def test_the_order_of_rows_changes_nothing():
    rng = np.random.default_rng(2)
    p, codes = spread_rows(rng, 800, out_of_scope=0.05, scale=6.0)
    reference = spread_rows(rng, 300, scale=6.0)[0]
    order, other = rng.permutation(800), rng.permutation(300)

    plain = CertifiedThreshold.fit(p, codes, reference=reference, target_accuracy=0.8)
    shuffled = CertifiedThreshold.fit(p[order], codes[order], reference=reference[other], target_accuracy=0.8)

    assert plain.certificate.certified
    assert plain == shuffled


def test_a_harder_promise_never_has_a_looser_threshold():
    """On one fixed grid: the fitted grid itself moves with the promise, through its first step."""
    rng = np.random.default_rng(3)
    for _ in range(20):
        s = np.sort(rng.beta(8, 0.35, size=600))[::-1]
        wrong = rng.random(600) > 0.25 + 0.747 * s**4
        errors, grid = np.concatenate([[0], np.cumsum(wrong)]), np.append(np.linspace(0.999, 0.3, 40), -np.inf)

        def threshold(alpha, delta, s=s, errors=errors, grid=grid):
            return last_passed(grid, Counts(s, errors, 600).passed(grid, BinomialTest(alpha, delta)))

        by_alpha = [threshold(alpha, 0.05) for alpha in np.linspace(0.005, 0.5, 60)]
        by_delta = [threshold(0.07, delta) for delta in np.geomspace(1e-6, 0.5, 60)]

        for found in (by_alpha, by_delta):
            assert all(looser <= stricter for stricter, looser in pairwise(found))
            assert len(set(found)) > 3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("score", [None, Margin(), Energy()])
def test_what_serves_answers_exactly_what_was_certified(dtype, score):
    rng = np.random.default_rng(4)
    z = (rng.normal(size=(900, 6)) * 5).astype(dtype)
    codes = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    codes[::40] = -1
    rows, reference = (Evidence(softmax(part), Outputs(part)) for part in (z[:600], z[600:]))

    rule = CertifiedThreshold.fit(rows, codes[:600], reference=reference, target_accuracy=0.8, score=score)
    decisions = rule(rows)

    answered = ~decisions.abstained
    assert rule.certificate.certified
    assert rule.certificate.n == answered.sum() > 100
    assert rule.certificate.errors == (decisions.codes != codes[:600])[answered].sum()


def test_certify_rows_cannot_be_their_own_reference():
    p, codes = rows(100, 0)
    evidence, listed = Evidence(p), p.tolist()

    for own, reference in ((p, p), (p[:50], p[25:]), (evidence, evidence), (evidence, p), (listed, listed)):
        with pytest.raises(InputError, match=r"^the certify rows cannot be their own reference; pass tune rows"):
            CertifiedThreshold.fit(own, codes[: len(own)], reference=reference)


def test_the_grid_cannot_see_the_codes():
    """Whatever the codes are, the thresholds tried are the same: those of the reference."""
    rng = np.random.default_rng(5)
    p, reference = spread_rows(rng, 500)[0], spread_rows(rng, 200)[0]

    for codes in (p.argmax(axis=1), rng.integers(0, 3, 500)):
        threshold = CertifiedThreshold.fit(p, codes, reference=reference, target_accuracy=0.3).threshold
        assert threshold in {*reference.max(axis=1), math.inf, -math.inf}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_accuracy": 95}, "target_accuracy must lie between 0 and 1, got 95"),
        ({"target_accuracy": 1.0}, "target_accuracy must lie between 0 and 1, got 1.0"),
        ({"confidence_level": 0.0}, "confidence_level must lie between 0 and 1, got 0.0"),
        ({"confidence_level": NAN}, "confidence_level must lie between 0 and 1, got nan"),
        (
            {"reference": [[NAN, NAN]]},
            "the reference rows place the grid of thresholds: at least one readable row is needed, got 0",
        ),
    ],
)
def test_what_cannot_be_promised_is_refused(options, message):
    p, codes = rows(100, 0)

    with pytest.raises(InputError, match=f"^{message}$"):
        CertifiedThreshold.fit(p, codes, **{"reference": copy_of(p), **options})


def test_looks_are_counted_in_the_sentence():
    assert "looks at them" not in certify(100, 0).sentence
    assert "all 3 looks at them hold together at 85 %" in certify(100, 0, looks=3).sentence


def pseudo_code(p, codes, reference, alpha, delta):
    """The definition, one step after another, with scipy's binomial."""
    s, u = (
        [max(row) for row in p.tolist()],
        sorted((max(r) for r in reference.tolist() if not math.isnan(r[0])), reverse=True),
    )
    wrong = [row.argmax() != code for row, code in zip(p, codes, strict=True)]
    fewest = math.ceil(math.log(delta) / math.log(1 - alpha))
    first = min(3 * fewest / len(s), max(0.5, 1.25 * fewest / len(s)), 1)
    grid = []
    for step in range(200):
        coverage = first + (1 - first) * step / 199
        threshold = u[min(math.ceil(round(coverage * len(u), 9)), len(u)) - 1]
        if threshold not in grid:
            grid.append(threshold)
    found, n, k = math.inf, 0, 0
    for threshold in [*grid, -math.inf]:
        answered = [w for value, w in zip(s, wrong, strict=True) if value >= threshold]
        if not answered or binom.cdf(sum(answered), len(answered), alpha) > delta:
            break
        found, n, k = threshold, len(answered), sum(answered)
    return found, n, k


@pytest.mark.parametrize("block", range(10))
def test_follows_its_definition_on_random_cases(block):
    rng, certified = np.random.default_rng([7, block]), 0
    for _ in range(30):
        n, m = rng.integers(1, 600), rng.integers(1, 300)
        p, codes = spread_rows(rng, n, out_of_scope=rng.choice([0, 0.1]), scale=rng.choice([2, 9, 30]))
        reference = spread_rows(rng, m, scale=rng.choice([2, 9, 30]))[0]
        if rng.random() < 0.5:  # ties: 0.1 steps of the largest, the rest in one column
            p, reference = (column(q.max(axis=1).round(1).clip(0.5)) for q in (p, reference))
            codes = np.where(codes < 0, -1, codes > 0)
        p[rng.random(n) < 0.05] = NAN
        reference[1:][rng.random(m - 1) < 0.05] = NAN
        alpha, delta = rng.choice([0.05, 0.1, 0.3]), rng.choice([0.01, 0.05, 0.1])

        rule = CertifiedThreshold.fit(
            p, codes, reference=reference, target_accuracy=1 - alpha, confidence_level=1 - delta
        )

        got = rule.certificate
        assert (got.threshold, got.n, got.errors) == pseudo_code(p, codes, reference, alpha, delta)
        certified += got.certified
    assert certified >= 2


def test_labels_of_the_reference_say_where_to_begin():
    """7 % are wrong at every confidence: on few rows 90 % fails, on all of them it passes."""
    p, codes = column(np.linspace(0.99, 0.51, 1000)), (np.arange(1000) % 14 == 0).astype(int)
    others = column(p[:, 0] + 1e-4)

    strict = CertifiedThreshold.fit(p, codes, reference=others, target_accuracy=0.9)
    likely = CertifiedThreshold.fit(p, codes, reference=others, reference_codes=codes, target_accuracy=0.9)

    assert strict.certificate.certified is False
    assert (likely.threshold, likely.certificate.errors) == (-math.inf, 72)


def test_labels_of_the_reference_change_nothing_where_the_surest_are_right():
    rng = np.random.default_rng(5)
    p, codes = spread_rows(rng, 2000, scale=6)
    others, known = spread_rows(rng, 1000, scale=6)

    plain = CertifiedThreshold.fit(p, codes, reference=others)
    told = CertifiedThreshold.fit(p, codes, reference=others, reference_codes=known)

    assert 0 < plain.certificate.coverage < 1
    assert told == plain


def test_codes_of_another_reference_are_refused():
    p, codes = rows(60, 0)
    with pytest.raises(InputError, match="59"):
        CertifiedThreshold.fit(p, codes, reference=copy_of(p), reference_codes=codes[:59])


def test_not_certified_is_said_without_an_exception():
    """`best_accuracy` at the one grid of two thresholds, 10 errors in 100."""
    counts = Counts(np.full(100, 0.9), np.minimum(np.arange(101), 10), 100)

    certificate = certify_counts(counts, BinomialTest(0.05, 0.05), np.array([0.9]), out_of_scope_share=0.0, looks=1)

    assert certificate.sentence.endswith(
        "on 100 labelled rows kept aside for this test; more certify rows would not help this model; a better model "
        "or a lower target would. These rows support an accuracy of 82.37 %, all thresholds taken together."
    )
    assert binomtest(10, 100, alternative="less").proportion_ci(0.975).high == pytest.approx(1 - 0.8237, abs=1e-4)


def test_the_best_accuracy_does_not_depend_on_the_target():
    """40 rows without an error at high confidence, among 200 of which half are wrong: (0.05 / 42) ** (1 / 40)."""
    confidence = np.concatenate([np.full(40, 0.9), np.linspace(0.55, 0.7, 160)])
    wrong = np.concatenate([np.zeros(40, bool), np.arange(160) % 2 == 0])

    found = {
        CertifiedThreshold.fit(
            column(confidence), wrong.astype(int), reference=column(confidence.copy()), target_accuracy=target
        ).certificate.best_accuracy
        for target in (0.99, 0.95, 0.9)
    }

    assert len(found) == 1
    assert found.pop() == pytest.approx((0.05 / 42) ** (1 / 40), abs=0.01)
