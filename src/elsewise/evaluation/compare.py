"""Compare classifiers on the same labelled rows: row by row, at equal coverage, and at the same promise.

Two classifiers need two thresholds for one promise, so that a threshold that both share compares nothing. What is
compared first is therefore fixed before: the share of all rows that each answers right at its own threshold, where all
are certified for the same promise; the accuracy of the bare classifiers otherwise.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from elsewise.arrays import to_numpy
from elsewise.classifier.classifier import Classifier
from elsewise.engines import key_of, reads_logits
from elsewise.errors import ElsewiseWarning, InputError
from elsewise.evaluation.common_labels import Side, Truth
from elsewise.evaluation.evaluate import USUAL_TARGET, as_rows, count_seen, plain, seen_words
from elsewise.evaluation.paired_bootstrap import Rounds, compare_labels, compare_pair, describe, outcomes
from elsewise.messages.wording import n_rows, percent

if TYPE_CHECKING:
    from elsewise.metrics import Estimate

LEVEL = 0.95
SHARED_THRESHOLD = 0.6  # what many take for every model
EXAMPLES = 20  # changed rows that `as_dict` holds

Part = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between classifiers, and what of it other rows would show too.

    Attributes
    ----------
    verdict : str
        One sentence, which rests on `primary`.
    primary : mapping
        figure ("right", the share of rows answered right at the same promise, or "accuracy"), and why; and
        target_accuracy, at which coverages are compared: the one that all promise, or 0.95.
    notes : tuple of str
        What should be known of the rows and labels that are compared.
    rows : mapping
        compared, in_scope, out_of_scope, readable (in-scope rows that every classifier can read), left_out (rows by a
        label that some classifiers do not have), repeated (with a text that came before), rejected.
    labels : mapping
        common: the labels that are compared; other: by classifier those that not all have.
    models : mapping from name to mapping
        Each alone: `figures` with 95 % intervals, `shared_threshold` (what one threshold for all does to it), its
        threshold and certificate, engine, rows (unreadable; seen, of texts that it was made with), speed.
    pairs : sequence of mappings
        Two classifiers: a minus b, as they were given. More: the best by the primary figure minus each other one. Each
        has `figures` (difference, shown, and for shares of rows the exact p-value of McNemar), `outcomes` and `labels`.
    leaderboard : sequence of mappings
        All classifiers, the best by the primary figure first, each with its difference from the best.
    changed : sequence of mappings
        Rows that not all classifiers decide alike: row (counted from 0 in what was given), label, and what each says.
    """

    verdict: str
    primary: Part
    notes: tuple[str, ...]
    rows: Part
    labels: Part
    models: Mapping[str, Part]
    pairs: Sequence[Part]
    leaderboard: Sequence[Part]
    changed: Sequence[Part]

    def __str__(self) -> str:
        return "\n".join([self.verdict, *self.notes])

    def as_dict(self) -> dict[str, Any]:
        """Give the same as plain dictionaries, lists and numbers; of the changed rows their number and the first 20."""
        all_fields = {field.name: plain(getattr(self, field.name)) for field in fields(self)}
        return {**all_fields, "changed": {"rows": len(self.changed), "first": list(self.changed[:EXAMPLES])}}


