"""An engine of any model: of a library's object, a function, an ONNX file, or arrays of answers.

engine = ew.wrap(keras_model, labels=names, preprocess=to_ids)
engine = ew.wrap(pipeline)                                              # scikit-learn knows its labels
engine = ew.wrap(answer, labels=names, kind="probabilities")            # any function of texts
engine = ew.wrap("answers.npz", texts=texts, labels=names, kind="logits")

A new library is a file here and a line in WRAPPERS. Each file says by an object's class whether it is one of the
library's, and imports the library only when it is: then the caller has it already.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import as_labels, as_texts, to_numpy
from elsewise.engines import Engine
from elsewise.engines.canaries import CANARIES
from elsewise.engines.output_kinds import KINDS, check_kind, to_logits
from elsewise.engines.tokenizer import is_visible, readable
from elsewise.errors import ElsewiseError, ElsewiseWarning, InputError, in_a_line
from elsewise.outputs import Outputs

WRAPPERS: Final[dict[str, str]] = {  # the first that takes an object has it
    "keras": "elsewise.wrapping.keras",  # before torch: on that backend its models are torch modules too
    "sklearn": "elsewise.wrapping.sklearn",
    "transformers": "elsewise.wrapping.transformers",
    "torch": "elsewise.wrapping.torch",
    "onnx": "elsewise.wrapping.onnx",
    "arrays": "elsewise.wrapping.arrays",
    "function": "elsewise.wrapping.function",
}
CODE: Final = (".keras", ".h5", ".hdf5", ".pkl", ".pickle", ".joblib", ".pt", ".pth", ".bin", ".ckpt")
SAME_ANSWER: Final = 1e-2  # of a logit, asked twice; dropout moves them by far more
AT_ONCE: Final = 32
MOST: Final = 5  # names or shapes in a message
MANY: Final = 31  # canary texts that reach the model; where it fails for as many, it does not work


@dataclass(frozen=True, slots=True)
class Asked:
    """What the caller of `wrap` says of a model."""

    labels: tuple[str, ...] | None = None
    preprocess: Callable[[list[str]], Any] | None = None
    kind: str | None = None
    output: str | int | None = None
    texts: Sequence[str] | None = None
    fingerprint: str | None = None
    batch_size: int = AT_ONCE

    def inputs(self, texts: list[str]) -> Any:
        """Make of texts what the model takes."""
        return texts if self.preprocess is None else self.preprocess(texts)

    def named(self) -> tuple[str, ...]:
        """Give the labels, of a model that does not know any; InputError where nothing says them."""
        if self.labels is None:
            raise InputError("the model does not say its labels; pass them in the order of its columns: labels=[...]")
        return self.labels

    def stated(self, known: str | None = None) -> str:
        """Give the kind of the numbers; InputError where neither the caller nor the library says it."""
        kind = self.kind or known
        if kind is None:
            kinds = ", ".join(map(repr, KINDS))
            raise InputError(f"say what the model gives, for numbers alone do not tell: kind= one of {kinds}")
        return kind

    def columns(self, own: Sequence[str]) -> tuple[tuple[str, ...], tuple[int, ...] | None]:
        """Bring the columns of a model that knows its labels into the order that is asked for.

        Returns the labels, and which column each has; None where the columns stand in that order.
        """
        if self.labels is None or self.labels == tuple(own):
            return as_labels(own), None
        missing, extra = _without(own, self.labels), _without(self.labels, own)
        if missing or extra:
            says = [f"{words} {_some(names)}" for words, names in (("lacks", missing), ("adds", extra)) if names]
            raise InputError(f"labels= {' and '.join(says)}: the model has {_some(own)}")
        return self.labels, tuple(list(own).index(label) for label in self.labels)


def _without(names: Iterable[str], others: Iterable[str]) -> list[str]:
    known = set(others)
    return [name for name in names if name not in known]


def _some(names: Sequence[str], most: int = MOST) -> str:
    return ", ".join(map(repr, names[:most])) + f", ... ({len(names)})" * (len(names) > most)


@dataclass(frozen=True, slots=True, eq=False)
class WrappedEngine:
    """An engine around somebody's model.

    Attributes
    ----------
    labels : tuple of str
        The k labels.
    kind : str
        What `answer` gives, one of `elsewise.engines.output_kinds.KINDS`.
    model : str
        The name of its class, for people.
    answer : callable
        Takes a list of at most `batch_size` texts; gives a row for each, and their features or None.
    digest : str
        Of the model's weights, or what the caller named instead; empty where nothing of it can be hashed: then the
        canary texts alone tell whether it is another model.
    columns : tuple of int or None
        Which column of `answer` each label has; None where they stand in order.
    batch_size : int
        How many texts are answered at a time.
    cuts : callable or None
        Tells of each of n texts whether the model reads only its beginning; None where nobody knows.
    """

    name: ClassVar[str] = "wrapped"
    labels: tuple[str, ...]
    kind: str
    model: str
    answer: Callable[[list[str]], tuple[Any, Any]]
    digest: str = ""
    columns: tuple[int, ...] | None = None
    batch_size: int = AT_ONCE
    cuts: Callable[[list[str]], list[bool]] | None = None

    @property
    def described(self) -> str:
        """The name of the model, for messages of what stands around this engine."""
        return self.model

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the model is and gives; the model itself is not saved, and has to be passed again."""
        return {"model": self.model, "kind": self.kind}

    @property
    def fingerprint(self) -> str:
        """Hash of all that the answers depend on, as far as it can be hashed."""
        known = (self.labels, self.kind, self.model, self.digest, self.columns)
        return sha256(repr(known).encode()).hexdigest()[:16]

    @property
    def canaries(self) -> Sequence[str]:
        """The package's fixed texts."""
        return list(CANARIES)

    def save(self, folder: Path) -> None:
        """Write nothing: a model that can only be saved as code is passed again at load."""

    def prepare(self, texts: Sequence[str]) -> list[str]:
        """Check the texts."""
        return as_texts(texts)

    def run(self, texts: Sequence[str]) -> Outputs:
        """Ask the model; texts with nothing to see never reach it and are rows of NaN.

        Raises
        ------
        InputError
            If the model fails, gives other rows or columns than there are texts and labels, or numbers that contradict
            `kind`.
        """
        texts = as_texts(texts)
        seen = [row for row, text in enumerate(texts) if is_visible(text)]
        values, features = self._answers([readable(texts[row]) for row in seen])
        logits = np.full((len(texts), len(self.labels)), np.nan, dtype=np.float32)
        if values is not None:
            made = to_logits(values, self.kind, len(self.labels))
            logits = logits.astype(made.dtype)
            logits[seen] = made
            _check_finite(made)
        truncated = None if self.cuts is None else np.array(self.cuts(texts), dtype=bool)
        return Outputs(logits, _spread(features, seen, len(texts)), truncated=truncated)

    def sketch(self, prepared: Sequence[str]) -> Outputs:
        """Return what `run` does."""
        return self.run(prepared)

    def _answers(self, texts: list[str]) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
        values, features = [], []
        for start in range(0, len(texts), self.batch_size):
            part = texts[start : start + self.batch_size]
            try:
                answered, of_them = self.answer(part)
            except ElsewiseError:
                raise
            except Exception as error:  # whatever the user's own code may raise
                words = "which are strings unless preprocess= makes something else of them"
                raise InputError(f"{self.model} failed on {len(part)} texts, {words}: {in_a_line(error)}") from error
            rows = to_numpy(answered)
            if rows.shape[:1] != (len(part),):
                got = rows.shape if rows.ndim else type(answered).__name__
                raise InputError(f"a model must give one row a text, got {got} for {len(part)} texts")
            if self.columns is not None and rows.shape[1:] == (len(self.columns),):
                rows = rows[:, list(self.columns)]
            values.append(rows)
            features.append(None if of_them is None else to_numpy(of_them))
        widths = {rows.shape[1:] for rows in values}
        if len(widths) > 1:
            raise InputError(f"a model must give as many columns for every text, got {sorted(widths)}")
        there = [rows for rows in features if rows is not None and rows.ndim == 2]  # noqa: PLR2004
        return (
            np.concatenate(values) if values else None,
            np.concatenate(there) if there and len(there) == len(values) else None,
        )


