"""Files in, files out: in = answered + other + rejected."""

import csv
import json
import os
import tracemalloc
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import elsewise as ew
from elsewise.batch import source
from elsewise.batch.predict import predict_file
from elsewise.batch.source import CHUNK_ROWS
from elsewise.data.labelled_texts import Reading
from elsewise.engines.logits import LogitsEngine
from elsewise.engines.memory import MemoryEngine
from elsewise.errors import InputError

TABLE = {"sure": [4.0, 0.0], "hm": [0.1, 0.0], "no way": [0.0, 5.0]}


@pytest.fixture
def classifier():
    return ew.Classifier(MemoryEngine(("yes", "no"), TABLE), ew.Identity(), ew.FixedThreshold(0.6))


def written(path, text):
    path.write_text(text, encoding="utf-8", newline="")
    return str(path)


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_row_comes_out_once_in_order(classifier, tmp_path):
    data = written(tmp_path / "in.csv", "id,text\n01,sure\n02,hm\n03,never seen\n04,no way\n")

    summary = predict_file(classifier, data, str(tmp_path / "out.csv"))

    rows = rows_of(tmp_path / "out.csv")
    assert [row["id"] for row in rows] == ["01", "02", "03", "04"]
    assert [row["label"] for row in rows] == ["yes", "Other", "Other", "no"]
    assert [row["abstained"] for row in rows] == ["false", "true", "true", "false"]
    assert [row["reason"] for row in rows] == ["answered", "ambiguous", "unreadable", "answered"]
    assert [row["best_label"] for row in rows] == ["yes", "yes", "", "no"]
    assert float(rows[0]["confidence"]) == pytest.approx(1 / (1 + np.exp(-4)))
    assert rows[2]["confidence"] == ""
    assert (summary.read, summary.answered, summary.other, summary.rejected) == (4, 2, 2, 0)
    assert summary.reasons == {"ambiguous": 1, "unreadable": 1}


def test_ragged_rows_are_rejected_with_their_line_and_the_rest_is_answered(classifier, tmp_path):
    data = written(tmp_path / "in.csv", 'id,text\n1,sure\n2,"two\nlines",x\n3,no way\n4\n')

    summary = predict_file(classifier, data, str(tmp_path / "out.csv"))

    rejected = [json.loads(line) for line in (tmp_path / "out.csv.rejected.jsonl").read_text().splitlines()]
    assert [row["label"] for row in rows_of(tmp_path / "out.csv")] == ["yes", "no"]
    assert [(row["line"], row["problem"]) for row in rejected] == [
        (3, "has 3 fields, the header has 2"),
        (6, "has 1 field, the header has 2"),
    ]
    assert (summary.read, summary.answered + summary.other, summary.rejected) == (4, 2, 2)
    assert summary.rejects == str(tmp_path / "out.csv.rejected.jsonl")


def test_rejects_of_an_earlier_run_do_not_stay(classifier, tmp_path):
    out = str(tmp_path / "out.csv")
    predict_file(classifier, written(tmp_path / "bad.csv", "id,text\n1\n"), out)

    predict_file(classifier, written(tmp_path / "good.csv", "id,text\n1,sure\n"), out, overwrite=True)

    assert not (tmp_path / "out.csv.rejected.jsonl").exists()


def test_an_input_column_called_label_is_kept_under_another_name_and_said(classifier, tmp_path):
    data = written(tmp_path / "in.csv", "text,label\nsure,no\n")

    summary = predict_file(classifier, data, str(tmp_path / "out.csv"))

    row = rows_of(tmp_path / "out.csv")[0]
    assert (row["input_label"], row["label"]) == ("no", "yes")
    assert "the input column 'label' is written as 'input_label'" in summary.notes


def test_json_lines_go_in_and_out(classifier, tmp_path):
    data = written(tmp_path / "in.jsonl", '{"id": 7, "text": "sure"}\n{"id": 8}\nnot json\n{"id": 9, "text": "hm"}\n')

    summary = predict_file(classifier, data, str(tmp_path / "out.jsonl"))

    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(row["id"], row["label"], row["abstained"]) for row in rows] == [(7, "yes", False), (9, "Other", True)]
    assert summary.rejected == 2


