"""The README is short, its table and picture are what the scripts wrote, and the index names every page."""

import re
import runpy
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BENCHMARKS = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")


def test_the_readme_is_short_and_says_which_version_it_is_of():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

    assert README.count("\n") <= 120
    assert f"Version {version}" in README


def test_the_index_links_every_page_and_orders_them_as_the_site_does():
    """What GitHub shows of the index are its links, and what the site shows beside each page its hidden trees."""
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    linked = re.findall(r"^- \[[^]]+\]\((.+?)\.md\)", index, re.MULTILINE)
    trees = re.findall(r"^```\{toctree\}\n(?::[^\n]*\n)*\n(.*?)^```", index, re.MULTILINE | re.DOTALL)
    pages = {str(page.relative_to(ROOT / "docs").with_suffix("")) for page in (ROOT / "docs").glob("**/[!_]*.md")}

    assert sorted(linked) == sorted(page for page in pages if page != "index" and not page.startswith("generated"))
    assert linked == [page for page in "".join(trees).split() if not page.startswith("generated")]


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
        figures = [f"{a} / **{b}**" for a, b in zip(today[1:4], ours[1:4], strict=True)]
        assert row[1:] == [*figures, f"nothing / **{re.match('promise ([^;]+);', ours[4])[1]}**"]


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
    for words in ("late_delivery&quot; with probability", "Other: the text is unlike", "Etiket: ", "Other: metin"):
        assert words in said
    assert [int(lines) for lines in re.findall(r"head -(\d+)<", said)] == [1, 2, 1, 2]


@pytest.mark.bench
def test_the_example_answers_its_first_text_and_leaves_the_second_with_a_margin(tmp_path, monkeypatch):
    """On the default encoder, as it is typed; `make test` runs it on a tiny one, and looks at no answer."""
    (tmp_path / "example.py").write_text(re.search(r"```python\n(.*?)```", README, re.DOTALL)[1], encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    made = runpy.run_path("example.py")

    classifier, decisions = made["classifier"], made["decisions"]
    assert (classifier.certificate.certified, classifier.certificate.target_accuracy) == (True, 0.95)
    assert decisions.labels == ["late_delivery", "Other"]
    assert decisions.confidence[0] > classifier.rule.threshold + 0.05
    assert decisions.familiarity[1] < 0.01  # half of the share that is barred
