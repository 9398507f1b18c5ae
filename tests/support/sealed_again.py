"""Seal a changed model folder again, as somebody would who wants it to be opened."""

import json
from pathlib import Path


def seal(folder=Path("model")):
    """Make the manifest fit the files."""
    from elsewise.storage.sealed_folder import write_manifest

    (folder / "manifest.json").unlink(missing_ok=True)
    write_manifest(folder)


def certify(folder=Path("model")):
    """Make the fingerprint of the default engine fit the files, too."""
    from elsewise.engines import fingerprint_of
    from elsewise.engines.files import ModelFiles, Opening

    described = json.loads((folder / "elsewise.json").read_text(encoding="utf-8"))
    entry = described["engines"][described["engine"]]
    opening = Opening(ModelFiles.of(folder), tuple(described["labels"]), entry["settings"])
    entry["fingerprint"] = fingerprint_of(entry, opening)
    (folder / "elsewise.json").unlink()  # it may be a hard link
    (folder / "elsewise.json").write_text(json.dumps(described), encoding="utf-8")
    seal(folder)
