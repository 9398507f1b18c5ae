"""Lowercasing as a language does it, as steps of a tokenizer: they are written into its tokenizer.json.

Turkish: I is the capital of ı, and İ that of i. Marks of letters stay; what the encoder's own steps do comes after.
"""

from typing import Any, Final

from tokenizers import normalizers

from elsewise.errors import InputError

DOT: Final = "\N{COMBINING DOT ABOVE}"  # what other programs leave behind a small i when they lowercase İ
CAPITALS: Final = {  # what is replaced before the usual lowercasing, by language
    "tr": ((f"i{DOT}", "i"), ("İ", "i"), ("I", "ı")),
}


def check_lowercase(language: str | None) -> None:
    """Raise InputError for a language whose lowercasing is not known; None is no lowercasing."""
    if language is not None and language not in CAPITALS:
        raise InputError(f"lowercase must be {' or '.join(map(repr, CAPITALS))}, got {language!r}")


def lowercase(backend: Any, language: str) -> None:
    """Let a `tokenizers.Tokenizer` lowercase texts as a language does, before its own steps.

    Examples
    --------
    >>> from tokenizers import Tokenizer, models
    >>> backend = Tokenizer(models.WordLevel({"?": 0}, "?"))
    >>> lowercase(backend, "tr")
    >>> backend.normalizer.normalize_str("ISPARTA İLİ")
    'ısparta ili'
    """
    check_lowercase(language)
    replaced = [normalizers.Replace(capital, small) for capital, small in CAPITALS[language]]
    own = [] if backend.normalizer is None else [backend.normalizer]
    backend.normalizer = normalizers.Sequence(
        [normalizers.NFC(), *replaced, normalizers.Lowercase(), normalizers.NFC(), *own]
    )
