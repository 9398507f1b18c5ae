"""The playground in a real browser, before a real server: controls, numbers, hostile words, keys, keyboard, widths."""

import csv
import io
import json

import pytest

import elsewise as ew
from elsewise.engines.memory import MemoryEngine
from elsewise.evaluation.explaining import explain
from elsewise.messages import PLAYGROUND_MESSAGES
from support.browser import axe, chromium, opened  # noqa: F401  a fixture
from support.reported import HOSTILE
from support.serving import by_heart, serving, wait_until

pytestmark = pytest.mark.usefixtures("chromium")
LABELS = ("late_delivery", "invoice", "returns", "warranty", "şifre", "opening_hours", "stock", "address")
KEY = "0123456789abcdef"
TEXTS = {
    "where is my parcel": 4.0,
    "where is my ": 1.0,
    " is my parcel": 4.5,
    "parcel or invoice": 1.5,
    "send it back": 2.5,
}


def logits(top, code=0):
    return tuple(top if i == code else 0.1 * i for i in range(len(LABELS)))


def model_of(folder, labels=LABELS, threshold=0.8, **how):
    """A classifier that knows a few texts by heart, and takes others for the third label."""
    known = {text: logits(top, code) for code, (text, top) in enumerate(TEXTS.items())}
    engine = MemoryEngine(labels, known, default=logits(2.0, 2))
    ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(threshold), **how).save(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return model_of(tmp_path_factory.mktemp("played") / "tickets")


@pytest.fixture(scope="module")
def served(folder):
    with serving(folder, log_requests=False) as made:
        yield made


def ready(tab):
    tab.wait_for_selector("#desk:not([hidden])")
    return tab


def asked(tab, *texts):
    """Type texts, one a line, and wait for their answers."""
    tab.fill("#texts", "\n".join(texts))
    tab.click("#decide")
    return settled(tab, len(texts))


def settled(tab, n):
    tab.wait_for_selector(f"#list:not(.busy) > li:nth-child({n})")
    tab.wait_for_selector("#status:empty", state="attached")
    return tab


def of_csv(words, name="texts.csv"):
    return {"name": name, "mimeType": "text/csv", "buffer": words if isinstance(words, bytes) else words.encode()}


def bars(tab, within="#list"):
    """Names and numbers of the bars that are shown."""
    rows = f"[...document.querySelectorAll('{within} .bars li')]"
    read = f"{rows}.map(row => [row.firstChild.textContent, row.lastChild.textContent])"
    return [tuple(row) for row in tab.evaluate(read)]


def test_probabilities_and_the_sentence_are_those_of_python(chromium, served, folder):  # noqa: F811
    classifier = ew.load(folder)
    with opened(chromium, f"{served.url}/?language=tr") as tab:
        for text in TEXTS:
            asked(ready(tab), text.strip() or text)
            tab.click("text=Tüm etiketler (8)")
            tab.wait_for_selector("#list .bars li:nth-child(8)")

            (p,), decision = classifier.probabilities([text.strip()]), classifier.decide([text.strip()])[0]
            best = sorted(zip(LABELS, p.tolist(), strict=True), key=lambda pair: -pair[1])
            assert bars(tab) == [(name, f"{value:.3f}".replace(".", ",")) for name, value in best]
            assert decision.sentence("tr") in tab.text_content("#list")
            assert tab.text_content("#list .said") == decision.label


def test_the_line_stands_at_the_threshold_and_the_bars_end_at_the_probabilities(chromium, served, folder):  # noqa: F811
    best = float(ew.load(folder).probabilities(["where is my parcel"])[0].max())
    with opened(chromium, served.url) as tab:
        asked(ready(tab), "where is my parcel")
        room, fill, line = (
            tab.evaluate(f"(() => {{ const b = document.querySelector('#list .bars {one}').getBoundingClientRect(); "
                         "return [b.left, b.width]; })()")
            for one in ("svg", ".fill", "line")
        )  # fmt: skip

    assert fill[1] / room[1] == pytest.approx(best, abs=0.005)
    assert (line[0] + line[1] / 2 - room[0]) / room[1] == pytest.approx(0.8, abs=0.01)


def test_the_words_that_pulled_are_those_of_python(chromium, served, folder):  # noqa: F811
    pulls = explain(ew.load(folder), "where is my parcel").words
    with opened(chromium, served.url) as tab:
        asked(ready(tab), "where is my parcel")
        tab.click("text=Which words pulled?")
        tab.wait_for_selector(".pulled")
        shown = bars(tab)[6:]
        marked = tab.evaluate("[...document.querySelectorAll('mark')].map(m => m.textContent)")
        whole = tab.text_content(".pulled")

    moving = [word for word in pulls if word.pull]
    assert shown == [(w.words, f"{w.pull:+.2f}".replace("-", "−")) for w in moving]
    assert (marked, whole) == (["where", "is", "my", "parcel"], "where is my parcel")


def test_a_moved_threshold_carries_no_promise_and_the_page_says_so(chromium, served, folder):  # noqa: F811
    own = ew.FixedThreshold(0.3)
    classifier = ew.load(folder)
    decisions = own(classifier.evidence(["parcel or invoice"]))
    with opened(chromium, served.url) as tab:
        asked(ready(tab), "parcel or invoice")
        assert tab.text_content("#list .said") == "Other"
        assert "no promise" not in tab.text_content("#standing")
        tab.fill("#number", "0.3")
        tab.wait_for_selector("#list .said:has-text('warranty')")
        assert "0.300. These answers carry no promise." in tab.text_content("#standing")
        assert "without a promise" in tab.text_content("#list")
        assert tab.get_attribute("#standing", "class") == "small warn"

    assert not decisions.abstained[0]


def test_every_control_changes_something(chromium, served):  # noqa: F811
    with opened(chromium, served.url) as tab:
        heads = "[...document.querySelectorAll('.answer summary, .answer .said')].map(e => e.textContent).join('|')"
        seen = [asked(ready(tab), *TEXTS).evaluate(heads)]

        def changed(n, act, read=heads):
            before = tab.evaluate(read)
            act()
            wait_until(lambda: tab.evaluate(read) != before, 5)
            settled(tab, n)
            seen.append(tab.evaluate(read))

        assert tab.text_content("#summary").startswith("2 of 5 answered (40.0 %)".replace(" %", "\u00a0%"))
        changed(5, lambda: tab.fill("#slider", "0.05"))
        assert "5 of 5" in tab.text_content("#summary")
        changed(5, lambda: tab.fill("#number", "0.9"))
        changed(5, lambda: tab.click("#as-served"))
        assert seen[-1] == seen[0]
        tab.select_option("#filter", "other")
        assert tab.locator("#list > li").count() == 3
        tab.select_option("#filter", "answered")
        assert tab.locator("#list > li").count() == 2
        tab.select_option("#filter", "all")
        tab.click("#mix summary")
        assert sorted(bars(tab, "#mix")) == [("late_delivery", "1"), ("returns", "1")]
        tab.click("#list summary >> nth=3")
        tab.wait_for_selector("#list .bars")
        assert len(bars(tab)) == 6
        tab.uncheck("#lines")
        tab.click("#decide")
        settled(tab, 1)
        assert tab.locator("#list > li").count() == 1
        tab.check("#lines")
        tab.fill("#texts", " \n ")
        tab.click("#decide")
        assert tab.text_content("#status") == "Type a text first."
        assert tab.locator("#list > li").count() == 0


def test_a_file_is_read_its_column_chosen_and_left_again(chromium, served):  # noqa: F811
    rows = 'id;note;message\n1;send it back;where is my parcel\n2;;"parcel\nor; ""invoice"""\n'
    with opened(chromium, served.url) as tab:
        ready(tab).set_input_files("#file", of_csv("\ufeff" + rows))
        settled(tab, 2)
        assert "texts.csv" in tab.text_content("#file-is")
        assert tab.text_content("#list .line-of") == "where is my parcel"
        tab.click("#list summary >> nth=1")
        tab.wait_for_selector("#list .bars")
        assert tab.text_content("#list .text") == 'parcel\nor; "invoice"'
        tab.select_option("#column", "1")
        tab.wait_for_selector("#list .line-of:text-is('send it back')")
        tab.click("#remove")
        assert tab.is_visible("#texts")
        assert tab.locator("#list > li").count() == 0
        for words, said in (("text\n", "no row"), (b"text\n\xfe\xff\n", "not UTF-8")):
            tab.set_input_files("#file", of_csv(words))
            tab.wait_for_selector(f"#file-note:has-text('{said}')")
        tab.set_input_files("#file", of_csv("text\n" + "send it back\n" * 1200))
        settled(tab, 100)
        assert "1,000" in tab.text_content("#file-note")
        assert "1,000 of 1,000 answered" not in tab.text_content("#summary")
        tab.click("#more")
        assert tab.locator("#list > li").count() == 200


def test_a_file_can_be_dropped_anywhere(chromium, served):  # noqa: F811
    dropped = """() => {
        const held = new DataTransfer();
        held.items.add(new File(['text\\nsend it back\\nparcel or invoice\\n'], 'a.csv'));
        const how = {dataTransfer: held, bubbles: true, cancelable: true}, foot = document.querySelector('footer');
        for (const name of ['dragover', 'drop']) foot.dispatchEvent(new DragEvent(name, how));
    }"""
    with opened(chromium, served.url) as tab:
        ready(tab).evaluate(dropped)
        settled(tab, 2)
        assert tab.get_attribute("body", "class") == ""


TABLES = {  # each with its delimiter
    "a,b\n1,2\n": ",",
    'a\tb\r\n1\t"x\ty"\r\n': "\t",
    '"a;""b";c\r1;"2\r\n3"\r': ";",
    "text\nfoo\n\nbar": ",",
    'a,b\n"1"x,2\n': ",",
    "sep=;\na;b\n1;2,3\n": ";",
}


def test_a_table_is_read_as_python_reads_it(chromium, served):  # noqa: F811
    with opened(chromium, served.url) as tab:
        found = {words: tab.evaluate("words => tableOf(words)", words) for words in TABLES}

    for words, delimiter in TABLES.items():
        feed = io.StringIO(words.removeprefix("sep=;\n"), newline="")
        header, *rows = [row for row in csv.reader(feed, delimiter=delimiter) if row]
        assert (found[words]["columns"], found[words]["rows"]) == (header, rows)


def test_a_hundred_hostile_texts_and_labels_execute_nothing(chromium, tmp_path):  # noqa: F811
    texts = [f"{HOSTILE[i % len(HOSTILE)]} {i}".replace("\ud800", "\ufffd").replace("\u2028", " ") for i in range(100)]
    labels = tuple(word for word in HOSTILE[:8] if word.strip())
    place = model_of(tmp_path / "<img src=x onerror=window.hit=1>", labels, 0.2, other="<i>Other</i>")
    with serving(place, log_requests=False) as served, opened(chromium, f"{served.url}/?language=tr") as tab:
        written = io.StringIO()
        csv.writer(written).writerows([["<b onclick=window.hit=1>"], *([text] for text in texts)])
        ready(tab).set_input_files("#file", of_csv(written.getvalue().encode(), "<svg onload=window.hit=1>.csv"))
        settled(tab, 100)
        assert tab.text_content("h1") == place.name
        for i in range(0, 100, 9):
            tab.click(f"#list > li:nth-child({i + 1}) summary")
        tab.click("#list button:has-text('etkili') >> nth=0")
        tab.wait_for_selector("#list h3")
        tab.click("#mix summary")
        assert tab.evaluate("window.hit") is None
        assert (
            tab.evaluate("document.querySelectorAll('img, iframe, i, b, bdi > :not(wbr), .text *, option *').length")
            == 0
        )
        shown = tab.evaluate("[...document.querySelectorAll('#list .line-of')].map(e => e.textContent)")

    assert shown == [text.strip() for text in texts]


def test_half_a_surrogate_is_sent_as_the_sign_for_it(chromium, served, folder):  # noqa: F811
    with opened(chromium, served.url) as tab:
        ready(tab).evaluate("document.getElementById('texts').value = 'half \\ud800 of one'")
        tab.click("#decide")
        settled(tab, 1)
        assert tab.text_content("#list .said") == ew.load(folder).decide(["half \ud800 of one"])[0].label


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("tr", "dark")])
def test_axe_finds_nothing(chromium, served, language, scheme):  # noqa: F811
    words = PLAYGROUND_MESSAGES[language]
    address = f"{served.url}/?language={language}"
    with opened(chromium, address, color_scheme=scheme, bypass_csp=True) as tab:
        asked(ready(tab), *TEXTS)
        tab.fill("#number", "0,5" if language == "tr" else "0.5")
        tab.wait_for_selector("#list.busy", state="detached")
        settled(tab, 5).click("#list summary >> nth=0")
        tab.click(f"text={words['why']}")
        tab.wait_for_selector(".pulled")
        tab.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        hidden = ["key", "wrong", "file-note", "from-file"]
        tab.evaluate("hidden => hidden.forEach(id => { document.getElementById(id).hidden = false; })", hidden)
        tab.evaluate(axe())
        found = tab.evaluate("axe.run()")["violations"]

    assert [(one["id"], [node["html"][:120] for node in one["nodes"]][:3]) for one in found] == []


