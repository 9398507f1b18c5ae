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
from elsewise.rules import ByLabel, CertifiedThreshold, about
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
    assert "40 % of these rows are out-of-scope, and 0 % were where it was certified" in verdict.sentence


def test_answers_with_a_label_that_nothing_is_promised_of_do_not_count():
    """Label "no" has too few certify rows for a promise of its own, and fell back."""
    p = np.repeat([[0.98, 0.02], [0.02, 0.98]], [600, 4], axis=0)
    rule = ByLabel.fit(p, np.repeat([0, 1], [600, 4]), reference=p.copy(), rare="fall_back")
    assert [one.certified for one in rule.certificates] == [True, False]

    verdict = judged(NEW, classifier(wrong=NEW[:30], rule=rule))

    assert (verdict.answered, verdict.right, verdict.left_out) == (170, 170, 30)


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
