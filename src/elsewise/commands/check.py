"""``elsewise check``."""

from typing import Annotated

import typer

from elsewise.options import (
    ConfidenceLevel,
    Delimiter,
    Dropped,
    Encoder,
    Encoding,
    Format,
    HeldOut,
    Json,
    LabelColumn,
    Maps,
    MaxLength,
    OutOfScope,
    Seed,
    SkipBadRows,
    TargetAccuracy,
    Test,
    TextColumn,
    program,
    reading,
)
from elsewise.showing import print_json, show_checked


def check(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Labelled texts: .csv, .tsv or .jsonl.")],
    text_column: TextColumn = "text",
    label_column: LabelColumn = "label",
    encoder: Encoder = None,
    target_accuracy: TargetAccuracy = 0.95,
    confidence_level: ConfidenceLevel = 0.95,
    out_of_scope_label: OutOfScope = None,
    held_out: HeldOut = None,
    test: Test = None,
    max_length: MaxLength = 256,
    seed: Seed = 0,
    maps: Maps = None,
    dropped: Dropped = None,
    skip_bad_rows: SkipBadRows = False,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    file_format: Format = None,
    as_json: Json = False,
) -> None:
    """Say what is in a file and what is wrong with it, before any training; exit 1 where fit would refuse it."""
    import shlex
    from dataclasses import asdict

    from elsewise.encoders import DEFAULT_ENCODER
    from elsewise.file_check import check_file

    columns = (text_column, label_column, delimiter, encoding, file_format)
    checked = check_file(
        data,
        reading(*columns, maps, dropped, skip_bad_rows=skip_bad_rows),
        held_out=held_out,
        test=test,
        encoder=encoder or DEFAULT_ENCODER,
        target_accuracy=target_accuracy,
        confidence_level=confidence_level,
        out_of_scope_label=out_of_scope_label,
        max_length=max_length,
        seed=seed,
    )
    command = f"{program()} {shlex.join(['fit', data, '-o', 'model', *checked.options])}"
    if as_json:
        print_json({**asdict(checked), "command": command})
    else:
        show_checked(checked, command)
    if checked.findings.of_level("error"):
        raise typer.Exit(1)
