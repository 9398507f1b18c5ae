"""``elsewise explain``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from elsewise.cli.next_step import free_name, say_next, served_words
from elsewise.cli.options import (
    FORM,
    AsJson,
    Files,
    Language,
    ModelPath,
    Overwrite,
    ServedOptions,
    TopShown,
    refuse_replacing,
)
from elsewise.cli.output import print_json, to_stderr
from elsewise.cli.panels import DATA, OUTPUT, Only
from elsewise.cli.stopping import wrote
from elsewise.errors import InputError
from elsewise.progress import showing

if TYPE_CHECKING:
    from elsewise.data.labelled_texts import Reading


def explain(
    model: ModelPath,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Text to explain. - reads it from stdin.")],
    files: Annotated[Files, Only("text_column", "label_column", *FORM)],
    served: ServedOptions,
    neighbours: Annotated[
        str | None, DATA(metavar="FILE", help="Labelled texts, such as the training texts: show the nearest.")
    ] = None,
    language: Language = "en",
    top: TopShown = 5,
    words: Annotated[bool, OUTPUT(help="Find the words that matter, by leaving out each.")] = True,
    receipt_out: Annotated[Path | None, OUTPUT(metavar="FILE", help="Write a receipt to this file.")] = None,
    overwrite: Overwrite = False,
    receipt: Annotated[
        Path | None, OUTPUT(metavar="FILE", help="Confirm this receipt: same model, same text, same answer?")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Explain why a text gets its label, or Other.

    With --receipt, confirm the receipt of an earlier answer.
    """
    from elsewise.cli.explanation import print_explanation
    from elsewise.evaluation.explaining import explain as explain_text
    from elsewise.messages import messages
    from elsewise.storage.json_files import write_json

    messages(language)  # raises for an unknown language, before anything slow
    if receipt is not None and receipt_out is not None:
        raise InputError("--receipt confirms a receipt and --receipt-out writes one; choose one of them")
    if receipt_out is not None and receipt_out.resolve().is_relative_to(model.resolve()):
        raise InputError(
            f"{receipt_out} lies in the model folder, which must stay as it was written; choose another name"
        )
    if receipt_out is not None:
        refuse_replacing(receipt_out, overwrite=overwrite)
    text = _from_stdin(files.encoding) if text == "-" else text
    if receipt is not None:
        _confirm(model, text, receipt, served, language, as_json=as_json)
        return
    known = _labelled(neighbours, files.reading())
    with showing(f"opening {model}") as progress:
        classifier = served.load(model)
        if progress:
            progress("explaining", 0, 0)
        made = explain_text(
            classifier, text, language=language, top=top, neighbours=known, occlusion=words, progress=progress
        )
    if receipt_out is not None:
        write_json(receipt_out, made.receipt)
        wrote(receipt_out)
        to_stderr(messages(language)["explain_written"].format(file=receipt_out))
    if as_json:
        print_json(made.as_dict())
        return
    print_explanation(made, classifier.certificate, language)
    of_text = ["explain", model, *served_words(served.engine, served.precision)]
    receipt_words = ["--receipt", receipt_out] if receipt_out else ["--receipt-out", free_name("receipt.json")]
    if "\n" not in text:
        say_next(*of_text, *receipt_words, *(["--", text] if text.startswith("-") else [text]))


def _from_stdin(encoding: str | None) -> str:
    """Read the whole text, without the line end that `echo` adds."""
    from elsewise.data.lines import open_lines

    text = "".join(open_lines("-", encoding))
    return text.removesuffix("\n").removesuffix("\r")


def _labelled(path: str | None, how: "Reading") -> tuple[list[str], list[str]] | None:
    from elsewise.data.labelled_texts import read_labelled

    if path is None:
        return None
    read = read_labelled(path, how, strict=False)
    to_stderr(f"{path}: {len(read.texts):,} rows, {', '.join(read.notes)}")
    return read.texts, read.labels


def _confirm(model: Path, text: str, file: Path, served: ServedOptions, language: str, *, as_json: bool) -> None:
    """Answer again on the engine of the receipt, or on the engine of the options, and compare."""
    from dataclasses import asdict, replace

    from elsewise.cli.explanation import print_confirmation
    from elsewise.evaluation.receipt import confirm, read_receipt, receipt_of
    from elsewise.messages import messages

    known = read_receipt(file)
    if served.engine is None and served.precision is None:
        served = replace(served, engine=known["model"]["engine"], precision=known["model"]["precision"])
    confirmation = confirm(known, receipt_of(served.load(model), text), language)
    if as_json:
        print_json({"confirmed": confirmation.confirmed, **asdict(confirmation)})
    else:
        print_confirmation(confirmation, language)
    if not confirmation.confirmed:
        words = messages(language)["explain_not_confirmed"].format(file=file, difference=confirmation.difference)
        to_stderr(f"elsewise: {words}")
        raise typer.Exit(1)
