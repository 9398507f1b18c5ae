"""How long `elsewise check` takes on a file of 100,000 rows, with faults in it, and on one of 10,000 labels.

    python benchmarks/check.py

The texts are distinct, each two texts of the sample of support mail, one after the other.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from elsewise.data.sample import support_texts
from sections import peak_mb, table, write_section


def write_rows(target: Path, rows: int, labels: int, encoding: str) -> None:
    texts = [row.text for row in support_texts(rows=12_000)]
    rng = np.random.default_rng(0)
    firsts, seconds = rng.integers(len(texts), size=(2, rows))
    with target.open("w", encoding=encoding, errors="replace", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["id", "metin", "kategori", "boş"])
        for i, (first, second) in enumerate(zip(firsts.tolist(), seconds.tolist(), strict=True)):
            label = f"konu {i % labels}"
            if i % 1000 == 7:
                writer.writerow([i, texts[first], label])  # ragged
            else:
                writer.writerow([i, f"{texts[first]} {texts[second]}", label.title() if i % 500 == 3 else label, ""])


def check(data: Path) -> None:
    """Check, and print seconds, findings and peak memory."""
    from elsewise.data.file_checks import check_file

    start, computed = time.perf_counter(), time.process_time()
    found = check_file(str(data))
    seconds = [time.perf_counter() - start, time.process_time() - computed]
    print(json.dumps([found.rows, len(found.findings.labels), len(found.findings.findings), *seconds, peak_mb()]))


def page(lines: list[list[float]], names: list[str]) -> str:
    header = ["file", "rows", "labels", "findings", "seconds", "of them computing", "peak, MB"]
    rows = [
        [name, f"{rows:,}", f"{labels:,}", str(found), f"{seconds:.1f}", f"{computing:.1f}", f"{peak:,.0f}"]
        for name, (rows, labels, found, seconds, computing, peak) in zip(names, lines, strict=True)
    ]
    return (
        "## Checking a file\n\n`elsewise check` on a semicolon file with ragged rows, labels in two spellings and an "
        "empty column; tokens of 5,000 texts are counted, everything else is of all rows. Median of three runs;\n"
        "where the machine does other things too, seconds are more than those of computing.\n\n"
        f"{table(header, rows)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    arguments = parser.parse_args()
    kinds = {"UTF-8": (50, "utf-8"), "CP1254": (50, "cp1254"), "10,000 labels": (10_000, "utf-8")}
    with tempfile.TemporaryDirectory() as place:
        lines = []
        for labels, encoding in kinds.values():
            data = Path(place) / "data.csv"
            write_rows(data, arguments.rows, labels, encoding)
            command = [sys.executable, __file__, "--child", str(data)]
            runs = [
                json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(3)
            ]
            lines.append(sorted(runs, key=lambda run: run[3])[1])
        write_section("check", page(lines, list(kinds)))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        check(Path(sys.argv[2]))
    else:
        main()