def test_everything_is_done_by_the_keyboard(chromium, served):  # noqa: F811
    with opened(chromium, served.url) as tab:

        def to(wanted):
            for _ in range(25):
                if tab.evaluate("wanted => document.activeElement.matches(wanted)", wanted):
                    return
                tab.keyboard.press("Tab")
            raise AssertionError(wanted)

        ready(tab)
        to("#texts")
        tab.keyboard.type("where is my parcel\nsend it back")
        tab.keyboard.press("Control+Enter")
        settled(tab, 2)
        to("#lines")
        to("#decide")
        to("#open")
        to("#slider")
        tab.keyboard.press("Home")
        tab.wait_for_selector("#standing.warn")
        settled(tab, 2)
        to("#number")
        to("#as-served")
        tab.keyboard.press("Enter")
        assert tab.evaluate("document.activeElement.id") == "slider"
        settled(tab, 2)
        to("#filter")
        to(".answer summary")
        tab.keyboard.press("Enter")
        to(".answer .inside button")
        tab.keyboard.press("Tab")
        tab.keyboard.press("Enter")
        tab.wait_for_selector(".pulled")
        assert tab.evaluate("document.activeElement.matches('.answer summary')")


def test_a_key_is_asked_for_kept_in_memory_and_sent(chromium, folder):  # noqa: F811
    with serving(folder, keys=(KEY,), log_requests=False) as served:
        window = chromium.new_context()
        tab, sent = window.new_page(), []
        tab.on("request", lambda one: sent.append((one.url, one.headers.get("authorization"))))
        tab.goto(served.url)
        tab.wait_for_selector("#key:not([hidden])")
        assert not tab.is_visible("#desk")
        assert "tickets" not in tab.content()
        assert tab.evaluate("document.activeElement.id") == "key-field"
        tab.keyboard.type("a wrong key of sixteen")
        tab.keyboard.press("Enter")
        tab.wait_for_selector("#key-wrong:has-text('does not know')")
        tab.keyboard.type(KEY)
        tab.keyboard.press("Enter")
        asked(ready(tab), "where is my parcel")
        kept = tab.evaluate(
            "[JSON.stringify({...localStorage, ...sessionStorage}), document.cookie, document.body.innerHTML]"
        )
        assert not any(KEY in words for words in kept)
        assert not tab.is_visible("#docs")
        assert all(url.startswith(served.url) and KEY not in url for url, _ in sent)
        assert sent[-1][1] == f"Bearer {KEY}"
        tab.reload()
        tab.wait_for_selector("#key:not([hidden])")
        window.close()


