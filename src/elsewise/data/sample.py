"""A synthetic inbox: customer-support texts with labels, for `elsewise demo` and for tests.

Every phrase in ``phrases.json`` was written for Elsewise, and a small grammar joins them. In a phrase, ``[a|b]`` is a
choice, ``{slot}`` a filler that stays the same within one text, ``{slot*}`` a different filler of that slot, ``{Slot}``
a capitalised filler, and ``~`` a digit.

The sample is as hard as an inbox: labels share words, senders mention things they do not ask for, some texts fit two
labels, some are mistyped or Turkish, and some do not concern the shop. Results on it show that a pipeline works, not
how good a model is on real mail.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from itertools import cycle
from random import Random
from typing import TypeVar

from elsewise.errors import InputError
from elsewise.storage.json_files import Json

__all__ = ["OUT_OF_SCOPE", "SampleRow", "support_texts"]

OUT_OF_SCOPE = "out_of_scope"

_ROWS = range(240, 12_001)
_OUT_OF_SCOPE_SHARE = 1 / 12  # of all rows; the shares below are of the in-scope rows
_AMBIGUOUS_SHARE = 0.04
_TURKISH_SHARE = 0.10
_TYPO_SHARE = 0.08
_RARE_SHARE = 0.06

_MARK = re.compile(r"\{(\w+)(\*?)\}|\[([^\[\]]*)\]|(~)")
_SENTENCE = re.compile(r"[.!?]+(?=\s|$)")
_ENDING = re.compile(r"[.,!?:]+(?=\s|$)")
_SHORT = 3  # letters: a typo makes a shorter word unrecognisable
_KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")

# str.lower() and str.upper() do not know the Turkish letters: dotless goes with I, dotted with i.
_TURKISH_LOWER = str.maketrans(
    {"I": "\N{LATIN SMALL LETTER DOTLESS I}", "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}": "i"}
)
_TURKISH_UPPER = str.maketrans({"i": "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}"})

_Card = TypeVar("_Card")


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One text of the sample.

    Attributes
    ----------
    text, label, kind : str
        What the customer wrote; its subject, or `OUT_OF_SCOPE`; and how the text was made: plain, typo, ambiguous,
        turkish or out_of_scope.
    """

    text: str
    label: str
    kind: str


def support_texts(seed: int = 0, rows: int = 3_000) -> list[SampleRow]:
    """Generate customer-support texts with 20 labels, and out-of-scope texts.

    One text in twelve is out of scope. Of the others about 10 % are Turkish, 8 % have typing errors, and 4 % fit two
    labels and have one of the two at random: no model can be right on all of those.

    Parameters
    ----------
    seed : int
        The same seed gives the same rows, in the same order, on every platform.
    rows : int
        Number of rows, 240 to 12,000 (else InputError); with the default every label has more than 100.

    Returns
    -------
    list of SampleRow
        Rows in random order; no two texts are equal up to case, blanks and punctuation.

    Examples
    --------
    >>> sample = support_texts(seed=0)
    >>> len(sample), len({row.label for row in sample})
    (3000, 21)
    >>> sorted({row.kind for row in sample})
    ['ambiguous', 'out_of_scope', 'plain', 'turkish', 'typo']
    """
    if rows not in _ROWS:
        raise InputError(f"rows must lie in {_ROWS[0]}..{_ROWS[-1]}, got {rows}")
    random = Random(seed)  # noqa: S311  a sample, not a secret
    phrases = _phrases()
    out_of_scope = round(rows * _OUT_OF_SCOPE_SHARE)
    ambiguous = round((rows - out_of_scope) * _AMBIGUOUS_SHARE)
    weights = {name: entry["weight"] for name, entry in phrases["labels"].items()}
    counts = _shares(weights, rows - out_of_scope - ambiguous)
    # Typos and Turkish are drawn among the clear texts, so their shares are scaled to hold for all in scope.
    stretch = 1 / (1 - _AMBIGUOUS_SHARE)

    seen: set[str] = set()
    sample = _distinct(_out_of_scope_rows(random, phrases), out_of_scope, seen)
    sample += _distinct(_ambiguous_rows(random, phrases), ambiguous, seen)
    for label, count in counts.items():
        turkish, typo = round(count * _TURKISH_SHARE * stretch), round(count * _TYPO_SHARE * stretch)
        for kind, wanted in (("turkish", turkish), ("typo", typo), ("plain", count - turkish - typo)):
            sample += _distinct(_clear_rows(random, phrases, label, kind), wanted, seen)
    random.shuffle(sample)
    return sample


