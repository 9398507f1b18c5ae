import os
from pathlib import Path

from bad_input.case import Case, each, out, write

ROWS = write("text,id\na,1\nb,2\n")
LABELLED = write("text,label\na,yes\nb,no\n")


def folder(name):
    return lambda: Path(name).mkdir()


def predict(name):
    return f"predict model data.csv -o {name}"


def fit(name):
    return f"fit data.csv -o {name}"


OVERWRITTEN = "{} is the input file, and would be overwritten; choose another name for the output"
NO_MODEL = "{0} is not a model folder: it has no manifest.json; make one with: elsewise fit DATA -o {0}"

CASES = [
    Case("`predict` onto a file that exists", each(ROWS, write("old", "out.csv")),
         said="out.csv exists already; to replace it, add --overwrite, or choose another name"),
    Case("`predict --overwrite` onto a file that exists", each(ROWS, write("old", "out.csv")),
         predict("out.csv --overwrite"), said="2 rows = 2 answered + 0 Other + 0 rejected",
         then="replaced when the new one is whole, and not before",
         holds=lambda: "old" not in out()),
    Case("`predict` onto a folder", each(ROWS, folder("answers")), predict("answers"),
         said="answers is a folder, not a file"),
    Case("`predict`, where its parts would go into a folder that holds something else",
         each(ROWS, folder("out.csv.parts"), write("mine", "out.csv.parts/notes.txt")),
         said="out.csv.parts/notes.txt is no part of a run; move it, or choose another name for the output"),
    Case("`predict`, where its parts would go into a file", each(ROWS, write("mine", "out.csv.parts")),
         said="out.csv.parts is a file, and parts of the output would go there; move it, or name another output"),
    Case("`predict` onto its input", ROWS, predict("data.csv"), said=OVERWRITTEN.format("data.csv")),
    Case("the same, by another spelling", ROWS, predict("./new/../data.csv"), said=OVERWRITTEN.format("data.csv")),
    Case("the same, by a hard link", each(ROWS, lambda: os.link("data.csv", "link.csv")), predict("link.csv"),
         said=OVERWRITTEN.format("data.csv")),
    Case("`predict` from rejects that it would write", write('{"text": "a"}', "out.csv.rejected.jsonl"),
         "predict model out.csv.rejected.jsonl -o out.csv", said=OVERWRITTEN.format("out.csv.rejected.jsonl")),
    Case("`predict` into the model folder", ROWS, predict("model/out.csv"),
         said="model/out.csv lies in the model folder, which must stay as it was written; choose another name"),
    Case("`predict` into a folder that is not there", ROWS, predict("no/such/out.csv"),
         said="no/such/out.csv cannot be written: there is no folder no/such"),
    Case("`predict` below a file", ROWS, predict("data.csv/out.csv"),
         said="data.csv/out.csv cannot be written: not a directory"),
    Case("`predict` into a folder that is read-only", each(ROWS, folder("locked"), lambda: Path("locked").chmod(0o555)),
         predict("locked/out.csv"), said="locked/out.csv cannot be written: permission denied"),
    Case("`predict` onto a full disk", ROWS, predict("/dev/full"),
         said="/dev/full cannot be written: no space left on device"),
    Case("`predict` onto a name of 300 letters", ROWS, predict("o" * 300 + ".csv"),
         said="o" * 300 + ".csv: File name too long"),
    Case("`fit` onto a file", each(LABELLED, write("mine", "new")), fit("new"),
         said="new exists and is not a model folder; choose another name"),
    Case("`fit` onto its input", LABELLED, fit("data.csv"),
         said="data.csv exists and is not a model folder; choose another name"),
    Case("`fit` onto a folder of something else", each(LABELLED, folder("new"), write("mine", "new/thesis.txt")),
         fit("new"), said="new exists and is not a model folder; choose another name"),
    Case("`fit` onto a model folder with a file of yours in it", each(LABELLED, write("mine", "model/notes.txt")),
         fit("model"), said="model also holds notes.txt, which would be lost; move it, or choose another name"),
    Case("`fit` below a file", LABELLED, fit("data.csv/new"),
         said="data.csv/new cannot be written: {here}/data.csv is not a writable folder; "
              "choose another name"),
    Case("`fit` into a folder that is read-only",
         each(LABELLED, folder("locked"), lambda: Path("locked").chmod(0o555)), fit("locked/new"),
         said="locked/new cannot be written: {here}/locked is not a writable folder; "
              "choose another name"),
    Case("a model path that is not there", ROWS, "predict nothing data.csv -o out.csv",
         said=NO_MODEL.format("nothing")),
    Case("a model path that is a file", ROWS, "predict data.csv data.csv -o out.csv", said=NO_MODEL.format("data.csv")),
    Case("a model path that is an empty folder", each(ROWS, folder("empty")), "predict empty data.csv -o out.csv",
         said=NO_MODEL.format("empty")),
    Case("the same for `evaluate`", LABELLED, "evaluate data.csv data.csv", said=NO_MODEL.format("data.csv")),
    Case("the same for `export`", LABELLED, "export data.csv", said=NO_MODEL.format("data.csv")),
]  # fmt: skip
READ_ONLY = {case.given for case in CASES if "read-only" in case.given}  # who is root may write there
