"""Predict on a Ray cluster: each actor loads the model once, and answers a shard of the parts.

The parts, fingerprints, rejects and accounting are those of one machine, and so are the bytes of the output. Ray moves
the model folder and no texts: input and output must be files that all nodes see. An actor that is lost, with its node
or without, is started again and goes on from its parts. This is Ray Core; Ray Data is not used.
"""

import logging
import os
import re
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from elsewise.batch.parts import folder_of
from elsewise.batch.predict import is_resumable, predict_file
from elsewise.batch.summary import Summary
from elsewise.classifier.load import load
from elsewise.engines.machine import cores
from elsewise.errors import ElsewiseError, InputError, need
from elsewise.progress import Progress
from elsewise.storage.sealed_folder import verify

if TYPE_CHECKING:
    from elsewise.classifier.classifier import Classifier

LOCAL: Final = "local"
QUIET: Final = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}  # no reports; no warning
PATIENCE: Final = 60.0  # seconds for the lock of a process that was killed to go
REACHED: Final = 10.0  # seconds to connect
LOOK: Final = 1.0  # seconds between two looks at the parts


@dataclass(frozen=True, slots=True)
class Served:
    """How the model is opened: engine, precision and threads, as `elsewise.load` takes them."""

    engine: str | None = None
    precision: str | None = None
    threads: int | None = 1


class ShardActor:
    """An actor: it has the model, and answers one shard."""

    def __init__(self, model: Mapping[str, bytes], served: Served) -> None:
        self._place = tempfile.TemporaryDirectory(prefix="elsewise-model-")
        folder = Path(self._place.name) / "model"
        for name, content in model.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        self._classifier: Classifier = load(
            folder, engine=served.engine, precision=served.precision, threads=served.threads
        )

    def answer(self, data: str, out: str, shard: tuple[int, int], options: Mapping[str, Any]) -> int:
        """Answer a shard, and give the number of its rows; what an earlier try has finished is not done again."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return predict_file(self._classifier, data, out, shard=shard, **options).read
            except InputError as error:
                if "is being written by another run" not in str(error) or time.monotonic() > end:
                    raise
            time.sleep(LOOK)


def predict(
    model: str | Path,
    data: str,
    out: str,
    *,
    address: str = LOCAL,
    actors: int | None = None,
    gpus: float = 0,
    served: Served | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Summary:
    """Answer every row of a file on a Ray cluster, and write one output in the order of the input.

    Parameters
    ----------
    model, data, out : str
        A model folder, which is sent to the actors; the input and the output, files that all nodes see.
    address : str
        Address of a cluster, such as ``auto`` or ``ray://head:10001``. Default: a Ray of its own on this machine.
    actors : int, optional
        Number of actors. Default: one for each processor core of the cluster that `served.threads` needs.
    gpus : float
        GPUs of each actor.
    served : Served, optional
        Engine, precision and threads of each actor. Default: the folder's engine on one thread.
    progress : callable, optional
        Called with (words, rows done, 0).
    **options
        As for `elsewise.batch.predict.predict_file`: how, top, probabilities, sentences, keep, overwrite, ...

    Returns
    -------
    Summary
        As of `predict_file`.

    Raises
    ------
    InputError
        As `predict_file`, or if the cluster has fewer processors than the actors need.
    MissingExtra
        If Ray is not installed.
    """
    ray = need("ray", extra="ray")
    served = served or Served()
    if not is_resumable(data, out):
        raise InputError("a cluster needs an input and an output that are files all nodes see; name both")
    where = os.path.abspath
    paths = str(where(data)), str(where(out))
    classifier = load(model, engine=served.engine, precision=served.precision, threads=served.threads)
    with _connected(ray, address, actors, served):
        number = _number(ray, actors, served, gpus)
        contents = ray.put(
            {name: (Path(model) / name).read_bytes() for name in (*verify(Path(model)), "manifest.json")}
        )
        kind = ray.remote(num_cpus=served.threads or 1, num_gpus=gpus, max_restarts=-1, max_task_retries=-1)(ShardActor)
        made = [kind.remote(contents, served) for _ in range(number)]
        tasks = [actor.answer.remote(*paths, (place, number), options) for place, actor in enumerate(made, start=1)]
        _wait(ray, tasks, folder_of(paths[1]), progress)
        for actor in made:
            ray.kill(actor)
    return predict_file(classifier, *paths, join=True, **options)


@contextmanager
def _connected(ray: Any, address: str, actors: int | None, served: Served) -> Iterator[None]:
    """Connect to a cluster, or start one on this machine; an open connection of yours is taken, and left open."""
    if ray.is_initialized():
        yield
        return
    here = {name: value for name, value in QUIET.items() if name not in os.environ}
    os.environ.update(here)
    how: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # nobody else can reach it
        wanted = max(cores(), (actors or 1) * (served.threads or 1))
        how |= {"num_cpus": wanted, "include_dashboard": False}
    _check_address(address)
    try:
        ray.init(**how)
        yield
    except ConnectionError as error:
        raise InputError(f"there is no Ray cluster for {address!r}; start one, or use address='local'") from error
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Raise InputError, in seconds and not in minutes, where nobody listens at an address with a port."""
    found = re.fullmatch(r"(?:ray://)?(\[.+\]|[^:/]+):(\d+)", address)
    if found is None:
        return
    try:
        socket.create_connection((found[1].strip("[]"), int(found[2])), timeout=REACHED).close()
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise InputError(
            f"the Ray cluster {address} cannot be reached: {said}; ray status shows whether one runs"
        ) from None


def _number(ray: Any, actors: int | None, served: Served, gpus: float) -> int:
    """Choose or check the number of actors: Ray would wait for ever for what the cluster does not have."""
    there, each = ray.cluster_resources(), served.threads or 1
    room = int(there.get("CPU", 0) // each)
    if gpus:
        room = min(room, int(there.get("GPU", 0) // gpus))
    number = actors or room
    if not 1 <= number <= room:
        has = f"{there.get('CPU', 0):g} processors and {there.get('GPU', 0):g} GPUs"
        raise InputError(f"the cluster has {has}, enough for {room} actors, not for {number}; ask for fewer")
    return number


def _wait(ray: Any, tasks: list[Any], folder: Path, progress: Progress | None) -> None:
    """Wait for all shards, and tell of the rows whose parts are there; what an actor raised is raised."""
    left = tasks
    while left:
        ended, left = ray.wait(left, num_returns=len(left), timeout=LOOK)
        try:
            ray.get(ended)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, ElsewiseError):
                raise error.cause from None
            raise
        if progress:
            progress("predicting", _rows_done(folder), 0)


def _rows_done(folder: Path) -> int:
    """Count the rows of the parts that a listing shows."""
    spans = (re.fullmatch(r"rows-(\d+)-(\d+)\.json", file.name) for file in folder.glob("rows-*.json"))
    return sum(int(span[2]) - int(span[1]) + 1 for span in spans if span)
