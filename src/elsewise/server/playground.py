"""The page at the root, for trying the model, and what it asks to be told of the model.

The page itself says nothing of the model, so that it needs no API key: its script asks this server, with the key that
the user gives. The policy lets it ask nobody else.
"""

from functools import cache
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
import numpy as np

from elsewise.classifier.packing import NAMES
from elsewise.messages import PLAYGROUND_MESSAGES
from elsewise.pages.rendering import kit_of, rendered, spoken
from elsewise.pages.words import Words
from elsewise.server.asgi import Call, Reply
from elsewise.server.desk import Desk
from elsewise.server.explain import MOST_CHARACTERS
from elsewise.server.pages import HTML
from elsewise.storage.json_files import finite

RULES: Final = ("connect-src 'self'", "require-trusted-types-for 'script'", "trusted-types 'none'")
SHARES: Final = (
    "maximum_probability",
    "margin",
    "familiarity",
)  # scores within 0..1, as thresholds of requests are
ROWS: Final = 1_000  # of a file: the page is for trying; `elsewise predict` is for files
OTHERS: Final = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}


async def playground(desk: Desk, call: Call) -> Reply:
    """Give the page, in the language of the query, else in the first that the browser prefers."""
    del desk
    query = dict(parse_qsl(call.scope.get("query_string", b"").decode("latin-1")))
    language = query.get("language", "")
    if language not in PLAYGROUND_MESSAGES:
        language = preferred(call.header(b"accept-language"))
    page, policy = _page(language)
    headers = {"Content-Security-Policy": f"{policy}; frame-ancestors 'none'", "Vary": "Accept-Language", **OTHERS}
    return Reply(page, media_type=HTML, headers=headers)


async def model(desk: Desk, call: Call) -> Reply:
    """Describe the served model: its labels, how it decides, and how much may be asked at once."""
    del call
    served, limits = desk.current(), desk.settings.limits
    classifier = served.classifier
    threshold = np.asarray(classifier.rule.threshold)
    body: dict[str, Any] = {
        "model": served.model,
        "name": served.name,
        "certificate": served.certificate,
        "engine": classifier.engine.name,
        "labels": list(classifier.labels),
        "other": classifier.other,
        "score": NAMES[type(classifier.rule.score)],
        "threshold": None if threshold.ndim else float(threshold),
        "thresholds": dict(zip(classifier.labels, threshold.tolist(), strict=True)) if threshold.ndim else None,
        "limits": {
            "texts": limits.texts,
            "characters": limits.characters,
            "explained_characters": min(MOST_CHARACTERS, limits.characters),
            "body_bytes": limits.body_bytes,
        },
    }
    return Reply(msgspec.json.encode(finite(body)))


def preferred(header: str) -> str:
    """Choose the first language of a header Accept-Language that there are words for; English for none.

    Examples
    --------
    >>> preferred("de-DE,tr;q=0.8,en;q=0.5"), preferred("en-GB,tr"), preferred("")
    ('tr', 'en', 'en')
    """
    asked = (part.partition(";")[0].strip().partition("-")[0].lower() for part in header.split(","))
    return next((name for name in asked if name in PLAYGROUND_MESSAGES), "en")


@cache
def _page(language: str) -> tuple[bytes, str]:
    """Write the page in a language, with its policy."""
    kit = kit_of("server", style=("playground.css",), script=("table.js", "playground.js"), rules=RULES)
    words = Words.of(language, PLAYGROUND_MESSAGES)
    data = {"words": spoken(words, tuple(words.templates)), "shares": SHARES, "rows": ROWS}
    others = [name for name in PLAYGROUND_MESSAGES if name != language]
    links = [(name, PLAYGROUND_MESSAGES[name]["language"]) for name in others]
    page = rendered(kit, "playground.html", words, data, title=words("page_title"), links=links, rows=ROWS)
    return page.encode(), kit.policy
