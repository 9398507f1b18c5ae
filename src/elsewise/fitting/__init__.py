"""Fit and certify classifiers from labelled rows, and certify them again: `elsewise.fitting.open_threshold`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elsewise.fitting.threshold import open_threshold

__all__ = ["open_threshold"]


def __getattr__(name: str) -> Any:
    """Import `open_threshold` when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from elsewise.fitting.threshold import open_threshold  # noqa: PLC0415  not before it is used

    return open_threshold


def __dir__() -> list[str]:
    return sorted(__all__)
