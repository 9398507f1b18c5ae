"""The command line, as a user types it: stdout for results, stderr for words, exit codes that mean something."""

import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

import elsewise as ew
from elsewise import cli
from elsewise.engines.memory import MemoryEngine
from elsewise.fitting import open_threshold
from elsewise.rules import Floor, Unfamiliar
from elsewise.rules.familiarity import FamiliarityTest
from support.running import run, run_process
from support.small_training import fit_words


@pytest.fixture(scope="module")
def logits(tmp_path_factory):
    """Logits that are twice too sure, with their codes."""
    folder = tmp_path_factory.mktemp("logits")
    rng = np.random.default_rng(0)
    z = rng.normal(size=(1200, 4)) * 4
    codes = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    np.save(folder / "z.npy", (2 * z).astype(np.float32))
    np.save(folder / "y.npy", codes)
    with (folder / "y.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["label"], *([f"name {code}"] for code in codes)])
    (folder / "names.txt").write_text("".join(f"name {code}\n" for code in range(4)), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def logits_model(logits):
    done = run("calibrate", "--logits", logits / "z.npy", "--labels", logits / "y.csv", "--names", logits / "names.txt",
               "--target-accuracy", 0.9, "-o", logits / "model", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    return logits / "model", json.loads(done.stdout)


def test_calibrate_writes_a_model_and_says_its_promise(logits_model):
    _, said = logits_model

    assert said["certificate"]["certified"] is True
    assert said["certificate"]["sentence"].startswith("At least 90 % of what is answered is right")


def test_calibrate_says_of_a_label_that_it_is_called_as_abstentions_are(logits):
    name = (logits / "names.txt").read_text().splitlines()[0]
    done = run("calibrate", "--logits", logits / "z.npy", "--labels", logits / "y.csv", "--names", logits / "names.txt",
               "--other", name, "-o", logits / "alike")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"a label is called {name!r}, as abstentions are" in done.stderr


def test_the_folder_of_logits_works_with_predict_and_evaluate(logits_model, logits):
    model, _ = logits_model

    predicted = run("predict", model, logits / "z.npy", "-o", logits / "out.csv", "--json")
    judged = run("evaluate", model, logits / "z.npy", "--labels", logits / "y.csv", "--json")

    summary, figures = json.loads(predicted.stdout), json.loads(judged.stdout)
    assert summary["read"] == 1200 == summary["answered"] + summary["other"] + summary["rejected"]
    assert figures["rows"]["in_scope"] == 1200
    assert figures["classifier"]["ece"]["value"] < 0.05
    with (logits / "out.csv").open(encoding="utf-8", newline="") as file:
        assert {row["label"] for row in csv.DictReader(file)} <= {"name 0", "name 1", "name 2", "name 3", "Other"}


def test_predict_streams_from_stdin_to_stdout(model):
    done = run_process("predict", model, "-", text="text\nwhere is my parcel\n\u200b\n")

    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert done.returncode == 0, done.stderr
    assert len(rows) == 2
    assert rows[1]["reason"] == "unreadable"
    assert "2 rows = " in done.stderr


def test_predict_shows_what_became_of_the_rows_and_whether_the_promise_can_be_believed(logits_model, logits, tmp_path):
    z = np.load(logits / "z.npy")
    np.save(tmp_path / "z.npy", np.resize(z, (2000, z.shape[1])))

    done = run("predict", logits_model[0], tmp_path / "z.npy", "-o", tmp_path / "out.csv", "--sentences", "tr")

    lines = [line.split() for line in done.stderr.splitlines()]
    assert ["speed"] in [line[:1] for line in lines]
    assert any(line[:1] == ["Other:"] and line[-1] == "%" for line in lines)
    assert any(line[0] == "2,000" and line[1] == "rows" for line in lines if line)
    assert "Vaat bu 2.000 metin için" in done.stderr or "etiket sayısı yetersiz" in done.stderr
    assert (tmp_path / "out.csv.summary.json").exists()


def test_predict_takes_json_lines_on_stdin(model):
    done = run("predict", model, "-", "--format", "jsonl", text='{"text": "where is my parcel"}\n')

    assert json.loads(done.stdout)["best_label"]


def test_evaluate_prints_a_table_and_json(model, tmp_path, sample):
    data = tmp_path / "data.csv"
    with data.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *((row.text, row.label) for row in sample[:120])])

    table = run("evaluate", model, data)
    figures = json.loads(run("evaluate", model, data, "--json").stdout)

    assert "accuracy when answered" in table.stdout
    assert "flatters" in table.stderr or "flatter" in table.stderr
    assert figures["certificate"]["sentence"] in table.stdout.replace("\n", " ")


@pytest.fixture(scope="module")
def by_heart(tmp_path_factory):
    """A model of four texts with their file, which has a channel, and of logits the same."""
    folder = tmp_path_factory.mktemp("by_heart")
    engine = MemoryEngine(("yes", "no"), {"a": [4.0, 0.0], "b": [0.0, 4.0], "c": [0.1, 0.0], "d": [3.0, 0.0]})
    ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.7)).save(folder / "model")
    lines = ["text,label,channel", "a,yes,mail", "b,no,mail", "c,yes,[chat]", "d,no,[chat]"]
    (folder / "data.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_evaluate_slices_by_the_columns_that_are_named(by_heart):
    figures = run("evaluate", by_heart / "model", by_heart / "data.csv", "--slice", "channel", "--slice=text", "--json")
    table = run("evaluate", by_heart / "model", by_heart / "data.csv", "--slice", "channel")

    slices = json.loads(figures.stdout)["slices"]
    assert set(slices) == {"channel", "text"}
    chat, mail = slices["channel"]
    assert (chat["value"], chat["rows"], chat["accuracy"]["value"], chat["coverage"]["value"]) == (
        "[chat]",
        2,
        0.5,
        0.5,
    )
    assert (mail["accuracy"]["value"], mail["accuracy_when_answered"]["value"]) == (1, 1)
    assert table.returncode == 0, table.stderr
    for words in ("By channel", "[chat]", "The labels, by F1", "Other an outcome", "E-AURC", "the worst case"):
        assert words in table.stdout


def test_evaluate_mends_labels_as_fit_does(by_heart, tmp_path):
    data = tmp_path / "data.csv"
    data.write_text("text,label\na,YES \nb,no\nc,test\n", encoding="utf-8")

    judged = run("evaluate", by_heart / "model", data, "--map", "YES =yes", "--drop-label", "test", "--json")
    wrong = run("evaluate", by_heart / "model", data, "--map", "Yes=yes")

    assert judged.returncode == 0, judged.stderr
    assert json.loads(judged.stdout)["rows"]["in_scope"] == 2
    assert "1 row renamed, 1 row left out by label" in judged.stderr
    assert wrong.stderr == "elsewise: --map Yes=yes: no row has the label 'Yes'; near it: 'YES '\n"


def test_evaluate_of_logits_counts_unknown_labels_as_out_of_scope(logits_model, logits, tmp_path):
    model, _ = logits_model
    words = (logits / "y.csv").read_text(encoding="utf-8").splitlines()
    for name, changed in (("some.csv", [*words[:-2], "nmae 1", "5"]), ("all.csv", [words[0], *["x"] * 1200])):
        (tmp_path / name).write_text("\n".join(changed) + "\n", encoding="utf-8")

    some = run("evaluate", model, logits / "z.npy", "--labels", tmp_path / "some.csv", "--json")
    none = run("evaluate", model, logits / "z.npy", "--labels", tmp_path / "all.csv")

    assert json.loads(some.stdout)["rows"]["out_of_scope"] == 2
    assert "2 of 1,200 rows have labels that the model does not know, and count as out-of-scope" in some.stderr
    assert "'nmae 1' is near 'name 1'" in some.stderr
    assert (none.returncode, none.stdout) == (1, "")
    assert "all.csv line 2: label 'x' is neither one of the 4 names nor a code" in none.stderr


def test_evaluate_slices_logits_by_the_columns_of_their_labels(logits_model, logits):
    model, _ = logits_model

    figures = run("evaluate", model, logits / "z.npy", "--labels", logits / "y.csv", "--slice", "label", "--json")
    array = run("evaluate", model, logits / "z.npy", "--labels", logits / "y.npy", "--slice", "label")

    assert sum(row["rows"] for row in json.loads(figures.stdout)["slices"]["label"]) == 1200
    assert array.returncode == 1
    assert f"--slice needs columns, and {logits / 'y.npy'} has none to read" in array.stderr


def test_an_unknown_slice_names_the_columns_that_there_are(by_heart):
    done = run("evaluate", by_heart / "model", by_heart / "data.csv", "--slice", "chanel")

    assert done.returncode == 1
    assert "has no column 'chanel'; it has 'text', 'label', 'channel'; name the right one with --slice" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_slice_of_json_lines_may_lack_cells_and_rejected_rows_leave_no_trace(by_heart, tmp_path):
    data = tmp_path / "data.jsonl"
    rows = [{"text": "a", "label": "yes", "city": "Wien"}, {"text": None, "label": "no", "city": "Wien"}]
    data.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"text": "b", "label": "no"}]), encoding="utf-8")

    judged = json.loads(run("evaluate", by_heart / "model", data, "--slice", "city", "--json").stdout)

    assert judged["rows"]["rejected"] == 1
    assert [(row["value"], row["rows"]) for row in judged["slices"]["city"]] == [("", 1), ("Wien", 1)]


