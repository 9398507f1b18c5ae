"""One text alone: how long an answer takes, and whether its bits are those that it gets among others.

    python benchmarks/one_text.py --data FOLDER --model MODEL

The texts are those of test.csv. OpenVINO runs each of them alone, once with all rows of a batch and once with the rows
that are shown to be enough, in turns; and `decide` answers each with the model as it is served.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

import elsewise as ew
from baseline import rows_of
from elsewise.engines.files import Opening
from elsewise.engines.openvino import OpenVinoModel
from elsewise.engines.pool import fine_tuned
from elsewise.engines.text import TextEngine
from sections import table, write_section

TEXTS, WARM = 1_000, 300


def milliseconds(answer: Callable[[list[str]], object], texts: list[str]) -> np.ndarray:
    """The time of each text but the first ones, in which shapes are made and compared."""
    seconds = []
    for text in texts:
        began = time.perf_counter()
        answer([text])
        seconds.append(time.perf_counter() - began)
    return 1000 * np.array(seconds[WARM:])


def told(times: np.ndarray) -> str:
    return f"{np.median(times):.2f} ({np.quantile(times, 0.99):.1f})"


def row(engine: TextEngine, precision: str, texts: list[str]) -> list[str]:
    """Times with all rows and with fewer, their ratio, and how many texts get other bits alone than among all."""
    fewer = OpenVinoModel.open(Opening(engine.files, engine.labels, {**engine.settings, "precision": precision}))
    whole = replace(fewer, model=replace(fewer.model, short=None))
    among = fewer.run(texts)
    slow, fast = (milliseconds(one.run, texts) for one in (whole, fewer))
    other = sum(
        alone.logits.tobytes() != among.logits[at].tobytes() or alone.features.tobytes() != among.features[at].tobytes()
        for at, alone in enumerate(fewer.run([text]) for text in texts)
    )
    return [precision, told(slow), told(fast), f"{np.median(slow) / np.median(fast):.1f}", f"{other} of {len(texts):,}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    arguments = parser.parse_args()
    texts, _ = rows_of(arguments.data / "test.csv")
    texts = (texts * (1 + (WARM + TEXTS) // len(texts)))[: WARM + TEXTS]
    classifier = ew.load(arguments.model)
    engine = fine_tuned(classifier.engine)
    rows = [row(engine, precision, texts) for precision in OpenVinoModel.precisions() if _has(engine, precision)]
    head = ["", "all rows of a batch", "as few as give the same bits", "ratio", "other bits alone than among others"]
    served = milliseconds(classifier.decide, texts)
    write_section(
        "one-text", PAGE.format(table=table(head, rows), served=told(served), mean=mean_tokens(engine, texts))
    )


def _has(engine: TextEngine, precision: str) -> bool:
    return precision != "int8" or "openvino/int8.xml" in engine.files


def mean_tokens(engine: TextEngine, texts: list[str]) -> float:
    return float(engine.prepare(texts).lengths.mean())


PAGE = """## One text alone

Milliseconds for one text of {mean:.1f} tokens on average, the fine-tuned model alone, on OpenVINO: the median (and the
99th percentile of 1,000).

{table}

`decide`, with all that the model serves (a second opinion, if it has one; gates, threshold and reason): {served} ms.
"""


if __name__ == "__main__":
    main()
