"""Guess of the encoding of a file that is not UTF-8.

Only `elsewise check` guesses, to name the missing option; other commands read UTF-8 or the encoding given.
"""

import codecs
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from elsewise.data.lines import BLOCK, MARKS

# cp1254 is cp1252 with six letters changed; texts of either language hold few of the other's.
TURKISH = tuple("ĞİŞğış".encode("cp1254"))
WESTERN = tuple("ÁÉÍÓÚÆáéíóúæ".encode("cp1252"))  # beside which the same six bytes are Icelandic letters
ESCAPED = re.compile("[\udc80-\udcff]")
OTHER = re.compile("[^\0-\x7f\udc80-\udcff]")
ICELANDIC = 4  # in Icelandic the six letters and the vowels are about as frequent; Turkish has hardly any of the vowels
NUL_SHARE = 0.2  # half of the bytes of English in UTF-16
LINES_KEPT = 100


@dataclass(frozen=True, slots=True)
class EncodingGuess:
    """Likely encoding of a file that is not UTF-8.

    Attributes
    ----------
    encoding, why : str or None, str
        Encoding, None if the file is UTF-8 but for a few bytes, or in no known encoding; and the reason.
    lines, byte : tuple of int, int or None
        The first hundred lines with bytes that are not UTF-8, and the first such byte.
    """

    encoding: str | None
    lines: tuple[int, ...]
    byte: int | None
    why: str


def guess_encoding(path: str) -> EncodingGuess | None:
    """Guess the encoding of a file from all of its bytes; None for UTF-8, OSError if the file cannot be read."""
    with Path(path).open("rb") as file:
        head = file.read(BLOCK)
        meant = next((meant for mark, meant in MARKS if head.startswith(mark)), "utf-8")
        if meant != "utf-8":
            return EncodingGuess(meant, (1,), head[0], f"it begins with the byte order mark of {meant}")
        decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        counts, faults, others, line, byte = np.zeros(256, dtype=np.int64), 0, 0, 1, None
        lines: list[int] = []
        block, more = head, True
        while more:
            counts += np.bincount(np.frombuffer(block, dtype=np.uint8), minlength=256)
            text = decoder.decode(block, final=not block)
            if not text.isascii():
                places = [match.start() for match in ESCAPED.finditer(text)]
                byte = ord(text[places[0]]) - 0xDC00 if byte is None and places else byte
                lines += [line + text.count("\n", 0, at) for at in places[: LINES_KEPT - len(lines)]]
                faults += len(places)
                others += len(OTHER.findall(text))
            line += text.count("\n")
            more = bool(block)
            block = file.read(BLOCK)
    if counts[0] > NUL_SHARE * counts.sum():
        order = "le" if head[1::2].count(0) > head[0::2].count(0) else "be"
        return EncodingGuess(f"utf-16-{order}", (1,), 0, "every other byte of it is 0")
    if not faults:
        return None
    where = tuple(dict.fromkeys(lines))
    if others > faults:
        return EncodingGuess(None, where, byte, "the rest of the file is UTF-8")
    encoding, why = _of_windows(counts)
    return EncodingGuess(encoding, where, byte, why)


def _of_windows(counts: NDArray[np.int64]) -> tuple[str | None, str]:
    turkish, western = int(counts[list(TURKISH)].sum()), int(counts[list(WESTERN)].sum())
    is_turkish = turkish > ICELANDIC * western
    letters = "its letters are those of Turkish (ğ, ş)" if is_turkish else "it holds no letters of Turkish alone"
    likely, other = ("cp1254", "cp1252") if is_turkish else ("cp1252", "cp1254")
    there = bytes(np.flatnonzero(counts).tolist())
    for encoding, why in ((likely, letters), (other, f"it holds bytes that {likely} does not have")):
        with suppress(UnicodeDecodeError):
            there.decode(encoding)
            return encoding, why
    return None, "neither cp1254 nor cp1252 reads it"
