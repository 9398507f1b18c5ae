"""Look at a folder that `save_pretrained` may have written, before anything in it is opened; needs no torch."""

import shlex
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from elsewise.engines.encoder_facts import label_names
from elsewise.engines.encoders import check_files
from elsewise.errors import InputError
from elsewise.storage.json_files import read_json
from elsewise.storage.paths import at_home

HEAD: Final = "ForSequenceClassification"


def check_folder(folder: str) -> None:
    """Raise InputError, with what to do, unless `folder` seems to hold a fine-tuned classifier; nothing is opened."""
    place = Path(at_home(folder))
    if not place.is_dir():
        raise InputError(f"there is no folder {folder}; name the one that save_pretrained() wrote")
    check_files(place)
    if not (place / "config.json").is_file():
        inside = sorted(place.glob("checkpoint-*/config.json"), key=lambda file: file.stat().st_mtime)
        remedy = f"take a checkpoint in it: {inside[-1].parent}" if inside else "name what save_pretrained() wrote"
        raise InputError(f"{folder} has no config.json; {remedy}")
    _check_weights(place)
    _check_task(folder, read_json(place / "config.json"))


def _check_weights(place: Path) -> None:
    """Refuse weights in a pickle, and a folder without weights."""
    if not any(place.glob("*.safetensors")):
        pickle = next(place.glob("pytorch_model*.bin"), None)
        has = f"its weights in a pickle ({pickle.name}), which is never opened" if pickle else "no model.safetensors"
        raise InputError(f"{place} has {has}; open it with transformers and call model.save_pretrained()")


def _check_task(folder: str, config: Mapping[str, Any]) -> None:
    """Refuse a config.json of a model that does not choose one of several labels."""
    problem, labels, kinds = (config.get(name) for name in ("problem_type", "id2label", "architectures"))
    if problem == "multi_label_classification":
        what = "was trained for texts with several labels (problem_type multi_label_classification)"
        remedy = "if one label is right for a text, wrap it: elsewise.wrap((model, tokenizer), kind='sigmoid')"
        raise InputError(f"{folder} {what}; {remedy}")
    if problem == "regression" or (isinstance(labels, dict) and len(labels) == 1):
        what = "gives one number for a text (regression), and no label"
        raise InputError(f"{folder} {what}; train a head for labels: {fit_instead(folder)}")
    if kinds and not str(kinds[0]).endswith(HEAD):
        what = f"holds {kinds[0]}, which gives no label for a text"
        raise InputError(f"{folder} {what}; train a head for labels: {fit_instead(folder)}")


def labels_of_head(folder: str) -> tuple[str, ...]:
    """Give the labels of the classification head in a folder; none where there is no such head, or no folder."""
    file = Path(at_home(folder), "config.json")
    config = read_json(file) if file.is_file() else {}
    kinds, labels = config.get("architectures") or [""], config.get("id2label")
    if not str(kinds[0]).endswith(HEAD) or not isinstance(labels, dict):
        return ()
    with suppress(InputError):
        return label_names(labels)
    return tuple(map(str, labels.values()))


def fit_instead(folder: str) -> str:
    """Give the command that trains a head on an encoder."""
    return f"elsewise fit DATA --encoder {shlex.quote(folder)} -o MODEL"
