"""Shards make the parts, and one command joins them to the bytes of one process."""

import csv

import pytest

from elsewise.batch import predict as predict_module
from elsewise.batch import run, source
from elsewise.batch.predict import predict_file
from elsewise.errors import InputError
from support.parted import ROWS
from support.running import run as command
from support.written import content_of

pytestmark = pytest.mark.usefixtures("short_parts")


def predict(classifier, here, out="out.csv", **more):
    return predict_file(classifier, str(here / "in.csv"), str(here / out), **more)


def outputs(here, out="out.csv"):
    found = {path.name.removeprefix(out): content_of(path) for path in here.glob(f"{out}*") if path.is_file()}
    return {name: content.replace(out, "") if isinstance(content, str) else content for name, content in found.items()}


@pytest.mark.parametrize("shards", [1, 3, 12])
def test_shards_that_are_joined_give_the_bytes_of_one_process(classifier, here, shards):
    predict(classifier, here, "one.csv")

    read = [predict(classifier, here, shard=(i, shards)).read for i in reversed(range(1, shards + 1))]
    assert not (here / "out.csv").exists()
    joined = predict(classifier, here, join=True)

    assert (sum(read), joined.read) == (ROWS, ROWS)
    assert outputs(here) == outputs(here, "one.csv")
    assert not (here / "out.csv.parts").exists()


def test_a_shard_that_lacks_is_told_and_the_plain_command_fills_it(classifier, here):
    predict(classifier, here, shard=(1, 3))
    predict(classifier, here, shard=(3, 3))

    with pytest.raises(InputError, match=r"out.csv.parts has no rows from 11 on; run the shard that lacks, or leave"):
        predict(classifier, here, join=True)

    assert predict(classifier, here).pace.rows == 30
    predict(classifier, here, "one.csv")
    assert outputs(here) == outputs(here, "one.csv")


def test_nothing_is_joined_before_a_shard_has_read_the_input(classifier, here):
    with pytest.raises(InputError, match=r"no shard of .* has read the input to its end yet; wait for the shards"):
        predict(classifier, here, join=True)

    assert not (here / "out.csv").exists()


def test_shards_run_beside_each_other_and_beside_nothing_else(classifier, here):
    def others(folder, parts, rows):
        if parts == 1:
            predict(classifier, here, shard=(2, 2))
            for more in ({}, {"join": True}, {"shard": (1, 2)}, {"shard": (2, 3)}):
                with pytest.raises(InputError, match="is being written by another run"):
                    predict(classifier, here, **more)

    predict(classifier, here, shard=(1, 2), after_part=others)

    assert predict(classifier, here, join=True).read == ROWS


def test_shards_of_unlike_processors_are_joined_only_if_a_column_tells_them(classifier, here, monkeypatch):
    def shard(i, processor, **more):
        for module in (run, predict_module):
            monkeypatch.setattr(module, "processor", lambda: processor)
        predict(classifier, here, shard=(i, 2), **more)

    shard(1, "x86_64 avx2", mixed_processors=True)
    shard(2, "aarch64 asimd", mixed_processors=True)
    with pytest.raises(InputError, match="Changed since: columns"):
        predict(classifier, here, join=True)
    predict(classifier, here, join=True, mixed_processors=True)

    with (here / "out.csv").open(encoding="utf-8", newline="") as file:
        told = [row["processor"] for row in csv.DictReader(file)]
    assert (told[0], told[-1], set(told)) == ("x86_64 avx2", "aarch64 asimd", {"x86_64 avx2", "aarch64 asimd"})


def test_shards_of_unlike_processors_are_refused_when_they_are_joined(classifier, here, monkeypatch):
    """Both began when no part was there."""
    predict(classifier, here, shard=(1, 2))
    monkeypatch.setattr(run, "processor", lambda: "aarch64 asimd")
    monkeypatch.setattr(run, "check_same_processor", lambda *_: None)
    predict(classifier, here, shard=(2, 2))
    monkeypatch.undo()
    monkeypatch.setattr(source, "CHUNK_ROWS", 10)

    with pytest.raises(InputError, match=r"has parts from another kind of processor"):
        predict(classifier, here, join=True)


def test_shards_need_files(classifier, here):
    with pytest.raises(InputError, match="parts need an input and an output that are files"):
        predict_file(classifier, str(here / "in.csv"), "-", shard=(1, 2))
    with pytest.raises(InputError, match=r"a shard is one of 1/n to n/n, got 3/2"):
        predict(classifier, here, shard=(3, 2))


def test_shards_are_typed_as_one_of_several(classifier, here):
    classifier.save(here / "model")
    words = ("predict", "model", "in.csv", "-o", "out.csv")

    wrong = [command(*words, "--shard", shard, folder=here) for shard in ("2", "0/3", "4/3")]
    done = [command(*words, "--shard", shard, folder=here) for shard in ("1/2", "2/2")]
    joined = command(*words, "--join", folder=here)

    assert [one.stderr.splitlines()[-1] for one in wrong] == [
        f"elsewise: --shard {shard}: name one of 1/N to N/N, as in 2/3" for shard in ("2", "0/3", "4/3")
    ]
    assert done[0].stderr.splitlines()[-1].startswith("shard 1/2 is done; when all are, write out.csv of their parts")
    assert (joined.returncode, (here / "out.csv").exists()) == (0, True)


def test_answers_may_stay_in_parts(classifier, here):
    predict(classifier, here, "one.csv")

    predict(classifier, here, parts=True)
    again = predict(classifier, here, parts=True)

    parts = sorted((here / "out.csv.parts").glob("rows-*.csv"))
    rows = [part.read_text(encoding="utf-8").splitlines(keepends=True) for part in parts]
    joined = rows[0][0] + "".join(line for part in rows for line in part[1:])
    assert joined == (here / "one.csv").read_text(encoding="utf-8")
    assert (again.read, again.pace.rows, (here / "out.csv").exists()) == (ROWS, 0, False)
    assert (here / "out.csv.summary.json").exists()
    predict(classifier, here)
    assert outputs(here) == outputs(here, "one.csv")


def test_an_estimate_writes_nothing(classifier, here):
    from elsewise.batch.estimate import estimate_file

    classifier.save(here / "model")
    before = sorted(here.rglob("*"))

    found = estimate_file(classifier, str(here / "in.csv"))
    done = command("predict", "model", "in.csv", "--estimate", folder=here)

    assert (found.rows, found.rejected, found.sampled) == (ROWS, 14, ROWS - 14)
    assert found.other_share.value == pytest.approx(predict(classifier, here, "o.csv").other / (ROWS - 14))
    for path in here.glob("o.csv*"):
        path.unlink()
    assert done.stdout.startswith(f"{ROWS} rows, about 1 second, ")
    assert sorted(here.rglob("*")) == before
