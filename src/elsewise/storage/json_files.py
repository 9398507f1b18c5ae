"""JSON files and files of arrays, checked as they are read; infinities and NaN as words."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from elsewise.errors import ArtifactError

Json: TypeAlias = Mapping[str, Any]  # an object as JSON holds it


def write_json(path: Path, value: Any) -> None:
    """Write JSON: sorted as given, readable, infinity as the string "inf"."""
    text = json.dumps(finite(value), indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def finite(value: Any) -> Any:
    """Replace what JSON has no number for: infinities by the strings "inf" and "-inf", NaN by null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list | tuple) else value


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; ArtifactError names a file that holds none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise ArtifactError(f"{path} holds no JSON object")
    return value


def read_arrays(file: Path) -> dict[str, Any]:
    """Read arrays by name; none where there is no such file. ArtifactError names a file that holds no arrays."""
    from safetensors import SafetensorError  # noqa: PLC0415
    from safetensors.numpy import load_file  # noqa: PLC0415

    try:
        return load_file(file) if file.is_file() else {}
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{file} cannot be read: {error}") from error
