"""Load a model folder: choose an engine, open the parts, and check that they answer as before."""

from pathlib import Path
from typing import Any, Final

import numpy as np

from elsewise.calibrators import Calibrator
from elsewise.classifier.classifier import Classifier
from elsewise.classifier.hub import fetched, is_on_hub
from elsewise.classifier.model_folder import BASELINE, CANARY, ModelFolder
from elsewise.classifier.packing import unpack
from elsewise.classifier.provenance import Provenance
from elsewise.engines import (
    ENGINES,
    PRECISIONS,
    TEXT_ENGINES,
    Stored,
    early_fingerprint,
    engine_class,
    given_engine,
    kind_of,
    open_entry,
    prepared,
    quick_run,
)
from elsewise.engines.external import ExternalEngine
from elsewise.engines.files import ModelFiles, Opening, TemporaryPlace
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import ArtifactError, InputError, MissingExtra, reading
from elsewise.outputs import Evidence
from elsewise.storage.paths import at_home
from elsewise.storage.sealed_folder import MANIFEST, manifest_hash, steady

# Of a probability, between processors. int8 without VNNI is off by 0.09, for there sums of products saturate.
CANARY_TOLERANCE: Final = {"int8": 0.02, "bf16": 0.02, "f16": 0.02, "f32": 1e-3}
SAME_EVERYWHERE: Final = ("native",)  # engines whose fingerprint says what the bits of their answers are
SOME: Final = 4  # one in so many canary texts is asked of these
AGAIN: Final = "fit it again"
AROUND: Final = "pass the model that this folder was fitted around"


def load(
    path: str | Path, *, engine: Any = None, precision: str | None = None, threads: int | None = None
) -> Classifier:
    """Load a model folder: each file checked, no code run from it, and 32 fixed texts (by native 8) answered as before.

    Parameters
    ----------
    path : str or Path
        The folder; ``~`` is the home folder. Or hf://OWNER/NAME, a repository of the hub that `elsewise push` made.
    engine, precision : str, optional
        An engine and precision that the folder has a certificate for. Default: the folder's default. For a folder that
        was fitted around your own model, `engine` is that model: the folder does not contain it.
    threads : int, optional
        Default: the cores that this process may use.

    Raises
    ------
    InputError
        If a passed model cannot be used as an engine or has other labels, or the folder contains its own.
    ArtifactError
        If the folder is damaged, foreign or too new, its canary texts get different answers, it has no certificate for
        this engine and precision, or this machine does not have them. The message says what to do.
    MissingExtra
        If the engine's library is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from elsewise import Classifier, FixedThreshold, Identity
    >>> from elsewise.engines.memory import MemoryEngine
    >>> made = Classifier(MemoryEngine(("yes", "no"), {"sure": [4.0, 0.0]}), Identity(), FixedThreshold(0.6))
    >>> with tempfile.TemporaryDirectory() as place:
    ...     made.save(f"{place}/model")
    ...     load(f"{place}/model").decide(["sure"]).labels
    ['yes']
    """

    def opened(place: Path) -> Classifier:
        folder = ModelFolder.read(place)
        if engine is None or isinstance(engine, str):
            return open_classifier(folder, choose_entry(folder, engine, precision), threads)
        return open_classifier(folder, entry_around(folder, engine), threads, model=engine)

    return steady(fetched(path) if is_on_hub(path) else Path(at_home(path)), opened)


def open_classifier(
    folder: ModelFolder, key: str, threads: int | None = None, *, model: Any = None, answers: bool = True
) -> Classifier:
    """Open one engine with its calibrator, rule and certificate.

    A folder around a user's model needs `model`, unless `answers` is False, when no text will be answered.
    ArtifactError if this machine does not have the engine, or its answers differ from those it was certified with.
    """
    file, entry, described = folder.file, folder.entries[key], folder.description
    with reading(file, "holds what this version cannot read"):
        engine = _open_engine(folder, key, threads) if model is None else given_engine(model)
        calibrator = unpack(entry["calibrator"], folder.arrays, file, Calibrator)
        words = (described["other"], described["out_of_scope_label"])
        explaining = (folder.part(key, "familiarity"), folder.part(key, "sets"))
        provenance = provenance_of(folder, key)
        classifier = Classifier(engine, calibrator, folder.rule(key), *words, *explaining, provenance)
        _check_fingerprint(folder, key, engine.fingerprint, AGAIN if model is None else f"{AROUND}, or {AGAIN}")
    if isinstance(engine, ExternalEngine) and engine.answer is None:
        if answers:
            raise engine.missing(str(folder.files.path))
        return classifier
    _check_canaries(folder, classifier, entry[CANARY])
    return classifier


