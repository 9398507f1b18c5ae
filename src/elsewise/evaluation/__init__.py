"""Evaluate, compare and explain classifiers: `elsewise.evaluate`, `elsewise.compare`, `elsewise.evaluation.explain`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elsewise.evaluation.explaining import explain

__all__ = ["explain"]


def __getattr__(name: str) -> Any:
    """Import `explain` when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from elsewise.evaluation.explaining import explain  # noqa: PLC0415  not before it is used

    return explain


def __dir__() -> list[str]:
    return sorted(__all__)
