"""Compressed files, files of typed columns, and sheets of Excel: read in a stream, and written again as they were."""

import datetime as dt
import gzip
import io
from decimal import Decimal

import pytest

from elsewise.data.formats import count_rows, open_rows, open_writer
from elsewise.errors import InputError

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
openpyxl = pytest.importorskip("openpyxl")

NOON = dt.datetime.fromisoformat("2026-01-02T03:04:00")
ODD = ["", " ", ",", '"', "a\nb", "👍🏽", "007", "NA", "true", "null", "=1+1", "şöyle\tböyle"]
ROWS = [{"text": cell, "id": str(i)} for i, cell in enumerate(ODD * 100)]
EVERY = ["csv.gz", "csv.zst", "tsv.gz", "jsonl.gz", "jsonl.zst", "parquet", "arrow"]


def write(path, rows, columns=("text", "id"), at_once=500, **more):
    with open_writer(path, columns, **more) as writer:
        for at in range(0, len(rows), at_once):
            writer.write(rows[at : at + at_once])
    return path


def cells_of(path, **more):
    with open_rows(path, **more) as rows:
        return [row.cells for row in rows]


@pytest.mark.parametrize("ending", EVERY)
def test_odd_cells_come_back_as_they_were(ending, tmp_path):
    path = write(tmp_path / f"rows.{ending}", ROWS)

    assert cells_of(path) == ROWS
    assert count_rows(path) in (len(ROWS), len(ROWS) + 100, 0)  # a line end in a cell; Arrow does not tell


@pytest.mark.parametrize("ending", EVERY)
def test_the_same_rows_give_the_same_bytes_and_parts_can_be_appended(ending, tmp_path):
    whole = write(tmp_path / f"whole.{ending}", ROWS)
    parts = [write(tmp_path / f"part{at}.{ending}", ROWS[at : at + 500]) for at in range(0, len(ROWS), 500)]

    with open_writer(tmp_path / f"joined.{ending}", ("text", "id")) as writer:
        for part in parts:
            writer.append(part)

    assert cells_of(tmp_path / f"joined.{ending}") == ROWS
    again = write(tmp_path / f"again.{ending}", ROWS)
    assert again.read_bytes() == whole.read_bytes()


def test_gzip_of_several_members_is_read(tmp_path):
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(b"text,id\na,1\n") + gzip.compress(b"b,2\n"))

    assert [row["text"] for row in cells_of(path)] == ["a", "b"]


@pytest.mark.parametrize("ending", ["csv.gz", "csv.zst", "parquet", "arrow", "xlsx"])
@pytest.mark.parametrize("damage", ["cut", "noise"])
def test_damaged_files_are_refused_with_their_name(ending, damage, tmp_path):
    path = tmp_path / f"rows.{ending}"
    if ending == "xlsx":
        book = openpyxl.Workbook()
        book.active.append(["text"])
        book.save(path)
    else:
        write(path, ROWS)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"\x00\x01garbage" * 40)

    with pytest.raises(InputError, match=rf"rows.{ending} (cannot be read|is no text)"):
        cells_of(path)


