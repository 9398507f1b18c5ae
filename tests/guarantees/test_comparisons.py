"""What comparisons say of models whose truth is known: equal ones are not told apart, better ones are found.

Models are tables of how rows are decided, so that a trial is quick; what is judged is the verdict that users read. The
wrong twin takes the two models for independent samples and must be caught: it sees too little.
"""

import numpy as np
import pytest
from scipy.stats import binom

import elsewise as ew
from elsewise.engines.logits import LogitsEngine
from elsewise.evaluation.compare import compare
from elsewise.metrics import wilson

ROWS = 250
trials_each = pytest.mark.parametrize("trials", [20, pytest.param(1500, marks=pytest.mark.guarantee)])


def at_hand():
    """A classifier of logits of two labels that answers from 0.6 on."""
    return ew.Classifier(LogitsEngine(("yes", "no")), ew.Identity(), ew.FixedThreshold(0.6))


def drawn(rng, shift):
    """Codes, and logits of a model for each shift; what is hard is hard for all."""
    codes, shared = rng.integers(0, 2, ROWS), rng.normal(size=ROWS)
    sign = 2 * codes - 1
    gap = [sign * (1.2 + extra) + 1.2 * (shared + 0.6 * rng.normal(size=ROWS)) for extra in shift]
    return codes, [np.column_stack([-g, g]) / 2 for g in gap]


def judged(rng, shift):
    codes, logits = drawn(rng, shift)
    names = [f"m{i}" for i in range(len(shift))]
    return compare(*(at_hand() for _ in names), dict(zip(names, logits, strict=True)), codes=codes, names=names)


@trials_each
@pytest.mark.parametrize("models", [2, 4])
def test_equal_models_are_told_apart_in_at_most_one_trial_of_twenty(trials, models):
    rng = np.random.default_rng(models)

    found = [judged(rng, [0.0] * models) for _ in range(trials)]

    assert sum(not f.verdict.startswith("No difference shown") for f in found) <= binom.ppf(0.999, trials, 0.05)
    for figure in ("log_loss", "brier", "auc", "augrc", "accuracy_at_coverage_0.8"):  # of the best one, chosen by data
        wrong = sum(any(pair.figures[figure].shown for pair in f.pairs) for f in found)
        assert wrong <= binom.ppf(0.999, trials, 0.06), figure


@pytest.mark.parametrize("trials", [40, pytest.param(1500, marks=pytest.mark.guarantee)])
def test_a_better_model_is_found_more_often_than_by_two_intervals(trials):
    rng = np.random.default_rng(9)

    found = [judged(rng, [0.6, 0.0]) for _ in range(trials)]

    shown = np.mean([f.verdict.startswith("m0 has more") for f in found])
    apart = [[wilson(round(f.models[m].figures["accuracy"].value * ROWS), ROWS) for m in ("m0", "m1")] for f in found]
    by_twin = np.mean([a.low > b.high for a, b in apart])
    assert np.mean([f.pairs[0].figures["log_loss"].shown for f in found]) > 0.9
    assert shown > 0.5
    assert shown > by_twin + 0.2
