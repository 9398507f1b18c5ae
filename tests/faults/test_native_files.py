"""The native engine at full size: mutated files under the sanitizers, and the same bits from other compilers."""

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from elsewise.engines import native_library
from elsewise.engines.native_build import NotCompiledError, build, find_compiler
from elsewise.engines.native_file import write_file
from elsewise.engines.native_weights import packed
from support.native import random_folder, random_model, random_texts

pytestmark = pytest.mark.faults
TESTS = Path(__file__).parents[1]
SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
MUTANTS = 100_000
TEXTS = 20_000
LOAD = native_library.library.__wrapped__  # without its memory of what was loaded


@pytest.fixture(scope="module", autouse=True)
def compiler():
    try:
        return find_compiler()
    except NotCompiledError as error:
        pytest.skip(str(error))


def test_no_mutated_file_is_read_outside_of_it(tmp_path, compiler):
    """100,000 mutants with each kernel in turn: each is an error, or a model that answers."""
    sanitizer = subprocess.run([compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    if not Path(sanitizer.stdout.strip()).is_absolute():
        pytest.skip("the compiler has no AddressSanitizer")
    library = build(tmp_path / "native.so", SANITIZED)
    file = tmp_path / "int8.safetensors"
    write_file(file, *packed(random_folder(tmp_path / "model", 0, "electra", embedding=24), "int8"))
    for number, kernel in enumerate(native_library.kernels()):
        command = [sys.executable, "-m", "support.native_mutants", file, number, MUTANTS // 3, library]
        env = {"LD_PRELOAD": sanitizer.stdout.strip(), "ASAN_OPTIONS": "detect_leaks=0", native_library.KERNEL: kernel}
        done = subprocess.run(
            map(str, command), cwd=TESTS, env=os.environ | env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        ends = json.loads(done.stdout)
        assert sum(ends.values()) == MUTANTS // 3
        assert min(ends.values()) > MUTANTS // 300


@pytest.mark.parametrize("precision", ["f32", "int8"])
def test_every_compiler_kernel_and_optimisation_gives_the_same_bits(tmp_path, monkeypatch, precision):
    """gcc and clang where they are installed, at -O1, -O2 and -O3: 20,000 texts."""
    answers = {}
    for name in filter(shutil.which, ("gcc", "clang")):
        for level in ("-O1", "-O2", "-O3"):
            library = LOAD(build(tmp_path / f"{name}{level}.so", [level], name))
            monkeypatch.setattr(native_library, "library", cache(lambda library=library: library))
            for kernel in native_library.kernels():
                monkeypatch.setenv(native_library.KERNEL, kernel)
                model = random_model(tmp_path, 1, precision, hidden=36, heads=3, inner=70)
                ids, lengths = random_texts(np.random.default_rng(0), model, TEXTS)
                ends = np.cumsum(lengths)
                parts = [
                    model.answer(ids[ends[at] - lengths[at] : ends[at + 99]], lengths[at : at + 100])
                    for at in range(0, TEXTS, 100)
                ]
                answers[name, level, kernel] = b"".join(part.tobytes() for pair in parts for part in pair)
    first, *others = answers.values()
    assert [key for key, answer in zip(list(answers)[1:], others, strict=True) if answer != first] == []
