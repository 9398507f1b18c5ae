"""One million rows of 150 logits: seconds and memory of the temperature, the certificate and every metric.

python benchmarks/million_rows.py [--rows N]
"""

import argparse
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

import elsewise as ew
from elsewise import metrics
from sections import table, write_section

LABELS = 150
SCALE = 2.5


def logits_and_codes(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Make labels that are drawn from softmax(z), and give SCALE * z as the logits."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((rows, LABELS), dtype=np.float32)
    z[np.arange(rows), rng.integers(0, LABELS, rows)] += rng.uniform(2, 12, rows).astype(np.float32)
    drawn = np.empty(rows, dtype=np.int64)
    for start in range(0, rows, 10_000):  # Gumbel's way of drawing from a softmax
        block = z[start : start + 10_000]
        drawn[start : start + 10_000] = (block + rng.gumbel(size=block.shape)).argmax(axis=1)
    z *= SCALE
    return z, drawn


def measured(act: Callable[[], Any]) -> tuple[Any, float, float]:
    """Run twice: once for the seconds, once for the peak of memory that it adds, in MB."""
    start = time.perf_counter()
    result = act()
    seconds = time.perf_counter() - start
    tracemalloc.start()
    act()
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return result, seconds, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    z, y = logits_and_codes(rows)
    size = z.nbytes / 1e6
    temperature, seconds, peak = measured(lambda: ew.Temperature.fit(z, y))
    lines = [
        [
            "temperature fit",
            f"{seconds:.1f}",
            "20",
            f"{peak:.0f}",
            f"T = {temperature.temperature:.4f}, planted {SCALE}",
        ]
    ]
    p = temperature(z)
    reference = temperature(z[:100_000])
    rule, seconds, peak = measured(lambda: ew.CertifiedThreshold.fit(p, y, reference=reference))
    certificate = rule.certificate
    found = f"{certificate.n:,} answered, {certificate.errors:,} wrong"
    lines.append(["certificate", f"{seconds:.2f}", "2", f"{peak:.0f}", found])
    confidence, correct = p.max(axis=1), p.argmax(axis=1) == y
    acts = {
        "accuracy": lambda: metrics.accuracy(p, y),
        "macro-F1": lambda: metrics.macro_f1(p, y),
        "log loss": lambda: metrics.log_loss(p, y),
        "Brier": lambda: metrics.brier(p, y),
        "AUC, one versus rest": lambda: metrics.macro_auc(p, y),
        "ECE, equal mass, with its null": lambda: metrics.calibration_error(p, y),
        "ECE, equal width, with its null": lambda: metrics.calibration_error(p, y, binning="equal_width"),
        "AURC and AUGRC": lambda: metrics.risk_coverage_areas(confidence, correct),
    }
    total = 0.0
    for name, act in acts.items():
        result, seconds, peak = measured(act)
        total += seconds
        values = result if hasattr(result, "value") else result.aurc
        lines.append(
            [name, f"{seconds:.1f}", "", f"{peak:.0f}", f"{values.value:.4f} ({values.low:.4f} to {values.high:.4f})"]
        )
        print(lines[-1], flush=True)
    lines.append(["**all metrics**", f"{total:.1f}", "60", "", ""])
    words = (
        f"{rows:,} x {LABELS} float32 logits ({size:.0f} MB). Memory is what the call adds at its peak; the limit is "
        f"twice the input, {2 * size:.0f} MB. Every metric comes with its 95 % interval."
    )
    body = f"## A million rows\n\n{words}\n\n{table(['', 'seconds', 'limit', 'MB added', 'found'], lines)}"
    write_section("million rows", body)


if __name__ == "__main__":
    main()
