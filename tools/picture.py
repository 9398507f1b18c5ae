"""Take the picture of the playground for docs/pictures, in Chromium, from a server of a model folder.

Run `elsewise demo --out elsewise-demo`, then `python tools/picture.py elsewise-demo/model`.
"""

import argparse
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from PIL import Image
from playwright.sync_api import sync_playwright

PLACE = Path(__file__).parents[1] / "docs" / "pictures" / "playground.png"
TEXT = "where is my parcel, it should have come on monday"
COLOURS = 48  # enough for a page of few colours: the picture stays below 60 kB
WIDTH, HEIGHT = 1120, 960
LONGEST = 60.0  # seconds until a model is open


@contextmanager
def server_of(model: Path) -> Iterator[str]:
    """Serve a model on a free port of this machine; give the address when it is ready."""
    command = [sys.executable, "-m", "elsewise", "serve", str(model), "--port", "0", "--no-request-log"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: S603  ours
    assert process.stderr is not None
    try:
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stderr.readline())
        if found is None:
            raise SystemExit(process.stderr.read())
        end = time.monotonic() + LONGEST
        while not _is_ready(found[0]) and time.monotonic() < end and process.poll() is None:
            time.sleep(0.2)
        yield found[0]
    finally:
        process.kill()
        process.wait()


def _is_ready(address: str) -> bool:
    try:
        with urlopen(f"{address}/health/ready"):  # noqa: S310  this machine's own
            return True
    except URLError:
        return False


def take(address: str, place: Path) -> None:
    """Decide on a text, ask which words pulled, and write what the page shows, in few colours."""
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light", locale="en")
        tab.goto(address)
        tab.fill("#texts", TEXT)
        tab.click("#decide")
        tab.click("text=Which words pulled?")
        tab.wait_for_selector(".pulled")
        tab.screenshot(path=place)
        browser.close()
    with Image.open(place) as picture:
        picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(place, optimize=True)


def main() -> None:
    """Take the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a model folder, such as the one of elsewise demo")
    parser.add_argument("--out", type=Path, default=PLACE, help=f"file to write (default: {PLACE.name})")
    given = parser.parse_args()
    with server_of(given.model) as address:
        take(address, given.out)
    sys.stdout.write(f"{given.out}: {given.out.stat().st_size / 1000:.0f} kB\n")


if __name__ == "__main__":
    main()
