"""``elsewise check``."""

from typing import TYPE_CHECKING, Annotated

import typer

from elsewise.cli import options
from elsewise.cli.next_step import free_name
from elsewise.cli.output import print_json, print_table, to_stdout
from elsewise.cli.panels import Only
from elsewise.cli.parameters import in_options
from elsewise.cli.tables import DROPPED
from elsewise.data.defaults import MAX_LENGTH, PARTS
from elsewise.progress import showing

if TYPE_CHECKING:
    from elsewise.data.checks import Finding, Findings
    from elsewise.data.file_checks import CheckedFile


def check(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Labelled texts: .csv, .tsv or .jsonl.")],
    *,
    files: Annotated[options.Files, Only(*options.NEW_FILES)],
    held_out: options.HeldOut = None,
    test: options.Test = None,
    out_of_scope_label: options.OutOfScope = None,
    population: options.PopulationOptions,
    seed: options.Seed = 0,
    promise: options.PromiseOptions,
    encoder: options.Encoder = None,
    max_length: options.MaxLength = MAX_LENGTH,
    lowercase: options.Lowercase = None,
    as_json: options.AsJson = False,
) -> None:
    """Report what is in a file and what is wrong with it.

    Nothing is trained. The last line is the `fit` command for this file. Exit 1 if `fit` would refuse it.
    """
    import shlex
    from dataclasses import asdict

    from elsewise.data.file_checks import check_file
    from elsewise.engines.encoders import DEFAULT_ENCODER

    with showing(f"checking {data}"):
        checked = check_file(
            data, files.reading(), held_out=held_out, test=test, out_of_scope_label=out_of_scope_label, seed=seed,
            encoder=encoder or DEFAULT_ENCODER, max_length=max_length, lowercase=lowercase,
            **asdict(population), **asdict(promise),
        )  # fmt: skip
    checked = _in_options(checked)
    command = f"{options.program()} {shlex.join(['fit', data, '-o', free_name('model'), *checked.options])}"
    if as_json:
        shown = asdict(checked, dict_factory=lambda cells: {key: cell for key, cell in cells if key != "typed"})
        print_json({**shown, "command": command})
    else:
        _show(checked, command)
    if checked.findings.of_level("error"):
        raise typer.Exit(1)


def _in_options(checked: "CheckedFile") -> "CheckedFile":
    """Let all findings speak of options."""
    from dataclasses import replace

    def spoken(finding: "Finding") -> "Finding":
        typed = "" if finding.remedy else finding.typed
        remedy = finding.remedy and in_options(finding.remedy, finding.typed)
        return replace(finding, sentence=in_options(finding.sentence, typed), remedy=remedy, typed="")

    found = tuple(map(spoken, checked.findings.findings))
    return replace(checked, findings=replace(checked.findings, findings=found))


def _show(checked: "CheckedFile", command: str) -> None:
    """Print how a file was read, what is in it, what was found, and the `fit` command for it."""
    from elsewise.messages.wording import counted

    columns = ", ".join(column.name for column in checked.columns)
    to_stdout(f"{checked.path}: {', '.join(checked.notes) or 'not read'}")
    if checked.columns:
        sources = f"Texts from {checked.how.text_column!r}, labels from {checked.how.label_column!r}"
        to_stdout(f"Columns: {columns}. {sources}.")
        left = checked.rows - checked.usable
        to_stdout(f"Rows: {checked.rows:,}, of which {checked.usable:,} can be used and {left:,} cannot.")
    _print_labels_found(checked.findings)
    for level, title in _LEVELS:
        found = checked.findings.of_level(level)
        if found:
            to_stdout(f"\n{title}")
        for finding in found:
            to_stdout(_told(finding))
    counts = ", ".join(f"{counted(len(checked.findings.of_level(level)), level)}" for level, _ in _LEVELS)
    refused = "fit would refuse this file" if checked.findings.of_level("error") else "fit can use this file"
    to_stdout(f"\n{refused}: {counts}.", bold=True)
    if not all(error.options for error in checked.findings.of_level("error")):
        to_stdout("Mend what no option mends first.")
    if checked.options:
        to_stdout("The command has what the file needs, and what is suggested.")
    to_stdout(f"Next: {command}", whole=True)


_LEVELS = (
    ("error", "Errors: fit would refuse the file as it was asked to read it"),
    ("warning", "Warnings: fit would warn and continue"),
    ("note", "Notes"),
)
LABELS_SHOWN = 60


def _told(finding: "Finding") -> str:
    from elsewise.messages.wording import at_lines

    lines = f" ({at_lines(finding.where)})" if finding.where else ""
    words = finding.sentence.replace("\n", "\n    ")
    return f"  - {words}{lines}" + (f"\n    {finding.remedy}" if finding.remedy else "")


def _print_labels_found(found: "Findings") -> None:
    if not found.labels:
        return
    half = LABELS_SHOWN // 2
    is_long = len(found.labels) > LABELS_SHOWN
    shown = (*found.labels[:half], *found.labels[-half:]) if is_long else found.labels
    title = f"{len(found.labels):,} labels" + (f": the {half} most and the {half} least frequent" if is_long else "")
    rows = [(repr(row.label)[1:-1], *(f"{count:,}" for count in (row.rows, row.train, row.tune, row.certify, row.test)))
            for row in shown]  # fmt: skip
    print_table(title, ("label", "rows", *PARTS), rows)
    parts = ", ".join(f"{name} {found.parts[name]:,}" for name in PARTS)
    out = ", ".join(f"{found.parts[name]:,} {words}" for name, words in DROPPED.items() if found.parts[name])
    to_stdout(f"Parts: {parts}" + (f"; left out: {out}" if out else "") + ".")
    if found.lengths:
        many = found.lengths
        to_stdout(
            f"Tokens of {many.texts:,} texts: half have at most {many.median:,}, 95 % at most {many.high:,}, "
            f"the longest {many.longest:,}{' or more' * (many.longest == many.counted)}.",
        )
