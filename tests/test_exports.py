"""The public names: few, found lazily, and described."""

import inspect
import subprocess
import sys

import pytest

import elsewise


@pytest.mark.parametrize("name", elsewise.__all__)
def test_every_public_name_is_there_and_described(name):
    value = getattr(elsewise, name)

    assert inspect.getdoc(value)
    assert value.__module__.startswith("elsewise.")
    assert value.__module__.removeprefix("elsewise.").startswith(elsewise._HOME[name])


def test_public_names_are_few_and_sorted_and_have_one_home_each():
    homes = [name for names in elsewise._HOMES.values() for name in names]

    assert len(elsewise.__all__) <= 20
    assert elsewise.__all__ == sorted(homes)
    assert len(set(homes)) == len(homes)


@pytest.mark.parametrize(("room", "name"), [("evaluation", "explain"), ("fitting", "open_threshold")])
def test_a_room_hands_its_public_functions_on_when_they_are_used(room, name):
    program = f"import sys, elsewise.{room} as r; print(len(sys.modules), r.{name}.__name__, len(sys.modules))"

    before, called, after = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()

    found = __import__(f"elsewise.{room}", fromlist=["_"])
    assert called == name
    assert int(after) > int(before)
    assert found.__all__ == dir(found) == [name]
    assert inspect.isfunction(getattr(found, name))
    with pytest.raises(AttributeError, match=rf"^module 'elsewise\.{room}' has no attribute 'nothing'$"):
        _ = found.nothing


def test_dir_lists_them_alone_and_before_they_are_used():
    program = "import elsewise; print(*dir(elsewise), 'softmax' in vars(elsewise))"

    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert shown.split() == [*sorted([*elsewise.__all__, "__version__", "metrics"]), "False"]
    assert all(hasattr(elsewise, name) for name in dir(elsewise))


def test_names_for_type_checkers_are_the_public_names():
    """`if TYPE_CHECKING` repeats the table, for tools that do not run code."""
    source = inspect.getsource(elsewise)
    block = source[source.index("if TYPE_CHECKING:") : source.index("_HOMES = ")]
    listed = {
        (line.split()[1], name.strip())
        for line in block.splitlines()[1:]
        if line.strip()
        for name in line.split(" import ")[1].split(",")
    }

    assert listed == {(f"elsewise.{home}", name) for home, names in elsewise._HOMES.items() for name in names}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"^module 'elsewise' has no attribute 'perplexity'$"):
        _ = elsewise.perplexity


def test_the_version_is_the_installed_one():
    assert elsewise.__version__.count(".") == 2
