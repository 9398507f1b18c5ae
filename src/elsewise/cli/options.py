"""Options that commands share, and how they read files."""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from elsewise.cli.endpoints import endpoint_engine, is_endpoint, labels_of_folder
from elsewise.cli.output import to_stderr
from elsewise.cli.panels import DATA, ENGINE, OUTPUT, PROMISE, TRAINING, Only
from elsewise.data.defaults import CONFIDENCE_LEVEL, FLOOR, TARGET_ACCURACY
from elsewise.errors import InputError
from elsewise.progress import showing

if TYPE_CHECKING:
    from elsewise.classifier.classifier import Classifier
    from elsewise.data.labelled_texts import LabelledFile, Reading
    from elsewise.data.rows import Columns

ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", help="Model folder.")]

Features = Annotated[str | None, DATA(metavar="FILE", help="Features (.npy, .npz, .csv), one row for each logits row.")]
HeldOut = Annotated[
    str | None, DATA(metavar="FILE", help="Labelled texts to calibrate and certify on. Default: a part of DATA.")
]
LabelsOfLogits = Annotated[
    str | None, DATA(metavar="FILE", help="For logits: true codes (.npy, .npz), or labels or codes (.csv).")
]
Logits = Annotated[
    str | None, DATA(metavar="FILE", help="Logits: .npy, .npz, or .csv with one column of numbers a label.")
]
LogitsOfModels = Annotated[
    list[str] | None,
    DATA("--logits", metavar="FILE", help="Logits (.npy, .csv) of the rows, once for each model of logits, in order."),
]
OutOfScope = Annotated[str | None, DATA(help="Label of the rows that belong to none of the labels.")]
Seed = Annotated[int, DATA(min=0, help="Seed of the splits and, for an encoder, of the training.")]
Test = Annotated[str | None, DATA(metavar="FILE", help="Labelled texts to report on. Default: a part of DATA.")]

Other = Annotated[str, PROMISE(help="Word for an abstention.")]
Score = Annotated[
    str, PROMISE(help="Confidence that is compared with the threshold, by name. auto: the best on tune rows.")
]

Encoder = Annotated[
    str | None,
    TRAINING(
        metavar="ENCODER",
        help="BERT-family encoder, by name or folder. Default: sentence-transformers/all-MiniLM-L6-v2. multilingual: "
        "that of the extra of this name, without a network.",
    ),
]
Epochs = Annotated[int | None, TRAINING(min=1, help="Maximum number of epochs. Default: 3 to 12, fewer for more rows.")]
Lowercase = Annotated[
    str | None,
    TRAINING(
        metavar="LANGUAGE",
        help="tr: lowercase as in Turkish, where capital I has no dot, before the encoder reads. Default: its own way.",
    ),
]
MaxLength = Annotated[int, TRAINING(min=8, help="Tokens of a text that the encoder reads at once, at most.")]
Windows = Annotated[
    int, ENGINE(min=1, help="Read longer texts in up to so many windows, which overlap. Default: they are cut.")
]

Engine = Annotated[
    str,
    ENGINE(
        help="Engine to certify on: auto, native, openvino, onnxruntime or torch. "
        "auto: torch on a GPU, native elsewhere, or openvino where native does not serve."
    ),
]
ApiKeyFrom = Annotated[
    str | None,
    ENGINE(metavar="NAME", help="Environment variable with the key for an endpoint. The key is kept nowhere."),
]
Precision = Annotated[
    str, ENGINE(help="Precision: auto, f32, bf16, f16 or int8. auto: the fastest that is close enough to f32.")
]
Cascade = Annotated[
    bool,
    ENGINE("--cascade", help="Let token counts answer the texts that they are sure of: on short texts, faster."),
]
CascadeChange = Annotated[
    float,
    ENGINE(min=0, max=1, help="Share of labels that --cascade may change, by an upper bound on tune rows."),
]
Threads = Annotated[int | None, ENGINE(min=1, help="Threads of the engine. Default: the cores that it may use.")]
KeptEngine = Annotated[
    str | None,
    ENGINE("--engine", help="Engine to use. Default: the one MODEL was certified on. `elsewise doctor` lists them."),
]
ServedPrecision = Annotated[
    str | None, ENGINE("--precision", help="Precision to use. Default: the one MODEL was certified on.")
]

