"""Reports: an evaluation or a comparison as one HTML page that needs nothing else, and as figures for papers.

page = report.page(evaluation, classifier)     # page.html; page.write("report.html"); a notebook shows it
report.figures.reliability(evaluation)          # matplotlib, the extra `plot`
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elsewise.report.pages import Page, comparison_page, page

__all__ = ["Page", "comparison_page", "page"]


def __getattr__(name: str) -> Any:
    """Import the public functions when they are first used."""
    if name == "figures":
        return import_module("elsewise.report.figures")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("elsewise.report.pages"), name)
