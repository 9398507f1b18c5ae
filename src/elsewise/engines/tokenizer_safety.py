"""Check that a tokenizer cannot make much of a short text; what its parts are, its library checks."""

import base64
import json
from collections.abc import Iterator
from typing import Any, Final

from elsewise.errors import InputError
from elsewise.storage.json_files import Json

MOST_STEPS: Final = 32
MOST_GROWTH: Final = 256.0  # times as many characters as the text has
MOST_SPECIAL: Final = 64  # tokens that are put around a text
LONGEST_WORD: Final = 256  # characters; the work grows with the square
LONGEST_PIECE: Final = 64  # bytes that one character may become
GROWTH: Final = {"ByteLevel": 2.0, "Precompiled": 16.0}


def check_steps(backend: Any) -> None:
    """Raise InputError for a `tokenizers.Tokenizer` whose steps are too many, or lengthen a text too much."""
    if getattr(backend.model, "max_input_chars_per_word", 0) > LONGEST_WORD:
        raise InputError(f"its max_input_chars_per_word is above {LONGEST_WORD}")
    parts = (backend.normalizer, backend.pre_tokenizer, backend.post_processor)
    steps = [step for part in parts if part for step in _steps(json.loads(part.__getstate__()))]
    if len(steps) > MOST_STEPS:
        raise InputError(f"it has {len(steps):,} steps, and at most {MOST_STEPS} are run")
    growth = 1.0
    for step in steps:
        growth *= _growth(step)
    if growth > MOST_GROWTH:
        raise InputError("its normalizer can make a text too long")


def _steps(part: Json) -> Iterator[Json]:
    inner = [step for name in ("normalizers", "pretokenizers", "processors") for step in part.get(name, ())]
    for step in inner:
        yield from _steps(step)
    if not inner:
        yield part


def _growth(step: Json) -> float:
    """Give the factor by which a step can lengthen a text, infinity where it must not be run."""
    kind = step["type"]
    if kind == "Replace":  # a regular expression may match between any two characters
        pattern, made = step["pattern"], len(step["content"])
        return max(1.0, made / (len(pattern["String"]) or 1e-9)) if "String" in pattern else 1.0 + made
    if kind == "Prepend":
        return float(len(step["prepend"]) or 1)
    if kind == "TemplateProcessing":
        added = len(step["single"]) + sum(len(token["ids"]) for token in step["special_tokens"].values())
        return 1.0 if added <= MOST_SPECIAL else float("inf")
    if kind == "Precompiled":  # the length of a trie, the trie, and what characters become, each with a zero behind it
        charsmap = base64.b64decode(step["precompiled_charsmap"])
        pieces = charsmap[4 + int.from_bytes(charsmap[:4], "little") :].split(b"\0")
        return GROWTH[kind] if max(map(len, pieces)) <= LONGEST_PIECE else float("inf")
    return GROWTH.get(kind, 1.0)
