"""``elsewise explain``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from elsewise.errors import InputError
from elsewise.options import (
    Delimiter,
    Encoding,
    Format,
    Json,
    LabelColumn,
    Language,
    ModelPath,
    ServedEngine,
    ServedPrecision,
    TextColumn,
    Threads,
    reading,
)
from elsewise.showing import print_confirmation, print_explanation, print_json, progress_bar, say

if TYPE_CHECKING:
    from elsewise.reading import Reading


def explain(
    model: ModelPath,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The text; - reads it from stdin.")],
    language: Language = "en",
    top: Annotated[int, typer.Option(min=1, help="So many best labels with their probabilities.")] = 5,
    words: Annotated[bool, typer.Option(help="Find the words that pulled, by leaving each out.")] = True,
    neighbours: Annotated[
        str | None, typer.Option(metavar="FILE", help="Labelled texts, such as those of training: show the nearest.")
    ] = None,
    receipt_out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the receipt here.")] = None,
    receipt: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Confirm this receipt: the same model, text and answer?")
    ] = None,
    text_column: TextColumn = "text",
    label_column: LabelColumn = "label",
    engine: ServedEngine = None,
    precision: ServedPrecision = None,
    threads: Threads = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    file_format: Format = None,
    as_json: Json = False,
) -> None:
    """Tell why a text gets its label, or Other; or confirm a receipt of that."""
    from elsewise.classifier import load
    from elsewise.explaining import explain as explain_text
    from elsewise.folder import write_json
    from elsewise.messages import messages

    messages(language)  # it is there: said before anything slow
    if receipt is not None and receipt_out is not None:
        raise InputError("--receipt confirms a receipt and --receipt-out writes one; choose one of them")
    if receipt_out is not None and receipt_out.resolve().is_relative_to(model.resolve()):
        raise InputError(
            f"{receipt_out} lies in the model folder, which must stay as it was written; choose another name"
        )
    text = _from_stdin(encoding) if text == "-" else text
    if receipt is not None:
        _confirm(model, text, receipt, (engine, precision, threads), as_json=as_json)
        return
    known = _labelled(neighbours, reading(text_column, label_column, delimiter, encoding, file_format))
    classifier = load(model, engine=engine, precision=precision, threads=threads)
    with progress_bar() as progress:
        made = explain_text(
            classifier, text, language=language, top=top, neighbours=known, occlusion=words, progress=progress
        )
    if receipt_out is not None:
        write_json(receipt_out, made.receipt)
        say(f"written: {receipt_out}")
    if as_json:
        print_json(made.as_dict())
    else:
        print_explanation(made)


def _from_stdin(encoding: str | None) -> str:
    """Read the text whole, but for the line end that `echo` adds."""
    from elsewise.formats.lines import open_lines

    text = "".join(open_lines("-", encoding))
    return text.removesuffix("\n").removesuffix("\r")


def _labelled(path: str | None, how: "Reading") -> tuple[list[str], list[str]] | None:
    from elsewise.reading import read_labelled

    if path is None:
        return None
    read = read_labelled(path, how, strict=False)
    say(f"{path}: {len(read.texts):,} rows, {', '.join(read.notes)}")
    return read.texts, read.labels


def _confirm(
    model: Path, text: str, file: Path, asked: tuple[str | None, str | None, int | None], *, as_json: bool
) -> None:
    """Answer again on the engine of the receipt, unless another one is asked for, and compare."""
    from dataclasses import asdict

    from elsewise.classifier import load
    from elsewise.receipts import confirm, read_receipt, receipt_of

    known = read_receipt(file)
    engine, precision, threads = asked
    if engine is None and precision is None:
        engine, precision = known["model"]["engine"], known["model"]["precision"]
    classifier = load(model, engine=engine, precision=precision, threads=threads)
    confirmation = confirm(known, receipt_of(classifier, text))
    if as_json:
        print_json({"confirmed": confirmation.confirmed, **asdict(confirmation)})
    else:
        print_confirmation(confirmation)
    if not confirmation.confirmed:
        say(f"elsewise: {file} is not confirmed: {confirmation.difference}")
        raise typer.Exit(1)