def test_a_page_of_a_key_says_nothing_of_the_model(folder):
    with serving(folder, keys=(KEY,), log_requests=False) as served:
        import httpx

        assert httpx.get(f"{served.url}/").status_code == 200
        assert [httpx.get(f"{served.url}{path}").status_code for path in ("/v1/model", "/docs")] == [401, 401]
        assert httpx.get(f"{served.url}/", headers={"host": "evil.example"}).status_code == 403


def test_the_policy_forbids_all_but_what_is_in_the_page(served):
    reply = served.client.get("/")

    policy = reply.headers["content-security-policy"]
    assert "unsafe" not in policy
    for rule in ("default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'", "form-action 'none'",
                 "require-trusted-types-for 'script'"):  # fmt: skip
        assert rule in policy.split("; ")
    assert policy.split("; ")[:-1] == reply.text.split('Content-Security-Policy" content="')[1].split('"')[0].replace(
        "&#39;", "'"
    ).split("; ")


def test_the_language_is_that_of_the_browser_or_of_the_address(served):
    def language(path="/", **headers):
        return served.client.get(path, headers=headers).text.partition('lang="')[2][:2]

    assert language(**{"accept-language": "tr-TR,en;q=0.5"}) == "tr"
    assert language("/?language=en", **{"accept-language": "tr"}) == "en"
    assert language("/?language=xx") == language() == "en"