def test_the_sentences_can_be_asked_for_in_a_language(classifier, tmp_path):
    data = written(tmp_path / "in.csv", "text,sentence\nsure,a column of theirs\nunknown,\n")

    predict_file(classifier, data, str(tmp_path / "out.csv"), sentences="tr")

    rows = rows_of(tmp_path / "out.csv")
    assert rows[0]["sentence"] == 'Etiket: "yes", olasılığı 0,982; güven değeri (0,982) eşik değerine (0,600) ulaşıyor.'
    assert rows[0]["input_sentence"] == "a column of theirs"
    assert rows[0]["customer_sentence"] == classifier.decide(["sure"]).customer_sentence(0, "tr")
    assert "0,98" not in rows[0]["customer_sentence"]
    assert rows[1]["sentence"] == "Other: metinde modelin okuyabileceği bir içerik yok."


def test_an_unknown_language_is_said_before_a_file_is_touched(classifier, tmp_path):
    with pytest.raises(InputError, match="unknown language 'klingon'; there are en, tr"):
        predict_file(classifier, "no such file", str(tmp_path / "out.csv"), sentences="klingon")

    assert list(tmp_path.iterdir()) == []


def test_the_best_labels_and_all_probabilities_can_be_asked_for(classifier, tmp_path):
    data = written(tmp_path / "in.csv", "text\nno way\n")

    predict_file(classifier, data, str(tmp_path / "out.csv"), top=5, probabilities=True)

    row = rows_of(tmp_path / "out.csv")[0]
    assert (row["label_1"], row["label_2"]) == ("no", "yes")
    assert float(row["probability_1"]) == float(row["p_no"])
    assert float(row["p_yes"]) + float(row["p_no"]) == pytest.approx(1)


def test_a_real_label_called_other_is_told_apart_by_abstained(tmp_path):
    engine = MemoryEngine(("yes", "Other"), {"sure": [0.0, 4.0], "hm": [0.0, 0.1]})
    classifier = ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.6))
    data = written(tmp_path / "in.csv", "text\nsure\nhm\n")

    predict_file(classifier, data, str(tmp_path / "out.csv"))

    assert [(row["label"], row["abstained"]) for row in rows_of(tmp_path / "out.csv")] == [
        ("Other", "false"),
        ("Other", "true"),
    ]


def test_a_missing_column_is_named_with_the_remedy(classifier, tmp_path):
    data = written(tmp_path / "in.csv", "body;topic\nsure;x\n")

    with pytest.raises(
        InputError, match=r"has no column 'text'; it has 'body', 'topic'; name the right one with text_column="
    ):
        predict_file(classifier, data, str(tmp_path / "out.csv"))


def test_an_empty_file_is_refused_and_a_header_alone_gives_a_header(classifier, tmp_path):
    with pytest.raises(InputError, match=r"is empty"):
        predict_file(classifier, written(tmp_path / "empty.csv", ""), str(tmp_path / "out.csv"))

    summary = predict_file(classifier, written(tmp_path / "header.csv", "text\n"), str(tmp_path / "out.csv"))

    assert summary.read == 0
    assert (tmp_path / "out.csv").read_text().startswith("text,label,abstained,reason")


def test_a_failure_leaves_no_output(classifier, tmp_path):
    data = written(tmp_path / "in.csv", 'text\nsure\n"never closed\n')

    with pytest.raises(InputError, match="quote"):
        predict_file(classifier, data, str(tmp_path / "out.csv"))

    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv"]


def test_the_input_cannot_be_the_output(classifier, tmp_path):
    data = written(tmp_path / "in.csv", "text\nsure\n")

    with pytest.raises(InputError, match=r"in.csv is the input file, and would be overwritten; choose another name"):
        predict_file(classifier, data, data)


def test_mended_rejects_are_not_overwritten_by_their_own_run(classifier, tmp_path):
    data = written(tmp_path / "out.csv.rejected.jsonl", '{"text": "sure"}\n')

    with pytest.raises(InputError, match="is the input file, and would be overwritten"):
        predict_file(classifier, data, str(tmp_path / "out.csv"))

    assert (tmp_path / "out.csv.rejected.jsonl").exists()


def test_rejects_beside_a_device_are_counted_and_not_written(classifier, tmp_path):
    summary = predict_file(classifier, written(tmp_path / "in.csv", "id,text\n1\n2,sure\n"), "/dev/null")

    assert (summary.read, summary.rejected, summary.rejects) == (2, 1, None)
    assert not Path("/dev/null.rejected.jsonl").exists()


