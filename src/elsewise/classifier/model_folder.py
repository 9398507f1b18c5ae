"""What a model folder holds, read and written as a whole; no engine is opened here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from elsewise.classifier.card import model_card
from elsewise.classifier.packing import check_description, unpack
from elsewise.engines.files import ModelFiles
from elsewise.errors import ArtifactError, InputError
from elsewise.rules import Rule
from elsewise.rules.conformal import SplitConformal
from elsewise.rules.familiarity import FamiliarityTest
from elsewise.storage.json_files import read_arrays, read_json, write_json
from elsewise.storage.sealed_folder import verify, writing

CANARY: Final = "canary"
REFIT: Final = "refit.safetensors"
BASELINE: Final = "baseline"  # a model folder in the model folder
ARRAYS: Final = ("arrays.safetensors", REFIT)
EXPLAINING: Final = {"familiarity": FamiliarityTest, "sets": SplitConformal}


@dataclass(frozen=True, slots=True, eq=False)
class ModelFolder:
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
    def read(cls, path: Path) -> "ModelFolder":
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

    def write(self, path: Path) -> None:
        """Write it as a folder, with the model's files as they are, whole or not at all.

        Raises
        ------
        InputError
            As `Classifier.save`.

        """
        write_folder(path, self.files.copy_to, self.description, self.canary, self.arrays, self.evaluation)

    @property
    def default(self) -> str:
        """The engine and precision that answer unless another is asked for, as in "openvino-int8"."""
        key: str = self.description["engine"]
        return key

    @property
    def entries(self) -> Mapping[str, Any]:
        """What is kept for each engine and precision that it was certified on."""
        entries: Mapping[str, Any] = self.description["engines"]
        return entries

    def others(self, key: str) -> dict[str, Any]:
        """Give the entries of the other engines."""
        return {name: entry for name, entry in self.entries.items() if name != key}

    @property
    def file(self) -> Path:
        """Where the description lies, for messages."""
        return self.files.path / "elsewise.json"

    @property
    def history(self) -> list[dict[str, Any]]:
        """How thresholds were changed, the last change at the end."""
        return list(self.description.get("history", ()))

    @property
    def looks(self) -> int:
        """How many certifications were made on its certify rows, those included that were undone since."""
        made = [c.looks for key in self.entries if (c := self.rule(key).certificate) is not None]
        return max([*made, *(entry["looks"] for entry in self.history)], default=0)

    def rule(self, key: str) -> Rule:
        """Give the rule of an engine, with its certificate."""
        return unpack(self.entries[key]["rule"], self.arrays, self.file, Rule)

    def part(self, key: str, name: str) -> Any:
        """Give another part of an engine's entry, such as what tells unfamiliar texts; None where there is none."""
        packed = self.entries[key].get(name)
        return None if packed is None else unpack(packed, self.arrays, self.file, EXPLAINING[name])


def write_folder(
    path: Path,
    save_files: Callable[[Path], None],
    description: Mapping[str, Any],
    canary: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    evaluation: Mapping[str, Any] | None,
) -> None:
    """Write a model folder whole or not at all; arrays of kept rows, (n,) or (n, d), lie in a file of their own."""
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
        baseline = work / BASELINE / "elsewise.json"
        learned = read_json(baseline)["record"] if baseline.exists() else {}
        card = model_card(description, evaluation, arrays, learned.get("baseline", {}))
        (work / "README.md").write_text(card, encoding="utf-8", errors="backslashreplace")
