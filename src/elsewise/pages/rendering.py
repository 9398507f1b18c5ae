"""Put words and data into the templates of a room, with the style and the script that all pages share."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any, Final

from elsewise.pages.words import NOTHING, Words
from elsewise.storage.json_files import finite

SHARED: Final = "pages"
STYLE: Final = "page.css"  # what every page begins with
SCRIPT: Final = "page.js"
UNSHOWN: Final = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")  # controls, and halves of surrogate pairs


@dataclass(frozen=True, slots=True)
class Kit:
    """Style and script of a room's pages.

    Attributes
    ----------
    room : str
        The room whose folder `assets` has the templates.
    style, script : str
        Written into the page; an empty script for a page without one.
    policy : str
        Content security policy, which names both by their hashes and forbids everything else.
    """

    room: str
    style: str
    script: str
    policy: str


@cache
def kit_of(room: str, *, style: Sequence[str] = (), script: Sequence[str] = (), rules: Sequence[str] = ()) -> Kit:
    """Join the files of a room to those that all pages share; `rules` are further rules of the policy."""
    look = "\n".join([asset(SHARED, STYLE), *(asset(room, file) for file in style)])
    code = "\n".join([asset(SHARED, SCRIPT), *(asset(room, file) for file in script)]) if script else ""
    allowed = ["default-src 'none'", f"style-src {_hash(look)}", "img-src data:", "base-uri 'none'"]
    allowed += ["form-action 'none'", *([f"script-src {_hash(code)}"] if code else []), *rules]
    return Kit(room, look, code, "; ".join(allowed))


def rendered(kit: Kit, template: str, words: Words, data: Mapping[str, Any] | None = None, **shown: Any) -> str:
    """Write a page from a template of the kit's room; the script reads `data`, and is left out without them."""
    from markupsafe import Markup  # noqa: PLC0415  with Jinja2

    told = None if data is None else Markup(_json(data))  # noqa: S704  escaped for a script
    style, script = Markup(kit.style), Markup(kit.script)  # noqa: S704  ours
    return _templates(kit.room).get_template(template).render(
        t=words, style=style, script=script, data=told, policy=kit.policy, version=version("elsewise"), **shown
    )  # fmt: skip


def spoken(words: Words, names: Sequence[str]) -> dict[str, str]:
    """Give what the script writes: the templates of these names, and the numbers of the language."""
    said = {name: words.templates[name] for name in ("infinite", "minus_infinite", *names)}
    said |= {name: words.form[name] for name in ("decimal", "thousands")} | {"none": NOTHING}
    return said | {"percent": words.form["percent"].replace(" ", "\u00a0")}


def asset(room: str, name: str) -> str:
    """Read a file that belongs to a room's pages."""
    return (files(f"elsewise.{room}") / "assets" / name).read_text(encoding="utf-8").strip()


def visible(value: Any) -> Any:
    r"""Replace what HTML cannot hold, control characters and halves of surrogate pairs, by a sign for it.

    Examples
    --------
    >>> visible("a\x00b\ud800"), visible(3)
    ('a�b�', 3)
    """
    if not isinstance(value, str) or value.isprintable():
        return value
    return type(value)(UNSHOWN.sub("\ufffd", value))


def _hash(words: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(words.encode()).digest()).decode()}'"


def _json(value: Any) -> str:
    """Write JSON that cannot end the script it stands in."""
    written = json.dumps(finite(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return written.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def _templates(room: str) -> Any:
    """Find templates in a room's assets, and then in the shared ones."""
    from jinja2 import ChoiceLoader, Environment, FunctionLoader, StrictUndefined  # noqa: PLC0415  0.05 s to import

    def of(place: str) -> Any:
        return FunctionLoader(lambda name: asset(place, name) if _has(place, name) else None)

    return Environment(
        loader=ChoiceLoader([of(room), of(SHARED)]), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=visible,
    )  # fmt: skip


def _has(room: str, name: str) -> bool:
    return (files(f"elsewise.{room}") / "assets" / name).is_file()
