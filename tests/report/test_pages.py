"""The page of a report: whole, self-contained, escaped, in every language, whatever was judged."""

import json
import re
import warnings
from html.parser import HTMLParser

import numpy as np
import pytest

import elsewise as ew
from elsewise.errors import InputError
from elsewise.messages import REPORT_MESSAGES
from elsewise.report import comparison_page, page
from elsewise.report.contents import collect
from elsewise.report.pages import SECTIONS
from elsewise.rules import ByLabel
from support.reported import HOSTILE, by_heart, drawn, of_logits

every_language = pytest.mark.parametrize("language", REPORT_MESSAGES)
VOID = {"meta", "link", "input", "rect", "line", "path", "circle", "br"}


class Outline(HTMLParser):
    """Elements with their attributes, and whether they are closed in the order that they are opened."""

    def __init__(self, html):
        super().__init__()
        self.open, self.found, self.words = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def classifier():
    return of_logits()


def report(classifier, **options):
    return page(classifier.provenance.judged, classifier, **options).html


def data_of(html):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)[1])


def sound(html):
    """Every element closed, ids once, all sections there, nothing asked for from elsewhere."""
    outline = Outline(html)
    ids = [attributes["id"] for _, attributes in outline.found if "id" in attributes]
    assert outline.open == []
    assert len(ids) == len(set(ids))
    assert [found["id"] for found in outline.of("section")] == list(SECTIONS)
    for _, attributes in outline.found:
        assert not any(name.startswith("on") or name in ("src", "style", "action") for name in attributes)
        assert attributes.get("href", "#").startswith(("#", "data:,"))
    return outline


@every_language
def test_a_report_is_whole_and_asks_for_nothing(classifier, language):
    html = report(classifier, language=language)

    outline = sound(html)
    assert outline.of("html") == [{"lang": language}]
    policy = next(meta["content"] for meta in outline.of("meta") if meta.get("http-equiv"))
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.search(r"\{\{|\{%|\bnan\b|\bNaN\b|None", re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL))


@every_language
def test_every_message_of_reports_is_written_by_a_template_or_the_script(language):
    from importlib.resources import files

    rooms = (files("elsewise.report"), files("elsewise.pages"))
    source = "".join(file.read_text(encoding="utf-8") for room in rooms for folder in (room, room / "assets")
                     for file in folder.iterdir() if file.name.endswith((".py", ".html")))  # fmt: skip
    begun = ("nav_", "word_", "is_", "made_", "limit_", "at_", "outcome_", "reason_", "means_", "figure_", "explained_",
             "curve_", "mark_", "plan_", "verdict_", "calibration_", "worth_", "outside_", "slice_", "tokens_",
             "compare_")  # fmt: skip

    written = {name for name in REPORT_MESSAGES[language] if re.search(rf"['\"]{name}['\"]", source)}
    lost = {name for name in REPORT_MESSAGES[language].keys() - written if not name.startswith(begun)}
    assert lost == set()


def test_the_numbers_are_those_of_the_evaluation(classifier):
    judged = classifier.provenance.judged
    words = "".join(Outline(report(classifier)).words)

    assert f"{100 * judged.system.accuracy_when_answered.value:.1f}\u00a0%" in words
    assert f"{judged.classifier.log_loss.value:.3f}" in words
    assert f"{judged.classifier.ece.null:.3f}" in words
    assert classifier.certificate.sentence in words


@pytest.mark.slow
def test_the_script_has_the_counts_the_labels_and_the_band(classifier):
    data = data_of(report(classifier, model="my model"))

    contents = collect(classifier, classifier.provenance.judged)
    assert data["counts"] == contents.judged.counts.as_dict()
    assert data["labels"] == list(classifier.labels)
    assert [low for _, low in data["band"]] == [point.promised for point in contents.band]
    assert data["model"] == "'my model'"


def test_the_contents_are_json(classifier):
    from elsewise.storage.json_files import finite

    told = collect(classifier, classifier.provenance.judged).as_dict()

    assert json.loads(json.dumps(finite(told), allow_nan=False))["engine"] == "logits"


@every_language
def test_what_is_hostile_is_shown_and_does_nothing(language):
    texts = [f"{one} {i}" for i, one in enumerate(HOSTILE * 3)]
    classifier, judged = by_heart(texts, (list(HOSTILE) * 3), other="<i>Other</i>")

    html = page(judged, classifier, language=language, model="</script>", with_examples=9).html

    outline = sound(html)
    html.encode()
    assert [found for found in outline.of("script") if found] == [{"type": "application/json", "id": "data"}]
    assert not {"img", "i", "b", "iframe"} & {tag for tag, _ in outline.found}
    assert data_of(html)["labels"] == list(dict.fromkeys(HOSTILE))


def test_texts_are_shown_only_when_they_are_asked_for():
    texts = [f"my secret number is {i}" for i in range(40)]
    classifier, judged = by_heart(texts, ["a", "b"] * 20)

    assert "my secret number" not in page(judged, classifier).html
    shown = page(judged, classifier, with_examples=2).html
    assert 0 < shown.count("my secret number") <= 2 * 3
    assert "may be personal data" in shown
    with pytest.raises(InputError, match=r"^with_examples must be 0 or more, got -1$"):
        page(judged, classifier, with_examples=-1)