def test_a_swapped_model_is_noticed(chromium, tmp_path):  # noqa: F811
    place = model_of(tmp_path / "m", threshold=0.99)
    with serving(place, log_requests=False) as served, opened(chromium, served.url) as tab:
        asked(ready(tab), "where is my parcel")
        assert tab.text_content("#list .said") == "Other"
        by_heart().save(tmp_path / "new")
        place.rename(tmp_path / "old")
        (tmp_path / "new").rename(place)
        served.begin("swap")
        wait_until(lambda: served.events("swapped"))
        tab.click("#decide")
        tab.wait_for_selector("#status:has-text('changed its model')")
        assert tab.text_content("#subtitle").startswith("3 labels")
        assert "0.600" in tab.text_content("#standing")


def test_a_full_server_is_asked_again(chromium, served):  # noqa: F811
    times = []

    def full_once(route):
        times.append(1)
        body = json.dumps({"code": "queue_full", "status": 429, "title": "", "detail": ""})
        if len(times) > 1:
            route.continue_()
        else:
            route.fulfill(status=429, headers={"retry-after": "1"}, body=body, content_type="application/problem+json")

    window = chromium.new_context()
    tab = window.new_page()
    tab.route("**/v1/decide", full_once)
    tab.goto(served.url)
    ready(tab).fill("#texts", "where is my parcel")
    tab.click("#decide")
    tab.wait_for_selector("#status:has-text('Trying again in 1 s')")
    tab.wait_for_selector("#list .bars")
    assert len(times) == 2
    window.close()


