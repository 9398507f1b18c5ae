"""Explain why a text gets its label, or Other: the words that pulled, the nearest texts, the part read, and a receipt.

The pull of a word is found by occlusion: the text is answered again without it (Zeiler & Fergus 2014,
https://arxiv.org/abs/1311.2901; Li, Monroe & Jurafsky 2016, https://arxiv.org/abs/1612.08220). That shows what the
model does with this text when the word is missing, not why a person would choose the label. Two words with the same
meaning hide each other: without either of them, the other still pulls.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from unicodedata import category

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Floats, as_texts, label_words
from elsewise.classifier.classifier import Classifier
from elsewise.classifier.packing import NAMES
from elsewise.data.language import WORD
from elsewise.engines import reads_logits, tokenizer_of
from elsewise.engines.cascade import every_text_read
from elsewise.engines.tokenizer import readable
from elsewise.errors import InputError
from elsewise.evaluation.receipt import receipt_of
from elsewise.outputs import Evidence, ReadSpan
from elsewise.progress import Progress
from elsewise.rules.explanation import Explanation, Neighbour, Pull
from elsewise.scores.distances import unit

MOST_PARTS: Final = 64  # passes at most; the words of a longer text are left out several at a time
NEIGHBOURS: Final = 5
CHUNK: Final = 1024  # known texts, between two reports of progress
NO_BLANKS: Final = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")  # the scripts that WORD parts
EDGES: Final = "PC"  # Unicode categories of punctuation, and of what is not seen
TINY: Final = 1e-30

Span = tuple[int, int]


def explain(
    classifier: Classifier,
    text: str,
    *,
    language: str = "en",
    top: int = 5,
    neighbours: tuple[Sequence[str], Sequence[str]] | None = None,
    occlusion: bool = True,
    progress: Progress | None = None,
) -> Explanation:
    """Explain why a text gets its label, or Other.

    Parameters
    ----------
    classifier : Classifier
        A classifier of texts.
    text : str
        The text.
    language : str
        Language of the sentences, from `elsewise.messages`.
    top : int
        How many of the most probable labels are given with their probabilities.
    neighbours : (n texts, their n labels), optional
        Known texts, such as those of training: the 5 that are nearest to the text are shown.
    occlusion : bool
        Whether to find the words that pulled; the text is answered at most 64 more times for it.
    progress : callable, optional
        Called with (words, known texts done, all known texts).

    Raises
    ------
    InputError
        If the classifier is one of logits, the language is unknown, or neighbours are given for an engine without
        features.

    Examples
    --------
    The log-odds of "no" are 2, -3 without "not", and 1 without "good".

    >>> from elsewise import FixedThreshold, Identity
    >>> from elsewise.engines.memory import MemoryEngine
    >>> known = {"not good": [0.0, 2.0], " good": [3.0, 0.0], "not ": [0.0, 1.0]}
    >>> classifier = Classifier(MemoryEngine(("yes", "no"), known), Identity(), FixedThreshold(0.6))
    >>> explanation = explain(classifier, "not good")
    >>> explanation.label, [(pull.words, round(pull.pull, 4)) for pull in explanation.words]
    ('no', [('not', 5.0), ('good', 1.0)])
    """
    asked = occluded(classifier, text, occlusion=occlusion)
    evidence = classifier.evidence(asked.texts)
    made = explained(classifier, asked, evidence.take(np.arange(1)), evidence.probabilities, language=language, top=top)
    if not neighbours or np.isnan(evidence.probabilities[0, 0]):
        return made
    return replace(made, neighbours=_nearest(classifier, asked.texts[0], evidence, neighbours, progress))


@dataclass(frozen=True, slots=True)
class Occluded:
    """A text, and the same text without each of its parts: what a model is asked to explain it.

    Attributes
    ----------
    texts : tuple of str
        The text, and its m versions.
    read : str
        What the model reads of the text.
    parts : tuple of (int, int)
        The m parts, as spans of `read`.
    extent : ReadSpan or None
        How much of the text is read.
    """

    texts: tuple[str, ...]
    read: str
    parts: tuple[Span, ...]
    extent: ReadSpan | None


def occluded(classifier: Classifier, text: str, *, occlusion: bool = True) -> Occluded:
    """Leave out each part of a text; InputError as `explain`."""
    if reads_logits(classifier.engine):
        raise InputError("a model of logits reads no text; explain a row: classifier.decide(logits).explain(row)")
    (text,) = as_texts([text])
    tokenizer, shown = tokenizer_of(classifier.engine), readable(text)
    extent = None if tokenizer is None else tokenizer.read_span(text)
    read = shown if extent is None else shown[: extent.characters_read]
    parts = _parts(read) if occlusion else []
    return Occluded((text, *(read[:start] + read[end:] for start, end in parts)), read, tuple(parts), extent)


def explained(
    classifier: Classifier, asked: Occluded, evidence: Evidence, p: Floats, *, language: str = "en", top: int = 5
) -> Explanation:
    """Explain a text by what a classifier's model says of it.

    Parameters
    ----------
    evidence : Evidence of 1 text
        That of ``asked.texts[0]``.
    p : (1 + m, k)
        Probabilities of all of `asked.texts`.
    """
    decisions = classifier.decisions(evidence)
    is_read = decisions.best[0] >= 0
    return replace(
        decisions.explain(0, language),
        probabilities=_best(classifier, p[0], top) if is_read else {},
        score=NAMES[type(classifier.rule.score)],
        words=_pulls(asked.read, asked.parts, p, int(decisions.best[0])) if is_read else (),
        extent=asked.extent,
        receipt=receipt_of(classifier, asked.texts[0], decisions),
    )


def words_of(text: str) -> list[Span]:
    """Find the words of a text, as spans: what is between blanks, without the punctuation around it.

    In scripts without blanks, `elsewise.data.language.WORD` finds them.

    Examples
    --------
    >>> text = "Don't know :-( 東京, 5 €!"
    >>> [text[start:end] for start, end in words_of(text)]
    ["Don't", 'know', '東', '京', '5', '€']
    """
    spans: list[Span] = []
    for run in re.finditer(r"\S+", text):
        start, end = run.span()
        if NO_BLANKS.search(text, start, end):
            spans += [word.span() for word in WORD.finditer(text, start, end)]
            continue
        while start < end and category(text[start])[0] in EDGES:
            start += 1
        while start < end and category(text[end - 1])[0] in EDGES:
            end -= 1
        spans += [(start, end)] if start < end else []
    return spans


def _parts(text: str) -> list[Span]:
    """Divide the words of a text into parts of equally many words, each a stretch of the text."""
    words = words_of(text)
    groups = np.array_split(np.arange(len(words)), min(len(words), MOST_PARTS) or 1)
    return [(words[group[0]][0], words[group[-1]][1]) for group in groups if len(group)]


def _best(classifier: Classifier, p: Floats, top: int) -> dict[str, float]:
    order = np.argsort(-p, kind="stable")[:top]
    return {classifier.labels[code]: float(p[code]) for code in order.tolist()}


def _pulls(text: str, parts: Sequence[Span], p: Floats, best: int) -> tuple[Pull, ...]:
    """Sort the parts by their pull; leave out a part without which nothing can be read."""
    odds = _log_odds(p, best)
    without = p[1:, best].tolist()
    pulls = [
        Pull(text[start:end], start, end, float(odds[0] - rest), probability)
        for (start, end), rest, probability in zip(parts, odds[1:], without, strict=True)
        if not np.isnan(rest)
    ]
    return tuple(sorted(pulls, key=lambda pull: -pull.pull))


def _log_odds(p: Floats, best: int) -> NDArray[np.float64]:
    """Compute the log-odds of the best label against all others together: unlike probabilities, they differ near 1."""
    exact = p.astype(np.float64)
    others = np.delete(exact, best, axis=1).sum(axis=1)
    return np.log(np.maximum(exact[:, best], TINY)) - np.log(np.maximum(others, TINY))


def _nearest(
    classifier: Classifier, text: str, evidence: Evidence, known: tuple[Sequence[str], Sequence[str]],
    progress: Progress | None,
) -> tuple[Neighbour, ...]:  # fmt: skip
    texts, labels = as_texts(known[0]), label_words(known[1])
    if len(texts) != len(labels):
        raise InputError(f"neighbours need a label for each text, got {len(texts)} texts and {len(labels)} labels")
    if not evidence.has_features:
        raise InputError(f"the nearest texts need features, and engine {classifier.engine.name} gives none")
    engine = every_text_read(classifier.engine)
    here: Any = evidence.features[:1] if engine is classifier.engine else engine.run([text]).features
    here = unit(here.astype(np.float64))[0]
    similar = np.empty(len(texts))
    for start in range(0, len(texts), CHUNK):
        features: Any = engine.run(texts[start : start + CHUNK]).features
        similar[start : start + CHUNK] = unit(features.astype(np.float64)) @ here
        if progress:
            progress("comparing", min(start + CHUNK, len(texts)), len(texts))
    order = np.argsort(-similar, kind="stable")[:NEIGHBOURS].tolist()  # NaN of an unreadable text sorts last
    return tuple(Neighbour(readable(texts[i]), labels[i], float(similar[i])) for i in order if not np.isnan(similar[i]))
