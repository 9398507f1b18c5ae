"""Pages: a policy that names what is in the page and nothing else, and data that cannot leave their script."""

import base64
import hashlib
import json
import re

import pytest

from elsewise.messages import PLAYGROUND_MESSAGES, REPORT_MESSAGES
from elsewise.pages.rendering import kit_of, rendered, spoken
from elsewise.pages.words import Words

KITS = {
    "report": {"style": ("report.css",), "script": ("report.js",)},
    "server": {"style": ("playground.css",), "script": ("table.js", "playground.js"), "rules": ("connect-src 'self'",)},
}


def written(data):
    """The page of the playground, with these data in place of its own."""
    words = Words.of("en", PLAYGROUND_MESSAGES)
    return rendered(kit_of("server", **KITS["server"]), "playground.html", words, data, title="<t>", links=[], rows=1)


@pytest.mark.parametrize("room", KITS)
def test_the_policy_names_the_style_and_the_script_by_their_hashes(room):
    kit = kit_of(room, **KITS[room])

    rules = dict(rule.split(" ", 1) for rule in kit.policy.split("; "))
    for kind, text in (("style-src", kit.style), ("script-src", kit.script)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[kind] == f"'sha256-{digest}'"
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules.get("connect-src") == ("'self'" if room == "server" else None)
    assert "unsafe" not in kit.policy


def test_what_the_policy_names_is_what_stands_in_the_page():
    kit, page = kit_of("server", **KITS["server"]), written({"words": {}})

    assert re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1] == kit.style
    assert re.findall(r"<script>(.*?)</script>", page, re.DOTALL) == [kit.script]
    assert "<title>&lt;t&gt;</title>" in page


def test_a_page_without_a_script_allows_none():
    assert "script-src" not in kit_of("report", style=("report.css",)).policy


def test_the_pages_of_both_rooms_begin_with_the_same_style_and_script():
    report, server = (kit_of(room, **how) for room, how in KITS.items())

    for one, other, own in (
        (report.style, server.style, ".chart"),
        (report.script, server.script, "(() => {\nconst {"),
    ):
        shared = one[: one.index(own)]
        assert len(shared) > 1500
        assert other.startswith(shared)


def test_data_cannot_end_the_script_they_stand_in():
    hostile = {"a": "</script><script>alert(1)</script><!--", "b": [float("inf"), float("nan")], "c": "&amp;\u2028"}

    page = written(hostile)

    told = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1]
    assert json.loads(told) == {**hostile, "b": ["inf", None]}
    assert page.count("<script") == page.count("</script>") == 2


@pytest.mark.parametrize(("language", "percent"), [("en", "{number}\u00a0%"), ("tr", "%{number}")])
def test_a_script_is_told_the_numbers_of_its_language(language, percent):
    said = spoken(Words.of(language, REPORT_MESSAGES), ("of",))

    assert said["percent"] == percent
    assert (said["decimal"], said["thousands"]) == {"en": (".", ","), "tr": (",", ".")}[language]
    assert said["of"] == REPORT_MESSAGES[language]["of"]
