"""Each row knows how many bytes of the file stand before it."""

import pytest

from elsewise.data.formats import open_rows

CSV = 'text,id\nşöyle 👍,1\n\n"iki\r\nsatır",2\nragged\nbad "quote" here",3\r\n"a"b,4\nson,5\n'
JSONL = '{"text": "şöyle"}\n\n[1]\r\n{"text": "👍"}\nno json\n'


@pytest.mark.parametrize("content", [CSV, f"sep=,\n{CSV}", JSONL], ids=["csv", "sep", "jsonl"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "cp1254"])
def test_the_bytes_before_a_row_lead_to_the_row(content, encoding, tmp_path):
    text = content.replace("👍", "iyi") if encoding == "cp1254" else content
    path = tmp_path / ("rows.jsonl" if text.startswith("{") else "rows.csv")
    path.write_bytes(text.encode(encoding))
    plain = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}.get(encoding, encoding)

    with open_rows(path, encoding={"utf-8-sig": "utf-8"}.get(encoding, encoding)) as rows:
        found = list(rows)

    assert len(found) >= 4
    for row in found:
        raw = row.raw.encode(plain)
        assert path.read_bytes()[row.byte : row.byte + len(raw)] == raw
