"""What gates cost, and the promise behind them: draw tune and certify rows from a known truth, again and again.

A familiarity score is uniform here, so the true share of barred in-scope texts is the cut itself. The cut is the
smallest tune value that the gate lets pass: a text below it has the p-value of the values before it, which are barred.
A promise behind gates is false when the true risk among what passes exceeds 1 - target accuracy.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from elsewise.metrics.intervals import binomial_cdf
from elsewise.outputs import Evidence
from elsewise.rules import CertifiedThreshold, Floor, Unfamiliar
from elsewise.rules.conformal import ConformalPValue
from support.known_truths import ALPHA, TRUTHS, Truth, allowed, report

trials_each = pytest.mark.parametrize("trials", [100, pytest.param(2000, marks=pytest.mark.guarantee)])
USUAL = (Unfamiliar(0.02), Floor(0.5))


def evidence_of(s, familiarity):
    """Texts of three labels, the first of probability s; below 1/2 it need not be the best one."""
    return Evidence(np.column_stack([s, (1 - s) / 2, (1 - s) / 2]), familiarity=familiarity)


def codes_of(evidence, wrong):
    best = evidence.probabilities.argmax(axis=1)
    return np.where(wrong, (best + 1) % 3, best)


def cut_of(gate, values):
    """The familiarity score below which a gate bars, with these tune values behind the p-values."""
    barred = gate(evidence_of(np.ones(len(values)), ConformalPValue.fit(values)(values)))
    return values[~barred].min()


# The barred share.


def familiarity_scores(rng, n, decimals):
    scores = rng.random(n)
    return scores if decimals is None else scores.round(decimals)


def share_below(cut, decimals):
    """P(score < cut): scores that are rounded to the cut are as high as the cut."""
    return cut if decimals is None else max(cut - 0.5 * 10.0**-decimals, 0.0)


def barred_shares(trials, n_tune, decimals, seed, *, known=False):
    """The true barred share of each trial, and what the certificate of 2,000 rows says: measured share, and bound.

    Rows that are `known`, because the weights or the regression were trained on them, look more familiar than they are.
    """
    rng, gate, found = np.random.default_rng(seed), USUAL[0], []
    rows, codes = evidence_of(np.linspace(0.6, 1, 2000), None), np.zeros(2000, dtype=int)
    reference = evidence_of(np.linspace(0.6, 1, 100), np.ones(100))
    for _ in range(trials):
        tune = familiarity_scores(rng, n_tune, decimals) ** (0.7 if known else 1)
        p = ConformalPValue.fit(tune)(familiarity_scores(rng, 2000, decimals))
        made = CertifiedThreshold.fit(replace(rows, familiarity=p), codes, reference=reference, gates=(gate,))
        (barred,) = made.certificate.barred
        found.append((share_below(cut_of(gate, tune), decimals), barred.n / barred.rows, barred.high))
    return np.array(found).T


each_tune_size = pytest.mark.parametrize("n_tune", [50, 200, 1000])
with_ties = pytest.mark.parametrize("decimals", [None, 2], ids=["no ties", "ties"])


@with_ties
def test_the_true_barred_share_is_the_one_that_is_drawn(decimals):
    rng, gate = np.random.default_rng(50), Unfamiliar(0.1)
    tune = familiarity_scores(rng, 99, decimals)
    fresh = familiarity_scores(rng, 1_000_000, decimals)

    barred = gate(evidence_of(np.ones(len(fresh)), ConformalPValue.fit(tune)(fresh)))

    assert share_below(cut_of(gate, tune), decimals) == pytest.approx(barred.mean(), abs=0.001)


@trials_each
@each_tune_size
@with_ties
def test_few_in_scope_texts_are_barred_and_the_bound_holds(n_tune, decimals, trials):
    true, _, high = barred_shares(trials, n_tune, decimals, seed=51)

    broken = int((true > high).sum())
    report(mean=true.mean(), bound=high.mean(), broken=broken)
    assert true.mean() <= 0.02 + 3.1 * true.std() / trials**0.5
    assert broken <= allowed(trials)


@trials_each
def test_the_share_is_used_up_where_nothing_is_tied(trials):
    """With 1,000 tune rows 20 are barred: a gate that bars none would keep every bound."""
    true, _, high = barred_shares(trials, 1000, None, seed=52)

    assert true.mean() == pytest.approx(20 / 1001, abs=3.1 * true.std() / trials**0.5)
    assert high.mean() == pytest.approx(0.0259, abs=0.001)


@trials_each
def test_a_cut_that_was_placed_on_known_rows_bars_too_many(trials):
    """The bound, which certify rows give, holds all the same."""
    true, _, high = barred_shares(trials, 1000, None, seed=54, known=True)

    report(mean=true.mean(), broken=int((true > high).sum()))
    assert true.mean() > 0.03
    assert (true > high).sum() <= allowed(trials)


@trials_each
@each_tune_size
def test_the_measured_share_is_no_bound(n_tune, trials):
    true, measured, _ = barred_shares(trials, n_tune, None, seed=53)

    broken = int((true > measured).sum())
    report(broken=broken)
    assert broken > 3 * allowed(trials)


# The promise about what passes.


@dataclass(frozen=True)
class Curve:
    """Texts of a truth; the least familiar ones, a share `strange`, are wrong at a rate of their own."""

    truth: "Truth | Cliff"
    strange: float = 0.0
    wrong: float = 0.0

    def draw(self, rng, n):
        """Confidence, errors and familiarity scores of n texts."""
        (s, wrong), familiarity = self.truth.draw(rng, n), rng.random(n)
        return s, np.where(familiarity < self.strange, rng.random(n) < self.wrong, wrong), familiarity

    def risk(self, threshold, cut=0.0):
        """Share of errors among texts that reach both."""
        strange = max(self.strange - cut, 0.0)
        usual = 1 - max(self.strange, cut)
        return (strange * self.wrong + usual * self.truth.risk(threshold)) / (strange + usual)


@dataclass(frozen=True)
class Cliff:
    """Just failing above an edge of the confidence, which is uniform, and hopeless below it."""

    edge: float = 0.6

    def draw(self, rng, n):
        s = rng.random(n)
        return s, rng.random(n) < np.where(s < self.edge, 0.4, 0.05001)

    def risk(self, threshold):
        below, above = max(self.edge - max(threshold, 0), 0), 1 - max(self.edge, threshold)
        return (below * 0.4 + above * 0.05001) / (below + above)


INVERTED = Truth(8, 0.35, base=1.0, slope=-0.0588, power=4)  # the surest texts are wrong most often: 5.01 % of all
CURVES = {
    **{name: Curve(truth) for name, truth in TRUTHS.items()},
    "inverted": Curve(INVERTED),
    "cliff": Curve(Cliff()),
    "strange are right": Curve(Truth(8, 0.35, base=0.9494), strange=0.02),  # 4.96 % of all, 5.06 % of what passes
    "strange are wrong": Curve(TRUTHS["B"], strange=0.05, wrong=0.6),
}


def threshold_of(curve, rng, gates, *, labelled=False):
    """The certified threshold of 1,000 rows, and the cut that 500 tune rows give the first gate, if there is one.

    Labels of the tune rows say where the tests begin, as in `fit`; that takes most of the time.
    """
    (tune, tune_wrong, known), (s, wrong, scores) = curve.draw(rng, 500), curve.draw(rng, 1000)
    in_scope = ConformalPValue.fit(known)
    rows, reference = evidence_of(s, in_scope(scores)), evidence_of(tune, in_scope(known))
    labels = codes_of(reference, tune_wrong) if labelled else None
    made = CertifiedThreshold.fit(rows, codes_of(rows, wrong), reference=reference, reference_codes=labels, gates=gates)
    return made.threshold, cut_of(gates[0], known) if gates else None


def false_promises(curve, trials, gates, seed, *, labelled=False):
    rng, false = np.random.default_rng(seed), 0
    floor = max((gate.floor for gate in gates if isinstance(gate, Floor)), default=0.0)
    for _ in range(trials):
        threshold, cut = threshold_of(curve, rng, gates, labelled=labelled)
        false += threshold < np.inf and curve.risk(max(threshold, floor), cut) > ALPHA
    return false


@pytest.mark.parametrize("name", ["A", "cliff", "inverted", "strange are wrong"])
def test_the_true_risk_behind_the_gates_is_the_one_that_is_drawn(name):
    curve = CURVES[name]
    s, wrong, familiarity = curve.draw(np.random.default_rng(54), 1_000_000)

    for threshold, cut in ((0.5, 0.0), (0.5, 0.03), (0.8, 0.02), (0.8, 0.2)):
        passes = (s >= threshold) & (familiarity >= cut)
        assert curve.risk(threshold, cut) == pytest.approx(wrong[passes].mean(), abs=0.002)


@trials_each
@pytest.mark.parametrize("name", CURVES)
def test_promises_are_kept_behind_the_gates(name, trials):
    false = false_promises(CURVES[name], trials, USUAL, seed=55)

    report(false=false)
    assert false <= allowed(trials)


@trials_each
@pytest.mark.parametrize("name", ["inverted", "strange are right"])
def test_promises_are_kept_behind_the_gates_where_tune_labels_say_where_to_begin(name, trials):
    false = false_promises(CURVES[name], trials, USUAL, seed=59, labelled=True)

    report(false=false)
    assert false <= allowed(trials)


# 4.2 % of all are wrong, 5.2 % of the usual ones; all are equally sure, so that there is one threshold to test.
RIGHT_ARE_BARRED = Curve(Truth(8, 0.35, base=0.948, decimals=0), strange=0.2)


@trials_each
def test_promises_are_kept_where_a_wide_gate_bars_what_is_right(trials):
    false = false_promises(RIGHT_ARE_BARRED, trials, (Unfamiliar(0.2),), seed=56)

    report(false=false)
    assert false <= allowed(trials)


@trials_each
def test_a_threshold_that_was_certified_before_the_gate_came_is_caught(trials):
    rng, false = np.random.default_rng(57), 0
    for _ in range(trials):
        threshold, _ = threshold_of(RIGHT_ARE_BARRED, rng, ())
        cut = cut_of(Unfamiliar(0.2), rng.random(500))
        false += threshold < np.inf and RIGHT_ARE_BARRED.risk(threshold, cut) > ALPHA

    report(false=false)
    assert false > allowed(trials)


@pytest.mark.parametrize("trials", [250, pytest.param(2000, marks=pytest.mark.guarantee)])
@pytest.mark.parametrize("luckiest", [True, False], ids=["the luckiest of 40 levels", "one level"])
def test_a_cut_that_was_chosen_by_errors_on_certify_rows_is_caught(luckiest, trials):
    """All texts are equally sure and 5.001 % are wrong at every familiarity, so every promise is false."""
    rng, false, levels = np.random.default_rng(58), 0, np.linspace(0.015, 0.6, 40)
    for _ in range(trials):
        rows = evidence_of(np.full(2000, 0.9), ConformalPValue.fit(rng.random(1000))(rng.random(2000)))
        wrong, passes = rng.random(2000) < 0.05001, rows.familiarity[:, None] > levels
        surprise = binomial_cdf((passes & wrong[:, None]).sum(axis=0), passes.sum(axis=0), ALPHA)
        gate = Unfamiliar(levels[surprise.argmin() if luckiest else 20])
        reference = evidence_of(np.full(100, 0.9), np.ones(100))
        made = CertifiedThreshold.fit(rows, codes_of(rows, wrong), reference=reference, gates=(gate,))
        false += made.threshold < np.inf

    report(false=false)
    assert (false > allowed(trials)) == luckiest
