"""``POST /predict``: the form of text-embeddings-inference, so that its clients switch by address.

The scores are calibrated probabilities. A pair of texts and raw scores are refused, since this model has neither.
"""

from typing import Any, Final

import msgspec

from elsewise.server.asgi import Call, Reply
from elsewise.server.desk import Desk
from elsewise.server.problems import Problem
from elsewise.server.schemas import Answer, Options, TeiError, TeiRequest, TeiScore, decoder
from elsewise.server.strict_json import decode

REQUEST: Final = decoder(TeiRequest)
TYPES: Final = {"queue_full": "Overloaded", "deadline": "Overloaded", "not_ready": "Unhealthy", "draining": "Unhealthy"}


async def predict(desk: Desk, call: Call) -> Reply:
    """Answer one text, or a batch, with all labels, the most probable first."""
    limits = desk.settings.limits
    try:
        request = decode(await call.body(limits.body_bytes), REQUEST, limits.depth)
        texts, is_batch = _texts(request, limits.texts)
        options = Options(top=10_000, truncation="flag" if request.truncate else "strict")
        _, answers = await desk.decide(call, texts, options)
        scores = [_scores(answer) for answer in answers]
    except Problem as problem:
        call.noted["code"] = problem.code
        kind = TYPES.get(problem.code, "Validation")
        body = msgspec.json.encode(TeiError(problem.detail, kind))
        return Reply(body, problem.kind.status, headers=problem.headers)
    return Reply(msgspec.json.encode(scores if is_batch else scores[0]))


def _texts(request: TeiRequest, most: int) -> tuple[list[str], bool]:
    inputs: Any = request.inputs
    is_batch = isinstance(inputs, list) and bool(inputs) and isinstance(inputs[0], list)
    if is_batch and not all(isinstance(one, list) for one in inputs):
        raise Problem("request_invalid", "inputs mix strings and lists; send each text of a batch in a list of its own")
    if request.raw_scores:
        raise Problem("request_invalid", "raw_scores are not given; leave raw_scores out for calibrated probabilities")
    texts = [inputs] if isinstance(inputs, str) else inputs
    groups = texts if is_batch else [texts]
    if any(not isinstance(one, str) for group in groups for one in group):
        raise Problem("request_invalid", "inputs lie too deep; send a text, or a batch of lists of one text each")
    if any(len(group) != 1 for group in groups):
        words = 'inputs must be "a text" or a batch [["a text"], ["another"]]; pairs are not read'
        raise Problem("request_invalid", words)
    if len(groups) > most:
        raise Problem("texts_many", f"batch size {len(groups):,} > maximum allowed batch size {most:,}")
    return [group[0] for group in groups], is_batch


def _scores(answer: Answer) -> list[TeiScore]:
    if isinstance(answer.problem, msgspec.Struct):
        raise Problem(answer.problem.code, answer.problem.detail)
    if not isinstance(answer.top, list) or not answer.top:
        raise Problem("text_unreadable", "a text of the inputs has nothing to read")
    return [TeiScore(float(one.probability or 0.0), one.label) for one in answer.top]
