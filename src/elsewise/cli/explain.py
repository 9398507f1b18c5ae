"""``elsewise explain``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from elsewise.cli.options import (
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
    engine_of,
    reading,
)
from elsewise.cli.output import print_json, print_table, progress_bar, say, tell
from elsewise.errors import InputError

if TYPE_CHECKING:
    from elsewise.data.labelled_texts import Reading
    from elsewise.evaluation.receipt import Confirmation
    from elsewise.outputs import Extent
    from elsewise.rules.explanation import Explanation
    from elsewise.storage.json_files import Json as JsonObject


def explain(
    model: ModelPath,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The text; - reads it from stdin.")],
    language: Language = "en",
    top: Annotated[int, typer.Option(min=1, help="So many best labels with their probabilities.")] = 5,
    words: Annotated[bool, typer.Option(help="Find the words that pulled, by leaving each out.")] = True,
    neighbours: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Labelled texts, such as those of training: show the nearest."),
    ] = None,
    receipt_out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the receipt here.")] = None,
    receipt: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Confirm this receipt: the same model, text and answer?"),
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
    from elsewise.classifier.load import load
    from elsewise.evaluation.explaining import explain as explain_text
    from elsewise.messages import messages
    from elsewise.storage.json_files import write_json

    messages(language)  # it is there: said before anything slow
    if receipt is not None and receipt_out is not None:
        raise InputError("--receipt confirms a receipt and --receipt-out writes one; choose one of them")
    if receipt_out is not None and receipt_out.resolve().is_relative_to(model.resolve()):
        raise InputError(
            f"{receipt_out} lies in the model folder, which must stay as it was written; choose another name",
        )
    text = _from_stdin(encoding) if text == "-" else text
    if receipt is not None:
        _confirm(model, text, receipt, (engine, precision, threads), as_json=as_json)
        return
    known = _labelled(neighbours, reading(text_column, label_column, delimiter, encoding, file_format))
    classifier = load(model, engine=engine_of(engine), precision=precision, threads=threads)
    with progress_bar() as progress:
        made = explain_text(
            classifier,
            text,
            language=language,
            top=top,
            neighbours=known,
            occlusion=words,
            progress=progress,
        )
    if receipt_out is not None:
        write_json(receipt_out, made.receipt)
        say(f"written: {receipt_out}")
    if as_json:
        print_json(made.as_dict())
    else:
        _print_explanation(made)


def _from_stdin(encoding: str | None) -> str:
    """Read the text whole, but for the line end that `echo` adds."""
    from elsewise.data.lines import open_lines

    text = "".join(open_lines("-", encoding))
    return text.removesuffix("\n").removesuffix("\r")


def _labelled(path: str | None, how: "Reading") -> tuple[list[str], list[str]] | None:
    from elsewise.data.labelled_texts import read_labelled

    if path is None:
        return None
    read = read_labelled(path, how, strict=False)
    say(f"{path}: {len(read.texts):,} rows, {', '.join(read.notes)}")
    return read.texts, read.labels


def _confirm(
    model: Path,
    text: str,
    file: Path,
    asked: tuple[str | None, str | None, int | None],
    *,
    as_json: bool,
) -> None:
    """Answer again, on the engine of the receipt if no engine is named, and compare."""
    from dataclasses import asdict

    from elsewise.classifier.load import load
    from elsewise.evaluation.receipt import confirm, read_receipt, receipt_of

    known = read_receipt(file)
    engine, precision, threads = asked
    if engine is None and precision is None:
        engine, precision = known["model"]["engine"], known["model"]["precision"]
    classifier = load(model, engine=engine_of(engine), precision=precision, threads=threads)
    confirmation = confirm(known, receipt_of(classifier, text))
    if as_json:
        print_json({"confirmed": confirmation.confirmed, **asdict(confirmation)})
    else:
        _print_confirmation(confirmation)
    if not confirmation.confirmed:
        say(f"elsewise: {file} is not confirmed: {confirmation.difference}")
        raise typer.Exit(1)


WORDS_SHOWN = 5  # that pulled one way
NAMES_SHOWN = 8
CHARACTERS_SHOWN = 200


def _print_explanation(explained: "Explanation") -> None:
    """Print why a text was decided as it was."""
    tell(explained.sentence)
    tell(f"For a customer: {explained.customer_sentence}")
    if explained.probabilities:
        against = f"the confidence ({explained.score}) is {explained.confidence:.4g}"
        tell(f"\nThe best labels; {against}, the threshold {explained.threshold:.4g}")
        print_table("", ("label", "probability"), [(name, f"{p:.4f}") for name, p in explained.probabilities.items()])
    for name, labels in (("Nearest labels", explained.nearest), ("Labels that stay possible", explained.possible)):
        if labels:
            tell(f"{name}: {_some(labels, ', ')}")
    _print_words(explained)
    if explained.neighbours:
        rows = [(f"{near.similarity:.3f}", near.label, _beginning(near.text)) for near in explained.neighbours]
        tell("\nThe nearest known texts")
        print_table("", ("similarity", "label", "text"), rows)
    if explained.extent is not None:
        tell(_how_much(explained.extent))
    if explained.receipt is not None:
        _print_receipt(explained.receipt)


def _print_words(explained: "Explanation") -> None:
    towards = [pull for pull in explained.words if pull.pull > 0][:WORDS_SHOWN]
    against = [pull for pull in explained.words if pull.pull < 0][-WORDS_SHOWN:]
    if towards or against:
        best = next(iter(explained.probabilities))
        rows = [(f"{pull.pull:+.2f}", f"{pull.without:.4f}", _beginning(pull.words)) for pull in (*towards, *against)]
        tell(f'\nWhat pulled towards "{best}" (+) and away from it (-), in log-odds')
        print_table("", ("pull", "probability without", "words"), rows)


def _how_much(extent: "Extent") -> str:
    words = f"Tokens used: {extent.tokens:,}"
    if extent.truncated:
        dropped = extent.characters - extent.characters_read
        words += f'; dropped: the last {dropped:,} of {extent.characters:,} characters, after "{extent.last_words}"'
    if extent.unknown:
        words += f"; not in the vocabulary: {_some(list(dict.fromkeys(extent.unknown)), ' ')}"
    return words


def _beginning(text: str) -> str:
    return text if len(text) <= CHARACTERS_SHOWN else f"{text[:CHARACTERS_SHOWN]} ..."


def _some(names: Sequence[str], between: str) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return between.join(map(_beginning, names[:NAMES_SHOWN])) + more


def _print_receipt(receipt: "JsonObject") -> None:
    model, certificate = receipt["model"], receipt["certificate"]
    name = " ".join(filter(None, (model["engine"], model["precision"], model["fingerprint"])))
    tell(f"Model: {name}; decision version {receipt['decision_version']}")
    tell(f"Text: SHA-256 {receipt['text_sha256']}")
    tell(f"Certificate: {'none' if certificate is None else certificate['sentence']}")


def _print_confirmation(confirmation: "Confirmation") -> None:
    """Print what a receipt and the answer that is given now have in common."""
    for name in ("text", "model", "decision_version", "certificate"):
        tell(f"{name.replace('_', ' ')}: {'the same' if getattr(confirmation, name) else 'different'}")
    answer = {
        "identical": "the same, bit for bit",
        "close": "the same; its probability differs by no more than between processors",
        "different": "different",
    }
    tell(f"answer: {answer[confirmation.answer]}")
