"""Whether rows keep a promise: an exact test, on the rows that the promise is about."""

import json

import numpy as np
import pytest
from scipy.stats import binom

import elsewise as ew
from elsewise.classifier.kept_rows import population_record
from elsewise.data.splits import hashes
from elsewise.engines.memory import MemoryEngine
from elsewise.errors import ElsewiseWarning, InputError
from elsewise.evaluation.verdict import Outcome, Verdict
from elsewise.messages.certificates import Population
from elsewise.rules import BandThreshold, ByLabel, CertifiedThreshold, about
from support.running import run

SURE, WRONG = [4.0, 0.0], [0.0, 4.0]
NEW = [f"new {i}" for i in range(200)]


def certified(rule=CertifiedThreshold, **more):
    """A rule that answers everything, with a promise of 95 %."""
    p = np.tile([[0.98, 0.02], [0.02, 0.98]], (300, 1))
    return rule.fit(p, np.tile([0, 1], 300), reference=p.copy(), **more)


def classifier(wrong=(), rule=None, **provenance):
    table = {text: WRONG if text in wrong else SURE for text in NEW} | {"torn": [0.0, 0.1]}
    made = ew.Classifier(MemoryEngine(("yes", "no"), table), ew.Identity(), rule or certified())
    return made.with_provenance(**provenance)


def judged(texts, model=None, label="yes"):
    return ew.evaluate(model or classifier(), texts, [label] * len(texts)).verdict


@pytest.mark.parametrize(
    ("answered", "right", "outcome"),
    [
        (72, 72, "kept"),  # 0.025 ** (1 / 72) is 0.9501
        (71, 71, "too few rows"),  # 0.9494
        (0, 0, "too few rows"),
        (2741, 2637, "kept"),
        (1000, 940, "too few rows"),
        (1000, 930, "contradicted"),
        (1, 0, "too few rows"),  # the upper end is 0.975
        (2, 0, "contradicted"),  # 1 - 0.025 ** (1 / 2) is 0.84
    ],
)
def test_the_outcome_is_that_of_the_exact_interval(answered, right, outcome):
    """Clopper and Pearson, in closed form where all rows are right or all wrong."""
    assert Verdict.of(0.95, rows=3080, answered=answered, right=right).outcome.value == outcome


@pytest.mark.parametrize("n", [10, 80, 400, 2741])
def test_at_most_5_of_100_such_sets_say_something_wrong(n):
    """A model that is right exactly as often as promised is called neither better nor worse, by the exact sum."""
    told = [Verdict.of(0.95, rows=n, answered=n, right=k).outcome is not Outcome.TOO_FEW for k in range(n + 1)]

    assert binom.pmf(np.arange(n + 1), n, 0.95) @ told <= 0.05


def test_it_is_said_with_the_numbers_in_two_languages():
    kept = Verdict.of(0.95, rows=3080, answered=2741, right=2637)

    assert kept.sentence == (
        "Promise kept on these 3,080 rows: 96.2 % (95.4 to 96.9) of the 2,741 answered are right, and at least 95 % is "
        "promised."
    )
    assert kept.say("tr") == (
        "Vaat bu 3.080 satırda tutuldu: etiket verilen 2.741 satırda doğruluk oranı %96,2 (95,4–96,9), vaat edilen en "
        "az %95."
    )
    with pytest.raises(InputError, match="unknown language"):
        kept.say("de")


def test_the_ends_have_as_many_digits_as_the_outcome_needs():
    """The interval of 949 in 964 ends just below 95 % or above: rounded to one digit it would say the opposite."""
    for right in range(900, 1000):
        verdict = Verdict.of(0.95, rows=1000, answered=1000, right=right)
        low, high = verdict._ends()
        assert (float(low) >= 95) == (verdict.outcome is Outcome.KEPT)
        assert (float(high) < 95) == (verdict.outcome is Outcome.CONTRADICTED)


