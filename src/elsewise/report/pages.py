"""Write a report: contents, pictures and words put into templates, as one page that needs no other file."""

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from elsewise.classifier.classifier import Classifier
from elsewise.errors import InputError
from elsewise.evaluation.comparison import Comparison
from elsewise.evaluation.evaluate import Evaluation
from elsewise.metrics import wilson
from elsewise.pages.rendering import kit_of, rendered, spoken
from elsewise.pages.words import Words
from elsewise.report.comparing import MOST_CHANGED, shown_of
from elsewise.report.contents import FEW, Contents, Judged, collect, is_probability
from elsewise.report.made import commands_of, made_of
from elsewise.report.pictures import matrix, reliability_chart, risk_chart, thousand, threshold_chart
from elsewise.storage.target_file import open_target

SECTIONS: Final = (
    "promises", "explorer", "reasons", "probabilities", "risk", "labels", "outside", "plan", "engines", "glossary",
)  # fmt: skip
GLOSSARY: Final = (
    "label", "other", "probability", "confidence", "threshold", "coverage", "accuracy_when_answered", "promise",
    "confidence_level", "interval", "band", "calibrated", "log_loss", "auc", "out_of_scope",
)  # fmt: skip
OF_SCRIPT: Final = (
    "of", "interval", "cheapest", "nothing", "at_least", "band_at", "band_whole",
    "no_band", "no_command", "copied", "option",
)  # fmt: skip
KIT: Final = {"style": ("report.css",), "script": ("report.js",)}
FRAME: Final = (
    '<iframe srcdoc="{}" width="100%" height="720" style="border:0" sandbox="allow-scripts" title="Elsewise"></iframe>'
)


@dataclass(frozen=True, slots=True)
class Page:
    """A page of HTML that needs no other file and asks for none; a notebook shows it.

    Attributes
    ----------
    html : str
        The whole page.
    """

    html: str

    def write(self, path: str | Path) -> None:
        """Write the page, whole or not at all; InputError if the file cannot be written."""
        with open_target(path) as file:
            file.write(self.html.encode("utf-8", "backslashreplace"))

    def _repr_html_(self) -> str:
        return FRAME.format(html.escape(self.html))


def page(
    evaluation: Evaluation | None,
    classifier: Classifier,
    *,
    language: str = "en",
    model: str = "MODEL",
    with_examples: int = 0,
) -> Page:
    """Write the report of a classifier on the rows of an evaluation.

    Parameters
    ----------
    evaluation : Evaluation or None
        As `elsewise.evaluate` gives it. None: the report says that there were no test rows.
    classifier : Classifier
        The classifier that was evaluated.
    language : str
        A language of `elsewise.messages`.
    model : str
        The model folder, for the commands that the report shows.
    with_examples : int
        Texts to show for each reason. They are often personal data; 0 shows none.

    Raises
    ------
    InputError
        For an unknown language, or a negative number of examples.

    Examples
    --------
    >>> import elsewise as ew
    >>> from elsewise.engines.memory import MemoryEngine
    >>> engine = MemoryEngine(("yes", "no"), {"sure": [4.0, 0.0], "hm": [0.1, 0.0]})
    >>> classifier = ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.6))
    >>> made = page(ew.evaluate(classifier, ["sure", "hm"], ["yes", "no"]), classifier)
    >>> made.html[:15], "<script src" in made.html
    ('<!DOCTYPE html>', False)
    """
    if with_examples < 0:
        raise InputError(f"with_examples must be 0 or more, got {with_examples}")
    words = Words.of(language)
    contents = collect(classifier, evaluation, model=model, with_examples=with_examples)
    shown = {**_shown(contents, words), "title": words("page_title"), "sections": SECTIONS, "glossary": GLOSSARY}
    made = rendered(kit_of("report", **KIT), "report.html", words, _data(contents, words), contents=contents, **shown)
    return Page(made)


def comparison_page(
    comparison: Comparison, *, language: str = "en", texts: Any = None, with_examples: int = 50
) -> Page:
    """Write the page of a comparison.

    Parameters
    ----------
    comparison : Comparison
        As `elsewise.compare` gives it.
    language : str
        A language of `elsewise.messages`; InputError for an unknown one.
    texts : n texts, optional
        The compared texts, to show those that are decided differently. They are often personal data.
    with_examples : int
        How many of these are shown at most.
    """
    words = Words.of(language)
    shown = shown_of(comparison, words, texts, with_examples or MOST_CHANGED)
    kit = kit_of("report", style=KIT["style"])
    return Page(rendered(kit, "comparison.html", words, title=words("compare_title"), c=comparison, **shown))


