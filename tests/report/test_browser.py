"""Reports in a real browser: the controls, the counts that they show, hostile words, print, and no script at all."""

import re
import unicodedata
from io import BytesIO

import numpy as np
import pytest

from elsewise.messages import REPORT_MESSAGES
from elsewise.metrics import wilson
from elsewise.report import page
from elsewise.report.contents import collect, promised_at
from elsewise.report.pages import SECTIONS
from support.browser import axe, chromium, opened  # noqa: F401  a fixture
from support.reported import HOSTILE, by_heart, of_logits

pytestmark = pytest.mark.usefixtures("chromium")
READ = "['coverage','answered','accuracy','interval','errors','wrong','looks','other','cost','cheapest','band']"
READ_ALL = f"Object.fromEntries({READ}.map(n => [n, document.getElementById('o-' + n).textContent]))"

SHOWN = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), shown = [];
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    if (parent.closest('script, style, title, desc') || !parent.checkVisibility({visibilityProperty: true})) continue;
    if (walker.currentNode.textContent.trim()) shown.push(walker.currentNode.textContent);
  }
  return shown;
}"""


@pytest.fixture(scope="module")
def classifier():
    return of_logits(k=5, tests=400, labels=["kargo", "fatura", "iade", "şifre", "çok az"])


@pytest.fixture(scope="module")
def written(classifier, tmp_path_factory):
    """Reports of one classifier by language."""
    folder = tmp_path_factory.mktemp("reports")
    for language in REPORT_MESSAGES:
        page(classifier.provenance.judged, classifier, language=language, model="m").write(folder / f"{language}.html")
    return folder


def read(tab):
    """What the explorer shows, by the names of its figures."""
    return tab.evaluate(READ_ALL)


def typed(tab, name, words):
    tab.fill(f"#{name}", str(words))


def read_at(tab, thresholds):
    """What the explorer shows at each of these thresholds, typed one after another."""
    typed_in = "field.value = threshold; field.dispatchEvent(new Event('input', {bubbles: true}));"
    return tab.evaluate(
        f"thresholds => {{ const field = document.getElementById('number'); return thresholds.map(threshold => "
        f"{{ {typed_in} return {READ_ALL}; }}); }}",
        thresholds,
    )


def counts_of(shown):
    return tuple(int(shown[name].split(" of ")[0].replace(",", "")) for name in ("answered", "wrong", "other"))


def test_the_counts_are_those_of_python_at_200_thresholds(chromium, written, classifier):  # noqa: F811
    judged = classifier.provenance.judged.judged
    decisions, correct = judged.decisions, judged.answers.correct
    band = collect(classifier, classifier.provenance.judged).band
    with opened(chromium, written / "en.html") as tab:
        places = tab.evaluate("JSON.parse(document.getElementById('data').textContent).counts.thresholds")
        for label in (None, 0, 2, 4):
            own = np.ones(len(judged), dtype=bool) if label is None else decisions.best == label
            tab.select_option("#label", str(-1 if label is None else label))
            thresholds = np.random.default_rng(0 if label is None else label + 1).random(50).tolist()
            for threshold, shown in zip(thresholds, read_at(tab, thresholds), strict=True):
                answered = own & (decisions.confidence >= threshold)
                n, wrong, rows = int(answered.sum()), int((answered & ~correct).sum()), int(own.sum())
                assert counts_of(shown) == (n, wrong, rows - n)
                assert shown["coverage"] == f"{100 * (n / rows):.1f}\u00a0%"
                right = wilson(n - wrong, n)
                if n:
                    assert shown["interval"] == f"{100 * right.low:.1f}\u00a0% to {100 * right.high:.1f}\u00a0%"
                at = next(place for place in places if float(place) >= threshold)
                point = promised_at(band, float(at)) if label is None else None
                words = "nothing" if point is None else f"{np.floor(1000 * point.promised + 1e-9) / 10:.1f}\u00a0%"
                assert words in shown["band"]


def test_every_control_changes_something(chromium, written):  # noqa: F811
    with opened(chromium, written / "en.html") as tab:
        seen = [read(tab)]

        def changed(act, *names):
            act()
            now = read(tab)
            assert all(now[name] != seen[-1][name] for name in names)
            seen.append(now)

        changed(lambda: tab.click("text=Answer everything"), "answered", "looks", "cost")
        changed(lambda: tab.click("text=As promised"), "answered", "looks", "cost")
        changed(lambda: tab.click("button:text-is('0.6')"), "answered")
        assert tab.input_value("#number") == "0.6"
        changed(lambda: typed(tab, "cost-error", 100), "cost", "cheapest")
        changed(lambda: typed(tab, "cost-look", 7), "cost", "cheapest")
        changed(lambda: tab.click("text=Cheapest"), "answered")
        assert seen[-1]["cost"] in seen[-1]["cheapest"]
        changed(lambda: tab.select_option("#label", "4"), "answered", "band")
        tab.select_option("#label", "-1")
        seen.append(read(tab))
        changed(lambda: tab.focus("#slider") or tab.keyboard.press("PageUp"), "answered")
        changed(lambda: tab.focus("#number") or tab.keyboard.press("PageDown"), "answered")
        typed(tab, "number", "inf")
        assert counts_of(read(tab))[0] == 0
        assert "no threshold of the band" in tab.text_content("#command")


def test_the_command_is_the_one_for_the_threshold(chromium, written):  # noqa: F811
    with opened(chromium, written / "en.html") as tab:
        tab.click("text=Answer everything")
        assert tab.text_content("#command") == "elsewise threshold m --at=-inf --band"
        typed(tab, "number", 0.7)
        at = float(re.fullmatch(r"elsewise threshold m --at (\S+) --band", tab.text_content("#command"))[1])
        before = counts_of(read(tab))
        typed(tab, "number", at)
        assert counts_of(read(tab)) == before
        tab.click("#copy")
        tab.wait_for_function("document.querySelector('#copied').textContent === 'copied'")


def test_labels_are_sorted_found_and_counted(chromium, written):  # noqa: F811
    of_table = "[...document.querySelectorAll('{} tbody tr')].filter(r => !r.hidden).map(r => {})"
    rows = of_table.format("#label-table", "r.cells[{}].textContent")
    with opened(chromium, written / "tr.html") as tab:
        tab.click("#label-table th:nth-child(2) button")
        counted = [int(words) for words in tab.evaluate(rows.format(1))]
        assert counted == sorted(counted)
        tab.click("#label-table th:nth-child(2) button")
        assert [int(words) for words in tab.evaluate(rows.format(1))] == counted[::-1]
        typed(tab, "search", "ŞİF")
        assert tab.evaluate(rows.format(0)) == ["şifre"]
        tab.click("#by-label summary")
        tab.click("text=Her şeyi yanıtla")
        cells = of_table.format("#by-label", "[r.cells[2].textContent, r.cells[3].textContent]")
        everything = tab.evaluate(cells)
        typed(tab, "number", "0,9")
        assert tab.evaluate(cells) != everything


def test_the_slider_answers_at_once_and_the_page_opens_at_once(chromium, tmp_path):  # noqa: F811
    classifier = of_logits(k=150, n=3000, tests=3000)
    page(classifier.provenance.judged, classifier).write(tmp_path / "big.html")

    with opened(chromium, tmp_path / "big.html") as tab:
        tab.click("#by-label summary")
        moved = tab.evaluate("""() => {
            const slider = document.getElementById('slider'), before = performance.now();
            for (let i = 0; i < 20; i++) {
                slider.value = 40 * i;
                slider.dispatchEvent(new Event('input'));
                document.body.offsetHeight;
            }
            return (performance.now() - before) / 20;
        }""")
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert moved < 1000  # milliseconds; benchmarks/report.py measures it on a quiet machine


@pytest.mark.parametrize("language", REPORT_MESSAGES)
def test_what_is_hostile_executes_nothing(chromium, tmp_path, language):  # noqa: F811
    texts = [f"{word} {i}" for i in range(300) for word in [HOSTILE[i % len(HOSTILE)]]]
    classifier, judged = by_heart(texts, [HOSTILE[i % len(HOSTILE)] for i in range(300)], other="<i>Other</i>")
    page(judged, classifier, language=language, model="<script>", with_examples=300).write(tmp_path / "hostile.html")

    with opened(chromium, tmp_path / "hostile.html") as tab:
        tab.click("#by-label summary")
        for code in range(len(classifier.labels)):
            tab.select_option("#label", str(code))
        for button in tab.query_selector_all("th button"):
            button.evaluate("button => button.click()")
        assert tab.evaluate("window.hit") is None
        assert tab.evaluate("[...document.querySelectorAll('bdi')].map(e => e.children.length)").count(0) > 0
        assert tab.evaluate("document.querySelectorAll('img, iframe, bdi *').length") == 0


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("tr", "dark")])
def test_axe_finds_nothing(chromium, written, language, scheme):  # noqa: F811
    source = axe()
    with opened(chromium, written / f"{language}.html", color_scheme=scheme, bypass_csp=True) as tab:
        tab.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        tab.evaluate(source)
        found = tab.evaluate("axe.run()")["violations"]

    assert [(one["id"], [node["html"][:120] for node in one["nodes"]][:3]) for one in found] == []


def test_everything_but_the_slider_is_there_without_scripts(chromium, written):  # noqa: F811
    with opened(chromium, written / "en.html", java_script_enabled=False) as tab:
        assert [tab.get_attribute(f"#{name}", "id") for name in SECTIONS] == list(SECTIONS)
        assert all(tab.is_visible(f"#{name} h2") for name in SECTIONS)
        assert not tab.is_visible("#slider")
        assert tab.is_visible("noscript p")
        assert tab.locator("svg.chart").count() == 3
        assert "elsewise evaluate" in tab.text_content("#glossary")


def test_print_has_all_words_and_no_controls(chromium, written):  # noqa: F811
    with opened(chromium, written / "en.html") as tab:
        tab.emulate_media(media="print")
        assert not tab.is_visible("#controls")
        assert all(tab.is_visible(f"#{name} h2") for name in SECTIONS)
        assert tab.evaluate(
            "[...document.querySelectorAll('.scroll')].every(e => e.scrollHeight <= e.clientHeight + 1)"
        )
        assert tab.is_visible("#by-label td")


@pytest.mark.parametrize("language", REPORT_MESSAGES)
def test_a_printed_page_has_every_word_that_the_screen_has(chromium, written, language):  # noqa: F811
    pypdf = pytest.importorskip("pypdf")
    with opened(chromium, written / f"{language}.html") as tab:
        tab.emulate_media(media="print")
        shown = tab.evaluate(SHOWN)
        pages = pypdf.PdfReader(BytesIO(tab.pdf())).pages
    printed = letters("".join(one.extract_text() for one in pages))

    assert len(shown) > 500
    assert [words for words in shown if letters(words) not in printed] == []


def letters(words):
    """Words without blanks, ligatures and marks of direction, which a printer sets as it likes."""
    return re.sub(r"[\s\u2066-\u2069]", "", unicodedata.normalize("NFKC", words))


@pytest.mark.parametrize("language", REPORT_MESSAGES)
def test_no_width_makes_the_page_wider_than_the_window(chromium, written, language):  # noqa: F811
    with opened(chromium, written / f"{language}.html", viewport={"width": 360, "height": 800}) as tab:
        for width in (360, 800, 1400):
            tab.set_viewport_size({"width": width, "height": 800})
            assert tab.evaluate("innerWidth") == width
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
