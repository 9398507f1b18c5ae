"""What is sent to an endpoint that decides, and how its answers are read; a protocol is a line in PROTOCOLS.

systemone: typed decisions, ``POST /v1/systemone``, as ``transformers serve`` and ``elsewise serve`` speak it.
openai: ``POST /v1/chat/completions`` with log-probabilities of the next token, which is the letter of a label.
"""

import math
import string
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from elsewise.errors import InputError
from elsewise.messages.wording import listed, shortened
from elsewise.storage.json_files import Json

QUESTION: Final = "label"  # the name of the one question
MOST_LOGPROBS: Final = 20  # that an endpoint of this style gives of a token
LETTERS: Final = string.ascii_uppercase[:MOST_LOGPROBS]

Row = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What an endpoint is asked about each text.

    Attributes
    ----------
    labels : tuple of str
        The k labels, the options of a choice.
    instructions : str
        The question.
    criteria : mapping
        What a label means, for those where its name does not say it.
    model : str or None
        The model's name at the endpoint; None to leave it to the endpoint.
    """

    labels: tuple[str, ...]
    instructions: str
    criteria: Mapping[str, str]
    model: str | None


@dataclass(frozen=True, slots=True)
class Protocol:
    """A kind of endpoint.

    Attributes
    ----------
    ending : str
        How the path of its address ends.
    kind : str
        What its numbers are: a name in `elsewise.engines.output_kinds.KINDS`.
    most_labels : int or None
        Labels of a question, at most.
    body, row, tokens
        Make a request of a question and a text; read k numbers, in the order of the labels, from an answer (InputError
        for an answer of another shape); and count tokens read and written.
    """

    ending: str
    kind: str
    most_labels: int | None
    body: Callable[[Question, str], Json]
    row: Callable[[Question, Any], Row]
    tokens: Callable[[Any], tuple[int, int]]


def protocol_of(url: str) -> str:
    """Name the protocol of an address, by the end of its path; InputError for another one."""
    path = url.partition("#")[0].partition("?")[0].rstrip("/")
    name = next((name for name, one in PROTOCOLS.items() if path.endswith(one.ending)), None)
    if name is None:
        endings = " or ".join(one.ending for one in PROTOCOLS.values())
        raise InputError(f"an endpoint's address must end in {endings}, got {path}")
    return name


def _named(question: Question, body: Json) -> Json:
    return body if question.model is None else {"model": question.model, **body}


def _systemone_body(question: Question, text: str) -> Json:
    criteria = {label: question.criteria.get(label) for label in question.labels}
    asked = {"type": "choice", "instructions": question.instructions, "criteria": criteria}
    return _named(question, {"state": text, "questions": {QUESTION: asked}})


def _systemone_row(question: Question, answer: Any) -> Row:
    found = _inside(answer, "answers", QUESTION, "probabilities")
    if not isinstance(found, Mapping):
        raise InputError("no probabilities of the options in it")
    differences = {
        "lacks": [label for label in question.labels if label not in found],
        "has": [label for label in found if label not in question.labels],
    }
    said = [f"{words} {listed(map(repr, names))}" for words, names in differences.items() if names]
    if said:
        raise InputError(f"other labels in it: it {' and '.join(said)}")
    row = tuple(_number(found[label]) for label in question.labels)
    if not all(0 <= p <= 1 for p in row):
        raise InputError("probabilities in it that do not lie in 0..1")
    return row


def _systemone_tokens(answer: Any) -> tuple[int, int]:
    return _count(answer, "input_tokens"), _count(answer, "output_tokens")


def _openai_body(question: Question, text: str) -> Json:
    options = [
        f"{letter}. {label}: {question.criteria[label]}" if label in question.criteria else f"{letter}. {label}"
        for letter, label in zip(LETTERS, question.labels, strict=False)
    ]
    last = f"Answer with the letter of the option that fits best (A to {LETTERS[len(question.labels) - 1]}) only."
    content = "\n".join([text, "", question.instructions, *options, last])
    how = {"max_tokens": 1, "temperature": 0, "logprobs": True, "top_logprobs": MOST_LOGPROBS}
    return _named(question, {"messages": [{"role": "user", "content": content}], **how})


def _openai_row(question: Question, answer: Any) -> Row:
    """Read the log-probability of each letter; those that are not among the tokens share what is left."""
    tokens = _inside(answer, "choices", 0, "logprobs", "content", 0, "top_logprobs")
    if not isinstance(tokens, list) or not tokens:
        raise InputError("no log-probabilities in it; the endpoint must take logprobs and top_logprobs")
    letters = LETTERS[: len(question.labels)]
    found: dict[str, float] = {}
    lowest, total = math.inf, 0.0
    for one in tokens:
        logprob, token = _number(_inside(one, "logprob")), str(_inside(one, "token")).strip()
        lowest, total = min(lowest, logprob), total + math.exp(min(logprob, 0.0))
        if len(token) == 1 and token in letters:
            found[token] = float(np.logaddexp(found.get(token, -math.inf), logprob))
    if not found:
        raise InputError("none of the letters that were asked for among its tokens")
    left = max(1.0 - total, 1e-12) / max(len(letters) - len(found), 1)
    return tuple(found.get(letter, min(lowest, math.log(left))) for letter in letters)


def _openai_tokens(answer: Any) -> tuple[int, int]:
    return _count(answer, "prompt_tokens"), _count(answer, "completion_tokens")


def _inside(value: Any, *path: str | int) -> Any:
    """Follow keys and places into JSON; None where it has none of that."""
    for step in path:
        fits = isinstance(value, Mapping) if isinstance(step, str) else isinstance(value, list)
        if not fits or (isinstance(step, int) and step >= len(value)):
            return None
        value = value.get(step) if isinstance(step, str) else value[step]
    return value


def _number(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not -sys.float_info.max <= value <= sys.float_info.max:  # a whole number may be longer
        raise InputError(f"{shortened(repr(value), 60)} in it instead of a number")
    return float(value)


def _count(answer: Any, name: str) -> int:
    found = _inside(answer, "usage", name)
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


PROTOCOLS: Final[Mapping[str, Protocol]] = {
    "systemone": Protocol("/systemone", "probabilities", None, _systemone_body, _systemone_row, _systemone_tokens),
    "openai": Protocol(
        "/chat/completions", "logits", MOST_LOGPROBS, _openai_body, _openai_row, _openai_tokens
    ),
}  # fmt: skip
