"""Make an engine of any model: a library's object, a function, an ONNX file, or arrays of answers.

    engine = ew.wrap(keras_model, labels=names, preprocess=to_ids)
    engine = ew.wrap(pipeline)                                              # scikit-learn knows its labels
    engine = ew.wrap(answer, labels=names, kind="probabilities")            # any function of texts
    engine = ew.wrap("answers.npz", texts=texts, labels=names, kind="logits")

A new library is a file here and a line in WRAPPERS. Each file recognises its library by an object's class, and imports
the library only then, when the caller has it already.
"""

from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from elsewise.arrays import Floats, as_labels, as_texts
from elsewise.engines import Stored
from elsewise.engines.canaries import CANARIES
from elsewise.engines.external import ExternalEngine
from elsewise.engines.output_kinds import check_kind
from elsewise.errors import InputError, warn_caller
from elsewise.messages.wording import listed
from elsewise.wrappers.request import AT_ONCE, EndpointOptions, WrapRequest, is_url
from elsewise.wrappers.weights import unwrapped

WRAPPERS: Final[dict[str, str]] = {  # the first whose `takes` is True
    "keras": "elsewise.wrappers.keras",  # before torch: on that backend its models are torch modules too
    "sklearn": "elsewise.wrappers.sklearn",
    "transformers": "elsewise.wrappers.transformers",
    "torch": "elsewise.wrappers.torch",
    "onnx": "elsewise.wrappers.onnx",
    "endpoint": "elsewise.wrappers.endpoint",  # before arrays, which take the path of a file
    "arrays": "elsewise.wrappers.arrays",
    "function": "elsewise.wrappers.function",
}
CODE: Final = (".keras", ".h5", ".hdf5", ".pkl", ".pickle", ".joblib", ".pt", ".pth", ".bin", ".ckpt")
SAME_ANSWER: Final = 1e-2  # largest change of a logit in a second call; dropout changes them far more
SAME_ALONE: Final = 0.1  # largest change of a logit without neighbours: half precision reaches 0.03
ALONE: Final = (4, 5, 3, 27)  # canary texts that are asked alone, too: short ones and long ones


