"""What became of the rows of a prediction, in words and as a table on stderr."""

from typing import TYPE_CHECKING

from elsewise.cli.output import print_table, to_stderr

if TYPE_CHECKING:
    from elsewise.batch.summary import Summary
    from elsewise.classifier.classifier import Classifier

MOST_LABELS = 10  # that are named


def say_summary(summary: "Summary", classifier: "Classifier", data: str, language: str, *, as_json: bool) -> None:
    """Say how the input was read, what became of its rows, and whether the promise can be believed for them."""
    for note in summary.notes:
        to_stderr(f"{data}: {note}")
    if not as_json and summary.read:
        _show(summary, classifier.other)
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in sorted(summary.reasons.items()))
    rejected = f"{summary.rejected:,} rejected" + (f" (see {summary.rejects})" if summary.rejects else "")
    other = f"{summary.other:,} {classifier.other}" + (f" ({reasons})" if reasons else "")
    to_stderr(f"{summary.read:,} rows = {summary.answered:,} answered + {other} + {rejected}")
    if summary.shift is not None:
        to_stderr(summary.shift.say(language), bold=summary.shift.is_warning)
    if classifier.certificate is not None and not classifier.certificate.certified:
        to_stderr(
            "this model promises nothing, so that every row is Other; best_label and probability say what it thinks",
            bold=True,
        )


def _show(summary: "Summary", other: str) -> None:
    """Print what became of the rows as a table on stderr: the commonest labels, Other by reason, and how fast."""
    done, tally, pace = summary.answered + summary.other, summary.tally, summary.pace.as_dict()

    def line(name: str, n: int) -> tuple[str, str, str]:
        return name, f"{n:,}", f"{100 * n / done:.1f} %" if done else ""

    ranked = sorted(tally.labels.items(), key=lambda pair: (-pair[1], pair[0]))
    rows = [line(label, n) for label, n in ranked[:MOST_LABELS]]
    if rest := ranked[MOST_LABELS:]:
        rows.append(line(f"{len(rest):,} more labels", sum(n for _, n in rest)))
    rows += [line(f"{other}: {reason}", n) for reason, n in sorted(tally.reasons.items())]
    rows += [line("truncated", tally.truncated)] * bool(tally.truncated)
    rows += [line("repeated", summary.repeated)] * bool(summary.repeated)
    speed = f"{pace['rows_per_second']:,.0f} rows/s" if pace["rows"] else "no row was answered again"
    if pace["tokens"]:
        speed += f", {pace['tokens_per_second']:,.0f} tokens/s"
    print_table("", ("", "rows", "share"), [*rows, ("speed", speed, "")], err=True)
