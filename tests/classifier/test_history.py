"""The history of thresholds by hand: what can be undone, and what an evaluation says of another threshold."""

import pytest

import elsewise as ew
from elsewise.classifier.history import recorded, set_apart, to_undo

WHEN = "2026-03-04T05:06:07+00:00"
JUDGED = {"engine": {"fingerprint": "ours"}, "classifier": {"accuracy": 0.9}, "system": {"coverage": 0.7}}
OLD, NEW, THIRD = (ew.FixedThreshold(threshold) for threshold in (0.5, 0.6, 0.7))


def entry(what, engine="ours", threshold=0.5):
    return recorded(what, engine, ew.FixedThreshold(threshold), looks=1)


@pytest.mark.parametrize(
    ("history", "left"),
    [
        ([], None),
        ([entry("changed", threshold=0.5), entry("changed", threshold=0.6)], 0.6),
        ([entry("changed", threshold=0.5), entry("changed", threshold=0.6), entry("undone")], 0.5),
        ([entry("changed", threshold=0.5), entry("undone")], None),
        ([entry("changed", threshold=0.5), entry("changed", engine="other", threshold=0.6)], 0.5),
        ([entry("changed", threshold=0.5), entry("exported")], None),
        ([entry("changed", threshold=0.5), entry("exported", engine="other")], 0.5),
    ],
)
def test_the_last_change_that_still_stands_is_undone(history, left):
    last = to_undo(history, "ours")

    assert (last and last["threshold"]) == left


def test_an_evaluation_of_another_engine_stays_as_it_is():
    assert set_apart(JUDGED, "other", OLD, NEW, WHEN) == JUDGED


def test_figures_of_a_threshold_are_set_apart_until_it_comes_back():
    apart = set_apart(JUDGED, "ours", OLD, NEW, WHEN)
    further = set_apart(apart, "ours", NEW, THIRD, WHEN)

    assert set(apart) == set(further) == {"engine", "classifier", "outdated"}
    assert apart["outdated"]["system"] == further["outdated"]["system"] == {"coverage": 0.7}
    assert "before the threshold was changed on 2026-03-04;" in apart["outdated"]["words"]
    assert set_apart(further, "ours", THIRD, OLD, WHEN) == JUDGED
