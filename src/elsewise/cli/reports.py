"""The report of a model folder, written as the folder is."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from elsewise.cli.output import to_stderr
from elsewise.errors import ElsewiseError

if TYPE_CHECKING:
    from elsewise.classifier.classifier import Classifier
    from elsewise.progress import Progress


def save_with_report(classifier: "Classifier", out: Path, progress: "Progress | None", **how: Any) -> None:
    """Save a fitted classifier with its report.html; `how` are arguments of `elsewise.report.page`.

    A page that cannot be made is named, with the command that makes one later: what was trained is saved all the same.
    """
    from elsewise.report import page

    if progress:
        progress("writing the report", 0, 0)
    try:
        made = page(classifier.provenance.judged, classifier, model=str(out), **how)
    except ElsewiseError as error:
        to_stderr(f"no report is written: {error}; later: elsewise evaluate {out} DATA --report report.html")
        classifier.save(out)
    else:
        classifier.with_provenance(report=made.html).save(out)
