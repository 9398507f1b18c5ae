"""The faults of tools/mutants.py can be planted, and planting them tells what the tests see."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / "tools"
sys.path.insert(0, str(TOOLS))
try:
    import mutate
    from mutants import FAULTS, Fault
finally:
    sys.path.remove(str(TOOLS))
SOURCE = ROOT / "src" / "elsewise"
NAMES = [fault.name for fault in FAULTS]


@pytest.mark.parametrize("fault", FAULTS, ids=NAMES)
def test_a_fault_has_one_place_and_compiles_there(fault):
    right = (SOURCE / fault.file).read_text(encoding="utf-8")

    assert right.count(fault.old) == 1
    assert fault.new != fault.old
    compile(right.replace(fault.old, fault.new), fault.file, "exec")


@pytest.mark.parametrize("fault", FAULTS, ids=NAMES)
def test_the_tests_that_should_catch_a_fault_are_there(fault):
    assert fault.tests.split()
    for test in fault.tests.split():
        file, _, name = test.partition("::")
        text = (ROOT / "tests" / file).read_text(encoding="utf-8")

        assert f"\ndef {name}(" in text if name else "\ndef test_" in text


def test_faults_differ_and_there_is_one_in_every_room():
    rooms = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").exists()}

    assert len(set(NAMES)) == len(NAMES) >= 40
    assert not any(name.isdigit() for name in NAMES)
    assert rooms <= {fault.file.partition("/")[0] for fault in FAULTS}


@pytest.fixture
def tree(tmp_path):
    """A tree of one line and its tests: one that sees a fault in it, one that does not, one that takes for ever."""
    for folder in ("src/elsewise", "tests"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "src/elsewise/__init__.py").touch()
    (tmp_path / "src/elsewise/sums.py").write_text("def total(a, b):\n    return a + b\n", encoding="utf-8")
    head = "from elsewise.sums import total\n\ndef test_it():\n    "
    for name, line in {
        "sees": "assert total(2, 3) == 5",
        "blind": "assert total(0, 0) == 0",
        "slow": "while total(2, 3) != 5: pass",
    }.items():
        (tmp_path / f"tests/test_{name}.py").write_text(f"{head}{line}\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("tests", "old", "verdict"),
    [
        ("test_blind.py test_sees.py", "a + b", (True, True, "caught by test_sees.py::test_it")),
        ("test_blind.py", "a + b", (True, False, "SURVIVED")),
        ("test_slow.py", "a + b", (True, False, "timed out")),
        ("test_sees.py", "a * b", (False, False, "does not apply: 0 places")),
    ],
)
def test_what_becomes_of_a_fault(tree, tests, old, verdict):
    fault = Fault("minus", "sums.py", old, "a - b", "sums are differences", tests)
    before = (tree / "src/elsewise/sums.py").read_bytes()

    assert mutate.tried(tree, fault, limit=120 if tests != "test_slow.py" else 3) == verdict
    assert (tree / "src/elsewise/sums.py").read_bytes() == before


def test_faults_are_chosen_by_number_and_by_name():
    assert [n for n, _ in mutate.chosen(["3", NAMES[0]])] == [1, 3]
    assert len(list(mutate.chosen([]))) == len(FAULTS)
    with pytest.raises(SystemExit, match=r"no fault is called 'nothing'; --list shows them"):
        mutate.chosen(["nothing"])
