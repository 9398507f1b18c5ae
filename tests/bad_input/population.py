import csv
from pathlib import Path

import numpy as np

from bad_input.answers import CODES, Z, brought, module
from bad_input.case import Case, each
from bad_input.labels import FIT

AROUND = "fit data.csv --engine {}:model -o new"
BY_GROUP, BY_TIME = " --group-column customer", " --time-column when"
HASHED = "int.from_bytes(text.encode('utf-8', 'replace')[-6:], 'big') % 99991"
ANSWER = f"Outputs(np.sin([[i, i / 2] for i in ({HASHED} for text in texts)]).reshape(-1, 2))"


def rows(name="data.csv", n=1200, label=lambda i: "xy"[i % 2], **columns):
    """Make the function that writes n texts with further columns, each a function of the row's number."""

    def act():
        with Path(name).open("w", encoding="utf-8", newline="") as file:
            table = ([f"{name} text {i}", label(i), *(cell(i) for cell in columns.values())] for i in range(n))
            csv.writer(file).writerows([("text", "label", *columns), *table])

    return act


def refused(given, said, asked, **columns):
    return Case(given, rows(n=120, **columns), FIT + asked, said=said)


def around(name, given, then, said, asked, *files):
    """A case of a model of one's own, which needs no training."""
    return Case(given, each(module(name, ANSWER), *files), AROUND.format(name) + asked, said, then, Path("new").is_dir)


CASES = [
    refused("a group column that is not there",
            "data.csv has no column 'customer'; it has 'text', 'label'; name the right one with --group-column",
            BY_GROUP),
    refused("a time column that is not there",
            "data.csv has no column 'when'; it has 'text', 'label'; name the right one with --time-column", BY_TIME),
    refused("all rows in one group",
            "rows of 1 group cannot be divided into 4 parts: whole groups go to one part; take smaller groups",
            BY_GROUP, customer=lambda _: "ann"),
    refused("fewer groups than parts",
            "rows of 3 groups cannot be divided into 4 parts: whole groups go to one part; take smaller groups",
            BY_GROUP, customer=lambda i: "abc"[i % 3]),
    around("no_group", "rows without a group", "each is a group by itself",
           "rows: train 0, tune 150, certify 300, test 150; left out: 600 in a group that counts once", BY_GROUP,
           rows(customer=lambda i: "" if i < 400 else f"c{i // 4}", label=lambda i: "xy"[i // 4 % 2])),
    around("both_files", "groups that stand in DATA and in --held-out", "their rows are left out of the latter",
           "rows: train 1,200, tune 96, certify 204, test 0; left out: 300 in a group that counts once",
           BY_GROUP + " --held-out held.csv",
           rows(customer=str), rows("held.csv", 600, customer=lambda i: str(i + 900))),
    Case("a group column that `--held-out` lacks",
         each(rows(n=120, customer=str), rows("held.csv", 60)), FIT + BY_GROUP + " --held-out held.csv",
         said="held.csv has no column 'customer'; it has 'text', 'label'; name the right one with --group-column"),
    refused("a time that is none",
            "the data: the time 'soon' in row 7 cannot be read; write it as in 2024-05-31T14:30", BY_TIME,
            when=lambda i: "soon" if i == 7 else i),
    refused("a row without a time",
            "the data: the time '' in row 7 cannot be read; write it as in 2024-05-31T14:30", BY_TIME,
            when=lambda i: "" if i == 7 else i),
    refused("times with and without a time zone",
            "the data: the time '2024-05-01T00:00' in row 0 has no time zone, and '2024-05-02T00:00+03:00' in row 1 "
            "has a time zone; write all of them alike", BY_TIME,
            when=lambda i: f"2024-05-{1 + i % 30:02d}T00:00{'+03:00' * (i % 2)}"),
    refused("all times equal",
            "120 rows with 1 time cannot be divided by time into 4 parts; take finer times, or divide without them",
            BY_TIME, when=lambda _: "2024-05-31"),
    refused("a label that only the newest rows have",
            "label 'z' is in none of the 72 oldest rows, which train; divide without the times, or leave its rows out "
            "(--drop-label z)", BY_TIME, label=lambda i: "z" if i == 119 else "xy"[i % 2], when=str),
    Case("a group column beside logits whose codes are an array",
         each(brought(lambda: np.save("z.npy", Z)), lambda: np.save("y.npy", CODES)),
         "calibrate --logits z.npy --labels y.npy -o new" + BY_GROUP,
         said="--group-column needs columns, and y.npy has none to read; keep them in a .csv with the labels"),
]  # fmt: skip
