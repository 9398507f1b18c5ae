"""Print tables and lines about fitted classifiers, promises, evaluations and engines."""

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from elsewise.cli.output import description, print_json, print_table, to_stderr, to_stdout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from elsewise.classifier.classifier import Classifier
    from elsewise.evaluation.breakdown import LabelRow
    from elsewise.evaluation.evaluate import Evaluation
    from elsewise.evaluation.strangers import Strangers
    from elsewise.evaluation.verdict import Verdict
    from elsewise.fitting.threshold import RuleOnTuneRows
    from elsewise.metrics import CalibrationError, Estimate
    from elsewise.storage.json_files import Json

    Figure = Estimate | CalibrationError

DROPPED = {
    "untrained": "out-of-scope in train",
    "repeated": "with a text that came before in the same part",
    "seen": "with a text of an earlier part",
    "grouped": "in a group that counts once",
}
_CLASSIFIER_FIGURES = (
    ("accuracy", "accuracy"),
    ("macro-F1", "macro_f1"),
    ("log loss", "log_loss"),
    ("Brier score", "brier"),
    ("AUC, one versus rest", "auc"),
    ("calibration error", "ece"),
    ("calibration error, class-wise", "classwise_ece"),
    ("calibration error, debiased", "debiased_calibration_error"),
)
_SYSTEM_FIGURES = (("coverage", "coverage"), ("accuracy when answered", "accuracy_when_answered"))
_COVERAGES_SHOWN = (0.8, 0.9)
_AREA_FIGURES = (("area of risk and coverage (AUGRC)", "augrc"), ("area above the best order (E-AURC)", "e_aurc"))
_OUTCOME_FIGURES = (("accuracy", "accuracy"), ("macro-F1", "macro_f1"))
_OUTSIDE_FIGURES = (
    ("recall (left as Other)", "recall"),
    ("AUROC", "auroc"),
    ("AUPR", "aupr"),
    ("AUPR, in-scope rows first", "aupr_in"),
)
_EXTREMES = {"-inf": "Every text that can be read is answered.", "inf": "Every text becomes Other."}
WORST_LABELS = 10
WHAT_IS_RANDOM = "The confidence is over the draw"  # begins the sentence of a certificate that its card explains


def print_gate(gate: "Sequence[Json]") -> None:
    """Print how the engines compared on tune rows."""
    header = ("", "texts/s", "MB", "accuracy", "log loss", "ECE", "other label", "worst change", "99 %", "close enough")
    rows = [
        (row["engine"], f"{row['texts_per_second']:,.0f}", f"{row['megabytes']:.0f}",
         *("-" if row[name] is None else f"{row[name]:.4f}" for name in ("accuracy", "log_loss", "ece")),
         f"{100 * row['changed']:.2f} %", f"{row['worst_change']:.4f}", f"{row['change_99']:.4f}",
         "yes" if row["passed"] else "no")
        for row in gate
    ]  # fmt: skip
    print_table("Engines on tune rows, each after its own re-fit", header, rows)


def show_fitted(classifier: "Classifier", out: Path, *, as_json: bool, verbose: bool = False) -> None:
    """Print the promise of a fitted classifier, and what test rows say of it; everything that is known if `verbose`."""
    from elsewise.evaluation.strangers import strangers_of
    from elsewise.storage.json_files import plain

    strangers, judged = strangers_of(classifier), classifier.evaluation or {}
    if as_json:
        print_json({"model": str(out), **description(classifier), "strangers": plain(strangers)})
        return
    print_promise(classifier, whole=verbose)
    if kept := classifier.provenance.record.get("kept", {}).get("sentence"):
        to_stdout(kept, bold=True)
    _print_rows_used(classifier)
    if verbose:
        _print_choices(classifier)
    print_judged(judged, out, verbose=verbose)
    print_strangers(strangers)
    if judged.get("verdict"):
        to_stdout(judged["verdict"]["sentence"], bold=True)
    report = out / "report.html"
    page = f"to look at it, open {report}" if report.is_file() else f"its card is {out}/README.md"
    to_stderr(f"written: {out}; {page}")


def _print_rows_used(classifier: "Classifier") -> None:
    record = classifier.provenance.record
    sizes = ", ".join(f"{name} {count:,}" for name, count in record["splits"].items())
    dropped = ", ".join(f"{count:,} {DROPPED[name]}" for name, count in record.get("dropped", {}).items() if count)
    to_stderr(f"rows: {sizes}" + (f"; left out: {dropped}" if dropped else ""))


def _print_choices(classifier: "Classifier") -> None:
    """Print why this calibrator, confidence and engine."""
    record = classifier.provenance.record
    if "calibrator" in record:
        calibrator = classifier.provenance.folded or classifier.calibrator
        to_stderr(f"calibrator: {calibrator.sentence} ({record['calibrator']['why']})")
        to_stderr(f"confidence: {_why_score(record['score'])}")
    if classifier.provenance.gate:
        print_gate(classifier.provenance.gate)


