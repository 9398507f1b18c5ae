"""The OpenAPI document, made from the types of requests and answers, and a page of it that needs no other site."""

import html
import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import Any, Final

import msgspec

from elsewise.server import schemas
from elsewise.server.asgi import JSON, NDJSON, Call, Reply
from elsewise.server.desk import Desk
from elsewise.server.pages import HTML, SAFE
from elsewise.server.problems import KINDS, MEDIA_TYPE

REF: Final = "#/components/schemas/{name}"
TYPES: Final = (
    schemas.DecideRequest, schemas.DecideAnswer, schemas.TeiRequest, schemas.TeiScore, schemas.TeiError,
    schemas.SystemOneRequest, schemas.FeedbackRequest, schemas.FeedbackAnswer, schemas.ProblemBody, schemas.Options,
)  # fmt: skip
ANYTHING: Final = {"type": "object"}
REFUSED: Final = (400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 431, 500, 503)


async def openapi(desk: Desk, call: Call) -> Reply:
    """Give the OpenAPI document."""
    del call
    return Reply(json.dumps(document(bool(desk.settings.keys), desk.settings.limits.texts)).encode())


async def docs(desk: Desk, call: Call) -> Reply:
    """Give the page of the document."""
    del call
    return Reply(
        page(document(bool(desk.settings.keys), desk.settings.limits.texts)).encode(), media_type=HTML, headers=SAFE
    )


@cache
def document(has_keys: bool, most_texts: int) -> dict[str, Any]:
    """Make the OpenAPI 3.1 document."""
    _, components = msgspec.json.schema_components(TYPES, ref_template=REF)
    # What types do not say: either or, and a number of texts that is set when the server starts.
    components["DecideRequest"]["oneOf"] = [{"required": ["text"]}, {"required": ["texts"]}]
    components["DecideRequest"]["properties"]["texts"]["maxItems"] = most_texts
    components["TeiRequest"]["properties"]["raw_scores"]["const"] = False
    problem = {MEDIA_TYPE: {"schema": _ref("ProblemBody")}}
    paths = {
        path: {method: _operation(problem, **what) for method, what in methods.items()}
        for path, methods in PATHS.items()
    }
    made: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Elsewise", "version": version("elsewise"), "description": ABOUT},
        "paths": paths,
        "components": {"schemas": components},
    }
    if has_keys:
        made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"key": []}]
    return made


def _operation(
    problem: Any,
    *,
    summary: str,
    answer: Any,
    body: Any = None,
    error: Any = None,
    parameters: Any = (),
) -> dict[str, Any]:
    responses = {"200": {"description": "Answered.", "content": answer}}
    content = error or problem
    for status in REFUSED:
        codes = [code for code, kind in KINDS.items() if kind.status == status]
        kinds = {**problem, **content}
        responses[str(status)] = {"description": f"Refused: {', '.join(codes)}.", "content": kinds}
    made: dict[str, Any] = {"summary": summary, "responses": responses}
    if body is not None:
        made["requestBody"] = {"required": True, "content": body}
    return made | ({"parameters": list(parameters)} if parameters else {})


def _ref(name: str) -> dict[str, str]:
    return {"$ref": REF.format(name=name)}


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {JSON: {"schema": schema}}


LINE: Final = {"type": "string", "description": "A JSON string, or an object with text and perhaps key, a line."}
LINES: Final = {"type": "string", "description": "A line for each line: an answer, with line, key, model, certificate."}
TEXTS: Final = {"text/html; charset=utf-8": {"schema": {"type": "string"}}}
PATHS: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "/v1/decide": {
        "post": {
            "summary": "Decide on texts: a label, or Other with the reason. For lines, the options are the query.",
            "body": {JSON: {"schema": _ref("DecideRequest")}, NDJSON: {"schema": LINE}},
            "answer": {JSON: {"schema": _ref("DecideAnswer")}, NDJSON: {"schema": LINES}},
        }
    },
    "/predict": {
        "post": {
            "summary": "The form of text-embeddings-inference, with calibrated probabilities.",
            "body": _json(_ref("TeiRequest")),
            "answer": _json(
                {
                    "anyOf": [
                        {"type": "array", "items": _ref("TeiScore")},
                        {"type": "array", "items": {"type": "array", "items": _ref("TeiScore")}},
                    ]
                }
            ),
            "error": _json(_ref("TeiError")),
        }
    },
    "/v1/systemone": {
        "post": {
            "summary": "Typed decisions: a choice among all labels of the model.",
            "body": _json(_ref("SystemOneRequest")),
            "answer": _json(ANYTHING),
            "error": _json(ANYTHING),
        }
    },
    "/v1/models": {"get": {"summary": "The served model.", "answer": _json(ANYTHING)}},
    "/v1/feedback": {
        "post": {
            "summary": "The true label of an answer, by its id.",
            "body": _json(_ref("FeedbackRequest")),
            "answer": _json(_ref("FeedbackAnswer")),
        }
    },
    "/v1/certificate": {
        "get": {"summary": "The promise, and whether the last answers keep it.", "answer": _json(ANYTHING)}
    },
    "/health/live": {"get": {"summary": "The process answers.", "answer": _json(ANYTHING)}},
    "/health/ready": {"get": {"summary": "Texts are answered.", "answer": _json(ANYTHING)}},
    "/metrics": {
        "get": {"summary": "Measures for Prometheus.", "answer": {"text/plain": {"schema": {"type": "string"}}}}
    },
    "/openapi.json": {"get": {"summary": "This document.", "answer": _json(ANYTHING)}},
    "/docs": {"get": {"summary": "This document as a page.", "answer": TEXTS}},
    "/": {"get": {"summary": "A page about the model.", "answer": TEXTS}},
}
ABOUT: Final = "Text in, a label you can trust out, or else Other."


def page(made: Mapping[str, Any]) -> str:
    """Write the document as a page: paths, then the types that they name."""
    parts = [f"<h1>{made['info']['title']}</h1><p>{made['info']['description']}</p>"]
    for path, methods in made["paths"].items():
        for method, operation in methods.items():
            named = [one["$ref"].rpartition("/")[2] for one in _refs(operation.get("requestBody", {}))]
            links = " ".join(f'<a href="#{name}">{name}</a>' for name in named)
            parts.append(f"<h2><code>{method.upper()} {path}</code></h2>")
            parts.append(f"<p>{html.escape(operation['summary'])} {links}</p>")
    for name, schema in made["components"]["schemas"].items():
        shown = html.escape(json.dumps(schema, indent=2))
        parts.append(f'<h2 id="{name}">{name}</h2><pre>{shown}</pre>')
    codes = "".join(f"<tr><td><code>{code}</code><td>{kind.status}<td>{kind.title}" for code, kind in KINDS.items())
    parts.append(f"<h2>Codes of problems</h2><table>{codes}</table>")
    return HEAD + "\n".join(parts) + "</html>\n"


def _refs(value: Any) -> list[Mapping[str, str]]:
    if isinstance(value, Mapping):
        return [value] if "$ref" in value else [ref for item in value.values() for ref in _refs(item)]
    return []


HEAD: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Elsewise</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}
pre{overflow:auto;padding:.6rem;border:1px solid #8886}td{padding:.1rem .8rem .1rem 0}h2{margin-top:2rem}</style>
"""
