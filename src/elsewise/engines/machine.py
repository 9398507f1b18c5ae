"""Cores and memory that this process may use, within the container's limits."""

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


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
