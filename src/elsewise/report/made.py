"""How a classifier was made, and the commands that repeat it: the last section of a report."""

from collections.abc import Iterator
from typing import Any

from elsewise.pages.words import Words
from elsewise.report.contents import Contents

TRAINED = ("encoder", "epochs", "learning_rate", "batch_size", "max_length", "precision", "seed")


def made_of(contents: Contents, words: Words) -> list[tuple[str, str]]:
    """List how the classifier was made: names of `made_...` templates, and values."""
    return [(name, str(value)) for name, value in _made(contents, words) if value not in (None, "")]


def _made(contents: Contents, words: Words) -> Iterator[tuple[str, Any]]:
    record, classifier = contents.record, contents.classifier
    training = record.get("training", {})
    yield "encoder", training.get("encoder")
    yield "training", ", ".join(f"{name} {training[name]}" for name in TRAINED[1:] if training.get(name) is not None)
    splits = record.get("splits", {})
    yield "splits", ", ".join(f"{name} {words.count(n)}" for name, n in splits.items())
    dropped = {name: n for name, n in record.get("dropped", {}).items() if n}
    yield "dropped", ", ".join(f"{name} {words.count(n)}" for name, n in dropped.items())
    yield "calibrator", record.get("calibrator", {}).get("chosen") or type(classifier.calibrator).__name__
    yield "score", record.get("score", {}).get("chosen") or type(classifier.rule.score).__name__
    yield "rule", type(classifier.rule).__name__
    yield "engine", contents.engine
    yield "fingerprint", classifier.engine.fingerprint
    yield "data", _hash_of(contents)
    yield "versions", ", ".join(f"{name} {found}" for name, found in record.get("versions", {}).items())


def _hash_of(contents: Contents) -> str:
    """Hash the salted hashes of the texts of each split: the same rows of the same run have the same hash."""
    from hashlib import sha256  # noqa: PLC0415

    arrays = contents.classifier.provenance.arrays
    parts = [name for name in sorted(arrays) if name.startswith("split.") and name != "split.salt"]
    return ", ".join(f"{name[6:]} {sha256(arrays[name].tobytes()).hexdigest()[:16]}" for name in parts)


def commands_of(contents: Contents) -> list[str]:
    """List the commands that make the classifier and its report again."""
    training, certificate = contents.record.get("training", {}), contents.classifier.certificate
    lines = []
    if "encoder" in training:
        promise = ""
        if certificate is not None:
            promise = f" --target-accuracy {certificate.asked_for:g}"
            promise += f" --confidence-level {certificate.confidence_level:g}"
            promise += " --strict" if (contents.classifier.rule.asked or {}).get("strict") else ""
        lines.append(f"elsewise fit DATA -o {contents.model} --seed {training['seed']}{promise}")
    if contents.of_logits:
        return [*lines, f"elsewise evaluate {contents.model} LOGITS --labels LABELS --report report.html"]
    return [
        *lines,
        f"elsewise evaluate {contents.model} DATA --report report.html",
        f"elsewise explain {contents.model} TEXT",
        f"elsewise threshold {contents.model}",
    ]