def _spread(features: NDArray[Any] | None, seen: list[int], n: int) -> NDArray[Any] | None:
    """Put rows of features where their texts are."""
    if features is None or len(seen) == n:
        return features
    wide = np.full((n, features.shape[1]), np.nan, dtype=features.dtype)
    wide[seen] = features
    return wide


def _check_finite(logits: NDArray[Any]) -> None:
    bad = np.isnan(logits).any(axis=1)
    if len(bad) >= MANY and bad.all():
        raise InputError(f"a model must give numbers, got NaN or infinity for all {len(bad)} texts")
    if bad.any():
        warnings.warn(
            f"the model gives NaN or infinity for {int(bad.sum())} of {len(bad)} texts: these are never answered",
            ElsewiseWarning,
            stacklevel=3,
        )


class Wrapper(Protocol):
    """What the table leads to: a module with these two functions."""

    @staticmethod
    def takes(model: Any) -> bool:
        """Whether the object is one of the library's, without importing it."""
        ...

    @staticmethod
    def engine(model: Any, asked: Asked) -> Engine:
        """Make the engine."""
        ...


def wrap(
    model: Any,
    *,
    labels: Iterable[Any] | None = None,
    preprocess: Callable[[list[str]], Any] | None = None,
    kind: str | None = None,
    output: str | int | None = None,
    texts: Iterable[str] | None = None,
    fingerprint: str | None = None,
    batch_size: int = AT_ONCE,
) -> Engine:
    """Make an engine of any model, so that all that is known of engines works for it.

    Parameters
    ----------
    model : object
        A Keras 3 model, a scikit-learn classifier or pipeline, a `transformers` model (with its tokenizer as
        `preprocess`, as a pair with it, or as a pipeline), a torch module, the path of an ONNX file, or a function of
        texts. Or answers already made, with `texts`: an array of any framework, what `Trainer.predict` gives, or a file
        of them (.npy, .npz, .csv, .jsonl, .parquet).
    labels : k names, optional
        In the order of the model's columns. Of a model that knows its own (scikit-learn, `transformers`) in any order:
        the columns follow. Left out, the model's own.
    preprocess : callable, optional
        Makes of a list of texts what the model takes; without it, the model takes the texts.
    kind : {"logits", "probabilities", "log_probabilities", "sigmoid"}, optional
        What the model gives. Needed where the library does not say it; never told from the numbers.
    output : str or int, optional
        Which one, where the model returns several arrays.
    texts : n strings, optional
        Those that an array holds the answers for.
    fingerprint : str, optional
        A name for the model's version, in place of a hash of its weights.
    batch_size : int
        Texts that the model is asked at a time.

    Returns
    -------
    Engine
        For `ew.fit`, `Classifier` and whatever else takes one.

    Raises
    ------
    InputError
        If nothing says labels or kind, labels are not the model's, the model fails on its first texts (32 fixed ones),
        or answers them in another shape or in contradiction to `kind`, or `model` is a file whose loading may run code.
    MissingExtra
        If an ONNX or Parquet file needs a library that is not installed.

    Warns
    -----
    ElsewiseWarning
        If the model answers otherwise when asked twice, or gives NaN. Whether it seems to apply softmax twice is said
        when it has answered 32 texts or more at once.

    Examples
    --------
    >>> def model(texts):
    ...     return [[0.9, 0.1] if "refund" in text else [0.2, 0.8] for text in texts]
    >>> engine = wrap(model, labels=["money", "other matters"], kind="probabilities")
    >>> engine.run(["a refund, please", ""]).logits.round(3).tolist()
    [[-0.105, -2.303], [nan, nan]]
    """
    if kind is not None:
        check_kind(kind)
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, got {batch_size}")
    names = None if labels is None else as_labels(labels)
    known = None if texts is None else as_texts(texts)
    asked = Asked(names, preprocess, kind, output, known, fingerprint, batch_size)
    _refuse_files_of_code(model)
    made = next((one for one in map(wrapper, WRAPPERS) if one.takes(model)), None)
    if made is None:
        raise InputError(f"cannot wrap {type(model).__name__}; pass a model, a function of texts, or an ONNX file")
    engine = made.engine(model, asked)
    if isinstance(engine, WrappedEngine):
        _probe(engine)
    return engine


