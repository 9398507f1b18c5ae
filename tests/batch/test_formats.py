"""`predict_file` from any format to any format, whole folders, chosen columns, and the ledger of broken files."""

import csv
import gzip
import json

import numpy as np
import pytest

from elsewise.batch.predict import predict_file
from elsewise.data.formats import open_rows, open_writer
from elsewise.errors import InputError
from support.parted import TABLE

parquet = pytest.importorskip("pyarrow.parquet")
arrow = pytest.importorskip("pyarrow")
openpyxl = pytest.importorskip("openpyxl")

pytestmark = pytest.mark.usefixtures("short_parts")
ROWS = [{"text": list(TABLE)[n % 3], "id": f"{n:03}"} for n in range(35)]
ENDINGS = ["csv", "tsv", "jsonl", "csv.gz", "jsonl.zst", "parquet", "arrow"]


def made(path, rows=ROWS):
    if path.suffix == ".xlsx":
        book = openpyxl.Workbook()
        for row in (["text", "id"], *(list(row.values()) for row in rows)):
            book.active.append(row)
        book.save(path)
        return path
    with open_writer(path, ("text", "id")) as writer:
        writer.write(rows)
    return path


def read(path):
    with open_rows(path) as rows:
        return [row.cells for row in rows]


@pytest.mark.parametrize("given", [*ENDINGS, "xlsx"])
@pytest.mark.parametrize("asked", ENDINGS)
def test_answers_are_the_same_in_every_format(classifier, given, asked, tmp_path):
    data = made(tmp_path / f"in.{given}")

    summary = predict_file(classifier, str(data), str(tmp_path / f"out.{asked}"), top=1)

    found = read(tmp_path / f"out.{asked}")
    assert summary.read == len(ROWS)
    assert [(row["id"], row["text"]) for row in found] == [(row["id"], row["text"]) for row in ROWS]
    assert [row["label"] for row in found[:3]] == ["yes", "Other", "no"]
    assert [row["abstained"] for row in found[:3]] == ["false", "true", "false"]
    assert float(found[0]["confidence"]) == pytest.approx(1 / (1 + np.exp(-4)))


def test_types_go_through(classifier, tmp_path):
    table = arrow.table({"text": ["sure", "hm", None], "n": [1, None, 3], "tags": [["a"], [], None]})
    parquet.write_table(table, tmp_path / "in.parquet")

    summary = predict_file(classifier, str(tmp_path / "in.parquet"), str(tmp_path / "out.parquet"), probabilities=True)

    back = parquet.read_table(tmp_path / "out.parquet")
    assert back.schema.field("n").type == arrow.int64()
    assert [str(back.schema.field(name).type) for name in ("label", "abstained", "p_yes")] == [
        "string",
        "bool",
        "double",
    ]
    assert back.column("tags").to_pylist() == [["a"], []]
    assert summary.rejected == 1
    rejected = json.loads((tmp_path / "out.parquet.rejected.jsonl").read_text(encoding="utf-8"))
    assert (rejected["row"], rejected["byte"], rejected["problem"]) == (3, None, "has null in 'text', not text")


@pytest.mark.parametrize("way", ["folder", "pattern"])
def test_several_files_are_one_input(classifier, way, tmp_path):
    (tmp_path / "new").mkdir()
    made(tmp_path / "new" / "b.csv", ROWS[20:])
    made(tmp_path / "new" / "a.csv", ROWS[:20])
    (tmp_path / "new" / ".hidden.csv").write_text("x")
    (tmp_path / "new" / "notes.txt").write_text("x")
    with (tmp_path / "new" / "b.csv").open("a", encoding="utf-8") as file:
        file.write("ragged\n")
    data = str(tmp_path / "new" / ("*.csv" if way == "pattern" else ""))

    summary = predict_file(classifier, data, str(tmp_path / "out.csv"))

    assert [row["id"] for row in read(tmp_path / "out.csv")] == [row["id"] for row in ROWS]
    rejected = json.loads((tmp_path / "out.csv.rejected.jsonl").read_text(encoding="utf-8"))
    assert (summary.read, rejected["row"], rejected["line"]) == (36, 36, 17)
    assert rejected["problem"].endswith("b.csv) has 1 field, the header has 2")
    assert summary.notes[-1].startswith("2 files, as ")


def test_an_output_among_the_inputs_is_refused(classifier, tmp_path):
    made(tmp_path / "a.csv")
    made(tmp_path / "b.csv")

    with pytest.raises(InputError, match=r"b.csv is the input file, and would be overwritten"):
        predict_file(classifier, str(tmp_path / "*.csv"), str(tmp_path / "b.csv"))


def test_columns_are_kept_that_are_asked_for(classifier, tmp_path):
    data = made(tmp_path / "in.csv")

    predict_file(classifier, str(data), str(tmp_path / "id.csv"), keep=["id"])
    predict_file(classifier, str(data), str(tmp_path / "none.jsonl"), keep=[])

    assert list(read(tmp_path / "id.csv")[0])[:2] == ["id", "label"]
    assert next(iter(read(tmp_path / "none.jsonl")[0])) == "label"
    with pytest.raises(InputError, match=r"has no column 'nr'; it has 'text', 'id'; name the right one with keep="):
        predict_file(classifier, str(data), str(tmp_path / "out.csv"), keep=["nr"])


