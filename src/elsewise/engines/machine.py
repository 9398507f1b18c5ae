"""Cores and memory that this process may use, within the container's limits, and what the processor is."""

import os
import platform
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

CGROUP = Path("/sys/fs/cgroup")
FEATURES: Final = (
    *("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8"),
    *("asimd", "bf16", "i8mm"),
)


def cores(root: Path = CGROUP) -> int:
    """Count the cores that this process may keep busy, at least 1.

    A container's quota is not part of the affinity: libraries that ask for "all cores" start too many threads there.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(root)
    return max(1, allowed if quota is None else min(allowed, round(quota)))


def memory(root: Path = CGROUP) -> int | None:
    """Count the bytes of memory that this process may use; None where the system does not tell."""
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
    limits = (_number(root / name) for name in ("memory.max", "memory/memory.limit_in_bytes"))
    return min([there, *(limit for limit in limits if limit)])


def one_thread_of_blas() -> AbstractContextManager[Any]:
    """Keep NumPy's products of matrices on one thread, until the context ends.

    Beside an engine that keeps all cores busy, the threads of OpenBLAS wait for each other in a loop, and take the
    cores from the engine: a part of a file then takes up to twice as long.
    """
    from threadpoolctl import threadpool_limits  # noqa: PLC0415  only where many texts are answered

    made: AbstractContextManager[Any] = threadpool_limits(1, user_api="blas")
    return made


def processor_features(root: Path = Path("/proc")) -> list[str]:
    """List the processor's instruction sets that engines use, on Linux; nothing elsewhere."""
    try:
        with (root / "cpuinfo").open(encoding="ascii", errors="replace") as file:
            flags = next((line.split() for line in file if line.startswith(("flags", "Features"))), [])
    except OSError:
        flags = []
    return [name for name in FEATURES if name in flags]


def processor() -> str:
    """Describe the processor as far as answers may depend on it, as in "x86_64 avx2 avx512f"."""
    return " ".join([platform.machine() or "unknown", *processor_features()])


def _number(path: Path) -> int | None:
    try:
        return _whole(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _whole(words: str) -> int | None:
    return int(words) if words.strip().isdigit() else None


def _quota(root: Path) -> float | None:
    """Read the quota in cores, of control groups version 2 or 1; None where there is none."""
    try:
        quota, period = map(_whole, (root / "cpu.max").read_text(encoding="ascii").split())
    except (OSError, ValueError):
        quota, period = (_number(root / f"cpu/cpu.cfs_{name}_us") for name in ("quota", "period"))
    return quota / period if quota is not None and period else None
