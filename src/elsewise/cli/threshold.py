"""``elsewise threshold``."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from elsewise.cli.next_step import say_next, served_words
from elsewise.cli.options import AsJson, KeptEngine, ModelPath, ServedPrecision, Threads
from elsewise.cli.output import print_json, print_table, to_stderr, to_stdout
from elsewise.cli.panels import CHANGE, PROMISE, THRESHOLD
from elsewise.cli.stopping import wrote
from elsewise.cli.tables import WORST_LABELS, brief, print_promise, print_strangers
from elsewise.data.defaults import TARGET_ACCURACY
from elsewise.errors import InputError
from elsewise.progress import showing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from elsewise.classifier.history import Entry
    from elsewise.fitting.threshold import Change, LabelThreshold, Overview, RuleOnTuneRows, TuneRates
    from elsewise.metrics import Estimate
    from elsewise.rules.certificate import Certificate


LEAST_TARGET = 0.5  # below it a promise helps nobody


@dataclass(frozen=True, slots=True)
class NewPromise:
    """Options of a new promise; an option that is not typed is None."""

    target_accuracy: Annotated[
        float | None, PROMISE(help="Share of the answered texts that must be right. Default: the present promise's.")
    ] = None
    confidence_level: Annotated[
        float | None, PROMISE(help="Confidence level of that promise. Default: the present promise's.")
    ] = None
    strict: Annotated[
        bool | None,
        PROMISE(
            "--strict/--no-strict",
            help="Promise that accuracy or nothing; or the best lower one where it cannot be certified. Default: the "
            "present promise's.",
        ),
    ] = None
    out_of_scope_share: Annotated[
        float | None, PROMISE(help="Certify for texts of which up to this share is out-of-scope.")
    ] = None
    per_label: Annotated[bool | None, PROMISE("--per-label", help="Certify each label separately.")] = None
    joint: Annotated[bool | None, PROMISE("--joint", help="With --per-label: all promises hold together.")] = None
    fall_back: Annotated[
        bool | None,
        PROMISE("--fall-back", help="With --per-label: rare labels get the threshold of all labels and no promise."),
    ] = None


@dataclass(frozen=True, slots=True)
class NewCosts:
    """Options for the costs of errors and reviews."""

    cost_of_error: Annotated[
        float | None, THRESHOLD(help="Cost of one wrong answer. Picks the cheapest threshold; nothing is certified.")
    ] = None
    cost_of_review: Annotated[float | None, THRESHOLD(help="Cost of one text left as Other, in the same currency.")] = (
        None
    )


@dataclass(frozen=True, slots=True)
class NewGates:
    """Options of gates, which bar texts whatever their confidence; an option that is not typed keeps a gate."""

    floor: Annotated[
        float | None, CHANGE(help="Never answer a text whose best label has a smaller probability. 0: answer it too.")
    ] = None
    unfamiliar: Annotated[
        float | None,
        CHANGE(help="Never answer a text less familiar than all but this share of in-scope texts. 0: answer it too."),
    ] = None
    ambiguity_margin: Annotated[
        float | None, CHANGE(help="Never answer where the best two probabilities are closer than this.")
    ] = None


def threshold(
    model: ModelPath,
    promise: NewPromise,
    costs: NewCosts,
    gates: NewGates,
    at: Annotated[
        float | None, THRESHOLD(help="Set the threshold by hand; nothing is certified without --band.")
    ] = None,
    band: Annotated[
        bool | None,
        PROMISE(
            "--band", help="With --at: keep a promise, however often the threshold is chosen so. One look for all."
        ),
    ] = None,
    coverage: Annotated[float | None, THRESHOLD(help="Answer this share of the texts; nothing is certified.")] = None,
    undo: Annotated[bool, CHANGE("--undo", help="Restore the threshold before the last change.")] = False,
    note: Annotated[str, CHANGE(help="Reason for the change, kept in the history.")] = "",
    engine: KeptEngine = None,
    precision: ServedPrecision = None,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Show or change the threshold of MODEL, without training.

    Without options: the present threshold, what other thresholds would do, and the history.
    """
    from elsewise.fitting.threshold import Change, open_threshold

    ways = {"certified": asdict(promise), "fixed": {"at": at}, "coverage": {"coverage": coverage}}
    wanted = _wanted(_banded(ways, is_banded=bool(band)) | {"cost": asdict(costs)}, asdict(gates))
    if undo and wanted:
        raise InputError("--undo puts back the threshold before the last change; leave the other options out")
    if note and not (undo or wanted):
        raise InputError("--note belongs to a change; say which, as in --target-accuracy 0.9")
    with showing(f"opening {model}") as progress:
        opened = open_threshold(model, engine=engine, precision=precision, threads=threads, progress=progress)
        done: Change | Overview
        if undo:
            done = opened.undo(note=note)
        elif wanted:
            done = opened.change(wanted[0], note=note, **wanted[1])
        else:
            done = opened.overview()
    if undo or wanted:
        wrote(model)
    if as_json:
        print_json({"model": str(model), **done.as_dict()})
    elif isinstance(done, Change):
        _show_change(model, done, served_words(engine, precision))
    else:
        _show_overview(model, done, served_words(engine, precision))