def provenance_of(folder: ModelFolder, key: str) -> Provenance:
    """Give the provenance of a classifier with this engine, from its folder."""
    described, files = folder.description, folder.files.below(BASELINE)
    folded = described["folded"]
    return Provenance(
        folded=None if folded is None else unpack(folded, folder.arrays, folder.file, Calibrator),
        record=described["record"],
        arrays={k: v for k, v in folder.arrays.items() if k.startswith(("split.", "refit.", "engine."))},
        evaluation=folder.evaluation,
        gate=folder.entries[key]["gate"] if key in folder.entries else (),
        others=folder.others(key),
        history=folder.history,
        seen=folder.seen,
        baseline=files if files.digests else None,
        report=folder.report,
    )


def kept_aside(classifier: Classifier) -> ModelFiles:
    """Write a classifier into a temporary folder, which lives as long as the returned files."""
    place = TemporaryPlace()
    classifier.save(place.path)
    return ModelFiles.of(place.path, place)


def open_baseline(classifier: Classifier) -> Classifier | None:
    """Open the baseline that a classifier was fitted with, or None; ArtifactError if its folder was changed."""
    files = classifier.provenance.baseline
    if files is None:
        return None

    def opened(place: Path) -> Classifier:
        if manifest_hash(place) != files.digests[MANIFEST]:
            raise ArtifactError(f"{files.path} is no longer what was opened; load {files.path.parent} again")
        return load(place)

    return steady(files.path, opened)


def choose_entry(folder: ModelFolder, engine: str | None, precision: str | None) -> str:
    """Name the folder's entry for an engine and precision; default: the folder's default.

    InputError for an unknown name, ArtifactError if the folder has no certificate for it, MissingExtra if the engine's
    library is not installed.
    """
    for name, known, what in ((engine, ENGINES, "engine"), (precision, PRECISIONS, "precision")):
        if name is not None and name not in known:
            raise InputError(f"unknown {what} {name!r}; there are {', '.join(known)}")
    entries, default = folder.entries, folder.default
    fitting = [
        key
        for key in (default, *entries)
        if engine in (None, entries[key]["name"]) and precision in (None, entries[key]["settings"].get("precision"))
    ]
    if not fitting:
        engine_class(engine or entries[default]["name"])  # raises MissingExtra with the remedy
        usual = entries[default]["name"]
        asked = usual if kind_of(usual).certify_again == "pass it" else engine or usual
        given = {f"{name}=": word for name, word in (("engine", engine), ("precision", precision)) if word}
        remedy = _remedy(folder, asked, precision, "add one") or f"leave {' and '.join(given)} out"
        wanted = " ".join(given.values())
        has = ", ".join(entries)
        raise ArtifactError(f"{folder.files.path} has no certificate for {wanted} (it has {has}); {remedy}")
    return fitting[0]


def entry_around(folder: ModelFolder, model: Any) -> str:
    """Name the entry that was fitted around a user's model.

    InputError if there is none, or the model cannot be used as an engine or has other labels, or in a different order.
    """
    path, entries, labels = folder.files.path, folder.entries, folder.description["labels"]
    key = next((key for key, entry in entries.items() if kind_of(entry["name"]).certify_again == "pass it"), None)
    if key is None:
        raise InputError(f"{path} contains its own model; leave engine= out")
    theirs = list(given_engine(model).labels)
    if theirs != labels:
        at = next((i for i, pair in enumerate(zip(theirs, labels, strict=False)) if pair[0] != pair[1]), None)
        words = f"{len(theirs):,} labels, and {path} has {len(labels):,}"
        if at is not None:
            which = (
                f"the labels of {path}, in a different order" if sorted(theirs) == sorted(labels) else "other labels"
            )
            words = f"{which}: {theirs[at]!r} instead of {labels[at]!r}"
        raise InputError(f"the model that was passed has {words}; {AROUND}")
    return key


