"""The whole program in one value: an engine, a calibrator and a rule that answer together, and their folder."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes, Floats
from elsewise.calibrators import Calibrator
from elsewise.card import model_card
from elsewise.data.labels import label_form
from elsewise.engines import (
    AROUND,
    ENGINES,
    GIVEN,
    PRECISIONS,
    TEXT_ENGINES,
    Engine,
    as_engine,
    engine_class,
    given_engine,
    key_of,
)
from elsewise.engines.external import GivenEngine
from elsewise.engines.files import ModelFiles
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import ArtifactError, InputError
from elsewise.folder import check_description, pack, unpack
from elsewise.outputs import Evidence
from elsewise.rules import Rule
from elsewise.rules.certificate import Certificate
from elsewise.rules.conformal import SplitConformal
from elsewise.rules.decisions import Decisions
from elsewise.rules.familiarity import FamiliarityTest
from elsewise.storage.json_files import read_arrays, read_json, write_json
from elsewise.storage.sealed_folder import MANIFEST, digest, verify, writing

CANARY: Final = "canary"
REFIT: Final = "refit.safetensors"
BASELINE: Final = "baseline"  # a model folder in the model folder
ARRAYS: Final = ("arrays.safetensors", REFIT)
EXPLAINING: Final = {"familiarity": FamiliarityTest, "sets": SplitConformal}
# Of a probability, between processors. int8 without VNNI is off by 0.09, for there sums of products saturate.
CANARY_TOLERANCE: Final = {"int8": 0.02, "bf16": 0.02, "f16": 0.02, "f32": 1e-3}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Classifier:
    """Fitted parts that together answer.

    Attributes
    ----------
    engine, calibrator, rule
        What turns texts into outputs, outputs into probabilities, and probabilities into decisions.
    other : str
        The word shown for an abstention. A real label may be called the same; ``abstained`` tells them apart.
    out_of_scope_label : str or None
        How data marks texts that belong to none of the labels.
    folded : Calibrator or None
        What was folded into the engine's last layer, so that it can be undone before more training.
    record : mapping
        How it was made, for people (JSON).
    arrays : mapping of arrays
        Hashes of the texts of each split, and the rows to certify again with, where they were kept.
    evaluation : mapping or None
        What its own test rows showed.
    gate : sequence of mappings
        How the engine compared with float32 on tune rows, and others that were looked at (JSON).
    others : mapping from name to mapping
        What the folder holds for other engines, each with its own certificate (JSON).
    familiarity : FamiliarityTest or None
        What tells a text that is unlike the training texts.
    sets : SplitConformal or None
        What tells the labels that stay possible for a text.
    history : sequence of mappings
        How thresholds were changed since it was made, the last change at the end (JSON); see `elsewise.thresholds`.
    opens_baseline : callable or None
        Gives the `baseline`. That of a folder is opened when it is asked for, since answering takes none.

    Examples
    --------
    >>> from elsewise import FixedThreshold, Identity
    >>> from elsewise.engines.memory import MemoryEngine
    >>> engine = MemoryEngine(("yes", "no"), {"sure": [4.0, 0.0], "hm": [0.1, 0.0]})
    >>> Classifier(engine, Identity(), FixedThreshold(0.6)).decide(["sure", "hm"]).labels
    ['yes', 'Other']
    >>> Classifier(engine, Identity(), FixedThreshold(0.6))
    Classifier(2 labels or 'Other', memory, Identity, FixedThreshold)
    """

    engine: Engine
    calibrator: Calibrator
    rule: Rule
    other: str = "Other"
    out_of_scope_label: str | None = None
    folded: Calibrator | None = None
    record: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    evaluation: Mapping[str, Any] | None = None
    gate: Sequence[Mapping[str, Any]] = ()
    others: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    familiarity: FamiliarityTest | None = None
    sets: SplitConformal | None = None
    history: Sequence[Mapping[str, Any]] = ()
    opens_baseline: "Callable[[], Classifier] | None" = None

    def __post_init__(self) -> None:
        check_other(self.other)

    def __repr__(self) -> str:
        calibrator, rule = (type(part).__name__ for part in (self.folded or self.calibrator, self.rule))
        return f"Classifier({len(self.labels):,} labels or {self.other!r}, {key_of(self.engine)}, {calibrator}, {rule})"

    def __str__(self) -> str:
        """Say what it is made of, and what it promises."""
        return "\n".join([repr(self), *([] if self.certificate is None else [self.certificate.sentence])])

    @property
    def labels(self) -> tuple[str, ...]:
        """The k labels; Other is none of them."""
        return self.engine.labels

    @property
    def certificate(self) -> Certificate | None:
        """The tested promise, or None."""
        return self.rule.certificate

    @property
    def baseline(self) -> "Classifier | None":
        """TF-IDF and logistic regression, fitted on the same rows for the same promise, to compare with; or None."""
        return None if self.opens_baseline is None else self.opens_baseline()

    def evidence(self, texts: Any) -> Evidence:
        """Return all that is known about n texts, or what `engine.prepare` made of them, before the rule decides."""
        return Evidence.of(self.engine.run(texts), self.calibrator)

    def probabilities(self, texts: Sequence[Any]) -> Floats:
        """Return calibrated probabilities, shape (n, k); a row of NaN for a text that cannot be read."""
        return self.evidence(texts).probabilities

    def decide(self, texts: Sequence[Any]) -> Decisions:
        """Answer each of n texts, in order."""
        return self.decisions(self.evidence(texts))

    def decisions(self, evidence: Evidence) -> Decisions:
        """Apply the rule to evidence, add what explains it, and put in the labels' names and Other's."""
        decisions = self.rule(evidence)
        if self.familiarity is not None:
            decisions = self.familiarity.explain(decisions, evidence)
        if self.sets is not None:
            decisions = replace(decisions, sets=self.sets(evidence, names=self.labels))
        return replace(decisions, names=self.labels, other=self.other)

    def codes(self, labels: Sequence[Any]) -> Codes:
        """Turn label names into codes, shape (n,); the out-of-scope label into -1.

        Raises
        ------
        InputError
            If a name is neither; the message shows it and says where.
        """
        known = {label: code for code, label in enumerate(self.labels)}
        if self.out_of_scope_label in known:
            raise InputError(f"{self.out_of_scope_label!r} is one of the model's labels, and cannot mark other texts")
        if self.out_of_scope_label is not None:
            known[self.out_of_scope_label] = -1
        names = [str(label) for label in labels]
        for row, name in enumerate(names):
            if name not in known:
                raise InputError(self._unknown(name, row))
        return np.array([known[name] for name in names], dtype=np.int64)

    def _unknown(self, name: str, row: int) -> str:
        said = f"the model has no label {name!r}, which row {row} has (counted from 0)"
        if alike := [label for label in self.labels if label_form(label) == label_form(name)]:
            return f"{said}; {alike[0]!r} is alike, so rename it (--map on the command line)"
        if self.out_of_scope_label is None:
            return f"{said}; if it marks out-of-scope texts, say so (out_of_scope_label), or leave such rows out"
        return f"{said}; leave such rows out (--drop-label on the command line), or fit again with them"

    def save(self, path: str | Path) -> None:
        """Write the model folder, whole or not at all; a model folder already there is replaced.

        Raises
        ------
        InputError
            If `path` holds something else, or cannot be written.
        """
        engine = as_engine(self.engine)
        if engine is not self.engine:  # somebody's model, which no folder can hold
            replace(self, engine=engine).save(path)
            return
        key, (entry, packed) = key_of(self.engine), self.entry()
        entries = {**self.others, key: entry}
        arrays = {**self.arrays, **packed}
        folded = None if self.folded is None else pack(self.folded, arrays, "folded")
        texts = self.engine.canaries
        tokens = self.engine.prepare(texts)
        _write(
            Path(path),
            self._save_files,
            {**self._description(), "folded": folded, "engine": key, "engines": entries},
            {
                "texts": texts,
                "token_ids": [ids.tolist() for ids in tokens] if isinstance(tokens, Tokens) else None,
                "probabilities": {name: e[CANARY] for name, e in entries.items()},
            },
            arrays,
            self.evaluation,
            model_card(self),
        )

    def _save_files(self, place: Path) -> None:
        self.engine.save(place)
        shutil.rmtree(place / BASELINE, ignore_errors=True)  # one that came along with the engine's files
        if self.baseline is not None:
            self.baseline.save(place / BASELINE)

    def entry(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Give what a folder holds for this engine (JSON), and the arrays of its parts."""
        arrays: dict[str, NDArray[Any]] = {}
        prefix = f"engine.{key_of(self.engine)}"
        return {
            "name": self.engine.name,
            "settings": dict(self.engine.settings),
            "fingerprint": self.engine.fingerprint,
            "calibrator": pack(self.calibrator, arrays, f"{prefix}.calibrator"),
            "rule": pack(self.rule, arrays, f"{prefix}.rule"),
            "sets": self.sets and pack(self.sets, arrays, f"{prefix}.sets"),
            "familiarity": self.familiarity and pack(self.familiarity, arrays, f"{prefix}.familiarity"),
            "gate": list(self.gate),
            CANARY: canary_probabilities(self, self.engine.prepare(self.engine.canaries)).tolist(),
        }, arrays

    def _description(self) -> dict[str, Any]:
        from importlib.metadata import version  # noqa: PLC0415  0.03 s to import

        return {
            "elsewise": version("elsewise"),
            "labels": list(self.labels),
            "other": self.other,
            "out_of_scope_label": self.out_of_scope_label,
            "record": dict(self.record),
            "history": list(self.history),
        }


