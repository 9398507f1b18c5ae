"""Which files are no text, by their first bytes."""

import bz2
import gzip
import io
import lzma
import sqlite3
import zipfile

import numpy as np
import pytest

from elsewise.data.formats import open_rows
from elsewise.data.labelled_texts import Reading
from elsewise.data.lines import NO_TEXT, Lines
from elsewise.data.logits import read_logits
from elsewise.errors import InputError

ROWS = b"text,label\nwhere is it,delivery\n"


def refusal(content, **how):
    with pytest.raises(InputError) as refused:
        list(open_rows("-", stdin=io.BytesIO(content), **how))
    return str(refused.value)


@pytest.mark.parametrize(
    ("compressed", "named"),
    [(gzip.compress(ROWS, mtime=0), "gzip"), *((bz2.compress(ROWS, level), "bzip2") for level in range(1, 10)),
     (lzma.compress(ROWS), "xz"), (lzma.compress(ROWS, lzma.FORMAT_ALONE), "LZMA")],
)  # fmt: skip
def test_a_compressed_file_is_named_and_not_taken_for_another_encoding(compressed, named):
    remedy = "unpack it first" + ", or name it .csv.gz" * (named == "gzip")
    assert refusal(compressed) == f"stdin is compressed with {named}; {remedy}"
    assert refusal(compressed, encoding="cp1254") == f"stdin is compressed with {named}; {remedy}"


def test_an_archive_a_database_and_an_array_are_named(tmp_path):
    zipped, array = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
    np.save(array, np.zeros(3))
    base = sqlite3.connect(tmp_path / "base")
    base.execute("create table rows (text)")
    base.commit()
    base.close()

    assert refusal(zipped.getvalue()) == (
        "stdin is a zip archive, as an Excel file is, not text; save it as CSV, or name it .xlsx"
    )
    assert refusal(array.getvalue()) == "stdin is a .npy array, not text; give it the ending .npy"
    assert refusal((tmp_path / "base").read_bytes()) == "stdin is an SQLite database, not text; save it as CSV"


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "z.npy", "z.npz", "z.parquet"])
def test_a_file_that_git_lfs_did_not_fetch_is_named(tmp_path, name):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    file = tmp_path / name
    file.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 438000000\n")

    with pytest.raises(InputError, match=rf"{name} is a Git LFS pointer, not the file itself; run: git lfs pull$"):
        read_logits(str(file), Reading())


def test_no_encoding_is_advised_for_bytes_of_no_known_kind():
    noise = np.random.default_rng(0).integers(1, 256, size=4000, dtype=np.uint8).tobytes()

    assert refusal(b"\xffunknown\x01" + noise) == (
        "stdin is no text: its bytes are those of a binary file; save it as CSV"
    )


@pytest.mark.parametrize("encoding", ["utf-8", "cp1254", "utf-16-le", "utf-16-be"])
def test_text_is_text(encoding):
    text = "metin\n" + "ığdır şubesi açık mı, BZh değil mi?\n" * 40

    assert "".join(Lines(io.BytesIO(text.encode(encoding)), "stdin", encoding)) == text


@pytest.mark.parametrize("text", ["çok geç kaldı, şubeye ulaşılamıyor\n", "Где мой заказ?\n"])
def test_utf_16_read_as_utf_8_is_not_called_binary(text):
    assert "binary" not in refusal((text * 40).encode("utf-16-le"))


def test_no_first_bytes_are_hidden_by_shorter_ones():
    starts = [start for start, _ in NO_TEXT]

    assert not [(a, b) for i, a in enumerate(starts) for b in starts[i + 1 :] if b.startswith(a)]
