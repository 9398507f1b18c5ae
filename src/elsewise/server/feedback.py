"""``POST /v1/feedback``: the true label of an answer that was given."""

from typing import Any, Final

import msgspec

from elsewise.arrays import ABSTAIN
from elsewise.server.asgi import Call, Reply
from elsewise.server.desk import Desk
from elsewise.server.problems import Problem
from elsewise.server.receipts import Receipt
from elsewise.server.schemas import FeedbackAnswer, FeedbackRequest, decoder
from elsewise.server.strict_json import decode

REQUEST: Final = decoder(FeedbackRequest)


async def feedback(desk: Desk, call: Call) -> Reply:
    """Note a true label.

    Only answers that were drawn at random for the audit file count for the alarm: people complain about wrong ones.
    """
    limits = desk.settings.limits
    request = decode(await call.body(limits.body_bytes), REQUEST, limits.depth)
    served = desk.current()
    classifier = served.classifier
    if request.label not in (*classifier.labels, classifier.other, classifier.out_of_scope_label):
        raise Problem("label_unknown", f"the model has no label {request.label[:100]!r}")
    receipt = desk.receipts.read(request.id)
    if receipt is None or receipt.model != served.model:
        raise Problem("receipt_unknown", "no answer of the model that is served now has this id")
    right = None if receipt.code == ABSTAIN else classifier.labels[receipt.code] == request.label
    counted = _count(desk, request.id, receipt, right)
    if desk.audit is not None:
        desk.audit.write("label", id=request.id, label=request.label)
    return Reply(msgspec.json.encode(FeedbackAnswer(request.id, right, counted)))


def _count(desk: Desk, receipt: str, what: Receipt, right: Any) -> bool:
    """Count a label, once for each answer; tell whether the alarm takes it in."""
    if not desk.receipts.judge(receipt):
        return False
    desk.measures.feedback.labels({True: "yes", False: "no", None: "abstained"}[right]).inc()
    if desk.watch is None or not what.audited or right is None:
        return False
    desk.watch.labelled(right=right)
    return True