def test_types_of_a_parquet_file_are_kept(tmp_path):
    columns = {
        "text": ["a", None], "n": [7, None], "x": [0.5, float("nan")], "flag": [True, False],
        "day": [dt.date(2026, 1, 2)] * 2, "at": [NOON] * 2, "price": [Decimal("1.10")] * 2, "tags": [["a", "b"], []],
        "raw": [b"\xff", b""], "kind": arrow.array(["x", "y"]).dictionary_encode(),
    }  # fmt: skip
    table = arrow.table(columns)
    parquet.write_table(table, tmp_path / "in.parquet")

    with open_rows(tmp_path / "in.parquet") as rows:
        read = [row.cells for row in rows]
        types = rows.types
    write(tmp_path / "out.parquet", read, tuple(columns), types=types)
    write(tmp_path / "out.jsonl", read, tuple(columns))

    back = parquet.read_table(tmp_path / "out.parquet")
    assert back.schema.equals(table.schema)
    assert back.drop(["x"]).to_pylist() == table.drop(["x"]).to_pylist()
    assert (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()[0] == (
        '{"text": "a", "n": 7, "x": 0.5, "flag": true, "day": "2026-01-02", "at": "2026-01-02T03:04:00", '
        '"price": "1.10", "tags": ["a", "b"], "raw": "/w==", "kind": "x"}'
    )
    assert read[1]["text"] == "null"


def test_an_arrow_stream_is_read(tmp_path):
    with arrow.ipc.new_stream(tmp_path / "rows.arrow", arrow.schema([("text", "string")])) as writer:
        writer.write_table(arrow.table({"text": ["a", "b"]}))

    assert [row["text"] for row in cells_of(tmp_path / "rows.arrow")] == ["a", "b"]


def test_a_bomb_of_repeated_cells_stays_bounded(tmp_path):
    """100,000 rows of one cell of 1 MB are 100 GB of text, in a small file."""
    import tracemalloc

    schema = arrow.schema([("text", arrow.dictionary(arrow.int32(), arrow.string()))])
    cells = arrow.DictionaryArray.from_arrays(arrow.array([0] * 100_000, arrow.int32()), arrow.array(["x" * 1_000_000]))
    parquet.write_table(arrow.table([cells], schema=schema), tmp_path / "bomb.parquet", compression="zstd")

    tracemalloc.start()
    before = arrow.total_allocated_bytes()
    with open_rows(tmp_path / "bomb.parquet") as rows:
        for _ in range(2000):
            row = next(iter(rows))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert (tmp_path / "bomb.parquet").stat().st_size < 100_000
    assert len(row.cells["text"]) == 1_000_000
    assert peak < 50e6
    assert arrow.total_allocated_bytes() - before < 300e6


def test_a_huge_cell_is_a_row_with_a_problem(tmp_path):
    parquet.write_table(arrow.table({"text": ["x" * 10_000_001, "b"]}), tmp_path / "rows.parquet")

    with open_rows(tmp_path / "rows.parquet") as rows:
        problems = [row.problem for row in rows]

    assert problems == ["has more than 10,000,000 characters in 'text'", None]


def sheet(path, *rows, more=None):
    book = openpyxl.Workbook()
    book.active.title = "first"
    for row in rows:
        book.active.append(row)
    for title, cells in (more or {}).items():
        for row in [book.create_sheet(title)]:
            row.append(cells)
    book.save(path)
    return path


def test_a_sheet_is_read_as_text(tmp_path):
    path = sheet(
        tmp_path / "rows.xlsx",
        [None, None],
        ["text", "no", "when", None],
        ["merhaba", 7.0, NOON],
        [],
        ["=1+1", True, dt.date(2026, 1, 2)],
        ["007", 1.5, None, "beside"],
    )

    with open_rows(path) as rows:
        found = list(rows)

    assert rows.columns == ("text", "no", "when")
    assert rows.notes == ("sheet 'first'",)
    assert [(row.number, row.line) for row in found] == [(1, 3), (2, 5), (3, 6)]
    assert found[0].cells == {"text": "merhaba", "no": "7", "when": "2026-01-02 03:04:00"}
    assert found[1].cells["no"] == "true"
    assert found[2].problem == "has 'beside' beside the 3 columns of the header"


def test_a_sheet_is_chosen_by_its_name(tmp_path):
    path = sheet(tmp_path / "rows.xlsx", ["text"], ["a"], more={"second": ["other"]})

    with open_rows(path, sheet="second") as rows:
        assert rows.columns == ("other",)
        assert rows.notes == ("sheet 'second' of 2 sheets",)
    with pytest.raises(InputError, match=r"has no sheet 'third'; it has 'first', 'second'"):
        open_rows(path, sheet="third")


def test_a_sheet_with_a_million_empty_rows_ends(tmp_path):
    book = openpyxl.Workbook(write_only=True)
    page = book.create_sheet("s")
    page.append(["text"])
    page.append(["a"])
    for _ in range(20_000):
        page.append([None])
    page.append(["b"])
    book.save(tmp_path / "rows.xlsx")

    assert [row["text"] for row in cells_of(tmp_path / "rows.xlsx")] == ["a", "b"]


def test_merged_cells_have_their_value_once(tmp_path):
    book = openpyxl.Workbook()
    for row in (["text", "topic"], ["a", "x"], ["b", None]):
        book.active.append(row)
    book.active.merge_cells("B2:B3")
    book.save(tmp_path / "rows.xlsx")

    assert [row["topic"] for row in cells_of(tmp_path / "rows.xlsx")] == ["x", ""]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "is empty: there is nothing in sheet 'first'"),
        ([["text", None, "id"]], "row 1: column 2 of 3 has no name in the header"),
        ([["text", "text"]], "more than one column named 'text'"),
    ],
)
def test_a_sheet_without_a_header_is_refused(rows, words, tmp_path):
    with pytest.raises(InputError, match=words):
        open_rows(sheet(tmp_path / "rows.xlsx", *rows))


def test_a_password_is_named(tmp_path):
    (tmp_path / "rows.xlsx").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))

    with pytest.raises(
        InputError, match=r"has a password or is of an older Excel; save it as .xlsx without a password"
    ):
        open_rows(tmp_path / "rows.xlsx")


def test_excel_is_not_written(tmp_path):
    with pytest.raises(InputError, match=r"Excel files are read, not written; name the output .csv"):
        write(tmp_path / "out.xlsx", ROWS)


def test_cells_that_a_spreadsheet_would_run_are_made_safe_where_that_is_asked_for():
    out = io.BytesIO()
    with open_writer("-", ["text", "p"], stdout=out, safe=True) as writer:
        writer.write([{"text": text, "p": 0.5} for text in ("=1+1", "@sum(a1)", "\tx", "a", "-5")])

    assert out.getvalue().decode().splitlines()[1:] == ["'=1+1,0.5", "'@sum(a1),0.5", "'\tx,0.5", "a,0.5", "-5,0.5"]
