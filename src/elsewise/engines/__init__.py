"""Engines: objects with labels that turn texts into outputs. A new engine is a file here and a line in ENGINES.

    engine = engine_class("openvino").open(Opening(files, labels, settings))
    outputs = engine.run(["a text", "a longer text"])          # logits (n, k), features (n, d), ...

The table is lazy: an engine's library is imported when the engine is used.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol, TypeGuard, runtime_checkable

import numpy as np

from elsewise.arrays import as_texts, to_numpy
from elsewise.engines import cascade, token_counts
from elsewise.engines.cascade import Cascade
from elsewise.engines.files import Opening
from elsewise.engines.second_opinion import KEY, SecondOpinion
from elsewise.errors import InputError
from elsewise.outputs import Outputs
from elsewise.storage.json_files import Json

if TYPE_CHECKING:
    from elsewise.engines.external import ExternalEngine
    from elsewise.engines.tokenizer import TextTokenizer


class EngineKind(NamedTuple):
    """What is known of an engine before its library is imported.

    Attributes
    ----------
    where : str
        Module and class, as in "elsewise.engines.logits:LogitsEngine".
    certify_again : {"export", "fit", "pass it", ""}
        How a folder gets a certificate for the engine: by `elsewise export`, by `elsewise fit`, by passing the user's
        model, or by the call that made the folder.
    reads : {"texts", "logits"}
        What `run` takes.
    runs_graph : bool
        Whether it runs model.onnx, which is written for such engines alone.
    """

    where: str
    certify_again: Literal["export", "fit", "pass it", ""] = ""
    reads: Literal["texts", "logits"] = "texts"
    runs_graph: bool = False


ENGINES: Final[dict[str, EngineKind]] = {
    "ensemble": EngineKind("elsewise.engines.ensemble:Ensemble", "fit"),
    "given": EngineKind("elsewise.engines.external:ExternalEngine", "pass it"),
    "laplace": EngineKind("elsewise.engines.laplace:Laplace", "fit"),
    "logits": EngineKind("elsewise.engines.logits:LogitsEngine", reads="logits"),
    "mc_dropout": EngineKind("elsewise.engines.mc_dropout:McDropout", "fit"),
    "memory": EngineKind("elsewise.engines.memory:MemoryEngine"),
    "native": EngineKind("elsewise.engines.native:NativeModel", "export"),
    "onnxruntime": EngineKind("elsewise.engines.onnxruntime:OnnxRuntimeModel", "export", runs_graph=True),
    "openvino": EngineKind("elsewise.engines.openvino:OpenVinoModel", "export", runs_graph=True),
    "sklearn": EngineKind("elsewise.engines.tfidf:TfidfEngine"),
    "torch": EngineKind("elsewise.engines.torch:TorchModel", "export"),
}
TEXT_ENGINES: Final = ("native", "openvino", "onnxruntime", "torch")  # engines to choose from, the default first
PRECISIONS: Final = ("f32", "bf16", "f16", "int8")


class Engine(Protocol):
    """Turns texts into outputs; the answer for a text never depends on its neighbours."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the columns of logits."""

    def run(self, texts: Any) -> Outputs:
        """Return outputs of n texts, in order; a row of NaN logits for a text that cannot be read."""


class Stored(Engine, Protocol):
    """An engine that a model folder can name, save and open again."""

    @property
    def name(self) -> str:
        """The engine's name in the table ENGINES."""

    @property
    def settings(self) -> Json:
        """What `open` needs, besides the files, to give the same answers again."""

    @property
    def fingerprint(self) -> str:
        """Hash of everything that the answers depend on; a certificate belongs to one fingerprint."""

    @property
    def canaries(self) -> Sequence[Any]:
        """Texts that are answered again whenever the engine is opened (JSON)."""

    def save(self, folder: Path) -> None:
        """Write the engine's own files into an existing folder."""


class SizedEngine(Stored, Protocol):
    """An engine of a text model, which can be compared with other precisions."""

    @property
    def size(self) -> int:
        """Bytes of the files that the engine runs from."""


@runtime_checkable
class TokenEngine(Protocol):
    """An engine that reads tokens, or wraps an engine that may read them."""

    def prepare(self, texts: Sequence[Any]) -> Any:
        """Tokenise texts for `run`, which also takes plain texts."""

    def quick_run(self, ready: Any) -> Outputs:
        """Return outputs as `run` does, faster on a fresh start; the last digits may differ."""


class Opener(Protocol):
    """A class in the table ENGINES."""

    def open(self, opening: Opening) -> Stored:
        """Open what `save` wrote."""

    def precisions(self) -> tuple[str, ...]:
        """Name the precisions that this machine computes in; engines of text models only."""


def kind_of(name: str) -> EngineKind:
    """Find an engine's line in ENGINES; InputError where no engine has this name."""
    if name not in ENGINES:
        raise InputError(f"unknown engine {name!r}; there are {', '.join(ENGINES)}")
    return ENGINES[name]