def test_a_file_without_rejects_has_no_file_of_them(classifier, tmp_path):
    summary = predict_file(classifier, written(tmp_path / "in.csv", "text\nsure\n"), str(tmp_path / "out.csv"))

    assert summary.rejects is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv", "out.csv.summary.json"]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(classifier, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "CHUNK_ROWS", rows := CHUNK_ROWS // 16)  # the watch over memory takes long
    data = tmp_path / "in.csv"
    peaks = []
    for chunks in (24, 60):
        with data.open("w", encoding="utf-8") as file:
            file.write("id,text\n")
            file.writelines(f"{i},sure\n" for i in range(chunks * rows))

        tracemalloc.start()
        summary = predict_file(classifier, str(data), str(tmp_path / f"{chunks}.csv"))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

        assert summary.answered == chunks * rows

    assert peaks[1] < 1.5 * peaks[0] < 40e6 / 4  # of 2.5 times as many rows


def test_progress_knows_the_number_of_rows_and_ends_with_it(classifier, tmp_path):
    seen = []
    data = written(tmp_path / "in.csv", 'text\n"two\nlines"\nsure\n\xa0\nhm')

    predict_file(classifier, data, str(tmp_path / "out.csv"), progress=lambda *report: seen.append(report))

    assert seen == [("predicting", 0, 4), ("predicting", 4, 4)]


def test_progress_of_a_miscounted_file_forgets_the_total(classifier, tmp_path):
    """Line ends of an old Macintosh are counted as none."""
    seen = []
    data = tmp_path / "in.csv"
    data.write_bytes(b"text\rsure\rhm\r")

    predict_file(classifier, str(data), str(tmp_path / "out.csv"), progress=lambda *report: seen.append(report))

    assert seen == [("predicting", 0, 0), ("predicting", 2, 0)]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names there")
def test_progress_of_a_pipe_knows_no_total(classifier, tmp_path):
    seen = []
    os.mkfifo(tmp_path / "in")
    writer = Thread(target=(tmp_path / "in").write_text, args=("text\nsure\n",))
    writer.start()

    predict_file(classifier, str(tmp_path / "in"), str(tmp_path / "out.csv"), progress=lambda *r: seen.append(r))

    writer.join()
    assert seen == [("predicting", 0, 0), ("predicting", 1, 0)]


def test_logits_are_predicted_from_npy_and_csv(tmp_path):
    classifier = ew.Classifier(LogitsEngine(("yes", "no")), ew.Identity(), ew.FixedThreshold(0.6))
    np.save(tmp_path / "z.npy", np.array([[4.0, 0.0], [np.nan, 0.0], [0.1, 0.0]], dtype=np.float32))
    data = written(tmp_path / "z.csv", "no,id,yes\n0,a,4\n0,b,0.1\n")

    from_array = predict_file(classifier, str(tmp_path / "z.npy"), str(tmp_path / "a.csv"))
    predict_file(classifier, data, str(tmp_path / "b.csv"))

    assert [row["label"] for row in rows_of(tmp_path / "a.csv")] == ["yes", "Other", "Other"]
    assert from_array.reasons == {"unreadable": 1, "ambiguous": 1}
    assert [row["label"] for row in rows_of(tmp_path / "b.csv")] == ["yes", "Other"]


def test_a_bad_row_of_logits_is_rejected_and_the_rest_is_answered(tmp_path):
    classifier = ew.Classifier(LogitsEngine(("yes", "no")), ew.Identity(), ew.FixedThreshold(0.6))
    data = written(tmp_path / "z.csv", "yes,no\n4,0\nx,0\n1\nnan,0\n0,4\n")

    summary = predict_file(classifier, data, str(tmp_path / "out.csv"))

    problems = [json.loads(line)["problem"] for line in (tmp_path / "out.csv.rejected.jsonl").read_text().splitlines()]
    assert [row["label"] for row in rows_of(tmp_path / "out.csv")] == ["yes", "Other", "no"]
    assert problems == ["has 'x' in column 'yes', not a number", "has 1 field, the header has 2"]
    assert summary.read == 5 == summary.answered + summary.other + summary.rejected


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("yes,NO", r"has no column 'no'; name the columns like the labels, or none of them"),
        ("a,b,c", r"has 3 columns, the model has 2 labels"),
        ("0.25,-1.5e+00", r"the first line of .* holds numbers, not names"),
    ],
)
def test_columns_of_logits_that_do_not_fit_are_refused(header, words, tmp_path):
    classifier = ew.Classifier(LogitsEngine(("yes", "no")), ew.Identity(), ew.FixedThreshold(0.6))
    data = written(tmp_path / "z.csv", f"{header}\n1,2\n")

    with pytest.raises(InputError, match=words):
        predict_file(classifier, data, str(tmp_path / "out.csv"))