@cache
def _phrases() -> Json:
    """Read the phrases shipped with this module."""
    return json.loads(files(__package__).joinpath("phrases.json").read_text(encoding="utf-8"))


def _shares(weights: dict[str, float], total: int) -> dict[str, int]:
    """Divide `total` by weight into whole numbers with that sum."""
    counts, left, weight_left = {}, total, sum(weights.values())
    for name, weight in weights.items():
        counts[name] = round(left * weight / weight_left)
        left -= counts[name]
        weight_left -= weight
    return counts


def _distinct(rows: Iterator[SampleRow], count: int, seen: set[str]) -> list[SampleRow]:
    """Take the next `count` rows whose text is new, and remember their texts in `seen`."""
    taken: list[SampleRow] = []
    while len(taken) < count:
        row = next(rows)
        key = "".join(filter(str.isalnum, row.text.casefold()))
        if key not in seen:
            seen.add(key)
            taken.append(row)
    return taken


def _clear_rows(random: Random, phrases: Json, label: str, kind: str) -> Iterator[SampleRow]:
    """Yield rows of one label without end."""
    entry = phrases["labels"][label]
    writer = _Writer(random, phrases, "tr" if kind == "turkish" else "en", entry.get("slots", {}), entry["contexts"])
    rare = random.sample(entry["rare"], len(entry["rare"])) if kind == "plain" else []
    for core in _deck(random, entry[writer.language]):
        # Each rare phrase occurs once at most: the long tail of an inbox.
        text = writer.write(rare.pop() if rare and random.random() < _RARE_SHARE else core)
        yield SampleRow(_misspelt(random, text) if kind == "typo" else text, label, kind)


def _ambiguous_rows(random: Random, phrases: Json) -> Iterator[SampleRow]:
    """Yield texts that fit two labels, with one of the two, without end."""
    labels = phrases["labels"]
    cards = [(core, pair["labels"]) for pair in phrases["ambiguous"] for core in pair["texts"]]
    for core, pair in _deck(random, cards):
        writer = _Writer(random, phrases, "en", labels[pair[0]].get("slots", {}) | labels[pair[1]].get("slots", {}))
        yield SampleRow(writer.write(core), random.choice(pair), "ambiguous")


def _out_of_scope_rows(random: Random, phrases: Json) -> Iterator[SampleRow]:
    """Yield texts that do not concern the shop, without end."""
    book = phrases["out_of_scope"]
    writers = {language: _Writer(random, phrases, language) for language in ("en", "tr")}
    for language, core in _deck(random, [(name, core) for name, cores in book.items() for core in cores]):
        # Code, news and spam stay as they are, without greetings.
        text = writers["en"].fill(core) if language == "verbatim" else writers[language].write(core)
        yield SampleRow(text, OUT_OF_SCOPE, OUT_OF_SCOPE)


def _deck(random: Random, cards: Sequence[_Card]) -> Iterator[_Card]:
    """Yield the cards in one shuffled order, again and again: every phrase is used before any repeats."""
    return cycle(random.sample(cards, len(cards)))


