"""Rows that a folder keeps, to certify again without the texts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from elsewise.arrays import Codes, as_codes
from elsewise.classifier.classifier import Classifier
from elsewise.classifier.model_folder import REFIT
from elsewise.classifier.packing import pack, unpack
from elsewise.engines import tokenizer_of
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import reading
from elsewise.messages.certificates import Population
from elsewise.outputs import Evidence, Outputs
from elsewise.storage.json_files import Json

COLUMNS: Final = (
    "logits",
    "features",
    "epistemic",
    "embedding",
)  # outputs of tune and certify rows that a folder keeps


def refit_rows(name: str, tokens: Tokens, **columns: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Name the tokens of the n rows of one split, and their columns, (n,) or (n, d), as a folder keeps them."""
    return {
        f"refit.{name}.token_ids": tokens.ids,
        f"refit.{name}.lengths": tokens.lengths,
        **{f"refit.{name}.{column}": values for column, values in columns.items()},
    }


def refit_tokens(arrays: Mapping[str, NDArray[Any]], name: str) -> Tokens:
    """Read the tokens of one split from a folder's arrays, token ids (tokens,) and lengths (n,)."""
    with reading(REFIT):
        lengths, ids = arrays[f"refit.{name}.lengths"], arrays[f"refit.{name}.token_ids"]
        if ids.ndim != 1 or lengths.sum() != len(ids) or min(lengths.min(initial=0), ids.min(initial=0)) < 0:
            raise ValueError(f"its {name} rows have lengths that do not fit their tokens")
        return Tokens(ids, lengths, np.zeros(len(lengths), dtype=bool))


def refit_outputs(answered: Mapping[str, tuple[Outputs, Codes]], judging: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Name an engine's outputs for the rows of each split, and their codes (n,), as a folder keeps them.

    Of tune rows only `judging` (m,) are kept: no distance is measured from these.
    """
    outputs, codes = answered["tune"]
    rows = {**answered, "tune": (outputs.take(judging), codes[judging])}
    return {
        f"refit.{name}.{column}": values
        for name, (outputs, codes) in rows.items()
        for column, values in (*((column, getattr(outputs, column)) for column in COLUMNS), ("codes", codes))
        if values is not None
    }


def kept_evidence(
    classifier: Classifier, arrays: Mapping[str, NDArray[Any]], name: str, most: int | None = None
) -> tuple[Evidence, Codes]:
    """Give an engine's evidence of the kept rows of one split, and their codes (n,): kept tokens are run again.

    With `most`, only so many rows are taken, evenly from all.
    """
    with reading(REFIT):
        n = len(arrays[f"refit.{name}.codes"])
        rows = np.arange(n) if most is None or n <= most else np.linspace(0, n - 1, most).astype(np.int64)
        if f"refit.{name}.lengths" in arrays:
            tokens, tokenizer = refit_tokens(arrays, name), tokenizer_of(classifier.engine)
            if tokenizer is not None and tokens.ids.max(initial=0) >= tokenizer.backend.get_vocab_size():
                raise ValueError(f"its {name} rows have tokens that the model does not know")
            evidence = classifier.evidence(tokens if len(rows) == n else tokens.take(rows))
        else:
            columns = {column: arrays.get(f"refit.{name}.{column}") for column in COLUMNS[1:]}
            evidence = classifier.evidence_of(Outputs(arrays[f"refit.{name}.logits"], **columns).take(rows))
        return evidence, as_codes(arrays[f"refit.{name}.codes"][rows], like=evidence.probabilities, allow_abstain=True)


def population_record(population: Population) -> Json:
    """Note in a folder's record which texts its certify rows stand for; empty where there is nothing to tell."""
    return {} if population.is_plain else {"population": pack(population, {}, "population")}


def kept_population(record: Json) -> Population | None:
    """Read from a folder's record which texts its certify rows stand for; ArtifactError if it holds something else."""
    packed = record.get("population")
    return None if packed is None else unpack(packed, {}, Path("elsewise.json"), Population)