def test_too_few_rows_are_told_how_many_would_do():
    verdict = Verdict.of(0.95, rows=300, answered=240, right=234)

    assert verdict.rows_needed is not None
    enough = verdict.rows_needed
    for times, outcome in ((0.8, Outcome.TOO_FEW), (1.2, Outcome.KEPT)):
        n = round(times * enough)
        assert Verdict.of(0.95, rows=n, answered=n, right=round(n * 234 / 240)).outcome is outcome
    assert f"about {enough:,} answered rows would tell" in verdict.sentence
    assert Verdict.of(0.95, rows=200, answered=100, right=95).rows_needed is None


def test_rows_that_made_the_model_and_repeated_ones_do_not_count():
    made = classifier(arrays={"split.train": np.array(hashes(NEW[:50]), dtype=np.uint64)})

    with pytest.warns(ElsewiseWarning, match="50 of 210 texts were used"):
        verdict = judged([*NEW, *[text.upper() for text in NEW[-10:]]], made)

    assert (verdict.rows, verdict.answered, verdict.right, verdict.left_out) == (150, 150, 150, 60)
    assert "60 more rows do not count" in verdict.sentence
    assert verdict.outcome is Outcome.KEPT


def test_a_promise_about_all_that_comes_in_counts_every_row():
    population = Population(rows=600, counts_repeats=True)
    made = classifier(rule=about(certified(), population), record=population_record(population))

    assert judged([*NEW, *NEW], made).rows == len(NEW) * 2


def test_a_promise_that_rows_contradict_is_said_to_be_so():
    verdict = judged(NEW, classifier(wrong=NEW[:40]))

    assert (verdict.outcome, verdict.answered, verdict.right) == (Outcome.CONTRADICTED, 200, 160)
    assert verdict.sentence.startswith("Promise contradicted on these 200 rows: 80.0 % (")


def test_more_out_of_scope_rows_than_were_certified_are_said_beside():
    labels = ["yes"] * 120 + ["spam"] * 80
    with pytest.warns(ElsewiseWarning, match="80 of 200 rows"):
        verdict = ew.evaluate(classifier(), NEW, labels).verdict

    assert verdict.outcome is Outcome.CONTRADICTED
    assert "40 % of these rows are out-of-scope, and the promise is made for 0 %" in verdict.sentence


def test_answers_with_a_label_that_nothing_is_promised_of_do_not_count():
    """Label "no" has too few certify rows for a promise of its own, and fell back."""
    p = np.repeat([[0.98, 0.02], [0.02, 0.98]], [600, 4], axis=0)
    rule = ByLabel.fit(p, np.repeat([0, 1], [600, 4]), reference=p.copy(), rare="fall_back")
    assert [one.certified for one in rule.certificates] == [True, False]

    verdict = judged(NEW, classifier(wrong=NEW[:30], rule=rule))

    assert (verdict.answered, verdict.right, verdict.left_out) == (170, 170, 30)


@pytest.fixture
def each_label():
    """A promise for each of two labels, and a third label that is pooled as rare."""
    p = np.repeat(np.full((3, 3), 0.01) + 0.97 * np.eye(3), [400, 400, 4], axis=0)
    rule = ByLabel.fit(p, np.repeat([0, 1, 2], [400, 400, 4]), reference=p.copy())
    assert [one.certified for one in rule.certificates] == [True, True, False]
    return rule


def judged_each(rule, wrong):
    """The verdict on 1,000 answers "yes" and 100 answers "no", of which some are wrong."""
    texts = [f"text {i}" for i in range(1100)]
    table = {text: [0.0, 4.0, 0.0] if i < 100 else [4.0, 0.0, 0.0] for i, text in enumerate(texts)}
    made = ew.Classifier(MemoryEngine(("yes", "no", "odd"), table), ew.Identity(), rule)
    truth = ["odd" if i < wrong else "no" if i < 100 else "yes" for i in range(1100)]
    return ew.evaluate(made, texts, truth).verdict


