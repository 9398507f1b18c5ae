"""Read and write JSON files and files of arrays, checked; infinities and NaN as words."""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from numpy.typing import NDArray

from elsewise.errors import ArtifactError, reading

Json: TypeAlias = Mapping[str, Any]  # an object as JSON holds it

LARGEST_JSON: Final = 64 << 20  # bytes; in memory it takes up to 30 times as many


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON, keys in the given order, infinity as the string "inf"."""
    text = json.dumps(finite(value), indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def finite(value: Any) -> Any:
    """Replace numbers that JSON does not have: infinities by the strings "inf" and "-inf", NaN by null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list | tuple) else value


def plain(value: Any) -> Any:
    """Turn results into JSON values: dataclasses become dictionaries by the names of their fields.

    Examples
    --------
    >>> from elsewise.metrics import Estimate
    >>> plain({"accuracy": (Estimate(0.5, 0.25, 0.75),)})
    {'accuracy': [{'value': 0.5, 'low': 0.25, 'high': 0.75}]}
    """
    if hasattr(value, "as_dict"):
        return value.as_dict()
    if is_dataclass(value):
        return plain_fields(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def plain_fields(value: Any, leave_out: Collection[str] = ()) -> dict[str, Any]:
    """Turn a dataclass and everything in it into dictionaries, some fields left out: the `as_dict` of results."""
    return {field.name: plain(getattr(value, field.name)) for field in fields(value) if field.name not in leave_out}


def read_bytes(path: Path) -> bytes:
    """Read a file; ArtifactError names a file that cannot be read, or JSON that is too large."""
    with reading(path):
        if path.suffix == ".json" and path.stat().st_size > LARGEST_JSON:
            raise ArtifactError(f"{path} is larger than {LARGEST_JSON >> 20} MB, the most that is read of JSON")
        return path.read_bytes()


def read_json(path: Path, content: bytes | None = None) -> dict[str, Any]:
    """Read a JSON object from a file, or from its `content`; ArtifactError names a file without one."""
    with reading(path):
        value = json.loads((read_bytes(path) if content is None else content).decode())
    if not isinstance(value, dict):
        raise ArtifactError(f"{path} holds no JSON object")
    return value


def read_arrays(file: Path, content: bytes | None = None) -> dict[str, NDArray[Any]]:
    """Read arrays, (n,) or (n, k), by name, from a file or its `content`; ArtifactError names a file without arrays."""
    from safetensors.numpy import load  # noqa: PLC0415

    with reading(file):
        return load(file.read_bytes() if content is None else content)