def test_explain_of_a_text_that_a_gate_bars_compares_no_confidence(by_heart, tmp_path):
    shutil.copytree(by_heart / "model", tmp_path / "model")
    changed = run("threshold", tmp_path / "model", "--at", "0.3", "--floor", "0.6")

    told = run("explain", tmp_path / "model", "c")

    assert told.returncode == changed.returncode == 0, told.stderr + changed.stderr
    assert "that is below this rule's floor." in told.stdout
    assert "The best labels; a gate bars the text, whatever its confidence\n" in told.stdout
    assert "nan" not in told.stdout


def test_explain_tells_why_and_writes_a_receipt_that_it_confirms(by_heart, tmp_path):
    receipt = tmp_path / "receipt.json"

    told = run("explain", by_heart / "model", "c", "--receipt-out", receipt)
    confirmed = run("explain", by_heart / "model", "c", "--receipt", receipt)
    other = run("explain", by_heart / "model", "d", "--receipt", receipt)

    assert told.returncode == confirmed.returncode == 0, told.stderr + confirmed.stderr
    for words in ("Other: two labels are close together", "For a customer: This text was not sorted", "0.5250",
                  "the confidence (maximum_probability) is 0.525, the threshold 0.7", "decision version ",
                  "Certificate: none"):  # fmt: skip
        assert words in told.stdout
    assert confirmed.stdout.endswith("answer: the same, bit for bit\n")
    assert (other.returncode, len(other.stderr.splitlines())) == (1, 1)
    assert f"{receipt} is not confirmed: the text is not that of the receipt" in other.stderr
    assert other.stdout.startswith("text: different\nmodel: the same\n")


def test_predict_adds_the_sentences(by_heart):
    done = run("predict", by_heart / "model", by_heart / "data.csv", "--sentences", "tr")

    said = [row["sentence"] for row in csv.DictReader(done.stdout.splitlines())]
    assert said[0].startswith('Etiket: "yes", olasılığı 0,982; ')
    assert said[2].startswith("Other: iki etiket birbirine çok yakın, ")


@pytest.fixture(scope="module")
def gated(tmp_path_factory):
    """A model of a hundred texts that bars what is unlike them, and what is below one half."""
    rng = np.random.default_rng(0)
    table = {f"text {i}": [5 + rng.random(), 0.0, 0.0] for i in range(100)}
    table |= {"a stranger": [-2.0, -9.0, -9.0], "torn": [5.2, 5.0, 4.8]}
    engine = MemoryEngine(("yes", "no", "maybe"), table)
    known = ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.0)).evidence(list(table)[:100])
    rule = ew.FixedThreshold(0.0, gates=(Unfamiliar(0.02), Floor(0.5)))
    path = tmp_path_factory.mktemp("gated") / "model"
    ew.Classifier(engine, ew.Identity(), rule, familiarity=FamiliarityTest.fit(known, np.zeros(100))).save(path)
    return path


@pytest.mark.parametrize(
    ("text", "reason", "language", "begin", "end"),
    [
        ("a stranger", "unfamiliar", "en", "the text is unlike the known texts", "this rule never answers such a text"),
        ("a stranger", "unfamiliar", "tr", "metin, bilinen metinlere benz", "bu kural böyle bir metne etiket vermez"),
        ("torn", "unsure", "en", "the model is not sure, its best label", "0.402; that is below this rule's floor"),
        ("torn", "unsure", "tr", "model emin değil, en olası etiket", "0,402); bu, kuralın taban olasılığının altında"),
    ],
)  # fmt: skip
def test_explain_says_which_gate_bars_a_text(gated, text, reason, language, begin, end):
    told = run("explain", gated, text, "--language", language)
    said = json.loads(run("explain", gated, text, "--language", language, "--json").stdout)

    sentence = said["sentence"]
    assert told.returncode == 0, told.stderr
    assert sentence in " ".join(told.stdout.split())
    assert sentence.startswith(f"Other: {begin}")
    assert sentence.endswith(f"{end}.")
    assert (said["reason"], said["abstained"], said["confidence"]) == (reason, True, None)
    assert (said["familiarity"] <= 0.02) == (reason == "unfamiliar")


