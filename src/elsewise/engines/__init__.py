"""Engines: something with labels that turns texts into outputs. A new one is a file here and a line in ENGINES.

    engine = engine_class("openvino").open(files, labels, settings)
    outputs = engine.run(["a text", "another"])                # logits (n, k), features (n, d), ...

The table is lazy: an engine's library is imported when the engine is asked for, and not before.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from elsewise.engines.files import ModelFiles
from elsewise.errors import InputError
from elsewise.outputs import Outputs

if TYPE_CHECKING:
    from elsewise.engines.tokenizer import TextTokenizer

ENGINES: Final[dict[str, str]] = {
    "ensemble": "elsewise.engines.ensemble:Ensemble",
    "given": "elsewise.engines.external:ExternalEngine",
    "laplace": "elsewise.engines.laplace:Laplace",
    "logits": "elsewise.engines.logits:LogitsEngine",
    "mc_dropout": "elsewise.engines.mc_dropout:McDropout",
    "memory": "elsewise.engines.memory:MemoryEngine",
    "onnxruntime": "elsewise.engines.onnxruntime:OnnxRuntimeModel",
    "openvino": "elsewise.engines.openvino:OpenVinoModel",
    "sklearn": "elsewise.engines.tfidf:SklearnEngine",
    "torch": "elsewise.engines.torch:TorchModel",
}
GIVEN: Final = "given"  # the engine around a model that no folder holds
AROUND: Final = ("ensemble", "laplace", "mc_dropout")  # engines around engines: they fill `epistemic`
TEXT_ENGINES: Final = ("openvino", "onnxruntime", "torch")  # of one model's files, each its own way
PRECISIONS: Final = ("f32", "bf16", "f16", "int8")


class Engine(Protocol):
    """Turns texts into outputs; the answer for one text never depends on its neighbours."""

    @property
    def name(self) -> str:
        """In the table ENGINES."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the columns of logits."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """What `open` needs, beside the files, to give the same answers again (JSON)."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of all that the answers depend on: a certificate belongs to one."""
        ...

    @property
    def canaries(self) -> Sequence[Any]:
        """Texts to be answered again whenever the engine is opened (JSON)."""
        ...

    def save(self, folder: Path) -> None:
        """Write the engine's own files into an existing folder."""
        ...

    def prepare(self, texts: Sequence[Any]) -> Any:
        """Make texts ready for `run`, which takes texts too: `Tokens`, where the engine has any."""
        ...

    def run(self, texts: Any) -> Outputs:
        """Return outputs of n texts, in order; a row of NaN logits for a text that cannot be read."""
        ...

    def sketch(self, prepared: Any) -> Outputs:
        """Return what `run` does, but for the last digits, quickly on a fresh start: for the canaries."""
        ...


class SizedEngine(Engine, Protocol):
    """An engine of a text model, which the gate can compare with others."""

    @property
    def size(self) -> int:
        """Bytes of the files that it runs from."""
        ...


class Opener(Protocol):
    """What the table leads to."""

    def open(
        self, files: ModelFiles, labels: tuple[str, ...], settings: Mapping[str, Any], threads: int | None = None
    ) -> Engine:
        """Open what `save` wrote, on so many threads; None takes the cores that this process may use."""
        ...

    def precisions(self) -> tuple[str, ...]:
        """Name what this machine computes in; engines of text models only."""
        ...


def engine_class(name: str) -> Opener:
    """Find an engine by its name in ENGINES, importing its library.

    Raises
    ------
    InputError
        If no engine has this name.
    MissingExtra
        If its library is not installed.
    """
    if name not in ENGINES:
        raise InputError(f"unknown engine {name!r}; there are {', '.join(ENGINES)}")
    module, _, attribute = ENGINES[name].partition(":")
    return getattr(import_module(module), attribute)


def as_engine(model: Any) -> Engine:
    """Pass an engine through whose files a folder can hold; take anything else with labels and run as given.

    Raises
    ------
    InputError
        If it lacks one of them, or its labels are not at least two different words.
    """
    is_ours = type(model).__module__.partition(".")[0] == __package__.partition(".")[0]
    return model if is_ours and getattr(model, "name", None) in ENGINES else given_engine(model)


def given_engine(model: Any) -> Engine:
    """Take what has labels and run as given, whatever it is; raises as `as_engine`."""
    from elsewise.engines.external import ExternalEngine  # noqa: PLC0415  as the table: when it is asked for

    return model if isinstance(model, ExternalEngine) else ExternalEngine.around(model)


def entry_of(engine: Engine) -> dict[str, Any]:
    """Describe an engine as settings of one around it keep it (JSON): what `open_entry` takes."""
    return {"name": engine.name, "settings": dict(engine.settings)}


def open_entry(
    entry: Mapping[str, Any], files: ModelFiles, labels: tuple[str, ...], threads: int | None = None
) -> Engine:
    """Open the engine that `entry_of` described."""
    return engine_class(entry["name"]).open(files, labels, entry["settings"], threads)


def precision_of(engine: Engine) -> dict[str, str]:
    """Give the setting that an engine around this one shares with it: its precision, where it has one."""
    return {name: value for name, value in engine.settings.items() if name == "precision"}


def tokenizer_of(engine: Any) -> "TextTokenizer | None":
    """Give what makes tokens for an engine, or for the first one inside it; None where nothing does."""
    while engine is not None and not hasattr(engine, "tokenizer"):
        engine = getattr(engine, "engine", None) or next(iter(getattr(engine, "members", ())), None)
    return None if engine is None else engine.tokenizer


def key_of(engine: Engine) -> str:
    """Name an engine with its precision, as in "openvino-bf16"."""
    precision = engine.settings.get("precision")
    return engine.name if precision is None else f"{engine.name}-{precision}"
