"""The README's table and picture are what the scripts wrote."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BENCHMARKS = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")


def cells(text):
    """The rows of the table between the marks, without its two lines of header."""
    body = re.search(r"<!-- softmax -->\n(.*?)<!-- end of softmax -->", text, re.DOTALL)[1]
    lines = [line for line in body.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_table_of_the_readme_has_the_figures_of_the_benchmark():
    short, whole = cells(README), cells(BENCHMARKS)

    assert len(short) == 3
    assert len(whole) == 2 * len(short)
    for row, today, ours in zip(short, whole[::2], whole[1::2], strict=True):
        assert [today[0], ours[0]] == [f"{row[0]}: softmax, 0.6", f"{row[0]}: Elsewise"]
        assert row[1:] == [f"{a} / **{b}**" for a, b in zip(today[1:4], ours[1:4], strict=True)]


def test_what_elsewise_answers_is_right_more_often_and_keeps_its_promise():
    for today, ours in zip(cells(BENCHMARKS)[::2], cells(BENCHMARKS)[1::2], strict=True):
        right, promised = float(ours[2].rstrip("%")), float(re.search(r"promise (\d+)%", ours[4])[1])
        assert right > float(today[2].rstrip("%"))
        assert right >= promised


def test_the_picture_of_a_terminal_is_small_and_asks_for_nothing():
    picture = (ROOT / "docs" / "pictures" / "terminal.svg").read_text(encoding="utf-8")

    assert "docs/pictures/terminal.svg" in README
    assert len(picture) < 20_000
    assert set(re.findall(r"https?://[^\"' )]+", picture)) == {"http://www.w3.org/2000/svg"}
    said = re.sub(r"&#160;", " ", picture)
    for words in ("what is the capital of France", "Other: the text is unlike", "Other: metin", "--language tr"):
        assert words in said