def test_explain_prints_json_and_confirms_it(by_heart, tmp_path):
    told = run("explain", by_heart / "model", "nothing that it knows", "--language", "tr", "--json")
    (tmp_path / "told.json").write_text(told.stdout, encoding="utf-8")
    confirmed = run(
        "explain", by_heart / "model", "nothing that it knows", "--receipt", tmp_path / "told.json", "--json"
    )

    said = json.loads(told.stdout)
    assert (said["reason"], said["confidence"], said["probabilities"]) == ("unreadable", None, {})
    assert said["sentence"] == "Other: metinde modelin okuyabileceği bir içerik yok."
    assert json.loads(confirmed.stdout) == {
        "confirmed": True, "text": True, "model": True, "decision_version": True, "certificate": True,
        "answer": "identical", "difference": "",
    }  # fmt: skip


def test_explain_reads_the_text_from_stdin_without_the_line_end_of_echo(by_heart):
    given, piped = (
        json.loads(run("explain", by_heart / "model", words, "--json", text=text).stdout)
        for words, text in (("a", None), ("-", "a\n"))
    )

    assert piped == given
    assert given["label"] == "yes"


@pytest.mark.parametrize("text", ["- where is my parcel", "-5 degrees", "--- cut here ---"])
def test_a_text_that_begins_with_a_dash_is_asked_for_behind_two(by_heart, text):
    refused = run("explain", by_heart / "model", text)
    explained = run("explain", by_heart / "model", "--json", "--", text)

    way = "A text that begins with a dash comes after --: elsewise explain MODEL -- TEXT"
    assert refused.returncode == 2
    assert way in " ".join(refused.stderr.split())
    assert explained.returncode == 0, explained.stderr
    assert json.loads(explained.stdout)["reason"] == "unreadable"


def test_an_option_that_there_is_not_speaks_of_no_text_where_none_is_taken(by_heart):
    assert "begins with a dash" not in run("predict", by_heart / "model", "data.csv", "-5").stderr


def test_a_text_that_is_no_unicode_is_explained(by_heart):
    command = [sys.executable, "-m", "elsewise", "explain", str(by_heart / "model"), b"\xfe\xff", "--json"]

    done = subprocess.run(command, capture_output=True, check=False)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["reason"] == "unreadable"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("a", "--language", "de"), "unknown language 'de'; there are en, tr"),
        (("a", "--receipt", "{folder}/none.json"), "none.json cannot be read: "),
        (("a", "--receipt", "{folder}/model/memory.json"), "memory.json holds no receipt; "),
        (
            ("a", "--receipt-out", "{folder}/model/r.json"),
            "lies in the model folder, which must stay as it was written",
        ),
        (("a", "--receipt-out", "{folder}/none/r.json"), "r.json: No such file or directory"),
        (("a", "--neighbours", "{folder}/data.csv"), "need features, and engine memory gives none"),
        (("a", "--neighbours", "{folder}/none.csv"), "none.csv does not exist"),
        (("a", "--receipt", "r", "--receipt-out", "r"), "--receipt confirms a receipt and --receipt-out writes one"),
    ],
)
def test_explain_says_what_is_wrong_in_a_line(by_heart, asked, words):
    done = run("explain", by_heart / "model", *(word.format(folder=by_heart) for word in asked))

    errors = [line for line in done.stderr.splitlines() if line.startswith("elsewise: ")]
    assert (done.returncode, done.stdout) == (1, "")
    assert len(errors) == 1
    assert words in errors[0]


def test_explain_of_logits_says_what_does(logits_model):
    done = run("explain", logits_model[0], "1.0")

    assert (done.returncode, done.stdout) == (1, "")
    assert "a model of logits reads no text" in done.stderr


def test_fit_makes_a_model_from_a_file_and_predict_uses_it(tiny_default, tmp_path, sample):
    data = tmp_path / "data.csv"
    with data.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=";").writerows([("body", "topic"), *((row.text, row.label) for row in sample[:240])])

    done = run("fit", data, "-o", tmp_path / "model", "--text-column", "body", "--label-column", "topic",
               "--other", "Ask a person", "--epochs", 1, "--max-length", 32, "--strict",
               "--out-of-scope-label", "out_of_scope", "--json")  # fmt: skip
    answered = run("predict", tmp_path / "model", data, "--text-column", "body", "-o", tmp_path / "out.csv")

    said = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert "delimiter ';' (read from the header)" in done.stderr
    assert said["certificate"]["certified"] is False
    assert said["certificate"]["threshold"] == "inf"
    assert answered.returncode == 0
    assert "240 rows = 0 answered + 240 Ask a person" in answered.stderr


BAD_FILES = {
    "missing column": ("body,label\nx,a\n", "has no column 'text'"),
    "empty file": ("", "is empty"),
    "ragged row": ("text,label\nx,a\ny,b,c\n", "line 3: row 2 has 3 fields, the header has 2"),
    "unclosed quote": ('text,label\nx,a\n"y,b\nz,a\n', "quote"),
    "one label only": ("text,label\nx,a\ny,a\n", "at least 2 labels are needed"),
    "no rows": ("text,label\n", "at least 2 labels are needed to tell texts apart, got none in 0 rows"),
    "empty label": ("text,label\nx,a\ny,\n", "line 3: row 2 has an empty label in 'label'"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_one_or_two_lines_and_exit_1(name, tmp_path):
    content, words = BAD_FILES[name]
    data = tmp_path / "data.csv"
    data.write_text(content, encoding="utf-8")

    done = run("fit", data, "-o", tmp_path / "model")

    errors = [line for line in done.stderr.splitlines() if line.startswith("elsewise: ")]
    assert done.returncode == 1
    assert len(errors) == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "model").exists()


def test_a_wrong_encoding_names_the_remedy(tmp_path):
    data = tmp_path / "data.csv"
    data.write_bytes("text,label\nğüş,a\nx,b\n".encode("cp1254"))

    done = run("fit", data, "-o", tmp_path / "model")

    assert done.returncode == 1
    assert "--encoding cp1254" in done.stderr


def test_bad_logits_are_refused_in_words(tmp_path):
    np.save(tmp_path / "z.npy", np.array([[1.0, 2.0], [np.nan, 0.0]]))
    np.save(tmp_path / "y.npy", np.array([0, 1]))
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)

    nan = run("calibrate", "--logits", tmp_path / "z.npy", "--labels", tmp_path / "y.npy", "-o", tmp_path / "model")
    pickled = run(
        "calibrate", "--logits", tmp_path / "objects.npy", "--labels", tmp_path / "y.npy", "-o", tmp_path / "model"
    )

    assert nan.returncode == pickled.returncode == 1
    assert "label that cannot be: 1 of 2 rows are not, first is row 1" in nan.stderr
    assert "cannot be read as a .npy array of numbers; save it with numpy.save" in pickled.stderr