def wrapper(name: str) -> Wrapper:
    """Find a wrapper by its name in WRAPPERS."""
    return import_module(WRAPPERS[name])  # type: ignore[return-value]  # a module with the two functions


def _refuse_files_of_code(model: Any) -> None:
    if not isinstance(model, str | Path):
        return
    suffix = Path(model).suffix.lower()
    if suffix in CODE:
        raise InputError(f"{model}: loading a {suffix} file can run code from it; load it yourself and pass it")
    if Path(model).is_dir():
        raise InputError(f"{model} is a folder; open it with elsewise.load, or load the model in it yourself")


def _probe(engine: WrappedEngine) -> None:
    """Ask for the canary texts twice: what is wrong with a model is said now, and not after an hour of predicting."""
    first, second = engine.run(CANARIES).logits, engine.run(CANARIES).logits
    if not np.allclose(first, second, rtol=0, atol=SAME_ANSWER, equal_nan=True):
        warnings.warn(
            f"the model answers otherwise when asked twice, by up to {np.nanmax(np.abs(first - second)):.2g} of a "
            "logit: is dropout left on? No certificate holds for such answers",
            ElsewiseWarning,
            stacklevel=3,
        )


def library_of(model: Any, *libraries: str) -> bool:
    """Whether an object's class, or one it is made from, is of a library; nothing is imported."""
    return any(cls.__module__.partition(".")[0] in libraries for cls in type(model).__mro__)


