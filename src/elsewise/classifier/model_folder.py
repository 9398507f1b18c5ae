"""Read and write model folders as a whole; no engine is opened here."""

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from elsewise.classifier.card import model_card
from elsewise.classifier.packing import check_description, unpack
from elsewise.engines.files import ModelFiles
from elsewise.errors import reading
from elsewise.rules import Certificate, Rule
from elsewise.rules.conformal import SplitConformal
from elsewise.rules.familiarity import FamiliarityTest
from elsewise.storage.json_files import Json, read_arrays, read_json, write_json
from elsewise.storage.sealed_folder import read_sealed, writing

CANARY: Final = "canary"
REFIT: Final = "refit.safetensors"
BASELINE: Final = "baseline"  # a model folder in the model folder
REPORT: Final = "report.html"
ARRAYS: Final = ("arrays.safetensors", REFIT)
EXPLAINING: Final = {"familiarity": FamiliarityTest, "sets": SplitConformal}


@dataclass(frozen=True, slots=True, eq=False)
class ModelFolder:
    """Contents of a model folder: every file checked, no engine opened yet.

    Attributes
    ----------
    files : ModelFiles
        The model's files.
    description, canary, evaluation : mapping
        elsewise.json (each entry of `engines` with its canary probabilities), canary.json, and evaluation.json or None.
    arrays : mapping of arrays
        Arrays of all parts, and of kept rows.
    report : str or None
        The page report.html, if there is one.
    manifest : str
        SHA-256 of the folder's manifest; `write` refuses to replace a folder that has another one by now.
    """

    files: ModelFiles
    description: Mapping[str, Any]
    canary: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]
    evaluation: Mapping[str, Any] | None
    report: str | None
    manifest: str

    @classmethod
    def read(cls, path: Path) -> "ModelFolder":
        """Read a folder; ArtifactError if it is damaged, foreign or too new, with the name of the file."""
        ours = {"elsewise.json", "canary.json", "evaluation.json", "README.md", REPORT, *ARRAYS}
        sealed = read_sealed(path, ours)
        contents = sealed.contents

        def parsed(name: str) -> dict[str, Any]:
            return read_json(path / name, contents.get(name))

        description, canary = parsed("elsewise.json"), parsed("canary.json")
        with reading(path / "elsewise.json", "holds what this version cannot read"):
            for key, entry in description["engines"].items():
                entry[CANARY] = canary["probabilities"][key]
            check_description(description)
        return cls(
            files=ModelFiles(path, {name: digest for name, digest in sealed.digests.items() if name not in ours}),
            description=description,
            canary=canary,
            arrays={
                name: array
                for file in ARRAYS
                if file in contents
                for name, array in read_arrays(path / file, contents[file]).items()
            },
            evaluation=parsed("evaluation.json") if "evaluation.json" in contents else None,
            report=contents[REPORT].decode("utf-8", "replace") if REPORT in contents else None,
            manifest=sealed.manifest,
        )

    def write(self, path: Path) -> None:
        """Write the folder whole or not at all, with the model's files unchanged; raises as `Classifier.save`."""
        parts = (self.description, self.canary, self.arrays, self.evaluation, self.report)
        write_folder(path, self.files.copy_to, *parts, self.seen)

    def without_texts(self) -> "ModelFolder":
        """Leave out what customer texts can be read from: kept rows, which are tokens, and the baseline, words."""
        arrays = {name: array for name, array in self.arrays.items() if not name.startswith("refit.")}
        return replace(self, files=self.files.beside(BASELINE), arrays=arrays)

    @property
    def default(self) -> str:
        """The default engine and precision, as in "openvino-int8"."""
        return self.description["engine"]

    @property
    def entries(self) -> Mapping[str, Any]:
        """The entry of each engine and precision that the folder has a certificate for."""
        return self.description["engines"]

    def others(self, key: str) -> dict[str, Any]:
        """Give the entries of the engines other than `key`."""
        return {name: entry for name, entry in self.entries.items() if name != key}

    @property
    def seen(self) -> dict[Path, str]:
        """The manifest by the folder, as `writing` takes it."""
        return {Path(os.path.realpath(self.files.path)): self.manifest}

    @property
    def file(self) -> Path:
        """Path of the description, for messages."""
        return self.files.path / "elsewise.json"

    @property
    def history(self) -> list[dict[str, Any]]:
        """Changes of the thresholds, the last change at the end."""
        return list(self.description.get("history", ()))

    @property
    def looks(self) -> int:
        """Number of certifications made on the certify rows, with those undone since."""
        made = [c.looks for key in self.entries if (c := self.rule(key).certificate) is not None]
        return max([*made, *(entry["looks"] for entry in self.history)], default=0)

    def spent(self, one_more: Certificate | None = None) -> float:
        """Sum of 1 - level over the certifications made on the certify rows, and over one more."""
        given = [e["certificate"] for e in self.history if e["what"] != "undone" and e["certificate"]]
        given += [e["before"]["certificate"] for e in self.history if (e.get("before") or {}).get("certificate")]
        given += [asdict(c) for key in self.entries if (c := self.rule(key).certificate) is not None]
        levels: dict[int, float] = {}
        for certificate in given:  # the first of a number is that look; later ones are it, put back
            levels.setdefault(certificate["looks"], certificate["confidence_level"])
        usual = min(levels.values(), default=1.0)
        own = [] if one_more is None else [one_more.confidence_level]
        return sum(1 - level for level in (*own, *(levels.get(look + 1, usual) for look in range(self.looks))))

    def rule(self, key: str) -> Rule:
        """Give the rule of an engine, with its certificate."""
        return unpack(self.entries[key]["rule"], self.arrays, self.file, Rule)

    def part(self, key: str, name: str) -> Any:
        """Give an optional part of an engine's entry, such as its familiarity test; None where there is none."""
        packed = self.entries[key].get(name)
        return None if packed is None else unpack(packed, self.arrays, self.file, EXPLAINING[name])


def write_folder(
    path: Path, save_files: Callable[[Path], None], description: Json, canary: Json,
    arrays: Mapping[str, NDArray[Any]], evaluation: Json | None, report: str | None, seen: dict[Path, str],
) -> None:  # fmt: skip
    """Write a model folder whole or not at all; arrays of kept rows, (n,) or (n, d), go to a file of their own."""
    from safetensors.numpy import save_file  # noqa: PLC0415

    entries = {name: {k: v for k, v in e.items() if k != CANARY} for name, e in description["engines"].items()}
    with writing(path, seen=seen) as work:
        save_files(work)
        write_json(work / "elsewise.json", {**description, "engines": entries})
        write_json(work / "canary.json", canary)
        if evaluation is not None:
            write_json(work / "evaluation.json", evaluation)
        if report is not None:
            (work / REPORT).write_text(report, encoding="utf-8", errors="backslashreplace")
        for file in ARRAYS:
            group = {
                name: np.ascontiguousarray(array)  # safetensors writes memory in its present order
                for name, array in arrays.items()
                if name.startswith("refit.") == (file == REFIT)
            }
            if group:
                save_file(group, work / file)
        baseline = work / BASELINE / "elsewise.json"
        learned = read_json(baseline)["record"] if baseline.exists() else {}
        with reading(path / "evaluation.json", "or elsewise.json hold what no card can show"):
            card = model_card(description, evaluation, arrays, learned.get("baseline", {}))
        (work / "README.md").write_text(card, encoding="utf-8", errors="backslashreplace")