def test_logits_without_labels_and_labels_that_do_not_fit_are_said(logits_model, logits, tmp_path):
    model, _ = logits_model
    np.save(tmp_path / "half.npy", np.full(1200, 0.5))

    missing = run("evaluate", model, logits / "z.npy")
    half = run("evaluate", model, logits / "z.npy", "--labels", tmp_path / "half.npy")
    inside = run("predict", model, logits / "z.npy", "-o", model / "out.csv")

    assert "holds logits and no labels; pass the labels with --labels FILE" in missing.stderr
    assert "codes must be whole numbers" in half.stderr
    assert "lies in the model folder" in inside.stderr
    assert {done.returncode for done in (missing, half, inside)} == {1}


def test_an_output_that_is_something_else_is_refused_before_training(tmp_path):
    data = tmp_path / "data.csv"
    data.write_text("text,label\nx,a\ny,b\n", encoding="utf-8")

    done = run("fit", data, "-o", data)

    assert done.returncode == 1
    assert "exists and is not a model folder; choose another name" in done.stderr
    assert data.read_text(encoding="utf-8").startswith("text,label")


def test_wrong_usage_is_exit_2():
    assert run("predict").returncode == 2
    assert run("no-such-command").returncode == 2


def test_version_and_help():
    assert run("--version").stdout.strip() == cli.app.info.name.replace("elsewise", "0.1.0")
    for command in cli.COMMANDS:
        assert run(command, "--help").returncode == 0


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small text model that is certified on openvino in float32, and texts to ask it."""
    pytest.importorskip("torch")
    from support.small_folders import classifier_of
    from support.small_models import texts

    folder = tmp_path_factory.mktemp("small")
    classifier_of().save(folder / "model")
    with (folder / "in.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [("text", "label"), *((text, f"label {i % 30}") for i, text in enumerate(texts(90)))]
        )
    return folder


@pytest.fixture(scope="module")
def exported(small):
    pytest.importorskip("onnxruntime")
    done = run("export", small / "model", "--engine", "onnxruntime", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_export_certifies_on_one_more_engine(small, exported):
    assert exported["model"] == str(small / "model")
    assert exported["served"]["engine"] == "onnxruntime"
    assert exported["certificate"]["looks"] == 2
    assert [row["engine"] for row in exported["gate"]] == ["onnxruntime-f32"]


def test_export_prints_the_gate_and_the_promise(small, tmp_path):
    path = shutil.copytree(small / "model", tmp_path / "model")

    done = run("export", path, "--engine", "openvino", "--precision", "f32", "--threads", 1)

    assert done.returncode == 0, done.stderr
    assert "Engines on tune rows, each after its own re-fit" in done.stdout
    assert "openvino-f32" in done.stdout
    assert "At least 55 % of what is answered is right" in done.stdout
    assert f"written: {path}" in done.stderr


def test_predict_and_evaluate_serve_the_engine_that_is_asked_for(small, exported):
    served = {}
    for engine in ("openvino", "onnxruntime"):
        how = ("--engine", engine, "--precision", "f32", "--threads", 1)
        done = run("predict", small / "model", small / "in.csv", "--probabilities", *how)
        judged = run("evaluate", small / "model", small / "in.csv", "--json", *how)
        assert done.returncode == judged.returncode == 0, done.stderr + judged.stderr
        rows = list(csv.DictReader(done.stdout.splitlines()))
        served[engine] = np.array([[float(row[f"p_label {i}"]) for i in range(30)] for row in rows])
        assert json.loads(judged.stdout)["certificate"]["looks"] == {"openvino": 1, "onnxruntime": 2}[engine]

    assert np.abs(served["openvino"] - served["onnxruntime"]).max() < 1e-4


def test_explain_shows_words_neighbours_and_what_was_dropped(small, exported, tmp_path):
    text = "where is my order " * 30
    how = ("--engine", "onnxruntime")

    done = run("explain", small / "model", "-", "--neighbours", small / "in.csv", *how, text=text)
    again = json.loads(
        run("explain", small / "model", "-", "--receipt-out", tmp_path / "r", "--json", *how, text=text).stdout
    )
    confirmed = run("explain", small / "model", "-", "--receipt", tmp_path / "r", text=text)

    assert done.returncode == 0, done.stderr
    assert f"{small / 'in.csv'}: 90 rows" in done.stderr
    for words in ("The nearest known texts", "What pulled towards", "Tokens used: 64; dropped: the last ",
                  'characters, after "where is my order where is"', "onnxruntime f32", "Nearest labels: ",
                  "Certificate: At least 55 %"):  # fmt: skip
        assert words in done.stdout
    assert again["receipt"]["model"]["engine"] == "onnxruntime"
    assert (
        "answer: the same, bit for bit" in confirmed.stdout
    )  # on the engine of the receipt, unless another is asked for


def test_threads_change_no_answer(small):
    one, two = (run("predict", small / "model", small / "in.csv", "--threads", threads).stdout for threads in (1, 2))

    assert one == two != ""


@pytest.mark.parametrize("command", ["predict", "evaluate"])
@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("--precision", "int8"), "add one: elsewise export {model} --engine "),
        (("--engine", "torch"), "add one: elsewise export {model} --engine torch"),
        (("--engine", "abacus"), "unknown engine 'abacus'; there are"),
        (("--precision", "int3"), "unknown precision 'int3'; there are f32, bf16, f16, int8"),
    ],
)
def test_an_engine_that_model_is_not_certified_on_is_one_line_and_exit_1(small, command, asked, words):
    done = run(command, small / "model", small / "in.csv", *asked)

    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert words.format(model=small / "model") in done.stderr


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("--engine", "abacus"), "unknown engine 'abacus'; choose one of auto, native, openvino, onnxruntime, torch"),
        (("--precision", "int3"), "unknown precision 'int3'; choose one of auto, f32, bf16, f16, int8"),
        (("--engine", "onnxruntime", "--precision", "int8"), "does not compute in int8 on this machine, but in f32"),
    ],
)
def test_an_engine_that_there_is_not_is_one_line_and_exit_1_from_fit_and_export(small, tmp_path, asked, words):
    exported = run("export", small / "model", *asked)
    fitted = run("fit", small / "in.csv", "-o", tmp_path / "model", *asked)

    assert exported.returncode == fitted.returncode == 1
    for done in (exported, fitted):
        errors = [line for line in done.stderr.splitlines() if line.startswith("elsewise: ")]
        assert len(errors) == 1
        assert words in errors[0]
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "model").exists()


def test_export_of_logits_is_one_line_and_exit_1(logits_model):
    model, _ = logits_model

    done = run("export", model)

    assert done.returncode == 1
    assert done.stderr == f"elsewise: {model} is a model of logits: there is nothing to export\n"


@pytest.fixture
def own_logits_model(logits_model, tmp_path):
    return shutil.copytree(logits_model[0], tmp_path / "model")


def test_threshold_shows_changes_and_undoes(own_logits_model):
    model = own_logits_model

    changed = run("threshold", model, "--target-accuracy", 0.8, "--note", "asked for by sales")
    costs = run("threshold", model, "--cost-of-error", 10, "--cost-of-review", 1)
    undone = json.loads(run("threshold", model, "--undo", "--json").stdout)
    shown = run("threshold", model)

    assert "\nAt least 80 % of what is answered is right" in changed.stdout
    assert "0.9 at level 0.95, look 1" in changed.stdout
    assert "0.8 at level 0.95, look 2" in changed.stdout
    assert "errors in 1,000 texts" in changed.stdout
    assert f"written: {model}" in changed.stderr
    assert "1,000 texts are expected to cost" in costs.stdout
    assert undone["after"]["certificate"]["target_accuracy"] == 0.8
    assert undone["before"]["certificate"] is None
    assert undone["after"]["measured_on_tune_rows"]["coverage"]["value"] > 0
    assert "asked for by sales" in shown.stdout
    assert "The certify rows were read for 2 certifications; the next one is look 3." in shown.stdout


def test_threshold_by_the_band_keeps_a_promise(own_logits_model):
    changed = run("threshold", own_logits_model, "--at", 0.6, "--band", "--confidence-level", 0.9)
    again = json.loads(run("threshold", own_logits_model, "--at", 0.5, "--band", "--json").stdout)

    assert "exact bounds at" in changed.stdout
    assert again["after"]["rule"] == "accuracy_band"
    assert again["after"]["asked"]["threshold"] == 0.5
    assert again["after"]["certificate"]["looks"] == 2
    assert again["after"]["certificate"]["confidence_level"] == 0.9


def test_threshold_tells_the_labels_and_the_way_back_when_nothing_is_certified(own_logits_model):
    labels = run("threshold", own_logits_model, "--per-label")
    nothing = run("threshold", own_logits_model, "--target-accuracy", 0.9999, "--strict")

    assert "name 3" in labels.stdout
    assert "every text is Other now; the command below puts the threshold before back" in nothing.stderr
    assert nothing.stderr.endswith(f"threshold {own_logits_model} --undo\n")


def test_a_threshold_by_hand_that_no_text_reaches_is_said(own_logits_model):
    done = run("threshold", own_logits_model, "--at", 60)

    assert "no tune row reaches this threshold, so every text is Other" in done.stderr
    assert done.stderr.endswith(f"threshold {own_logits_model} --undo\n")


def test_threshold_says_which_engines_keep_their_own(small, exported, tmp_path):
    model = shutil.copytree(small / "model", tmp_path / "model")

    done = run("threshold", model, "--at", 0.3, "--engine", "openvino")

    assert done.returncode == 0, done.stderr
    assert "openvino-f32 was changed alone; onnxruntime-f32 keeps its own" in done.stderr
    assert f"elsewise threshold {model} --engine onnxruntime --precision f32" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--at", 0.7, "--coverage", 0.8), "--at and --coverage choose the threshold in different ways; give one"),
        (("--cost-of-review", 1), "--cost-of-review needs --cost-of-error"),
        (("--target-accuracy", 0.9, "--cost-of-error", 1), "--target-accuracy and --cost-of-error choose"),
        (("--cost-of-error", 1), "--cost-of-error needs --cost-of-review"),
        (("--joint",), "add --per-label"),
        (("--per-label", "--out-of-scope-share", 0.1), "--out-of-scope-share is for one threshold of all labels"),
        (("--per-label", "--strict"), "--strict is for one threshold of all labels"),
        (("--undo", "--at", 0.7), "--undo puts back the threshold before the last change; leave the other options out"),
        (("--undo",), "there is no change of the threshold of logits to undo"),
        (("--band",), "--band says that the threshold of --at keeps a promise; add --at, as in --at 0.6 --band"),
        (("--at", 0.7, "--band", "--target-accuracy", 0.9), "--at and --target-accuracy choose the threshold in"),
        (("--at", 99, "--band"), "threshold must be at most the band's strictest"),
        (("--note", "why"), "--note belongs to a change"),
        (("--at", "nan"), "threshold must be a number, got nan"),
    ],
)
def test_thresholds_that_make_no_sense_are_one_line_and_exit_1(logits_model, words, said):
    done = run("threshold", logits_model[0], *words)

    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_calibrate_says_which_columns_it_takes_for_labels_and_refuses_one_of_row_numbers(logits, tmp_path):
    z = np.load(logits / "z.npy")[:60]
    with (tmp_path / "z.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["id", *(f"name {i}" for i in range(4))], *([i, *row] for i, row in enumerate(z))])
    np.save(tmp_path / "y.npy", np.load(logits / "y.npy")[:60] + 1)

    done = run("calibrate", "--logits", "z.csv", "--labels", "y.npy", "-o", "m", folder=tmp_path)

    columns, refusal = done.stderr.splitlines()
    assert columns == "z.csv: its 5 columns are the labels id, name 0, name 1, name 2, name 3"
    assert refusal.startswith("elsewise: column 'id' of the logits holds a whole number of its own for each row")


def test_calibrate_can_leave_the_rows_out(logits, tmp_path):
    run(
        "calibrate", "--logits", logits / "z.npy", "--labels", logits / "y.npy", "--no-refit-rows", "-o", tmp_path / "m"
    )

    by_hand = run("threshold", tmp_path / "m", "--at", 0.5)
    promised = run("threshold", tmp_path / "m", "--target-accuracy", 0.8)

    assert by_hand.returncode == 0, by_hand.stderr
    assert "keeps no rows to measure on" in by_hand.stdout
    assert "keeps no rows to choose a threshold on" in promised.stderr


def test_no_threads_is_wrong_usage(small):
    assert run("predict", small / "model", small / "in.csv", "--threads", 0).returncode == 2


def test_doctor_prints_tables_and_json():
    table, found = run("doctor"), json.loads(run("doctor", "--json").stdout)

    assert table.returncode == 0, table.stderr
    for words in ("machine", "library", "precisions", "openvino", "default: ", *found["advice"]):
        assert words in table.stdout
    assert "f32" in found["engines"]["openvino"]["precisions"]
    assert found["default_engine"] in found["engines"]


def test_a_reader_that_leaves_is_no_error_of_ours(model, tmp_path):
    data = tmp_path / "data.csv"
    data.write_text("text\n" + "where is my parcel\n" * 20000, encoding="utf-8")

    command = f"{sys.executable} -m elsewise predict {model} {data} | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, timeout=60)

    assert done.stdout.startswith("text,label,")
    assert "Traceback" not in done.stderr


STOPPING = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored where a shell runs the tests in the background
from elsewise.training import checkpoints
checkpoints.EVERY, checkpoints.COST = 0, 1e9
write = checkpoints.CheckpointCallback._write
def write_and_stop(self, state, **parts):
    write(self, state, **parts)
    if state.global_step == 5:
        signal.raise_signal(signal.SIGINT)
checkpoints.CheckpointCallback._write = write_and_stop
from elsewise.cli import main
main()
"""


