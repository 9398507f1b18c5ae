"""An optional library is imported, or one line says how to get it."""

import sys
import warnings

import numpy as np
import pytest

import elsewise as ew
from elsewise.errors import (
    ArtifactError,
    ElsewiseError,
    ElsewiseWarning,
    InputError,
    MissingExtra,
    need,
    reading,
    warn_caller,
)


def test_a_library_that_is_there_is_imported():
    assert need("xml.dom", extra="train") is sys.modules["xml.dom"]


@pytest.mark.parametrize("module", ["no_such_library", "no_such_library.inner"])
def test_a_library_that_is_not_there_is_one_line(module):
    with pytest.raises(MissingExtra) as caught:
        need(module, extra="train")

    assert str(caught.value) == f"{module} is not installed; run: pip install 'elsewise[train]'"
    assert isinstance(caught.value, ImportError)
    assert isinstance(caught.value, ElsewiseError)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("import a_library_of_a_library", ModuleNotFoundError),
        ("raise ImportError('libcuda.so')", ImportError),
        ("raise ModuleNotFoundError('nameless')", ModuleNotFoundError),
    ],
)
def test_a_library_broken_inside_tells_its_own_story(body, expected, tmp_path, monkeypatch):
    (tmp_path / "broken_inside.py").write_text(body)
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(expected) as caught:
        need("broken_inside", extra="train")

    assert not isinstance(caught.value, MissingExtra)


# reading


class PanicException(BaseException):
    """As a library in Rust raises it."""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("bad\nand more"), "bad"),
        (InputError("labels must be words"), "labels must be words"),
        (KeyError("vectors"), "'vectors'"),
        (RecursionError(), "RecursionError"),
        (MemoryError(), "MemoryError"),
        (OSError(2, "No such file"), "[Errno 2] No such file"),
        (PanicException("called `Option::unwrap()` on a `None` value"), "called `Option::unwrap()` on a `None` value"),
        (ValueError("x" * 10_000), "x" * 200),
    ],
)
def test_whatever_reading_raises_is_one_line_with_the_name_of_the_file(error, said):
    with pytest.raises(ArtifactError) as caught, reading("model/file.json"):
        raise error

    assert str(caught.value) == f"model/file.json cannot be read: {said}"
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), ArtifactError("said"), MissingExtra("said")])
def test_an_interrupt_and_what_is_worded_already_pass(error):
    with pytest.raises(type(error)) as caught, reading("model/file.json"):
        raise error

    assert caught.value is error


class Engine:
    """An engine that calls into Elsewise again, as wrappers do."""

    labels = ("a", "b")

    def run(self, texts):
        ew.Temperature.fit([[3.0, 0.0]] * 4, [0] * 4)  # warns: all are right
        return ew.Outputs(np.array([[3.0, 0.0]] * len(texts)))


Z, Y = np.array([[3.0, 0.0], [0.0, 3.0]] * 40), [0, 1] * 40


@pytest.mark.parametrize(
    "call",
    [
        lambda: ew.Temperature.fit([[3.0, 0.0]] * 4, [0] * 4),
        lambda: ew.fit(["x", "", *map(str, range(40))], ["a", "b"] * 21, engine=Engine()),
        lambda: ew.calibrate(Z, Y),
        lambda: ew.evaluate(ew.calibrate(Z, Y), Z, codes=Y),
        lambda: warn_caller("look"),
    ],
)
def test_a_warning_points_at_the_line_that_called_in(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ElsewiseWarning)
        call()

    assert {warning.filename for warning in caught} == {__file__}
