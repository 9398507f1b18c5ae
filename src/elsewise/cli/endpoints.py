"""``--engine systemone:URL`` and ``--engine openai:URL``: an endpoint as the engine, and what it cost."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from elsewise.cli.output import to_stderr
from elsewise.errors import InputError

ENDPOINT: Final = re.compile(r"(?P<protocol>[a-z]+):(?P<url>https?://.+)", re.DOTALL)
_ASKED: Final[list[Callable[[], str]]] = []


def is_endpoint(named: str | None) -> bool:
    """Tell whether --engine names an endpoint.

    Examples
    --------
    >>> is_endpoint("systemone:http://localhost:8000/v1/systemone"), is_endpoint("my_module:model")
    (True, False)
    """
    return ENDPOINT.fullmatch(named or "") is not None


def endpoint_engine(named: str, labels: Iterable[str], key_from: str | None, cache: Path | None = None) -> Any:
    """Make the engine of an endpoint, and print at the end of the command what was asked of it.

    InputError for a protocol that is not known, or not that of the address; otherwise as `elsewise.wrap`.
    """
    from elsewise.wrappers import wrap
    from elsewise.wrappers.endpoint import cost_of
    from elsewise.wrappers.protocols import PROTOCOLS, protocol_of

    found = ENDPOINT.fullmatch(named)
    if found is None or found["protocol"] not in PROTOCOLS:
        raise InputError(f"--engine {named}: an endpoint is written {' or '.join(f'{name}:URL' for name in PROTOCOLS)}")
    url = found["url"]
    if (meant := protocol_of(url)) != found["protocol"]:
        raise InputError(f"--engine {named}: this address is of {meant}; write {meant}:{url}")
    engine = wrap(url, labels=labels, api_key_from=key_from, cache=cache)
    kept = "" if cache is None else f"; its answers are kept in {cache} for the next fit, without texts"
    _ASKED.append(lambda: f"asked {url.partition('?')[0]}: {cost_of(engine)}{kept}")
    return engine


def say_costs() -> None:
    """Print what was asked of endpoints since the last time."""
    while _ASKED:
        to_stderr(_ASKED.pop(0)())


def labels_of_folder(model: Path) -> tuple[str, ...]:
    """Read the labels of a model folder; ArtifactError for what is none."""
    from elsewise.classifier.model_folder import ModelFolder

    return tuple(ModelFolder.read(model).description["labels"])


def labels_of_rows(columns: Iterable[Iterable[Any]], out_of_scope_label: str | None) -> tuple[str, ...]:
    """Name the labels of rows, sorted: numbers as numbers, then words."""
    from elsewise.arrays import label_words
    from elsewise.data.splits import by_number_or_name

    words = {word for column in columns for word in label_words(column)} - {out_of_scope_label}
    return tuple(sorted((word for word in words if word is not None), key=by_number_or_name))