def fit_to_stop(folder):
    """The words of a `fit` of 24 steps."""
    short = ("--batch-size", 64, "--engine", "torch", "--no-second-opinion")
    return [*map(str, (*fit_words(folder, 600), *short, "-o", folder / "model"))]


def told_of_the_stop(stopped, words, folder):
    """Look at what a `fit` that was stopped at step 5 says and leaves; give its folder."""
    unfinished = folder / "model.unfinished"
    told, after = stopped.stderr.splitlines()[-2:]
    steps = told.partition(" of ")[2].partition(",")[0]
    assert told == f"stopped; kept: step 5 of {steps}, in {unfinished}, from where the same command goes on"
    assert shlex.split(after)[0] == "Next:"
    assert shlex.split(after)[-len(words) :] == words
    assert [path.name for path in (unfinished / "member-0").iterdir()] == ["step-00000005"]
    assert not (folder / "model").exists()
    return unfinished


def test_a_stopped_fit_says_so_in_a_line_and_the_same_command_goes_on(tmp_path):
    """The process sends itself a signal when the checkpoint of step 5 is written."""
    words = fit_to_stop(tmp_path)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}

    stopped = subprocess.run(
        [sys.executable, "-c", STOPPING, *words], capture_output=True, text=True, check=False, env=environment
    )

    assert stopped.returncode == 130, stopped.stderr
    unfinished = told_of_the_stop(stopped, words, tmp_path)
    ended = run(*words)
    assert ended.returncode == 0, ended.stderr
    assert "training continues from step 5 of " in ended.stderr
    assert (tmp_path / "model" / "manifest.json").exists()
    assert not (tmp_path / "model" / "baseline").exists()  # as asked
    assert not unfinished.exists()