class Wrapper(Protocol):
    """A module in the table WRAPPERS, with these two functions."""

    @staticmethod
    def takes(model: Any) -> bool:
        """Tell whether the object is of this library, without importing the library."""

    @staticmethod
    def engine(model: Any, request: WrapRequest) -> Stored:
        """Make the engine of the object."""


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
    api_key_from: str | None = None,
    **endpoint: Any,
) -> Stored:
    """Make an engine of any model, to calibrate, certify and serve it.

    Parameters
    ----------
    model : object
        A Keras 3 model, a scikit-learn classifier or pipeline, a `transformers` model (with its tokenizer as
        `preprocess`, as a pair with it, or as a pipeline), a torch module, the path of an ONNX file, or a function of
        texts. Or the address of an endpoint that decides, such as "https://host/v1/systemone#model" or
        "https://host/v1/chat/completions#model": each text is sent to it. Or answers already made, with `texts`: an
        array of any framework, the result of `Trainer.predict`, or a file (.npy, .npz, .csv, .jsonl, .parquet).
    labels : k names, optional
        In the order of the model's columns; in any order for a model that knows its labels (scikit-learn,
        `transformers`), whose columns are sorted to match. Default: the model's own.
    preprocess : callable, optional
        Turns a list of texts into the model's input. Default: the model takes the texts.
    kind : {"logits", "probabilities", "log_probabilities", "sigmoid"}, optional
        What the model returns. Needed where the library does not say it; never guessed from the numbers.
    output : str or int, optional
        Which array to use, where the model returns several.
    texts : n strings, optional
        The texts that an array holds the answers for.
    fingerprint : str, optional
        A name for the model's version, instead of a hash of its weights.
    batch_size : int
        Texts in one call of the model.
    api_key_from : str, optional
        The environment variable with the key for an endpoint. The key is sent to it, and kept nowhere.
    **endpoint
        For an endpoint: instructions, criteria, timeout, tries, at_once and cache, the fields of
        `elsewise.wrappers.request.EndpointOptions`.

    Returns
    -------
    Engine
        For `ew.fit`, `Classifier` and every other function that takes an engine.

    Raises
    ------
    InputError
        If nothing says labels or kind, labels are not the model's, or `model` is a file whose loading may run code.
        Also if the model fails on its first texts (32 fixed ones), or its answers have a wrong shape or contradict
        `kind`. Also if an endpoint answers other labels, or its key is missing.
    ElsewiseError
        If an endpoint cannot be reached, or refuses whatever it is asked.
    MissingExtra
        If an ONNX or Parquet file needs a library that is not installed.

    Warns
    -----
    ElsewiseWarning
        If the model gives different logits for the same text, when asked twice or among other texts, or NaN. Softmax
        applied twice is noticed once the model has answered 32 texts or more in one call.

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
    request = WrapRequest(names, preprocess, kind, output, known, fingerprint, batch_size, api_key_from, endpoint)
    if not is_url(model):
        _refuse_options_of_endpoints(request)
        _refuse_files_of_code(model)
    model = tuple(map(unwrapped, model)) if type(model) is tuple else unwrapped(model)
    made = next((one for one in map(wrapper, WRAPPERS) if one.takes(model)), None)
    if made is None:
        what = type(model).__name__ + (f" of {_kinds(model)}" if isinstance(model, tuple) else "")
        raise InputError(f"cannot wrap {what}; pass a model, a function of texts, or an ONNX file")
    engine = made.engine(model, request)
    if isinstance(engine, ExternalEngine):
        _probe(engine)
    return engine


def wrapper(name: str) -> Wrapper:
    """Find a wrapper by its name in WRAPPERS."""
    return import_module(WRAPPERS[name])  # type: ignore[return-value]  # a module with the two functions


def _kinds(parts: Iterable[Any]) -> str:
    return listed(type(part).__name__ for part in parts)


def _refuse_options_of_endpoints(request: WrapRequest) -> None:
    EndpointOptions.of(request.endpoint)  # an unknown keyword is nearer to one of these
    for name in (*request.endpoint, *["api_key_from"] * (request.api_key_from is not None)):
        raise InputError(f"{name}= is for endpoints, and this model is none; leave it out")


def _refuse_files_of_code(model: Any) -> None:
    if not isinstance(model, str | Path):
        return
    suffix = Path(model).suffix.lower()
    if suffix in CODE:
        raise InputError(f"{model}: loading a {suffix} file can run code from it; load it yourself and pass it")
    if Path(model).is_dir():
        raise InputError(f"{model} is a folder; open it with elsewise.load, or load the model in it yourself")


def _probe(engine: ExternalEngine) -> None:
    """Answer the canary texts twice, and some alone, to find a broken model now and not after an hour of predicting."""
    first, second = engine.run(CANARIES).logits, engine.run(CANARIES).logits
    if (change := _change(first, second)) > SAME_ANSWER:
        differ = f"the model gives different logits for the same text (up to {change:.2g})"
        warn_caller(f"{differ}, and no certificate holds for that: switch dropout off (model.eval())")
        return
    alone = np.concatenate([engine.run([CANARIES[row]]).logits for row in ALONE])
    if (change := _change(first[list(ALONE)], alone)) > SAME_ALONE:
        differ = f"the model gives a text different logits among other texts than alone (up to {change:.2g})"
        warn_caller(f"{differ}, and no certificate holds for that: mask the padding, or wrap it with `batch_size=1`")


def _change(one: Floats, other: Floats) -> float:
    """Give the largest difference of two arrays of logits; infinite where only one of them has a number."""
    change = np.where(np.isnan(one) & np.isnan(other), 0, np.abs(one - other))
    return float(np.nan_to_num(change, nan=np.inf).max())