def test_another_delimiter_and_encoding_are_read(classifier, tmp_path):
    (tmp_path / "in.csv").write_bytes("ad;text\nIşıl;sure\n".encode("cp1254"))

    with pytest.raises(InputError, match=r"encoding='cp1254'"):
        predict_file(classifier, str(tmp_path / "in.csv"), str(tmp_path / "out.csv"))
    predict_file(classifier, str(tmp_path / "in.csv"), str(tmp_path / "out.csv"), how=Reading(encoding="cp1254"))

    assert rows_of(tmp_path / "out.csv")[0]["ad"] == "Işıl"


def test_several_text_columns_are_joined_as_they_were_for_training(tmp_path):
    engine = MemoryEngine(("yes", "no"), {"Refund please": [4.0, 0.0], "bye": [0.0, 4.0]})
    classifier = ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.6))
    data = written(tmp_path / "in.csv", "subject,body\nRefund,please\n ,bye\n")

    predict_file(classifier, data, str(tmp_path / "out.csv"), how=Reading("subject,body"))

    rows = rows_of(tmp_path / "out.csv")
    assert [row["label"] for row in rows] == ["yes", "no"]
    assert [row["subject"] for row in rows] == ["Refund", " "]


@pytest.fixture
def of_features(tmp_path):
    """A model that reads two features behind two logits, with files of both."""
    logits = np.array([[4.0, 0.0], [0.0, 3.0], [1.0, 0.0]])
    np.save(tmp_path / "z.npy", logits)
    np.save(tmp_path / "short.npy", np.eye(2))
    np.save(tmp_path / "long.npy", np.eye(4, 2))
    np.save(tmp_path / "wide.npy", np.eye(3))
    return ew.Classifier(LogitsEngine(("yes", "no"), features=2), ew.Identity(), ew.FixedThreshold(0.6)), tmp_path


def test_features_stand_beside_their_own_logits_even_below_a_rejected_row(tmp_path):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(600, 2)) * 4
    features = rng.normal(size=(600, 3))
    codes = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    made = ew.calibrate(z, codes, features=features, score="mahalanobis", target_accuracy=0.7)
    lines = ["a,b", *(f"{one!r},{other!r}" for one, other in z[:5].tolist())]
    lines[2] = "none,0"
    (tmp_path / "z.csv").write_text("\n".join(lines), encoding="utf-8")
    np.save(tmp_path / "f.npy", features[:5])

    summary = predict_file(made, str(tmp_path / "z.csv"), str(tmp_path / "out.csv"), features=str(tmp_path / "f.npy"))

    kept = [0, 2, 3, 4]
    assert (summary.read, summary.rejected) == (5, 1)
    confidence = [float(row["confidence"]) for row in rows_of(tmp_path / "out.csv")]
    assert confidence == made.decide(np.hstack([z, features])[kept]).confidence.tolist()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("short.npy", r"short\.npy has 2 rows, and there are more rows of logits$"),
        ("long.npy", r"long\.npy has 4 rows, and there are only 3 rows of logits$"),
        ("wide.npy", r"wide\.npy has 3 columns, and the model reads 2 features$"),
        (None, r"^this model reads 2 features beside the logits; give a file of them with features=$"),
    ],
)
def test_features_that_do_not_fit_are_refused_and_leave_no_output(of_features, name, words):
    classifier, place = of_features
    features = None if name is None else str(place / name)

    with pytest.raises(InputError, match=words):
        predict_file(classifier, str(place / "z.npy"), str(place / "out.csv"), features=features)

    assert not (place / "out.csv").exists()


def test_features_for_a_model_that_reads_none_are_refused(classifier, tmp_path):
    (tmp_path / "in.csv").write_text("text\nx\n", encoding="utf-8")

    with pytest.raises(InputError, match=r"^f\.npy: this model reads no features; leave features= out$"):
        predict_file(classifier, str(tmp_path / "in.csv"), str(tmp_path / "out.csv"), features="f.npy")


