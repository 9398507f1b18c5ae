"""``elsewise explain``."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from elsewise.cli.next_step import free_name, say_next, served_words
from elsewise.cli.options import (
    AsJson,
    Files,
    Language,
    ModelPath,
    Overwrite,
    ServedOptions,
    TopShown,
    refuse_replacing,
)
from elsewise.cli.output import print_json, print_table, to_stderr, to_stdout
from elsewise.cli.panels import DATA, OUTPUT, Only
from elsewise.cli.stopping import wrote
from elsewise.errors import InputError
from elsewise.progress import showing

if TYPE_CHECKING:
    from elsewise.data.labelled_texts import Reading
    from elsewise.evaluation.receipt import Confirmation
    from elsewise.outputs import ReadSpan
    from elsewise.rules.explanation import Explanation
    from elsewise.storage.json_files import Json


def explain(
    model: ModelPath,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Text to explain. - reads it from stdin.")],
    files: Annotated[Files, Only("text_column", "label_column", "delimiter", "encoding", "format")],
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
        _confirm(model, text, receipt, served, as_json=as_json)
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
        to_stderr(f"written: {receipt_out}")
    if as_json:
        print_json(made.as_dict())
        return
    _print_explanation(made)
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


def _confirm(model: Path, text: str, file: Path, served: ServedOptions, *, as_json: bool) -> None:
    """Answer again on the engine of the receipt, or on the engine of the options, and compare."""
    from dataclasses import asdict, replace

    from elsewise.evaluation.receipt import confirm, read_receipt, receipt_of

    known = read_receipt(file)
    if served.engine is None and served.precision is None:
        served = replace(served, engine=known["model"]["engine"], precision=known["model"]["precision"])
    confirmation = confirm(known, receipt_of(served.load(model), text))
    if as_json:
        print_json({"confirmed": confirmation.confirmed, **asdict(confirmation)})
    else:
        _print_confirmation(confirmation)
    if not confirmation.confirmed:
        to_stderr(f"elsewise: {file} is not confirmed: {confirmation.difference}")
        raise typer.Exit(1)


WORDS_SHOWN = 5  # words shown for each direction of pull
NAMES_SHOWN = 8
CHARACTERS_SHOWN = 200


def _compared(explained: "Explanation") -> str:
    """Say what was compared with the threshold."""
    if math.isnan(explained.confidence):
        return "a gate bars the text, whatever its confidence"
    return f"the confidence ({explained.score}) is {explained.confidence:.4g}, the threshold {explained.threshold:.4g}"


def _print_explanation(explained: "Explanation") -> None:
    """Print why a text was decided as it was."""
    to_stdout(explained.sentence)
    to_stdout(f"For a customer: {explained.customer_sentence}")
    if explained.probabilities:
        to_stdout(f"\nThe best labels; {_compared(explained)}")
        print_table("", ("label", "probability"), [(name, f"{p:.4f}") for name, p in explained.probabilities.items()])
    for name, labels in (("Nearest labels", explained.nearest), ("Labels that stay possible", explained.possible)):
        if labels:
            to_stdout(f"{name}: {_some(labels)}")
    _print_words(explained)
    if explained.neighbours:
        rows = [(f"{near.similarity:.3f}", near.label, _some([near.text])) for near in explained.neighbours]
        to_stdout("\nThe nearest known texts")
        print_table("", ("similarity", "label", "text"), rows)
    if explained.extent is not None:
        to_stdout(_how_much(explained.extent))
    if explained.receipt is not None:
        _print_receipt(explained.receipt)


def _print_words(explained: "Explanation") -> None:
    towards = [pull for pull in explained.words if pull.pull > 0][:WORDS_SHOWN]
    against = [pull for pull in explained.words if pull.pull < 0][-WORDS_SHOWN:]
    if towards or against:
        best = next(iter(explained.probabilities))
        rows = [(f"{pull.pull:+.2f}", f"{pull.without:.4f}", _some([pull.words])) for pull in (*towards, *against)]
        to_stdout(f'\nWhat pulled towards "{best}" (+) and away from it (-), in log-odds')
        print_table("", ("pull", "probability without", "words"), rows)


def _how_much(extent: "ReadSpan") -> str:
    words = f"Tokens used: {extent.tokens:,}"
    if extent.truncated:
        dropped = extent.characters - extent.characters_read
        words += f'; dropped: the last {dropped:,} of {extent.characters:,} characters, after "{extent.last_words}"'
    if extent.unknown:
        words += f"; not in the vocabulary: {_some(dict.fromkeys(extent.unknown), ' ')}"
    return words


def _some(names: Iterable[str], between: str = ", ") -> str:
    from elsewise.messages.wording import listed, shortened

    return listed((shortened(name, CHARACTERS_SHOWN) for name in names), NAMES_SHOWN, between)


def _print_receipt(receipt: "Json") -> None:
    model, certificate = receipt["model"], receipt["certificate"]
    name = " ".join(filter(None, (model["engine"], model["precision"], model["fingerprint"])))
    to_stdout(f"Model: {name}; decision version {receipt['decision_version']}")
    to_stdout(f"Text: SHA-256 {receipt['text_sha256']}")
    to_stdout(f"Certificate: {'none' if certificate is None else certificate['sentence']}")


def _print_confirmation(confirmation: "Confirmation") -> None:
    """Print what a receipt and the new answer have in common."""
    for name in ("text", "model", "decision_version", "certificate"):
        to_stdout(f"{name.replace('_', ' ')}: {'the same' if getattr(confirmation, name) else 'different'}")
    answer = {
        "identical": "the same, bit for bit",
        "close": "the same; its probability differs by no more than between processors",
        "different": "different",
    }
    to_stdout(f"answer: {answer[confirmation.answer]}")
