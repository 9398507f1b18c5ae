"""The demo: everything that Elsewise does, on a sample of support texts that it makes itself, offline."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elsewise.classifier.classifier import Classifier
from elsewise.data.formats import open_writer
from elsewise.data.sample import OUT_OF_SCOPE, SampleRow, support_texts
from elsewise.errors import InputError
from elsewise.fitting.fit import fit
from elsewise.rules.decisions import Decisions, Reason
from elsewise.storage.sealed_folder import check_target

EXAMPLES_EACH = 3
NEW_SHARE = 8  # one text in so many is kept back, to play the new mail


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo made.

    Attributes
    ----------
    classifier : Classifier
        Fitted on the sample; saved in `folder` / model.
    folder : Path
        Holds support.csv, new.csv (both with labels) and model/.
    new : list of SampleRow
        The texts that were decided, with what they really are.
    decisions : Decisions
        On `new`.
    """

    classifier: Classifier
    folder: Path
    new: list[SampleRow]
    decisions: Decisions

    def examples(self) -> list[tuple[str, str, str]]:
        """Pick a few texts for each reason: text, decision, sentence."""
        chosen = [
            i
            for reason in Reason
            for i in [j for j in range(len(self.new)) if self.decisions.reasons[j] == reason][:EXAMPLES_EACH]
        ]
        return [(self.new[i].text, self.decisions.labels[i], self.decisions.sentence(i)) for i in chosen]

    def reasons(self) -> dict[str, int]:
        """Count the new texts by reason."""
        return dict(Counter(self.decisions.reasons.tolist()))


def run_demo(folder: Path, *, progress: Callable[[str, int, int], None] | None = None, **options: Any) -> Demo:
    """Write the sample, fit on it, save the model, and decide on texts that it has not seen.

    Parameters
    ----------
    folder : Path
        Made if it is not there; InputError if it holds anything but an earlier demo.
    progress : callable, optional
        Called with (words, steps done, steps in all).
    **options
        As for `elsewise.fit`.
    """
    check_target(folder / "model")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "model").is_dir():
        raise InputError(f"{folder} holds other things than a demo; choose another folder with --out")
    rows = support_texts()
    new, known = rows[::NEW_SHARE], [row for i, row in enumerate(rows) if i % NEW_SHARE]
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in (("support.csv", known), ("new.csv", new)):
        with open_writer(folder / name, ("text", "label")) as writer:
            writer.write({"text": row.text, "label": row.label} for row in part)
    texts, labels = [row.text for row in known], [row.label for row in known]
    classifier = fit(texts, labels, out_of_scope_label=OUT_OF_SCOPE, progress=progress, **options)
    classifier.save(folder / "model")
    return Demo(classifier, folder, new, classifier.decide([row.text for row in new]))
