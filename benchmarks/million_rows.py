"""One million rows of 150 logits and 384 features: seconds and memory of every calibrator, score, rule and metric.

python benchmarks/million_rows.py [--rows N]
"""

import argparse
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import elsewise as ew
from elsewise import metrics
from elsewise.calibrators import CALIBRATORS
from elsewise.outputs import References
from elsewise.rules import AccuracyBand, ByLabel, CertifiedThreshold, CostThreshold
from elsewise.rules.conformal import SplitConformal
from elsewise.scores import SCORES
from sections import table, write_section

LABELS, WIDTH, REFERENCES = 150, 384, 18_000  # of which five in six are near a label
FAR = 1.2
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


def features_of(codes: np.ndarray) -> np.ndarray:
    """Place texts as those of CLINC150 lie: most close to one of 150 directions, one in six far from all."""
    rng = np.random.default_rng(1)
    features = rng.standard_normal((len(codes), WIDTH), dtype=np.float32)
    spread = np.where(rng.random(len(codes)) < 1 / 6, 0.05, rng.uniform(0.003, 0.015, len(codes)))
    features *= spread[:, None].astype(np.float32)
    directions = rng.standard_normal((LABELS, WIDTH), dtype=np.float32)
    features += (directions / np.linalg.norm(directions, axis=1, keepdims=True))[codes]
    return features


def calibrators(z: np.ndarray, y: np.ndarray) -> Iterator[tuple[str, Callable[[], Any], Callable[[Any], str]]]:
    for name, kind in CALIBRATORS.items():
        yield f"fit {name}", lambda kind=kind: kind.fit(z, y), lambda fitted: fitted.sentence


def scores(
    rows: ew.Evidence, y: np.ndarray, references: References
) -> Iterator[tuple[str, Callable[[], Any], Callable[[Any], str]]]:
    few = ew.Evidence(rows.probabilities[:5000], ew.Outputs(rows.logits[:5000], rows.features[:5000]))
    right = rows.probabilities.argmax(axis=1) == y

    def tell(confidence: np.ndarray) -> str:
        return f"AUC of right against wrong {metrics.auc(confidence, right).value:.3f}"

    for name, kind in SCORES.items():
        if name != "epistemic":  # of ensembles
            fitted = kind.fit(few, y[:5000], references=references)
            yield name, lambda fitted=fitted: fitted(rows), tell


def rules(p: np.ndarray, y: np.ndarray) -> Iterator[tuple[str, Callable[[], Any], Callable[[Any], str]]]:
    reference = p[:100_000] * np.float32(1 - 2**-20)  # the same texts are refused as a reference

    def tell(rule: Any) -> str:
        certificate = getattr(rule, "certificate", None)
        if certificate is None:
            return "no promise"
        return f"{certificate.n:,} answered, {certificate.errors:,} wrong"

    yield "certified", lambda: CertifiedThreshold.fit(p, y, reference=reference), tell
    share = {"reference": reference, "out_of_scope_share": 0.05, "target_accuracy": 0.9}
    yield "certified for 5 % out-of-scope", lambda: CertifiedThreshold.fit(p, y, **share), tell
    yield "certified by label, jointly", lambda: ByLabel.fit(p, y, reference=reference, joint=True), tell
    yield "cost", lambda: CostThreshold.fit(p, y, cost_of_error=10, cost_of_review=1), tell
    yield "coverage", lambda: ew.TargetCoverage.fit(p, coverage=0.8), tell
    yield "band", lambda: AccuracyBand.fit(p, y, reference=reference).rule(target_accuracy=0.95), tell
    yield "prediction sets", lambda: SplitConformal.fit(p, y), lambda sets: f"limit {sets.limits[0]:.4f}"
    fixed = ew.FixedThreshold(0.6)
    yield "decide", lambda: fixed(p), lambda decided: f"{decided.coverage:.3f} answered"


def figures(p: np.ndarray, y: np.ndarray) -> Iterator[tuple[str, Callable[[], Any], Callable[[Any], str]]]:
    confidence, correct = p.max(axis=1), p.argmax(axis=1) == y
    decided = np.where(confidence >= 0.6, p.argmax(axis=1), -1)
    acts = {
        "accuracy": lambda: metrics.accuracy(p, y),
        "macro-F1": lambda: metrics.macro_f1(p, y),
        "log loss": lambda: metrics.log_loss(p, y),
        "Brier": lambda: metrics.brier(p, y),
        "AUC, one versus rest": lambda: metrics.macro_auc(p, y),
        "ECE, equal mass, with its null": lambda: metrics.calibration_error(p, y),
        "ECE, equal width, with its null": lambda: metrics.calibration_error(p, y, binning="equal_width"),
        "ECE, class-wise": lambda: metrics.classwise_calibration_error(p, y),
        "calibration error, debiased": lambda: metrics.debiased_calibration_error(p, y),
        "AURC, E-AURC and AUGRC": lambda: metrics.risk_coverage_areas(confidence, correct),
        "accuracy at coverage 0.8": lambda: metrics.accuracy_at_coverage(confidence, correct, 0.8),
        "coverage at accuracy 0.95": lambda: metrics.coverage_at_accuracy(confidence, correct, 0.95),
        "AUROC, right against wrong": lambda: metrics.auc(confidence, correct),
        "AUPR, the same": lambda: metrics.average_precision(confidence, correct),
        "FPR95, the same": lambda: metrics.false_positive_rate_at(confidence, correct),
        "open-set accuracy": lambda: metrics.open_set_accuracy(decided, y),
        "open-set macro-F1": lambda: metrics.open_set_macro_f1(decided, y),
    }

    def tell(result: Any) -> str:
        estimate = result if hasattr(result, "value") else result.aurc
        return f"{estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f})"

    return ((name, act, tell) for name, act in acts.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    z, y = logits_and_codes(rows)
    placed = features_of(np.append(y, y[:REFERENCES]))
    features, known = placed[:rows], np.linalg.norm(placed[rows:], axis=1) < FAR
    references = References(placed[rows:][known], y[:REFERENCES][known])
    p = ew.Temperature.fit(z, y)(z)
    evidence = ew.Evidence(p, ew.Outputs(z, features))
    parts = {
        "Calibrators": calibrators(z, y),
        f"Scores, distances from {len(references.codes):,} references": scores(evidence, y, references),
        "Rules": rules(p, y),
        "Metrics, each with its interval": figures(p, y),
    }
    words = (
        f"{rows:,} x {LABELS} float32 logits ({z.nbytes / 1e6:.0f} MB) and, for scores, {WIDTH} features "
        f"({features.nbytes / 1e6:.0f} MB). Memory is what a call adds at its peak, its result included."
    )
    body = f"## A million rows\n\n{words}"
    for title, acts in parts.items():
        lines = []
        for name, act, tell in acts:
            result, seconds, peak = measured(act)
            lines.append([name, f"{seconds:.1f}", f"{rows / seconds:,.0f}", f"{peak:.0f}", tell(result)])
            print(lines[-1], flush=True)
        body += f"\n\n### {title}\n\n{table(['', 'seconds', 'rows/s', 'MB added', 'found'], lines)}"
    write_section("million rows", body)


if __name__ == "__main__":
    main()
