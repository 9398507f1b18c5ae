"""Write the int8 graph: model.onnx quantised on train texts, by NNCF."""

import contextlib
import io
import logging
import warnings
from pathlib import Path
from typing import Final

import numpy as np

from elsewise.engines.files import INT8, ONNX
from elsewise.engines.tokenizer import Tokens
from elsewise.errors import need

QUANTISE_ROWS: Final = 300
LONG_SHARE: Final = 0.2  # longest texts among the rows that int8 is calibrated on; the rest at random


def quantise_rows(tokens: Tokens, rng: np.random.Generator) -> Tokens:
    """Choose the texts that int8 is calibrated on: at most 300 train texts, the longest among them."""
    rows = np.flatnonzero(tokens.lengths > 0)
    if len(rows) > QUANTISE_ROWS:
        long = rows[np.argsort(-tokens.lengths[rows], kind="stable")][: int(LONG_SHARE * QUANTISE_ROWS)]
        others = rng.choice(np.setdiff1d(rows, long), QUANTISE_ROWS - len(long), replace=False)
        rows = np.sort(np.concatenate([long, others]))
    return tokens.take(rows)


def write_int8(folder: Path, tokens: Tokens) -> None:
    """Quantise model.onnx after training, with NNCF's transformer preset, on `tokens`; MissingExtra without nncf."""
    from elsewise.engines.openvino import core, save_graph  # noqa: PLC0415  it switches telemetry off

    nncf = need("nncf", extra="train")
    nncf.set_log_level(logging.ERROR)
    rows = (ids[None].astype(np.int64) for ids in tokens)
    items = [{"input_ids": ids, "attention_mask": np.ones_like(ids)} for ids in rows]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # it draws bars on stdout
        warnings.simplefilter("ignore")
        quantised = nncf.quantize(
            core().read_model(folder / ONNX),
            nncf.Dataset(items),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(items),
        )
        (folder / INT8).parent.mkdir(exist_ok=True)
        save_graph(quantised, folder / INT8)