def test_a_fit_that_is_told_to_end_says_the_same(tmp_path, monkeypatch):
    """SIGTERM, which is heard in this process too."""
    from elsewise.training import checkpoints

    write, words = checkpoints.CheckpointCallback._write, fit_to_stop(tmp_path)

    def write_and_stop(self, state, **parts):
        write(self, state, **parts)
        if state.global_step == 5:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(checkpoints, "EVERY", 0)
    monkeypatch.setattr(checkpoints, "COST", 1e9)
    monkeypatch.setattr(checkpoints.CheckpointCallback, "_write", write_and_stop)

    stopped = run(*words)

    assert stopped.returncode == 143, stopped.stderr
    told_of_the_stop(stopped, words, tmp_path)


MY_MODEL = """
import numpy as np
import elsewise as ew

class Model:
    labels = ("yes", "no")
    def run(self, texts):
        return ew.Outputs(np.array([[4.0, 0.0] if "7" in text else [0.0, 4.0] for text in texts]))

class Other(Model):
    labels = ("no", "yes")

model, other = Model(), Other()

def function(texts):
    return texts
"""


@pytest.fixture(scope="module")
def around(tmp_path_factory):
    """A folder with a module of somebody's own, rows, and what was fitted around the model in it."""
    place = tmp_path_factory.mktemp("around")
    (place / "my_model.py").write_text(MY_MODEL, encoding="utf-8")
    (place / "broken.py").write_text("1 / 0\n", encoding="utf-8")
    with (place / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        rows = [[f"text {i}", "yes" if ("7" in str(i)) != (i % 40 == 0) else "no"] for i in range(1200)]
        csv.writer(file).writerows([["text", "label"], *rows])
    done = run("fit", "rows.csv", "--engine", "my_model:model", "--target-accuracy", 0.9, "-o", "model", "--json",
               folder=place)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "all 1,200 rows are taken as texts that the model was not trained on" in done.stderr
    return place, json.loads(done.stdout)


def test_fit_around_a_model_certifies_it(around):
    _, said = around

    assert said["certificate"]["certified"] is True
    assert said["served"]["engine"] == "given"
    assert said["record"]["splits"] == {"train": 0, "tune": 300, "certify": 600, "test": 300}


def test_a_folder_around_a_model_is_compared_when_the_model_is_passed(around):
    place, _ = around
    shutil.copytree(place / "model", place / "same")

    compared = run("compare", "model=my_model:model", "same=my_model:model", "rows.csv", "--json", folder=place)
    missing = run("compare", "model", "same", "rows.csv", folder=place)

    assert compared.returncode == 0, compared.stderr
    assert json.loads(compared.stdout)["verdict"].startswith("No difference shown")
    assert missing.returncode == 1
    assert "model was fitted around a model of yours" in missing.stderr


def test_a_model_that_is_passed_again_answers(around):
    place, _ = around
    more = ("--engine", "my_model:model")

    predicted = run("predict", "model", "rows.csv", "-o", "out.csv", *more, "--json", folder=place)
    explained = run("explain", "model", "text 7", *more, folder=place)
    judged = run("evaluate", "model", "rows.csv", *more, "--json", folder=place)

    assert json.loads(predicted.stdout)["read"] == 1200
    assert '"yes" with probability' in explained.stdout
    assert json.loads(judged.stdout)["classifier"]["accuracy"]["value"] == pytest.approx(0.975)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--engine", "my_model:other"], "the labels of model, in a different order: 'no' instead of 'yes'; pass the"),
        (
            ["--engine", "my_model:function"],
            "a function cannot be used as an engine: it has no labels and no run(texts)",
        ),
        (["--engine", "my_model:none"], "--engine my_model:none: there is no 'none' in my_model; name the object"),
        (["--engine", "my_modle:model"], "the module cannot be imported: No module named 'my_modle'"),
        (["--engine", "my_model.py:model"], "name a module without its ending, as in my_model:object"),
        (["--engine", "broken:model"], "ZeroDivisionError: division by zero; python -c 'import broken' shows where"),
        ([], "model was fitted around a model of yours (my_model.Model); pass it again with --engine (module:object; "),
    ],
)
def test_what_does_not_fit_around_a_model_is_one_line_and_exit_1(around, words, said):
    done = run("predict", "model", "rows.csv", *words, folder=around[0])

    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("elsewise: ") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("option", "value"), [("--batch-size", 64), ("--precision", "auto"), ("--max-length", 256)])
def test_an_option_about_training_is_refused_around_a_model_even_with_its_default(around, option, value):
    done = run("fit", "rows.csv", "--engine", "my_model:model", option, value, "-o", "new", folder=around[0])

    assert done.returncode == 1
    assert f"elsewise: {option} is about training, and the engine is a model that is trained already" in done.stderr


