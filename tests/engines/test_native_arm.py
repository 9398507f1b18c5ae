"""The kernels for ARM, emulated: the bits of this processor. Skipped without a cross compiler and QEMU."""

import shutil
import subprocess
from dataclasses import astuple

import numpy as np
import pytest

from elsewise.engines.native_build import FLAGS, SOURCES, sources
from elsewise.engines.native_library import KERNELS
from support import native
from support.native import compiled, random_model, random_texts

COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
ALONE = native.__file__.replace("native.py", "native_alone.c")
SHAPES = {
    "narrow": {"hidden": 36, "heads": 3, "inner": 70},
    "electra": {"kind": "electra", "embedding": 24, "hidden": 64, "heads": 4},
    "as it came": {"is_mean": True, "hidden": 96, "heads": 3, "inner": 384},
}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (shutil.which(COMPILER) and shutil.which(EMULATOR)), reason="no emulated ARM here"),
]


@pytest.fixture(scope="module", params=["-O3", pytest.param("-O1", marks=pytest.mark.faults)])
def alone(request, tmp_path_factory):
    """The engine compiled for ARM, with a program that runs it."""
    compiled()
    place = tmp_path_factory.mktemp("arm")
    objects = []
    for file, flags in (sources("arm64") | {ALONE: ()}).items():
        objects.append(place / f"{len(objects)}.o")
        how = [*FLAGS, request.param, *flags, f"-I{SOURCES}", "-c", file, "-o", objects[-1]]
        subprocess.run([COMPILER, *map(str, how)], check=True)
    subprocess.run([COMPILER, "-static", *map(str, objects), "-o", str(place / "alone"), "-lm"], check=True)
    return place / "alone"


def answers_of(program, kernel, model, ids, lengths):
    """What the program writes: bytes of logits and features; QEMU emulates a processor with everything, if not told."""
    numbers = astuple(model.shape)
    head = np.array([KERNELS.index(kernel), len(model.tensors), len(lengths), len(ids), model.widths[1]], np.int64)
    sizes = np.array([tensor.nbytes for tensor in model.tensors], np.uint64)
    shape = np.array(numbers[:-1], np.int32).tobytes() + np.float32(numbers[-1]).tobytes()
    tensors = b"".join(tensor.tobytes() for tensor in model.tensors)
    given = head.tobytes() + shape + sizes.tobytes() + tensors + lengths.tobytes() + ids.tobytes()
    done = subprocess.run([EMULATOR, str(program)], input=given, capture_output=True, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr)
    return done.stdout


@pytest.mark.parametrize("precision", ["f32", "int8"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [24, pytest.param(2_000, marks=pytest.mark.faults)])
def test_arm_gives_the_same_bits(alone, tmp_path, shape, precision, n):
    model = random_model(tmp_path, 1, precision, **SHAPES[shape])
    ids, lengths = random_texts(np.random.default_rng(0), model, n)

    expected = b"".join(part.tobytes() for part in model.answer(ids, lengths))

    for kernel in ("neon", "plain"):
        assert answers_of(alone, kernel, model, ids, lengths) == expected, kernel


def test_a_processor_without_the_dot_product_has_the_plain_kernel_alone(alone, tmp_path):
    model = random_model(tmp_path, 1, "int8")
    ids, lengths = random_texts(np.random.default_rng(0), model, 3)

    with pytest.raises(AssertionError, match=r"\(4, "):
        answers_of_old(alone, "neon", model, ids, lengths)
    assert answers_of_old(alone, "plain", model, ids, lengths)


def answers_of_old(*given):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QEMU_CPU", "cortex-a53")
        return answers_of(*given)
