"""Pack fitted parts as JSON and arrays for a model folder, and unpack them.

Nothing here is a pickle. Fitted parts (calibrators, scores, rules, certificates) are frozen dataclasses of numbers and
arrays: their fields are saved as JSON, their arrays as safetensors.
"""

import dataclasses
import math
import types
import typing
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from elsewise.calibrators import CALIBRATORS, Calibrator
from elsewise.errors import ArtifactError, InputError, reading
from elsewise.messages.certificates import Band, Barred, Caught, FallenBack, Group, Groups, Mixture, Population
from elsewise.messages.wording import shortened
from elsewise.rules import GATES, RULES, Gate, Rule
from elsewise.rules.certificate import Certificate
from elsewise.rules.conformal import ConformalPValue, SplitConformal
from elsewise.rules.familiarity import FamiliarityTest
from elsewise.scores import SCORES, Score
from elsewise.scores.distances import LabelGaussians
from elsewise.scores.likeness import Likeness
from elsewise.storage.json_files import Json

Arrays: TypeAlias = Mapping[str, NDArray[Any]]  # by their names in the JSON

PARTS: Final = {
    "certificate": Certificate,
    "mixture": Mixture,
    "band": Band,
    "group": Group,
    "fallen_back": FallenBack,
    "groups": Groups,
    "barred": Barred,
    "caught": Caught,
    "population": Population,
    "label_gaussians": LabelGaussians,
    "likeness": Likeness,
    "familiarity_test": FamiliarityTest,
    "conformal_p_value": ConformalPValue,
    "split_conformal": SplitConformal,
}
KINDS: Final[dict[str, Any]] = {**CALIBRATORS, **SCORES, **RULES, **GATES, **PARTS}
NAMES: Final = {kind: name for name, kind in KINDS.items()}
SEAMS: Final[dict[Any, Any]] = {Calibrator: CALIBRATORS, Score: SCORES, Rule: RULES, Gate: GATES}


def check_description(described: Json) -> None:
    """Check the fields of elsewise.json outside fitted parts, which check their own fields.

    InputError if labels are not different words or a value has the wrong type; KeyError, TypeError or AttributeError if
    something is missing.
    """
    labels, entries = described["labels"], described["engines"]
    if not isinstance(labels, list) or not all(isinstance(label, str) and label.strip() for label in labels):
        raise InputError("labels must be words")
    if len(set(labels)) < len(labels):
        twice = next(label for label, times in Counter(labels).items() if times > 1)
        raise InputError(f"labels must differ, got {twice!r} twice")
    entries[described["engine"]]  # raises if it is missing
    shapes: list[tuple[Json, Json]] = [
        (described, {"other": str, "out_of_scope_label": str | None, "record": dict}),
        *((entry, {"name": str, "settings": dict, "fingerprint": str, "gate": list}) for entry in entries.values()),
        *((change, {"engine": str, "what": str, "when": str, "looks": int}) for change in described.get("history", ())),
    ]
    for values, shape in shapes:
        for name, type_ in shape.items():
            if not isinstance(values[name], type_):
                raise InputError(f"{name!r} cannot be {shortened(repr(values[name]), 60)}")


def pack(part: Any, arrays: dict[str, NDArray[Any]], prefix: str) -> Json:
    """Turn a fitted part into JSON; its arrays, (n,) or (n, k), go into `arrays` under names with this `prefix`."""
    packed: dict[str, Any] = {"kind": NAMES[type(part)]}
    for field in dataclasses.fields(part):
        value, name = getattr(part, field.name), f"{prefix}.{field.name}"
        if type(value) in NAMES:
            value = pack(value, arrays, name)
        elif isinstance(value, tuple) and value and all(type(item) in NAMES for item in value):
            value = [pack(item, arrays, f"{name}.{i}") for i, item in enumerate(value)]
        elif isinstance(value, np.ndarray):
            arrays[name], value = value, {"array": name}
        packed[field.name] = value
    return packed


def unpack(packed: Any, arrays: Arrays, file: Path, type_: Any = Any) -> Any:
    """Make the fitted part that `pack` was given.

    Parameters
    ----------
    packed, arrays : JSON, mapping of arrays
        The result of `pack`, and the arrays that it took out.
    file : Path
        Where it was read, for messages.
    type_ : type
        What the part must be: Calibrator, Score, Rule, Gate, or a class of PARTS.

    Raises
    ------
    ArtifactError
        If a kind or a field is unknown, or a value is out of its range or has the wrong type.
    """
    with reading(file, "holds a part that this version cannot read"):
        packed = _with_gates(packed)
        kind = KINDS[packed["kind"]]
        hints = typing.get_type_hints(kind)
        values = {name: _unpacked(value, arrays, file, hints[name]) for name, value in packed.items() if name != "kind"}
        wrong = [name for name, value in values.items() if not _is_a(value, hints[name])]
        part = kind(**values)
    if wrong or not _is_a(part, type_):
        what = f"{wrong[0]!r} of another type" if wrong else "what belongs elsewhere"
        raise ArtifactError(f"{file} holds a part that this version cannot read: {packed['kind']} has {what}")
    return part


def _with_gates(packed: dict[str, Any]) -> dict[str, Any]:
    """Turn the margin that older folders hold as a number into a gate."""
    if packed["kind"] not in RULES or "ambiguity_margin" not in packed:
        return packed
    packed = dict(packed)
    margin = packed.pop("ambiguity_margin")
    return {**packed, "gates": [{"kind": "ambiguity_margin", "margin": margin}] if margin else []}


def _unpacked(value: Any, arrays: Arrays, file: Path, type_: Any) -> Any:
    type_ = _meant(type_)
    if isinstance(value, dict):
        return arrays[value["array"]] if "array" in value else unpack(value, arrays, file)
    if type_ is float:
        return math.nan if value is None else float(value)
    if isinstance(value, list) and typing.get_origin(type_) is tuple:
        return tuple(_unpacked(item, arrays, file, typing.get_args(type_)[0]) for item in value)
    return value


def _is_a(value: Any, type_: Any) -> bool:
    """Tell whether a value has the annotated type of a part's field."""
    type_ = _meant(type_)
    if type_ is Any:
        return True
    if type_ in SEAMS:
        return type(value) in SEAMS[type_].values()
    origin, inner = typing.get_origin(type_), typing.get_args(type_)
    if origin in (types.UnionType, typing.Union):
        return any(_is_a(value, one) for one in inner)
    if origin is typing.Literal:
        return value in inner
    if origin is tuple:
        return isinstance(value, tuple) and all(_is_a(item, inner[0]) for item in value)
    return isinstance(value, origin or type_) and (type_ is not int or not isinstance(value, bool))


def _meant(type_: Any) -> Any:
    """Give the type behind an alias made by a ``type`` statement: numpy's NDArray is an alias from numpy 2.5 on."""
    alias = typing.get_origin(type_) or type_
    if isinstance(alias, type) or not hasattr(alias, "__value__"):
        return type_
    meant, given = alias.__value__, dict(zip(alias.__type_params__, typing.get_args(type_), strict=False))
    if parameters := getattr(meant, "__parameters__", ()):
        meant = meant[tuple(given.get(parameter, Any) for parameter in parameters)]
    return _meant(meant)
