"""Make a model's files for other engines, and certify it on one more engine or precision."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from elsewise.arrays import Codes
from elsewise.calibrators.choice import FEWEST_ROWS
from elsewise.classifier.classifier import Classifier
from elsewise.classifier.history import recorded
from elsewise.classifier.kept_rows import refit_tokens
from elsewise.classifier.load import open_classifier, provenance_of
from elsewise.classifier.model_folder import ModelFolder
from elsewise.classifier.packing import NAMES
from elsewise.engines import AROUND, GIVEN, PRECISIONS, TEXT_ENGINES, engine_class, key_of
from elsewise.engines.files import INT8, ModelFiles, TemporaryPlace
from elsewise.engines.text import TextEngine, check_precision
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import ArtifactError, ElsewiseWarning, InputError, MissingExtra
from elsewise.gate import Serving, choose, gate_rows, serve
from elsewise.outputs import Evidence
from elsewise.progress import Progress
from elsewise.rules import Rule, fit_as_asked
from elsewise.rules.conformal import SplitConformal
from elsewise.storage.sealed_folder import check_target


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What choosing an engine may look at.

    Attributes
    ----------
    tune : Tokens
        Of tune rows.
    codes : (n,)
        Their true codes, -1 for out-of-scope.
    train : Tokens
        Of some train rows, for int8.
    """

    tune: Tokens
    codes: Codes
    train: Tokens


def check_engine(engine: str, precision: str) -> tuple[str, str]:
    """Resolve "auto" as an engine's name, and refuse what this machine does not have.

    Raises
    ------
    InputError
        If a name is unknown, or the precision is not there.
    MissingExtra
        If a library is not installed.
    """
    name = usual_engine() if engine == "auto" else engine
    for what, given, known in (("engine", name, TEXT_ENGINES), ("precision", precision, ("auto", *PRECISIONS))):
        if given not in known:
            raise InputError(f"unknown {what} {given!r}; choose one of {', '.join(known)}")
    able = engine_class(name).precisions()
    if precision != "auto":
        check_precision(precision, name, able)
    if precision == "int8" and find_spec("nncf") is None:
        raise MissingExtra("nncf is not installed; run: pip install 'elsewise[train]'")
    return name, precision


def usual_engine() -> str:
    """Take torch where it finds a GPU, OpenVINO elsewhere."""
    if find_spec("torch") is None:
        return "openvino"
    import torch  # noqa: PLC0415

    return "torch" if torch.cuda.is_available() else "openvino"


def candidates(
    open_engine: Callable[[ModelFiles, str], TextEngine],
    files: ModelFiles,
    able: Sequence[str],
    rows: Rows,
    progress: Progress | None = None,
) -> list[Serving]:
    """Try precisions, float32 first, and compare each with it on tune rows."""
    tried: list[Serving] = []
    for precision in able:
        if progress:
            progress(f"trying {precision}", 0, 0)
        its_files = quantised(files, rows.train) if precision == "int8" else files
        engine = open_engine(its_files, precision)
        tried.append(serve(engine, rows.tune, rows.codes, tried[0] if tried else None))
    return tried


def serving(
    files: ModelFiles,
    labels: tuple[str, ...],
    settings: Mapping[str, Any],
    wanted: tuple[str, str],
    rows: Rows,
    threads: int | None = None,
    progress: Progress | None = None,
) -> tuple[Serving, tuple[dict[str, Any], ...]]:
    """Choose what serves: the precision that is wanted, or the fastest that passes the gate.

    Parameters
    ----------
    files, labels, settings
        Of the model; settings are those of its tokenizer.
    wanted : (engine, precision)
        As `check_engine` gives them.
    rows : Rows
        To choose on.
    threads : int, optional
        For the engine.
    progress : callable, optional
        Called with (words, 0, 0).

    Returns
    -------
    (Serving, table)
        What serves, and how everything that was tried compared.

    Warns
    -----
    ElsewiseWarning
        If the precision that was asked for is not close enough to float32.
    """
    name, precision = wanted
    opener = engine_class(name)

    def open_engine(its_files: ModelFiles, its_precision: str) -> TextEngine:
        return opener.open(its_files, labels, {**settings, "precision": its_precision}, threads)  # type: ignore[return-value]

    if precision == "auto":
        able = _worth_trying(opener.precisions(), rows)
    else:
        able = ("f32",) if precision == "f32" else ("f32", precision)
    tried = candidates(open_engine, files, able, rows, progress)
    best = choose(tried) if precision == "auto" else tried[-1]
    if not best.measured.passed:
        warnings.warn(
            f"{best.measured.engine} is further from float32 than the margins allow (see the table of the gate): "
            "its certificate holds, and another precision answers better",
            ElsewiseWarning,
            stacklevel=3,
        )
    return best, gate_rows(tried)


def _worth_trying(able: Sequence[str], rows: Rows) -> tuple[str, ...]:
    if int((rows.codes >= 0).sum()) < FEWEST_ROWS:
        return ("f32",)  # nothing could be shown of another
    return tuple(p for p in able if p != "int8" or (len(rows.train) and find_spec("nncf")))


def quantised(files: ModelFiles, train: Tokens) -> ModelFiles:
    """Add the int8 graph to a copy of a model's files; as they are when they have one.

    Raises
    ------
    InputError
        If there are no train texts to calibrate it on.
    """
    from elsewise.training.int8 import write_int8  # noqa: PLC0415  torch

    if INT8 in files:
        return files
    if not len(train):
        raise InputError("int8 is calibrated on train texts, and none are kept here; fit again with refit rows")
    place = TemporaryPlace()
    files.copy_to(place.path)
    write_int8(place.path, train)
    return ModelFiles.of(place.path, place)


