"""The history of a folder's thresholds: a list that only grows, in elsewise.json."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from elsewise.classifier.packing import NAMES, pack, unpack
from elsewise.errors import InputError
from elsewise.rules import Rule, among_looks, asked_record
from elsewise.scores import Score
from elsewise.storage.json_files import Json, finite

What = Literal["changed", "undone", "exported"]
Entry = Json

OF_THE_RULE = (
    "system", "labels", "slices", "out_of_scope", "out_of_scope_shares", "certificate", "baseline", "strangers",
    "verdict",
)  # fmt: skip


def recorded(
    what: What, engine: str, rule: Rule, *, looks: int, note: str = "", before: Rule | None = None
) -> dict[str, Any]:
    """Describe one change (JSON): whose rule was changed, the new rule, and the rule that it replaced.

    Parameters
    ----------
    what : {"changed", "undone", "exported"}
        What was done.
    engine : str
        Name and precision, as in "openvino-int8".
    rule, before : Rule
        The new rule, and the rule that can be put back, if there is one.
    looks : int
        How many certifications had been made on the certify rows before.
    note : str
        The user's reason.

    Examples
    --------
    >>> from elsewise import FixedThreshold
    >>> entry = recorded("changed", "logits", FixedThreshold(0.6), looks=1, before=FixedThreshold(0.5))
    >>> entry["asked"], entry["looks"], restored(entry["before"], FixedThreshold(0.6).score).threshold
    ({'rule': 'fixed', 'threshold': 0.6, 'unfamiliar': 0.0, 'floor': 0.0, 'ambiguity_margin': 0.0}, 1, 0.5)
    """
    certificate = rule.certificate
    entry = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "what": what,
        "engine": engine,
        "asked": {"rule": NAMES[type(rule)], **(asked_record(rule) or {})},
        "note": note,
        "threshold": np.asarray(rule.threshold).tolist(),
        "certificate": None if certificate is None else certificate.as_dict(),
        "looks": looks if certificate is None else max(looks, certificate.looks),
    }
    if before is not None:  # only the fingerprint of its score, which may be large and does not change
        entry["before"] = {**pack(before, {}, "rule"), "score": fingerprint_of(before.score)}
    return entry


def to_undo(history: Sequence[Entry], engine: str) -> Entry | None:
    """Find the last change of an engine's threshold that was not undone; None where there is none."""
    changes: list[Entry] = []
    for entry in history:
        if entry["engine"] != engine:
            continue
        if entry["what"] == "changed":
            changes.append(entry)
        elif entry["what"] == "undone":
            changes.pop()
        else:  # the earlier threshold was certified on an engine that gives different answers
            changes.clear()
    return changes[-1] if changes else None


def is_looked_at(history: Sequence[Entry], engine: str, band: Json) -> bool:
    """Tell whether thresholds of this accuracy band were chosen before: a further one is the same look.

    `band` is what `elsewise.rules.asked_record` tells of the new rule. Another confidence level, other gates or an
    engine exported since make another band.

    Examples
    --------
    >>> asked = {"rule": "accuracy_band", "threshold": 0.8, "floor": 0.5}
    >>> entry = {"engine": "logits", "what": "changed", "asked": asked}
    >>> [is_looked_at([entry], "logits", {"threshold": 0.6, "floor": floor}) for floor in (0.5, 0.0)]
    [True, False]
    """
    own: list[Entry] = []
    for entry in history:
        if entry["engine"] == engine:
            own = [] if entry["what"] == "exported" else [*own, entry]
    wanted = {**band, "rule": "accuracy_band", "threshold": None}
    return any({**entry["asked"], "threshold": None} == wanted for entry in own if entry["what"] == "changed")


def restored(kept: Json, score: Score) -> Rule:
    """Make an earlier rule again, with the present score; InputError if the score was changed since."""
    if kept["score"] != fingerprint_of(score):
        raise InputError("the score was changed after this threshold was set, so it cannot be restored")
    arrays: dict[str, Any] = {}
    return unpack({**kept, "score": pack(score, arrays, "score")}, arrays, Path("elsewise.json"))


def fingerprint_of(part: Any) -> str:
    """Hash a fitted part with its arrays: equal parts have equal hashes.

    Examples
    --------
    >>> from elsewise import FixedThreshold
    >>> [fingerprint_of(FixedThreshold(0.5)) == fingerprint_of(FixedThreshold(at)) for at in (0.5, 0.6)]
    [True, False]
    """
    arrays: dict[str, Any] = {}
    packed = json.dumps(finite(pack(part, arrays, "part")), sort_keys=True)
    hashed = hashlib.sha256(packed.encode())
    for array in arrays.values():
        hashed.update(np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest()[:16]


def marked(report: str, *, outdated: bool) -> str:
    """Show the notice of a page report.html that it is outdated, or hide it.

    Examples
    --------
    >>> marked('<p id="outdated" hidden>', outdated=True), marked('<p id="outdated">', outdated=False)
    ('<p id="outdated">', '<p id="outdated" hidden>')
    """
    hidden, shown = 'id="outdated" hidden>', 'id="outdated">'
    return report.replace(hidden, shown, 1) if outdated else report.replace(shown, hidden, 1)


def set_apart(evaluation: Json, fingerprint: str, before: Rule, rule: Rule, when: str) -> Json:
    """Move what an evaluation says of a replaced rule to `outdated`.

    Figures of the most probable labels stay. When the evaluated rule comes back, whatever the looks since, all figures
    are put back. An evaluation of an engine other than `fingerprint`, whose rule is changed at `when`, stays as it is.
    """
    if evaluation["engine"]["fingerprint"] != fingerprint:
        return evaluation
    judged = {name: evaluation[name] for name in OF_THE_RULE if name in evaluation}
    apart = evaluation.get("outdated") or {"rule": fingerprint_of(among_looks(before, 1)), **judged}
    kept = {name: value for name, value in evaluation.items() if name not in (*OF_THE_RULE, "outdated")}
    if apart["rule"] == fingerprint_of(among_looks(rule, 1)):
        back = {name: value for name, value in apart.items() if name in OF_THE_RULE}
        told = {} if rule.certificate is None else {"certificate": rule.certificate.as_dict()}
        return {**kept, **back, **told}
    words = f"measured before the threshold was changed on {when[:10]}; run elsewise evaluate MODEL DATA"
    return {**kept, "outdated": {**apart, "words": words}}
