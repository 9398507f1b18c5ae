"""Calibrate and certify logits of any model, or a fine-tuned folder."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import ABSTAIN, Codes, Floats, as_codes, as_column, as_labels, as_logits
from elsewise.classifier.classifier import Classifier
from elsewise.classifier.kept_rows import population_record, refit_outputs
from elsewise.data.checks import absent_findings, majority_findings, size_findings, warn
from elsewise.data.defaults import CONFIDENCE_LEVEL, FLOOR, LEFT_OUT, TARGET_ACCURACY
from elsewise.data.division import Indices, one_of_each, parts_of
from elsewise.data.marks import numbered_groups, seconds
from elsewise.data.splits import row_hashes
from elsewise.engines.logits import LogitsEngine, rows_of
from elsewise.engines.output_kinds import check_logits
from elsewise.errors import InputError, warn_caller
from elsewise.fitting.calibrate_folder import calibrate_folder
from elsewise.fitting.certify import Promise, Words, certified_engine, evaluated, versions, warn_of_promise
from elsewise.messages.certificates import Population
from elsewise.progress import Note
from elsewise.reporting import Shown, heard, reported
from elsewise.storage.json_files import Json

FEW_ROWS = 20  # in fewer, a column of whole numbers may be chance


@reported("calibrating")
def calibrate(
    logits: Any,
    codes: Any,
    labels: Iterable[Any] | None = None,
    *,
    names: Iterable[Any] | None = None,
    features: Any = None,
    out_of_scope: Any = None,
    test: tuple[Any, ...] | None = None,
    groups: Iterable[Any] | None = None,
    times: Iterable[Any] | None = None,
    count_repeats: bool = False,
    target_accuracy: float = TARGET_ACCURACY,
    confidence_level: float = CONFIDENCE_LEVEL,
    strict: bool = False,
    other: str = "Other",
    out_of_scope_label: str | None = None,
    score: str = "auto",
    floor: float = FLOOR,
    unfamiliar: float | None = None,
    seed: int = 0,
    keep_refit_rows: bool = True,
    engine: str = "auto",
    precision: str = "auto",
    windows: int = 1,
    progress: Shown = "auto",
    note: Note | None = None,
) -> Classifier:
    """Calibrate and certify a model of yours: its logits, or the folder of a fine-tuned BERT.

    ``calibrate(logits, codes)`` needs no text model and no torch. One third of the rows fits the calibrator and places
    the grid, two thirds certify.

    ``calibrate("my-bert", texts, labels)`` opens what `save_pretrained` wrote, and makes a classifier with its files,
    as `fit` does, without training. A quarter of the rows fits the calibrator, chooses the engine and places the grid,
    half certifies, and a quarter is only reported on.

    Parameters
    ----------
    logits, codes : (n, k), (n,); or a folder, n strings
        Logits of texts that the model was not trained on, and their true codes 0..k-1; -1 for out-of-scope. Rows that
        are equal to the last bit are taken as one text, which counts once. Or the folder, and such texts.
    labels : k strings, optional; or n labels
        With logits, the names of their columns. Default: "0", "1", ... With a folder, the labels of the texts: the
        model's own, or their codes as whole numbers.
    names : k strings, optional
        With a folder, what to call the model's labels, in the order of its codes. Needed where it only knows LABEL_0,
        LABEL_1, ... and the texts have words as labels.
    features : (n, d), optional
        The input of the model's last layer, for scores and explanations that use distances. The classifier then reads
        them after the logits of a row: ``decide(numpy.hstack([logits, features]))``.
    out_of_scope : (m, k), optional
        Logits of more rows, all out-of-scope; with features, the pair (logits, features).
    test : (logits, codes), optional
        Rows to report on, used for nothing else; with features, (logits, codes, features); with a folder,
        (texts, labels). All other rows of a folder then fit and certify, one third and two thirds.
    groups, times : n values each, optional
        As in `fit`: whole groups calibrate or certify, and the newest rows certify.
    count_repeats : bool
        Equal rows count as often as they come: they are different texts that the model cannot tell apart, or the rows
        are a draw of all texts that come in.
    target_accuracy, confidence_level, strict, other, score, floor, unfamiliar
        As in `fit`; `unfamiliar` needs features.
    out_of_scope_label : str, optional
        The word for out-of-scope rows, where labels are words.
    seed : int
        Seed of the division of the rows.
    keep_refit_rows : bool
        Keep logits and codes, and of texts the tokens, to choose a new threshold without them.
    engine, precision, windows, progress, note
        As in `fit`, with a folder. `note` also tells what is left out because the train rows are unknown.

    Warns
    -----
    PromiseWarning
        If less is promised than was asked for, or nothing.

    Raises
    ------
    InputError
        If shapes disagree, a logit is not finite, rows are probabilities, a code is out of range, labels repeat, a time
        cannot be read, or groups or times are too few to divide the rows by. If the folder holds no classifier that was
        fine-tuned, or a text has a label that the model does not have.
    MissingExtra
        If torch or transformers are not installed; with a folder.

    Examples
    --------
    >>> z = np.tile([[2.0, 0.0], [0.0, 2.0]], (300, 1))
    >>> y = np.tile([0, 1], 300)
    >>> y[:12] = 1 - y[:12]
    >>> classifier = calibrate(z, y, labels=["yes", "no"], count_repeats=True)
    >>> classifier.decide([[3.0, 0.0]]).labels, classifier.certificate.certified
    (['yes'], True)
    """
    promise = Promise(target_accuracy, confidence_level, score, floor, unfamiliar, strict)
    words = Words.of(other, out_of_scope_label)
    marks = {"groups": groups, "times": times}
    groups, times = (None if values is None else as_column(values, name) for name, values in marks.items())
    how: dict[str, Any] = {"test": test, "count_repeats": count_repeats}
    how |= {"keep_refit_rows": keep_refit_rows, "seed": seed}
    if isinstance(logits, str | PathLike):
        _refuse("logits, and a folder answers texts", features=features, out_of_scope=out_of_scope)
        if labels is None:
            raise InputError(f"a folder needs texts and their labels: calibrate({str(logits)!r}, texts, labels)")
        return calibrate_folder(
            str(logits), (codes, labels, groups, times), promise, words, names=names, engine=engine,
            precision=precision, windows=windows, progress=heard(progress), note=note, **how,
        )  # fmt: skip
    of_folders = {"engine": (engine, "auto"), "precision": (precision, "auto"), "windows": (windows, 1)}
    asked = {name: None if value == usual else value for name, (value, usual) in of_folders.items()}
    _refuse("a folder", names=names, **asked)
    return _calibrated(logits, codes, labels, promise, words, features, out_of_scope, groups, times, **how)


def _refuse(about: str, **given: Any) -> None:
    """Raise InputError for the first argument that is given."""
    for name, value in given.items():
        if value is not None:
            raise InputError(f"{name}= is about {about}; leave it out")


def _calibrated(
    logits: Any, codes: Any, labels: Iterable[Any] | None, promise: Promise, words: Words, features: Any,
    out_of_scope: Any, groups: list[Any] | None, times: list[Any] | None, *,
    test: tuple[Any, ...] | None, count_repeats: bool, keep_refit_rows: bool, seed: int,
) -> Classifier:  # fmt: skip
    """Calibrate and certify logits."""
    z = as_logits(logits)
    check_logits(z)
    y = as_codes(codes, like=z, allow_abstain=True)
    rows = z if features is None else rows_of(z, features)
    if out_of_scope is not None:
        if times is not None:
            raise InputError("out_of_scope rows have no times; put them among the logits, with the code -1")
        more = _brought("out_of_scope", (out_of_scope,) if features is None else out_of_scope, features, rows.shape[1])
        rows, y = np.vstack([rows, more]), np.append(y, np.full(len(more), ABSTAIN))
        groups = None if groups is None else [*groups, *[None] * len(more)]
    names = _names(labels, z.shape[1])
    _check_columns(z, y, names)
    engine = LogitsEngine(names, features=rows.shape[1] - z.shape[1])
    drawn = _Drawn.of(rows, y, groups, times, np.random.default_rng(seed), count_repeats=count_repeats)
    _warn_of_repeats(drawn.population)
    tune, certify = drawn.tune, drawn.certify
    few = size_findings(int((y[tune] >= 0).sum()), len(certify), len(y), promise.tested)
    absent = absent_findings([name for code, name in enumerate(names) if not (y == code).any()])
    warn([*few, *absent, *majority_findings(y[certify], names, promise.tested)])
    tested = None
    if test is not None:
        tested = _brought("test", (*test[:1], *test[2:]), features, rows.shape[1]), test[1] if len(test) > 1 else ()
    answered = {name: (engine.run(rows[part]), y[part]) for name, part in (("tune", tune), ("certify", certify))}
    made, judging = certified_engine(engine, answered, None, promise, words, seed, drawn.population)
    sizes = {name: len(y) for name, (_, y) in answered.items()} | ({"test": len(tested[0])} if tested else {})
    classifier = made.with_provenance(
        record={**made.provenance.record, "splits": sizes, "versions": versions(), **drawn.record},
        arrays={**drawn.hashes, **(refit_outputs(answered, judging) if keep_refit_rows else {})},
    )
    warn_of_promise(classifier.certificate)
    return evaluated(classifier, *tested) if tested else classifier


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """Indices of tune and certify rows among the rows of logits; hashes of both; and what the certify rows stand for.

    `dropped` counts the rows in neither part, by the names of `LEFT_OUT`.
    """

    tune: Indices
    certify: Indices
    hashes: dict[str, NDArray[Any]]
    population: Population
    dropped: dict[str, int]

    @classmethod
    def of(
        cls, rows: Floats, codes: Codes, groups: Any, times: Any, rng: np.random.Generator, *, count_repeats: bool
    ) -> Self:
        """Divide rows (n, d) with codes (n,), of which groups and times may be known; equal rows count once."""
        salt, n = secrets.token_bytes(16), len(rows)
        group, time = _marks(n, groups, times)
        hashed = np.array(row_hashes(rows, salt), dtype=np.uint64)
        kept = np.arange(n) if count_repeats else np.sort(np.unique(hashed, return_index=True)[1])
        groups, times = None if group is None else group[kept], None if time is None else time[kept]
        parts = [kept[part] for part in parts_of(codes[kept], (1 / 3, 2 / 3), rng, groups, times, whole=0)]
        if group is not None:
            parts = [np.sort(part[one_of_each(group[part], rng)]) for part in parts]
        tune, certify = parts
        population = Population(n, n - len(kept), count_repeats, group is not None, time is not None)
        dropped = {"repeated": n - len(kept), "grouped": len(kept) - len(tune) - len(certify)}
        hashes = {"split.tune": hashed[tune], "split.certify": hashed[certify]}
        return cls(tune, certify, hashes | {"split.salt": np.frombuffer(salt, dtype=np.uint8)}, population, dropped)

    @property
    def record(self) -> Json:
        """What a folder's record tells of it."""
        return {"dropped": {name: self.dropped.get(name, 0) for name in LEFT_OUT}, **population_record(self.population)}