def engine_class(name: str) -> Opener:
    """Import an engine's library and give its class, by its name in ENGINES.

    Raises
    ------
    InputError
        If no engine has this name.
    MissingExtra
        If its library is not installed.
    """
    module, _, attribute = kind_of(name).where.partition(":")
    return getattr(import_module(module), attribute)


def reads_logits(engine: Stored) -> bool:
    """Tell whether an engine's "texts" are rows of logits."""
    return kind_of(engine.name).reads == "logits"


def as_engine(model: Any) -> Stored:
    """Return the model itself if a folder can name it, or else an `ExternalEngine` around it.

    Raises
    ------
    InputError
        If the model lacks labels or run, or its labels are not at least two different words.
    """
    is_ours = type(model).__module__.partition(".")[0] == __package__.partition(".")[0]
    return model if is_ours and getattr(model, "name", None) in ENGINES else given_engine(model)


def given_engine(model: Any) -> "ExternalEngine":
    """Wrap any object with labels and run in an `ExternalEngine`; raises as `as_engine`."""
    from elsewise.engines.external import ExternalEngine  # noqa: PLC0415  as the table: when it is asked for

    return model if isinstance(model, ExternalEngine) else ExternalEngine.around(model)


def as_input(engine: Stored, texts: Any) -> Any:
    """Check what an engine is asked about: n texts, a missing one empty; or for an engine of logits their rows.

    InputError if texts are not one column of strings, or rows are not a list or an array.
    """
    if not reads_logits(engine):
        return as_texts(texts)
    if isinstance(texts, str) or not np.iterable(texts):
        raise InputError(f"texts must be a list or an array, got {type(texts).__name__}")
    return to_numpy(texts if hasattr(texts, "__len__") else list(texts))


def _reads_tokens(engine: Engine) -> TypeGuard[TokenEngine]:
    return _is_of_tokens(type(engine))


@cache
def _is_of_tokens(kind: type) -> bool:  # a protocol is looked up slowly, and a server asks for each text
    return issubclass(kind, TokenEngine)


def prepared(engine: Engine, texts: Sequence[Any]) -> Any:
    """Tokenise n texts for `run` where the engine reads tokens; return the texts themselves for other engines."""
    return engine.prepare(texts) if _reads_tokens(engine) else texts


def quick_run(engine: Engine, ready: Any) -> Outputs:
    """Return outputs as `run` does, faster on a fresh start; the last digits may differ."""
    return engine.quick_run(ready) if _reads_tokens(engine) else engine.run(ready)


def entry_of(engine: Stored) -> Json:
    """Describe an engine (JSON) for the settings of the engine around it; `open_entry` opens it again."""
    return {"name": engine.name, "settings": dict(engine.settings)}


def open_entry(entry: Json, opening: Opening) -> Stored:
    """Open an engine that `entry_of` described, with the files, labels and threads of the engine around it."""
    kind, opening = engine_class(entry["name"]), replace(opening, settings=entry["settings"])
    if cascade.KEY in opening.settings:
        return Cascade.open(opening, lambda rest: open_entry({**entry, "settings": rest.settings}, rest))
    if KEY in opening.settings:
        return SecondOpinion.open(kind, opening)
    made: Stored = token_counts.open_engine(kind, opening)
    return made


def early_fingerprint(entry: Json, opening: Opening) -> str | None:
    """Compute the fingerprint of an engine before a library reads its files; None where only we read them."""
    kind, opening = engine_class(entry["name"]), replace(opening, settings=entry["settings"])
    if cascade.KEY in opening.settings:
        return Cascade.fingerprint_of(opening, lambda rest: fingerprint_of({**entry, "settings": rest.settings}, rest))
    if KEY in opening.settings:
        return SecondOpinion.fingerprint_of(kind, opening)
    return token_counts.fingerprint_of(kind, opening) if hasattr(kind, "fingerprint_of") else None


def fingerprint_of(entry: Json, opening: Opening) -> str:
    """Compute the fingerprint of the engine that `open_entry` opens."""
    return early_fingerprint(entry, opening) or open_entry(entry, opening).fingerprint


def precision_of(engine: Stored) -> Json:
    """Give the precision setting of an engine, for the engine around it; empty where it has none."""
    return {name: value for name, value in engine.settings.items() if name == "precision"}


def tokenizer_of(engine: Any) -> "TextTokenizer | None":
    """Give the tokenizer of an engine, or of the first engine inside it; None where there is none."""
    while engine is not None and not hasattr(engine, "tokenizer"):
        engine = getattr(engine, "engine", None) or next(iter(getattr(engine, "members", ())), None)
    return None if engine is None else engine.tokenizer


def key_of(engine: Stored) -> str:
    """Name an engine with its precision, as in "openvino-bf16"."""
    precision = engine.settings.get("precision")
    return engine.name if precision is None else f"{engine.name}-{precision}"
