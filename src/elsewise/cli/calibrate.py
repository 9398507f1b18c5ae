"""``elsewise calibrate``."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

from elsewise.cli import options
from elsewise.cli.output import say_if_alike, to_stderr
from elsewise.cli.panels import DATA, Only
from elsewise.cli.tables import show_fitted
from elsewise.errors import InputError

if TYPE_CHECKING:
    from elsewise.data.labelled_texts import Reading


@dataclass(frozen=True, slots=True)
class MoreRows:
    """Files of out-of-scope rows and of test rows."""

    out_of_scope_logits: Annotated[
        str | None, DATA(metavar="FILE", help="Logits of more rows, which belong to none of the labels.")
    ] = None
    out_of_scope_features: Annotated[str | None, DATA(metavar="FILE", help="Features of the out-of-scope rows.")] = None
    test_logits: Annotated[str | None, DATA(metavar="FILE", help="Logits of rows to report on.")] = None
    test_labels: Annotated[str | None, DATA(metavar="FILE", help="Labels or codes of the test rows.")] = None
    test_features: Annotated[str | None, DATA(metavar="FILE", help="Features of the test rows.")] = None

    def check(self, features: str | None) -> None:
        """Raise InputError for labels or features without their logits."""
        if (self.test_logits is None) != (self.test_labels is None):
            raise InputError("test rows need both --test-logits and --test-labels")
        for part, with_logits, with_features in (
            ("out-of-scope", self.out_of_scope_logits, self.out_of_scope_features),
            ("test", self.test_logits, self.test_features),
        ):
            if (with_features is not None) != (features is not None and with_logits is not None):
                raise InputError(f"--{part}-features belongs to --features and --{part}-logits: give it where both are")


def calibrate(
    logits: options.Logits,
    labels: options.Labels,
    *,
    features: options.Features = None,
    names: Annotated[
        str | None,
        DATA(metavar="FILE", help="Label names, one a line or a list in .json, in the order of the columns."),
    ] = None,
    more: MoreRows,
    out_of_scope_label: options.OutOfScope = None,
    files: Annotated[options.Files, Only("label_column", "delimiter", "encoding", "decimal")],
    population: options.PopulationOptions,
    seed: options.Seed = 0,
    promise: options.PromiseOptions,
    gates: options.GateOptions,
    other: options.Other = "Other",
    score: options.Score = "auto",
    out: options.Out,
    refit_rows: options.RefitRows = True,
    as_json: options.AsJson = False,
) -> None:
    """Calibrate and certify logits of any model.

    No text model and no torch is needed.
    """
    from elsewise.data.labels import label_codes
    from elsewise.data.logits import read_codes, read_columns, read_logits, read_names
    from elsewise.fitting.calibrate import calibrate as calibrate_logits
    from elsewise.messages.wording import counted, listed
    from elsewise.storage.sealed_folder import check_target

    check_target(out)
    more.check(features)
    how = files.reading()
    asked = read_names(names, how.encoding) if names else None
    array, columns = read_logits(logits, how, asked)
    if asked and len(asked) != array.shape[-1]:
        holds = f"{names} holds {counted(len(asked), 'name')}, and {logits} has {counted(array.shape[-1], 'column')}"
        raise InputError(f"{holds}; write one name for each column, in their order")
    if columns and not asked:
        to_stderr(f"{logits}: its {len(columns):,} columns are the labels {listed(columns)}")
    known = asked or columns or tuple(map(str, range(array.shape[-1])))
    say_if_alike(other, known)
    code_of = label_codes(known, out_of_scope_label)
    outside = _rows(more.out_of_scope_logits, more.out_of_scope_features, how, known)
    tested = _rows(more.test_logits, more.test_features, how, known)
    if tested and more.test_labels is not None:
        tested = (tested[0], read_codes(more.test_labels, how, code_of), *tested[1:])
    groups, times = population.marks(read_columns(labels, how, population.columns) if population.columns else {})
    classifier = calibrate_logits(
        array, read_codes(labels, how, code_of), labels=known, test=tested,
        features=None if features is None else read_logits(features, how)[0],
        out_of_scope=outside[0] if outside and features is None else outside,
        groups=groups, times=times, count_repeats=population.count_repeats,
        out_of_scope_label=out_of_scope_label, other=other,
        score=score, seed=seed, keep_refit_rows=refit_rows, **asdict(promise), **asdict(gates),
    )  # fmt: skip
    classifier.save(out)
    show_fitted(classifier, out, as_json=as_json)


def _rows(logits: str | None, features: str | None, how: "Reading", known: tuple[str, ...]) -> tuple[Any, ...] | None:
    """Read logits, and features where there are any; None where there are no logits."""
    from elsewise.data.logits import read_logits

    if logits is None:
        return None
    beside = () if features is None else (read_logits(features, how)[0],)
    return (read_logits(logits, how, known)[0], *beside)