def test_training_is_not_asked_for_around_a_model(around):
    done = run("fit", "rows.csv", "--engine", "my_model:model", "--epochs", 2, "-o", "new", folder=around[0])

    assert done.returncode == 1
    assert "elsewise: --epochs is about training, and the engine is a model that is trained already" in done.stderr


def test_calibrate_takes_features_out_of_scope_rows_and_a_test_set(logits, tmp_path):
    rng = np.random.default_rng(1)
    for name, n in (("f", 1200), ("of", 60)):
        np.save(tmp_path / f"{name}.npy", rng.normal(size=(n, 5)))
    np.save(tmp_path / "oz.npy", rng.normal(size=(60, 4)))
    given = ("--logits", logits / "z.npy", "--labels", logits / "y.npy")
    test = ("--test-logits", logits / "z.npy", "--test-labels", logits / "y.npy")
    features = ("--features", tmp_path / "f.npy", "--test-features", tmp_path / "f.npy")
    outside = ("--out-of-scope-logits", tmp_path / "oz.npy", "--out-of-scope-features", tmp_path / "of.npy")

    done = run("calibrate", *given, *test, *features, *outside, "-o", tmp_path / "model", "--json")
    judged = run(
        "evaluate", tmp_path / "model", logits / "z.npy", "--labels", logits / "y.npy", *features[:2], "--json"
    )
    half = run("calibrate", *given, *test[:2], "-o", tmp_path / "half")
    alone = run("calibrate", *given, *outside[2:], "-o", tmp_path / "alone")

    said = json.loads(done.stdout)
    assert said["record"]["splits"] == {"tune": 420, "certify": 840, "test": 1200}
    assert json.loads(judged.stdout)["classifier"] == said["evaluation"]["classifier"]
    assert half.stderr == "elsewise: test rows need both --test-logits and --test-labels\n"
    assert "--out-of-scope-features belongs to --features and --out-of-scope-logits" in alone.stderr


def test_fit_divides_by_groups_and_time_and_the_folder_remembers(around):
    place, _ = around
    rows = (place / "rows.csv").read_text(encoding="utf-8").splitlines()
    marked = [f"{rows[0]},customer,when", *(f"{row},c{i // 2},{i}" for i, row in enumerate(rows[1:]))]
    (place / "marked.csv").write_text("\n".join(marked) + "\n", encoding="utf-8")
    words = ("marked.csv", "--group-column", "customer", "--time-column", "when")

    done = run("fit", *words, "--engine", "my_model:model", "--target-accuracy", 0.9, "-o", "marked", folder=place)
    changed = run("threshold", "marked", "--target-accuracy", 0.85, "--json", folder=place)
    checked = run("check", *words, "--json", folder=place)

    assert done.returncode == 0, done.stderr
    said = "rows: train 0, tune 150, certify 300, test 150; left out: 600 in a group that counts once"
    assert said in done.stderr.splitlines()
    assert "each group counts once" in done.stdout
    assert "each group counts once" in (place / "marked" / "README.md").read_text(encoding="utf-8")
    told = json.loads(changed.stdout)["after"]["certificate"]
    assert told["population"] == {
        "rows": 300, "repeats": 0, "counts_repeats": False, "by_group": True, "newest": True
    }  # fmt: skip
    assert "--group-column customer --time-column when" in json.loads(checked.stdout)["command"]


def test_fit_counts_repeats_where_it_is_asked_to(around):
    place, _ = around
    rows = (place / "rows.csv").read_text(encoding="utf-8").splitlines()
    (place / "traffic.csv").write_text("\n".join([*rows, *rows[1:301]]) + "\n", encoding="utf-8")
    words = ("fit", "traffic.csv", "--engine", "my_model:model", "--target-accuracy", 0.9, "--count-repeats")

    done = run(*words, "-o", "traffic", folder=place)

    assert "rows: train 0, tune 375, certify 750, test 375" in done.stderr.splitlines()
    assert "warning" not in done.stderr
    assert "a text counts as often as it comes" in done.stdout


def test_calibrate_reads_groups_and_times_beside_the_labels(logits, tmp_path):
    rows = (logits / "y.csv").read_text(encoding="utf-8").splitlines()
    marked = ["label,customer,when", *(f"{row},c{i // 2},2024-05-{1 + i // 60:02d}" for i, row in enumerate(rows[1:]))]
    (tmp_path / "y.csv").write_text("\n".join(marked) + "\n", encoding="utf-8")
    words = ("calibrate", "--logits", logits / "z.npy", "--labels", tmp_path / "y.csv", "--names", logits / "names.txt")

    done = run(*words, "--group-column", "customer", "--time-column", "when", "-o", tmp_path / "m", "--json")

    said = json.loads(done.stdout)
    assert said["record"]["splits"] == {"tune": 210, "certify": 390}
    assert said["record"]["dropped"]["grouped"] == 600


# Paths with a tilde that no shell has replaced


def test_a_tilde_is_the_home_folder_wherever_a_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    logits, codes = np.tile(np.eye(2) * 9, (200, 1)), np.tile([0, 1], 200)
    np.save(tmp_path / "home" / "z.npy", logits + np.arange(400)[:, None] / 1e4)
    np.save(tmp_path / "home" / "y.npy", codes)

    made = run("calibrate", "--logits=~/z.npy", "--labels=~/y.npy", "--out=~/model", folder=tmp_path)
    told = run("predict", "~/model", "~/z.npy", "--out=~/answers.csv", folder=tmp_path)

    assert (made.returncode, told.returncode) == (0, 0), made.stderr + told.stderr
    there = sorted(path.name for path in (tmp_path / "home").iterdir())
    assert there == ["answers.csv", "answers.csv.summary.json", "model", "y.npy", "z.npy"]
    assert not (tmp_path / "~").exists()
    assert ew.load("~/model").labels == ("0", "1")
    assert open_threshold("~/model").overview().looks == 1


def test_a_word_that_begins_with_a_tilde_is_no_path(tmp_path):
    texts = {"~ hm": [4.0, 0.0]}
    ew.Classifier(MemoryEngine(("yes", "no"), texts), ew.Identity(), ew.FixedThreshold(0.6)).save(tmp_path / "model")

    assert run("explain", tmp_path / "model", "~ hm").stdout.startswith('"yes" with probability 0.982')


# Terminals that cannot show a letter


@pytest.fixture(scope="module")
def turkish(tmp_path_factory):
    folder = tmp_path_factory.mktemp("turkish") / "model"
    table = {"kargom nerede": [4.0, 0.0], "iade": [0.1, 0.0]}
    ew.Classifier(MemoryEngine(("Kargo şubesi 👍", "İade"), table), ew.Identity(), ew.FixedThreshold(0.6)).save(folder)
    return folder


