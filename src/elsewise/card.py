"""The model card: README.md of a model folder, for the person who finds it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elsewise.classifier import Classifier

FIGURES = (
    ("accuracy", "Accuracy"),
    ("macro_f1", "Macro-F1"),
    ("log_loss", "Log loss"),
    ("brier", "Brier score"),
    ("auc", "AUC, one versus rest"),
    ("ece", "Expected calibration error"),
)


def model_card(classifier: "Classifier") -> str:
    """Write the card of a classifier, in Markdown with the usual front matter."""
    is_text = classifier.engine.name != "logits"
    front = ["---", "library_name: transformers", "pipeline_tag: text-classification", "tags: [elsewise]", "---", ""]
    parts = [
        "\n".join(front) + "# A text classifier that says Other" if is_text else "# A calibrated classifier of logits",
        _promise(classifier),
        _use(classifier, is_text=is_text),
        _figures(classifier.evaluation),
        _made(classifier),
        f"## Labels\n\n{len(classifier.labels)}: " + ", ".join(f"`{label}`" for label in classifier.labels),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _promise(classifier: "Classifier") -> str:
    certificate = classifier.certificate
    if certificate is None:
        return f"## Promise\n\nNone: the threshold {classifier.rule.threshold:g} was not tested for one."
    return f"## Promise\n\n{certificate.sentence}"


TEXT_USE = """## Use

```sh
elsewise predict THIS_FOLDER texts.csv -o answers.csv
```

```python
import elsewise as ew

classifier = ew.load("THIS_FOLDER")
classifier.decide(["a text"]).labels
```

`transformers.pipeline("text-classification", model="THIS_FOLDER", top_k=None, truncation=True)` gives the same
calibrated probabilities, without Other: the calibration is folded into the last layer."""

LOGITS_USE = """## Use

```sh
elsewise predict THIS_FOLDER logits.npy -o answers.csv
```"""

HALF_PRECISION = """
This model answers in bfloat16, and the promise was tested there. Tools that run it in float32 give slightly
other probabilities; `elsewise fit --precision f32` makes a model that agrees with them to the fifth decimal."""


def _use(classifier: "Classifier", *, is_text: bool) -> str:
    if not is_text:
        return LOGITS_USE
    return TEXT_USE + (HALF_PRECISION if classifier.engine.settings.get("precision") == "bf16" else "")


def _figures(evaluation: Mapping[str, Any] | None) -> str:
    if evaluation is None:
        return ""
    rows, bare, system = (evaluation[part] for part in ("rows", "classifier", "system"))
    lines = [f"## Figures\n\nOn {rows['in_scope']:,} in-scope and {rows['out_of_scope']:,} out-of-scope test texts.\n",
             "| | value | 95 % interval |", "|---|---|---|"]  # fmt: skip
    shown = [(words, bare[name]) for name, words in FIGURES]
    shown += [("Coverage", system["coverage"]), ("Accuracy when answered", system["accuracy_when_answered"])]
    lines += [
        f"| {words} | {_number(e['value'])} | {_number(e['low'])} to {_number(e['high'])} |" for words, e in shown
    ]
    null = _number(bare["ece"]["null"])
    lines.append(f"\nA perfectly calibrated model would measure a calibration error of {null} on these texts.")
    return "\n".join(lines)


def _number(value: float | str | None) -> str:
    """Write a figure; evaluations read from JSON hold None for NaN and words for infinities."""
    return "-" if value is None else f"{float(value):.4f}"


def _made(classifier: "Classifier") -> str:
    record = classifier.record
    lines = []
    if "training" in record:
        training = record["training"]
        lines.append(f"Encoder `{training['encoder']}`, at most {training['epochs']} epochs, seed {training['seed']}.")
    if "splits" in record:
        lines.append("Rows: " + ", ".join(f"{name} {count:,}" for name, count in record["splits"].items()) + ".")
    if classifier.folded is not None and hasattr(classifier.folded, "temperature"):
        lines.append(f"Temperature {classifier.folded.temperature:.4f}, folded into the last layer.")
    if any(name.startswith("refit.") for name in classifier.arrays):
        lines.append("`refit.safetensors` holds tokens of tune and certify texts: it is customer data.")
    return "## How it was made\n\n" + " ".join(lines) if lines else ""