def pick(answer: Any, output: str | int | None) -> Any:
    """Take the array of the labels out of what a model returns.

    Raises
    ------
    InputError
        If it returns several and nothing says which.
    """
    if isinstance(answer, Mapping):
        names: list[Any] = list(answer)
        if output is None and "logits" not in names and len(names) != 1:
            raise InputError(f"the model returns a dictionary of {_some(names)}; say which holds the labels: output=")
        chosen = output if output is not None else "logits" if "logits" in names else names[0]
        if chosen not in names:
            raise InputError(f"the model returns no {chosen!r}, but {_some(names)}")
        return answer[chosen]
    if isinstance(answer, tuple | list) and any(len(getattr(one, "shape", ())) > 1 for one in answer):
        if output is None and len(answer) > 1:
            shown = ", ".join(str(tuple(getattr(one, "shape", ()))) for one in answer[:MOST])
            shapes = shown + ", ..." * (len(answer) > MOST)
            kind = type(answer).__name__
            raise InputError(
                f"the model returns a {kind} of {len(answer)}, of shapes {shapes}; say which holds the labels: output="
            )
        at = output or 0
        if not isinstance(at, int) or not -len(answer) <= at < len(answer):
            raise InputError(f"the model returns {len(answer)} outputs, and none is {at!r}")
        return answer[at]
    if output is not None:
        raise InputError(f"the model returns one {type(answer).__name__}; output={output!r} is for several")
    return answer


@contextmanager
def answering(model: Any) -> Iterator[None]:
    """Switch dropout and gradients of a torch model off, and put every part back into its mode afterwards."""
    import torch  # noqa: PLC0415  the caller has it

    training = [part for part in model.modules() if part.training]
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for part in training:
            part.training = True


def weights_of(model: Any) -> Iterator[Any]:
    """Give the tensors of a torch model, packed and quantised ones too; what else it keeps has no bytes to hash."""
    for value in model.state_dict().values():
        for part in value if isinstance(value, tuple) else (value,):
            if hasattr(part, "detach"):
                yield part.dequantize() if part.is_quantized else part


def digest_of(arrays: Iterable[Any]) -> str:
    """Hash weights, with their shapes."""
    made = sha256()
    for values in arrays:
        array = to_numpy(values)
        made.update(repr((array.shape, array.dtype.str)).encode())
        made.update(np.ascontiguousarray(array).data)
    return made.hexdigest()[:16]
