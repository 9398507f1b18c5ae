"""Rows that a folder keeps, to certify again without the texts."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elsewise.engines.tokenizer import Tokens


def refit_rows(name: str, tokens: Tokens, **columns: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Name the tokens of one split, and more about it, as a folder keeps them."""
    return {
        f"refit.{name}.token_ids": tokens.ids,
        f"refit.{name}.lengths": tokens.lengths,
        **{f"refit.{name}.{column}": values for column, values in columns.items()},
    }


def refit_tokens(arrays: Mapping[str, NDArray[Any]], name: str) -> Tokens:
    """Give the tokens of one split that a folder keeps."""
    lengths = arrays[f"refit.{name}.lengths"]
    return Tokens(arrays[f"refit.{name}.token_ids"], lengths, np.zeros(len(lengths), dtype=bool))
