import csv
import py_compile
import zipfile
from functools import partial
from pathlib import Path

import numpy as np

from bad_input.case import Case, each, write
from bad_input.labels import rows_of
from bad_input.models import Bomb

CALIBRATE = "calibrate --logits {} --labels y.csv -o new"
FIT = "fit data.csv --engine {} -o new"
ROWS = rows_of(["x", "y"] * 700)
CODES = np.arange(60) % 3
Z = np.random.default_rng(0).normal(size=(60, 3)).round(3)
P = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)

MODEL = """
import numpy as np
from elsewise import Outputs

class Model:
    labels = {labels}
    def run(self, texts):
        return {answer}

model = Model()
"""


def table(name, *rows):
    """Make the function that writes a CSV file."""

    def act():
        with Path(name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)

    return act


def brought(save, codes=CODES):
    """Make the function that writes logits, and codes beside them."""
    return each(save, table("y.csv", ["label"], *([code] for code in codes)))


def module(name, answer="Outputs(np.zeros((len(texts), 2)))", labels='("x", "y")'):
    """Make the function that writes a module with a model, compiled, as it is once somebody used it."""
    return each(
        ROWS, write(MODEL.format(answer=answer, labels=labels), f"{name}.py"), partial(py_compile.compile, f"{name}.py")
    )


def of(given, save, said, file="z.npz", **more):
    """A case of logits."""
    return Case(given, brought(save, **more), CALIBRATE.format(file), said=said)


def bomb(name="z.npz", member="logits.npy", size=10**15):
    """Write a small archive that says it unpacks to so many bytes."""
    with zipfile.ZipFile(name, "w") as archive:
        archive.writestr(member, b"")
        archive.filelist[0].file_size = size


CASES = [
    of("a `.npz` that unpacks to more than the memory", bomb,
       "z.npz unpacks to 1,000,000 GB, too much for {number} GB of memory; save it as .npy, which is read piece by "
       "piece"),
    of("a `.npz` that holds objects (a pickle)",
       lambda: np.savez("z.npz", logits=np.array([Bomb()], dtype=object)),
       "z.npz cannot be read as a .npz array of numbers; save it with numpy.savez"),
    of("a `.npz` of several arrays, none called `logits`", lambda: np.savez("z.npz", a=Z, b=Z),
       "z.npz holds 'a', 'b'; save one array as 'logits'"),
    of("a `.npz` that is none", write("PK\x03\x04 and no more", "z.npz"),
       "z.npz cannot be read as a .npz array of numbers; save it with numpy.savez"),
    of("logits with a NaN", lambda: np.savez("z.npz", logits=np.vstack([Z[:7], [[0, np.nan, 0]], Z[8:]])),
       "logits must be finite, or minus infinity for a label that cannot be: 1 of 60 rows are not, first is row 7"),
    of("probabilities in the place of logits", lambda: np.savez("z.npz", logits=P),
       "all 60 rows of logits are >= 0 and sum to 1, as probabilities do: of probabilities p hand over "
       "numpy.log(numpy.maximum(p, 1e-12))"),
    of("fewer labels than rows of logits", lambda: np.savez("z.npz", logits=Z),
       "codes must have shape (60,), one for each row, got (59,)", codes=CODES[1:]),
    of("a code that no column has", lambda: np.savez("z.npz", logits=Z),
       "y.csv line 61: label '3' is neither one of the 3 names nor a code; name the columns with --names",
       codes=[*CODES[1:], 3]),
    of("a `.csv` of logits without a header", table("z.csv", *Z),
       "the first line of z.csv holds numbers, not names; put the labels there, one a column", "z.csv"),
    of("a word among logits", table("z.csv", ["0", "1", "2"], *Z[:5], ["0.5", "x", "1"]),
       "z.csv line 7: row 6 has 'x' in column '1', not a number", "z.csv"),
    Case("`--engine` with a model that no `ew.wrap` was made of",
         each(ROWS, write("def model(texts):\n    return texts\n", "bare.py"), partial(py_compile.compile, "bare.py")),
         FIT.format("bare:model"),
         said="a function cannot be used as an engine: it has no labels and no run(texts); wrap it: "
         "elsewise.wrap(model, labels=[...])"),
    Case("`--engine` with the name of a file", module("of_a_file"), FIT.format("of_a_file.py:model"),
         said="--engine of_a_file.py:model: name a module without its ending, as in of_a_file:object"),
    Case("a model of your own that lacks a label", module("lacks", labels='("x", "z")'), FIT.format("lacks:model"),
         said="the data: label 'y' in row 1 is none of the model's 2 labels; rename it, or drop it"),
    Case("labels of it without an order", module("unordered", labels='{"x"}'), FIT.format("unordered:model"),
         said="labels of an engine must be at least 2 different words, in order, got {'x'}"),
    Case("one that fails", module("fails", "open('no/such.model')"), FIT.format("fails:model"),
         said="run of fails.Model failed on 350 texts: FileNotFoundError: [Errno 2] No such file or directory: "
         "'no/such.model'"),
    Case("one that gives an array alone", module("bare_array", "np.zeros((len(texts), 2))"),
         FIT.format("bare_array:model"),
         said="run of bare_array.Model must return elsewise.Outputs, got ndarray; wrap it: "
         "elsewise.wrap(model, labels=[...])"),
    Case("one that gives another number of columns", module("wide", "Outputs(np.zeros((len(texts), 3)))"),
         FIT.format("wide:model"),
         said="wide.Model must give logits of shape (350, 2) for 350 texts and 2 labels, as numbers, got (350, 3) of "
         "float64"),
    Case("one that gives probabilities for logits", module("sums", "Outputs(np.full((len(texts), 2), 0.5))"),
         FIT.format("sums:model"),
         said="all 350 rows of logits are >= 0 and sum to 1, as probabilities do: of probabilities p hand over "
         "numpy.log(numpy.maximum(p, 1e-12))"),
]  # fmt: skip