def test_without_scripts_the_page_says_where_to_go(chromium, served):  # noqa: F811
    with opened(chromium, served.url, java_script_enabled=False) as tab:
        assert tab.get_attribute("noscript a", "href") == "/docs"


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_no_width_makes_the_page_wider_than_the_window(chromium, tmp_path, width):  # noqa: F811
    place = model_of(tmp_path / ("m" * 60), ("x" * 90, *LABELS[1:]))
    window = {"viewport": {"width": width, "height": 800}}
    with serving(place, log_requests=False) as served, opened(chromium, f"{served.url}/?language=tr", **window) as tab:
        asked(ready(tab), "where is my parcel", "w" * 400)
        tab.click("#list summary >> nth=0")
        tab.click("#list summary >> nth=1")
        tab.click("#list button:has-text('etkili') >> nth=0")
        tab.wait_for_selector(".pulled")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_every_message_is_written_by_the_template_or_the_script():
    from importlib.resources import files

    assets = files("elsewise.server") / "assets"
    source = "".join((assets / name).read_text(encoding="utf-8") for name in ("playground.html", "playground.js"))
    source += (files("elsewise.pages") / "assets" / "base.html").read_text(encoding="utf-8")
    source += (files("elsewise.pages") / "assets" / "page.js").read_text(encoding="utf-8")

    lost = {name for name in PLAYGROUND_MESSAGES["en"] if f"'{name}'" not in source and f"say.{name}" not in source}
    assert {name for name in lost if not name.startswith("error_")} == {"language", "page_title"}
