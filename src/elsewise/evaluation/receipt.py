"""Receipts: JSON that shows later that the same model gave the same text the same answer, without the text itself.

    receipt = explain(classifier, text).receipt                       # JSON
    confirmation = confirm(receipt, receipt_of(classifier, text))     # .confirmed, .difference

A receipt names the model by the fingerprint of its engine (files, settings, labels). Its decision version is a hash of
the calibrator and the rule with its threshold and certificate: a new threshold is a new version of the same model. The
text is stored as its SHA-256; a short text can be found from that by trying.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np

from elsewise.classifier.classifier import Classifier
from elsewise.classifier.load import CANARY_TOLERANCE
from elsewise.classifier.packing import pack
from elsewise.errors import ArtifactError
from elsewise.messages import messages
from elsewise.messages.wording import localised
from elsewise.rules.decisions import Decisions
from elsewise.storage.json_files import Json, finite, read_json

FORMAT: Final = 1
SHAPE: Final[Mapping[str, type | tuple[type, ...]]] = {
    "model": dict,
    "decision_version": str,
    "text_sha256": str,
    "answer": dict,
    "certificate": (dict, type(None)),
}
PROMISE: Final = ("sentence", "certified", "threshold", "looks")
MODEL: Final = ("engine", "precision", "fingerprint")
ANSWER: Final = ("label", "abstained", "reason", "best_label", "probability", "confidence", "threshold")


def receipt_of(classifier: Classifier, text: str, decisions: Decisions | None = None) -> Json:
    """Make the receipt for a text, from the first of `decisions` if given."""
    made = classifier.decide([text]) if decisions is None else decisions
    explained = made.explain(0)
    certificate, engine = classifier.certificate, classifier.engine
    receipt = {
        "receipt": FORMAT,
        "elsewise": version("elsewise"),
        "model": dict(zip(MODEL, (engine.name, engine.settings.get("precision"), engine.fingerprint), strict=True)),
        "decision_version": decision_version(classifier),
        "certificate": certificate and {name: getattr(certificate, name) for name in PROMISE},
        "text_sha256": hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
        "answer": {
            "label": explained.label,
            "abstained": explained.abstained,
            "reason": explained.reason,
            "best_label": made.name(int(made.best[0])),
            "probability": float(made.best_probability[0]),
            "confidence": explained.confidence,
            "threshold": explained.threshold,
        },
    }
    return finite(receipt)


def decision_version(classifier: Classifier) -> str:
    """Hash all that decides with an engine: the calibrator, the rule, what explains, and the word for Other.

    Examples
    --------
    >>> from elsewise import FixedThreshold, Identity
    >>> from elsewise.engines.memory import MemoryEngine
    >>> engine = MemoryEngine(("yes", "no"), {})
    >>> low, high = (decision_version(Classifier(engine, Identity(), FixedThreshold(at))) for at in (0.5, 0.6))
    >>> low == high
    False
    """
    arrays: dict[str, Any] = {}
    given = {name: getattr(classifier, name) for name in ("calibrator", "rule", "familiarity", "sets")}
    parts = {name: part and pack(part, arrays, name) for name, part in given.items()}
    written = json.dumps(finite([classifier.other, parts]), sort_keys=True)
    # A threshold of 1 is saved and read as 1.0: one spelling for both.
    hashed = hashlib.sha256(json.dumps(json.loads(written, parse_int=float), sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        hashed.update(repr((name, array.dtype.str, array.shape)).encode() + np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest()[:16]


def read_receipt(path: Path) -> Json:
    """Read a receipt, or the output of `elsewise explain --json`, which contains a receipt.

    ArtifactError if the file cannot be read or has no receipt, or the receipt is damaged or too new.
    """
    value = read_json(path)
    inside = value.get("receipt")
    receipt = inside if isinstance(inside, dict) else value
    written = receipt.get("receipt")
    if not isinstance(written, int):
        raise ArtifactError(f"{path} holds no receipt; write one: elsewise explain MODEL TEXT --receipt-out FILE")
    if written > FORMAT:
        newer = f"receipt format {written} is newer than this version reads ({FORMAT})"
        raise ArtifactError(f"{path}: {newer}; run: pip install --upgrade elsewise")
    wrong = [name for name, kind in SHAPE.items() if not isinstance(receipt.get(name, 0), kind)]
    wrong += [] if "model" in wrong else [f"model.{name}" for name in MODEL if not _is_word(receipt["model"], name)]
    wrong += [] if "answer" in wrong else [f"answer.{name}" for name in ANSWER if name not in receipt["answer"]]
    if wrong:
        what = f"{wrong[0]} is missing or has the wrong type"
        raise ArtifactError(f"{path} holds a damaged receipt: {what}; use an unchanged copy of the file")
    return receipt


def _is_word(part: Json, name: str) -> bool:
    return isinstance(part.get(name, 0), str | None)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a receipt and a new answer have in common.

    Attributes
    ----------
    text, model, decision_version, certificate : bool
        Whether they are the same.
    answer : {"identical", "close", "different"}
        Close: the same answer, and a probability that differs by no more than between processors.
    difference : str
        The first thing that differs, in words; empty when the receipt is confirmed.
    """

    text: bool
    model: bool
    decision_version: bool
    certificate: bool
    answer: str
    difference: str

    @property
    def confirmed(self) -> bool:
        """Whether the same model gave the same answer to the same text."""
        return not self.difference


