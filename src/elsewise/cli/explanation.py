"""Print explanations, receipts and their confirmations, in a language of `elsewise.messages`."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from elsewise.cli.output import print_table, to_stdout
from elsewise.messages import messages
from elsewise.messages.wording import localised, shortened

if TYPE_CHECKING:
    from elsewise.evaluation.receipt import Confirmation
    from elsewise.outputs import ReadSpan
    from elsewise.rules.certificate import Certificate
    from elsewise.rules.explanation import Explanation
    from elsewise.storage.json_files import Json

WORDS_SHOWN: Final = 5  # words shown for each direction of pull
NAMES_SHOWN: Final = 8
CHARACTERS_SHOWN: Final = 200


def print_explanation(explained: "Explanation", certificate: "Certificate | None", language: str) -> None:
    """Print why a text was decided as it was, and what is promised of such decisions."""
    said = _Said(language)
    to_stdout(explained.sentence)
    to_stdout(said.fill("customer", sentence=explained.customer_sentence))
    if explained.probabilities:
        to_stdout("\n" + said.fill("best", compared=said.compared(explained)))
        rows = [(name, said.number(p, ".4f")) for name, p in explained.probabilities.items()]
        print_table("", said.header("label", "probability"), rows)
    for name, labels in (("nearest", explained.nearest), ("possible", explained.possible)):
        if labels:
            to_stdout(said.fill(name, labels=said.some(labels)))
    _print_words(explained, said)
    if explained.neighbours:
        near = [(said.number(one.similarity, ".3f"), one.label, said.some([one.text])) for one in explained.neighbours]
        to_stdout("\n" + said.fill("neighbours"))
        print_table("", said.header("similarity", "label", "text"), near)
    if explained.extent is not None:
        to_stdout(said.how_much(explained.extent))
    if explained.receipt is not None:
        _print_receipt(explained.receipt, certificate, said)


def print_confirmation(confirmation: "Confirmation", language: str) -> None:
    """Print what a receipt and the new answer have in common."""
    said = _Said(language)
    for name in ("text", "model", "decision_version", "certificate"):
        same = said.fill("same" if getattr(confirmation, name) else "different")
        to_stdout(f"{said.fill(f'of_{name}')}: {same}")
    to_stdout(f"{said.fill('of_answer')}: {said.fill(confirmation.answer)}")


def _print_words(explained: "Explanation", said: "_Said") -> None:
    towards = [pull for pull in explained.words if pull.pull > 0][:WORDS_SHOWN]
    against = [pull for pull in explained.words if pull.pull < 0][-WORDS_SHOWN:]
    if towards or against:
        rows = [
            (said.number(pull.pull, "+.2f"), said.number(pull.without, ".4f"), said.some([pull.words]))
            for pull in (*towards, *against)
        ]
        to_stdout("\n" + said.fill("pulls", best=next(iter(explained.probabilities))))
        print_table("", said.header("pull", "without", "words"), rows)


def _print_receipt(receipt: "Json", certificate: "Certificate | None", said: "_Said") -> None:
    model = receipt["model"]
    name = " ".join(filter(None, (model["engine"], model["precision"], model["fingerprint"])))
    to_stdout(said.fill("model", name=name, version=receipt["decision_version"]))
    to_stdout(said.fill("hash", hash=receipt["text_sha256"]))
    sentence = said.fill("none") if certificate is None else certificate.say(said.language)
    to_stdout(said.fill("certificate", sentence=sentence))


@dataclass(frozen=True, slots=True)
class _Said:
    """Words of an explanation in one language."""

    language: str

    def fill(self, name: str, /, **values: str) -> str:
        """Fill the template ``explain_NAME``."""
        return messages(self.language)[f"explain_{name}"].format(**values)

    def header(self, *names: str) -> tuple[str, ...]:
        """Name the columns of a table."""
        return tuple(map(self.fill, names))

    def number(self, value: float, form: str) -> str:
        """Write a number as the language does."""
        return localised(format(value, form), messages(self.language))

    def compared(self, explained: "Explanation") -> str:
        """Say what was compared with the threshold."""
        if math.isnan(explained.confidence):
            return self.fill("barred")
        reached, needed = (self.number(value, ".4g") for value in (explained.confidence, explained.threshold))
        return self.fill("compared", score=explained.score, confidence=reached, threshold=needed)

    def how_much(self, extent: "ReadSpan") -> str:
        """Say how much of a text was read."""
        words = self.fill("tokens", tokens=self.number(extent.tokens, ",d"))
        if extent.truncated:
            characters = self.number(extent.characters, ",d")
            dropped = self.number(extent.characters - extent.characters_read, ",d")
            words += self.fill("dropped", dropped=dropped, characters=characters, last=extent.last_words)
        if extent.unknown:
            words += self.fill("unknown", pieces=self.some(dict.fromkeys(extent.unknown), " "))
        return words

    def some(self, names: Iterable[str], between: str = ", ") -> str:
        """List the first names, shortened, and the number of further names."""
        known = [shortened(name, CHARACTERS_SHOWN) for name in names]
        more = len(known) - NAMES_SHOWN
        listed = between.join(known[:NAMES_SHOWN])
        return listed + (self.fill("more", more=self.number(more, ",d")) if more > 0 else "")