def compare(
    a: Classifier,
    b: Classifier,
    texts: Any,
    labels: Sequence[Any] | None = None,
    *,
    codes: Any = None,
    names: tuple[str, str] = ("a", "b"),
    out_of_scope_label: str | None = None,
    shared_threshold: float = SHARED_THRESHOLD,
    rejected: int = 0,
) -> Comparison:
    """Compare two classifiers on the same labelled texts.

    Parameters
    ----------
    a, b : Classifier
        Fitted, loaded, or made of logits by `elsewise.calibrate`.
    texts : n texts, or mapping from name to them
        Rows that neither was made with. Where the two take different things, such as texts and an (n, k) array of
        logits: what each takes, under its name.
    labels : n names
        True labels. Rows whose label only one of the two has are left out, which is said.
    codes : (n,), instead of labels
        True codes, -1 for out-of-scope: only where both have the same labels in the same order.
    names : two strings
        What they are called in the comparison.
    out_of_scope_label : str, optional
        The label of rows that have none, where the classifiers do not know one or know another.
    shared_threshold : float
        On the maximum probability; what one threshold for both would do is shown.
    rejected : int
        Rows of a file that could not be read, to be counted.

    Raises
    ------
    InputError
        If there are no rows, lengths differ, a label is unknown to both, or they have no label in common.

    Warns
    -----
    ElsewiseWarning
        If some of the texts were used to make a classifier.

    Examples
    --------
    The second is wrong on a text that the first has right: too little to tell them apart.

    >>> from elsewise import FixedThreshold, Identity
    >>> from elsewise.engines.memory import MemoryEngine
    >>> first, second = ({"good": [3.0, 0.0], "bad": z} for z in ([0.0, 3.0], [3.0, 0.0]))
    >>> a, b = (Classifier(MemoryEngine(("yes", "no"), t), Identity(), FixedThreshold(0.6)) for t in (first, second))
    >>> judged = compare(a, b, ["good", "bad"], ["yes", "no"], names=("first", "second"))
    >>> judged.pairs[0]["figures"]["accuracy"]["difference"].value
    0.5
    >>> judged.verdict[:19]
    'No difference shown'
    """
    if len(names) != 2:  # noqa: PLR2004
        raise InputError(f"names must be two, one for each model, got {len(names)}")
    return compare_all(
        dict(zip(names, (a, b), strict=True)),
        texts,
        labels,
        codes=codes,
        out_of_scope_label=out_of_scope_label,
        shared_threshold=shared_threshold,
        rejected=rejected,
    )


def compare_all(
    models: Mapping[str, Classifier],
    texts: Any,
    labels: Sequence[Any] | None = None,
    *,
    codes: Any = None,
    out_of_scope_label: str | None = None,
    shared_threshold: float = SHARED_THRESHOLD,
    rejected: int = 0,
) -> Comparison:
    """Compare two classifiers or more, by name; of more than two the intervals of all pairs hold together.

    Parameters and errors as in `compare`.

    Examples
    --------
    >>> from elsewise import FixedThreshold, Identity
    >>> from elsewise.engines.memory import MemoryEngine
    >>> engine = MemoryEngine(("yes", "no"), {"good": [3.0, 0.0], "bad": [0.0, 3.0]})
    >>> models = {name: Classifier(engine, Identity(), FixedThreshold(0.6)) for name in ("x", "y", "z")}
    >>> [entry["name"] for entry in compare_all(models, ["good", "bad"], ["yes", "no"]).leaderboard]
    ['x', 'y', 'z']
    """
    _check_models(models)
    if (labels is None) == (codes is None):
        raise InputError("a comparison needs either labels or codes")
    if not 0 <= shared_threshold <= 1:
        raise InputError(f"shared_threshold must lie in 0..1, got {shared_threshold}")
    for name, model in models.items():
        if not isinstance(model, Classifier):
            raise InputError(
                f"{name} is no classifier, but of type {type(model).__name__}; open a folder with elsewise.load"
            )
    true = as_rows("codes", to_numpy(codes)) if labels is None else as_rows("labels", labels)
    if not len(true):
        raise InputError("a comparison needs at least one row with a label that all models have, got 0")
    given = _inputs(models, texts, len(true))
    truth = Truth.of_codes(models, true) if labels is None else Truth.of_labels(models, true, out_of_scope_label)
    seen = {name: count_seen(model, given[name]) for name, model in models.items()}
    for name, counts in seen.items():
        if counts["seen"]:
            warnings.warn(f"{name}: {seen_words(counts, len(given[name]))}", ElsewiseWarning, stacklevel=2)
    sides = [Side.of(name, model, given[name], truth) for name, model in models.items()]
    counts = {"repeated": max(_repeated(rows, truth) for rows in given.values()), "rejected": rejected}
    return _compared(sides, truth, seen, shared_threshold, counts)


def _repeated(texts: Any, truth: Truth) -> int:
    """Count the rows that are compared whose text came before."""
    given = [] if len(getattr(texts, "shape", ())) > 1 else list(texts)  # rows of logits are not texts
    kept = [given[i] for i in truth.kept.tolist()] if given else []
    return len(kept) - len(set(kept)) if all(isinstance(text, str) for text in kept) else 0


def _check_models(models: Any) -> None:
    if not isinstance(models, Mapping):
        raise InputError(f"models must be a mapping from names to classifiers, got {type(models).__name__}")
    for name, model in models.items():
        if not isinstance(model, Classifier):
            kind = type(model).__name__
            raise InputError(f"{name} is no classifier, but of type {kind}; open a folder with elsewise.load")
    if len(models) < 2:  # noqa: PLR2004
        raise InputError(f"a comparison needs at least two models of different names, got {len(models)}")