AsJson = Annotated[bool, OUTPUT("--json", help="Print one JSON object.")]
Language = Annotated[str, OUTPUT(help="Language of the sentences: en (English) or tr (Turkish).")]
Out = Annotated[Path, OUTPUT("--out", "-o", metavar="MODEL", help="Model folder to write.")]
OutChanged = Annotated[
    str | None, OUTPUT("--out", "-o", metavar="OUT", help="File for the rows with different decisions: .csv or .jsonl.")
]
OutFolder = Annotated[Path, OUTPUT("--out", "-o", metavar="FOLDER", help="Folder for the files and the model.")]
OutRows = Annotated[
    str,
    OUTPUT(
        "--out",
        "-o",
        metavar="OUT",
        help="File to write: .csv, .tsv, .jsonl, also .gz or .zst; .parquet or .arrow. - is stdout.",
    ),
]
Verbose = Annotated[
    bool, OUTPUT("--verbose", "-v", help="Print every figure. Default: the promise, and what matters most.")
]
Overwrite = Annotated[bool, OUTPUT("--overwrite", help="Replace what is there. Default: refuse.")]
RefitRows = Annotated[
    bool,
    OUTPUT(
        help="Keep tokens, logits and codes of tune and certify rows in MODEL, to certify again without the texts; and "
        "the baseline, which holds words of them."
    ),
]
TopAdded = Annotated[int, OUTPUT("--top", min=0, help="Add this many best labels with their probabilities.")]
TopShown = Annotated[int, OUTPUT("--top", min=1, help="Show this many best labels with their probabilities.")]


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """Options of a report, one HTML page."""

    report: Annotated[
        str | None,
        OUTPUT("--report", metavar="FILE", help="Also write a report: one .html file that asks for nothing."),
    ] = None
    language: Annotated[str, OUTPUT(help="Language of the report: en (English) or tr (Turkish).")] = "en"
    with_examples: Annotated[
        int,
        OUTPUT(min=0, help="Texts to show in the report for each reason. They may be personal data. Default: none."),
    ] = 0

    def check(self, *models: Path, overwrite: bool = False) -> None:
        """Raise InputError, before anything slow, for an unknown language or a file that cannot be a report.

        One that exists is replaced by --overwrite alone.
        """
        from elsewise.messages import page_messages

        page_messages(self.language)
        if self.report is None:
            return
        if Path(self.report).suffix.lower() not in (".html", ".htm"):
            raise InputError(f"{self.report} cannot be a report: name a .html file with --report")
        if not Path(self.report).absolute().parent.is_dir():
            raise InputError(f"{self.report} cannot be written: there is no folder {Path(self.report).parent}")
        for model in models:
            refuse_inside(self.report, model)
        refuse_replacing(self.report, overwrite=overwrite)

    @property
    def how(self) -> dict[str, Any]:
        """Give the arguments of `elsewise.report.page`."""
        return {"language": self.language, "with_examples": self.with_examples}


@dataclass(frozen=True, slots=True)
class Files:
    """Options for reading files of rows."""

    text_column: Annotated[
        str, DATA(help="Column with the texts. Several, separated by commas, are joined by a space.")
    ] = "text"
    label_column: Annotated[str, DATA(help="Column with the labels.")] = "label"
    maps: Annotated[
        list[str] | None, DATA("--map", metavar="OLD=NEW", help="Rename a label while reading. Repeatable.")
    ] = None
    dropped: Annotated[
        list[str] | None, DATA("--drop-label", metavar="LABEL", help="Leave out the rows of a label. Repeatable.")
    ] = None
    skip_bad_rows: Annotated[
        bool, DATA("--skip-bad-rows", help="Leave out rows that cannot be used and rows with a blank text.")
    ] = False
    delimiter: Annotated[str | None, DATA(help="Delimiter of CSV files. Default: read from the header.")] = None
    encoding: Annotated[str | None, DATA(help="Encoding of the files, such as cp1254. Default: UTF-8.")] = None
    format: Annotated[str | None, DATA(help="Format: csv, tsv or jsonl. Default: the ending of the file name.")] = None
    literal_quotes: Annotated[
        bool,
        DATA(
            "--literal-quotes",
            help="A quote is a character like any other, as in many .tsv files. Default: quotes enclose a cell.",
        ),
    ] = False

    sheet: Annotated[str | None, DATA(help="Sheet of an Excel file. Default: the first one.")] = None
    decimal: Annotated[str, DATA(help="Decimal sign of the numbers in CSV files: . or a comma. Default: a point.")] = (
        "."
    )

    def reading(self) -> "Reading":
        """Turn the options into a `Reading`."""
        from elsewise.data.labelled_texts import Reading

        given = {one.name: getattr(self, one.name) for one in fields(self)}
        return Reading(**given | {"maps": tuple(self.maps or ()), "dropped": tuple(self.dropped or ())})


FORM = ("delimiter", "encoding", "format", "literal_quotes", "sheet")  # how a file is written
NEW_FILES = ("text_column", "label_column", "maps", "dropped", "skip_bad_rows", *FORM)  # how `fit` reads files
TextFiles = Annotated[Files, Only("text_column", "decimal", *FORM)]
LabelledFiles = Annotated[Files, Only("text_column", "label_column", "maps", "dropped", "decimal", *FORM)]


@dataclass(frozen=True, slots=True)
class PromiseOptions:
    """Options of the promise."""

    target_accuracy: Annotated[
        float, PROMISE(help="Share of the answered texts that must be right. The threshold is certified for it.")
    ] = TARGET_ACCURACY
    confidence_level: Annotated[float, PROMISE(help="Confidence level of that promise.")] = CONFIDENCE_LEVEL


Strict = Annotated[
    bool,
    PROMISE(
        "--strict",
        help="Promise that accuracy or nothing. Default: where it cannot be certified, promise the best lower one.",
    ),
]


