"""Wrap an endpoint that decides, by its address: it is asked over the network, because that was asked for.

    engine = ew.wrap("https://api.example.com/v1/systemone#their-model", labels=names, api_key_from="THEIR_KEY")

Texts are sent to it, one in a request. It is calibrated and certified as any model; that its model stays the same is
checked with the canary texts, whenever it is wrapped and its folder is opened.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np

from elsewise.arrays import Floats, softmax
from elsewise.engines.canaries import CANARIES
from elsewise.engines.external import ExternalEngine
from elsewise.engines.output_kinds import to_logits
from elsewise.engines.tokenizer import is_visible
from elsewise.errors import InputError, warn_caller
from elsewise.outputs import Outputs
from elsewise.storage.paths import at_home
from elsewise.wrappers.asking import HERE, Cost, Line, RefusedText
from elsewise.wrappers.known_answers import KnownAnswers, change, hash_of
from elsewise.wrappers.protocols import PROTOCOLS, Question, Row, protocol_of
from elsewise.wrappers.request import EndpointOptions, WrapRequest, is_url

SAME: Final = 0.02  # of a probability: what other texts in the same batch of a server in half precision change
TWICE: Final = 4  # canary texts that are asked a second time
SEEN: Final = tuple(text for text in CANARIES if is_visible(text))


@dataclass(slots=True)
class Asker:
    """Answers texts by asking an endpoint, and counts what that costs. What it was told before it does not ask again.

    Attributes
    ----------
    cost : Cost
        What was asked so far.
    """

    line: Line
    protocol: str
    question: Question
    known: KnownAnswers
    cost: Cost = field(default_factory=Cost)

    def __call__(self, texts: list[str]) -> Outputs:
        """Give `Outputs` of n texts; NaN for a text that the endpoint refuses."""
        hashes = [hash_of(text) for text in texts]
        new = {digest: text for digest, text in zip(hashes, texts, strict=True) if digest not in self.known.rows}
        before = [text for digest, text in zip(hashes, texts, strict=True) if digest not in new and text not in SEEN]
        self.cost += Cost(known=len(before))
        self.known.keep(dict(zip(new, self.asked(list(new.values())), strict=True)))
        nothing = (float("nan"),) * len(self.question.labels)
        return Outputs(np.array([self.known.rows[digest] or nothing for digest in hashes], dtype=np.float64))

    def asked(self, texts: list[str]) -> list[Row | None]:
        """Ask about n texts, whatever is known; None for a text that is refused. InputError if each of several is."""
        spoken = PROTOCOLS[self.protocol]
        answers, cost = self.line.ask([spoken.body(self.question, text) for text in texts]) if texts else ([], Cost())
        refused = [answer for answer in answers if isinstance(answer, RefusedText)]
        if len(refused) == len(texts) > 1:
            raise InputError(str(refused[0]))
        rows: list[Row | None] = []
        for answer in answers:
            if isinstance(answer, RefusedText):
                rows.append(None)
                continue
            read, written = spoken.tokens(answer)
            cost += Cost(read=read, written=written)
            rows.append(self._row(answer))
        self.cost += cost
        return rows

    def _row(self, answer: Any) -> Row:
        try:
            return PROTOCOLS[self.protocol].row(self.question, answer)
        except InputError as error:
            raise InputError(f"{self.line.url} gave an answer with {error}") from error

    def probabilities(self, rows: Iterable[Row | None]) -> list[Row | None]:
        """Turn rows into probabilities, which can be compared."""
        kind, k = PROTOCOLS[self.protocol].kind, len(self.question.labels)
        return [None if row is None else tuple(_softmax(to_logits([row], kind, k))) for row in rows]


def _softmax(logits: Floats) -> list[float]:
    found: list[float] = softmax(logits)[0].tolist()
    return found


def takes(model: Any) -> bool:
    """Tell whether the object is the address of an endpoint."""
    return is_url(model)


def engine(model: str, request: WrapRequest) -> ExternalEngine:
    """Make the engine, and ask the canary texts; its `answer.cost` counts what is asked.

    InputError for an address of no known protocol, a key that is not there, more labels than the protocol takes,
    answers of another shape, and kept answers of another version of the model. ElsewiseError where it is not reached.
    """
    options, labels = EndpointOptions.of(request.endpoint), request.named()
    address, name, kind = _address(model)
    question = Question(labels, options.instructions, _criteria(options.criteria, labels), name)
    most = PROTOCOLS[kind].most_labels
    if most is not None and len(labels) > most:
        raise InputError(
            f"an endpoint of {PROTOCOLS[kind].ending} tells at most {most} labels apart, got {len(labels)}"
        )
    if request.kind is not None or request.preprocess is not None:
        raise InputError("an endpoint takes texts and its address says what it gives; leave kind and preprocess out")
    line = Line(address, _key(request.api_key_from, address), request.api_key_from,
                options.timeout, options.tries, options.at_once)  # fmt: skip
    asker = Asker(line, kind, question, KnownAnswers(_file(options.cache), _digest(address, kind, question)))
    _check(asker)
    described = f"{kind} endpoint" + (f" {name}" if name else "")
    digest = _digest(kind, question)
    made = request.engine(asker, labels, PROTOCOLS[kind].kind, described, digest)
    return replace(made, endpoint=f"{kind}:{address.partition('?')[0]}" + (f"#{name}" if name else ""), tolerance=SAME)


def _check(asker: Asker) -> None:
    """Ask the canary texts, whatever is known of them: they tell whether the model is still the one that it was."""
    asker.known.read()
    rows = asker.asked(list(SEEN))
    now = asker.probabilities(rows)
    before = asker.known.canaries
    if before is not None and change(before, now) > SAME:
        changed = f"the model behind {asker.line.url} was changed since its answers were kept"
        raise InputError(f"{changed}; remove {asker.known.file}, and fit again")
    again = asker.probabilities(asker.asked(list(SEEN[:TWICE])))
    if (moved := change(now[:TWICE], again)) > SAME:
        differ = f"{asker.line.url} gives the same text different probabilities (up to {moved:.2g})"
        warn_caller(f"{differ}, and no certificate holds for that: ask for temperature 0, or another model")
    asker.known.begin(before or now)
    asker.known.rows |= dict(zip(map(hash_of, SEEN), rows, strict=True))


def _address(url: str) -> tuple[str, str | None, str]:
    """Divide an address from the name of the model behind ``#``, and name its protocol."""
    address, _, name = url.partition("#")
    try:
        parts = urlsplit(address)
        there = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"{address} is no address: {error}") from error
    if not there[0]:
        raise InputError(f"{address} is no address: it names no host")
    if not (rest := parts.path + parts.query).isascii() or " " in rest or not address.isprintable():
        raise InputError(f"{address!r} is no address: write other letters than those of ASCII, and blanks, as %XX")
    if parts.username or parts.password:
        raise InputError("an address must not hold a key or a password; say where the key is: api_key_from=")
    return address, name or None, protocol_of(address)


def _key(variable: str | None, address: str) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise InputError(f"the environment variable {variable} holds no key; set it, or leave api_key_from= out")
    if not key.isascii() or not key.isprintable():
        raise InputError(f"the environment variable {variable} holds what is no key: letters that no header has")
    if urlsplit(address).scheme == "http" and urlsplit(address).hostname not in HERE:
        raise InputError(f"{address} is not encrypted, and would send the key in {variable} openly; use https://")
    return key


def _criteria(given: Mapping[str, str], labels: tuple[str, ...]) -> dict[str, str]:
    unknown = [label for label in given if label not in labels]
    if unknown:
        raise InputError(f"criteria has {unknown[0]!r}, which is none of the labels")
    return {str(label): str(meaning) for label, meaning in given.items()}


def _file(cache: str | Path | None) -> Path | None:
    return None if cache is None else Path(at_home(cache))


def _digest(*parts: Any) -> str:
    return sha256(repr(parts).encode()).hexdigest()[:16]


def cost_of(engine: Any) -> Cost | None:
    """Give what an engine has asked of its endpoint so far; None for an engine of none."""
    answer = getattr(engine, "answer", None)
    return answer.cost if isinstance(answer, Asker) else None
