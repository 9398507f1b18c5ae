"""Ask whether the tests see faults: plant those of `mutants.py` one at a time, in a copy, and run their tests.

    python tools/mutate.py                    # all of them, in some minutes
    python tools/mutate.py 4 looks-forgotten  # these, by number or name
    python tools/mutate.py --list

The tests must pass without a fault first. Ends with 1 if more than TOLERATED faults are not caught, if one does not
apply, or if no test ran. The working tree is only read.
"""

import argparse
import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen, TimeoutExpired
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from mutants import FAULTS, Fault

ROOT: Final = Path(__file__).resolve().parents[1]
COPIED: Final = ("src", "tests", "docs", "conftest.py", "pyproject.toml", "README.md")
LEFT: Final = shutil.ignore_patterns("__pycache__", "_build", "generated")
LIMIT: Final = 300  # seconds for the tests of a fault
TOLERATED: Final = 2
PYTEST: Final = ("-m", "pytest", "-x", "-q", "--no-header", "--tb=no", "-rfE", "-p", "no:cacheprovider")
FAILED: Final = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
PASSED, NONE_RAN = 0, 5  # exit codes of pytest


class Verdict(NamedTuple):
    """What became of a fault: whether it could be planted, whether it was caught, and both in words."""

    applies: bool
    caught: bool
    words: str


def copied(root: Path, folder: Path) -> None:
    """Copy what the tests need."""
    for name in COPIED:
        if (root / name).is_dir():
            shutil.copytree(root / name, folder / name, ignore=LEFT)
        elif (root / name).exists():
            shutil.copyfile(root / name, folder / name)


def tests_of(faults: Sequence[Fault]) -> list[str]:
    """Name the tests of some faults, each once."""
    return list(dict.fromkeys(f"tests/{test}" for fault in faults for test in fault.tests.split()))


def run_tests(folder: Path, tests: Sequence[str], limit: float) -> tuple[int | None, str]:
    """Run tests until the first that fails; give pytest's exit code and output, or None when the time is over."""
    path = os.pathsep.join(filter(None, (str(folder / "src"), os.environ.get("PYTHONPATH"))))
    ours = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command, environment = [sys.executable, *PYTEST, *tests], {**os.environ, **ours}
    with Popen(  # noqa: S603
        command, cwd=folder, env=environment, stdout=PIPE, stderr=STDOUT, text=True, start_new_session=True
    ) as running:
        try:
            said, _ = running.communicate(timeout=limit)
        except TimeoutExpired:
            return None, ""
        finally:
            if running.poll() is None:  # with the processes that the tests have started
                os.killpg(running.pid, signal.SIGKILL)
    return running.returncode, said


def tried(folder: Path, fault: Fault, limit: float = LIMIT) -> Verdict:
    """Plant a fault in the copy, run its tests, and take it out again."""
    file = folder / "src" / "elsewise" / fault.file
    right = file.read_text(encoding="utf-8") if file.exists() else ""
    if right.count(fault.old) != 1:
        return Verdict(applies=False, caught=False, words=f"does not apply: {right.count(fault.old)} places")
    file.write_text(right.replace(fault.old, fault.new), encoding="utf-8")
    try:
        code, said = run_tests(folder, tests_of([fault]), limit)
    finally:
        file.write_text(right, encoding="utf-8")
    if code == NONE_RAN:
        return Verdict(applies=False, caught=False, words="no test ran")
    if code is None:
        return Verdict(applies=True, caught=False, words="timed out")
    failed = FAILED.search(said)
    if code == PASSED or failed is None:
        return Verdict(applies=True, caught=False, words="SURVIVED" if code == PASSED else f"pytest ended with {code}")
    return Verdict(applies=True, caught=True, words=f"caught by {failed[1].removeprefix('tests/')}")


def chosen(names: Sequence[str]) -> Iterator[tuple[int, Fault]]:
    """Find faults by number, from 1, or name; all of them if none is asked for."""
    numbered = list(enumerate(FAULTS, start=1))
    known = {str(number) for number, _ in numbered} | {fault.name for fault in FAULTS}
    if unknown := [name for name in names if name not in known]:
        sys.exit(f"no fault is called {unknown[0]!r}; --list shows them")
    return ((n, fault) for n, fault in numbered if not names or {str(n), fault.name} & set(names))


def main() -> int:
    """Try the faults, a line for each; return the exit code."""
    parser = argparse.ArgumentParser(description="Plant faults one at a time, and see whether the tests catch them.")
    parser.add_argument("faults", nargs="*", help="Numbers or names. Default: all.")
    parser.add_argument("--list", action="store_true", help="List the faults and run nothing.")
    asked = parser.parse_args()
    faults = list(chosen(asked.faults))
    if asked.list:
        sys.stdout.writelines(f"{n:2} {fault.name:24} {fault.file:28} {fault.breaks}\n" for n, fault in faults)
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the tests end too, and the copy goes
    verdicts: dict[str, Verdict] = {}
    with TemporaryDirectory(prefix="elsewise-mutants-") as place:
        folder = Path(place)
        copied(ROOT, folder)
        code, said = run_tests(folder, tests_of([fault for _, fault in faults]), LIMIT * len(faults))
        if code != PASSED:
            sys.stdout.write(f"{said}\nThe tests must pass without a fault first.\n")
            return 1
        for n, fault in faults:
            verdicts[fault.name] = verdict = tried(folder, fault)
            sys.stdout.write(f"{n:2} {fault.name:24} {verdict.words}\n")
            sys.stdout.flush()
    left = [name for name, verdict in verdicts.items() if not verdict.caught]
    sys.stdout.write(f"{len(faults) - len(left)} of {len(faults)} caught")
    sys.stdout.write(f"; not caught: {', '.join(left)}\n" if left else "\n")
    return int(len(left) > TOLERATED or not all(verdict.applies for verdict in verdicts.values()))


if __name__ == "__main__":
    sys.exit(main())
