"""Sentences of decisions and certificates, in each language. To add a language: a file and a line in MESSAGES.

    decisions.sentence(0, language="tr")            # what was decided and why, with the numbers
    decisions.customer_sentence(0, language="tr")   # the same for a customer, without numbers
    rule.certificate.say("tr")                      # the promise: see elsewise.messages.certificates

A sentence is a template, so that each language has its own word order and its own form of numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from elsewise.errors import InputError
from elsewise.messages import en, playground_en, playground_tr, report_en, report_tr, tr
from elsewise.messages.wording import in_percent, localised

MESSAGES: Final[dict[str, Mapping[str, str]]] = {"en": en.MESSAGES, "tr": tr.MESSAGES}
REPORT_MESSAGES: Final[dict[str, Mapping[str, str]]] = {"en": report_en.MESSAGES, "tr": report_tr.MESSAGES}
PLAYGROUND_MESSAGES: Final[dict[str, Mapping[str, str]]] = {"en": playground_en.MESSAGES, "tr": playground_tr.MESSAGES}
MOST_NAMED: Final = 8  # labels in a sentence


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about the decision on one text, for its sentence.

    Attributes
    ----------
    reason, other : str
        Reason of the decision, the name of a template; and the word shown for an abstention.
    best, second, best_probability, second_probability : str, str, float, float
        The two most probable labels, empty for none, and their probabilities.
    confidence, threshold : float
        Confidence of the text, and the threshold it was compared with.
    familiarity : float or None
        At most this share of in-scope texts is as unlike the known texts.
    nearest, possible : tuple of str
        Labels with the nearest known texts, at most two; labels that stay possible, empty if unknown.
    """

    reason: str
    other: str
    best: str
    second: str
    best_probability: float
    second_probability: float
    confidence: float
    threshold: float
    familiarity: float | None = None
    nearest: tuple[str, ...] = ()
    possible: tuple[str, ...] = ()


def messages(language: str) -> Mapping[str, str]:
    """Return the templates of a language; InputError, listing the languages, for an unknown language."""
    return _of(MESSAGES, language)


def page_messages(language: str, catalogue: Mapping[str, Mapping[str, str]] = REPORT_MESSAGES) -> Mapping[str, str]:
    """Return the templates of a kind of pages in a language; InputError as `messages`."""
    return _of(catalogue, language)


def _of(table: Mapping[str, Mapping[str, str]], language: str) -> Mapping[str, str]:
    if language not in table:
        raise InputError(f"unknown language {language!r}; there are {', '.join(table)}")
    return table[language]


def sentence(facts: Facts, language: str = "en") -> str:
    """Explain a decision in one sentence, with its numbers."""
    words = messages(language)
    p, q = (localised(f"{x:.3f}", words) for x in (facts.best_probability, facts.second_probability))
    parts = {"how": _how_unlike(facts, words), "possible": _possible(facts, words), "compared": _compared(facts, words)}
    return words[facts.reason].format(other=facts.other, best=facts.best, second=facts.second, p=p, q=q, **parts)


def customer_sentence(facts: Facts, language: str = "en") -> str:
    """Explain a decision to a customer, without numbers."""
    words = messages(language)
    # If nothing reaches the threshold, the reason is not the text.
    if facts.reason != "unreadable" and np.isposinf(facts.threshold):
        return words["customer_nothing"]
    return words[f"customer_{facts.reason}"].format(best=facts.best, second=facts.second)


def _how_unlike(facts: Facts, words: Mapping[str, str]) -> str:
    near = [f'"{name}"' for name in facts.nearest]
    if facts.familiarity is None or not near or np.isnan(facts.familiarity):
        return ""
    share = words["percent"].format(number=localised(in_percent(facts.familiarity, np.ceil), words))
    if len(near) == 1:
        return words["how_one"].format(share=share, near=near[0])
    return words["how_two"].format(share=share, near=words["and"].format(first=near[0], second=near[1]))


def _possible(facts: Facts, words: Mapping[str, str]) -> str:
    """List the labels that stay possible, if there are more than the two best."""
    if not 2 < len(facts.possible) <= MOST_NAMED:  # noqa: PLR2004
        return ""
    return words["possible"].format(labels=", ".join(f'"{name}"' for name in facts.possible))


def _compared(facts: Facts, words: Mapping[str, str]) -> str:
    confidence, threshold = facts.confidence, facts.threshold
    if np.isnan(confidence):  # a gate flags the text
        return "" if facts.reason == "unreadable" else words[f"barred_{facts.reason}"]
    if np.isinf(threshold):
        number = localised(f"{confidence:.3f}", words)
        return words["nothing" if threshold > 0 else "everything"].format(confidence=number)
    # Enough digits that the two numbers differ: not "0.950 is below 0.950".
    digits = next((d for d in range(3, 17) if f"{confidence:.{d}f}" != f"{threshold:.{d}f}"), 3)
    reached, needed = (localised(f"{x:.{digits}f}", words) for x in (confidence, threshold))
    return words["reaches" if facts.reason == "answered" else "below"].format(confidence=reached, threshold=needed)
