import bz2
import csv
import gzip
from pathlib import Path

from bad_input.case import Case, each, out, write

ROWS = "text,id\na,1\nb,2\n"
PREDICT = "predict model data.csv -o out.csv"


def answered(*texts):
    """Make the function that looks whether these texts came out, in order."""

    def holds():
        with Path("out.csv").open(encoding="utf-8", newline="") as file:
            return [row["text"] for row in csv.DictReader(file)] == list(texts)

    return holds


def rejected(*problems):
    return lambda: all(problem in out("out.csv.rejected.jsonl") for problem in problems)


UNKNOWN = "unknown encoding {!r}; try utf-8, utf-16, cp1254 or cp1252"

CASES = [
    Case("UTF-16", write(ROWS.encode("utf-16")),
         said="data.csv starts with the byte order mark of utf-16; read it with --encoding utf-16"),
    Case("UTF-16, with `--encoding utf-16`", write(ROWS.encode("utf-16")), PREDICT + " --encoding utf-16",
         said="data.csv: encoding utf-16 with byte order mark", then="read", holds=answered("a", "b")),
    Case("UTF-16 without a byte order mark", write(ROWS.encode("utf-16-le")),
         said=r"data.csv has NUL in its header: 't\x00e\x00x\x00t\x00', '\x00i\x00d\x00'; "
              "is it --encoding utf-16-le?"),
    Case("the same, the bytes the other way round", write("text\na\n".encode("utf-16-be")),
         said=r"data.csv has NUL in its header: '\x00t\x00e\x00x\x00t\x00'; is it --encoding utf-16-be?"),
    Case("UTF-16 without a byte order mark, with `--encoding utf-16`", write(ROWS.encode("utf-16-le")),
         PREDICT + " --encoding utf-16",
         said="data.csv has no byte order mark; read it with --encoding utf-16-le, or utf-16-be"),
    Case("UTF-32", write(ROWS.encode("utf-32")),
         said="data.csv starts with the byte order mark of utf-32; read it with --encoding utf-32"),
    Case("CP1252", write("text\na\ncafé\n".encode("cp1252")),
         said="data.csv line 3: byte 0xe9 is not utf-8; try --encoding cp1254 (Turkish Excel) or cp1252"),
    Case("CP1252, with `--encoding cp1252`", write("text\na\ncafé\n".encode("cp1252")), PREDICT + " --encoding cp1252",
         said="data.csv: encoding cp1252", then="read", holds=answered("a", "café")),
    Case("CP1254, as Turkish Excel writes it", write("text;id\na;1\nısı;2\n".encode("cp1254")),
         said="data.csv line 3: byte 0xfd is not utf-8; try --encoding cp1254 (Turkish Excel) or cp1252"),
    Case("CP1254, with `--encoding cp1254`", write("text;id\na;1\nısı;2\n".encode("cp1254")),
         PREDICT + " --encoding cp1254", said="data.csv: delimiter ';' (read from the header)", then="read",
         holds=answered("a", "ısı")),
    Case("UTF-8 with a byte order mark", write(ROWS.encode("utf-8-sig")),
         said="data.csv: encoding utf-8 with byte order mark", then="read, the mark is no part of the first column",
         holds=answered("a", "b")),
    Case("an encoding that there is not", write(ROWS), PREDICT + " --encoding klingon", said=UNKNOWN.format("klingon")),
    Case("an encoding that is not one of files", write(ROWS), PREDICT + " --encoding punycode",
         said=UNKNOWN.format("punycode")),
    Case("LF, CR LF and CR mixed", write("text\na\r\nb\rc\nd\r\n"), then="read: each ends a line",
         said="4 rows = 3 answered + 1 Other (1 ambiguous) + 0 rejected", holds=answered("a", "b", "c", "d")),
    Case("only CR, as an old Mac writes it", write("text\ra\rb\r"), then="read",
         said="2 rows = 2 answered + 0 Other + 0 rejected", holds=answered("a", "b")),
    Case("NUL in a text", write("text\na\0b\n"), then="kept, read and written back",
         said="1 rows = 0 answered + 1 Other (1 unreadable) + 0 rejected", holds=answered("a\0b")),
    Case("NUL in the header", write("te\0xt\na\n"),
         said=r"data.csv has NUL in its header: 'te\x00xt'; is it --encoding utf-16-le?"),
    Case("a cell of 2 MB", write("text\n" + "where is my order " * 120_000 + "\n"), model="text",
         said="1 rows = 1 answered + 0 Other + 0 rejected",
         then="answered from what the model reads of it, and `truncated` is true",
         holds=lambda: out().endswith(",true\n")),
    Case("the wrong delimiter", write(ROWS), PREDICT + " --delimiter ;",
         said="data.csv has no column 'text'; it has 'text,id'; name the right one with --text-column"),
    Case("a delimiter that is none of comma, semicolon and tab", write("text|id\na|1\n"),
         said="data.csv has no column 'text'; it has 'text|id'; name the right one with --text-column"),
    Case("a delimiter of two characters", write(ROWS), PREDICT + " --delimiter ;;",
         said="the delimiter must be one character, not a quote or a line end, got ';;'"),
    Case("two columns of one name", write("text,text\na,1\n"),
         said="data.csv has more than one column named 'text'; rename all but one"),
    Case("a column without a name", write("text,,id\na,1,2\n"),
         said="data.csv: column 2 of 3 has no name in the header; give it one"),
    Case("a column named like an output column", write("text,label\na,1\n"),
         said="data.csv: the input column 'label' is written as 'input_label'", then="kept under another name",
         holds=lambda: out().startswith("text,input_label,label,abstained,")),
    Case("no column of texts", write("body\na\n"),
         said="data.csv has no column 'text'; it has 'body'; name the right one with --text-column"),
    Case("an empty file", write(""), said="data.csv is empty"),
    Case("blank lines only", write("\n\r\n\n"), said="data.csv is empty"),
    Case("a header and no rows", write("text\n"), said="0 rows = 0 answered + 0 Other + 0 rejected",
         then="a header and no rows", holds=answered()),
    Case("rows with too few and too many cells", write("text,id\na,1\nb\nc,1,2\n"),
         said="3 rows = 1 answered + 0 Other + 2 rejected (see out.csv.rejected.jsonl)",
         then="rejected with their line, the rest is answered",
         holds=rejected("has 1 field, the header has 2", "has 3 fields, the header has 2")),
    Case("text after a closing quote", write('text\n"a"b\nb\n'),
         said="2 rows = 1 answered + 0 Other + 1 rejected (see out.csv.rejected.jsonl)",
         then="rejected with its line, the rest is answered",
         holds=rejected("is badly quoted", "double the quotes inside a quoted cell")),
    Case("the line `sep=;` that Excel understands", write("sep=;\ntext;id\na;1\n"),
         said="data.csv: delimiter ';' (named by its first line, sep=;)", then="read: the line is no header",
         holds=answered("a")),
    Case("bare quotes in a tab-separated file, with `--literal-quotes`", write('text\tid\n"a\t1\nb"\t2\n', "data.tsv"),
         "predict model data.tsv -o out.csv --literal-quotes", then="read: quotes are characters",
         said="2 rows = 0 answered + 2 Other (2 unreadable) + 0 rejected", holds=answered('"a', 'b"')),
    Case("bare quotes in a tab-separated file", write('text\tid\n"a\t1\nb"\t2\n', "data.tsv"),
         "predict model data.tsv -o out.csv", then="read as one row, and said",
         said="data.tsv: 1 row with tabs and line ends in a quoted cell: several rows, where a quote is a character "
              "(line 2); if so, read quotes so with --literal-quotes", holds=answered("a\t1\nb")),
    Case("a quote that is never closed", write('text\na\n"b\nc\n'),
         said="data.csv line 3: a quote opened here is not closed to the end of the file; close it or take it out"),
    Case("a line of more than 16 million characters", write("text\n" + "a" * 17_100_000 + "\n"),
         said="data.csv line 2 is longer than 16,777,216 characters"),
    Case("an Excel file, renamed", write(b"PK\x03\x04\x14\x00\x06\x00\x08\x00"),
         said="data.csv is a zip archive, as an Excel file is, not text; save it as CSV, or name it .xlsx"),
    Case("an old Excel file, renamed", write(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
         said="data.csv is an old Excel or Word file, not text; save it as CSV"),
    Case("a Parquet file, renamed", write(b"PAR1\x15\x04\x15\x00"),
         said="data.csv is a Parquet file, not text; name it .parquet"),
    Case("a compressed file", write(gzip.compress(ROWS.encode(), mtime=0)),
         said="data.csv is compressed with gzip; unpack it first, or name it .csv.gz"),
    Case("a file compressed with bzip2", write(bz2.compress(ROWS.encode())),
         said="data.csv is compressed with bzip2; unpack it first"),
    Case("a binary file of no known kind", write(bytes(range(1, 256)) * 4),
         said="data.csv is no text: its bytes are those of a binary file; save it as CSV"),
    Case("a name that does not say the format", write(ROWS, "data.docx"), "predict model data.docx -o out.csv",
         said="data.docx: cannot tell the format from '.docx'; name it with --format (csv, tsv, jsonl, ndjson)"),
    Case("a format that there is not", write(ROWS), PREDICT + " --format xml",
         said="unknown format 'xml'; the formats are csv, tsv, jsonl, ndjson"),
    Case("a folder without files of rows", lambda: Path("data.csv").mkdir(),
         said="data.csv is a folder without files of rows (.csv, .tsv, .jsonl, .ndjson, .json, .parquet, .pq, .arrow, "
              ".feather, .ipc, .xlsx, .xlsm)"),
    Case("a pattern that finds nothing", lambda: None, "predict model new/*.csv -o out.csv",
         said="new/*.csv finds no file"),
    Case("files of different columns, by a pattern", each(write(ROWS, "1.csv"), write("text,no\na,1\n", "2.csv")),
         "predict model [12].csv -o out.csv", said="2.csv has the columns 'text', 'no', and 1.csv has others"),
    Case("a compressed file that is cut off", write(gzip.compress(ROWS.encode() * 99, mtime=0)[:-9], "data.csv.gz"),
         "predict model data.csv.gz -o out.csv",
         said="data.csv.gz cannot be read: compressed file ended before the end-of-stream marker was reached"),
    Case("an Excel file with a password", write(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 9, "data.xlsx"),
         "predict model data.xlsx -o out.csv",
         said="data.xlsx has a password or is of an older Excel; save it as .xlsx without a password"),
    Case("an output that is to be an Excel file", write(ROWS), "predict model data.csv -o out.xlsx",
         said="out.xlsx: Excel files are read, not written; name the output .csv, with --excel"),
    Case("a file that is not there", lambda: None, said="data.csv does not exist"),
    Case("one JSON list instead of JSON Lines", write('[{"text": "a"}]', "data.jsonl"),
         "predict model data.jsonl -o out.csv",
         said="data.jsonl is not JSON Lines (one object a line): line 1 is a list, not a JSON object; "
              "make them of a list: jq -c '.[]' data.jsonl > new.jsonl"),
    Case("a `.json` file with one object a line", write('{"text": "a"}\n{"text": "b"}\n', "data.json"),
         "predict model data.json -o out.csv", said="2 rows = 2 answered + 0 Other + 0 rejected",
         then="read as JSON Lines", holds=answered("a", "b")),
    Case("JSON that is nested without end", write("[" * 100_000, "data.jsonl"), "predict model data.jsonl -o out.csv",
         said="data.jsonl is not JSON Lines (one object a line): line 1 is nested too deeply"),
    Case("lines that are no JSON, a key twice, NaN, null, a list, no text",
         write('{"text":"a"}\nnope\n{"text":"a","text":"b"}\n{"text":NaN}\n{"text":null}\n{"text":["a"]}\n{"x":1}\n',
               "data.jsonl"),
         "predict model data.jsonl -o out.csv",
         said="7 rows = 1 answered + 0 Other + 6 rejected (see out.csv.rejected.jsonl)",
         then="rejected with their line, the rest is answered",
         holds=rejected("is not JSON: expecting value at character 1", "has the key 'text' twice",
                        "holds NaN, which is not JSON; write null or a string", "has null in 'text', not text",
                        "has a list in 'text', not text", "has no 'text'")),
    Case("a key that comes late, into CSV", write('{"text":"a"}\n{"text":"b","new":1}\n', "data.jsonl"),
         "predict model data.jsonl -o out.csv",
         said="a row has 'new', which the header of the CSV file lacks; write a .jsonl file instead"),
    Case("a bad row in a file to learn from", write("text,label\na,x\nb\n"), "fit data.csv -o new",
         said="data.csv line 3: row 2 has 1 field, the header has 2; mend the row,"
              " or leave it out with --skip-bad-rows"),
]  # fmt: skip
