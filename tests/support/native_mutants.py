"""Damage a native engine's file in many ways, and open what comes out.

``python -m support.native_mutants FILE SEED N [LIBRARY]`` prints a JSON object: how many gave an error, and answers.

An error is an ArtifactError; anything else, and every read outside the file, is a fault.
"""

import json
import sys
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np

from elsewise.engines import native_library
from elsewise.engines.native_file import open_file
from elsewise.errors import ArtifactError
from support.native import random_texts

NUMBERS = [0, 1, -1, 2, 15, 16, 64, 255, 4096, 2**16, 2**31 - 1, 2**31, 2**32, 2**63, 0.5, None, "x", [], {}]


def mutant(content, rng):
    """One mutant of a file: bytes of it changed, cut or moved, or a number in its header."""
    size = int.from_bytes(content[:8], "little")
    header, data = content[8 : 8 + size], content[8 + size :]
    kind = rng.integers(6)
    if kind == 0:  # bytes of the header
        header = bytearray(header)
        for at in rng.integers(len(header), size=rng.integers(1, 4)):
            header[at] = rng.integers(256)
    elif kind == 1:  # bytes of the data
        data = bytearray(data)
        for at in rng.integers(len(data), size=rng.integers(1, 20)):
            data[at] = rng.integers(256)
    elif kind == 2:  # cut off
        data = data[: rng.integers(len(data))]
    elif kind == 3:  # the size of the header
        return int(rng.choice([0, 1, size - 1, size + 1, len(content), 2**40])).to_bytes(8, "little") + content[8:]
    else:
        header = with_a_number(json.loads(header), rng, of_the_shape=kind == 4)
    return len(header).to_bytes(8, "little") + bytes(header) + bytes(data)


def with_a_number(header, rng, *, of_the_shape):
    """Put another value into the shape, or into a tensor's place, or swap two places."""
    value = NUMBERS[rng.integers(len(NUMBERS))]
    if of_the_shape:
        shape = json.loads(header["__metadata__"]["shape"])
        name = list(shape)[rng.integers(len(shape))]
        shape[name] = value if rng.random() < 0.5 else shape[name] + int(rng.integers(-2, 3))
        header["__metadata__"]["shape"] = json.dumps(shape)
    else:
        names = [name for name in header if name != "__metadata__"]
        one, other = (header[names[rng.integers(len(names))]] for _ in range(2))
        if rng.random() < 0.5:
            one["data_offsets"], other["data_offsets"] = other["data_offsets"], one["data_offsets"]
        else:
            one["data_offsets"] = [one["data_offsets"][0], value][:: int(rng.choice([1, -1]))]
    return json.dumps(header).encode()


def try_mutants(file, seed, n):
    """Open n mutants, and ask those that open; count what happened."""
    rng, content, ends = np.random.default_rng(seed), Path(file).read_bytes(), Counter()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "mutant.safetensors")
        for _ in range(n):
            place.unlink(missing_ok=True)
            place.write_bytes(mutant(content, rng))
            try:
                opened = open_file(place)
            except ArtifactError:
                ends["an error"] += 1
            else:
                opened.answer(*random_texts(rng, opened, 3))
                ends["answers"] += 1
    return ends


if __name__ == "__main__":
    if len(sys.argv) > 4:
        plain = native_library.library.__wrapped__
        native_library.library = cache(lambda: plain(Path(sys.argv[4])))
    sys.stdout.write(json.dumps(try_mutants(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
