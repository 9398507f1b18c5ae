"""A run that was stopped goes on where it was; what changed meanwhile is refused, and said."""

import json
import shutil
import time
from contextlib import suppress
from dataclasses import replace
from itertools import count

import pytest

import elsewise as ew
from elsewise.batch import run
from elsewise.batch.identity import FileState
from elsewise.batch.parts import folder_of
from elsewise.batch.predict import predict_file
from elsewise.engines.memory import MemoryEngine
from elsewise.errors import InputError
from support.native import compiled
from support.parted import ROWS, TABLE
from support.small_folders import classifier_of
from support.written import content_of

pytestmark = pytest.mark.usefixtures("short_parts")


class StoppedError(Exception):
    """What ends a run in these tests."""


def predict(classifier, here, stop=None, seen=None, **more):
    """Predict; stop after so many parts. `seen` gets the rows that are answered."""

    def after_part(folder, parts, rows):
        if parts == stop:
            raise StoppedError

    answered = run.answered

    def noted(classifier, chunk, *columns):
        if seen is not None:
            seen.extend(row.number for row in chunk.rows)
        return answered(classifier, chunk, *columns)

    run.answered = noted
    try:
        with suppress(StoppedError):
            return predict_file(classifier, str(here / "in.csv"), str(here / "out.csv"), after_part=after_part, **more)
    finally:
        run.answered = answered


def outputs(here):
    return {path.name: content_of(path) for path in here.glob("out.csv*") if path.is_file()}


@pytest.fixture
def unbroken(classifier, here):
    predict(classifier, here)
    made = outputs(here)
    for name in made:
        (here / name).unlink()
    return made


@pytest.mark.parametrize("stop", [1, 4, 10])
def test_a_stopped_run_goes_on_and_gives_the_same_bytes(classifier, here, unbroken, stop):
    first, then = [], []
    predict(classifier, here, stop, seen=first)
    assert outputs(here) == {}

    summary = predict(classifier, here, seen=then)

    assert outputs(here) == unbroken
    assert set(first) & set(then) == set()
    assert len(then) == (summary.answered + summary.other) - len(first)
    assert summary.read == ROWS
    assert not folder_of(str(here / "out.csv")).exists()


def test_a_whole_output_is_not_made_again(classifier, here):
    """As after a kill between the output's name and the end of the process: a scheduler repeats the command."""
    first, again = predict(classifier, here), []
    before = outputs(here)

    summary = predict(classifier, here, seen=again)

    assert (again, outputs(here)) == ([], before)
    assert (summary.pace.rows, summary.read, summary.tally) == (0, first.read, first.tally)
    assert not folder_of(str(here / "out.csv")).exists()


def test_a_whole_output_is_made_again_if_that_is_asked_for_or_it_was_changed(classifier, here):
    predict(classifier, here)
    before = content_of(here / "out.csv")

    assert predict(classifier, here, overwrite=True).pace.rows
    with (here / "out.csv").open("a", encoding="utf-8") as file:
        file.write("mine")
    assert predict(classifier, here).pace.rows
    assert content_of(here / "out.csv") == before


def test_a_whole_output_of_another_run_is_refused_and_said(classifier, here):
    predict(classifier, here)
    before = outputs(here)

    with pytest.raises(InputError, match=r"out.csv holds the answers of another run.*top \(0, now 1\)"):
        predict(classifier, here, top=1)
    with pytest.raises(InputError, match=r"out.csv holds the answers of another run"):  # a --join would replace it
        predict(classifier, here, top=1, shard=(1, 2))
    assert outputs(here) == before
    assert predict(classifier, here, top=1, overwrite=True).read == ROWS


def test_the_journal_is_a_small_json_beside_each_part(classifier, here):
    predict(classifier, here, 2)

    names = sorted(path.name for path in (here / "out.csv.parts").iterdir())
    told = json.loads((here / "out.csv.parts" / "rows-000000000011-000000000020.json").read_text())
    assert [name for name in names if "001-" in name] == [
        f"rows-000000000001-000000000010.{ending}" for ending in ("csv", "json", "rejected.jsonl")
    ]
    assert (told["first"], told["last"], told["totals"]["ledger"]["rejected"]) == (11, 20, 1)
    assert told["run"]["input"]["bytes"] == (here / "in.csv").stat().st_size
    assert told["run"]["model"]["engine"] == "memory"
    assert told["run"]["output"]["top"] == 0


def other_input(here):
    (here / "in.csv").write_text((here / "in.csv").read_text().replace("\n", "\n\n", 1))


def same_size(here):
    (here / "in.csv").write_text((here / "in.csv").read_text().replace("sure", "sUre"))


@pytest.mark.parametrize("change", [other_input, same_size])
def test_a_changed_input_is_refused_and_said(classifier, here, change):
    predict(classifier, here, 3)
    change(here)

    with pytest.raises(InputError, match=r"holds 3 parts of another run. Changed since: the input \(\d+ bytes with"):
        predict(classifier, here)
    summary = predict(classifier, here, overwrite=True)

    assert summary.read == ROWS
    assert not (here / "out.csv.parts").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rule": ew.FixedThreshold(0.7)}, "the threshold of the model, or how it decides"),
        ({"calibrator": ew.Temperature(2.0)}, "the calibrator of the model"),
        ({"other": "Else"}, r"the model's word for an abstention \(Other, now Else\)"),
        ({"engine": MemoryEngine(("yes", "no"), {**TABLE, "x": [1.0, 0.0]})}, "the model or one of its files"),
    ],
)
def test_a_changed_model_is_refused_and_said(classifier, here, change, said):
    predict(classifier, here, 1)

    with pytest.raises(
        InputError, match=rf"1 part of another run. Changed since: {said}. Undo that to go on, or begin"
    ):
        predict(replace(classifier, **change), here)