def print_judged(judged: "Json", folder: Path, *, verbose: bool) -> None:
    """Print what a classifier's own evaluation says first, in a sentence; all its figures if `verbose`."""
    if verbose or not judged:
        print_evaluation(judged, folder)
        return
    rows, outside = judged["rows"], judged["out_of_scope"]
    figures = [
        (judged["system"]["coverage"], "are answered"),
        (judged["classifier"]["accuracy"], "of the in-scope ones would be right if all were answered"),
        *([(outside["recall"], "of the out-of-scope ones are left as Other")] if outside else []),
    ]
    said = "; ".join(f"{_in_percent(_read(figure))} {words}" for figure, words in figures)
    to_stdout(f"Of {rows['in_scope'] + rows['out_of_scope']:,} test rows, which are new to the model, {said}.")
    if judged.get("baseline"):
        to_stdout(_worth(judged["baseline"], folder))


def _worth(baseline: "Json", folder: Path) -> str:
    """Say whether the encoder is worth it, with the path of the baseline."""
    return str(baseline["sentence"]).replace("MODEL/baseline", f"{folder}/baseline")


def _in_percent(figure: "Figure") -> str:
    """Write a share in percent, with its interval."""
    if math.isnan(figure.value):
        return "-"
    return f"{100 * figure.value:.1f} % ({100 * figure.low:.1f} to {100 * figure.high:.1f})"


def _why_score(choice: "Json") -> str:
    name, compared = choice["chosen"], choice.get("compared")
    if compared is None:
        return f"{name}, as asked"
    if not compared:
        return f"{name} (too few tune rows, or errors among them, to compare others)"
    if name in compared:
        return f"{name} (tells right from wrong better on tune rows, by {compared[name]['value']:.3f} of AUC)"
    return f"{name} (none of {len(compared)} others tells right from wrong clearly better on tune rows)"


def print_promise(classifier: "Classifier | RuleOnTuneRows", *, whole: bool = True) -> None:
    """Print the promise, in bold on a terminal its first sentence, or before it what must not be missed about it.

    What gates were measured to bar is told only if `whole`.
    """
    from elsewise.metrics import Estimate
    from elsewise.rules import threshold_words

    certificate = classifier.certificate
    if certificate is None:
        words = threshold_words(classifier.rule)
        to_stdout(f"No promise: the threshold {words} was not tested for one.", bold=True)
        if words in _EXTREMES:
            to_stdout(_EXTREMES[words], bold=True)
        return
    if headline := certificate.headline():
        to_stdout(headline, bold=True)
    said = certificate if whole else replace(certificate, barred=(), caught=None)
    first, dot, more = said.sentence.partition(". ")
    if not whole and more.startswith(WHAT_IS_RANDOM):
        more = more.partition(". ")[2]
    to_stdout(first + dot.rstrip(), bold=not headline)
    if more:
        to_stdout(more)
    if certificate.certified:
        answered = Estimate(certificate.coverage, certificate.coverage_low, certificate.coverage_high)
        words = threshold_words(classifier.rule, digits=4)
        beside = " beside the gates" if classifier.rule.gates else ""
        words = f"No threshold is needed{beside}" if words == "-inf" else f"Threshold {words}"
        to_stdout(f"{words}: {_in_percent(answered)} of the rows are answered.")


def print_strangers(strangers: "Strangers | None") -> None:
    """Print how many built-in strange texts would get a label; nothing where the model cannot answer them.

    Some of them may belong to a label of the model. It is a measurement, not a promise.
    """
    if strangers is not None:
        to_stdout(strangers.sentence)


def print_verdict(verdict: "Verdict | None") -> None:
    """Print whether the evaluated rows keep the promise, in bold on a terminal."""
    to_stdout("No promise to check: nothing is promised." if verdict is None else verdict.sentence, bold=True)


def print_evaluation(judged: "Json", folder: Path) -> None:
    """Print the figures of an evaluation of the model in a folder; nothing for an empty one."""
    if not judged:
        return
    rows, bare, system, outside = (judged[part] for part in ("rows", "classifier", "system", "out_of_scope"))
    counts = f"{rows['in_scope']:,} in-scope and {rows['out_of_scope']:,} out-of-scope rows"
    if strange := sum(rows.get("unknown_labels", {}).values()):
        counts += f" ({strange:,} with unknown labels)"
    extra = "".join(f", {rows[name]:,} {name}" for name in ("unreadable", "rejected", "seen") if rows[name])
    typer.echo(f"\nJudged on {counts}{extra}.")
    _print_figures("The bare classifier, on in-scope rows", [(name, bare[key]) for name, key in _CLASSIFIER_FIGURES])
    parts = [("", system)] if not rows["out_of_scope"] else [("", system), (", in-scope rows", system["in_scope"])]
    lines = [(f"{name}{which}", part[key]) for which, part in parts for name, key in _SYSTEM_FIGURES]
    reached = system["coverage_at_accuracy"]
    lines.append((f"coverage where the accuracy is {reached['accuracy']:.4g}", reached["coverage"]))
    lines += [
        (f"accuracy where the coverage is {point['coverage']:g}", point["accuracy"])
        for point in system["accuracy_at_coverage"]
        if point["coverage"] in _COVERAGES_SHOWN
    ]
    lines += [(name, system[key]) for name, key in _AREA_FIGURES]
    lines += [(f"{name}, Other an outcome", system["open_set"][key]) for name, key in _OUTCOME_FIGURES]
    if outside:
        lines += [(f"out-of-scope {name}", outside[key]) for name, key in _OUTSIDE_FIGURES]
    _print_figures("What ships, Other included", lines)
    if judged.get("baseline"):
        _print_baseline(judged, folder)


