import json
from pathlib import Path

from bad_input.case import Case, write

UNREADABLE = "`unreadable`: Other, without a number"


def comes_out(text, reason=None, truncated="false"):
    """Make the function that looks whether the text came back byte for byte, with such an answer."""

    def holds():
        (row,) = [json.loads(line) for line in Path("out.jsonl").read_bytes().decode("utf-8").split("\n")[:-1]]
        is_answer = row["probability"] is None if row["reason"] == "unreadable" else 0 <= row["probability"] <= 1
        is_as_said = reason in (None, row["reason"]) and json.dumps(row["truncated"]) == truncated
        return row["text"] == text and is_answer and is_as_said

    return holds


def case(given, text, then, reason=None, truncated="false"):
    return Case(given, write(json.dumps({"text": text}) + "\n", "data.jsonl"), "predict model data.jsonl -o out.jsonl",
                then=then, holds=comes_out(text, reason, truncated),
                model="text")  # fmt: skip


READ = "read, and comes back as it was"

CASES = [
    case("an empty text", "", UNREADABLE, "unreadable"),
    case("blanks, tabs and line ends only", " \t\r\n\u00a0\u2003", UNREADABLE, "unreadable"),
    case("control characters only", "\0\x07\x1b\x7f\x85", UNREADABLE, "unreadable"),
    case("characters that cannot be seen only", "\u200b\u200d\ufeff\u00ad", UNREADABLE, "unreadable"),
    case("directional controls only", "\u202e\u2066\u2069\u200f", UNREADABLE, "unreadable"),
    case("names of special tokens only", "[PAD] [CLS] [SEP]", UNREADABLE, "unreadable"),
    case("a lone surrogate only", "\ud83d", UNREADABLE, "unreadable"),
    case("a lone surrogate in a text", "where is \udfff my order",
         "read as U+FFFD; comes back as its escape in JSON Lines, and as U+FFFD in CSV"),
    case("right to left", "أين طلبي where is my order הזמנה", READ),
    case("directional controls in a text", "\u202ewhere is my\u202c order \u2066a\u2069", READ),
    case("a terminal's commands in a text", "where \x1b[2J\x1b]0;is\x07 my order", READ),
    case("Turkish capital İ and dotless ı", "ISPARTA İstanbul ısı where is my order", READ),
    case("emoji with skin tones and joiners", "where is my order 👩🏽\u200d🚀 👍🏿", READ),
    case("a letter with a thousand accents", "where e" + "\u0301" * 1000 + " is", READ),
    case("one word of 1 MB", "w" * 1_000_000, "`truncated` is true; here the model knows no part of it: unreadable",
         "unreadable", "true"),
    case("a text of 10 MB", "where is my order " * 580_000,
         "answered from what the model reads of it, and `truncated` is true; it takes what a page takes", None, "true"),
    case("10 MB of blanks, then a word", " " * 10_000_000 + "order", "unreadable, and `truncated` is true",
         "unreadable", "true"),
]  # fmt: skip