def _shown(contents: Contents, words: Words) -> dict[str, Any]:
    """Give the pictures and the choices of words."""
    gate = contents.classifier.provenance.gate
    shown: dict[str, Any] = {
        "made": made_of(contents, words), "commands": commands_of(contents), "gate": gate, "few": FEW,
        "plan_kind": _plan_kind(contents), "name_of": _slice_name(words),
        "slice_value": _slice_value(words),
    }  # fmt: skip
    judged, evaluation = contents.judged, contents.evaluation
    if evaluation is not None and evaluation.baseline is not None:
        shown |= _worth(evaluation)
    if judged is None or evaluation is None or evaluation.judged is None:
        return shown
    ece = evaluation.classifier.ece
    return shown | {
        "thousand": thousand(judged.outcomes),
        "reliability_chart": reliability_chart(judged.after, judged.before, words.tick),
        "risk_chart": risk_chart(judged.curves, words.tick),
        "threshold_chart": _threshold_chart(contents, judged, words),
        "matrix": matrix(judged.cells, contents.classifier.labels),
        "label_rows": list(_label_rows(contents, judged)),
        "curve_names": [(curve.name, words(f"curve_{curve.name}")) for curve in judged.curves],
        "is_share": is_probability(evaluation.judged),
        "calibration": "unknown" if ece.value != ece.value else "good" if ece.low <= ece.null else "off",
        "wilson": wilson,
    }


def _threshold_chart(contents: Contents, judged: Judged, words: Words) -> Any:
    digits = 1 if -1 <= judged.counts.thresholds[1:-1].max(initial=0) <= 1 else 0
    return threshold_chart(judged.counts, contents.band, lambda value: words.number(value, digits), words.tick)


@dataclass(frozen=True, slots=True)
class LabelRow:
    """A label at the present threshold: rows that would get it, answered and wrong ones, and whether they are few."""

    name: str
    would_get: int
    answered: int
    wrong: int
    few: bool


def _label_rows(contents: Contents, judged: Judged) -> Iterator[LabelRow]:
    counts = judged.counts
    at = 0 if contents.threshold is None else counts.place(contents.threshold)
    for name, own, rows in zip(contents.classifier.labels, counts.labels, counts.would_get.tolist(), strict=True):
        yield LabelRow(name, rows, int(own.answered[at]), int(own.wrong[at]), rows < FEW)


def _plan_kind(contents: Contents) -> str:
    if contents.plan is None:
        return ""
    more = contents.plan.more_rows
    return "certified" if contents.plan.certificate.certified else "useless" if more is None else "more"


def _worth(evaluation: Evaluation) -> dict[str, Any]:
    """Say whether the encoder is worth it, as the sentence of the evaluation does: it names its own figure."""
    baseline = evaluation.baseline
    assert baseline is not None
    certified = [c is not None and c.certified for c in (evaluation.certificate, baseline.certificate)]
    by_promise = baseline.same_promise and any(certified)
    figure = baseline.difference.answered_right if by_promise else baseline.difference.accuracy
    shown = baseline.p_value < 0.05  # noqa: PLR2004  as `elsewise.evaluation.baseline`
    worth = "better" if shown and figure.low > 0 else "worse" if shown and figure.high < 0 else "open"
    return {"worth": worth, "worth_figure": figure}


def _slice_name(words: Words) -> Any:
    return lambda name: words(f"slice_{name}") if words.has(f"slice_{name}") else name


def _slice_value(words: Words) -> Any:
    """Say the values of the built-in slices in the page's language; those of the caller's columns stay."""

    def value_of(name: str, value: str) -> str:
        if name == "truncated":
            return str(words(value))
        if name == "tokens":
            first, _, rest = value.rpartition(" ")
            kind = "up" if first.startswith("up") else "over" if first.startswith("more") else "range"
            return str(words(f"tokens_{kind}", low=value.partition(" ")[0], high=rest))
        return value

    return value_of


def _data(contents: Contents, words: Words) -> Mapping[str, Any]:
    """Give what the script reads: the counts at every threshold, and the words that it writes."""
    said = spoken(words, OF_SCRIPT)
    judged = contents.judged
    if judged is None:
        return {"words": said}
    chart = _threshold_chart(contents, judged, words)
    start = 0 if contents.threshold is None else judged.counts.place(contents.threshold)
    scale = {name: getattr(chart.x, name) for name in ("low", "high", "start", "end")}
    return {
        "words": said, "counts": judged.counts.as_dict(), "labels": list(contents.classifier.labels),
        "band": [[point.threshold, point.promised] for point in contents.band], "few": FEW, "scale": scale,
        "model": contents.model, "start": start,
    }  # fmt: skip