def canary_probabilities(classifier: Classifier, prepared: Any) -> Floats:
    """Answer the canary texts, as quickly as the engine can."""
    return Evidence.of(classifier.engine.sketch(prepared), classifier.calibrator).probabilities


def check_other(other: str) -> None:
    """Raise InputError for a blank word: an abstention must be seen."""
    if not other.strip():
        raise InputError(f"the word for an abstention must not be blank, got {other!r}")


def load(
    path: str | Path, *, engine: Any = None, precision: str | None = None, threads: int | None = None
) -> Classifier:
    """Open a model folder: every file checked, no code run from it, and 32 fixed texts answered as before.

    Parameters
    ----------
    path : str or Path
        The folder.
    engine, precision : str, optional
        One that the folder has a certificate for; its default otherwise. For a folder that was fitted around a model of
        yours, `engine` is that model: the folder does not hold it.
    threads : int, optional
        The cores that this process may use, otherwise.

    Raises
    ------
    InputError
        If a model is passed that is no engine or has other labels, or the folder has its own.
    ArtifactError
        If the folder is damaged, foreign or too new, answers its canary texts otherwise, or was not certified on
        this engine and precision, or this machine does not have them; with what to do.
    MissingExtra
        If its engine's library is not installed.

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
    saved = Saved.read(Path(path))
    if engine is None or isinstance(engine, str):
        return saved.open(saved.chosen(engine, precision), threads)
    return saved.open(saved.chosen_for(engine), threads, model=engine)


@dataclass(frozen=True, slots=True, eq=False)
class Saved:
    """What a model folder holds: every file checked, no engine opened yet.

    Attributes
    ----------
    files : ModelFiles
        Those of the model.
    description : mapping
        elsewise.json; each entry of `engines` with its canary probabilities.
    canary : mapping
        canary.json.
    arrays : mapping of arrays
        Of all parts, and of rows.
    evaluation : mapping or None
        evaluation.json.
    """

    files: ModelFiles
    description: Mapping[str, Any]
    canary: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]
    evaluation: Mapping[str, Any] | None

    @classmethod
    def read(cls, path: Path) -> "Saved":
        """Read a folder.

        Raises
        ------
        ArtifactError
            If it is damaged, foreign or too new; the message names the file.
        """
        digests = verify(path)
        description, canary = read_json(path / "elsewise.json"), read_json(path / "canary.json")
        try:
            for key, entry in description["engines"].items():
                entry[CANARY] = canary["probabilities"][key]
            check_description(description)
        except (KeyError, TypeError, AttributeError, InputError) as error:
            raise ArtifactError(f"{path / 'elsewise.json'} holds what this version cannot read: {error}") from error
        ours = {"elsewise.json", "canary.json", "evaluation.json", "README.md", *ARRAYS}
        return cls(
            files=ModelFiles(path, {name: digest for name, digest in digests.items() if name not in ours}),
            description=description,
            canary=canary,
            arrays={name: array for file in ARRAYS for name, array in read_arrays(path / file).items()},
            evaluation=read_json(path / "evaluation.json") if "evaluation.json" in digests else None,
        )

    def write(self, path: Path, card: str) -> None:
        """Write it as a folder, with the model's files as they are, whole or not at all.

        Raises
        ------
        InputError
            As `Classifier.save`.
        """
        _write(path, self.files.copy_to, self.description, self.canary, self.arrays, self.evaluation, card)

    @property
    def history(self) -> list[dict[str, Any]]:
        """How thresholds were changed, the last change at the end."""
        return list(self.description.get("history", ()))

    @property
    def looks(self) -> int:
        """How many certifications were made on its certify rows, those included that were undone since."""
        made = [c.looks for key in self.description["engines"] if (c := self.rule(key).certificate) is not None]
        return max([*made, *(entry["looks"] for entry in self.history)], default=0)

    def chosen(self, engine: str | None, precision: str | None) -> str:
        """Find the entry that is asked for, the default first.

        Raises
        ------
        InputError
            If a name is unknown.
        ArtifactError
            If the folder has no certificate for it.
        MissingExtra
            If that engine's library is not installed.
        """
        for name, known, what in ((engine, ENGINES, "engine"), (precision, PRECISIONS, "precision")):
            if name is not None and name not in known:
                raise InputError(f"unknown {what} {name!r}; there are {', '.join(known)}")
        entries: Mapping[str, Any] = self.description["engines"]
        default: str = self.description["engine"]
        fitting = [
            key
            for key in (default, *entries)
            if engine in (None, entries[key]["name"]) and precision in (None, entries[key]["settings"].get("precision"))
        ]
        if not fitting:
            engine_class(engine or entries[default]["name"])  # its library is here, or this says how to get it
            asked = GIVEN if entries[default]["name"] == GIVEN else engine or entries[default]["name"]
            remedy = self._remedy(asked, precision, "there first")
            raise ArtifactError(
                f"{self.files.path} was certified on {' and '.join(entries)}, and not on what is asked for; {remedy}"
            )
        return fitting[0]

    def chosen_for(self, model: Any) -> str:
        """Find the entry that was fitted around a model of the user's.

        Raises
        ------
        InputError
            If there is none, or the model is no engine or has other labels, or these in another order.
        """
        path, entries, labels = self.files.path, self.description["engines"], self.description["labels"]
        key = next((key for key, entry in entries.items() if entry["name"] == GIVEN), None)
        if key is None:
            raise InputError(f"{path} holds its own engine ({', '.join(entries)}); open it without another")
        theirs = list(given_engine(model).labels)
        if theirs != labels:
            at = next((i for i, pair in enumerate(zip(theirs, labels, strict=False)) if pair[0] != pair[1]), None)
            words = f"{len(theirs):,} labels, and {path} was fitted with {len(labels):,}"
            if at is not None:
                order = ", in another order" if sorted(theirs) == sorted(labels) else ""
                words = f"other labels than {path} was fitted with{order}: {theirs[at]!r} for {labels[at]!r}"
            raise InputError(f"the model that was passed has {words}; pass the one that it was fitted around")
        return key

    def open(self, key: str, threads: int | None = None, *, model: Any = None, answers: bool = True) -> Classifier:
        """Open one engine with its calibrator, rule and certificate.

        Parameters
        ----------
        model : engine, optional
            What a folder was fitted around that does not hold it.
        answers : bool
            False where no text will be answered, so that such a model may be missing.

        Raises
        ------
        ArtifactError
            If this machine does not have it, or it answers otherwise than when it was certified.
        """
        file, described = self.files.path / "elsewise.json", self.description
        entry = described["engines"][key]
        try:
            engine = self._engine(key, threads) if model is None else given_engine(model)
            calibrator = unpack(entry["calibrator"], self.arrays, file, Calibrator)
            classifier = Classifier(
                engine,
                calibrator,
                self.rule(key),
                **self.common(),
                gate=entry["gate"],
                others=self.others(key),
                familiarity=self.part(key, "familiarity"),
                sets=self.part(key, "sets"),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{file} holds what this version cannot read: {error}") from error
        if engine.fingerprint != entry["fingerprint"]:
            remedy = "fit it again" if model is None else "pass the model that it was fitted around, or fit it again"
            raise ArtifactError(f"{file}: the certificate of {key} belongs to other files or settings; {remedy}")
        if isinstance(engine, GivenEngine) and engine.model is None:
            if answers:
                raise ArtifactError(engine.missing(str(self.files.path)))
            return classifier
        self._check_canaries(classifier, entry[CANARY])
        return classifier

    def rule(self, key: str) -> Rule:
        """Give the rule of an engine, with its certificate."""
        file = self.files.path / "elsewise.json"
        return unpack(self.description["engines"][key]["rule"], self.arrays, file, Rule)

    def part(self, key: str, name: str) -> Any:
        """Give another part of an engine's entry, such as what tells unfamiliar texts; None where there is none."""
        packed = self.description["engines"][key].get(name)
        file = self.files.path / "elsewise.json"
        return None if packed is None else unpack(packed, self.arrays, file, EXPLAINING[name])

    def common(self) -> dict[str, Any]:
        """Give the fields of a Classifier that all engines share."""
        described, file = self.description, self.files.path / "elsewise.json"
        folded = described["folded"]
        return {
            "other": described["other"],
            "out_of_scope_label": described["out_of_scope_label"],
            "folded": None if folded is None else unpack(folded, self.arrays, file, Calibrator),
            "record": described["record"],
            "arrays": {k: v for k, v in self.arrays.items() if k.startswith(("split.", "refit.", "engine."))},
            "evaluation": self.evaluation,
            "history": self.history,
            "opens_baseline": cache(self._baseline) if self.files.below(BASELINE).digests else None,
        }

    def _baseline(self) -> Classifier:
        path, manifest = self.files.path / BASELINE, f"{BASELINE}/{MANIFEST}"
        try:
            same = digest(self.files.path / manifest) == self.files.digests[manifest]
        except FileNotFoundError:
            same = False
        if not same:
            raise ArtifactError(f"{path} is no longer what was opened; load {self.files.path} again")
        return load(path)

    def others(self, key: str) -> dict[str, Any]:
        """Give the entries of the other engines."""
        return {name: entry for name, entry in self.description["engines"].items() if name != key}

    def _engine(self, key: str, threads: int | None) -> Engine:
        entry = self.description["engines"][key]
        labels = tuple(self.description["labels"])
        try:
            return engine_class(entry["name"]).open(self.files, labels, entry["settings"], threads)
        except InputError as error:
            path, others = self.files.path, list(self.others(key))
            instead = f", or serve it as certified on {others[0]} (--engine, --precision)" if others else ""
            inside = (
                "fit it again on this machine"
                if entry["name"] in AROUND
                else (f"re-fit it for this machine: elsewise export {path} --engine openvino --precision f32")
            )
            raise ArtifactError(f"{path} was certified on {key}: {error}; {inside}{instead}") from error

    def _check_canaries(self, classifier: Classifier, probabilities: Any) -> None:
        file = self.files.path / "canary.json"
        try:
            prepared = classifier.engine.prepare(self.canary["texts"])
            before = np.array(probabilities, dtype=np.float64)
            evidence = Evidence.of(classifier.engine.sketch(prepared), classifier.calibrator)
            classifier.decisions(evidence)  # its parts fit together
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise ArtifactError(f"{file}: the model cannot answer its canary texts: {error}") from error
        if isinstance(prepared, Tokens) and [ids.tolist() for ids in prepared] != self.canary["token_ids"]:
            raise ArtifactError(f"{file}: the tokenizer gives other tokens than when the model was saved")
        now = evidence.probabilities
        if len(now) and np.isnan(now).all():
            raise ArtifactError(f"{file}: the model gives no number for any of its canary texts; fit it again")
        tolerance = CANARY_TOLERANCE[classifier.engine.settings.get("precision", "f32")]
        if before.shape != now.shape or not np.allclose(before, now, rtol=0, atol=tolerance, equal_nan=True):
            worst = float(np.nanmax(np.abs(before - now))) if before.shape == now.shape else float("inf")
            remedy = self._remedy(classifier.engine.name, classifier.engine.settings.get("precision"))
            raise ArtifactError(f"{file}: probabilities differ by {worst:.3g} from when it was certified; {remedy}")

    def _remedy(self, engine: str, precision: str | None, where: str = "here") -> str:
        """Say how to get a certificate."""
        if engine == GIVEN:
            return "pass the model that it was fitted around, or fit it again"
        if engine in AROUND:
            return f"fit it again for that: elsewise fit DATA -o {self.files.path} --{engine.replace('_', '-')}"
        if engine not in TEXT_ENGINES:
            return "choose one of them"
        asked = f"--engine {engine}" + (f" --precision {precision}" if precision else "")
        return f"certify it {where}: elsewise export {self.files.path} {asked}"


def _write(
    path: Path,
    save_files: Callable[[Path], None],
    description: Mapping[str, Any],
    canary: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    evaluation: Mapping[str, Any] | None,
    card: str,
) -> None:
    """Write a model folder; the arrays of rows lie in a file of their own."""
    from safetensors.numpy import save_file  # noqa: PLC0415

    entries = {name: {k: v for k, v in e.items() if k != CANARY} for name, e in description["engines"].items()}
    with writing(path) as work:
        save_files(work)
        write_json(work / "elsewise.json", {**description, "engines": entries})
        write_json(work / "canary.json", canary)
        if evaluation is not None:
            write_json(work / "evaluation.json", evaluation)
        for file in ARRAYS:
            group = {
                name: np.ascontiguousarray(array)  # because safetensors writes memory as it lies
                for name, array in arrays.items()
                if name.startswith("refit.") == (file == REFIT)
            }
            if group:
                save_file(group, work / file)
        (work / "README.md").write_text(card, encoding="utf-8", errors="backslashreplace")
