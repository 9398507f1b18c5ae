"""Write constraints.txt again, from an empty environment: ``python tools/lock.py`` or ``make lock``.

Installs the package with its extras dev, mlflow, ray and spark into a new virtual environment of the Python that runs
this (take the oldest that is supported), and pins what pip then lists. HELD stays as it is. A package with a line for
each of several Pythons keeps these lines, and the one of this Python is refreshed; write the others by hand, after
`make pythons`.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from operator import ge, lt
from pathlib import Path
from subprocess import run
from tempfile import TemporaryDirectory
from typing import Final
from venv import EnvBuilder

ROOT: Final = Path(__file__).parents[1]
FILE: Final = ROOT / "constraints.txt"
OWN: Final = "elsewise"
HELD: Final = ("torch",)  # the newest would bring another build; move it by hand, with cli/doctor.py
PIN: Final = re.compile(
    r'(?P<name>[\w.-]+)==(?P<version>[^\s;+]+)\S*?(?:; python_version (?P<how><|>=) "(?P<than>[\d.]+)")?'
)


def frozen(held: Iterable[str]) -> list[str]:
    """Install everything into an empty environment, and list what is there."""
    with TemporaryDirectory() as folder:
        place = Path(folder) / "venv"
        EnvBuilder(with_pip=True).create(place)
        constraints = Path(folder) / "held.txt"
        constraints.write_text("".join(f"{line}\n" for line in held), encoding="utf-8")
        pip = [place / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
        run([*pip, "install", "--quiet", "-c", constraints, "-e", f"{ROOT}[dev,mlflow,ray,spark]"], check=True)  # noqa: S603
        return run([*pip, "freeze"], check=True, capture_output=True, text=True).stdout.splitlines()  # noqa: S603


def locked(old: Iterable[str], found: Iterable[str], python: tuple[int, ...]) -> Iterator[str]:
    """Pin what was found, sorted; lines of `old` for other Pythons stay, and so do held ones."""
    new = {pin["name"].lower(): pin["version"] for line in found if (pin := PIN.fullmatch(line))}
    new.pop(OWN, None)
    pins = [pin for line in old if (pin := PIN.fullmatch(line)) and (pin["how"] or pin["name"] in HELD)]
    kept = {pin["name"].lower() for pin in pins}
    lines = [f"{name}=={version}" for name, version in new.items() if name not in kept]
    for pin in pins:
        name, marker = pin["name"].lower(), pin[0].partition(";")[2]
        version = new.get(name, pin["version"]) if marker and _is_for(pin, python) else pin["version"]
        lines.append(f"{name}=={version}" + (f";{marker}" if marker else ""))
    return iter(sorted(lines))


def _is_for(pin: re.Match[str], python: tuple[int, ...]) -> bool:
    return {"<": lt, ">=": ge}[pin["how"]](python, tuple(map(int, pin["than"].split("."))))


if __name__ == "__main__":
    head, *before = FILE.read_text(encoding="utf-8").splitlines()
    held = [line for line in before if line.partition("==")[0] in HELD]
    FILE.write_text("\n".join([head, *locked(before, frozen(held), sys.version_info[:2]), ""]), encoding="utf-8")