def _banded(ways: dict[str, dict[str, Any]], *, is_banded: bool) -> dict[str, dict[str, Any]]:
    """Make a threshold by hand one of the accuracy band, where --band is given: the level belongs to the band then."""
    if not is_banded:
        return ways
    if ways["fixed"]["at"] is None:
        raise InputError("--band says that the threshold of --at keeps a promise; add --at, as in --at 0.6 --band")
    others = {name: value for name, value in ways["certified"].items() if name != "confidence_level"}
    asked = {"at": ways["fixed"]["at"], "confidence_level": ways["certified"]["confidence_level"]}
    return {"accuracy_band": asked, "certified": others, "coverage": ways["coverage"]}


def _wanted(ways: dict[str, dict[str, Any]], gates: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Name the rule that the options choose, and its arguments; None where no option changes anything."""
    said = {
        name: {option: value for option, value in options.items() if value is not None}
        for name, options in ways.items()
        if any(value is not None for value in options.values())
    }
    if len(said) > 1:
        one, other = (f"--{next(iter(options)).replace('_', '-')}" for options in list(said.values())[:2])
        raise InputError(f"{one} and {other} choose the threshold in different ways; give one of them")
    changed = {name: setting for name, setting in gates.items() if setting is not None}
    if not said and not changed:
        return None
    name, asked = next(iter(said.items()), ("certified", {}))
    if name == "cost" and len(asked) == 1:
        given, lacking = ("error", "review") if "cost_of_error" in asked else ("review", "error")
        raise InputError(f"--cost-of-{given} needs --cost-of-{lacking}")
    if name in ("fixed", "accuracy_band"):
        asked["threshold"] = asked.pop("at")
    if name == "certified":
        name, asked = _promise(asked)
    return name, asked | changed


def _promise(asked: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Choose between one threshold for all labels and one for each label."""
    per_label, joint, fall_back = (asked.pop(name, False) for name in ("per_label", "joint", "fall_back"))
    if not per_label:
        if joint or fall_back:
            raise InputError("--joint and --fall-back say how labels are certified; add --per-label")
        return "certified", asked
    for name, option in {"out_of_scope_share": "--out-of-scope-share", "strict": "--strict"}.items():
        if name in asked:
            raise InputError(f"{option} is for one threshold of all labels; give it, or --per-label")
    return "by_label", {**asked, "joint": joint, "rare": "fall_back" if fall_back else "pool"}


def _show_change(model: Path, change: "Change", served: list[str]) -> None:
    _print_rules({"before": change.before, "after": change.after})
    _print_labels(change.after)
    print_strangers(change.strangers)
    print_promise(change.after)
    if sentence := getattr(change.after.rule, "sentence", ""):
        to_stdout(sentence)  # of a threshold by cost
    certificate, measured = change.after.certificate, change.after.measured
    nothing = ""
    if certificate is not None and not certificate.certified:
        nothing = "every text is Other now"
    elif measured and measured.coverage.value == 0:
        nothing = "no tune row reaches this threshold, so every text is Other"
    if nothing:
        to_stderr(f"{nothing}; the command below puts the threshold before back", bold=True)
    _say_others(model, change.others, f"{change.engine} was changed alone")
    to_stderr(f"written: {model}")
    say_next("threshold", model, *(["--undo"] if nothing else []), *served)


def _show_overview(model: Path, overview: "Overview", served: list[str]) -> None:
    _print_rules({overview.engine: overview.present})
    _print_labels(overview.present)
    if overview.possible:
        _print_possible(overview.possible)
    if overview.history:
        _print_changes(overview.history)
    looks = overview.looks
    if overview.present.measured:
        times = f"{looks} certification{'' if looks == 1 else 's'}"
        to_stdout(f"The certify rows were read for {times}; the next one is look {looks + 1}.")
    print_strangers(overview.strangers)
    print_promise(overview.present)
    _say_others(model, overview.others, f"this is the threshold of {overview.engine}")
    if overview.present.measured:
        say_next("threshold", model, "--target-accuracy", _another_target(overview.present.certificate), *served)


def _another_target(certificate: "Certificate | None") -> float:
    """Give a target to try: the best that the rows support where nothing is promised, or else a usual one.

    A higher one where everything is answered: a lower one would change nothing, and cost a look.
    """
    from elsewise.rules.fixed_sequence import LADDER

    if certificate is None:
        return TARGET_ACCURACY
    if certificate.certified and certificate.threshold == -math.inf:
        return min((rung for rung in LADDER if rung > certificate.target_accuracy), default=certificate.target_accuracy)
    if not certificate.certified:
        return max(math.floor(100 * certificate.best_accuracy) / 100, LEAST_TARGET)
    return 0.9 if certificate.target_accuracy > 0.9 else TARGET_ACCURACY  # noqa: PLR2004


def _say_others(model: Path, others: tuple[str, ...], what: str) -> None:
    if others:
        name, _, precision = others[0].partition("-")
        options = f"--engine {name}" + (f" --precision {precision}" if precision else "")
        keep = f"{' and '.join(others)} {'keeps its' if len(others) == 1 else 'keep their'} own"
        to_stderr(f"{what}; {keep}: elsewise threshold {model} {options}")


def _print_rules(rules: "Mapping[str, RuleOnTuneRows]") -> None:
    """Print promises of rules, and their rates on tune rows, side by side."""
    from elsewise.rules import GATES, threshold_words

    shown = list(rules.values())
    lines = [
        ("threshold", *(threshold_words(one.rule, digits=4) for one in shown)),
        ("promise", *map(_promise_words, shown)),
        ("coverage of the certify rows", *map(_certified_coverage, shown)),
    ]
    asked = [{type(gate): gate.asked for gate in one.rule.gates} for one in shown]
    lines[1:1] = [
        (name.replace("_", " "), *(f"{gates.get(kind, 0):g}" for gates in asked))
        for name, kind in GATES.items()
        if any(kind in gates for gates in asked)
    ]
    title = "What is promised (the folder keeps no rows to measure on)"
    if measured := [one.measured for one in shown if one.measured is not None]:
        outside = f", {measured[0].out_of_scope:,} of them out-of-scope" if measured[0].out_of_scope else ""
        title = f"What is promised, and what is only measured: on {measured[0].rows:,} tune rows{outside}"
        lines.append(("confidence of the tune rows", *map(_confidence_range, measured)))
        lines += [(name, *(form(getattr(m, key)) for m in measured)) for name, key, form in _FIGURES]
        if measured[0].out_of_scope:
            lines += [
                (f"{name}, in-scope rows", *(form(getattr(m.in_scope, key)) for m in measured))
                for name, key, form in _FIGURES
            ]
    print_table(title, ("", *rules), lines)


def _promise_words(rule: "RuleOnTuneRows") -> str:
    c = rule.certificate
    if c is None:
        return "none"
    asked = f"{c.target_accuracy:.4g} at level {c.confidence_level:.4g}"
    if not c.certified:
        return f"none: {asked} could not be certified, look {c.looks}"
    less = f", instead of {c.asked_for:.4g}" if c.is_lower else ""
    return f"{asked}{less}, look {c.looks}"


def _certified_coverage(rule: "RuleOnTuneRows") -> str:
    c = rule.certificate
    return "-" if c is None else f"{c.coverage:.3f} ({c.coverage_low:.3f} to {c.coverage_high:.3f})"


def _confidence_range(measured: "TuneRates") -> str:
    ends = measured.confidence
    return "-" if ends is None else f"{ends.lowest:.4f} to {ends.highest:.4f}"


def _measured_count(estimate: "Estimate") -> str:
    return "-" if math.isnan(estimate.value) else f"{estimate.value:.0f} ({estimate.low:.0f} to {estimate.high:.0f})"


_FIGURES = (
    ("coverage", "coverage", brief),
    ("accuracy when answered", "accuracy_when_answered", brief),
    ("errors in 1,000 texts", "errors_per_1000", _measured_count),
    ("left as Other of 1,000 texts", "other_per_1000", _measured_count),
)


def _print_labels(rule: "RuleOnTuneRows") -> None:
    """Print the thresholds of the labels, uncertified labels first; nothing where all labels share one threshold."""
    rows = rule.by_label
    if not rows:
        return
    lines = [
        (row.label, f"{row.threshold:.4f}", _label_promise(row), *(f"{n:,}" for n in (row.rows, row.n, row.errors)))
        for row in rows[:WORST_LABELS]
    ]
    title = "The labels" if len(rows) <= WORST_LABELS else f"{WORST_LABELS} of {len(rows):,} labels"
    header = ("label", "threshold", "certified", "certify rows", "answered", "wrongly")
    print_table(f"{title}, those first that are not certified by themselves", header, lines)


def _label_promise(row: "LabelThreshold") -> str:
    return "yes" if row.certified else ("no, too rare (counts are of all rare ones)" if row.rare else "no")


def _print_possible(possible: "Sequence[RuleOnTuneRows]") -> None:
    """Print what thresholds at some coverages do on tune rows."""
    from elsewise.rules import threshold_words

    lines = [
        (f"{(one.rule.asked or {})['coverage']:g}", threshold_words(one.rule, digits=4),
         *(form(getattr(one.measured, key)) for _, key, form in _FIGURES[1:]))
        for one in possible
    ]  # fmt: skip
    header = ("--coverage", "--at", *(name for name, _, _ in _FIGURES[1:]))
    print_table("What other thresholds do on the same rows: nothing is promised", header, lines)


def _print_changes(history: "Sequence[Entry]") -> None:
    """Print the changes of thresholds, the last change at the end."""
    lines = [
        (entry["when"].replace("T", " ").removesuffix("+00:00"), entry["engine"], entry["what"],
         _asked_words(entry["asked"]), _threshold_range(entry["threshold"]), str(entry["looks"]), entry["note"])
        for entry in history
    ]  # fmt: skip
    print_table("History (UTC)", ("when", "engine", "", "to", "threshold", "looks", "note"), lines)


def _asked_words(asked: "Entry") -> str:
    options = [f"{name} {value}" for name, value in asked.items() if name != "rule" and value not in (None, False, 0)]
    return ": ".join([asked["rule"], *([", ".join(options)] if options else [])])


def _threshold_range(threshold: Any) -> str:
    values = [float(value) for value in (threshold if isinstance(threshold, list) else [threshold])]
    low, high = min(values), max(values)
    return f"{low:.4f}" if low == high else f"{low:.4f} to {high:.4f}"
