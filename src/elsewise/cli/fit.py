"""``elsewise fit``."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from elsewise.cli.options import (
    Baseline,
    ConfidenceLevel,
    Delimiter,
    Dropped,
    Encoder,
    Encoding,
    Engine,
    Ensemble,
    Epochs,
    Format,
    HeldOut,
    Json,
    LabelColumn,
    Laplace,
    Maps,
    MaxLength,
    McDropout,
    Other,
    Out,
    OutOfScope,
    Precision,
    RefitRows,
    Score,
    Seed,
    SkipBadRows,
    TargetAccuracy,
    Test,
    TextColumn,
    engine_of,
    labelled,
    reading,
)
from elsewise.cli.output import progress_bar, say, say_if_alike
from elsewise.cli.tables import show_fitted

USUAL = {"batch_size": 64, "max_length": 256}


def fit(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Labelled texts: .csv, .tsv or .jsonl; - for stdin.")],
    out: Out,
    text_column: TextColumn = "text",
    label_column: LabelColumn = "label",
    encoder: Encoder = None,
    target_accuracy: TargetAccuracy = 0.95,
    confidence_level: ConfidenceLevel = 0.95,
    out_of_scope_label: OutOfScope = None,
    held_out: HeldOut = None,
    test: Test = None,
    other: Other = "Other",
    epochs: Epochs = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Of the encoder, at its peak; chosen by its width otherwise."),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Texts in a training step.")] = USUAL["batch_size"],
    max_length: MaxLength = USUAL["max_length"],
    class_weights: Annotated[
        str | None,
        typer.Option(help="balanced: rare labels count as much as frequent ones while the weights learn."),
    ] = None,
    engine: Engine = "auto",
    precision: Precision = "auto",
    score: Score = "auto",
    ensemble: Ensemble = None,
    mc_dropout: McDropout = None,
    laplace: Laplace = False,
    baseline: Baseline = True,
    seed: Seed = 0,
    restart: Annotated[bool, typer.Option("--restart", help="Train afresh where an unfinished training is.")] = False,
    refit_rows: RefitRows = True,
    maps: Maps = None,
    dropped: Dropped = None,
    skip_bad_rows: SkipBadRows = False,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    file_format: Format = None,
    as_json: Json = False,
) -> None:
    """Fine-tune an encoder on labelled texts, calibrate it, and certify when it says Other; if stopped, goes on.

    With --engine module:object nothing is trained: a model of yours is calibrated and certified.
    """
    from elsewise.engines.encoders import DEFAULT_ENCODER
    from elsewise.fitting.fit import fit as fit_texts
    from elsewise.storage.sealed_folder import check_target

    check_target(out)  # now, and not when the training is over
    model = engine_of(engine)
    columns = (text_column, label_column, delimiter, encoding, file_format)
    how = reading(*columns, maps, dropped, skip_bad_rows=skip_bad_rows)
    files = {"data": data, "held_out": held_out, "test": test}
    named = {name: path for name, path in files.items() if path}
    read = dict(zip(named, labelled(list(named.values()), how), strict=True))
    given: dict[str, Any] = {name: (one.texts, one.labels) for name, one in read.items()}
    texts, labels = given.pop("data")
    training: dict[str, Any] = {
        "encoder": encoder or DEFAULT_ENCODER,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "max_length": max_length,
        "class_weights": class_weights,
        "precision": precision,
        "ensemble": ensemble,
        "mc_dropout": mc_dropout,
        "laplace": laplace,
        "baseline": baseline,
        "restart": restart,
    }
    if not isinstance(model, str):  # what was not asked for is not refused
        training = {name: value for name, value in training.items() if value and value != USUAL.get(name)}
    say_if_alike(other, labels)
    with _unfinished(out) as unfinished, progress_bar() as progress:
        classifier = fit_texts(
            texts,
            labels,
            target_accuracy=target_accuracy,
            confidence_level=confidence_level,
            out_of_scope_label=out_of_scope_label,
            other=other,
            keep_refit_rows=refit_rows,
            progress=progress,
            note=say,
            checkpoints=unfinished if isinstance(model, str) else None,
            engine=model,
            score=score,
            seed=seed,
            **training,
            **given,
        )
        mended = {name: one.record for name, one in read.items() if one.record}
        if mended:
            classifier = classifier.with_provenance(record={**classifier.provenance.record, "mended": mended})
        classifier.save(out)
    show_fitted(classifier, out, as_json=as_json)


@contextmanager
def _unfinished(out: Path) -> Iterator[Path]:
    """Give the folder of checkpoints beside the model: removed when the model is written, and told of when stopped."""
    from elsewise.training.checkpoint_folder import remove

    place = out if out.name else out.absolute()  # the model may be made in "."
    folder = place.with_name(f"{place.name}.unfinished")
    try:
        yield folder
        remove(folder)
    except (KeyboardInterrupt, SystemExit):
        has_some = folder.is_dir() and any(folder.iterdir())
        say(f"stopped; the same command goes on from the last checkpoint in {folder}" if has_some else "stopped")
        raise
    finally:
        with suppress(OSError):
            folder.rmdir()  # if nothing is in it
