"""Certify a model folder on one more engine or precision, with the files that it needs."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from elsewise.classifier.classifier import Classifier
from elsewise.classifier.history import recorded
from elsewise.classifier.kept_rows import kept_population, refit_tokens
from elsewise.classifier.load import open_classifier, provenance_of
from elsewise.classifier.model_folder import ModelFolder
from elsewise.classifier.packing import NAMES
from elsewise.data.defaults import CASCADE_CHANGE
from elsewise.engines import key_of, kind_of
from elsewise.engines.cascade import KEY
from elsewise.engines.token_counts import FILE, TokenCounts
from elsewise.errors import ArtifactError, InputError, MissingExtra, warn_caller
from elsewise.fitting.cascade import Asked, cascaded
from elsewise.fitting.certify import warn_of_promise
from elsewise.fitting.engine_choice import Rows, Serving, serving
from elsewise.fitting.engines_to_try import Wanted
from elsewise.fitting.opinions import asked_again
from elsewise.outputs import Evidence
from elsewise.progress import Note, Progress
from elsewise.rules import Rule, about, among_looks, fit_as_asked
from elsewise.rules.conformal import SplitConformal
from elsewise.storage.json_files import Json
from elsewise.storage.paths import at_home
from elsewise.storage.sealed_folder import changing, check_target, steady


def export(
    path: str | Path, *, engine: str = "auto", precision: str = "auto", cascade: bool = False,
    cascade_change: float = CASCADE_CHANGE, threads: int | None = None, progress: Progress | None = None,
    note: Note | None = None,
) -> Classifier:  # fmt: skip
    """Certify a model folder on one more engine and precision, on the rows it keeps, and save it there.

    This is one more look at the certify rows, and the certificate says so. It is no look where the folder already has a
    certificate for this engine and answers as before. The new engine becomes the folder's default, unless it is further
    from float32 than the gate allows.

    Parameters
    ----------
    path : str or Path
        A model folder, replaced as a whole.
    engine : {"auto", "native", "openvino", "onnxruntime", "torch"}
        auto is torch where it finds a GPU, and native elsewhere, or openvino where native is not compiled, does not
        compute the encoder, or is not close enough in int8.
    precision : {"auto", "f32", "bf16", "f16", "int8"}
        auto is the fastest that passes the gate.
    cascade, cascade_change : bool, float
        As in `fit`: put token counts before the engine. A folder that has a cascade keeps it on every engine.
    threads : int, optional
        Threads of the engine.
    progress, note : callable, optional
        Called with (words, 0, 0); and with a line on the cascade, or why it is left out.

    Returns
    -------
    Classifier
        On the new engine.

    Raises
    ------
    InputError
        If a name is unknown, this machine does not have it, or the folder keeps no rows to certify on, or no token
        counts for a cascade; or if another model replaced the folder meanwhile. Changes of thresholds meanwhile are
        kept, and their looks are counted.
    ArtifactError
        If the folder is damaged.
    MissingExtra
        If a library is not installed.

    Warns
    -----
    PromiseWarning
        If less is promised than was asked for, or nothing.
    """
    path = Path(at_home(path))
    saved = steady(path, ModelFolder.read)
    check_target(path)
    wanted = Wanted.of(engine, precision)
    asked = _asked_cascade(saved, cascade_change, is_wanted=cascade)
    ready = _ready(saved, wanted, asked, threads, progress, note)
    with changing(path):  # that took minutes: what was changed in the folder meanwhile is kept
        now = steady(path, ModelFolder.read)
        _check_same_model(saved, now)
        made = _with_files_of(now, ready(now))
        _default(now, made).save(path)
    warn_of_promise(made.certificate)
    return made


def _check_same_model(saved: ModelFolder, now: ModelFolder) -> None:
    """Raise InputError unless both hold the same model and rows; what another export added may be there."""
    rows, rows_now = (
        {name: array.tobytes() for name, array in folder.arrays.items() if name.startswith("refit.")}
        for folder in (saved, now)
    )
    is_kept = saved.files.digests.items() <= now.files.digests.items() and saved.entries.keys() <= now.entries.keys()
    if not is_kept or rows != rows_now or saved.description["labels"] != now.description["labels"]:
        raise InputError(f"{now.files.path} was replaced by a different model meanwhile; run the command again")


def _with_files_of(now: ModelFolder, made: Classifier) -> Classifier:
    """Add the files of another export to those of the new engine; InputError if both made the same file."""
    engine: Any = made.engine  # an engine of texts, which has files
    ours, theirs = engine.files.digests.items(), now.files.digests.items()
    if theirs <= ours:
        return made
    if not ours <= theirs:
        raise InputError(f"{now.files.path} got other files of {key_of(engine)} meanwhile; run the command again")
    return replace(made, engine=engine.with_files(now.files))


def _default(saved: ModelFolder, made: Classifier) -> Classifier:
    """Choose the default engine: the new one, or the old one where the new one did not pass the gate."""
    old, new = saved.default, key_of(made.engine)
    if old == new or all(row["passed"] for row in made.provenance.gate if row["engine"] == new):
        return made
    engine: Any = made.engine  # an engine of texts, which has files
    try:
        kept = open_classifier(replace(saved, files=engine.files), old)
    except (ArtifactError, MissingExtra):
        return made  # the old engine does not run here
    where = f"{saved.files.path} still answers by {old}"
    warn_caller(f"{where}; choose {new} by engine= and precision=")
    entry, arrays = made.entry()
    return kept.with_provenance(
        others={**kept.provenance.others, new: entry},
        arrays={**kept.provenance.arrays, **arrays},
        history=made.provenance.history,
        seen=made.provenance.seen,
    )


def _asked_cascade(saved: ModelFolder, change: float, *, is_wanted: bool) -> Asked | None:
    """Settle which cascade is asked for: a new one, or the kind that the folder has; None without one."""
    kept = saved.entries[saved.default]["settings"].get(KEY)
    score = NAMES[type(saved.rule(saved.default).score)]
    asked = Asked.of(change, is_wanted=is_wanted, method={}, score=score)
    if asked is None and kept is not None:
        return Asked(float(kept["change"]))
    if asked is not None and FILE not in saved.files:
        raise InputError(f"{saved.files.path} has no token counts to answer first; fit it again with cascade=True")
    return asked


def _certified(saved: ModelFolder, key: str, asked: Asked | None, threads: int | None) -> Classifier | None:
    """Open an engine with a certificate, if it answers here as before; None for a new engine or another cascade."""
    if key not in saved.entries:
        return None
    kept = saved.entries[key]["settings"].get(KEY)
    if asked != (None if kept is None else Asked(float(kept["change"]))):
        return None
    try:
        return open_classifier(saved, key, threads)
    except ArtifactError:
        return None


def _ready(
    saved: ModelFolder, wanted: Wanted, asked: Asked | None, threads: int | None, progress: Progress | None,
    note: Note | None,
) -> Callable[[ModelFolder], Classifier]:  # fmt: skip
    """Do what takes long, and return what makes the classifier from the folder as it is then."""
    table: Sequence[Json] = ()
    known = _certified(saved, f"{wanted.first}-{wanted.precision}", asked, threads)
    if known is None:
        settings, labels = saved.entries[saved.default]["settings"], tuple(saved.description["labels"])
        rows = _kept_rows(saved)
        best, table = serving(saved.files, labels, settings, wanted, rows, threads, progress)
        best = asked_again(best, settings, rows, threads)
        known = _certified(saved, key_of(best.engine), asked, threads)
    tried: Json = {}
    if known is None and asked is not None:
        best, tried = cascaded(best, TokenCounts.read(saved.files.need(FILE)), asked, rows, note)
        if not tried["kept"]:  # what is certified without one needs no new look
            known = _certified(saved, key_of(best.engine), None, threads)
    if known is None:
        certify = Evidence.of(best.engine.run(refit_tokens(saved.arrays, "certify")), best.calibrator)
        return partial(_newly_certified, best=best, table=table, certify=certify, tried=tried)
    return partial(_as_certified, known=known, table=table)


def _as_certified(now: ModelFolder, *, known: Classifier, table: Sequence[Json]) -> Classifier:
    """Give an engine the rule and the provenance that the folder has for it."""
    key = key_of(known.engine)
    made = replace(known, rule=now.rule(key), provenance=provenance_of(now, key))
    return made.with_provenance(gate=table) if table else made


def _newly_certified(
    now: ModelFolder, *, best: Serving, table: Sequence[Json], certify: Evidence, tried: Json
) -> Classifier:
    key, tune = key_of(best.engine), best.evidence
    familiarity, sets = (now.part(now.default, name) for name in ("familiarity", "sets"))
    if familiarity is not None:
        familiarity = familiarity.against(tune, now.arrays["refit.tune.codes"])
        tune, certify = familiarity.judged(tune), familiarity.judged(certify)
    rule = _rule(now, tune, certify)
    history = [*now.history, recorded("exported", key, rule, looks=now.looks)]
    record = {**now.description["record"], **({KEY: tried} if tried.get("kept") else {})}
    return Classifier(
        best.engine, best.calibrator, rule,
        other=now.description["other"],
        out_of_scope_label=now.description["out_of_scope_label"],
        provenance=replace(provenance_of(now, key), gate=table, history=history, record=record),
        familiarity=familiarity,
        sets=sets and SplitConformal.fit(certify, now.arrays["refit.certify.codes"], coverage=sets.coverage),
    )  # fmt: skip


def _kept_rows(saved: ModelFolder) -> Rows:
    path, engine = saved.files.path, saved.entries[saved.default]["name"]
    again = kind_of(engine).certify_again
    if again == "fit":
        raise InputError(
            f"{path} answers by {engine}, which is fitted around one engine and precision; "
            "fit it again with engine= and precision="
        )
    if again != "export":
        words = "was fitted around a model of yours" if again == "pass it" else f"is a model of {engine}"
        raise InputError(f"{path} {words}: there is nothing to export")
    kept = saved.arrays
    if "refit.certify.codes" not in kept:
        raise InputError(
            f"{path} keeps no rows to certify on (keep_refit_rows=False); fit it again, with engine= and precision="
        )
    return Rows(refit_tokens(kept, "tune"), kept["refit.tune.codes"], refit_tokens(kept, "train"))


def _rule(saved: ModelFolder, tune: Evidence, certify: Evidence) -> Rule:
    """Certify the default engine's promise on the new engine's outputs, as one more look."""
    old = saved.rule(saved.default)
    if old.asked is None:
        raise InputError(
            f"{saved.files.path} was certified from Python in a way that export cannot repeat; first run "
            f"`elsewise threshold {saved.files.path} --target-accuracy 0.95`, or certify from Python"
        )
    made = fit_as_asked(
        NAMES[type(old)], old.asked, score=old.score, looks=saved.looks + 1,
        tune=(tune, saved.arrays["refit.tune.codes"]),
        certify=lambda: (certify, saved.arrays["refit.certify.codes"]),
    )  # fmt: skip
    made = about(made, kept_population(saved.description["record"]))
    return among_looks(made, saved.looks + 1, saved.spent(made.certificate))
