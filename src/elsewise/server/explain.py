"""``POST /v1/explain``: why one text is decided as it is, and the words that pulled.

The text is answered again without each part of it, at most 64 times. These versions wait in the queue like the texts
of any client, in slices, so that others are answered in between. They are nobody's texts: the watch does not see them,
and none of them can be drawn for the audit file.
"""

import time
from dataclasses import replace
from typing import Final

import msgspec
import numpy as np

from elsewise.evaluation.explaining import Occluded, explained, occluded
from elsewise.server.asgi import JSON, Call, Reply, in_thread
from elsewise.server.batcher import Job
from elsewise.server.desk import Desk
from elsewise.server.problems import Problem
from elsewise.server.schemas import ExplainRequest, decoder
from elsewise.server.served import Served
from elsewise.server.strict_json import decode
from elsewise.storage.json_files import finite

REQUEST: Final = decoder(ExplainRequest)
MOST_CHARACTERS: Final = 10_000  # of a text that is explained: an engine that cuts nothing would read it 64 times


async def explain(desk: Desk, call: Call) -> Reply:
    """Explain one text."""
    if call.media_type != JSON:
        raise Problem("media_type", f"send content-type {JSON}")
    served, limits = desk.current(), desk.settings.limits
    desk.batcher.refuse_if_full()
    request = decode(await call.body(limits.body_bytes), REQUEST, limits.depth)
    most = min(MOST_CHARACTERS, limits.characters)
    if len(request.text) > most:
        raise Problem("text_long", f"a text that is explained may have {most:,} characters, got {len(request.text):,}")
    classifier = served.classifier
    asked = await in_thread(occluded, classifier, request.text)
    job = await _answered(desk, call, served, asked)
    p = np.empty((len(asked.texts), len(classifier.labels)))
    for decided, first, rows in job.parts:
        p[rows] = decided.evidence.probabilities[first : first + len(rows)]
    decided, place = next((d, first + rows.tolist().index(0)) for d, first, rows in job.parts if 0 in rows)
    own = decided.evidence.take(np.array([place]))
    made = explained(classifier, asked, own, p, language=request.language, top=request.top)
    call.noted |= {"texts": 1, "model": served.model}
    names = {"model": served.model, "certificate": served.certificate}
    return Reply(msgspec.json.encode(finite({**names, **made.as_dict()})))


async def _answered(desk: Desk, call: Call, served: Served, asked: Occluded) -> Job:
    """Have all versions of a text answered, by a copy of the model that is watched."""
    ready = await in_thread(served.prepare, list(asked.texts))
    client = str(call.noted.get("key") or (call.scope.get("client") or ("",))[0])
    deadline = time.monotonic() + desk.settings.limits.deadline_seconds
    job = Job(replace(served), ready, None, client, deadline, call.gone, desk.batcher.future())
    await desk.batcher.answer(job)
    return job
