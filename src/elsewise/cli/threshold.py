"""``elsewise threshold``."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from elsewise.cli.options import Json, KeptEngine, ModelPath, ServedPrecision, Threads
from elsewise.cli.output import print_json, print_table, progress_bar, say, tell
from elsewise.cli.tables import WORST_LABELS, brief, print_promise
from elsewise.errors import InputError

if TYPE_CHECKING:
    from elsewise.fitting.threshold import Change, Overview, Standing
    from elsewise.metrics import Estimate


def threshold(
    model: ModelPath,
    target_accuracy: Annotated[
        float | None,
        typer.Option(help="Promise: at least this share of what is answered is right; tested."),
    ] = None,
    confidence_level: Annotated[
        float | None,
        typer.Option(help="Of the promise; like the target, that of the present one otherwise."),
    ] = None,
    out_of_scope_share: Annotated[
        float | None,
        typer.Option(help="Promise it for texts of which up to this share is out-of-scope."),
    ] = None,
    per_label: Annotated[bool, typer.Option("--per-label", help="Promise it of each label that is answered.")] = False,
    joint: Annotated[bool, typer.Option("--joint", help="With --per-label: all promises hold together.")] = False,
    fall_back: Annotated[
        bool,
        typer.Option("--fall-back", help="With --per-label: rare labels get the threshold of all, and no promise."),
    ] = False,
    at: Annotated[float | None, typer.Option(help="Set the threshold by hand: no promise.")] = None,
    coverage: Annotated[float | None, typer.Option(help="Answer this share of the texts: no promise.")] = None,
    cost_of_error: Annotated[
        float | None,
        typer.Option(help="Of one wrong answer: the threshold that costs least, no promise."),
    ] = None,
    cost_of_review: Annotated[
        float | None,
        typer.Option(help="Of one text left as Other, in the same currency."),
    ] = None,
    ambiguity_margin: Annotated[
        float | None,
        typer.Option(help="Never answer where the best two probabilities are closer than this."),
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Put back the threshold before the last change.")] = False,
    note: Annotated[str, typer.Option(help="Why, for the history.")] = "",
    engine: KeptEngine = None,
    precision: ServedPrecision = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Show the threshold of MODEL, what others would do and its history; or change it, without training."""
    from elsewise.fitting.threshold import Change, change_threshold, threshold_of, undo_threshold

    promise = {
        "target_accuracy": target_accuracy,
        "confidence_level": confidence_level,
        "out_of_scope_share": out_of_scope_share,
        "per_label": per_label or None,
        "joint": joint or None,
        "fall_back": fall_back or None,
    }
    costs = {"cost_of_error": cost_of_error, "cost_of_review": cost_of_review}
    ways = {"certified": promise, "fixed": {"at": at}, "coverage": {"coverage": coverage}, "cost": costs}
    wanted = _wanted(ways, ambiguity_margin)
    if undo and wanted:
        raise InputError("--undo puts back the threshold before the last change; leave the other options out")
    if note and not (undo or wanted):
        raise InputError("--note belongs to a change; say which, as in --target-accuracy 0.9")
    with progress_bar() as progress:
        how: dict[str, Any] = {"engine": engine, "precision": precision, "threads": threads, "progress": progress}
        done: Change | Overview
        if undo:
            done = undo_threshold(model, note=note, **how)
        elif wanted:
            done = change_threshold(model, wanted[0], note=note, **how, **wanted[1])
        else:
            done = threshold_of(model, **how)
    if as_json:
        print_json({"model": str(model), **done.as_dict()})
    elif isinstance(done, Change):
        _show_change(model, done)
    else:
        _show_overview(model, done)


def _wanted(ways: dict[str, dict[str, Any]], margin: float | None) -> tuple[str, dict[str, Any]] | None:
    """Name the rule that the options ask for, and what its fit takes; None where they ask for none."""
    said = {
        name: {option: value for option, value in options.items() if value is not None}
        for name, options in ways.items()
        if any(value is not None for value in options.values())
    }
    if len(said) > 1:
        one, other = (f"--{next(iter(options)).replace('_', '-')}" for options in list(said.values())[:2])
        raise InputError(f"{one} and {other} choose the threshold in different ways; give one of them")
    if not said and margin is None:
        return None
    name, asked = next(iter(said.items()), ("certified", {}))
    if name == "cost" and len(asked) == 1:
        raise InputError("a cost of errors needs one of reviews: give both --cost-of-error and --cost-of-review")
    if name == "fixed":
        asked = {"threshold": asked["at"]}
    if name == "certified":
        name, asked = _promise(asked)
    return name, asked if margin is None else {**asked, "ambiguity_margin": margin}