def export(
    path: str | Path,
    *,
    engine: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    progress: Progress | None = None,
) -> Classifier:
    """Certify a model folder on one more engine and precision, on the rows it keeps, and save it there.

    That is one more look at the certify rows, and the certificate says so; none where the folder has a certificate
    for it already and answers as before. It becomes the folder's default, unless it is further from float32 than the
    gate allows.

    Parameters
    ----------
    path : str or Path
        A model folder, replaced as a whole.
    engine : {"auto", "openvino", "onnxruntime", "torch"}
        auto is torch where it finds a GPU, openvino elsewhere.
    precision : {"auto", "f32", "bf16", "f16", "int8"}
        auto is the fastest that passes the gate.
    threads : int, optional
        For the engine.
    progress : callable, optional
        Called with (words, 0, 0).

    Returns
    -------
    Classifier
        On the new engine.

    Raises
    ------
    InputError
        If a name is unknown, this machine does not have it, or the folder keeps no rows to certify on.
    ArtifactError
        If the folder is damaged.
    MissingExtra
        If a library is not installed.
    """
    path = Path(path)
    saved = ModelFolder.read(path)
    check_target(path)
    wanted = check_engine(engine, precision)
    made = _certified(saved, "-".join(wanted), threads) or _newly_certified(saved, wanted, threads, progress)
    _default(saved, made).save(path)
    return made


def _default(saved: ModelFolder, made: Classifier) -> Classifier:
    """Give what the folder shall answer with: the new engine, or the old one where the new did not pass the gate."""
    old, new = saved.default, key_of(made.engine)
    if old == new or all(row["passed"] for row in made.provenance.gate if row["engine"] == new):
        return made
    engine: Any = made.engine  # of texts: it has files
    try:
        kept = open_classifier(replace(saved, files=engine.files), old)
    except (ArtifactError, MissingExtra):
        return made  # the old one does not run here
    where = f"{saved.files.path} still answers by {old}"
    warnings.warn(f"{where}; choose {new} by --engine and --precision", ElsewiseWarning, stacklevel=3)
    entry, arrays = made.entry()
    return kept.with_provenance(
        others={**kept.provenance.others, new: entry}, arrays={**kept.provenance.arrays, **arrays}
    )


def _certified(saved: ModelFolder, key: str, threads: int | None) -> Classifier | None:
    """Open what the folder has a certificate for already, if it answers here as it did: no look is needed."""
    if key not in saved.entries:
        return None
    try:
        return open_classifier(saved, key, threads)
    except ArtifactError:
        return None


def _newly_certified(
    saved: ModelFolder, wanted: tuple[str, str], threads: int | None, progress: Progress | None
) -> Classifier:
    settings = saved.entries[saved.default]["settings"]
    labels = tuple(saved.description["labels"])
    best, table = serving(saved.files, labels, settings, wanted, _kept_rows(saved), threads, progress)
    key = key_of(best.engine)
    if known := _certified(saved, key, threads):
        return known.with_provenance(gate=table)
    certify = Evidence.of(best.engine.run(refit_tokens(saved.arrays, "certify")), best.calibrator)
    familiarity, sets = (saved.part(saved.default, name) for name in ("familiarity", "sets"))
    rule = _rule(saved, best, certify)
    history = [*saved.history, recorded("exported", key, rule, looks=saved.looks)]
    return Classifier(
        best.engine,
        best.calibrator,
        rule,
        other=saved.description["other"],
        out_of_scope_label=saved.description["out_of_scope_label"],
        provenance=replace(provenance_of(saved, key), gate=table, history=history),
        familiarity=familiarity and familiarity.against(best.evidence, saved.arrays["refit.tune.codes"]),
        sets=sets and SplitConformal.fit(certify, saved.arrays["refit.certify.codes"], coverage=sets.coverage),
    )


def _kept_rows(saved: ModelFolder) -> Rows:
    path = saved.files.path
    engine = saved.entries[saved.default]["name"]
    if engine in AROUND:
        raise InputError(
            f"{path} answers by {engine}, which is fitted around one engine and precision; "
            "fit it again with --engine and --precision"
        )
    if engine not in TEXT_ENGINES:
        words = "was fitted around a model of yours" if engine == GIVEN else f"is a model of {engine}"
        raise InputError(f"{path} {words}: there is nothing to export")
    kept = saved.arrays
    if "refit.certify.codes" not in kept:
        raise InputError(
            f"{path} keeps no rows to certify on (--no-refit-rows); fit it again, with --engine, --precision"
        )
    return Rows(refit_tokens(kept, "tune"), kept["refit.tune.codes"], refit_tokens(kept, "train"))


def _rule(saved: ModelFolder, best: Serving, certify: Evidence) -> Rule:
    """Promise what the default engine promises, on the new one's outputs, and count the look."""
    old = saved.rule(saved.default)
    if old.asked is None:
        raise InputError(
            f"{saved.files.path} makes a promise of its own kind, which only the call that made it can make again: "
            f"choose another (elsewise threshold {saved.files.path} --target-accuracy ...), or certify from Python"
        )
    return fit_as_asked(
        NAMES[type(old)],
        old.asked,
        tune=(best.evidence, saved.arrays["refit.tune.codes"]),
        certify=lambda: (certify, saved.arrays["refit.certify.codes"]),
        score=old.score,
        looks=saved.looks + 1,
    )