@every_language
def test_without_test_rows_the_promise_is_there_and_a_command_that_makes_the_rest(language):
    z, codes = drawn()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier = ew.calibrate(z, codes, target_accuracy=0.8)

    html = page(None, classifier, language=language).html

    sound(html)
    assert "elsewise evaluate MODEL DATA --report report.html" in html


def of_errors(share, threshold=0.6):
    texts = [f"text {i}" for i in range(60)]
    labels = ["a", "b"] * 30
    from elsewise.engines.memory import MemoryEngine

    wrong = round(share * len(texts))
    table = {
        text: [4.0, 0.0] if (label == "a") == (i >= wrong) else [0.0, 4.0]
        for i, (text, label) in enumerate(zip(texts, labels, strict=True))
    }
    classifier = ew.Classifier(MemoryEngine(("a", "b"), table), ew.Identity(), ew.FixedThreshold(threshold))
    return classifier, ew.evaluate(classifier, texts, labels)


def one_row():
    classifier, _ = of_errors(0.0)
    return classifier, ew.evaluate(classifier, ["text 0"], ["a"])


ODD = {
    "no errors": lambda: of_errors(0.0),
    "all wrong": lambda: of_errors(1.0),
    "no abstentions": lambda: of_errors(0.2, threshold=-np.inf),
    "all abstentions": lambda: of_errors(0.2, threshold=np.inf),
    "one row": one_row,
    "200 letters": lambda: by_heart([f"t{i}" for i in range(60)], ["x" * 200, "y" * 200] * 30),
    "Arabic": lambda: by_heart([f"t{i}" for i in range(60)], ["شكوى", "طلب", "سؤال"] * 20),
}


@pytest.mark.parametrize("name", ODD)
@every_language
def test_odd_evaluations_have_a_whole_report(name, language):
    classifier, judged = ODD[name]()

    html = page(judged, classifier, language=language).html

    sound(html)
    assert not re.search(r">\s*(nan|inf)\s*<", html)


@pytest.mark.slow
def test_a_threshold_of_each_label_has_a_report_too():
    classifier = of_logits(n=2000)
    z, codes = drawn(n=2000, seed=5)
    p = classifier.calibrator(z)
    rule = ByLabel.fit(p[:1000], codes[:1000], reference=p[1000:], target_accuracy=0.7)
    from dataclasses import replace

    each = replace(classifier, rule=rule)
    test = drawn(n=300, seed=7)

    html = page(ew.evaluate(each, test[0], codes=test[1]), each).html

    sound(html)
    assert "As promised" not in html


@pytest.mark.slow
def test_many_labels_with_long_names_stay_small():
    k = 500
    labels = [f"{i} {'long name ' * 19}" for i in range(k)]
    classifier = of_logits(k=k, n=1500, tests=2000, labels=labels)

    html = report(classifier)

    sound(html)
    assert len(html.encode()) < 2_000_000


@pytest.mark.slow
def test_sizes_stay_within_what_is_promised(classifier):
    at_20 = report(of_logits(k=20, tests=3000))

    assert len(at_20.encode()) <= 400_000


@every_language
def test_a_comparison_is_a_whole_page(language):
    z, codes = drawn(n=400, seed=3)
    models = {name: of_logits(n=900 + 300 * i) for i, name in enumerate(("<b>first</b>", "second", "third"))}
    rows = {name: z + i * np.random.default_rng(i).normal(size=z.shape) for i, name in enumerate(models)}
    compared = ew.compare(*models.values(), names=tuple(models), texts=rows, codes=codes)

    html = comparison_page(compared, language=language).html

    outline = Outline(html)
    assert outline.open == []
    assert "b" not in {tag for tag, _ in outline.found}
    assert [found["id"] for found in outline.of("section")] == ["verdict", "equal", "changed"]
    assert f"{100 * compared.leaderboard[0].figure.value:.1f}" in html.replace(",", ".")


def test_a_comparison_shows_texts_only_if_they_are_given():
    texts = [f"my secret number is {i}" for i in range(40)]
    (a, _), (b, _) = by_heart(texts, ["a", "b"] * 20), by_heart(texts, ["a", "b"] * 20, threshold=0.99)
    compared = ew.compare(a, b, texts, ["a", "b"] * 20)

    assert compared.changed
    assert "my secret" not in comparison_page(compared).html
    assert comparison_page(compared, texts=texts, with_examples=3).html.count("my secret") == 3


def test_a_page_is_written_whole_and_shown_in_a_frame(classifier, tmp_path):
    made = page(classifier.provenance.judged, classifier)

    made.write(tmp_path / "report.html")

    assert (tmp_path / "report.html").read_text(encoding="utf-8") == made.html
    assert made._repr_html_().startswith('<iframe srcdoc="&lt;!DOCTYPE html&gt;')


def test_an_unknown_language_names_those_that_there_are(classifier):
    with pytest.raises(InputError, match=r"^unknown language 'de'; there are en, tr$"):
        report(classifier, language="de")


@pytest.mark.slow
@every_language
def test_a_lower_promise_is_told_in_bold_and_the_commands_and_rows_are_for_what_was_asked(language):
    classifier = of_logits(target_accuracy=0.99)

    made = collect(classifier, classifier.provenance.judged)
    html = report(classifier, language=language)

    assert classifier.certificate.is_lower
    assert f"<strong>{classifier.certificate.headline(language)}</strong>" in html
    assert made.plan.certificate.target_accuracy == 0.99
