"""`elsewise calibrate` on a fine-tuned folder, and what the other commands make of the folder that it writes."""

import csv
import json

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import elsewise as ew
from elsewise.data.sample import OUT_OF_SCOPE
from support.running import run

TEXT = "where is my parcel, it is two weeks late"


def table(path, rows, **more):
    with path.open("w", encoding="utf-8", newline="") as file:
        made = csv.DictWriter(file, ["text", "label", *more])
        made.writeheader()
        made.writerows(
            {"text": row.text, "label": row.label, **{name: value(i) for name, value in more.items()}}
            for i, row in enumerate(rows)
        )
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory, held_out):
    """A folder with held-out rows of several kinds."""
    folder = tmp_path_factory.mktemp("own")
    table(folder / "held_out.csv", held_out)
    table(folder / "few.csv", held_out[:400], customer=lambda i: f"c{i // 2}", created=str)
    table(folder / "test.csv", held_out[400:500])
    table(folder / "more.csv", held_out[400:500], customer=lambda i: f"d{i // 2}", created=str)
    return folder


@pytest.fixture(scope="module")
def written(place, my_bert):
    """The folder that the command writes, and what it says."""
    done = run(
        *("calibrate", my_bert, "held_out.csv", "-o", "model", "--out-of-scope-label", OUT_OF_SCOPE),
        *("--target-accuracy", 0.6, "--precision", "f32"),
        folder=place,
    )
    assert done.returncode == 0, done.stderr
    return place / "model", done


def test_it_says_what_it_took_and_what_is_left_out_and_ends_with_the_promise(written, my_bert):
    model, done = written

    lines = done.stderr.splitlines()
    assert f"{my_bert}: BertForSequenceClassification, 20 labels, reads up to 128 tokens of a text" in lines
    assert "all 1,200 rows are taken as texts that the model was not trained on" in lines
    assert "for want of train rows there is no second opinion and no baseline" in lines
    assert "rows: train 0, tune 300, certify 600, test 300" in lines
    assert "At least 60 % of what is answered is right, at confidence level 95 %" in done.stdout
    assert f"written: {model.name}; to look at it, open {model.name}/report.html" in lines
    assert "At least 60" in (model / "report.html").read_text(encoding="utf-8")
    assert ew.load(model).certificate.certified


def test_the_other_commands_take_the_folder(written, place):
    predicted = run("predict", "model", "test.csv", "-o", "out.csv", "--json", folder=place)
    judged = run("evaluate", "model", "test.csv", "--out-of-scope-label", OUT_OF_SCOPE, "--json", folder=place)
    explained = run("explain", "model", TEXT, "--no-words", "--json", folder=place)
    shown = run("threshold", "model", "--json", folder=place)

    assert json.loads(predicted.stdout)["read"] == 100
    assert json.loads(judged.stdout)["rows"]["in_scope"] + json.loads(judged.stdout)["rows"]["out_of_scope"] == 100
    assert json.loads(explained.stdout)["label"] == ew.load(written[0]).decide([TEXT]).labels[0]
    assert shown.returncode == 0, shown.stderr


def test_groups_times_and_test_rows_are_read(place, my_bert):
    done = run(
        *("calibrate", my_bert, "few.csv", "--test", "more.csv", "-o", "grouped", "--json"),
        *("--out-of-scope-label", OUT_OF_SCOPE, "--group-column", "customer", "--time-column", "created"),
        *("--engine", "torch", "--precision", "f32", "--no-refit-rows"),
        folder=place,
    )

    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)["record"]
    assert record["population"]["by_group"]
    assert record["population"]["newest"]
    assert record["splits"]["test"] == 50
    assert record["dropped"]["grouped"] == 250


def test_names_say_what_the_labels_are_called(place, my_bert, calibrated):
    own = ew.load(calibrated).labels
    (place / "names.txt").write_text("".join(f"{name} *\n" for name in own), encoding="utf-8")
    maps = [word for name in own for word in ("--map", f"{name}={name} *")]

    done = run(
        *("calibrate", my_bert, "few.csv", "-o", "named", "--names", "names.txt", *maps),
        *("--out-of-scope-label", OUT_OF_SCOPE, "--engine", "torch", "--precision", "f32", "--json"),
        folder=place,
    )

    assert done.returncode == 0, done.stderr
    assert ew.load(place / "named").labels == tuple(f"{name} *" for name in own)
    assert json.loads(done.stdout)["record"]["mended"]["data"]["renamed"] > 300


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name a folder and labelled texts, or --logits FILE and --labels FILE"),
        (["--logits", "z.npy"], "name a folder and labelled texts, or --logits FILE and --labels FILE"),
        (["FOLDER"], "held_out.csv -o model"),
    ],
)
def test_what_is_missing_is_wrong_usage(words, said, my_bert):
    done = run("calibrate", *(str(my_bert) if word == "FOLDER" else word for word in words), "-o", "new")

    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())


@pytest.mark.parametrize("words", ["--map a=b", "--skip-bad-rows", "--test x.csv", "--engine torch", "--format csv"])
def test_options_of_texts_are_refused_with_logits(words):
    done = run("calibrate", "--logits", "z.npy", "--labels", "y.npy", "-o", "new", *words.split())

    assert done.returncode == 1
    assert done.stderr.startswith(f"elsewise: {words.split()[0]} is about ")


def test_a_folder_is_looked_at_before_the_rows_are_read(tmp_path):
    done = run("calibrate", "my-bert", "not there.csv", "-o", "new", folder=tmp_path)

    assert done.stderr == "elsewise: there is no folder my-bert; name the one that save_pretrained() wrote\n"


def test_fit_says_that_a_head_is_left_behind_and_how_to_keep_it(place, my_bert):
    quickly = "--epochs 1 --max-length 16 --engine torch --precision f32 --no-baseline --no-second-opinion"

    done = run("fit", "few.csv", "--encoder", my_bert, "-o", "fitted", *quickly.split(), folder=place)

    assert done.returncode == 0, done.stderr
    (said,) = (line for line in done.stderr.splitlines() if "is a classifier already" in line)
    assert said.startswith(f"{my_bert} is a classifier already: its head, for 'cancel_order', ")
    assert said.endswith(f"and 15 more, is left behind; to keep it: elsewise calibrate {my_bert} HELD_OUT -o MODEL")