def _marks(n: int, groups: Any, times: Any) -> tuple[Indices | None, Floats | None]:
    """Turn the groups and the times of n rows into numbers (n,)."""
    for name, values in (("groups", groups), ("times", times)):
        if values is not None and len(values) != n:
            raise InputError(f"{name} must have one value for each of {n:,} rows, got {len(values):,}")
    return numbered_groups([groups])[0], None if times is None else seconds(times, "the rows")


def _check_columns(logits: Floats, codes: Codes, names: Sequence[str]) -> None:
    """Raise InputError for a column of row numbers among the logits (n, k), as pandas writes them; codes are (n,)."""
    for column in np.setdiff1d(np.arange(logits.shape[1]), codes).tolist():  # those of labels that no row has
        values = logits[:, column]
        if len(np.unique(values)) == len(values) > FEW_ROWS and np.array_equal(values, np.rint(values)):
            raise InputError(
                f"column {names[column]!r} of the logits holds a whole number of its own for each row, and no row has "
                "this label: it numbers the rows; leave the column out"
            )


def _warn_of_repeats(population: Population) -> None:
    if population.drops_repeats:
        rows = f"{population.repeats:,} of {population.rows:,} rows of logits equal an earlier row to the last bit"
        words = f"{rows}: equal rows count once; if they are different texts, count all: count_repeats=True"
        warn_caller(words)


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


def _names(labels: Iterable[Any] | None, k: int) -> tuple[str, ...]:
    names = as_labels(map(str, range(k)) if labels is None else labels)
    if len(names) != k:
        raise InputError(f"logits have {k} columns, got {len(names)} labels")
    return names
