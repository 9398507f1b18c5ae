"""The native engine beside OpenVINO, both in int8: how fast, how close to float32, and whether any bit changes.

    python benchmarks/native.py --data FOLDER --documents FOLDER --model MODEL [--threads N]

The texts are those of test.csv in both folders; the model is the fine-tuned encoder of MODEL alone. Runs are
interleaved. Processor time tells more than seconds where other programs run beside.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np

import elsewise as ew
from baseline import rows_of
from elsewise.engines.files import Opening
from elsewise.engines.native import NativeModel
from elsewise.engines.native_library import KERNEL, kernels
from elsewise.engines.openvino import OpenVinoModel
from elsewise.engines.pool import fine_tuned
from elsewise.engines.text import TextEngine
from elsewise.fitting.engine_choice import files_for
from sections import table, write_section

REPEATS = 5
SHORT, DOCUMENTS, ALONE, ODD = 3_000, 200, 300, 300


def times(engines: list[TextEngine], texts: list[str]) -> list[tuple[float, float]]:
    """Median seconds and seconds of processor of each engine, in turns, on ready tokens; a first run is left out."""
    tokens = engines[0].prepare(texts)
    took = np.zeros((REPEATS + 1, len(engines), 2))
    for repeat in took:
        for at, engine in enumerate(engines):
            began, processor = time.perf_counter(), time.process_time()
            engine.run(tokens)
            repeat[at] = time.perf_counter() - began, time.process_time() - processor
    return [tuple(pair) for pair in np.median(took[1:], axis=0)]


def throughput(name: str, engines: list[TextEngine], texts: list[str]) -> list[str]:
    (slow, slow_processor), (fast, fast_processor) = times(engines, texts)
    rates = [f"{len(texts) / seconds:,.0f} texts/s" for seconds in (slow, fast)]
    length = engines[0].prepare(texts).lengths.mean()
    return [f"{name}, {length:.1f} tokens", *rates, f"{slow / fast:.2f}", f"{slow_processor / fast_processor:.2f}"]


def alone(engines: list[TextEngine], texts: list[str], length: int) -> list[str]:
    """Milliseconds of one text of so many tokens, alone: the median and the 99th percentile."""
    made = [engines[0].prepare([text]) for text in texts]
    ready = [tokens for tokens in made if tokens.lengths[0] == length][:ALONE]
    took = np.zeros((len(ready), len(engines), 2))
    for _ in range(2):  # shapes are made, and compared
        for row, tokens in zip(took, ready, strict=True):
            for at, engine in enumerate(engines):
                began, processor = time.perf_counter(), time.process_time()
                engine.run(tokens)
                row[at] = time.perf_counter() - began, time.process_time() - processor
    shown = [f"{1e3 * np.median(each):.2f} ms ({1e3 * np.quantile(each, 0.99):.1f})" for each in took[:, :, 0].T]
    (slow, slow_processor), (fast, fast_processor) = np.median(took, axis=0)
    return [f"one text of {length} tokens", *shown, f"{slow / fast:.2f}", f"{slow_processor / fast_processor:.2f}"]


def other_bits(opened: Opening, texts: list[str]) -> str:
    """Count the texts whose bits another kernel, one thread or being alone changes."""
    usual, changed = NativeModel.open(opened).run(texts), set()
    for kernel in kernels():
        os.environ[KERNEL] = kernel
        for threads in (1, 2):
            engine = NativeModel.open(Opening(opened.files, opened.labels, opened.settings, threads))
            found = engine.run(texts)
            changed |= {at for at in range(len(texts)) if found.logits[at].tobytes() != usual.logits[at].tobytes()}
    changed |= {
        at for at, text in enumerate(texts) if engine.run([text]).logits.tobytes() != usual.logits[at].tobytes()
    }
    del os.environ[KERNEL]
    return f"{len(changed)} of {len(texts):,} texts get other bits"


def closeness(engines: list[TextEngine], exact: TextEngine, texts: list[str]) -> list[list[str]]:
    reference, rows = exact.run(texts).logits, []
    for name, engine in zip(("OpenVINO int8", "native int8"), engines, strict=True):
        logits = engine.run(texts).logits
        same = (logits.argmax(axis=1) == reference.argmax(axis=1)).mean()
        rows.append([name, f"{100 * same:.2f} %", f"{np.abs(logits - reference).max():.2f}"])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--documents", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    short, documents = (rows_of(folder / "test.csv")[0] for folder in (arguments.data, arguments.documents))
    served = fine_tuned(ew.load(arguments.model).engine)
    names = ("max_length", "pad", "special", "padding_side")
    settings = {name: value for name, value in served.settings.items() if name in names}
    openings = {
        (name, precision): Opening(
            files_for(name, precision, served.files, served.prepare(short[:ODD])),
            served.labels,
            {**settings, "precision": precision},
            arguments.threads,
        )
        for name, precision in (("openvino", "int8"), ("native", "int8"), ("openvino", "f32"))
    }
    engines = [OpenVinoModel.open(openings["openvino", "int8"]), NativeModel.open(openings["native", "int8"])]
    rows = [
        throughput("short texts", engines, short[:SHORT]),
        throughput("documents", engines, documents[:DOCUMENTS]),
        *(alone(engines, texts, length) for texts, length in lengths_of(engines[0], short, documents)),
    ]
    head = ["", "OpenVINO int8", "native int8", "ratio", "ratio of processor time"]
    near = closeness(engines, OpenVinoModel.open(openings["openvino", "f32"]), short[:SHORT])
    write_section("native", PAGE.format(
        table=table(head, rows), bits=other_bits(openings["native", "int8"], short[:ODD]), kernels=", ".join(kernels()),
        near=table(["", "same label as float32", "largest change of a logit"], near),
    ))  # fmt: skip


def lengths_of(engine: TextEngine, short: list[str], documents: list[str]) -> list[tuple[list[str], int]]:
    """The most frequent length among short texts, and the longest of documents."""
    found = np.bincount(engine.prepare(short[:SHORT]).lengths)
    return [(short[:SHORT], int(found.argmax())), (documents[:DOCUMENTS], int(engine.prepare(documents).lengths.max()))]


PAGE = """## The native engine

The fine-tuned model alone, on ready tokens; of one text the median, and the 99th percentile.

{table}

{bits} with any of the kernels that this processor runs ({kernels}), on one thread or two, alone or among others.

{near}
"""


if __name__ == "__main__":
    main()