def _promise(asked: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Tell one threshold for all labels from one for each."""
    per_label, joint, fall_back = (asked.pop(name, False) for name in ("per_label", "joint", "fall_back"))
    if not per_label:
        if joint or fall_back:
            raise InputError("--joint and --fall-back say how labels are certified; add --per-label")
        return "certified", asked
    if "out_of_scope_share" in asked:
        raise InputError("--out-of-scope-share is for one threshold of all labels; give it, or --per-label")
    return "by_label", {**asked, "joint": joint, "rare": "fall_back" if fall_back else "pool"}


def _show_change(model: Path, change: "Change") -> None:
    print_promise(change.after)
    if sentence := getattr(change.after.rule, "sentence", ""):
        tell(sentence)  # of a threshold by cost
    _print_standings({"before": change.before, "after": change.after})
    _print_labels(change.after)
    certificate = change.after.certificate
    if certificate is not None and not certificate.certified:
        say(f"every text is Other now; to put the threshold before back: elsewise threshold {model} --undo")
    elif change.after.measured and change.after.measured["coverage"].value == 0:
        say(f"no tune row reaches this threshold, so every text is Other: elsewise threshold {model} --undo")
    _say_others(model, change.others, f"{change.engine} was changed alone")
    say(f"written: {model}")


def _show_overview(model: Path, overview: "Overview") -> None:
    print_promise(overview.present)
    _print_standings({overview.engine: overview.present})
    _print_labels(overview.present)
    if overview.possible:
        _print_possible(overview.possible)
    if overview.history:
        _print_changes(overview.history)
    looks = overview.looks
    if overview.present.measured:
        times = f"{looks} certification{'' if looks == 1 else 's'}"
        tell(f"The certify rows were read for {times}; the next one is look {looks + 1}.")
    _say_others(model, overview.others, f"this is the threshold of {overview.engine}")


def _say_others(model: Path, others: tuple[str, ...], what: str) -> None:
    if others:
        name, _, precision = others[0].partition("-")
        options = f"--engine {name}" + (f" --precision {precision}" if precision else "")
        keep = f"{' and '.join(others)} {'keeps its' if len(others) == 1 else 'keep their'} own"
        say(f"{what}; {keep}: elsewise threshold {model} {options}")


def _print_standings(standings: "Mapping[str, Standing]") -> None:
    """Print what rules promise, and what they do on tune rows, side by side."""
    from elsewise.rules import GATES, threshold_words

    all_of_them = list(standings.values())
    lines = [
        ("threshold", *(threshold_words(standing.rule, digits=4) for standing in all_of_them)),
        ("promise", *(_promise_words(standing) for standing in all_of_them)),
        ("coverage of the certify rows", *(_certified_coverage(standing) for standing in all_of_them)),
    ]
    measured = all_of_them[0].measured
    asked = [{type(gate): gate.asked for gate in standing.rule.gates} for standing in all_of_them]
    lines[1:1] = [
        (name.replace("_", " "), *(f"{gates.get(kind, 0):g}" for gates in asked))
        for name, kind in GATES.items()
        if any(kind in gates for gates in asked)
    ]
    title = "What is promised (the folder keeps no rows to measure on)"
    if measured:
        outside = f", {measured['out_of_scope']:,} of them out-of-scope" if measured["out_of_scope"] else ""
        title = f"What is promised, and what is only measured: on {measured['rows']:,} tune rows{outside}"
        lines.append(("confidence of the tune rows", *(_confidence_range(standing) for standing in all_of_them)))
        lines += [(name, *(form(s.measured[key]) for s in all_of_them)) for name, key, form in _STANDING_FIGURES]
    if measured and measured["out_of_scope"]:
        lines += [
            (f"{name}, in-scope rows", *(form(s.measured["in_scope"][key]) for s in all_of_them))
            for name, key, form in _STANDING_FIGURES
        ]
    print_table(title, ("", *standings), lines)


def _promise_words(standing: "Standing") -> str:
    c = standing.certificate
    if c is None:
        return "none"
    asked = f"{c.target_accuracy:.4g} at level {c.confidence_level:.4g}"
    return f"{asked}, look {c.looks}" if c.certified else f"none: {asked} could not be certified, look {c.looks}"


def _certified_coverage(standing: "Standing") -> str:
    c = standing.certificate
    return "-" if c is None else f"{c.coverage:.3f} ({c.coverage_low:.3f} to {c.coverage_high:.3f})"


def _confidence_range(standing: "Standing") -> str:
    ends = standing.measured["confidence"]
    return "-" if ends is None else f"{ends['lowest']:.4f} to {ends['highest']:.4f}"


def _measured_share(estimate: "Estimate") -> str:
    return brief(estimate.as_dict())


def _measured_count(estimate: "Estimate") -> str:
    return "-" if math.isnan(estimate.value) else f"{estimate.value:.0f} ({estimate.low:.0f} to {estimate.high:.0f})"


_STANDING_FIGURES = (
    ("coverage", "coverage", _measured_share),
    ("accuracy when answered", "accuracy_when_answered", _measured_share),
    ("errors in 1,000 texts", "errors_per_1000", _measured_count),
    ("left as Other of 1,000 texts", "other_per_1000", _measured_count),
)


def _print_labels(standing: "Standing") -> None:
    """Print the thresholds of the labels, those that are not certified first; nothing where one is for all."""
    rows = standing.by_label
    if not rows:
        return
    lines = [
        (
            row["label"],
            f"{row['threshold']:.4f}",
            _label_promise(row),
            *(f"{row[k]:,}" for k in ("rows", "n", "errors")),
        )
        for row in rows[:WORST_LABELS]
    ]
    title = "The labels" if len(rows) <= WORST_LABELS else f"{WORST_LABELS} of {len(rows):,} labels"
    header = ("label", "threshold", "certified", "certify rows", "answered", "wrongly")
    print_table(f"{title}, those first that are not certified by themselves", header, lines)


def _label_promise(row: Mapping[str, Any]) -> str:
    return "yes" if row["certified"] else ("no, too rare (counts are of all rare ones)" if row["rare"] else "no")


def _print_possible(possible: "Sequence[Standing]") -> None:
    """Print what thresholds at some coverages do on tune rows."""
    from elsewise.rules import threshold_words

    lines = [
        (f"{s.as_dict()['asked']['coverage']:g}", threshold_words(s.rule, digits=4),
         *(form(s.measured[key]) for _, key, form in _STANDING_FIGURES[1:]))
        for s in possible
    ]  # fmt: skip
    header = ("--coverage", "--at", *(name for name, _, _ in _STANDING_FIGURES[1:]))
    print_table("What other thresholds do on the same rows: nothing is promised", header, lines)


def _print_changes(history: Sequence[Mapping[str, Any]]) -> None:
    """Print how thresholds were changed, the last change at the end."""
    lines = [
        (entry["when"].replace("T", " ").removesuffix("+00:00"), entry["engine"], entry["what"],
         _asked_words(entry["asked"]), _threshold_range(entry["threshold"]), str(entry["looks"]), entry["note"])
        for entry in history
    ]  # fmt: skip
    print_table("History (UTC)", ("when", "engine", "", "to", "threshold", "looks", "note"), lines)


def _asked_words(asked: Mapping[str, Any]) -> str:
    options = [f"{name} {value}" for name, value in asked.items() if name != "rule" and value not in (None, False, 0)]
    return ": ".join([asked["rule"], *([", ".join(options)] if options else [])])


def _threshold_range(threshold: Any) -> str:
    values = [float(value) for value in (threshold if isinstance(threshold, list) else [threshold])]
    low, high = min(values), max(values)
    return f"{low:.4f}" if low == high else f"{low:.4f} to {high:.4f}"
