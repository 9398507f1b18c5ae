import csv
from itertools import cycle, islice, product
from pathlib import Path

from bad_input.case import Case

ON_A_GRAPH = "fit data.csv --encoder encoder --epochs 1 --engine openvino --precision f32 --max-length 16 -o new"
FIT = ON_A_GRAPH.replace("openvino", "torch")  # which has no graph to write and compile
WORDS = ("where is my order", "refund please", "hello invoice a", "the b c")
SHORT = ("is", "my", "12", "a", "b", "c", "the")
KEPT = "kept as it is"

ODD = {
    "`01`, `1` and `1.0`": ("01", "1", "1.0"),
    "`NA`, `null`, `None` and `nan`": ("NA", "null", "None", "nan"),
    "`true`, `True` and `TRUE`": ("true", "True", "TRUE"),
    "commas, semicolons and tabs": ("a,b", "a;b", "a\tb"),
    "quotes": ('say "hi"', "it's", '"'),
    "line ends": ("two\nlines", "two\r\nlines", "a\rb"),
    "emoji": ("👍🏽", "👩🏽\u200d🚀"),
    "HTML": ("<b>&amp;</b>", "<script>alert(1)</script>"),
    "Markdown and a formula": ("`a|b`", "=1+1"),
    "200 characters": ("x" * 200,),
    "blanks at the ends": (" x", "x "),
    "`i`, `ı`, `I` and `İ`, which are four labels": ("i", "ı", "I", "İ"),
    "one letter, composed and with an accent that combines": ("é", "e\u0301"),
    "right to left, and directional controls": ("إلغاء", "\u202eabc"),
    "control characters": ("a\x1b[2Jb", "a\0b"),
}
LABELS = tuple(label for group in ODD.values() for label in group)


def rows_of(labels, texts=None):
    """Make the function that writes texts, all different unless given, with these labels."""
    given = texts or (f"{words} {'please ' * (i % 9)}{'a ' * (i // 9 % 9)}{i}" for i, words in enumerate(cycle(WORDS)))

    def write():
        with Path("data.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *zip(islice(given, len(labels)), labels, strict=True)])

    return write


def has_labels(n):
    def holds():
        import elsewise as ew

        return len(ew.load("new").labels) == n

    return holds


def fitted(given, labels, then, n, said, texts=None, command=FIT):
    return Case(given, rows_of(labels, texts), command, said, then, has_labels(n))


FEW = "warning: 0 tune rows are too few to calibrate on (50 needed): probabilities stay as the model gives them"

CASES = [
    *(Case(given, rows_of(LABELS * 3), "", "", KEPT) for given in ODD),
    Case("a label of blanks only", rows_of(["x", " \t", "y"]), FIT,
         said="data.csv line 3: row 2 has an empty label in 'label'; mend the row,"
              " or leave it out with --skip-bad-rows"),
    Case("an empty label", rows_of(["x", "", "y"]), FIT,
         said="data.csv line 3: row 2 has an empty label in 'label'; mend the row,"
              " or leave it out with --skip-bad-rows"),
    Case("no rows", rows_of([]), FIT, said="at least 2 labels are needed to tell texts apart, got none in 0 rows"),
    Case("1 label", rows_of(["x"] * 20), FIT,
         said="at least 2 labels are needed to tell texts apart, got only 'x'"),
    fitted("2 labels with a row each", ["x", "y"], "fitted; nothing is promised, so that every text is Other", 2, FEW),
    fitted("500 labels", [f"label {i % 500}" for i in range(2000)], "fitted", 500,
           "rows: train 1,200, tune 200, certify 300, test 300",
           [" ".join(words) for words in product(SHORT, repeat=4)], f"{ON_A_GRAPH} --batch-size 128"),
    fitted("10,000 labels with a row each", [f"label {i}" for i in range(10_000)],
           "fitted; nothing is promised, so that every text is Other", 10_000, FEW, command=f"{FIT} --batch-size 512"),
    fitted("a label with one row", [*["x", "y"] * 20, "z"], "fitted; the row is learnt from", 3,
           "rows: train 25, tune 4, certify 6, test 6"),
    fitted("all texts equal", ["x", "y"] * 20, "fitted on what is left", 2,
           "rows: train 24, tune 0, certify 0, test 0; left out: 16 with a text of an earlier part",
           ["where is my order"] * 40),
    Case("all texts blank", rows_of(["x", "y"] * 20, [" "] * 40), FIT,
         said="the encoder reads nothing in any of 24 training texts; check the text column, or take another encoder"),
    Case("texts of which the encoder knows no part", rows_of(["x", "y"] * 20, ["zzz"] * 40), FIT,
         said="the encoder reads nothing in any of 24 training texts; check the text column, or take another encoder"),
    Case("a model to keep that there is not", rows_of(["x", "y"] * 20), FIT + " --keep bert",
         said="keep must be one of best, encoder, frozen, baseline, got 'bert'"),
    Case("a fine-tuned encoder to keep, and no fine-tuning", rows_of(["x", "y"] * 20), FIT + " --quick --keep encoder",
         said="--keep encoder serves the fine-tuned encoder, and --quick trains none; leave one out"),
    Case("a baseline to keep, and an encoder", rows_of(["x", "y"] * 20), FIT + " --keep baseline",
         said="--keep baseline has no encoder that --encoder could be about; leave one out"),
    Case("an out-of-scope label that no row has", rows_of(["x", "y"] * 20), FIT + " --out-of-scope-label oos",
         said="no row has the out-of-scope label 'oos'; check its spelling"),
    Case("one label beside the out-of-scope one", rows_of(["x", "y"] * 20), FIT + " --out-of-scope-label x",
         said="at least 2 labels are needed to tell texts apart, got only 'y'"),
    fitted("a label called like an abstention", ["Other", "y"] * 20,
           "fitted; `abstained` tells them apart", 2,
           "a label is called 'Other', as abstentions are: tell them apart by the column abstained, or by --other"),
]  # fmt: skip