def _inputs(models: Mapping[str, Classifier], texts: Any, n: int) -> dict[str, Any]:
    """Give each classifier what it takes, n rows of it."""
    if not isinstance(texts, Mapping):
        given = dict.fromkeys(models, as_rows("texts", texts))
    else:
        lacking = [name for name in models if name not in texts]
        if lacking:
            raise InputError(f"texts by name must hold those of every model, and {lacking[0]!r} has none")
        given = {name: as_rows("texts", texts[name]) for name in models}
    for name, rows in given.items():
        if len(rows) != n:
            raise InputError(f"every model needs a row for each of {n:,} labels, got {len(rows):,} for {name}")
    return given


def _compared(
    sides: list[Side], truth: Truth, seen: Mapping[str, Part], shared_threshold: float, counts: Mapping[str, int]
) -> Comparison:
    target, why_not = _same_promise([side.classifier for side in sides], [side.name for side in sides])
    primary = "accuracy" if why_not else "right"
    rounds = Rounds.of(sides, truth, target, LEVEL)
    values = [rounds.value(primary, i) for i in range(len(sides))]
    order = sorted(range(len(sides)), key=lambda i: -values[i])  # equal ones stay as they were given
    best = 0 if len(sides) == 2 else order[0]  # noqa: PLR2004  of two: a minus b
    others = [i for i in order if i != best]
    inside = truth.codes >= 0
    labels = {
        side.name: [name for name in side.classifier.labels if name not in truth.names[: truth.common]]
        for side in sides
    }
    rows: dict[str, Any] = {
        "compared": len(truth.codes),
        "in_scope": int(inside.sum()),
        "out_of_scope": int((~inside).sum()),
        "readable": int(rounds.bare.sum()),
        "left_out": dict(truth.left_out),
        **counts,
    }
    pairs = [
        {
            "a": sides[best].name,
            "b": sides[i].name,
            "figures": compare_pair(rounds, best, i),
            "outcomes": outcomes(sides[best].answers, sides[i].answers, rounds.bare),
            "labels": compare_labels(sides[best], sides[i], truth, rounds),
        }
        for i in others
    ]
    leaderboard = [_standing(rounds, primary, i, order[0]) for i in order]
    return Comparison(
        verdict=_verdict(leaderboard, primary, len(truth.codes) if primary == "right" else rows["readable"], why_not),
        primary={
            "figure": primary,
            "why": why_not or f"all promise the same: {percent(target)} right when answered",
            "target_accuracy": target,
        },
        notes=tuple(_notes(rows, labels, truth)),
        rows=rows,
        labels={"common": list(truth.names[: truth.common]), "other": labels},
        models={
            side.name: {**describe(rounds, i, shared_threshold), **_about(side, seen[side.name])}
            for i, side in enumerate(sides)
        },
        pairs=pairs,
        leaderboard=leaderboard,
        changed=list(_changed(sides, truth)),
    )


def _same_promise(models: Sequence[Classifier], names: Sequence[str]) -> tuple[float, str]:
    """Give the accuracy that all promise, and an empty string; or the usual one, and why there is no such promise."""
    for name, model in zip(names, models, strict=True):
        if model.certificate is None:
            return USUAL_TARGET, f"{name} has no certificate"
    certificates = [c for m in models if (c := m.certificate) is not None]
    for name, c in zip(names, certificates, strict=True):
        if not c.certified:
            answers = "" if c.n else " and answers nothing"
            return c.target_accuracy, f"{name} could not be certified for {percent(c.target_accuracy)}{answers}"
    if len({c.promised for c in certificates}) > 1:
        return USUAL_TARGET, "the models promise different things"
    return certificates[0].target_accuracy, ""


def _standing(rounds: Rounds, primary: str, i: int, best: int) -> dict[str, Any]:
    apart = None if i == best else rounds.difference(primary, best, i)
    return {
        "name": rounds.sides[i].name,
        "figure": rounds.alone(primary, i),
        "behind_the_best": apart,
        "shown": apart is not None and apart.low > 0,
    }


