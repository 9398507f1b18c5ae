"""Calibrate and certify logits of any model."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import ABSTAIN, as_codes, as_labels, as_logits
from elsewise.classifier.classifier import Classifier
from elsewise.classifier.kept_rows import refit_outputs
from elsewise.data.checks import size_findings, warn
from elsewise.data.defaults import CONFIDENCE_LEVEL, FLOOR, TARGET_ACCURACY
from elsewise.data.splits import stratified
from elsewise.engines.logits import LogitsEngine, rows_of
from elsewise.engines.output_kinds import check_logits
from elsewise.errors import InputError
from elsewise.fitting.certify import Promise, Words, certified_engine, evaluated, versions


def calibrate(
    logits: Any,
    codes: Any,
    *,
    labels: Iterable[str] | None = None,
    features: Any = None,
    out_of_scope: Any = None,
    test: tuple[Any, ...] | None = None,
    target_accuracy: float = TARGET_ACCURACY,
    confidence_level: float = CONFIDENCE_LEVEL,
    other: str = "Other",
    out_of_scope_label: str | None = None,
    score: str = "auto",
    floor: float = FLOOR,
    unfamiliar: float | None = None,
    seed: int = 0,
    keep_refit_rows: bool = True,
) -> Classifier:
    """Calibrate and certify logits of your own model: no text model, no torch.

    One third of the rows fits the calibrator and places the grid, two thirds certify.

    Parameters
    ----------
    logits, codes : (n, k), (n,)
        Logits of texts that the model was not trained on, each text once, and their true codes 0..k-1; -1 for
        out-of-scope.
    labels : k strings, optional
        Default: "0", "1", ...
    features : (n, d), optional
        The input of the model's last layer, for scores and explanations that use distances. The classifier then reads
        them after the logits of a row: ``decide(numpy.hstack([logits, features]))``.
    out_of_scope : (m, k), optional
        Logits of more rows, all out-of-scope; with features, the pair (logits, features).
    test : (logits, codes), optional
        Rows to report on, used for nothing else; with features, (logits, codes, features).
    target_accuracy, confidence_level, other, score, floor, unfamiliar
        As in `fit`; `unfamiliar` needs features.
    out_of_scope_label : str, optional
        The word for out-of-scope rows, where labels are words.
    seed : int
        Seed of the division of the rows.
    keep_refit_rows : bool
        Keep logits and codes, to choose a new threshold without them.

    Raises
    ------
    InputError
        If shapes disagree, a logit is not finite, rows are probabilities, a code is out of range, or labels repeat.

    Examples
    --------
    >>> z = np.tile([[2.0, 0.0], [0.0, 2.0]], (300, 1))
    >>> y = np.tile([0, 1], 300)
    >>> y[:12] = 1 - y[:12]
    >>> classifier = calibrate(z, y, labels=["yes", "no"])
    >>> classifier.decide([[3.0, 0.0]]).labels, classifier.certificate.certified
    (['yes'], True)
    """
    promise, words = (
        Promise(target_accuracy, confidence_level, score, floor, unfamiliar),
        Words(other, out_of_scope_label),
    )
    z = as_logits(logits)
    check_logits(z)
    y = as_codes(codes, like=z, allow_abstain=True)
    rows = z if features is None else rows_of(z, features)
    if out_of_scope is not None:
        more = _brought("out_of_scope", (out_of_scope,) if features is None else out_of_scope, features, rows.shape[1])
        rows, y = np.vstack([rows, more]), np.append(y, np.full(len(more), ABSTAIN))
    engine = LogitsEngine(_names(labels, z.shape[1]), features=rows.shape[1] - z.shape[1])
    tune, certify = stratified(y, (1 / 3, 2 / 3), np.random.default_rng(seed))
    warn(size_findings(int((y[tune] >= 0).sum()), len(certify), len(y), promise.tested))
    tested = None
    if test is not None:
        tested = _brought("test", (*test[:1], *test[2:]), features, rows.shape[1]), test[1] if len(test) > 1 else ()
    answered = {name: (engine.run(rows[part]), y[part]) for name, part in (("tune", tune), ("certify", certify))}
    made, judging = certified_engine(engine, answered, None, promise, words, seed)
    sizes = {name: len(y) for name, (_, y) in answered.items()} | ({"test": len(tested[0])} if tested else {})
    classifier = made.with_provenance(
        record={**made.provenance.record, "splits": sizes, "versions": versions()},
        arrays=refit_outputs(answered, judging) if keep_refit_rows else {},
    )
    return evaluated(classifier, *tested) if tested else classifier


def _brought(name: str, given: tuple[Any, ...], features: Any, width: int) -> NDArray[Any]:
    """Check more rows of the user's, (logits,) or (logits, features), against the first rows."""
    needed = 1 if features is None else 2
    if not isinstance(given, tuple) or len(given) != needed:
        has = "logits alone" if features is None else "logits and features"
        raise InputError(f"{name} must have {has}, as the rows to calibrate on")
    z = as_logits(given[0])
    rows = z if features is None else rows_of(z, given[1])
    if rows.shape[1] != width:
        raise InputError(f"{name} must have {width} columns, as the rows to calibrate on, got {rows.shape[1]}")
    return rows


def _names(labels: Iterable[str] | None, k: int) -> tuple[str, ...]:
    names = as_labels(map(str, range(k)) if labels is None else labels)
    if len(names) != k:
        raise InputError(f"logits have {k} columns, got {len(names)} labels")
    return names
