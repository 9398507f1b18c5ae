"""``elsewise calibrate``."""

from typing import Annotated, Any

import typer

from elsewise.cli.options import (
    ConfidenceLevel,
    Delimiter,
    Encoding,
    Features,
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
from elsewise.cli.output import say, say_if_alike
from elsewise.cli.tables import show_fitted
from elsewise.errors import InputError

SHOWN = 5  # names of columns


def calibrate(
    logits: Annotated[
        str,
        typer.Option(metavar="FILE", help="Logits: .npy, .npz, or .csv with a column of numbers a label."),
    ],
    labels: Annotated[str, typer.Option(metavar="FILE", help="True codes (.npy, .npz), or labels or codes (.csv).")],
    out: Out,
    features: Features = None,
    out_of_scope_logits: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Logits of more rows, which belong to none of the labels."),
    ] = None,
    out_of_scope_features: Annotated[str | None, typer.Option(metavar="FILE", help="Their features.")] = None,
    test_logits: Annotated[str | None, typer.Option(metavar="FILE", help="Logits of rows to report on.")] = None,
    test_labels: Annotated[str | None, typer.Option(metavar="FILE", help="Their labels or codes.")] = None,
    test_features: Annotated[str | None, typer.Option(metavar="FILE", help="Their features.")] = None,
    names: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Label names, one a line, in the order of the columns."),
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
    from elsewise.data.labels import label_codes
    from elsewise.data.logits import read_codes, read_logits, read_names
    from elsewise.fitting.calibrate import calibrate as calibrate_logits
    from elsewise.storage.sealed_folder import check_target

    check_target(out)
    if (test_logits is None) != (test_labels is None):
        raise InputError("test rows need both --test-logits and --test-labels")
    for part, with_logits, with_features in (
        ("out-of-scope", out_of_scope_logits, out_of_scope_features),
        ("test", test_logits, test_features),
    ):
        if (with_features is not None) != (features is not None and with_logits is not None):
            raise InputError(f"--{part}-features belongs to --features and --{part}-logits: give it where both are")
    how = reading("text", label_column, delimiter, encoding, None)
    asked = read_names(names, encoding) if names else None
    array, columns = read_logits(logits, how, asked)
    if columns and not asked:
        dots = ", ..." * (len(columns) > SHOWN)
        say(f"{logits}: its {len(columns):,} columns are the labels {', '.join(columns[:SHOWN])}{dots}")
    known = asked or columns or tuple(map(str, range(array.shape[-1])))
    say_if_alike(other, known)
    code_of = label_codes(known, out_of_scope_label)

    def rows(path: str, beside: str | None) -> tuple[Any, ...]:
        """Read logits, with features where there are any."""
        more = () if beside is None else (read_logits(beside, how)[0],)
        return (read_logits(path, how, known)[0], *more)

    outside = None if out_of_scope_logits is None else rows(out_of_scope_logits, out_of_scope_features)
    tested = None
    if test_logits is not None and test_labels is not None:
        z, *more = rows(test_logits, test_features)
        tested = (z, read_codes(test_labels, how, code_of), *more)
    classifier = calibrate_logits(
        array,
        read_codes(labels, how, code_of),
        labels=known,
        features=None if features is None else read_logits(features, how)[0],
        out_of_scope=outside[0] if outside and features is None else outside,
        test=tested,
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