def _verdict(board: Sequence[Part], primary: str, n: int, why_not: str) -> str:
    if not n:
        return "Which is better cannot be told: there is no in-scope row that every model can read."
    first, *others = board
    why = f" ({why_not}, so that accuracy decides)" if why_not else ""
    does, where = (
        (f"answers more of {n:,} texts right than", "at the same promise")
        if primary == "right"
        else (f"has more of {n:,} texts right than", "Other left aside")
    )
    worse = [entry for entry in others if entry["shown"]]
    close = [entry for entry in others if not entry["shown"]]
    shares = ", ".join(f"{entry['name']} {_points(entry['figure'].value)} %" for entry in board)
    if not worse:
        apart = ", ".join(_apart(entry, len(others) > 1) for entry in others)
        what = "are answered right" if primary == "right" else "have the right best label"
        return f"No difference shown in how many of {n:,} texts {what}, {where}: {shares}; {apart}{why}."
    apart = ", ".join(_apart(entry, len(others) > 1) for entry in worse)
    rest = f"; no difference from {_listed(close)} is shown" if close else ""
    return f"{first['name']} {does} {_listed(worse)}, {where}: {shares}; {apart}{rest}{why}."


def _apart(entry: Part, named: bool) -> str:
    gap: Estimate = entry["behind_the_best"]
    whose = f"to {entry['name']} " if named else ""
    together = " together" if named else ""
    return (
        f"the difference {whose}is {_points(gap.value)} points ({_points(gap.low)} to {_points(gap.high)} "
        f"at 95 %{together})"
    )


def _points(share: float) -> str:
    return f"{round(100 * share, 2) + 0.0:.2f}"  # + 0.0: no minus before a zero


def _listed(entries: Sequence[Part]) -> str:
    *most, last = (entry["name"] for entry in entries)
    return f"{', '.join(most)} and {last}" if most else str(last)


def _notes(rows: Part, labels: Mapping[str, Sequence[str]], truth: Truth) -> Iterator[str]:
    if any(labels.values()):
        more = ", ".join(f"{name} has {len(own):,} more" for name, own in labels.items() if own)
        yield (
            f"compared on the {truth.common:,} labels that all models have ({more}); nothing is taken from a model, "
            "so that an answer with one of its other labels is wrong"
        )
    if rows["left_out"]:
        yield f"left out, with a label that not all models have: {n_rows(sum(rows['left_out'].values()))}"
    if rows["repeated"]:
        yield (
            f"with a text that came before: {n_rows(rows['repeated'])}; the intervals are for rows that were drawn "
            "independently, and repeated ones make them too narrow"
        )
    if rows["readable"] < rows["in_scope"]:
        yield (
            f"in scope, and not every model can read it: {n_rows(rows['in_scope'] - rows['readable'])}; left out of "
            "the figures of the bare classifiers, and Other at the promise"
        )


def _about(side: Side, seen: Part) -> dict[str, Any]:
    """Tell what a classifier is, and how fast it was."""
    model = side.classifier
    of_logits = reads_logits(model.engine)  # whose texts were answered elsewhere
    recorded = [row["texts_per_second"] for row in model.provenance.gate if row["engine"] == key_of(model.engine)]
    return {
        "threshold": np.asarray(model.rule.threshold).tolist(),
        "certificate": None if model.certificate is None else model.certificate.as_dict(),
        "engine": {"name": model.engine.name, **model.engine.settings, "fingerprint": model.engine.fingerprint},
        "rows": {"unreadable": int((~side.answers.readable).sum()), **seen},
        "texts_per_second": None if of_logits else len(side.decisions) / max(side.seconds, 1e-9),
        "texts_per_second_at_fit": recorded[0] if recorded else None,
    }


def _changed(sides: Sequence[Side], truth: Truth) -> Iterator[dict[str, Any]]:
    decided = np.column_stack([side.answers.decided for side in sides])
    for i in np.flatnonzero((decided != decided[:, :1]).any(axis=1)).tolist():
        true = int(truth.codes[i])
        yield {
            "row": int(truth.kept[i]),
            "label": truth.names[true] if true >= 0 else None,
            "models": {side.name: _says(side, truth, i) for side in sides},
        }


def _says(side: Side, truth: Truth, i: int) -> dict[str, Any]:
    decided, best = int(side.answers.decided[i]), int(side.answers.best[i])
    return {
        "label": truth.names[decided] if decided >= 0 else side.classifier.other,
        "abstained": decided < 0,
        "right": decided == int(truth.codes[i]),  # a text of no label is right as Other
        "best_label": truth.names[best] if best >= 0 else None,
        "confidence": float(side.decisions.confidence[i]),
    }
