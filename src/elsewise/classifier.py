"""The whole program in one value: an engine, a calibrator and a rule that answer together, and their folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elsewise import folder
from elsewise.arrays import Codes, Floats
from elsewise.calibrators import Calibrator
from elsewise.card import model_card
from elsewise.decisions import Certificate, Decisions
from elsewise.engines import Engine, engine_class
from elsewise.errors import ArtifactError, InputError
from elsewise.outputs import Evidence
from elsewise.rules import Rule

CANARY_TOLERANCE = {"bf16": 0.03, "f32": 1e-3}  # of a probability, between processors; a wrong tokenizer is far off


@dataclass(frozen=True, slots=True, eq=False)
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

    Examples
    --------
    >>> from elsewise import FixedThreshold, Identity, MemoryEngine
    >>> engine = MemoryEngine(("yes", "no"), {"sure": [4.0, 0.0], "hm": [0.1, 0.0]})
    >>> Classifier(engine, Identity(), FixedThreshold(0.6)).decide(["sure", "hm"]).labels
    ['yes', 'Other']
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

    def __post_init__(self) -> None:
        check_other(self.other)

    @property
    def labels(self) -> tuple[str, ...]:
        """The k labels; Other is none of them."""
        return self.engine.labels

    @property
    def certificate(self) -> Certificate | None:
        """The tested promise, or None."""
        return self.rule.certificate

    def evidence(self, texts: Sequence[Any]) -> Evidence:
        """Return all that is known about n texts before the rule decides."""
        return Evidence.of(self.engine.run(texts), self.calibrator)

    def probabilities(self, texts: Sequence[Any]) -> Floats:
        """Return calibrated probabilities, shape (n, k); a row of NaN for a text that cannot be read."""
        return self.evidence(texts).probabilities

    def decide(self, texts: Sequence[Any]) -> Decisions:
        """Answer each of n texts, in order."""
        return self.named(self.rule(self.evidence(texts)))

    def named(self, decisions: Decisions) -> Decisions:
        """Put the labels' names and Other's into decisions."""
        return replace(decisions, names=self.labels, other=self.other)

    def codes(self, labels: Sequence[Any]) -> Codes:
        """Turn label names into codes, shape (n,); the out-of-scope label into -1.

        Raises
        ------
        InputError
            If a name is neither; the message shows it and says where.
        """
        known = {label: code for code, label in enumerate(self.labels)}
        if self.out_of_scope_label is not None:
            known[self.out_of_scope_label] = -1
        names = [str(label) for label in labels]
        for row, name in enumerate(names):
            if name not in known:
                remedy = (
                    "" if self.out_of_scope_label else "; if it marks out-of-scope texts, say so (out_of_scope_label)"
                )
                raise InputError(f"the model has no label {name!r}, which row {row} has (counted from 0){remedy}")
        return np.array([known[name] for name in names], dtype=np.int64)

    def save(self, path: str | Path) -> None:
        """Write the model folder, whole or not at all; a model folder already there is replaced.

        Raises
        ------
        InputError
            If `path` holds something else, or cannot be written.
        """
        from safetensors.numpy import save_file  # noqa: PLC0415

        arrays = dict(self.arrays)
        parts = {
            name: None if part is None else folder.pack(part, arrays, name)
            for name, part in (("calibrator", self.calibrator), ("folded", self.folded), ("rule", self.rule))
        }
        refit = {name: arrays.pop(name) for name in list(arrays) if name.startswith("refit.")}
        with folder.writing(Path(path)) as work:
            self.engine.save(work)
            folder.write_json(work / "elsewise.json", {**self._description(), **parts})
            folder.write_json(work / "canary.json", _canaries(self))
            if self.evaluation is not None:
                folder.write_json(work / "evaluation.json", self.evaluation)
            for name, group in (("arrays", arrays), ("refit", refit)):
                if group:  # contiguous, because safetensors writes memory as it lies
                    save_file(
                        {key: np.ascontiguousarray(array) for key, array in group.items()}, work / f"{name}.safetensors"
                    )
            (work / "README.md").write_text(model_card(self), encoding="utf-8", errors="backslashreplace")

    def _description(self) -> dict[str, Any]:
        return {
            "elsewise": version("elsewise"),
            "labels": list(self.labels),
            "other": self.other,
            "out_of_scope_label": self.out_of_scope_label,
            "engine": {
                "name": self.engine.name,
                "settings": dict(self.engine.settings),
                "fingerprint": self.engine.fingerprint,
            },
            "record": dict(self.record),
        }


def check_other(other: str) -> None:
    """Raise InputError for a blank word: an abstention must be seen."""
    if not other.strip():
        raise InputError(f"the word for an abstention must not be blank, got {other!r}")


def load(path: str | Path) -> Classifier:
    """Open a model folder: every file checked, no code run from it, and 32 fixed texts answered as before.

    Raises
    ------
    ArtifactError
        If the folder is damaged, foreign or too new, or answers its canary texts otherwise; with the file's name.
    MissingExtra
        If its engine's library is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from elsewise import Classifier, FixedThreshold, Identity, MemoryEngine
    >>> made = Classifier(MemoryEngine(("yes", "no"), {"sure": [4.0, 0.0]}), Identity(), FixedThreshold(0.6))
    >>> with tempfile.TemporaryDirectory() as place:
    ...     made.save(f"{place}/model")
    ...     load(f"{place}/model").decide(["sure"]).labels
    ['yes']
    """
    path = Path(path)
    folder.verify(path)
    described = folder.read_json(path / "elsewise.json")
    try:
        classifier = _opened(path, described)
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path / 'elsewise.json'} holds what this version cannot read: {error}") from error
    _check_canaries(classifier, path / "canary.json")
    return classifier


def _opened(path: Path, described: Mapping[str, Any]) -> Classifier:
    arrays = {**_arrays(path / "arrays.safetensors"), **_arrays(path / "refit.safetensors")}
    parts: dict[str, Any] = {
        name: None if described[name] is None else folder.unpack(described[name], arrays, path / "elsewise.json")
        for name in ("calibrator", "folded", "rule")
    }
    engine = described["engine"]
    return Classifier(
        engine=engine_class(engine["name"]).open(path, tuple(described["labels"]), engine["settings"]),
        **parts,
        other=described["other"],
        out_of_scope_label=described["out_of_scope_label"],
        record=described["record"],
        arrays={name: array for name, array in arrays.items() if name.startswith(("split.", "refit."))},
        evaluation=folder.read_json(path / "evaluation.json") if (path / "evaluation.json").is_file() else None,
    )


def _arrays(file: Path) -> dict[str, NDArray[Any]]:
    from safetensors.numpy import load_file  # noqa: PLC0415

    return load_file(file) if file.is_file() else {}


def _canaries(classifier: Classifier) -> dict[str, Any]:
    texts = classifier.engine.canaries
    return {
        "texts": texts,
        "token_ids": classifier.engine.tokenize(texts)[0],
        "probabilities": classifier.probabilities(texts).tolist(),
    }


def _check_canaries(classifier: Classifier, file: Path) -> None:
    saved = folder.read_json(file)
    if classifier.engine.tokenize(saved["texts"])[0] != saved["token_ids"]:
        raise ArtifactError(f"{file}: the tokenizer gives other tokens than when the model was saved")
    before = np.array(saved["probabilities"], dtype=np.float64)
    now = classifier.probabilities(saved["texts"])
    tolerance = CANARY_TOLERANCE.get(classifier.engine.settings.get("precision", "f32"), 1e-3)
    if before.shape != now.shape or not np.allclose(before, now, rtol=0, atol=tolerance, equal_nan=True):
        worst = float(np.nanmax(np.abs(before - now))) if before.shape == now.shape else float("inf")
        raise ArtifactError(
            f"{file}: probabilities differ by {worst:.3g} from when it was saved; make it again here: elsewise fit"
        )
