"""``elsewise fit``."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from elsewise.options import (
    ConfidenceLevel,
    Delimiter,
    Encoding,
    Engine,
    Ensemble,
    Epochs,
    Format,
    Json,
    LabelColumn,
    Laplace,
    McDropout,
    Other,
    Out,
    OutOfScope,
    Precision,
    RefitRows,
    Score,
    Seed,
    TargetAccuracy,
    TextColumn,
    labelled,
    reading,
)
from elsewise.showing import progress_bar, say, show_fitted


def fit(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Labelled texts: .csv, .tsv or .jsonl; - for stdin.")],
    out: Out,
    text_column: TextColumn = "text",
    label_column: LabelColumn = "label",
    encoder: Annotated[str | None, typer.Option(help="A BERT-family encoder, by name or folder.")] = None,
    target_accuracy: TargetAccuracy = 0.95,
    confidence_level: ConfidenceLevel = 0.95,
    out_of_scope_label: OutOfScope = None,
    held_out: Annotated[str | None, typer.Option(metavar="FILE", help="Rows to calibrate and certify on.")] = None,
    test: Annotated[str | None, typer.Option(metavar="FILE", help="Rows to report on.")] = None,
    other: Other = "Other",
    epochs: Epochs = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Of the encoder, at its peak; chosen by its width otherwise.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Texts in a training step.")] = 64,
    max_length: Annotated[int, typer.Option(min=8, help="Tokens read of a text.")] = 256,
    class_weights: Annotated[
        str | None, typer.Option(help="balanced: rare labels count as much as frequent ones while the weights learn.")
    ] = None,
    engine: Engine = "auto",
    precision: Precision = "auto",
    score: Score = "auto",
    ensemble: Ensemble = None,
    mc_dropout: McDropout = None,
    laplace: Laplace = False,
    seed: Seed = 0,
    restart: Annotated[bool, typer.Option("--restart", help="Train afresh where an unfinished training is.")] = False,
    refit_rows: RefitRows = True,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    file_format: Format = None,
    as_json: Json = False,
) -> None:
    """Fine-tune an encoder on labelled texts, calibrate it, and certify when it says Other; if stopped, goes on."""
    from elsewise.encoders import DEFAULT_ENCODER
    from elsewise.fitting import fit as fit_texts
    from elsewise.folder import check_target

    check_target(out)  # now, and not when the training is over
    how = reading(text_column, label_column, delimiter, encoding, file_format)
    texts, labels = labelled(data, how)
    if other in labels:
        say(f"a label is called {other!r}, as abstentions are: tell them apart by the column abstained, or by --other")
    with _unfinished(out) as unfinished, progress_bar() as progress:
        classifier = fit_texts(
            texts,
            labels,
            encoder=encoder or DEFAULT_ENCODER,
            target_accuracy=target_accuracy,
            confidence_level=confidence_level,
            out_of_scope_label=out_of_scope_label,
            other=other,
            keep_refit_rows=refit_rows,
            progress=progress,
            note=say,
            checkpoints=unfinished,
            restart=restart,
            epochs=epochs,
            learning_rate=learning_rate,
            batch_size=batch_size,
            max_length=max_length,
            engine=engine,
            precision=precision,
            score=score,
            ensemble=ensemble,
            mc_dropout=mc_dropout,
            laplace=laplace,
            held_out=labelled(held_out, how) if held_out else None,
            test=labelled(test, how) if test else None,
            seed=seed,
            class_weights=class_weights,
        )
        classifier.save(out)
    show_fitted(classifier, out, as_json=as_json)


@contextmanager
def _unfinished(out: Path) -> Iterator[Path]:
    """Give the folder of checkpoints beside the model: removed when the model is written, and told of when stopped."""
    from elsewise.unfinished import remove

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