def _print_baseline(judged: "Json", folder: Path) -> None:
    """Print what the encoder is worth, beside TF-IDF and logistic regression."""
    baseline, bare, system = judged["baseline"], judged["classifier"], judged["system"]
    difference = baseline["difference"]
    lines = [
        (name, *(brief(_read(part[key])) if key in part else "" for part in (ours, baseline, difference)))
        for ours, figures in ((bare, _CLASSIFIER_FIGURES), (system, _SYSTEM_FIGURES))
        for name, key in figures
        if key in baseline
    ]
    header = ("", "encoder", "baseline", "difference, paired by row")
    print_table("Is the encoder worth it? Beside TF-IDF and logistic regression", header, lines)
    to_stdout(_worth(baseline, folder))


def _print_figures(title: str, figures: "Sequence[tuple[str, Json]]") -> None:
    print_table(title, ("", "value", "95 % interval"), [(name, *_figure(_read(figure))) for name, figure in figures])


def _read(figure: "Json") -> "Figure":
    """Read a figure from JSON: null is NaN, and infinities are words."""
    from elsewise.metrics import CalibrationError, Estimate

    kind = CalibrationError if "null" in figure else Estimate
    return kind(**{name: math.nan if number is None else float(number) for name, number in figure.items()})


def _figure(figure: "Figure") -> tuple[str, str]:
    if math.isnan(figure.value):
        return "-", "nothing to measure"
    null = getattr(figure, "null", None)
    perfect = "" if null is None else f"; {null:.4f} if perfect"
    return f"{figure.value:.4f}", f"{figure.low:.4f} to {figure.high:.4f}{perfect}"


def brief(figure: "Figure") -> str:
    """Write a figure with its interval in one cell."""
    return "-" if math.isnan(figure.value) else f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def print_breakdown(judged: "Evaluation") -> None:
    """Print the same figures by label, slice and share of out-of-scope texts."""
    header = ("rows", "bare: accuracy", "ships: coverage", "ships: accuracy when answered")
    for name, rows in judged.slices.items():
        if len(rows) == 1:
            continue  # the slice is all the rows, which are above
        lines = [
            (row.value if row.value is not None else f"{row.pooled:,} rarer values, together",
             f"{row.rows:,}", *map(brief, (row.accuracy, row.coverage, row.accuracy_when_answered)))
            for row in rows
        ]  # fmt: skip
        print_table(f"By {name}", (name, *header), lines)
    _print_labels(judged.labels)
    shares = judged.out_of_scope_shares
    lines = [(f"{row.share:.0%}", brief(row.coverage), brief(row.accuracy_when_answered)) for row in shares.shares]
    title = "The same threshold, if this share of the texts is out-of-scope"
    worst = " (the worst case: no such rows were judged, so all are taken to be answered)"
    print_table(title + worst * shares.worst_case, ("share", "coverage", "accuracy when answered"), lines)


def _print_labels(labels: "Sequence[LabelRow]") -> None:
    there = [row for row in labels if row.rows]
    worst = sorted(there, key=_bare_f1)[:WORST_LABELS]
    lines = [
        (row.label, f"{row.rows:,}", _short(row.classifier.recall), _short(row.classifier.precision),
         brief(row.classifier.f1), *map(_short, (row.system.coverage, row.system.precision, row.system.f1)))
        for row in worst
    ]  # fmt: skip
    header = ("label", "rows", "bare: recall", "precision", "F1", "ships: coverage", "precision", "F1")
    title = "The labels" if len(there) <= WORST_LABELS else f"The {WORST_LABELS} worst of {len(there):,} labels"
    print_table(f"{title}, by F1 of the bare classifier", header, lines)


def _bare_f1(row: "LabelRow") -> float:
    value = row.classifier.f1.value
    return math.inf if math.isnan(value) else value  # no readable row: nothing to call bad


def _short(figure: "Figure") -> str:
    return "-" if math.isnan(figure.value) else f"{figure.value:.3f}"
