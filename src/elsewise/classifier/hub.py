"""Model folders on a hub: `push` puts one there, and ``hf://OWNER/NAME`` is fetched into the hub's cache.

Only the files that a folder's manifest names are fetched, and they are checked as those of any folder. What holds
customer texts stays behind unless it is asked for.
"""

import glob
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from elsewise.classifier.model_folder import ModelFolder
from elsewise.engines.files import TemporaryPlace
from elsewise.errors import ArtifactError, ElsewiseError, InputError, in_a_line, is_failure, need
from elsewise.storage.json_files import read_json
from elsewise.storage.paths import at_home
from elsewise.storage.sealed_folder import MANIFEST

ADDRESS: Final = re.compile(r"hf:/{1,2}(?P<repo>[^@]+?)/?(?:@(?P<revision>.+))?")  # one slash: of a Path
NAME: Final = re.compile(r"[\w.-]+/[\w.-]+")
MESSAGE: Final = "Push a model of Elsewise"
LOG_IN: Final = "log in with: hf auth login"


def is_on_hub(path: str | Path) -> bool:
    """Tell whether a path names a repository of the hub.

    Examples
    --------
    >>> is_on_hub("hf://me/model"), is_on_hub(Path("hf://me/model")), is_on_hub("model")
    (True, True, False)
    """
    return ADDRESS.fullmatch(str(path)) is not None


def fetched(address: str | Path) -> Path:
    """Fetch the model folder at ``hf://OWNER/NAME`` or ``hf://OWNER/NAME@REVISION``; give its place in the cache.

    InputError if there is no such repository or it cannot be reached; ArtifactError if it holds no model folder.
    """
    hub = need("huggingface_hub")
    found = ADDRESS.fullmatch(str(address))
    repo, revision = (None, None) if found is None else (found["repo"], found["revision"])
    _check_name(repo or str(address))
    at = {"repo_id": repo, "revision": revision, "endpoint": _endpoint()}
    with _asking(f"hf://{repo} cannot be fetched"):
        try:
            described = hub.hf_hub_download(filename="elsewise.json", **at)
            manifest = hub.hf_hub_download(filename=MANIFEST, **at)
        except need("huggingface_hub.errors").RemoteEntryNotFoundError as error:
            words = f"hf://{repo} is not a model folder: it lacks elsewise.json or {MANIFEST}"
            raise ArtifactError(f"{words}; make one with: elsewise push MODEL {repo}") from error
        del described
        names = read_json(Path(manifest)).get("files")
        if not isinstance(names, dict):
            raise ArtifactError(f"hf://{repo}: {MANIFEST} is damaged; push the model again")
        wanted = [glob.escape(str(name)) for name in (MANIFEST, *names)]
        return Path(hub.snapshot_download(allow_patterns=wanted, **at))


def push(
    model: str | Path, repo: str, *, private: bool = True, refit_rows: bool = False, revision: str | None = None
) -> str:
    """Put a model folder into a repository of the hub, which is made if there is none, in one commit.

    The repository then holds this folder and nothing else but what it had in hidden files.

    Parameters
    ----------
    model : path
        The folder.
    repo : str
        OWNER/NAME.
    private : bool
        Of a repository that is made: show it to its owner alone.
    refit_rows : bool
        Also put refit.safetensors there, tokens of your texts, and the baseline, words of them.
    revision : str, optional
        The branch. Default: main.

    Returns
    -------
    str
        The address to load it by.

    Raises
    ------
    InputError
        If the name is none, or the hub refuses or cannot be reached.
    ArtifactError
        If `model` is no model folder.
    """
    folder, hub = ModelFolder.read(Path(at_home(model))), need("huggingface_hub")
    _check_name(repo)
    place = TemporaryPlace()
    (folder if refit_rows else folder.without_texts()).write(Path(place.path) / "model")
    with _asking(f"{repo} cannot be pushed"):
        api = hub.HfApi(endpoint=_endpoint(), library_name="elsewise")
        api.create_repo(repo, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=repo, folder_path=Path(place.path) / "model", commit_message=MESSAGE, revision=revision,
            delete_patterns=["*"],
        )  # fmt: skip
    return f"hf://{repo}" + (f"@{revision}" if revision else "")


def _check_name(repo: str) -> None:
    if NAME.fullmatch(repo) is None:
        raise InputError(f"a repository is written OWNER/NAME, got {repo!r}")


def _endpoint() -> str | None:
    """Give the hub that is asked, if the environment names one."""
    return os.environ.get("HF_ENDPOINT") or None


@contextmanager
def _asking(wrong: str) -> Iterator[None]:
    """Turn what the hub's library raises into one line with the remedy."""
    errors: Any = need("huggingface_hub.errors")
    if not (sys.stderr and sys.stderr.isatty()):
        need("huggingface_hub.utils").disable_progress_bars()
    try:
        yield
    except ElsewiseError:
        raise
    except errors.OfflineModeIsEnabled as error:
        raise InputError(f"{wrong}: HF_HUB_OFFLINE is set; leave it out once") from error
    except errors.LocalEntryNotFoundError as error:
        raise InputError(f"{wrong}: it is not in the cache, and the hub cannot be reached") from error
    except errors.RevisionNotFoundError as error:
        raise InputError(f"{wrong}: there is no such revision") from error
    except errors.RepositoryNotFoundError as error:
        raise InputError(f"{wrong}: there is no such repository, or it is not yours to see; {LOG_IN}") from error
    except Exception as error:
        if not is_failure(error):
            raise
        refused = getattr(getattr(error, "response", None), "status_code", 0) in (401, 403)
        raise InputError(f"{wrong}: {in_a_line(error)}{f'; {LOG_IN}' if refused else ''}") from error
