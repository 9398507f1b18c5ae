"""A model that was loaded before a process forked, and models that are copied or pickled."""

import copy
import json
import os
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import elsewise as ew
from elsewise.engines.files import TemporaryPlace
from elsewise.engines.memory import MemoryEngine
from elsewise.errors import ElsewiseError

pytest.importorskip("torch")
from support.forking import NAMES

OPENVINO = ("ensemble", "laplace f32", "laplace int8")


@pytest.fixture(scope="module")
def ends(times):
    if not hasattr(os, "fork"):
        pytest.skip("needs processes that fork")
    place = str(Path(__file__).parents[1])
    path = os.pathsep.join([place, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "PYTHONPATH": path}  # two, so that one can be waited for
    words = [sys.executable, "-m", "support.forking", str(times)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    found = {name: Counter(ends) for name, ends in json.loads(done.stdout.splitlines()[-1]).items()}
    print(found)  # noqa: T201  seen with -s
    return found


@pytest.fixture(scope="module", params=[1, pytest.param(50, marks=pytest.mark.faults)])
def times(request):
    return request.param


@pytest.mark.parametrize("name", NAMES)
def test_a_process_that_forks_after_loading_answers_as_before_or_is_refused_and_never_hangs(ends, times, name):
    if name not in ends:
        pytest.skip(f"{name} does not compute here, or is asked by make faults alone")
    is_refused = name in OPENVINO or name.endswith("OpenVINO") or name.startswith("openvino ")

    assert ends[name] == {"refused" if is_refused else "the same answers": times}


def test_a_forked_process_leaves_the_temporary_folder_of_a_model_alone():
    if not hasattr(os, "fork"):
        pytest.skip("needs processes that fork")
    program = """
import os, sys
from elsewise.engines.files import TemporaryPlace
place = TemporaryPlace()
if not os.fork():
    sys.exit()
os.wait()
print(place.path.exists(), place.path)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    there, path = done.stdout.split()
    assert there == "True"
    assert not Path(path).exists()


def test_a_temporary_folder_goes_with_its_model():
    place = TemporaryPlace()
    path = place.path
    del place

    assert not path.exists()


def classifier():
    engine = MemoryEngine(("yes", "no"), {"sure": [4.0, 0.0]})
    return ew.Classifier(engine, ew.Identity(), ew.FixedThreshold(0.6))


THINGS = {
    "classifier": classifier,
    "engine around a model": lambda: ew.wrap(
        lambda texts: [[3.0, -1.0]] * len(texts), labels=["a", "b"], kind="logits"
    ),
}


@pytest.mark.parametrize("thing", THINGS)
def test_what_is_copied_is_the_thing_itself(thing):
    made = THINGS[thing]()

    assert copy.copy(made) is made
    assert copy.deepcopy([made])[0] is made


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("thing", THINGS)
def test_nothing_is_pickled_and_the_message_says_what_to_do_instead(thing, protocol):
    words = r"^a (Classifier|ExternalEngine) is never pickled; save the classifier to PATH, and load in each process: "

    with pytest.raises(ElsewiseError, match=rf"{words}elsewise\.load\(PATH\)$"):
        pickle.dumps(THINGS[thing](), protocol)