def test_changed_options_are_refused_and_said(classifier, here):
    predict(classifier, here, 1)

    with pytest.raises(InputError, match=r"columns .*, now .*; top \(0, now 2\); probabilities \(False, now True\)"):
        predict(classifier, here, top=2, probabilities=True)


def test_an_input_that_moved_is_the_same(classifier, here, unbroken):
    predict(classifier, here, 3)
    (here / "there").mkdir()
    shutil.move(here / "in.csv", here / "there" / "again.csv")

    predict_file(classifier, str(here / "there" / "again.csv"), str(here / "out.csv"))

    assert outputs(here) == unbroken


@pytest.mark.parametrize("name", ["csv", "json", "rejected.jsonl"])
@pytest.mark.parametrize("content", [b"", b"\0" * 30])
def test_a_part_that_is_damaged_is_made_again(classifier, here, unbroken, name, content):
    predict(classifier, here, 3)
    (here / "out.csv.parts" / f"rows-000000000011-000000000020.{name}").write_bytes(content)
    seen = []

    predict(classifier, here, seen=seen)

    assert outputs(here) == unbroken
    assert {11, 12, 21} & set(seen) == {11, 12} - {15}


def test_an_input_that_grows_while_it_is_read_is_refused(classifier, here):
    def grow(folder, parts, rows):
        with (here / "in.csv").open("a") as file:
            file.write("1000,sure\n")

    with pytest.raises(InputError, match=r"in.csv was changed while it was read \(\d+ bytes, now \d+\)"):
        predict_file(classifier, str(here / "in.csv"), str(here / "out.csv"), after_part=grow)

    assert outputs(here) == {}


def test_an_input_that_is_gone_while_it_is_read_is_said(tmp_path):
    (tmp_path / "in.csv").write_text("text\n")
    state = FileState.of(str(tmp_path / "in.csv"))
    (tmp_path / "in.csv").unlink()

    with pytest.raises(InputError, match=r"in.csv is gone, while it was read; bring it back"):
        state.check_unchanged()


def test_a_second_run_is_refused_and_the_first_one_named(classifier, here):
    def second(folder, parts, rows):
        with pytest.raises(InputError, match=r"out.csv is being written by another run \(process \d+ on \S+ since 20"):
            predict_file(classifier, str(here / "in.csv"), str(here / "out.csv"))

    predict_file(classifier, str(here / "in.csv"), str(here / "out.csv"), after_part=second)

    assert (here / "out.csv").exists()


def test_a_folder_that_holds_something_else_is_refused(classifier, here):
    (here / "out.csv.parts").mkdir()
    (here / "out.csv.parts" / "notes.txt").write_text("mine")

    with pytest.raises(InputError, match=r"out.csv.parts/notes.txt is no part of a run; move it, or choose another"):
        predict(classifier, here)

    assert (here / "out.csv.parts" / "notes.txt").read_text() == "mine"


def test_parts_of_another_processor_are_refused(classifier, here, monkeypatch):
    predict(classifier, here, 2)
    monkeypatch.setattr(run, "processor", lambda: "aarch64 asimd")

    with pytest.raises(InputError, match=r"from another kind of processor \(.*, here aarch64 asimd\)"):
        predict(classifier, here)


def test_an_output_through_a_link_has_its_parts_beside_what_it_points_to(classifier, here, unbroken):
    (here / "real").mkdir()
    (here / "real" / "answers.csv").write_text("old")
    (here / "out.csv").symlink_to(here / "real" / "answers.csv")

    predict(classifier, here, 1)
    assert (here / "real" / "answers.csv.parts").is_dir()
    predict(classifier, here)

    assert (here / "real" / "answers.csv").read_bytes() == unbroken["out.csv"]
    assert (here / "out.csv").is_symlink()


def test_what_comes_out_must_be_what_went_in(classifier, here, monkeypatch):
    answered = run.answered

    def losing(*arguments):
        made = answered(*arguments)
        ledger = made.totals.ledger
        return replace(made, totals=replace(made.totals, ledger=replace(ledger, other=ledger.other - 1)))

    monkeypatch.setattr(run, "answered", losing)

    with pytest.raises(ew.ElsewiseError, match=r"10 rows were read, and 9 came out"):
        predict_file(classifier, str(here / "in.csv"), str(here / "out.csv"))

    assert outputs(here) == {}


def test_a_model_folder_that_goes_away_during_the_run_changes_no_answer(here, tmp_path):
    """Its weights are mapped into memory."""
    pytest.importorskip("torch")
    compiled()
    classifier_of("native", "f32").save(tmp_path / "model")
    loaded = ew.load(tmp_path / "model")
    predict(loaded, here)
    before = content_of(here / "out.csv")
    (here / "out.csv").unlink()

    predict_file(
        loaded, str(here / "in.csv"), str(here / "out.csv"),
        after_part=lambda *_: shutil.rmtree(tmp_path / "model", ignore_errors=True),
    )  # fmt: skip

    assert not (tmp_path / "model").exists()
    assert content_of(here / "out.csv") == before


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_clock_that_jumps_changes_nothing(classifier, here, unbroken, jump, monkeypatch):
    now, ticks = time.time(), count()
    monkeypatch.setattr(time, "time", lambda: now + jump * next(ticks))

    predict(classifier, here, 4)
    summary = predict(classifier, here)

    assert outputs(here) == unbroken
    assert 0 < summary.pace.seconds < 60
