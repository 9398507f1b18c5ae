"""What a decision is said in: one file for each language, with every sentence. A new one is a file and a line here.

    decisions.sentence(0, language="tr")            # what was decided and why, with the numbers
    decisions.customer_sentence(0, language="tr")   # the same for a customer, without them

A sentence is a template, so that a language orders its words as it does. Numbers are put in as it writes them.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from elsewise.errors import InputError
from elsewise.messages import en, tr

if TYPE_CHECKING:
    from elsewise.decisions import Decisions

MESSAGES: Final[dict[str, Mapping[str, str]]] = {"en": en.MESSAGES, "tr": tr.MESSAGES}
MOST_NAMED: Final = 8  # labels in a sentence


def messages(language: str) -> Mapping[str, str]:
    """Give the templates of a language.

    Raises
    ------
    InputError
        If there is none of this name; the message lists those that there are.
    """
    if language not in MESSAGES:
        raise InputError(f"unknown language {language!r}; there are {', '.join(MESSAGES)}")
    return MESSAGES[language]


def sentence(decisions: "Decisions", i: int, language: str = "en") -> str:
    """Say the decision on text `i`, and why, in one plain sentence with its numbers."""
    words = messages(language)
    return words[str(decisions.reasons[i])].format(
        other=decisions.other,
        best=decisions.name(int(decisions.best[i])),
        second=decisions.name(int(decisions.second[i])),
        p=_number(words, f"{decisions.best_probability[i]:.3f}"),
        q=_number(words, f"{decisions.second_probability[i]:.3f}"),
        how=_how_unlike(decisions, i, words),
        possible=_possible(decisions, i, words),
        compared=_compared(decisions, i, words),
    )


def customer_sentence(decisions: "Decisions", i: int, language: str = "en") -> str:
    """Say the decision on text `i` to a customer, in plain words."""
    words, reason = messages(language), str(decisions.reasons[i])
    # A threshold that nothing reaches is no matter of the text, whatever else may be said of it.
    if reason != "unreadable" and np.isposinf(decisions.threshold[i]):
        return words["customer_nothing"]
    best, second = (decisions.name(int(codes[i])) for codes in (decisions.best, decisions.second))
    return words[f"customer_{reason}"].format(best=best, second=second)


def in_percent(share: float, rounded: Callable[[float], float]) -> str:
    """Write a share in percent, as a number of at most two decimals."""
    return f"{rounded(round(share * 1e4, 6)) / 100:g}"


def _number(words: Mapping[str, str], written: str) -> str:
    return written.replace(".", words["decimal"])


def _how_unlike(decisions: "Decisions", i: int, words: Mapping[str, str]) -> str:
    near = [f'"{name}"' for name in decisions.nearest_names(i)]
    if decisions.familiarity is None or not near or np.isnan(decisions.familiarity[i]):
        return ""
    share = words["percent"].format(number=_number(words, in_percent(float(decisions.familiarity[i]), np.ceil)))
    if len(near) == 1:
        return words["how_one"].format(share=share, near=near[0])
    return words["how_two"].format(share=share, near=words["and"].format(first=near[0], second=near[1]))


def _possible(decisions: "Decisions", i: int, words: Mapping[str, str]) -> str:
    """Name the labels that stay possible, where they are more than the two that were named."""
    kept = decisions.possible_names(i)
    if not 2 < len(kept) <= MOST_NAMED:  # noqa: PLR2004
        return ""
    return words["possible"].format(labels=", ".join(f'"{name}"' for name in kept))


def _compared(decisions: "Decisions", i: int, words: Mapping[str, str]) -> str:
    confidence, threshold = float(decisions.confidence[i]), float(decisions.threshold[i])
    if np.isnan(confidence):
        return words["margin"]
    if np.isinf(threshold):
        number = _number(words, f"{confidence:.3f}")
        return words["nothing" if threshold > 0 else "everything"].format(confidence=number)
    # As many digits as tell the two apart: "0.950 is below 0.950" explains nothing.
    digits = next((d for d in range(3, 17) if f"{confidence:.{d}f}" != f"{threshold:.{d}f}"), 3)
    numbers = (_number(words, f"{x:.{digits}f}") for x in (confidence, threshold))
    verb = "reaches" if decisions.reasons[i] == "answered" else "below"
    return words[verb].format(**dict(zip(("confidence", "threshold"), numbers, strict=True)))