def confirm(receipt: Json, now: Json, language: str = "en") -> Confirmation:
    """Compare a receipt with a new receipt for the same text, and say the difference in a language.

    Examples
    --------
    >>> from elsewise import FixedThreshold, Identity
    >>> from elsewise.engines.memory import MemoryEngine
    >>> classifier = Classifier(MemoryEngine(("yes", "no"), {"sure": [4.0, 0.0]}), Identity(), FixedThreshold(0.6))
    >>> receipt = receipt_of(classifier, "sure")
    >>> confirm(receipt, receipt_of(classifier, "sure")).confirmed
    True
    >>> confirm(receipt, receipt_of(classifier, "Sure")).difference[:35]
    'the text is not that of the receipt'
    """
    same = {name: receipt[name] == now[name] for name in ("text_sha256", "model", "decision_version", "certificate")}
    answer = _compared(receipt["answer"], now["answer"], now["model"]["precision"])
    differing = next((name for name, is_same in same.items() if not is_same), None)
    if differing is None and answer == "different":
        differing = "answer"
    words = ""
    if differing is not None:
        said = messages(language)
        there, here = (_brief(one, differing, said) for one in (receipt, now))
        words = said[f"explain_differs_{differing}"].format(there=there, here=here)
    return Confirmation(
        text=same["text_sha256"],
        model=same["model"],
        decision_version=same["decision_version"],
        certificate=same["certificate"],
        answer=answer,
        difference=words,
    )


def _brief(receipt: Json, name: str, words: Mapping[str, str]) -> str:
    value = receipt[name]
    if name == "model":
        return " ".join(str(value[part]) for part in MODEL if value[part] is not None)
    if name == "answer":
        p = value["probability"]  # null for an unreadable text
        probability = localised(str(p), words) if isinstance(p, float) else str(p)
        reason = words[f"explain_reason_{value['reason']}"]
        return words["explain_answer"].format(label=value["label"], reason=reason, probability=probability)
    return json.dumps(value, ensure_ascii=False) if name == "certificate" else str(value)


def _compared(was: Json, now: Json, precision: str | None) -> str:
    if was == now:
        return "identical"
    numbers = (was["probability"], now["probability"])
    tolerance = CANARY_TOLERANCE[precision or "f32"]
    is_near = all(isinstance(p, float) for p in numbers) and abs(numbers[0] - numbers[1]) <= tolerance
    return "close" if is_near and all(was[name] == now[name] for name in ANSWER[:4]) else "different"
