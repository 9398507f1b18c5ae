"""Install the package with each of its extras into an empty environment, and write the sizes into docs/install.md.

    python tools/install_sizes.py [EXTRA ...]

Without a name it tries the base and all extras but `train`, `docs` and `dev`, one after the other; each environment is
removed before the next is made. Those three are printed, and stand in no line of the table; its other lines stay.
`pip check` and `elsewise doctor` must succeed.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import run
from tempfile import TemporaryDirectory
from typing import Final
from venv import EnvBuilder

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "install.md"
MARKS: Final = re.compile(r"(?<=<!-- extras -->\n).*?(?=<!-- end of extras -->)", re.DOTALL)
HEADER: Final = "| extra | what it is for | packages | MB |\n| --- | --- | --- | --- |"
BASE: Final = "none"
PURPOSES: Final = {
    BASE: "predicting from model folders, calibrating logits",
    "sklearn": "the [baseline](baseline.md) in `fit`, models and [pipelines](how-to/estimator.md) of scikit-learn",
    "openvino": "another [engine](engines.md), for encoders that the native one does not compute",
    "onnxruntime": "another [engine](engines.md)",
    "multilingual": "[an encoder](how-to/multilingual.md) for other languages, as a wheel",
    "keras": "[Keras models](how-to/keras.md); a backend of Keras is yours to add",
    "parquet": "Parquet and Arrow files",
    "excel": "reading `.xlsx`",
    "ray": "`predict` on [many machines](cluster.md)",
    "spark": "[data frames of Spark](cluster.md#spark)",
    "mlflow": "[models in MLflow](how-to/mlflow.md)",
    "serve": "the [server](serve.md)",
    "client": "[asking it](serve.md) from Python",
    "plot": "pictures of matplotlib",
    "demo": "the default encoder, as a wheel, which brings torch",
}


def contents(place: Path) -> tuple[int, int]:
    """Count the packages of an environment, and the bytes of its files."""
    there = next(place.glob("lib/python*/site-packages"))
    taken = sum(file.stat().st_size for file in there.rglob("*") if file.is_file())
    return len(list(there.glob("*.dist-info"))), taken


def installed(wheel: Path, extra: str) -> tuple[int, int]:
    """Install into an empty environment; count the packages and the bytes that came."""
    with TemporaryDirectory() as folder:
        place = Path(folder)
        EnvBuilder(with_pip=True).create(place)
        pip, before = [place / "bin" / "python", "-m", "pip", "--disable-pip-version-check"], contents(place)
        wanted = str(wheel) if extra == BASE else f"{wheel}[{extra}]"
        run([*pip, "install", "--quiet", "-c", ROOT / "constraints.txt", wanted], check=True)  # noqa: S603
        run([*pip, "check"], check=True)  # noqa: S603
        after = contents(place)
        run([place / "bin" / "elsewise", "doctor"], check=True, capture_output=True)  # noqa: S603
        return after[0] - before[0], after[1] - before[1]


def rows_of(page: str) -> Iterator[tuple[str, str]]:
    """Give the extras of the table, each with its line."""
    for line in MARKS.findall(page)[0].splitlines()[2:]:
        yield line.split("|")[1].strip(" `"), line


def main() -> None:
    """Write the lines that were asked for."""
    extras = sys.argv[1:] or list(PURPOSES)
    with TemporaryDirectory() as place:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
        run([*pip, "wheel", "--quiet", "--no-deps", "-w", place, ROOT], check=True)  # noqa: S603
        wheel = next(Path(place).glob("*.whl"))
        for extra in extras:
            packages, taken = installed(wheel, extra)
            if extra not in PURPOSES:
                print(f"{extra}: {packages} packages, {taken / 1e6:,.0f} MB", flush=True)  # noqa: T201
                continue
            name = BASE if extra == BASE else f"`{extra}`"
            line = f"| {name} | {PURPOSES[extra]} | {packages} | {taken / 1e6:,.0f} |"
            page = PAGE.read_text(encoding="utf-8")
            rows = {**dict(rows_of(page)), extra: line}
            lines = "\n".join([HEADER, *(rows[each] for each in PURPOSES if each in rows), ""])
            PAGE.write_text(MARKS.sub(lambda _, lines=lines: lines, page), encoding="utf-8")
            print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
