"""`elsewise fit`, killed at 30 moments: the same command always goes on, and ends with the same model."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from elsewise.storage.sealed_folder import verify
from support.small_training import fit_words

pytestmark = pytest.mark.faults
MOMENTS = 30
COMMAND = """
from elsewise.training import checkpoints
checkpoints.EVERY, checkpoints.COST = 0, 1e9  # a checkpoint at every step
from elsewise.cli import main
main()
"""


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    return [sys.executable, "-c", COMMAND, *fit_words(tmp_path_factory.mktemp("killed"))]


def run(command, model, seconds=None):
    """Whether the command came to its end; killed with kill -9 after so many seconds."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    words = [str(word) for word in (*command, "-o", model, "--overwrite")]
    try:
        subprocess.run(words, capture_output=True, check=True, env=environment, timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def accuracy_of(model):
    return json.loads((model / "evaluation.json").read_text())["classifier"]["accuracy"]["value"]


def test_killed_at_30_moments_it_always_goes_on_and_ends_the_same(command, tmp_path):
    """The model folder is the old one or the new one at every moment, never a half."""
    model, unfinished = tmp_path / "model", tmp_path / "model.unfinished"
    began = time.monotonic()
    run(command, model)
    seconds, weights, accuracy = time.monotonic() - began, verify(model)["model.safetensors"], accuracy_of(model)
    rng = np.random.default_rng(0)

    kills = []
    for share in (np.arange(MOMENTS) + rng.random(MOMENTS)) / MOMENTS:
        began = time.monotonic()
        while run(command, model, share * seconds):  # it came to its end: the machine is faster than it was
            seconds = min(0.9 * seconds, time.monotonic() - began)
            began = time.monotonic()
        there = sorted(path.name for path in unfinished.glob("member-0/step-*"))
        kills.append((round(float(share), 2), there))
        assert verify(model)["model.safetensors"] == weights, kills
        assert run(command, model), kills
        assert verify(model)["model.safetensors"] == weights, kills
        assert accuracy_of(model) == accuracy
        assert sorted(path.name for path in tmp_path.iterdir()) == ["model"], kills
        print(*kills[-1], "same weights, accuracy", accuracy_of(model), flush=True)  # noqa: T201  seen with -s

    assert any(there for _, there in kills)
