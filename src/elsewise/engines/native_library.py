"""The native engine's compiled library, called by ctypes, which lets other threads run meanwhile."""

import ctypes
import os
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from elsewise.engines.native_build import COMMAND, LIBRARY, sources_hash
from elsewise.errors import ArtifactError, ElsewiseError, InputError, MissingExtra

KERNELS: Final = ("plain", "avx2", "avx512", "neon")  # the slowest first, as numbered in native.c
KERNEL: Final = "ELSEWISE_NATIVE_KERNEL"  # environment: the kernel to use, for tests: all give the same bits
FIRST_TOKEN, MEAN = 0, 1
PLAIN, GELU, RELU, TANH = 0, 1, 2, 3
NO_MEMORY: Final = -2
MOST_TOKENS: Final = 256  # of a turn, which texts take together: measured
FEWEST_TOKENS: Final = 64  # below, dividing texts among threads costs more than it saves
USUAL_TOKENS: Final = 128  # where few texts are divided: another program may have a core meanwhile

MOST_HELPERS: Final = 64
Singles = NDArray[np.float32]

_POOLS: dict[int, ThreadPoolExecutor] = {}


@dataclass(frozen=True, slots=True)
class Shape:
    """All that a model is besides its numbers; the fields of Shape in c/native.h, where they are explained."""

    int8: int
    vocabulary: int
    positions: int
    first_position: int
    padding: int
    embedding: int
    projected: int
    hidden: int
    inner: int
    layers: int
    heads: int
    head_width: int
    pooling: int
    dense: int
    dense_then: int
    labels: int
    epsilon: float


class _Shape(ctypes.Structure):
    _fields_ = [(each.name, ctypes.c_float if each.name == "epsilon" else ctypes.c_int32) for each in fields(Shape)]


@cache
def library(file: Path = LIBRARY) -> ctypes.CDLL:
    """Load the library; MissingExtra, with the command that compiles it, where it is not there or does not load."""
    if not file.is_file():
        raise MissingExtra(f"the engine native is not compiled; install a C compiler, and run: {COMMAND}")
    try:
        found = ctypes.CDLL(str(file))
        found.native_sources.restype = ctypes.c_char_p
        known = found.native_sources().decode()
    except (OSError, AttributeError) as error:
        raise MissingExtra(f"the engine native does not load ({error}); run: {COMMAND}") from error
    if known != sources_hash():
        raise MissingExtra(f"the engine native was compiled from other sources; run: {COMMAND}")
    pointer = ctypes.c_void_p
    found.native_open.restype = pointer
    found.native_open.argtypes = [pointer, pointer, pointer, ctypes.c_int64, ctypes.c_int, pointer]
    found.native_close.restype, found.native_close.argtypes = None, [pointer]
    long = ctypes.c_int64
    found.native_run.argtypes = [pointer, pointer, pointer, long, long, pointer, long, pointer, pointer, pointer]
    return found


def kernels() -> tuple[str, ...]:
    """Name the kernels that this processor runs, the slowest first; MissingExtra where nothing is compiled."""
    bits = library().native_kernels()
    return tuple(name for number, name in enumerate(KERNELS) if bits >> number & 1)


def kernel_in_use() -> str:
    """Name the kernel to use: the fastest, or what the environment asks for; InputError if it is not there."""
    able = kernels()
    wanted = os.environ.get(KERNEL) or able[-1]
    if wanted not in able:
        raise InputError(f"{KERNEL} is {wanted}, and this processor runs {', '.join(able)}; unset it")
    return wanted


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Opened:
    """A model that the library holds.

    Attributes
    ----------
    shape, kernel : Shape, str
        What it is, and how it is computed.
    address : int
        Of the library's own.
    tensors : sequence of arrays
        Its numbers, which it reads in place.
    """

    shape: Shape
    kernel: str
    address: int = field(repr=False)
    tensors: Sequence[NDArray[Any]] = field(repr=False)

    @property
    def widths(self) -> tuple[int, int]:
        """Columns of logits and of features."""
        return self.shape.labels, self.shape.dense or self.shape.hidden

    def answer(self, ids: NDArray[np.int32], lengths: NDArray[np.int32], threads: int = 1) -> tuple[Singles, Singles]:
        """Return logits (n, k) and features (n, d) of n texts of 1 token or more, one after the other in `ids`.

        InputError for a token or a length that the model has no row for.
        """
        ids, lengths = (np.ascontiguousarray(part, dtype=np.int32) for part in (ids, lengths))
        logits, features = (np.empty((len(lengths), width), dtype=np.float32) for width in self.widths)
        turns, next_turn = _turns(lengths, threads), np.zeros(1, dtype=np.int64)
        arrays = ids, lengths, turns, next_turn, logits, features

        def work() -> int:  # it holds the arrays, whatever becomes of the thread that asks
            texts, ends, cuts, taken, *made = (array.ctypes.data for array in arrays)
            sizes = len(lengths), len(ids)
            return int(library().native_run(self.address, texts, ends, *sizes, cuts, len(turns), taken, *made))

        beside = [_helpers().submit(work) for _ in range(min(threads, len(turns)) - 1)]
        done = min([work(), *(one.result() for one in beside if not one.cancel())])
        if done == NO_MEMORY:
            raise ElsewiseError(f"there is no memory for {len(ids):,} tokens; ask about fewer texts at once")
        if done:
            most, longest = self.shape.vocabulary, self.shape.positions - self.shape.first_position
            raise InputError(f"a token is not one of the model's {most:,}, or a text is longer than {longest:,} tokens")
        return logits, features


def _helpers() -> ThreadPoolExecutor:
    """Give the threads of this process that work beside those that ask; a forked process has its own."""
    pool = _POOLS.get(os.getpid())
    return pool or _POOLS.setdefault(os.getpid(), ThreadPoolExecutor(MOST_HELPERS, "elsewise-native"))


def _turns(lengths: NDArray[np.int32], threads: int) -> NDArray[np.int64]:
    """Cut texts into turns that stay in the cache, as many for each thread; shape (turns,), the end of each."""
    ends = np.cumsum(lengths, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    each = max(1, total // (threads * USUAL_TOKENS))
    tokens = min(MOST_TOKENS, max(FEWEST_TOKENS, -(-total // (threads * each)))) if threads > 1 else MOST_TOKENS
    cuts = np.flatnonzero(np.diff((ends - 1) // tokens)) + 1
    return np.append(cuts, len(ends)) if len(ends) else cuts


def open_model(shape: Shape, tensors: Sequence[NDArray[Any]], where: Path) -> Opened:
    """Put a model together from its tensors, in the order of native.c, each contiguous.

    ArtifactError, with the file `where` they are from, if the shape is none of a model, or a tensor has another size.
    """
    kernel, wrong = kernel_in_use(), ctypes.c_int64()
    numbers = [getattr(shape, each.name) for each in fields(Shape)]
    count = len(tensors)
    addresses = (ctypes.c_void_p * count)(*(tensor.ctypes.data for tensor in tensors))
    sizes = (ctypes.c_uint64 * count)(*(tensor.nbytes for tensor in tensors))
    address = library().native_open(
        ctypes.byref(_Shape(*numbers)), addresses, sizes, count, KERNELS.index(kernel), ctypes.byref(wrong)
    )
    if not address:
        what = {-1: "has a shape that no model has", -3: "is too large for the memory"}.get(wrong.value)
        raise ArtifactError(f"{where} {what or f'is damaged: its tensor {wrong.value} has another size'}")
    made = Opened(shape, kernel, address, tensors)
    weakref.finalize(made, library().native_close, address)
    return made
