"""What commands share: their options, and how to read files by them."""

import os
import shutil
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from elsewise.cli.output import say
from elsewise.errors import InputError

if TYPE_CHECKING:
    from elsewise.data.labelled_texts import LabelledFile, Reading

ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder.")]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="MODEL", help="The model folder to write.")]
TextColumn = Annotated[
    str,
    typer.Option(help="The column that holds the texts; several, with commas between them, are joined by a blank."),
]
LabelColumn = Annotated[str, typer.Option(help="The column that holds the labels.")]
Delimiter = Annotated[str | None, typer.Option(help="Of CSV files; read from the header otherwise.")]
Encoding = Annotated[str | None, typer.Option(help="Of the files, such as cp1254; UTF-8 otherwise.")]
Format = Annotated[
    str | None,
    typer.Option("--format", help="csv, tsv or jsonl, where the name of the file does not say."),
]
Maps = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="OLD=NEW", help="Rename a label while reading; repeatable."),
]
Dropped = Annotated[
    list[str] | None,
    typer.Option("--drop-label", metavar="LABEL", help="Leave out the rows of a label; repeatable."),
]
SkipBadRows = Annotated[
    bool,
    typer.Option("--skip-bad-rows", help="Leave out rows that cannot be used or have a blank text."),
]
HeldOut = Annotated[str | None, typer.Option(metavar="FILE", help="Rows to calibrate and certify on.")]
Test = Annotated[str | None, typer.Option(metavar="FILE", help="Rows to report on.")]
Encoder = Annotated[str | None, typer.Option(help="A BERT-family encoder, by name or folder.")]
MaxLength = Annotated[int, typer.Option(min=8, help="Tokens read of a text.")]
TargetAccuracy = Annotated[float, typer.Option(help="Promise: at least this share of what is answered is right ...")]
ConfidenceLevel = Annotated[float, typer.Option(help="... at this confidence level.")]
Other = Annotated[str, typer.Option(help="The word shown for an abstention.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the splits and the training.")]
Score = Annotated[
    str,
    typer.Option(help="The confidence that meets the threshold, by name: auto is the best on tune rows."),
]
Engine = Annotated[
    str,
    typer.Option(
        help="auto, openvino, onnxruntime or torch: auto is torch on a GPU, else openvino. Or module:object, a model "
        "of yours that is trained already: the module is imported, from this folder too, and DATA are new to it.",
    ),
]
Precision = Annotated[
    str,
    typer.Option(help="auto, f32, bf16, f16 or int8: auto is the fastest that is close enough to f32."),
]
Threads = Annotated[int | None, typer.Option(min=1, help="Of the engine; the cores that it may use otherwise.")]
ServedEngine = Annotated[
    str | None,
    typer.Option(
        "--engine",
        help="One that MODEL is certified on, its default otherwise; or module:object, the model that it was fitted "
        "around: the module is imported, from this folder too.",
    ),
]
KeptEngine = Annotated[
    str | None,
    typer.Option("--engine", help="One that MODEL is certified on; its default otherwise."),
]
Features = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Features (.npy, .npz, .csv), a row for each row of logits."),
]
ServedPrecision = Annotated[
    str | None,
    typer.Option("--precision", help="One that MODEL is certified on; its default otherwise."),
]
Language = Annotated[str, typer.Option(help="Of the sentences: en (English) or tr (Turkish).")]
RefitRows = Annotated[bool, typer.Option(help="Keep tune and certify rows in the folder: tokens, logits and codes.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Epochs = Annotated[
    int | None,
    typer.Option(min=1, help="At most so many passes; 3 to 12 by the number of rows otherwise."),
]
Ensemble = Annotated[int | None, typer.Option(min=2, help="Train so many models, and average them.")]
McDropout = Annotated[
    int | None,
    typer.Option("--mc-dropout", min=2, help="Average so many thinned networks of the model, on torch."),
]
Laplace = Annotated[
    bool,
    typer.Option("--laplace", help="Be less sure where train texts say little about the last layer."),
]
Baseline = Annotated[
    bool,
    typer.Option(help="Fit TF-IDF and logistic regression too, to tell what the encoder is worth."),
]
OutOfScope = Annotated[str | None, typer.Option(help="The label of rows that belong to none of the labels.")]


def reading(
    text: str,
    label: str = "label",
    delimiter: str | None = None,
    encoding: str | None = None,
    file_format: str | None = None,
    maps: list[str] | None = None,
    dropped: list[str] | None = None,
    *,
    skip_bad_rows: bool = False,
) -> "Reading":
    """Put together how files are read."""
    from elsewise.data.labelled_texts import Reading

    mending = (tuple(maps or ()), tuple(dropped or ()), skip_bad_rows)
    return Reading(text, label, delimiter, encoding, file_format, *mending)


def labelled(paths: Sequence[str], how: "Reading") -> "list[LabelledFile]":
    """Read texts and labels of files, every row or none unless bad ones are skipped, and say how they were read."""
    from elsewise.data.labelled_texts import read_files
    from elsewise.messages.wording import counted

    read = read_files(paths, how, strict=True)
    for path, one in zip(paths, read, strict=True):
        say(f"{path}: {counted(len(one.texts), 'row')}, {', '.join(one.notes)}")
    return read


def refuse_inside(out: str, model: Path) -> None:
    """Refuse to write a file into a model folder."""
    if out != "-" and Path(out).resolve().is_relative_to(model.resolve()):
        raise InputError(f"{out} lies in the model folder, which must stay as it was written; choose another name")


def engine_of(named: str | None) -> Any:
    """Import the model that ``module:object`` names, also from the current folder; pass another name through.

    Raises
    ------
    InputError
        If there is no such module or object, or the module fails.
    """
    module, colon, attribute = (named or "").partition(":")
    if not colon:
        return named
    if module.endswith(".py") or not module:
        raise InputError(f"--engine {named}: name a module without its ending, as in {module[:-3] or 'module'}:object")
    sys.path.insert(0, str(Path.cwd()))  # as `python -m` does
    try:
        found = import_module(module)
    except Exception as error:  # whatever the user's own code may raise
        kind = "" if isinstance(error, ModuleNotFoundError) else f"{type(error).__name__}: "
        shown = "" if isinstance(error, ModuleNotFoundError) else f"; python -c 'import {module}' shows where"
        raise InputError(f"--engine {named}: the module cannot be imported: {kind}{error}{shown}") from error
    finally:
        sys.path.pop(0)
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise InputError(f"--engine {named}: there is no {name!r} in {module}; name the object as in module:object")
        found = getattr(found, name)
    return found


def program() -> str:
    """Say how this program was started, so that a command that it prints works when it is typed."""
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        return "python -m elsewise"
    found = shutil.which("elsewise")
    return "elsewise" if found and started.resolve() == Path(found).resolve() else os.path.relpath(started)
