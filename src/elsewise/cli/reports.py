"""The report of a model folder, written as the folder is."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elsewise.classifier.classifier import Classifier
    from elsewise.progress import Progress


def save_with_report(classifier: "Classifier", out: Path, progress: "Progress | None", **how: Any) -> None:
    """Save a fitted classifier with its report.html; `how` are arguments of `elsewise.report.page`."""
    from elsewise.report import page

    if progress:
        progress("writing the report", 0, 0)
    made = page(classifier.provenance.judged, classifier, model=str(out), **how)
    classifier.with_provenance(report=made.html).save(out)