@dataclass(frozen=True, slots=True)
class _Writer:
    """Turns a core phrase into a mail, in the style of a random sender."""

    random: Random
    phrases: Json
    language: str
    slots: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    contexts: Sequence[str] = ()

    @property
    def troubled(self) -> bool:
        """Whether the sender may complain: not in a text that only asks about the shop."""
        return bool(set(self.contexts) - {"shop"})

    def write(self, core: str) -> str:
        """Return a text of one to five sentences that says `core`."""
        return self._styled(self.fill(self._composed(core)))

    def fill(self, template: str) -> str:
        """Replace choices, slots and digits until none is left."""
        slots = self.phrases["slots"][self.language] | self.slots.get(self.language, {})
        kept: dict[str, str] = {}
        used: set[str] = set()

        def filled(mark: re.Match[str]) -> str:
            name, other, choices, digit = mark.groups()
            if digit:
                return str(self.random.randrange(1, 10))
            if choices is not None:
                return self.random.choice(choices.split("|"))
            slot = name.lower()
            value = None if other else kept.get(slot)
            if value is None:
                value = self.random.choice([filler for filler in slots[slot] if filler not in used])
                used.add(value)
            if not other:
                kept[slot] = value
            return value if name == slot else self._upper(value[0]) + value[1:]

        while _MARK.search(template):
            template = _MARK.sub(filled, template)
        return template

    def _composed(self, core: str) -> str:
        """Add greetings, background and closings to the core, or none."""
        if self._chance(0.25):
            return core
        parts = [core, *self._asides(core)]
        if len(parts) > 1 and self._chance(0.5):
            parts[:2] = parts[1::-1]
        elif len(parts) > 1 and self._chance(0.2):
            parts[1] = self._led(self._one_of("connectors"), parts[1])
        if self._chance(0.45):
            parts.append(self._one_of("complaints" if self.troubled and self._chance(0.35) else "closers"))
        text = " ".join(part if part.rstrip("]")[-1] in ".!?)(" else f"{part}." for part in parts[:-1])
        text = f"{text} {parts[-1]}".strip()
        return self._led(self._one_of("openers"), text) if self._chance(0.5) else text

    def _asides(self, core: str) -> list[str]:
        """Draw up to two sentences of background and perhaps the order number, four sentences in all."""
        if core[0].islower():
            return []  # senders of terse texts add no background
        pool = [aside for group in self.contexts for aside in self.phrases["contexts"][group][self.language]]
        asides = self.random.sample(pool, self.random.choice((0, 0, 1, 1, 1, 2))) if pool else []
        if "order" in self.contexts and self._chance(0.3):
            asides.append(self._one_of("references"))
        return asides[: 4 - max(1, len(_SENTENCE.findall(core)))]

    def _led(self, opener: str, text: str) -> str:
        """Put an opener before a text, which after a comma mostly begins in lower case."""
        first = re.split(r"[\s']", text, maxsplit=1)[0]
        proper = first == "I" or (len(first) > 1 and first.isupper())
        if opener[-1] in ".!" or proper or (opener[-1] == "," and self._chance(0.2)):
            return f"{opener} {text}"
        return f"{opener} {self._lower(text[0])}{text[1:]}"

    def _styled(self, text: str) -> str:
        """Vary the style: careful, or as on a phone, in a hurry or in anger."""
        roll = self.random.random()
        if roll < 0.18:  # noqa: PLR2004  shares of senders
            return self._careless(text)
        if roll < 0.24:  # noqa: PLR2004
            return text.rstrip(".!?")
        if roll < 0.29 and text[-1] in ".!?":  # noqa: PLR2004
            return text.rstrip(".!?") + ("??" if text[-1] == "?" else self.random.choice(("!!", "!!!", "...")))
        if roll > 0.97 and len(text) < 70:  # noqa: PLR2004
            return self._upper(text)
        return text

    def _careless(self, text: str) -> str:
        """Drop the capitals, mostly the punctuation too, and sometimes the apostrophes."""
        text = self._lower(text)
        if self._chance(0.6):
            text = _ENDING.sub("", text)
        return text.replace("'", "") if self._chance(0.4) else text

    def _one_of(self, part: str) -> str:
        return self.random.choice(self.phrases[part][self.language])

    def _chance(self, share: float) -> bool:
        return self.random.random() < share

    def _lower(self, text: str) -> str:
        return (text.translate(_TURKISH_LOWER) if self.language == "tr" else text).lower()

    def _upper(self, text: str) -> str:
        return (text.translate(_TURKISH_UPPER) if self.language == "tr" else text).upper()


def _misspelt(random: Random, text: str) -> str:
    """Add one to three typing errors to `text`."""
    words = text.split(" ")
    longer = [at for at, word in enumerate(words) if len(word) > _SHORT and word.isalpha()]
    slips = min(len(longer), random.randint(1, 1 + min(2, len(words) // 8)))
    for at in random.sample(longer, slips):
        words[at] = _slipped(random, words[at])
    # Words are joined only if the text keeps at least two.
    if not slips or (len(words) > 2 and random.random() < 0.25):  # noqa: PLR2004
        gap = random.randrange(1, len(words))
        words[gap - 1 : gap + 1] = [words[gap - 1] + words[gap]]
    return " ".join(words)


def _slipped(random: Random, word: str) -> str:
    """Misspell a word: two letters swapped, or a letter dropped, doubled or replaced by its neighbour key."""
    at = random.randrange(1, len(word) - 1)
    before, here, after = word[:at], word[at], word[at + 1 :]
    row = next((row for row in _KEYBOARD if here in row), here)
    left, _, right = row.partition(here)
    keys = left[-1:] + right[:1]
    near = random.choice(keys) if keys else here
    slips = {before + after[0] + here + after[1:], before + after, before + here + here + after, before + near + after}
    return random.choice(sorted(slips - {word}))
