"""The benchmark scripts start, and write their sections: what `make bench-smoke` runs whole, in seconds."""

import runpy
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = sorted(path.stem for path in BENCHMARKS.glob("*.py") if "parse_args" in path.read_text(encoding="utf-8"))


@pytest.fixture
def scripts(monkeypatch):
    """Scripts import each other, as they do when one is started."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(BENCHMARKS)):
            del sys.modules[name]


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_starts_and_says_what_it_takes(script, scripts, monkeypatch, capsys):
    pytest.importorskip("torch")
    monkeypatch.setattr(sys, "argv", [f"{script}.py", "--help"])

    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(BENCHMARKS / f"{script}.py"), run_name="__main__")

    assert end.value.code == 0
    assert f"usage: {script}.py" in capsys.readouterr().out


def test_a_section_is_written_in_place_of_the_last_one_with_its_machine_and_command(scripts, tmp_path, monkeypatch):
    page = tmp_path / "benchmarks.md"
    monkeypatch.setenv("ELSEWISE_BENCHMARKS_PAGE", str(page))
    monkeypatch.setattr(sys, "argv", [str(BENCHMARKS / "check.py"), "--data", str(tmp_path), "--rows", "7"])
    sections = runpy.run_path(str(BENCHMARKS / "sections.py"))

    for seconds in ("1.5", "1.2"):
        for name in ("first", "second"):
            made = sections["table"](["engine", "s"], [["openvino", seconds]])
            sections["write_section"](name, f"## {name}\n\n{made}")

    written = page.read_text(encoding="utf-8")
    assert written.startswith("# Benchmarks\n")
    assert written.index("## first") < written.index("## second")
    assert written.count("| openvino | 1.2 |") == 2
    assert "1.5" not in written
    assert written.count("Command: `python benchmarks/check.py --data FOLDER --rows 7`.") == 2
    assert "Machine: " in written