def test_a_promise_for_each_label_is_contradicted_by_one_label(each_label):
    """Of all answers 98.2 % are right, and of the answers "no" 80 %."""
    verdict = judged_each(each_label, wrong=20)

    assert (verdict.outcome, verdict.label, verdict.answered, verdict.right) == (Outcome.CONTRADICTED, "no", 100, 80)
    assert verdict.sentence == (
        'Promise contradicted on these 1,100 rows: 80.0 % (69.5 to 88.2) of the 100 answered "no" are right, and at '
        "least 95 % is promised. There are 2 such promises, each tested by itself, and this one does worst."
    )
    assert 'bu 1.100 satırda tutulmadı: "no" etiketi verilen 100 satırda' in verdict.say("tr")


def test_each_of_several_promises_is_tested_at_its_share(each_label):
    """100 right answers of 100: the exact interval begins at 0.025 ** (1 / 100), at 0.0125 ** (1 / 100) for two."""
    verdict = judged_each(each_label, wrong=0)

    assert verdict.accuracy.low == pytest.approx(0.0125 ** (1 / 100))
    assert (verdict.outcome, verdict.label, verdict.promises) == (Outcome.KEPT, "no", 2)


def test_labels_that_all_fell_back_have_one_promise_together():
    p = np.tile([[0.98, 0.02], [0.02, 0.98]], (40, 1))
    rule = ByLabel.fit(p, np.tile([0, 1], 40), reference=p.copy(), rare="fall_back")
    assert rule.certificate.certified
    assert not rule.certified_labels.any()

    verdict = judged(NEW, classifier(rule=rule))

    assert (verdict.outcome, verdict.answered, verdict.label, verdict.promises) == (Outcome.KEPT, 200, "", 1)


def test_an_accuracy_band_is_judged_by_what_it_promises_at_its_threshold():
    """300 rows of one confidence without an error: 2 bounds at 0.05 / 2 each, so 0.025 ** (1 / 300)."""
    p = np.tile([[0.98, 0.02], [0.02, 0.98]], (150, 1))
    rule = BandThreshold.fit(p, np.tile([0, 1], 150), reference=p.copy(), threshold=0.6)

    verdict = judged(NEW, classifier(wrong=NEW[:2], rule=rule))

    assert verdict.target_accuracy == pytest.approx(0.025 ** (1 / 300))
    assert verdict.outcome is Outcome.TOO_FEW


@pytest.mark.parametrize(("share", "beyond"), [(0.3, True), (0.5, False)])
def test_out_of_scope_rows_up_to_the_stated_share_are_covered(share, beyond):
    p = np.tile([[0.98, 0.02], [0.02, 0.98], [0.5, 0.5]], (600, 1))
    rule = CertifiedThreshold.fit(p, np.tile([0, 1, -1], 600), reference=p.copy(), out_of_scope_share=share)
    with pytest.warns(ElsewiseWarning, match="80 of 200 rows"):
        verdict = ew.evaluate(classifier(rule=rule), NEW, ["yes"] * 120 + ["spam"] * 80).verdict

    assert verdict.outcome is Outcome.CONTRADICTED
    assert (f"the promise is made for {share:.0%}".replace("%", " %") in verdict.sentence) is beyond


def test_without_a_promise_there_is_no_verdict():
    p = np.tile([[0.98, 0.02]], (10, 1))
    refused = CertifiedThreshold.fit(p, np.zeros(10, dtype=int), reference=p.copy())

    assert judged(NEW, classifier(rule=ew.FixedThreshold(0.5))) is None
    assert judged(NEW, classifier(rule=refused)) is None


def test_the_command_ends_with_it_and_its_json_has_it(tmp_path):
    classifier().save(tmp_path / "model")
    lines = "".join(f"{text},yes\n" for text in [*NEW, "torn"])
    (tmp_path / "rows.csv").write_text(f"text,label\n{lines}", encoding="utf-8")

    shown = run("evaluate", "model", "rows.csv", folder=tmp_path)
    said = json.loads(run("evaluate", "model", "rows.csv", "--json", folder=tmp_path).stdout)["verdict"]

    assert said["outcome"] == "kept"
    assert said["sentence"] in shown.stdout
    assert (said["rows"], said["answered"], said["right"]) == (201, 201, 200)
