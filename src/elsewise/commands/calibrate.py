"""``elsewise calibrate``."""

from typing import Annotated

import typer

from elsewise.options import (
    ConfidenceLevel,
    Delimiter,
    Encoding,
    Json,
    LabelColumn,
    Other,
    Out,
    OutOfScope,
    RefitRows,
    Score,
    Seed,
    TargetAccuracy,
    reading,
)
from elsewise.showing import show_fitted


def calibrate(
    logits: Annotated[str, typer.Option(metavar="FILE", help="Logits: .npy, or .csv with one numeric column a label.")],
    labels: Annotated[str, typer.Option(metavar="FILE", help="True codes (.npy), or labels or codes (.csv).")],
    out: Out,
    names: Annotated[
        str | None, typer.Option(metavar="FILE", help="Label names, one a line, in the order of the columns.")
    ] = None,
    out_of_scope_label: OutOfScope = None,
    label_column: LabelColumn = "label",
    target_accuracy: TargetAccuracy = 0.95,
    confidence_level: ConfidenceLevel = 0.95,
    other: Other = "Other",
    score: Score = "auto",
    seed: Seed = 0,
    refit_rows: RefitRows = True,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    as_json: Json = False,
) -> None:
    """Calibrate and certify logits that you bring, of any model; no text model needed."""
    from elsewise.fitting import calibrate as calibrate_logits
    from elsewise.fitting import label_codes
    from elsewise.folder import check_target
    from elsewise.reading import read_codes, read_logits, read_names

    check_target(out)
    how = reading("text", label_column, delimiter, encoding, None)
    asked = read_names(names, encoding) if names else None
    array, columns = read_logits(logits, how, asked)
    known = asked or columns or tuple(map(str, range(array.shape[-1])))
    codes = read_codes(labels, how, label_codes(known, out_of_scope_label))
    classifier = calibrate_logits(
        array,
        codes,
        labels=known,
        out_of_scope_label=out_of_scope_label,
        target_accuracy=target_accuracy,
        confidence_level=confidence_level,
        other=other,
        score=score,
        seed=seed,
        keep_refit_rows=refit_rows,
    )
    classifier.save(out)
    show_fitted(classifier, out, as_json=as_json)
