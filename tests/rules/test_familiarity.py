"""What is unlike the training texts is called so, in few of the in-scope texts, and changes no decision."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import binom

from elsewise.arrays import ABSTAIN, softmax
from elsewise.errors import InputError
from elsewise.outputs import Evidence, Outputs, References
from elsewise.rules import FixedThreshold
from elsewise.rules.decisions import Reason
from elsewise.rules.familiarity import FamiliarityTest, explained


def texts(n, seed=0, k=4, d=8, far=False):
    """In-scope texts around k directions, or far ones that raise no logit."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(k, size=n)
    features = rng.normal(size=(n, d)) * 0.2 + (np.eye(d)[-1] if far else np.eye(k, d)[codes])
    z = features @ np.eye(d, k) * 6
    return Evidence(softmax(z), Outputs(z, features)), codes


def fitted(seed=0, n=400):
    train, codes = texts(1000, seed=seed)
    tune, tune_codes = texts(n, seed=seed + 1)
    return FamiliarityTest.fit(tune, tune_codes, references=References(train.features, codes))


def test_few_in_scope_texts_have_a_small_p_value():
    """P(p <= a) <= a over 80 draws of tune texts, 25 new texts each; half as much again, for they share tune texts."""
    p = np.concatenate([fitted(seed=3 * i, n=99)(texts(25, seed=10_000 + i)[0]) for i in range(80)])

    for a in (0.01, 0.05, 0.1):
        assert (p <= a).sum() <= binom.ppf(0.999, len(p), a) * 1.5


def test_texts_from_elsewhere_have_small_p_values():
    assert (fitted()(texts(200, seed=5, far=True)[0]) <= 0.05).mean() > 0.95


def test_the_p_value_counts_the_in_scope_texts_that_are_no_more_familiar():
    test = fitted(n=4)
    rows = texts(30, seed=7)[0]
    scores = test.score(rows)

    by_hand = [(1 + sum(known <= score for known in test.in_scope.values)) / 5 for score in scores]

    assert test(rows) == pytest.approx(by_hand)


def test_reasons_and_labels_are_added_and_decisions_stay():
    test, rows = fitted(), texts(100, seed=5, far=True)[0]
    plain = FixedThreshold(0.999)(rows)

    found = explained(plain, test.judged(rows))

    assert np.array_equal(found.codes, plain.codes)
    assert np.array_equal(found.reasons == Reason.UNFAMILIAR, plain.abstained & (found.familiarity <= 0.05))
    assert (found.reasons == Reason.UNFAMILIAR).sum() > 50
    assert np.array_equal(found.familiarity, test(rows))
    assert np.array_equal(found.nearest, test.score.judge(rows)[1])


def test_texts_that_were_not_judged_are_not_explained():
    rows = texts(5)[0]
    plain = FixedThreshold(0.999)(rows)

    assert explained(plain, rows) is plain


@pytest.mark.parametrize(("known", "reason"), [(19, Reason.UNFAMILIAR), (18, Reason.AMBIGUOUS)])
def test_one_in_twenty_is_few_enough_to_be_unfamiliar(known, reason):
    """Less familiar than all of them: the p-value is 1 / 20, or 1 / 19."""
    p, far = np.array([[0.4, 0.2, 0.2, 0.2]]), Outputs(np.full((1, 4), -99.0), -np.eye(1, 8))
    rows = Evidence(p, far)

    found = explained(FixedThreshold(0.999)(rows), fitted(n=known).judged(rows))

    assert found.familiarity.tolist() == [1 / (known + 1)]
    assert found.reasons.tolist() == [reason]


def test_an_answered_text_is_never_called_unfamiliar():
    rows = texts(100, seed=5, far=True)[0]

    found = explained(FixedThreshold(0.0)(rows), fitted().judged(rows))

    assert set(found.reasons.tolist()) == {"answered"}


def test_an_unreadable_text_stays_unreadable():
    rows = texts(3, far=True)[0]
    gap = np.array([False, True, False])[:, None]
    z, features = (np.where(gap, np.nan, x) for x in (rows.logits, rows.features))
    gappy = Evidence.of(Outputs(z, features), softmax)

    found = explained(FixedThreshold(0.999)(gappy), fitted().judged(gappy))

    assert found.reasons.tolist() == ["unfamiliar", "unreadable", "unfamiliar"]
    assert np.isnan(found.familiarity).tolist() == [False, True, False]
    assert found.nearest[1].tolist() == [-1, -1]


def test_a_text_that_a_margin_bars_stays_ambiguous():
    rows = texts(50, far=True)[0]
    barred = FixedThreshold(0.0, ambiguity_margin=0.99)(rows)

    assert set(explained(barred, fitted().judged(rows)).reasons[barred.abstained].tolist()) == {"ambiguous"}


def test_the_sentence_names_the_nearest_labels():
    rows = texts(1, far=True)[0]
    found = explained(FixedThreshold(0.999)(rows), fitted(n=99).judged(rows))
    named = dataclasses.replace(found, names=("red", "green", "blue", "grey"))
    first, second = (named.names[code] for code in named.nearest[0])

    assert named.sentence(0).startswith(
        f"Other: the text is unlike the known texts, as at most 1 % of in-scope texts are; "
        f'the nearest labels are "{first}" and "{second}"; the confidence '
    )


def test_one_label_alone_is_named_alone():
    train, _ = texts(50)
    references = References(train.features, np.full(50, 2))
    rows = texts(1, far=True)[0]

    test = FamiliarityTest.fit(train, np.full(50, 2), references=references)

    assert 'the nearest label is "2"; the confidence' in explained(
        FixedThreshold(2.0)(rows), test.judged(rows)
    ).sentence(0)


def test_on_other_rows_the_score_stays():
    test, (rows, codes) = fitted(), texts(50, seed=9)
    codes[:10] = ABSTAIN

    moved = test.against(rows, codes)

    assert moved.score is test.score
    assert np.array_equal(moved.in_scope.values, np.sort(test.score(rows)[10:]))


def test_no_in_scope_row_is_refused():
    rows, codes = texts(5)

    with pytest.raises(InputError, match=r"^familiarity needs at least one in-scope row that can be read, got 0$"):
        fitted().against(rows, np.full_like(codes, ABSTAIN))