def test_rows_that_a_quote_has_merged_are_told_when_the_file_is_read(classifier, tmp_path):
    data = written(tmp_path / "in.tsv", 'text\tid\n"sure\t1\nhm\t2\nno way"\t3\nsure\t4\n')

    merged = predict_file(classifier, data, str(tmp_path / "out.csv"))
    apart = predict_file(classifier, data, str(tmp_path / "apart.csv"), how=Reading(literal_quotes=True))

    assert (merged.read, apart.read) == (2, 4)
    assert merged.notes[-1] == (
        "1 row with tabs and line ends in a quoted cell: several rows, where a quote is a character (line 2); "
        "if so, read quotes so with literal_quotes=True"
    )
    assert not any("quote" in note for note in apart.notes)


# Answers for Excel


def test_answers_for_excel_have_a_mark_and_the_semicolons_of_the_input(classifier, tmp_path):
    data = written(tmp_path / "in.csv", "no;text\n01;sure\n02;hm, şöyle\n")

    predict_file(classifier, data, str(tmp_path / "out.csv"), excel=True)

    content = (tmp_path / "out.csv").read_bytes()
    head, first, second = content.decode("utf-8-sig").splitlines()
    assert content.startswith(b"\xef\xbb\xbfno;text;label;abstained;")
    assert head.split(";")[:3] == ["no", "text", "label"]
    assert first.startswith("01;sure;yes;false;answered;yes;0,98")
    assert second.split(";")[1] == "hm, şöyle"


@pytest.mark.parametrize("name", ["in.csv", "in.tsv", "in.jsonl"])
def test_answers_for_excel_have_commas_and_points_where_the_input_has_no_semicolons(classifier, tmp_path, name):
    content = {"in.csv": "text,id\nsure,1\n", "in.tsv": "text\tid\nsure\t1\n", "in.jsonl": '{"text":"sure","id":1}\n'}
    data = written(tmp_path / name, content[name])

    predict_file(classifier, data, str(tmp_path / "out.csv"), excel=True)

    written_rows = (tmp_path / "out.csv").read_text(encoding="utf-8-sig")
    assert written_rows.startswith("text,id,label,abstained,")
    assert "\nsure,1,yes,false,answered,yes,0.98" in written_rows


def test_no_text_is_a_formula_in_excel_and_all_stay_as_they_are_for_programs(classifier, tmp_path):
    odd = ["=1+1", "@sum(a1)", "+cmd|' /c calc'!a0", "-2+3+cmd", "-5", "+90 212 555 00 00", "a=1"]
    data = written(tmp_path / "in.jsonl", "".join(json.dumps({"text": text}) + "\n" for text in odd))

    predict_file(classifier, data, str(tmp_path / "excel.csv"), excel=True)
    predict_file(classifier, data, str(tmp_path / "plain.csv"))

    with (tmp_path / "excel.csv").open(encoding="utf-8-sig", newline="") as file:
        shown = [row["text"] for row in csv.DictReader(file)]
    assert shown == ["'=1+1", "'@sum(a1)", "'+cmd|' /c calc'!a0", "'-2+3+cmd", "-5", "+90 212 555 00 00", "a=1"]
    assert [row["text"] for row in rows_of(tmp_path / "plain.csv")] == odd


def test_answers_for_excel_are_csv(classifier, tmp_path):
    data = written(tmp_path / "in.csv", "text\nsure\n")

    with pytest.raises(InputError, match=r"out.jsonl is not CSV, which Excel opens; name the output .csv"):
        predict_file(classifier, data, str(tmp_path / "out.jsonl"), excel=True)
    assert not (tmp_path / "out.jsonl").exists()


def test_products_of_matrices_stay_on_one_thread_beside_the_engine(classifier, tmp_path, monkeypatch):
    """Threads of OpenBLAS that wait for each other took the cores from the engine."""
    data, seen = written(tmp_path / "in.csv", "text\nsure\n"), []
    decided = ew.Classifier.decisions

    def threads():
        return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]

    def decisions(self, evidence):
        seen.append(set(threads()))
        return decided(self, evidence)

    monkeypatch.setattr(ew.Classifier, "decisions", decisions)
    with threadpool_limits(2, user_api="blas"):
        predict_file(classifier, data, str(tmp_path / "out.csv"))
        after = set(threads())

    assert (seen, after) == ([{1}], {2})
