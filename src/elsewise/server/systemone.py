"""``POST /v1/systemone`` and ``GET /v1/models``: typed decisions, in the form that servers of decision models speak.

A `choice` among all labels of the model is answered with its calibrated probabilities. Beside them stand
``x_abstained`` and why. Other labels, and questions of other types, are refused: this model was certified for its own
labels alone.
"""

import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from elsewise.messages.wording import listed
from elsewise.server.asgi import JSON, Call, Reply
from elsewise.server.desk import Desk
from elsewise.server.problems import Problem
from elsewise.server.schemas import Answer, Options, SystemOneRequest, decoder
from elsewise.server.served import Served
from elsewise.server.strict_json import decode

REQUEST: Final = decoder(SystemOneRequest)
ALIASES: Final = ("jev-latest", "elsewise")  # names that clients send when they name none of their own
INVALID: Final = 422


async def systemone(desk: Desk, call: Call) -> Reply:
    """Answer questions about a state."""
    limits = desk.settings.limits
    try:
        request = decode(await call.body(limits.body_bytes), REQUEST, limits.depth)
        served = desk.current()
        _check(request, served)
        state = request.state if isinstance(request.state, str) else msgspec.json.encode(request.state).decode()
        served, (answer,) = await desk.decide(call, [state], Options(probabilities=True))
        answers = {name: _answer(answer, question, served) for name, question in request.questions.items()}
    except Problem as problem:
        call.noted["code"] = problem.code
        return _error(problem)
    usage = {"input_tokens": answer.tokens or 0, "output_tokens": 0}
    model = request.model or served.name
    body = {"model": model, "answers": answers, "usage": usage, "x_model": served.model, "x_receipt": answer.id}
    return Reply(msgspec.json.encode(body))


async def models(desk: Desk, call: Call) -> Reply:
    """List the one model, as clients of both lists read it."""
    del call
    served = desk.current()
    day = time.strftime("%Y-%m-%d", time.gmtime(desk.since))
    words = f"{len(served.classifier.labels):,} labels or {served.classifier.other}"
    listing = [{"id": served.name, "object": "model", "created": int(desk.since), "owned_by": "local"}]
    names = [{"name": served.name, "description": words, "release_date": day, "x_model": served.model}]
    return Reply(msgspec.json.encode({"object": "list", "data": listing, "models": names}))


def _check(request: SystemOneRequest, served: Served) -> None:
    """Raise Problem for what this model does not answer."""
    if request.model is not None and request.model not in (*ALIASES, served.name, served.model):
        raise Problem("request_invalid", f"the model here is {served.name!r}, got {request.model[:100]!r}")
    if request.assets:
        raise Problem("request_invalid", "this model reads text alone; leave assets out")
    for name, question in request.questions.items():
        shown = f"question {name[:50]!r}"
        if not isinstance(question, Mapping):
            raise Problem("request_invalid", f"{shown} must be an object")
        if (kind := question.get("type")) != "choice":
            raise Problem("question_unknown", f"{shown}: this model answers choice questions, got {str(kind)[:50]!r}")
        _check_choice(shown, question, served.classifier.labels)


def _check_choice(shown: str, question: Mapping[str, Any], labels: tuple[str, ...]) -> None:
    if more := question.keys() - {"type", "instructions", "criteria"}:
        raise Problem("request_invalid", f"{shown} has unknown fields: {listed(sorted(more))}")
    criteria = question.get("criteria")
    if not isinstance(criteria, Mapping) or not criteria:
        raise Problem("request_invalid", f"{shown} needs criteria: an object with an option a label")
    if strange := [option for option in criteria if option not in labels]:
        words = f"{shown}: the model has no label {listed(map(repr, strange))}; it has {listed(map(repr, labels))}"
        raise Problem("label_unknown", words)
    if lacking := [label for label in labels if label not in criteria]:
        words = f"{shown} must have all labels of the model as options, and lacks {listed(map(repr, lacking))}"
        raise Problem("label_unknown", words)


def _answer(answer: Answer, question: Mapping[str, Any], served: Served) -> dict[str, Any]:
    if isinstance(answer.problem, msgspec.Struct):
        raise Problem(answer.problem.code, answer.problem.detail)
    p: Any = answer.probabilities
    if any(value is None for value in p.values()):
        raise Problem("text_unreadable", "the state has nothing to read")
    even = 1 / len(p)
    return {
        "type": "choice",
        "choice": answer.best_label,
        "confidence": max(0.0, (float(answer.probability or 0) - even) / (1 - even)),
        "probabilities": {option: p[option] for option in question["criteria"]},
        "x_abstained": answer.abstained,
        "x_reason": answer.reason,
        "x_confidence": answer.confidence,
        "x_threshold": answer.threshold,
        "x_certificate": served.certificate,
    }


def _error(problem: Problem) -> Reply:
    """Give an error as clients of this form read it: a list of what is invalid, or a type and a message."""
    if problem.kind.status in (400, INVALID):
        detail: Any = [{"loc": ["body"], "msg": problem.detail, "type": problem.code}]
    else:
        detail = {"error_type": problem.code, "message": problem.detail}
    status = INVALID if problem.code == "json_invalid" else problem.kind.status
    return Reply(msgspec.json.encode({"detail": detail, "code": problem.code}), status, JSON, problem.headers)
