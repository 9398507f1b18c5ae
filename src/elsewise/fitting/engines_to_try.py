"""Which engines and precisions to compare: what the caller asks for, and what this machine and the model allow."""

from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Final, Self

from elsewise.engines import PRECISIONS, TEXT_ENGINES, engine_class
from elsewise.engines.text import check_precision
from elsewise.errors import InputError, MissingExtra
from elsewise.storage.json_files import Json

ON_A_PROCESSOR: Final = ("native", "openvino")  # of auto: the second where the first does not serve


@dataclass(frozen=True, slots=True)
class Wanted:
    """The engines to try and the precision.

    Attributes
    ----------
    engines : tuple of str
        One, or those of auto: the second is tried where the first computes in no faster precision that is close enough
        to float32.
    precision : str
        A precision, or auto: the fastest that is close enough.
    """

    engines: tuple[str, ...]
    precision: str

    @classmethod
    def of(cls, engine: str, precision: str) -> Self:
        """Settle what is asked for, before any model is opened.

        InputError for an unknown name or a precision that is not available, MissingExtra if a library is not installed.
        """
        for what, given, known in (("engine", engine, TEXT_ENGINES), ("precision", precision, PRECISIONS)):
            if given not in ("auto", *known):
                raise InputError(f"unknown {what} {given!r}; choose one of auto, {', '.join(known)}")
        if engine != "auto":
            _check(engine, precision)
            return cls((engine,), precision)
        if _finds_a_gpu():
            return cls.of("torch", precision)
        able, why = [], []
        for name in ON_A_PROCESSOR:
            try:
                _check(name, precision)
                able.append(name)
            except (InputError, MissingExtra) as error:
                why.append(error)
        if not able:
            raise next((error for error in why if isinstance(error, InputError)), why[0])
        return cls(tuple(able), precision)

    @property
    def first(self) -> str:
        """The engine that is tried first."""
        return self.engines[0]

    def computing(self, config: Json) -> Self:
        """Leave out the engines that do not compute a model with this config.json; InputError if none does."""
        able, why = [], None
        for name in self.engines:
            try:
                getattr(engine_class(name), "check_architecture", lambda _: None)(config)
            except InputError as error:
                why = error
            else:
                able.append(name)
        if why is not None and not able:
            raise why
        return replace(self, engines=tuple(able))

    def precisions(self, name: str, *, enough: bool, train: bool) -> tuple[str, ...]:
        """Give the precisions to try on an engine, float32 first.

        Parameters
        ----------
        name : str
            The engine.
        enough : bool
            Whether the tune rows are enough to compare precisions.
        train : bool
            Whether there are train texts, which some engines need for int8.
        """
        if self.precision != "auto":
            return tuple(dict.fromkeys(("f32", self.precision)))
        if not enough:
            return ("f32",)
        makes_int8 = makes_own_weights(name) or (train and find_spec("nncf"))
        return tuple(p for p in engine_class(name).precisions() if p != "int8" or makes_int8)


def usual_engine() -> str:
    """Name the default engine: torch where it finds a GPU, or else native, or OpenVINO where nothing is compiled."""
    return Wanted.of("auto", "auto").first


def makes_own_weights(name: str) -> bool:
    """Tell whether an engine makes the files of its precisions from the weights alone."""
    return hasattr(engine_class(name), "with_weights")


def _check(engine: str, precision: str) -> None:
    able = engine_class(engine).precisions()
    if precision != "auto":
        check_precision(precision, engine, able)
    if precision == "int8" and not makes_own_weights(engine) and find_spec("nncf") is None:
        raise MissingExtra("nncf is not installed; run: pip install 'elsewise[train]'")


def _finds_a_gpu() -> bool:
    if find_spec("torch") is None:
        return False
    import torch  # noqa: PLC0415

    return bool(torch.cuda.is_available())
