"""The last line of a command: a command to paste that goes on from there."""

import shlex
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elsewise.cli.options import program
from elsewise.cli.output import to_stderr

if TYPE_CHECKING:
    from elsewise.classifier.classifier import Classifier
    from elsewise.data.labelled_texts import Reading


def say_next(*words: object) -> None:
    """Write "Next: " and a command of this program on stderr, in one line, so that it can be pasted."""
    to_stderr(f"Next: {program()} {shlex.join(map(str, words))}", whole=True)


def say_predict_next(classifier: "Classifier", out: Path, data: str, how: "Reading", engine: str | None = None) -> None:
    """Name the command that answers a file of texts; where nothing is promised, the one that shows other thresholds."""
    certificate, own = classifier.certificate, ["--engine", engine] if engine and ":" in engine else []
    if data == "-" or certificate is None or not certificate.certified:
        say_threshold_next(out)
        return
    words = reading_words(how, "text_column", "delimiter", "encoding", "format")
    say_next("predict", out, data, "-o", free_name("answers.csv"), *words, *own)


def served_words(engine: object, precision: str | None) -> list[str]:
    """Give the options that choose an engine and precision; none where both are the model's own.

    Examples
    --------
    >>> served_words("onnxruntime", None)
    ['--engine', 'onnxruntime']
    """
    asked = {"--engine": engine, "--precision": precision}
    return [word for option, value in asked.items() if value is not None for word in (option, str(value))]


def say_threshold_next(model: Path, engine: str | None = None, precision: str | None = None) -> None:
    """Name the command that shows what is promised, and what other thresholds would do; your own model is not asked."""
    own = engine is not None and ":" in engine
    say_next("threshold", model, *served_words(None if own else engine, precision))


def free_name(name: str) -> str:
    """Give a name that nothing has yet: the name itself, or with the first free number.

    Examples
    --------
    >>> free_name("no such file.csv")
    'no such file.csv'
    """
    path = Path(name)
    numbered = (f"{path.with_suffix('')}-{n}{path.suffix}" for n in count(2))
    return next(one for one in chain([name], numbered) if not Path(one).exists())


def reading_words(how: "Reading", *names: str) -> Iterator[str]:
    """Yield the options that read a file as `how` does, of those named: all that differ from their defaults.

    Examples
    --------
    >>> from elsewise.data.labelled_texts import Reading
    >>> list(reading_words(Reading(text_column="body", encoding="cp1254"), "text_column", "format"))
    ['--text-column', 'body']
    """
    usual = type(how)()
    for name in names:
        value: Any = getattr(how, name)
        if value != getattr(usual, name):
            yield from (f"--{name.replace('_', '-')}", str(value))
