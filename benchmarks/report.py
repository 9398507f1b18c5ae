"""How large a report is, how long it takes to write and to open, and how fast its slider answers.

    python benchmarks/report.py

Made-up logits: 20 labels and 3,000 test rows, and 150 labels and 100,000 test rows. Opening and the slider are measured
in Chromium, headless, where it and Playwright are installed.
"""

import argparse
import shutil
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

import elsewise as ew
from elsewise.report import page
from sections import table, write_section

MOVES = """() => {
    const slider = document.getElementById('slider'), times = [];
    document.getElementById('by-label').open = true;
    for (let i = 0; i < 40; i++) {
        const before = performance.now();
        slider.value = Math.round(i * Number(slider.max) / 40);
        slider.dispatchEvent(new Event('input'));
        document.body.offsetHeight;
        times.push(performance.now() - before);
    }
    return times;
}"""
LOADED = "performance.getEntriesByType('navigation')[0].loadEventEnd"


def drawn(k: int, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    z = (rng.normal(size=(n, k)) * 5).astype(np.float32)
    return z, (z + rng.gumbel(size=z.shape)).argmax(axis=1)


def written(k: int, tests: int, place: Path) -> tuple[float, float]:
    """Write a report; seconds of judging and of writing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier = ew.calibrate(*drawn(k, 6000, 0), labels=[f"topic number {i}" for i in range(k)])
        z, codes = drawn(k, tests, 1)
        started = time.perf_counter()
        judged = ew.evaluate(classifier, z, codes=codes)
    middle = time.perf_counter()
    page(judged, classifier).write(place)
    return middle - started, time.perf_counter() - middle


def opened(place: Path) -> tuple[float, float]:
    """Milliseconds until the page is loaded, and of a move of the slider; NaN where there is no browser."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        found = None
    if found is None:
        return float("nan"), float("nan")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        loads, moves = [], []
        for _ in range(3):
            tab = browser.new_page()
            tab.goto(place.as_uri())
            loads.append(tab.evaluate(LOADED))
            moves += tab.evaluate(MOVES)
            tab.close()
        browser.close()
    return statistics.median(loads), max(statistics.quantiles(moves, n=20))


def row(k: int, tests: int) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "report.html"
        judging, writing = written(k, tests, place)
        load, move = opened(place)
        size = place.stat().st_size / 1000
    return [f"{k}", f"{tests:,}", f"{size:,.0f}", f"{judging:.1f}", f"{writing:.1f}", f"{load:,.0f}", f"{move:.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="test rows of the larger report")
    rows = parser.parse_args().rows
    header = ["labels", "test rows", "page, kB", "judging, s", "writing, s", "opening, ms", "slider, ms (95 %)"]
    lines = [row(20, min(3000, rows)), row(150, rows)]
    write_section(
        "report",
        "## Reports\n\nA report of made-up logits. Opening is the time until Chromium has loaded the file (median of "
        "three), the slider that of one move with the counts of every label shown (95th percentile of 120 moves).\n\n"
        f"{table(header, lines)}",
    )


if __name__ == "__main__":
    main()