def _open_engine(folder: ModelFolder, key: str, threads: int | None) -> Stored:
    entry = folder.entries[key]
    opening = Opening(folder.files, tuple(folder.description["labels"]), entry["settings"], threads)
    try:
        _check_fingerprint(folder, key, early_fingerprint(entry, opening), AGAIN)  # before a library reads any file
        return open_entry(entry, opening)
    except InputError as error:
        path, others = folder.files.path, list(folder.others(key))
        instead = f", or serve it as certified on {others[0]} (engine=, precision=)" if others else ""
        inside = f"re-fit it for this machine: elsewise export {path} --precision f32"
        if entry["name"] in ENGINES and kind_of(entry["name"]).certify_again == "fit":
            inside = "fit it again on this machine"
        raise ArtifactError(f"{path} was certified on {key}: {error}; {inside}{instead}") from error
    except MissingExtra as error:
        if kind_of(entry["name"]).certify_again != "export":
            raise
        other = next(name for name in TEXT_ENGINES if name != entry["name"])
        again = f"certify it on another engine: elsewise export {folder.files.path} --engine {other}"
        raise MissingExtra(f"{folder.files.path} was certified on {key}: {error}; or {again}") from error


def _check_fingerprint(folder: ModelFolder, key: str, found: str | None, remedy: str) -> None:
    if found not in (None, folder.entries[key]["fingerprint"]):
        raise ArtifactError(f"{folder.file}: the certificate of {key} belongs to other files or settings; {remedy}")


def _check_canaries(folder: ModelFolder, classifier: Classifier, probabilities: Any) -> None:
    file = folder.files.path / "canary.json"
    with reading(f"{file}: the model", "cannot answer its canary texts"):
        ready, before = prepared(classifier.engine, folder.canary["texts"]), np.array(probabilities, dtype=np.float64)
        asked = ready
        if classifier.engine.name in SAME_EVERYWHERE:
            before, asked = before[::SOME], ready.take(np.arange(0, len(ready), SOME))
        evidence = Evidence.of(quick_run(classifier.engine, asked), classifier.calibrator)
        classifier.decisions(evidence)  # raises if the parts do not fit together
        token_ids = folder.canary["token_ids"]
    if isinstance(ready, Tokens) and [ids.tolist() for ids in ready] != token_ids:
        known = folder.description["record"].get("versions", {}).get("tokenizers")
        remedy = f"pip install tokenizers=={known}" if known else AGAIN
        raise ArtifactError(f"{file}: the tokenizer splits texts differently from when the model was saved; {remedy}")
    now = evidence.probabilities
    if len(now) and np.isnan(now).all():
        raise ArtifactError(f"{file}: the model gives no number for any of its canary texts; {AGAIN}")
    tolerance = _tolerance(classifier.engine)
    if before.shape != now.shape or not np.allclose(before, now, rtol=0, atol=tolerance, equal_nan=True):
        worst = float(np.nanmax(np.abs(before - now))) if before.shape == now.shape else float("inf")
        remedy = _remedy_of_a_change(folder, classifier.engine)
        raise ArtifactError(f"{file}: probabilities differ by {worst:.3g} from when it was certified; {remedy}")


def _tolerance(engine: Stored) -> float:
    own = engine.tolerance if isinstance(engine, ExternalEngine) else None
    return own or CANARY_TOLERANCE[engine.settings.get("precision", "f32")]


def _remedy_of_a_change(folder: ModelFolder, engine: Stored) -> str:
    """Say what to do about an engine whose answers have changed."""
    if isinstance(engine, ExternalEngine) and engine.endpoint:
        changed = "the model behind the endpoint was changed, and the promise is none of it"
        return f"{changed}: elsewise fit DATA --engine {engine.endpoint} -o {folder.files.path}"
    return _remedy(folder, engine.name, engine.settings.get("precision")) or AGAIN


def _remedy(folder: ModelFolder, engine: str, precision: str | None, words: str = "certify it here") -> str:
    """Say how to get a certificate; empty for an engine that no command certifies again."""
    path, asked = folder.files.path, f"--engine {engine}" + (f" --precision {precision}" if precision else "")
    return {
        "export": f"{words}: elsewise export {path} {asked}",
        "fit": f"fit it again for that: elsewise fit DATA -o {path} --{engine.replace('_', '-')}",
        "pass it": f"{AROUND}, or {AGAIN}",
        "": "",
    }[kind_of(engine).certify_again]