@dataclass(frozen=True, slots=True)
class GateOptions:
    """Options of the gates: which texts are never answered."""

    floor: Annotated[
        float, PROMISE(help="Never answer a text whose best label has a smaller probability. 0: answer it too.")
    ] = FLOOR
    unfamiliar: Annotated[
        float | None,
        PROMISE(
            help="Never answer a text less familiar than all but this share of in-scope texts. 0: answer it too. "
            "Default: 0.02 where the engine gives features."
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class PopulationOptions:
    """Options that say which texts the promise is about."""

    group_column: Annotated[
        str | None,
        DATA(
            metavar="COLUMN",
            help="Column of the customer, thread or template. Whole groups go to one part, and certify counts one row "
            "of each. A row without a value is a group by itself.",
        ),
    ] = None
    time_column: Annotated[
        str | None,
        DATA(metavar="COLUMN", help="Column of the time. Train on the oldest rows, certify and test on the newest."),
    ] = None
    count_repeats: Annotated[
        bool,
        PROMISE(
            "--count-repeats",
            help="Count a text as often as it comes, for a promise about all texts that come in. Default: once.",
        ),
    ] = False

    @property
    def columns(self) -> dict[str, str]:
        """The columns to read, and the option that names each; none where both are one."""
        named = {self.group_column: "--group-column", self.time_column: "--time-column"}
        return {column: option for column, option in named.items() if column is not None}

    def marks(self, read: "Mapping[str, list[str]]") -> tuple[list[str] | None, list[str] | None]:
        """Give the groups and the times of rows, from columns that were read; None for those not asked for."""
        from elsewise.data.rows import marks_of

        groups, times = marks_of(read, (self.group_column, self.time_column))
        return groups, times


@dataclass(frozen=True, slots=True)
class ServedOptions:
    """Options of the engine that answers."""

    engine: Annotated[
        str | None,
        ENGINE(
            help="Engine to use. Default: the one MODEL was certified on. `elsewise doctor` lists them. Or "
            "module:object, the model that MODEL was fitted around. The current folder is searched too. Or "
            "systemone:URL or openai:URL, the endpoint that it was fitted around."
        ),
    ] = None
    api_key_from: ApiKeyFrom = None
    precision: ServedPrecision = None
    threads: Threads = None

    def load(self, model: Path) -> "Classifier":
        """Load a model folder with these options."""
        from elsewise.classifier.load import load

        if is_endpoint(self.engine):
            engine = endpoint_engine(self.engine or "", labels_of_folder(model), self.api_key_from)
            return load(model, engine=engine, threads=self.threads)
        return load(model, engine=engine_of(self.engine), precision=self.precision, threads=self.threads)


def labelled(paths: Sequence[str], how: "Reading", columns: "Columns" = ()) -> "list[LabelledFile]":
    """Read the labelled texts of files, and further columns, and print how they were read.

    An unusable row is an error, or skipped.
    """
    from elsewise.data.labelled_texts import read_files
    from elsewise.messages.wording import counted

    with showing(f"reading {', '.join(paths)}"):
        read = read_files(paths, how, strict=True, slices=columns)
    for path, one in zip(paths, read, strict=True):
        to_stderr(f"{path}: {counted(len(one.texts), 'row')}, {', '.join(one.notes)}")
    return read


def rows_of(
    paths: "Mapping[str, str | None]", files: Files, population: PopulationOptions
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the files that are named: texts, labels, groups and times of each, and what was mended while reading."""
    named = {name: path for name, path in paths.items() if path}
    found = labelled(list(named.values()), files.reading(), population.columns)
    read = dict(zip(named, found, strict=True))
    rows = {name: (one.texts, one.labels, *population.marks(one.columns)) for name, one in read.items()}
    return rows, {name: one.record for name, one in read.items() if one.record}


def noted(classifier: "Classifier", mended: dict[str, Any]) -> "Classifier":
    """Note in a classifier's record what was mended while its rows were read."""
    if not mended:
        return classifier
    return classifier.with_provenance(record={**classifier.provenance.record, "mended": mended})


def refuse_inside(out: str, model: Path) -> None:
    """Refuse to write a file into a model folder."""
    if out != "-" and Path(out).resolve().is_relative_to(model.resolve()):
        raise InputError(f"{out} lies in the model folder, which must stay as it was written; choose another name")


def refuse_replacing(out: str | Path, *, overwrite: bool) -> None:
    """Refuse to replace a file, or a folder with something in it, unless --overwrite was typed."""
    there = Path(out)
    if overwrite or not (there.is_file() or (there.is_dir() and any(there.iterdir()))):
        return
    what = "holds a model already" if there.is_dir() else "exists already"
    raise InputError(f"{out} {what}; to replace it, add --overwrite, or choose another name")


def engine_of(named: str | None) -> Any:
    """Import the model that ``module:object`` names, from the current folder too; return an engine's name unchanged.

    InputError if there is no module or object of this name, or the module fails.
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
    """Give the words that start this program, so that a printed command can be pasted."""
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        return "python -m elsewise"
    found = shutil.which("elsewise")
    return "elsewise" if found and started.resolve() == Path(found).resolve() else quote(os.path.relpath(started))
