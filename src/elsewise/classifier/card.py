"""Write the model card: README.md of a model folder, for the person who finds it."""

import html
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

from elsewise.classifier.packing import unpack
from elsewise.engines import cascade, kind_of, second_opinion, token_counts
from elsewise.rules import Rule, threshold_words
from elsewise.storage.json_files import Json

FIGURES = (
    ("accuracy", "Accuracy"),
    ("macro_f1", "Macro-F1"),
    ("log_loss", "Log loss"),
    ("brier", "Brier score"),
    ("auc", "AUC, one versus rest"),
    ("ece", "Expected calibration error"),
)
OF_TRANSFORMERS = ("export", "fit")  # values of `certify_again` for folders that `transformers` opens too


def model_card(
    description: Json, evaluation: Json | None = None,
    arrays: Mapping[str, NDArray[Any]] = MappingProxyType({}), learned: Json = MappingProxyType({}),
) -> str:  # fmt: skip
    """Write the card of a folder, in Markdown with the usual front matter.

    `description` and `evaluation` are the contents of elsewise.json and evaluation.json; `arrays` are those of the
    parts and of the (n,) kept rows, of which only the names are used; `learned` says how the baseline was trained.
    """
    engine, labels = description["engines"][description["engine"]], description["labels"]
    kind = kind_of(engine["name"])
    is_text = kind.reads == "texts"
    library = ["library_name: transformers"] if kind.certify_again in OF_TRANSFORMERS else []
    tags = ["pipeline_tag: text-classification", "tags: [elsewise]"]
    front = ["---", *library, *tags, *_hub(evaluation, engine), "---", ""]
    title = "# A text classifier that says Other" if is_text else "# A calibrated classifier of logits"
    parts = [
        "\n".join(front) + title if is_text and kind.certify_again != "pass it" else title,
        _promise(unpack(engine["rule"], arrays, Path("elsewise.json"))),
        INTENDED.format(other=_plain(description["other"])),
        _use(engine, description["record"]),
        _figures(evaluation, engine),
        _baseline(evaluation, learned),
        _engines(description["engine"], engine["gate"]),
        _made(description, engine["name"], arrays),
        LIMITS,
        f"## Labels\n\n{len(labels)}: " + ", ".join(map(_plain, labels)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _promise(rule: Rule) -> str:
    if rule.certificate is None:
        return f"## Promise\n\nNone: the threshold {threshold_words(rule)} was not tested for one."
    return f"## Promise\n\n{_plain(rule.certificate.sentence)}"


INTENDED = """## Intended use

It sorts texts of the kind that it was trained on, and leaves to a person what it is not sure of: the answer is then
{other}. It is not meant for decisions about people that no person looks at."""

LIMITS = """## Limits

The promise is about texts of the same source as the rows that it was tested on, and about all answers together. When
texts change, it ends: label some new ones now and then, and run `elsewise evaluate`."""

WIDGET = ("where is my order", "I was charged twice", "what is the capital of France")  # nobody's texts


def _hub(evaluation: Json | None, engine: Json) -> list[str]:
    """Give the metadata that model hubs show: example texts, and figures; a JSON line is YAML too."""
    widget = f"widget: {json.dumps([{'text': text} for text in WIDGET])}"
    if evaluation is None:
        return [widget]
    shown = {name: evaluation["classifier"][name]["value"] for name in ("accuracy", "macro_f1", "log_loss", "ece")}
    if "system" in evaluation and evaluation["engine"]["fingerprint"] == engine["fingerprint"]:
        shown |= {name: evaluation["system"][name]["value"] for name in ("coverage", "accuracy_when_answered")}
    known = {name: float(value) for name, value in shown.items() if value is not None}
    metrics = [{"type": name, "value": value} for name, value in known.items() if math.isfinite(value)]
    result = {"task": {"type": "text-classification"}, "dataset": {"name": "its test rows", "type": "private"},
              "metrics": metrics}  # fmt: skip
    return [widget, f"model-index: {json.dumps([{'name': 'elsewise', 'results': [result]}])}"]


TEXT_USE = """## Use

```sh
elsewise predict THIS_FOLDER texts.csv -o answers.csv
```

```python
import elsewise as ew

classifier = ew.load("THIS_FOLDER")
classifier.decide(["a text"]).labels
```"""

OTHER_TOOLS = """

`transformers.pipeline("text-classification", model="THIS_FOLDER", top_k=None, truncation=True)` gives calibrated
probabilities too, without Other: the calibration is folded into the last layer."""

WITHOUT_HEAD = """

Other tools find the encoder as it came, without its head, which lies in `head.safetensors`."""

OTHER_PROBABILITIES = {
    "ensemble": "They are those of the first member alone; here they are the mean of {members}, re-calibrated.",
    "laplace": "They are those before Laplace, which here makes some texts less sure.",
    "mc_dropout": "They are those of the whole model; here they are the mean of {passes} thinned ones, re-calibrated.",
    cascade.KEY: "They are those of the fine-tuned model alone; here token counts answer the texts they are sure of.",
    second_opinion.KEY: "They are those of the fine-tuned model alone; here other opinions are mixed in.",
    token_counts.KEY: "They are those of the fine-tuned model alone; here those of token counts are mixed in.",
}
OPINIONS = {
    token_counts.KEY: "An opinion of token counts",
    second_opinion.KEY: "A second opinion, of the encoder as it came,",
}

GIVEN_USE = """## Use

This folder was fitted around a model that it does not contain ({model}). Pass the model with every call:

```sh
elsewise predict THIS_FOLDER texts.csv -o answers.csv --engine MODULE:OBJECT
```

```python
import elsewise as ew

classifier = ew.load("THIS_FOLDER", engine=model)
classifier.decide(["a text"]).labels
```"""

LOGITS_USE = """## Use

```sh
elsewise predict THIS_FOLDER logits.npy -o answers.csv
```"""

INEXACT = """ They are those of float32; this model was
certified in {precision}, where probabilities differ a little, and the promise is about those."""


def _use(engine: Json, record: Json) -> str:
    kind, settings = kind_of(engine["name"]), engine["settings"]
    if kind.reads == "logits":
        return LOGITS_USE
    if kind.certify_again == "pass it":
        return GIVEN_USE.format(model=_plain(settings["model"]))
    if kind.certify_again not in OF_TRANSFORMERS:
        return TEXT_USE
    if record.get("training", {}).get("quick"):
        return TEXT_USE + WITHOUT_HEAD
    precision = settings.get("precision", "f32")
    asked = next(
        (key for key in (cascade.KEY, second_opinion.KEY, token_counts.KEY) if key in settings), engine["name"]
    )
    around = OTHER_PROBABILITIES.get(asked, "").format(
        members=len(settings.get("members", ())), passes=settings.get("passes")
    )
    inexact = "" if precision == "f32" else INEXACT.format(precision=precision)
    return TEXT_USE + OTHER_TOOLS + (f" {around}" if around else "") + inexact


def _baseline(evaluation: Json | None, record: Json) -> str:
    judged = (evaluation or {}).get("baseline")
    if judged is None:
        return ""
    learned = f", learned in {record['seconds']:,.0f} seconds" if "seconds" in record else ""
    figures = (("accuracy", "accuracy"), ("log_loss", "log loss"), ("coverage", "coverage"),
               ("accuracy_when_answered", "accuracy when answered"))  # fmt: skip
    values = ", ".join(f"{words} {_number(judged[name]['value'])}" for name, words in figures)
    where = "the model folder `baseline`" if record else "not kept, for its vocabulary would hold words of the texts"
    return (
        f"## Is the encoder worth it?\n\n{judged['sentence']} The baseline is TF-IDF and logistic regression{learned}: "
        f"{values}. It is {where}."
    )


def _engines(key: str, gate: Sequence[Json]) -> str:
    if not gate:
        return ""
    title = f"## Engine\n\nCertified on {key}. On tune rows, each after its own re-fit:\n"
    lines = [title,
             "| | accuracy | log loss | other best label | largest change | texts/s | close enough |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    lines += [
        f"| {row['engine']} | {_number(row['accuracy'])} | {_number(row['log_loss'])} | {row['changed']:.2%} "
        f"| {row['worst_change']:.4f} | {row['texts_per_second']:,.0f} | {'yes' if row['passed'] else 'no'} |"
        for row in gate
    ]
    return "\n".join(lines)


def _figures(evaluation: Json | None, served: Json) -> str:
    if evaluation is None:
        return ""
    rows, bare, engine = (evaluation[part] for part in ("rows", "classifier", "engine"))
    lines = [f"## Figures\n\nOn {rows['in_scope']:,} in-scope and {rows['out_of_scope']:,} out-of-scope test texts.\n",
             "| | value | 95 % interval |", "|---|---|---|"]  # fmt: skip
    shown = [(words, bare[name]) for name, words in FIGURES]
    ships = "system" in evaluation and engine["fingerprint"] == served["fingerprint"]
    if ships:  # the evaluation is of the engine that answers
        system = evaluation["system"]
        shown += [("Coverage", system["coverage"]), ("Accuracy when answered", system["accuracy_when_answered"])]
    lines += [
        f"| {words} | {_number(e['value'])} | {_number(e['low'])} to {_number(e['high'])} |" for words, e in shown
    ]
    null = _number(bare["ece"]["null"])
    lines.append(f"\nA perfectly calibrated model would measure a calibration error of {null} on these texts.")
    if not ships:
        lines.append("\nCoverage and accuracy when answered were not judged with this threshold: `elsewise evaluate`.")
    if evaluation.get("strangers") and engine["fingerprint"] == served["fingerprint"]:
        lines.append(f"\n{evaluation['strangers']['sentence']} Some may belong to a label of this model.")
    return "\n".join(lines)


def _plain(text: str) -> str:
    r"""Write somebody's words on one line, so that Markdown and HTML show them as they are.

    Examples
    --------
    >>> print(_plain("a_b\n\n# <b>[c](d)"))
    a\_b \# &lt;b&gt;\[c\](d)
    """
    return re.sub(r"([\\`*_\[\]#|~$!]|://)", r"\\\1", html.escape(" ".join(text.split()), quote=False))


def _number(value: float | str | None) -> str:
    """Write a figure; evaluations read from JSON hold None for NaN and words for infinities."""
    return "-" if value is None else f"{float(value):.4f}"


def _chosen(choice: Json) -> str:
    """Say which calibrator was chosen, and why; with figures where several were compared."""
    words = f"Calibrator {choice['chosen']}, on {choice['rows']:,} rows: {choice['why']}."
    if not choice["compared"]:
        return words
    losses = ", ".join(f"{row['calibrator']} {_number(row['log_loss'])}" for row in choice["compared"])
    changed = next(row["changed"] for row in choice["compared"] if row["calibrator"] == choice["chosen"])
    return f"{words} Log loss on rows held out: {losses}. It gives {changed:.2%} of these rows another best label."


def _opinion(whose: str, worth: Json) -> str:
    """Say what a further opinion was worth on tune rows, and so whether it is asked."""
    gain, error = worth["log_loss_gain"], worth["standard_error"]
    asked = f"is asked about {worth['share_asked']:.0%} of texts" if worth["kept"] else "was left out"
    change = f"{'falls' if gain > 0 else 'rises'} by {abs(gain):.4f} with it (standard error {error:.4f})"
    return f"{whose} {asked}: the log loss of tune rows {change}."


def _cascade(tried: Json) -> str:
    return f"A cascade was {'kept' if tried['kept'] else 'left out'}: {tried['why']}."


def _kept(choice: Json) -> list[str]:
    """Say which model is served, where it is not the fine-tuned encoder, and why."""
    is_baseline = choice.get("kept") == "baseline"
    learned = ["TF-IDF and logistic regression, learned on the train rows."] if is_baseline else []
    return learned + [words for words in [choice.get("sentence")] if words]


def _made(description: Json, engine: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    record = description["record"]
    lines = []
    if "training" in record:
        training = record["training"]
        last = training["seed"] + (training.get("ensemble") or 1) - 1
        seeds = f"seed {last}" if last == training["seed"] else f"seeds {training['seed']} to {last}"
        how = f"at most {training['epochs']} epochs, {seeds}"
        if training.get("quick"):
            how = "as it came, with a logistic regression on its embedding"
        lines.append(f"Encoder {_plain(training['encoder'])}, {how}.")
    lines += _kept(record.get("kept", {}))
    if "model" in record:
        kind, folder = record["model"]["kind"], record["model"]["folder"]
        lines.append(f"{kind} from {_plain(folder)}, fine-tuned before, on texts that are not known here.")
    if "splits" in record:
        lines.append("Rows: " + ", ".join(f"{name} {count:,}" for name, count in record["splits"].items()) + ".")
    if description["folded"] is not None:
        whose = " of the first member" if engine == "ensemble" else ""
        folded = unpack(description["folded"], arrays, Path("elsewise.json"))
        lines.append(f"{folded.sentence}, folded into the last layer{whose}.")
    if "calibrator" in record:
        lines.append(_chosen(record["calibrator"]))
    lines += [_opinion(whose, record[key]) for key, whose in OPINIONS.items() if key in record]
    lines += [_cascade(tried) for key, tried in record.items() if key == cascade.KEY]
    if "score" in record:
        lines.append(f"Confidence: `{record['score']['chosen']}`.")
    if any(name.startswith("refit.") for name in arrays):
        held = "logits and codes of tune and certify rows"
        if "refit.tune.lengths" in arrays:
            parts = "tune and certify" if "model" in record else "tune, certify and some train"
            held = f"tokens of {parts} texts: it is customer data"
        lines.append(f"`refit.safetensors` holds {held}.")
    return "## How it was made\n\n" + " ".join(lines) if lines else ""
