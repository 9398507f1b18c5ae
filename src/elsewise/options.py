"""What commands share: their options, and how to read files by them."""

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from elsewise.showing import say

if TYPE_CHECKING:
    from elsewise.reading import Reading

ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder.")]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="MODEL", help="The model folder to write.")]
TextColumn = Annotated[str, typer.Option(help="The column that holds the texts.")]
LabelColumn = Annotated[str, typer.Option(help="The column that holds the labels.")]
Delimiter = Annotated[str | None, typer.Option(help="Of CSV files; read from the header otherwise.")]
Encoding = Annotated[str | None, typer.Option(help="Of the files, such as cp1254; UTF-8 otherwise.")]
Format = Annotated[
    str | None, typer.Option("--format", help="csv, tsv or jsonl, where the name of the file does not say.")
]
TargetAccuracy = Annotated[float, typer.Option(help="Promise: at least this share of what is answered is right ...")]
ConfidenceLevel = Annotated[float, typer.Option(help="... at this confidence level.")]
Other = Annotated[str, typer.Option(help="The word shown for an abstention.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the splits and the training.")]
Score = Annotated[
    str, typer.Option(help="The confidence that meets the threshold, by name: auto is the best on tune rows.")
]
Engine = Annotated[
    str, typer.Option(help="auto, openvino, onnxruntime or torch: auto is torch on a GPU, else openvino.")
]
Precision = Annotated[
    str, typer.Option(help="auto, f32, bf16, f16 or int8: auto is the fastest that is close enough to f32.")
]
Threads = Annotated[int | None, typer.Option(min=1, help="Of the engine; the cores that it may use otherwise.")]
ServedEngine = Annotated[
    str | None, typer.Option("--engine", help="One that MODEL is certified on; its default otherwise.")
]
ServedPrecision = Annotated[
    str | None, typer.Option("--precision", help="One that MODEL is certified on; its default otherwise.")
]
RefitRows = Annotated[bool, typer.Option(help="Keep tune and certify rows in the folder: tokens, logits and codes.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Epochs = Annotated[
    int | None, typer.Option(min=1, help="At most so many passes; 3 to 12 by the number of rows otherwise.")
]
Ensemble = Annotated[int | None, typer.Option(min=2, help="Train so many models, and average them.")]
McDropout = Annotated[
    int | None, typer.Option("--mc-dropout", min=2, help="Average so many thinned networks of the model, on torch.")
]
Laplace = Annotated[
    bool, typer.Option("--laplace", help="Be less sure where train texts say little about the last layer.")
]
OutOfScope = Annotated[str | None, typer.Option(help="The label of rows that belong to none of the labels.")]


def reading(
    text: str,
    label: str = "label",
    delimiter: str | None = None,
    encoding: str | None = None,
    file_format: str | None = None,
) -> "Reading":
    """Put together how files are read."""
    from elsewise.reading import Reading

    return Reading(text, label, delimiter, encoding, file_format)


def labelled(path: str, how: "Reading") -> tuple[list[str], list[str]]:
    """Read texts and labels, every row or none, and say how they were read."""
    from elsewise.reading import read_labelled

    read = read_labelled(path, how, strict=True)
    say(f"{path}: {len(read.texts):,} rows, {', '.join(read.notes)}")
    return read.texts, read.labels


def program() -> str:
    """Say how this program was started, so that a command that it prints works when it is typed."""
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        return "python -m elsewise"
    found = shutil.which("elsewise")
    return "elsewise" if found and started.resolve() == Path(found).resolve() else os.path.relpath(started)
