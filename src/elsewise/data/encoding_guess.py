"""Guess of the encoding of a file that is not UTF-8.

Only `elsewise check` guesses, to name the missing option; other commands read UTF-8 or the encoding given. And letters
that show that a file was read in the wrong encoding before it was written.
"""

import codecs
import re
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from elsewise.data.compressed import FAULTS, compression_of, unpacked
from elsewise.data.lines import BLOCK, MARKS

# cp1254 is cp1252 with six letters changed; texts of either language hold few of the other's.
TURKISH = tuple("ĞİŞğış".encode("cp1254"))
WESTERN = tuple("ÁÉÍÓÚÆáéíóúæ".encode("cp1252"))  # beside which the same six bytes are Icelandic letters
ESCAPED = re.compile("[\udc80-\udcff]")
OTHER = re.compile("[^\0-\x7f\udc80-\udcff]")
ICELANDIC = 4  # in Icelandic the six letters and the vowels are about as frequent; Turkish has hardly any of the vowels
NUL_SHARE = 0.2  # half of the bytes of English in UTF-16
LINES_KEPT = 100


def _read_as(byte: int) -> set[str]:
    """Give what the encodings of Windows make of a byte; those without a letter for it leave a control character."""
    read = {bytes([byte]).decode(encoding, "ignore") or chr(byte) for encoding in ("cp1252", "cp1254")}
    return read | ({chr(byte)} if byte < FIRST_LETTER else set())


FIRST_LETTER = 0xC0  # of cp1252; what continues a letter in UTF-8 lies below it
BYTE_OF = {letter: byte for byte in range(0x80, 0x100) for letter in _read_as(byte)}
# Letters of Europe and Arabic, punctuation and emojis in UTF-8: two, three and four bytes.
BEGINNINGS = {1: (0xC2, 0xC3, 0xC4, 0xC5, 0xCE, 0xCF, 0xD0, 0xD1, 0xD8, 0xD9), 2: (0xE2,), 3: (0xF0,)}


def _pattern() -> re.Pattern[str]:
    more = "".join(letter for letter, byte in BYTE_OF.items() if byte < FIRST_LETTER)
    first = {n: "".join(letter for byte in found for letter in _read_as(byte)) for n, found in BEGINNINGS.items()}
    return re.compile("|".join(f"[{letters}][{re.escape(more)}]{{{n}}}" for n, letters in first.items()))


MISREAD = _pattern()


def misread(text: str) -> tuple[str, str] | None:
    """Find letters of UTF-8 that were read as cp1252 or cp1254, and give them with what they stand for.

    Examples
    --------
    >>> misread("ÅŸikayet"), misread("Où est ma commande, déjà payée ?")
    (('ÅŸ', 'ş'), None)
    """
    if text.isascii():
        return None
    for found in MISREAD.finditer(text):
        with suppress(UnicodeDecodeError):
            return found[0], bytes(BYTE_OF[letter] for letter in found[0]).decode("utf-8")
    return None


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
    """Guess the encoding of a file from all of its bytes; None for UTF-8, OSError if the file cannot be read.

    None too for a compressed file that is damaged.
    """
    try:
        with closing(unpacked(Path(path).open("rb"), path)) as file:
            return _guess(file)
    except FAULTS:
        if not compression_of(path):
            raise
        return None


def _guess(file: IO[bytes]) -> EncodingGuess | None:
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
