"""`elsewise compare`, as a user types it."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

import elsewise as ew
from elsewise.engines.logits import LogitsEngine
from elsewise.engines.memory import MemoryEngine
from support.running import run

TABLE = {f"text {i}": [4.0, 0.0] if i % 2 else [0.0, 4.0] for i in range(40)}
LABELS = {text: "yes" if logits[0] else "no" for text, logits in TABLE.items()}


def by_heart(table):
    return ew.Classifier(MemoryEngine(("yes", "no"), table), ew.Identity(), ew.FixedThreshold(0.6))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Models of texts and of logits, and the same rows for both."""
    folder = tmp_path_factory.mktemp("compare")
    worse = {text: logits[::-1] if i % 4 == 0 else logits for i, (text, logits) in enumerate(TABLE.items())}
    by_heart(TABLE).save(folder / "good")
    by_heart(worse).save(folder / "worse")
    of_logits = replace(by_heart(TABLE), engine=LogitsEngine(("yes", "no")))
    for name in ("first", "second"):
        of_logits.save(folder / name)
    np.save(folder / "good.npy", list(TABLE.values()))
    np.save(folder / "worse.npy", list(worse.values()))
    np.save(folder / "codes.npy", [0 if label == "yes" else 1 for label in LABELS.values()])
    for name, header in (("data", ["text", "label"]), ("labels", ["label"])):
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            rows = [[{"text": text, "label": label}[column] for column in header] for text, label in LABELS.items()]
            csv.writer(file).writerows([header, *rows])
    lines = (folder / "data.csv").read_text(encoding="utf-8").splitlines()
    (folder / "gap.csv").write_text("\n".join([*lines[:3], "no label,", *lines[3:]]), encoding="utf-8")
    return folder


def accuracies(done):
    assert done.returncode == 0, done.stderr
    return {name: model["figures"]["accuracy"]["value"] for name, model in json.loads(done.stdout)["models"].items()}


def test_two_models_are_compared_and_the_rows_that_changed_are_written(place):
    done = run("compare", place / "good", place / "worse", place / "data.csv", "-o", place / "changed.csv")

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith(
        "good has more of 40 texts right than worse, Other left aside: good 100.00 %, worse 75"
    )
    assert "good minus worse" in done.stdout
    assert "The first 10 of 10 rows that are decided differently" in done.stdout
    assert "no benchmark" in done.stderr
    with (place / "changed.csv").open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    assert len(written) == 10
    assert written[0]["row"] == "1"
    assert [written[0][column] for column in ("text", "label", "good label", "worse label")] == [
        "text 0", "no", "no", "yes"
    ]  # fmt: skip


def test_changed_rows_are_counted_as_in_the_file_also_where_some_were_left_out(place):
    done = run("compare", place / "good", place / "worse", place / "gap.csv", "--drop-label", "yes", "-o",
               place / "rows.csv")  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "Compared on 20 in-scope and 0 out-of-scope rows, 1 rejected, by 2 labels." in done.stdout
    with (place / "rows.csv").open(encoding="utf-8", newline="") as file:
        assert [(row["row"], row["text"]) for row in csv.DictReader(file)][:2] == [("1", "text 0"), ("6", "text 4")]


def test_models_of_texts_of_logits_and_both_say_the_same(place):
    texts = run("compare", place / "good", place / "worse", place / "data.csv", "--json")
    both = run(
        "compare", place / "good", place / "second", place / "data.csv", "--logits", place / "worse.npy", "--json"
    )
    logits = [
        run("compare", place / "first", place / "second", "--logits", place / "good.npy", "--logits",
            place / "worse.npy", "--labels", place / labels, "--json")
        for labels in ("labels.csv", "codes.npy")
    ]  # fmt: skip

    assert accuracies(texts) == {"good": 1.0, "worse": 0.75}
    assert accuracies(both) == {"good": 1.0, "second": 0.75}
    assert accuracies(logits[0]) == accuracies(logits[1]) == {"first": 1.0, "second": 0.75}
    assert json.loads(logits[0].stdout)["models"]["first"]["texts_per_second"] is None