@pytest.mark.parametrize("encoding", ["cp1252", "cp1254"])
def test_a_letter_that_the_terminal_lacks_becomes_an_escape(turkish, encoding):
    done = run("explain", turkish, "kargom nerede", "--language", "tr", encoding=encoding)

    shown = "Kargo şubesi 👍".encode(encoding, "backslashreplace").decode(encoding)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f'Etiket: "{shown}"')


def test_json_is_json_whatever_the_terminal_shows(turkish):
    told = [run("explain", turkish, "kargom nerede", "--json", encoding=e).stdout for e in ("utf-8", "cp1252")]

    assert [json.loads(one)["label"] for one in told] == ["Kargo şubesi 👍"] * 2
    assert told[1].isascii()


def test_rows_on_stdout_are_utf_8_whatever_the_terminal_shows(turkish, tmp_path):
    (tmp_path / "in.csv").write_text("text\nkargom nerede\n", encoding="utf-8")
    command = [sys.executable, "-m", "elsewise", "predict", turkish, tmp_path / "in.csv"]

    done = subprocess.run(command, env={**os.environ, "PYTHONIOENCODING": "cp1252"}, capture_output=True, check=False)

    assert "Kargo şubesi 👍" in done.stdout.decode("utf-8"), done.stderr


# Files of logits as spreadsheets and pandas write them


@pytest.fixture
def spreadsheet(tmp_path):
    rng = np.random.default_rng(0)
    codes = rng.integers(3, size=600)
    z = (rng.normal(size=(600, 3)) + 3 * np.eye(3)[codes]).round(4)
    np.save(tmp_path / "z.npy", z)
    rows = ["billing;login;refund", *(";".join(map(str, row)).replace(".", ",") for row in z.tolist())]
    (tmp_path / "z.csv").write_text("\n".join(rows), encoding="utf-8")
    (tmp_path / "y.csv").write_text("label\n" + "".join(f"{code}.0\n" for code in codes), encoding="utf-8")
    return tmp_path


def test_decimal_commas_and_whole_floats_go_from_calibrate_to_evaluate(spreadsheet):
    files = ("--labels", "y.csv", "--decimal", ",")

    made = run("calibrate", "--logits", "z.csv", *files, "-o", "model", folder=spreadsheet)
    judged = run("evaluate", "model", "z.csv", *files, "--json", folder=spreadsheet)
    answered = run("predict", "model", "z.csv", "--decimal", ",", folder=spreadsheet)

    assert made.returncode == 0, made.stderr
    assert json.loads(judged.stdout)["classifier"]["accuracy"]["value"] > 0.9, judged.stderr
    assert any(line.endswith("0 rejected") for line in answered.stderr.splitlines())


@pytest.mark.parametrize(("names", "holds"), [('["a", "b"]', "2 names"), ('["a"]', "1 name")])
def test_names_that_are_not_as_many_as_the_columns_are_the_first_to_be_told(spreadsheet, names, holds):
    (spreadsheet / "names.json").write_text(names, encoding="utf-8")

    done = run("calibrate", "--logits", "z.npy", "--labels", "y.csv", "--names", "names.json", "-o", "model",
               folder=spreadsheet)  # fmt: skip

    said = (
        f"elsewise: names.json holds {holds}, and z.npy has 3 columns; write one name for each column, in their order"
    )
    assert done.stderr.splitlines() == [said]


def test_names_of_a_json_list_are_the_labels(spreadsheet):
    (spreadsheet / "names.json").write_text('["billing", "login", "refund"]', encoding="utf-8")

    done = run("calibrate", "--logits", "z.npy", "--labels", "y.csv", "--names", "names.json", "-o", "model",
               folder=spreadsheet)  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert ew.load(spreadsheet / "model").labels == ("billing", "login", "refund")


# Explanations in Turkish


@pytest.fixture(scope="module")
def certified(tmp_path_factory):
    """A certified model of texts that are nearly all right, its texts as a file, and a text that it does not read."""
    folder = tmp_path_factory.mktemp("certified")
    texts = [f"metin {i} gelmedi" for i in range(1200)]
    table = {text: [4.0, i % 7 / 5] if i % 2 else [i % 5 / 5, 4.0] for i, text in enumerate(texts)}
    labels = ["kargo" if i % 2 and i % 99 else "iade" for i in range(1200)]
    engine = MemoryEngine(("kargo", "iade"), table | {f"metin {i} ": [1.0, 0.5] for i in range(9)})
    ew.fit(texts, labels, engine=engine, target_accuracy=0.9).save(folder / "model")
    return folder


def test_all_that_explain_shows_is_turkish(certified):
    told = run("explain", "model", "metin 7 gelmedi", "--language", "tr", folder=certified)
    english = run("explain", "model", "metin 7 gelmedi", folder=certified)

    assert told.returncode == 0, told.stderr
    for words in (
        'Etiket: "kargo", olasılığı 0,',
        "Müşteriye: Bu metin otomatik olarak",
        "En olası etiketler; güven değeri (",
        "etiket",
        '"kargo" etiketine yaklaştıran (+) ve ondan uzaklaştıran (-) sözcükler, log-odds cinsinden',
        "sözcük olmadan olasılık",
        "; karar sürümü ",
        "Metin: SHA-256 ",
        "Sertifika: Etiket verilen metinlerde doğruluk oranı en az %90, güven düzeyi %95: ",
    ):
        assert words in told.stdout
    shared = {*told.stdout.splitlines()} & {*english.stdout.splitlines()}
    assert not any(re.search(r"\w", line) for line in shared)
    assert re.search(r"\d\.\d", told.stdout) is None


def test_a_receipt_is_confirmed_in_turkish_and_is_the_same_in_both_languages(certified, tmp_path):
    written = [tmp_path / "en.json", tmp_path / "tr.json"]
    for path in written:
        made = run(
            "explain", "model", "metin 7 gelmedi", "--language", path.stem, "--receipt-out", path, folder=certified
        )
    same = run("explain", "model", "metin 7 gelmedi", "--language", "tr", "--receipt", written[0], folder=certified)
    other = run("explain", "model", "metin 8 gelmedi", "--language", "tr", "--receipt", written[0], folder=certified)

    assert made.stderr.splitlines()[0] == f"yazıldı: {written[1]}"
    assert written[0].read_bytes() == written[1].read_bytes()
    assert same.stdout.splitlines() == [
        "metin: aynı", "model: aynı", "karar sürümü: aynı", "sertifika: aynı", "yanıt: aynı, son bitine kadar"
    ]  # fmt: skip
    assert other.returncode == 1
    assert other.stderr.startswith(
        f"elsewise: {written[0]} doğrulanmadı: metin, karar kaydındaki metin değil: SHA-256 "
    )
