"""Compare classifiers on the same labelled rows: row by row, at equal coverage, and at the same promise.

Two classifiers need two thresholds for one promise, so a threshold that both share compares nothing. The primary figure
is therefore fixed before the rows are seen. Where all are certified for the same promise it is the share of rows
answered right, each classifier at its own threshold. In all other cases it is the accuracy of the most probable label.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

import numpy as np

from elsewise.arrays import as_column, to_numpy
from elsewise.classifier.classifier import Classifier
from elsewise.engines import as_input, key_of, reads_logits
from elsewise.errors import InputError, warn_caller
from elsewise.evaluation import comparison
from elsewise.evaluation.common_labels import ComparedModel, Truth
from elsewise.evaluation.comparison import ChangedRow, ComparedLabels, ComparedRows, Comparison, Place, Said
from elsewise.evaluation.evaluate import USUAL_TARGET, Seen, as_rows, count_seen, counts_repeats
from elsewise.evaluation.paired_bootstrap import PairedBootstrap, SharedThreshold, figures_of, pair_of
from elsewise.messages.wording import counted, percent
from elsewise.progress import Progress, counting

if TYPE_CHECKING:
    from elsewise.rules.certificate import Certificate

LEVEL = 0.95
SHARED_THRESHOLD = 0.6  # a usual choice for every model


def compare(
    a: Classifier,
    b: Classifier,
    *more: Any,
    texts: Any = None,
    labels: Sequence[Any] | None = None,
    codes: Any = None,
    names: Sequence[str] | None = None,
    out_of_scope_label: str | None = None,
    shared_threshold: float = SHARED_THRESHOLD,
    rejected: int = 0,
    progress: Progress | None = None,
) -> Comparison:
    """Compare two classifiers or more on the same labelled texts: ``compare(a, b, texts, labels)``.

    Parameters
    ----------
    a, b : Classifier
        Fitted, loaded, or made of logits by `elsewise.calibrate`.
    *more
        More classifiers, and then `texts` and `labels`, where these are not given by name. With more than two
        classifiers the intervals of all pairs hold together.
    texts : n texts, or mapping from name to them
        Rows that no classifier was made with. Where the classifiers take different inputs, such as texts and an (n, k)
        array of logits: the input of each classifier, under its name.
    labels : n names
        True labels. Rows whose label some classifier lacks are left out, and counted in the notes.
    codes : (n,), instead of labels
        True codes, -1 for out-of-scope. Only where all classifiers have the same labels in the same order.
    names : strings
        Names of the classifiers in the comparison. Default: "a", "b", "c", ...
    out_of_scope_label : str, optional
        The label of out-of-scope rows. Default: the one that the classifiers know.
    shared_threshold : float
        Threshold on the maximum probability. The result shows what it would do to every classifier.
    rejected : int
        Rows of a file that could not be read, to be counted.
    progress : callable, optional
        Called with (words, rows done, rows in all).

    Raises
    ------
    InputError
        If there are no rows, lengths differ, a label is unknown to all, or they have no label in common.

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
    >>> judged.pairs[0].figures["accuracy"].difference.value
    0.5
    >>> judged.verdict[:19]
    'No difference shown'
    >>> [place.name for place in compare(a, b, a, ["good", "bad"], ["yes", "no"]).leaderboard]
    ['a', 'c', 'b']
    """
    others = tuple(takewhile(lambda given: isinstance(given, Classifier), more))
    texts, labels = _given(more[len(others) :], texts, labels)
    models = _named((a, b, *others), names)
    if (labels is None) == (codes is None):
        raise InputError("a comparison needs either labels or codes")
    if not 0 <= shared_threshold <= 1:
        raise InputError(f"shared_threshold must lie in 0..1, got {shared_threshold}")
    true = as_rows("codes", to_numpy(codes)) if labels is None else as_column(labels, "labels")
    if not len(true):
        raise InputError("a comparison needs at least one row with a label that all models have, got 0")
    given = _inputs(models, texts, len(true))
    truth = Truth.of_codes(models, true) if labels is None else Truth.of_labels(models, true, out_of_scope_label)
    seen = {name: count_seen(model, given[name]) for name, model in models.items()}
    for name, counts in seen.items():
        if counts.seen and not counts_repeats(models[name]):
            warn_caller(f"{name}: {counts.words(len(given[name]))}")
    compared = []
    for name, model in models.items():
        with counting(progress, f"answering by {name}", len(given[name])):
            compared.append(ComparedModel.of(name, model, given[name], truth))
    if progress:
        progress("comparing", 0, 0)
    repeated = max(_repeated(rows, truth) for rows in given.values())
    return _compared(compared, truth, seen, shared_threshold, repeated, rejected)


def _given(rows: tuple[Any, ...], texts: Any, labels: Any) -> tuple[Any, Any]:
    """Take texts and labels from the positional or the keyword arguments."""
    by_name = [value for value in (texts, labels) if value is not None]
    if len(rows) + len(by_name) > 2:  # noqa: PLR2004
        raise InputError(
            f"after the classifiers come texts and labels, once each; got {len(rows)} by place and {len(by_name)} by "
            f"name, the first of type {type((*rows, *by_name)[0]).__name__}"
        )
    if len(rows) == 1 and texts is not None:
        return texts, rows[0]
    by_place = dict(zip(("texts", "labels"), rows, strict=False))
    return by_place.get("texts", texts), by_place.get("labels", labels)


def _named(models: Sequence[Any], names: Sequence[str] | None) -> dict[str, Classifier]:
    """Give the classifiers by name, each checked."""
    names = ascii_lowercase[: len(models)] if names is None else names
    if len(names) != len(models):
        raise InputError(f"names must be {len(models)}, one for each model, got {len(names)}")
    for name, model in zip(names, models, strict=True):
        if not isinstance(model, Classifier):
            raise InputError(f"{name} must be a classifier, got {type(model).__name__}; use elsewise.load(folder)")
    named = dict(zip(names, models, strict=True))
    if len(named) < len(models):
        raise InputError(f"a comparison needs models of different names, got {', '.join(names)}")
    return named


def _repeated(texts: Any, truth: Truth) -> int:
    """Count the compared rows whose text came before; 0 for rows of logits."""
    kept = [texts[i] for i in truth.kept.tolist()] if isinstance(texts, list) else []
    return len(kept) - len(set(kept))


def _inputs(models: Mapping[str, Classifier], texts: Any, n: int) -> dict[str, Any]:
    """Give each classifier its n rows of input."""
    if not isinstance(texts, Mapping):
        rows = list(texts) if isinstance(texts, Iterator) else texts  # each model reads them
        given = {name: as_input(model.engine, rows) for name, model in models.items()}
    else:
        lacking = [name for name in models if name not in texts]
        if lacking:
            raise InputError(f"texts by name must have an entry for every model, and {lacking[0]!r} has none")
        given = {name: as_input(model.engine, texts[name]) for name, model in models.items()}
    for name, rows in given.items():
        if len(rows) != n:
            raise InputError(f"every model needs a row for each of {n:,} labels, got {len(rows):,} for {name}")
    return given


def _compared(
    models: list[ComparedModel], truth: Truth, seen: Mapping[str, Seen], shared: float, repeated: int, rejected: int
) -> Comparison:
    target, why_not = _same_promise(models)
    primary = comparison.Primary(
        figure="accuracy" if why_not else "right",
        why=why_not or f"all promise the same: {percent(target)} right when answered",
        target_accuracy=target,
    )
    drawn = PairedBootstrap.of(models, truth, target, LEVEL)
    values = [drawn.value(primary.figure, i) for i in range(len(models))]
    order = sorted(range(len(models)), key=lambda i: -values[i])  # ties stay in the given order
    best = 0 if len(models) == 2 else order[0]  # noqa: PLR2004  of two: a minus b
    n, inside, readable = len(truth.codes), int((truth.codes >= 0).sum()), int(drawn.bare.sum())
    rows = ComparedRows(n, inside, n - inside, readable, dict(truth.left_out), repeated, rejected)
    common = list(truth.names[: truth.common])
    other = {model.name: [name for name in model.classifier.labels if name not in common] for model in models}
    labels = ComparedLabels(common, other)
    board = [_place(drawn, primary.figure, i, order[0]) for i in order]
    return Comparison(
        verdict=_verdict(board, primary.figure, rows, why_not),
        primary=primary,
        notes=tuple(_notes(rows, labels)),
        rows=rows,
        labels=labels,
        models={model.name: _alone(drawn, i, shared, seen[model.name]) for i, model in enumerate(models)},
        pairs=[pair_of(drawn, best, i) for i in order if i != best],
        leaderboard=board,
        changed=list(_changed(models, truth)),
    )


def _same_promise(models: Sequence[ComparedModel]) -> tuple[float, str]:
    """Give the accuracy that all classifiers promise and "", or the usual accuracy and why no promise is common."""
    certificates: list[Certificate] = []
    for model in models:
        if model.classifier.certificate is None:
            return USUAL_TARGET, f"{model.name} has no certificate"
        certificates.append(model.classifier.certificate)
    for model, c in zip(models, certificates, strict=True):
        if not c.certified:
            answers = "" if c.n else " and answers nothing"
            return c.target_accuracy, f"{model.name} could not be certified for {percent(c.target_accuracy)}{answers}"
    if len({c.promised for c in certificates}) > 1:
        return USUAL_TARGET, "the models promise different things"
    return certificates[0].target_accuracy, ""


def _place(drawn: PairedBootstrap, figure: str, i: int, best: int) -> Place:
    apart = None if i == best else drawn.difference(figure, best, i)
    shown = apart is not None and apart.low > 0
    return Place(drawn.models[i].name, drawn.alone(figure, i), apart, shown)


def _verdict(board: Sequence[Place], primary: str, rows: ComparedRows, why_not: str) -> str:
    n = rows.compared if primary == "right" else rows.readable
    if not n:
        return "Which is better cannot be told: there is no in-scope row that every model can read."
    first, *others = board
    why = f" ({why_not}, so that accuracy decides)" if why_not else ""
    does, where = (
        (f"answers more of {n:,} texts right than", "at the same promise")
        if primary == "right"
        else (f"has more of {n:,} texts right than", "Other left aside")
    )
    worse = [place for place in others if place.shown]
    close = [place for place in others if not place.shown]
    shares = ", ".join(f"{place.name} {_points(place.figure.value)} %" for place in board)
    if not worse:
        apart = ", ".join(_apart(place, len(others) > 1) for place in others)
        what = "are answered right" if primary == "right" else "have the right best label"
        return f"No difference shown in how many of {n:,} texts {what}, {where}: {shares}; {apart}{why}."
    apart = ", ".join(_apart(place, len(others) > 1) for place in worse)
    rest = f"; no difference from {_listed(close)} is shown" if close else ""
    return f"{first.name} {does} {_listed(worse)}, {where}: {shares}; {apart}{rest}{why}."


def _apart(place: Place, named: bool) -> str:
    gap = place.behind_the_best
    if gap is None:
        return ""
    whose, together = (f"to {place.name} ", " together") if named else ("", "")
    low, high = _points(gap.low), _points(gap.high)
    return f"the difference {whose}is {_points(gap.value)} points ({low} to {high} at 95 %{together})"


def _points(share: float) -> str:
    return f"{round(100 * share, 2) + 0.0:.2f}"  # + 0.0: no minus before a zero


def _listed(places: Sequence[Place]) -> str:
    *most, last = (place.name for place in places)
    return f"{', '.join(most)} and {last}" if most else last


def _notes(rows: ComparedRows, labels: ComparedLabels) -> Iterator[str]:
    if any(labels.other.values()):
        more = ", ".join(f"{name} has {len(own):,} more" for name, own in labels.other.items() if own)
        common = f"{len(labels.common):,} labels that all models have ({more})"
        yield f"compared on the {common}; an answer with any other label counts as wrong"
    if rows.left_out:
        yield f"left out: {counted(sum(rows.left_out.values()), 'row')} with a label that some model lacks"
    if rows.repeated:
        again = f"repeated texts: {counted(rows.repeated, 'row')}"
        yield f"{again}; the intervals assume rows drawn independently, so that they are too narrow"
    if rows.readable < rows.in_scope:
        unread = f"not readable by every model: {counted(rows.in_scope - rows.readable, 'in-scope row')}"
        yield f"{unread}; left out of the figures of the most probable label, and Other at the promise"


def _alone(drawn: PairedBootstrap, i: int, shared: float, seen: Seen) -> comparison.ModelFigures:
    """Give one model's figures, also at the shared threshold, its description and speed."""
    compared = drawn.models[i]
    model, engine = compared.classifier, compared.classifier.engine
    of_logits = reads_logits(engine)  # its texts were answered before, so that no speed is known
    recorded = [row["texts_per_second"] for row in model.provenance.gate if row["engine"] == key_of(engine)]
    return comparison.ModelFigures(
        figures=figures_of(drawn, i),
        shared_threshold=SharedThreshold.of(compared, shared),
        threshold=np.asarray(model.rule.threshold).tolist(),
        certificate=model.certificate,
        engine={"name": engine.name, **engine.settings, "fingerprint": engine.fingerprint},
        rows=comparison.ModelRows(int((~compared.answers.readable).sum()), seen.seen, seen.seen_in),
        texts_per_second=None if of_logits else len(compared.decisions) / max(compared.seconds, 1e-9),
        texts_per_second_at_fit=recorded[0] if recorded else None,
    )


def _changed(models: Sequence[ComparedModel], truth: Truth) -> Iterator[ChangedRow]:
    decided = np.column_stack([model.answers.decided for model in models])
    for i in np.flatnonzero((decided != decided[:, :1]).any(axis=1)).tolist():
        true = int(truth.codes[i])
        label = truth.names[true] if true >= 0 else None
        yield ChangedRow(int(truth.kept[i]), label, {model.name: _says(model, truth, i) for model in models})


def _says(model: ComparedModel, truth: Truth, i: int) -> Said:
    decided, best = int(model.answers.decided[i]), int(model.answers.best[i])
    return Said(
        label=truth.names[decided] if decided >= 0 else model.classifier.other,
        abstained=decided < 0,
        right=decided == int(truth.codes[i]),
        best_label=truth.names[best] if best >= 0 else None,
        confidence=float(model.decisions.confidence[i]),
    )