def test_formulas_stay_as_they_came_unless_they_are_to_be_safe(classifier, tmp_path):
    data = made(tmp_path / "in.csv", [{"text": "=1+1", "id": "@x"}])

    predict_file(classifier, str(data), str(tmp_path / "plain.csv"))
    predict_file(classifier, str(data), str(tmp_path / "safe.csv.gz"), spreadsheet_safe=True)

    assert [read(tmp_path / "plain.csv")[0][name] for name in ("text", "id")] == ["=1+1", "@x"]
    assert [read(tmp_path / "safe.csv.gz")[0][name] for name in ("text", "id")] == ["'=1+1", "'@x"]
    with pytest.raises(InputError, match="is not CSV, which spreadsheets open"):
        predict_file(classifier, str(data), str(tmp_path / "out.jsonl"), spreadsheet_safe=True)


# Broken files: every record comes out once, counted by readers that share no code with ours.


def slow_csv(content):
    """Split CSV without quotes into records, and tell which have the width of the header."""
    lines = [line for line in content.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n").split("\n") if line]
    width = lines[0].count(",")
    return [line.count(",") == width for line in lines[1:]]


def slow_jsonl(content):
    good = []
    for line in content.decode("utf-8").split("\n"):
        if line.strip():
            try:
                value = json.loads(line)
            except ValueError:
                value = None
            good.append(isinstance(value, dict) and isinstance(value.get("text"), str))
    return good


def broken_csv(rng):
    cells = ["sure", "hm", "no way", "", " ", "şöyle", "👍", "007", "=1", "NULL"]
    ends = ["\n", "\r\n", "\r", "\n\n"]
    lines = ["id,text" + "\n"]
    for _ in range(int(rng.integers(1, 60))):
        fields = int(rng.choice([2, 2, 2, 2, 1, 3, 5]))
        lines.append(",".join(rng.choice(cells[:3] if fields == 1 else cells, size=fields)) + str(rng.choice(ends)))
    return "".join(lines).encode()


def broken_jsonl(rng):
    kinds = [
        '{"text": "sure"}',
        '{"text": "hm", "id": 1}',
        '{"text": 1.0}',
        "[1]",
        "{",
        '{"id": 7}',
        "null",
        '"x"',
        "",
        "  ",
    ]
    kinds += ['{"text": null}', '{"text": ["a"]}', '{"text": "şöyle"} x', '{"text": "a"', "NaN"]
    return ('{"text": "sure"}\n' + "\n".join(rng.choice(kinds, size=int(rng.integers(1, 60)))) + "\n").encode()


@pytest.mark.slow
@pytest.mark.parametrize("files", [40, pytest.param(100, marks=pytest.mark.faults)])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_the_ledger_of_broken_files_balances_against_a_slow_reader(classifier, kind, files, tmp_path):
    rng = np.random.default_rng(0)
    make, count = (broken_csv, slow_csv) if kind == "csv" else (broken_jsonl, slow_jsonl)
    rejected = 0
    for number in range(files):
        content = make(rng)
        data = tmp_path / f"{number}.{kind}{'.gz' if number % 2 else ''}"
        data.write_bytes(gzip.compress(content) if number % 2 else content)

        summary = predict_file(classifier, str(data), str(tmp_path / "out.csv"), overwrite=True, keep=["text"])

        good = count(content)
        numbers = [row for row, is_good in enumerate(good, 1) if is_good]
        if kind == "jsonl":  # a number is read as its text
            numbers = sorted([*numbers, *(n for n, line in enumerate(lines_of(content), 1) if line == '{"text": 1.0}')])
        assert (summary.read, summary.answered + summary.other) == (len(good), len(numbers))
        assert summary.rejected == len(good) - len(numbers)
        with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
            assert len(list(csv.reader(file))) == 1 + len(numbers)
        if summary.rejected:
            told = (tmp_path / "out.csv.rejected.jsonl").read_text(encoding="utf-8").splitlines()
            assert [json.loads(line)["row"] for line in told] == sorted({*range(1, len(good) + 1)} - {*numbers})
        rejected += summary.rejected
    assert rejected > 5 * files


def lines_of(content):
    return [line for line in content.decode("utf-8").split("\n") if line.strip()]


@pytest.mark.slow
@pytest.mark.parametrize("files", [24, pytest.param(50, marks=pytest.mark.faults)])
def test_broken_parquet_files_balance_or_are_refused(classifier, files, tmp_path):
    rng = np.random.default_rng(0)
    refused = 0
    for number in range(files):
        texts = rng.choice(["sure", "hm", None, "", "x" * 50], size=int(rng.integers(1, 300))).tolist()
        data = tmp_path / f"{number}.parquet"
        parquet.write_table(arrow.table({"text": texts}), data, row_group_size=37)
        content = bytearray(data.read_bytes())
        if number % 2:
            content[int(rng.integers(len(content)))] ^= 0xFF
            data.write_bytes(bytes(content[: int(rng.integers(1, len(content)))] if number % 4 == 1 else content))
        try:
            summary = predict_file(classifier, str(data), str(tmp_path / "out.csv"), overwrite=True)
        except InputError as error:
            is_named = str(data) in str(error)
            refused += is_named and number % 2
            continue
        assert summary.read == summary.answered + summary.other + summary.rejected
        if not number % 2:
            assert (summary.read, summary.rejected) == (len(texts), texts.count(None))
    assert refused > files // 4