def test_three_models_make_a_leaderboard(place):
    done = run("compare", place / "worse", place / "first", place / "good", place / "data.csv",
               "--logits", place / "good.npy")  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "\nfirst has more of 40 texts right than worse" in done.stdout
    assert "no difference from good is shown" in done.stdout
    assert "Leaderboard; the intervals of all pairs hold together" in done.stdout


def test_codes_of_logits_are_read_from_every_array_and_labels_by_any_models_mark(place, tmp_path):
    """In a .npz, codes of models that have their labels in other orders are refused as in a .npy."""
    np.savez(tmp_path / "codes.npz", codes=np.load(place / "codes.npy"))
    engine = LogitsEngine(("no", "yes"))
    replace(by_heart(TABLE), engine=engine).save(tmp_path / "turned")
    replace(by_heart(TABLE), engine=LogitsEngine(("yes", "no")), out_of_scope_label="none").save(tmp_path / "marks")
    (tmp_path / "labels.csv").write_text("label\n" + "none\n" * 40, encoding="utf-8")
    logits = ("--logits", place / "good.npy", "--logits", place / "good.npy", "--labels")

    turned = run("compare", place / "first", tmp_path / "turned", *logits, tmp_path / "codes.npz")
    marked = run("compare", place / "first", tmp_path / "marks", *logits, tmp_path / "labels.csv")

    assert "codes need models with the same labels in the same order" in turned.stderr
    assert "Compared on 0 in-scope and 40 out-of-scope rows" in marked.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("good", "data.csv"), "a comparison needs two models or more, got 1; name them before DATA"),
        (("good", "good", "data.csv"), "a model is compared with itself"),
        (("good", "first", "data.csv"), "1 of the models are (first), got 0"),
        (("good", "worse", "data.csv", "--logits", "good.npy"), "0 of the models are, got 1"),
        (("good", "first", "--logits", "good.npy", "--labels", "labels.csv"), "good answers texts, so name DATA"),
        (("first", "second", "--logits", "good.npy", "--logits", "worse.npy", "--labels", "labels.csv", "--map",
          "yes=no"), "--map and --drop-label are for models of texts"),
        (("good", "worse", "data.csv", "-o", "worse/x.csv"), "worse/x.csv lies in the model folder"),
        (("first", "second", "good"), "good is a folder, and not labelled texts; name DATA after the models"),
        (("good", "first", "gap.csv", "--logits", "good.npy"), "gap.csv line 4: row 3 has an empty label"),
        (("data.csv", "good", "worse"), "data.csv is a file, and not a model folder; DATA comes once, after"),
        (("good", "worse", "data.csv", "--labels", "labels.csv"), "--labels takes the place of DATA"),
        (("good", "worse", "data.csv", "-o", "x.parquet"), "x.parquet cannot be written as .parquet; name a .csv or"),
        (("good", "worse", "data.csv", "-o", "no/x.csv"), "no/x.csv cannot be written: there is no folder no"),
        (("good", "worse", "data.csv", "-o", "data.csv"), "data.csv is an input file, and would be overwritten"),
        (("good", "worse", "data.csv", "-o", "-"), "stdout shows the comparison; name a .csv or .jsonl file with -o"),
        (("first", "second", "--logits", "good.npy", "--logits", "worse.npy", "--labels", "labels.csv", "-o",
          "labels.csv"), "labels.csv is an input file, and would be overwritten"),
        (("good", "worse", "data.csv", "--label-column", "text"), "no model has label 'text 0', which row 0 has"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_one_line(place, words, message):
    here = {path.name for path in place.iterdir()}

    done = run("compare", *(place / word if word.split("/")[0] in here else word for word in words))

    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2
