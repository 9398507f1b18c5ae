"""Documents longer than the encoder reads: read in windows, beside cutting them; what it brings, and what it costs.

    python benchmarks/windows.py --data FOLDER [--encoder FOLDER] [--windows 8] [--max-length 256]

The encoder as it came, with a head of its own (`elsewise fit --quick --windows`), learns from the beginning of each
text of train.csv either way. Both ways of reading then get the same texts of test.csv, in turns, warm.
"""

import argparse
import timeit
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

import elsewise as ew
from baseline import rows_of
from elsewise import metrics
from elsewise.engines.pool import fine_tuned
from quick import timed
from sections import table, write_section

REPEATS, TIMED = 5, 200
LONG = 2.4  # a long document has so many times what is read at once, and more


def in_turns(*ways: Callable[[], object]) -> list[float]:
    """Median seconds of each way of reading, warm."""
    for way in ways:
        way()
    seconds = np.array([[timeit.timeit(way, number=1) for way in ways] for _ in range(REPEATS)])
    return [median(taken) for taken in seconds.T]


def line(name: str, rows: np.ndarray, read: tuple[np.ndarray, np.ndarray], owner: np.ndarray, codes: np.ndarray,
         seconds: tuple[float, float]) -> list[str]:  # fmt: skip
    """Compare logits in windows and cut on some rows; seconds a text are of all rows."""
    whole, cut = (logits[rows].argmax(axis=1) == codes[rows] for logits in read)
    pair = metrics.mcnemar(whole, cut)
    windows = np.bincount(owner, minlength=len(codes))[rows].mean()
    gain = pair.difference
    points = f"{100 * gain.value:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
    cost = f"{seconds[0] / seconds[1]:.1f}x" if rows.all() else "-"
    return [name, f"{rows.sum():,}", f"{windows:.1f}", f"{cut.mean():.1%}", f"{whole.mean():.1%}", points,
            f"{pair.p_value:.3f}", cost]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--encoder", type=Path)
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("--max-length", type=int, default=256)
    arguments = parser.parse_args()
    texts, labels = rows_of(arguments.data / "test.csv")
    with TemporaryDirectory() as place:
        words = ["-m", "elsewise", "fit", arguments.data / "train.csv", "--held-out", arguments.data / "val.csv"]
        words += ["-o", Path(place) / "model", "--quick", "--max-length", arguments.max_length, "--precision", "f32"]
        words += ["--windows", arguments.windows, "--no-baseline"]
        words += ["--encoder", arguments.encoder] if arguments.encoder else []
        fitting, _ = timed(list(map(str, words)))
        classifier = ew.load(Path(place) / "model")
    codes, engine = classifier.codes(labels), fine_tuned(classifier.engine)
    tokens = engine.prepare(texts)
    parts, owner = engine.windows.cut(tokens)
    first, at_once = np.unique(owner, return_index=True)[1], replace(engine, windows=None)
    read = at_once.run(parts)
    whole, cut = engine.windows.joined(read, owner, tokens).logits, read.logits[first]
    some = np.arange(min(TIMED, len(texts)))
    part, beginnings = tokens.take(some), parts.take(first[some])
    slow, fast = in_turns(lambda: engine.run(part), lambda: at_once.run(beginnings))
    size, known = engine.windows.size, codes >= 0
    long = tokens.lengths > LONG * size
    groups = {
        "all": known,
        f"longer than {size} tokens": known & (tokens.lengths > size),
        f"longer than {round(LONG * size)} tokens": known & long,
    }
    lines = [line(name, rows, (whole, cut), owner, codes, (slow, fast)) for name, rows in groups.items()]
    head = [
        "texts",
        "of test rows",
        "windows a text",
        "right when cut",
        "right in windows",
        "points (95 %)",
        "p",
        "time",
    ]
    of = {
        "data": arguments.data.name, "size": size, "join": engine.windows.join, "fitting": round(fitting),
        "pace": round(len(some) / fast), "slow": round(len(some) / slow), "engine": f"{engine.name} f32",
        "tokens": f"{tokens.lengths[known & long].mean():,.0f}", "longest": f"{round(LONG * size)}",
    }  # fmt: skip
    write_section("windows", PAGE.format(**of, table=table(head, lines)))


PAGE = """## Documents in windows

{data}: the encoder as it came reads {size} tokens at once. Documents of more than {longest} tokens have {tokens} on
average. Right: the best label is the true one; the difference is tested by McNemar's exact test. On tune rows, "{join}"
was the better way to join the windows. {engine} reads {pace:,} texts a second when they are cut, {slow:,} in windows;
the fit took {fitting:,} seconds.

{table}
"""


if __name__ == "__main__":
    main()
