"""Check, by its tokenizer, of whether an encoder fits the language of the texts."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any

from elsewise.engines.tokenizer import unknown_ids

PIECES_A_WORD = 2.0  # the default encoder needs 1.0 to 1.2 for English, and 3.0 for Turkish
UNKNOWN_SHARE = 0.01
TURKISH_SHARE = 0.2  # of texts with a letter that, among Latin alphabets, points to Turkish or Azeri
UNMARKED_SHARE = 0.1  # of words that lose a mark: an eighth of German words, and nearly half of Turkish ones, have one
LETTERS_SHOWN = 5
SAMPLE_SIZE = 2000
# In scripts without blanks, a Han or kana character counts as a word, and so do four Thai letters.
WORD = re.compile(r"[\u0e00-\u0e7f]{1,4}|[\u3040-\u30ff\u3400-\u9fff]|[^\W\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]+")
TURKISH_LETTERS = re.compile("[ıİğĞşŞ]")
AS_ENGLISH = "lowercases as in English: Turkish capital I becomes i, not ı, so ISPARTA and ısparta are two words to it"
ADVICE_TURKISH = "dbmdz/bert-base-turkish-128k-cased, or encoder='multilingual', which needs no network"
ADVICE_OTHER = "an encoder pre-trained on this language, or encoder='multilingual', which needs no network"


def language_warnings(tokenizer: Any, texts: Sequence[str], encoder: str) -> list[str]:
    """Warn where an encoder's tokenizer does not fit the language of the texts; an empty list if it fits.

    `tokenizer` is a tokenizers.Tokenizer without truncation. At most 2,000 of the texts, spread evenly, are read.
    """
    sample = _sample(texts)
    words, pieces, unknown = _pieces(tokenizer, sample)
    turkish = _is_turkish(sample)
    advice = ADVICE_TURKISH if turkish else ADVICE_OTHER
    found = []
    if words and pieces / words > PIECES_A_WORD:
        found.append(
            f"breaks these texts into {pieces / words:.1f} pieces a word (fewer than 2 is usual): "
            f"it was not made for their language; better: {advice}"
        )
    if pieces and unknown / pieces > UNKNOWN_SHARE:
        found.append(f"does not know {unknown / pieces:.1%} of the pieces of these texts; better: {advice}")
    lost = _lost_marks(tokenizer.normalizer, sample)
    if lost:
        casing = "; lowercase='tr' does not mend that" if turkish else ""
        found.append(f"drops the marks of letters: {lost}{casing}; better: {advice}")
    return [f"encoder {encoder} {fault}" for fault in found]


def lowercases_as_english(tokenizer: Any, texts: Sequence[str]) -> bool:
    """Tell whether texts are Turkish, and the tokenizer reads their capital I as i: ISPARTA is not ısparta to it."""
    normalizer = tokenizer.normalizer
    return normalizer is not None and normalizer.normalize_str("I") == "i" and _is_turkish(_sample(texts))


def _sample(texts: Sequence[str]) -> Sequence[str]:
    return texts[:: max(1, -(-len(texts) // SAMPLE_SIZE))]


def _is_turkish(texts: Sequence[str]) -> bool:
    return sum(bool(TURKISH_LETTERS.search(text)) for text in texts) > TURKISH_SHARE * len(texts)


def _lost_marks(normalizer: Any, texts: Sequence[str]) -> str:
    """Name the letters that lose their marks, and a word that does; empty where that happens to few words.

    The dot of İ is no loss: its small letter is i.
    """
    if normalizer is None:
        return ""
    words = Counter(word for text in texts for word in WORD.findall(unicodedata.normalize("NFC", text)))
    marked = {letter for word in words for letter in word if _marks(letter)} - {"İ"}
    lost = {letter for letter in marked if not _marks(normalizer.normalize_str(letter))}
    losing = Counter({word: count for word, count in words.items() if not lost.isdisjoint(word)})
    if losing.total() <= UNMARKED_SHARE * words.total():
        return ""
    letters = Counter(letter for word in losing for letter in word.lower() if letter in lost)
    word = losing.most_common(1)[0][0]
    shown = ", ".join(sorted(letter for letter, _ in letters.most_common(LETTERS_SHOWN)))
    return f"{shown} lose theirs, and {word} is read as {normalizer.normalize_str(word)}"


def _marks(letter: str) -> int:
    """Count the marks on a letter that Unicode writes as characters of their own."""
    return sum(unicodedata.category(part) == "Mn" for part in unicodedata.normalize("NFD", letter))


def _pieces(tokenizer: Any, texts: Sequence[str]) -> tuple[int, int, int]:
    words = [word for text in texts for word in WORD.findall(text)]
    encoded = tokenizer.encode_batch(words, add_special_tokens=False)
    unknown = unknown_ids(tokenizer)
    return len(words), sum(len(e.ids) for e in encoded), sum(i in unknown for e in encoded for i in e.ids)
