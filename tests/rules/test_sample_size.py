"""How many rows to label: what is needed by hand, and what the simulation expects against making it come true."""

import numpy as np
import pytest

from elsewise.errors import InputError
from elsewise.rules import CertifiedThreshold, plan

pytestmark = pytest.mark.slow


def column(confidence):
    s = np.asarray(confidence, dtype=np.float64)
    return np.column_stack([s, 1 - s])


def rows(n, seed, accuracy=None):
    """Confidence s, uniform on 0.5..1, right with probability 1 - 0.6 (1 - s), or with a fixed one."""
    rng = np.random.default_rng(seed)
    s = rng.uniform(0.5, 1, size=n)
    return column(s), (rng.random(n) > (1 - 0.6 * (1 - s) if accuracy is None else accuracy)).astype(int)


def planned(n, seed=0, accuracy=None, **options):
    return plan(*rows(n, seed, accuracy), reference=rows(1000, 99)[0], **options)


def test_rows_that_certify_need_no_more():
    p, codes = rows(3000, 0)

    found = planned(3000)

    assert found.more_rows == 0
    assert found.certificate == CertifiedThreshold.fit(p, codes, reference=rows(1000, 99)[0]).certificate
    assert found.sentence.startswith("These 3,000 rows certify 95 % at confidence level 95 %, and ")


def test_rows_that_do_not_certify_need_what_the_certificate_says():
    found = planned(40, accuracy=1.0)

    assert found.more_rows == 19
    assert found.sentence.startswith(
        "About 19 more labelled rows would certify 95 % at confidence level 95 % if error rates and coverage stay as "
        "they are; these 40 rows support "
    )


def test_rows_that_no_number_would_certify_say_so():
    found = planned(2000, accuracy=0.6)

    assert found.more_rows is None
    assert found.sentence.startswith("More rows would not certify 95 % at confidence level 95 % for this model; ")
    assert max(step.chance for step in found.steps) < 0.05


def test_more_rows_raise_the_chance_and_the_coverage():
    found = planned(300, seed=1, more=(0, 1000, 2000, 5000))

    assert [step.rows for step in found.steps] == [300, 1300, 2300, 5300]
    assert (np.diff([step.chance for step in found.steps]) > -0.03).all()
    assert found.steps[-1].coverage > found.steps[0].coverage


def test_what_is_expected_comes_true():
    """Twenty plans from 1,500 rows each say on average what certifying 1,500 new rows a hundred times gives."""
    steps = [planned(1500, seed=i, more=(0,)).steps[0] for i in range(20)]
    reference = rows(1000, 99)[0]
    made = [CertifiedThreshold.fit(*rows(1500, 1000 + i), reference=reference).certificate for i in range(100)]

    assert np.mean([step.chance for step in steps]) == pytest.approx(np.mean([c.certified for c in made]), abs=0.12)
    assert np.mean([step.coverage for step in steps]) == pytest.approx(np.mean([c.coverage for c in made]), abs=0.08)


def test_few_rows_without_an_error_are_no_model_without_errors():
    """40 rows: the rate of errors is Beta(1/2, 40.5), above 5 % with probability 0.042, and near it often."""
    assert 0.7 < planned(40, accuracy=1.0).steps[-1].chance < 0.96


def test_the_simulation_repeats_itself():
    assert planned(300, seed=1) == planned(300, seed=1)
    assert planned(300, seed=1) != planned(300, seed=1, more=(1,))


def test_the_table_has_a_line_a_step():
    lines = planned(300, seed=1, more=(0, 1000)).table.splitlines()

    assert lines[0].split() == ["rows", "chance", "coverage"]
    assert [line.split()[0] for line in lines[1:]] == ["300", "1,300"]


@pytest.mark.parametrize("n", [0, 1])
def test_hardly_any_rows_are_planned_for(n):
    found = planned(n, accuracy=1.0)

    assert found.more_rows == 59 - n
    assert all(0 <= step.chance <= 1 and 0 <= step.coverage <= 1 for step in found.steps)


@pytest.mark.parametrize("more", [(), (-1,)])
def test_steps_that_are_none_are_refused(more):
    with pytest.raises(InputError, match=r"^more must hold numbers of rows, 0 or larger, got \["):
        planned(100, more=more)


@pytest.mark.parametrize("target", [0, 1, 1.5, float("nan")])
def test_a_target_that_is_no_share_is_refused(target):
    with pytest.raises(InputError, match=r"^target_accuracy must lie between 0 and 1, got"):
        planned(100, target_accuracy=target)
