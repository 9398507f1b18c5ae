"""Labelled rows: reading, renaming labels, splitting and checks.

from elsewise.data import check, support_texts

for finding in check(texts, labels).findings:  # what `fit` would refuse or warn of, without training
    print(finding.level, finding.sentence, finding.remedy)
rows = support_texts(seed=0)                   # a made-up inbox to try things on; .text .label .kind
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elsewise.data.checks import check
    from elsewise.data.sample import OUT_OF_SCOPE, support_texts

_HOME = {"OUT_OF_SCOPE": "sample", "check": "checks", "support_texts": "sample"}
__all__ = ["OUT_OF_SCOPE", "check", "support_texts"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: reading a file needs no tokenizer."""
    if name not in _HOME:
        raise AttributeError(f"module 'elsewise.data' has no attribute {name!r}")
    return getattr(import_module(f"elsewise.data.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
