"""Compile the native engine's library into this folder: ``python -m elsewise.engines.native_build``.

The build of a wheel, and an editable install, run this file as it is, before anything else is installed: it needs the
standard library alone. Without a C compiler the package installs, and works on its other engines.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).with_name("c")
LIBRARY: Final = SOURCES / "native.so"
COMMAND: Final = "python -m elsewise.engines.native_build"
# By machine, the flags of each file that needs more than the oldest processor of its kind has.
KERNELS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "x86_64": {
        "kernel_avx2.c": ("-mavx2", "-mfma"),
        "kernel_avx512.c": ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni"),
    },
    "aarch64": {"kernel_neon.c": ("-march=armv8.2-a+dotprod",)},
}
MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64"}  # other names of them
FLAGS: Final = ("-std=c11", "-O3", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-fno-strict-aliasing")
SECONDS: Final = 300


class NotCompiledError(Exception):
    """There is no compiler, or it fails; the message says which."""


def sources_hash() -> str:
    """Hash the C sources: a library of other sources is never loaded."""
    files = sorted(SOURCES.glob("*.[ch]"))
    return hashlib.sha256(b"\0".join(file.name.encode() + b"\0" + file.read_bytes() for file in files)).hexdigest()[:16]


def find_compiler() -> str:
    """Name the C compiler: that of the environment's CC, or else cc, gcc or clang. NotCompiledError without one."""
    wanted = os.environ.get("CC", "").split()[:1] or ["cc", "gcc", "clang"]
    found = next((path for name in wanted if (path := shutil.which(name))), None)
    if found is None:
        raise NotCompiledError(f"no C compiler is found ({', '.join(wanted)})")
    return found


def sources(machine: str) -> dict[Path, tuple[str, ...]]:
    """Give the C files for a machine, each with its flags."""
    own = KERNELS.get(MACHINES.get(machine.lower(), machine.lower()), {})
    others = {name for files in KERNELS.values() for name in files} - own.keys()
    return {file: own.get(file.name, ()) for file in sorted(SOURCES.glob("*.c")) if file.name not in others}


def build(library: Path = LIBRARY, flags: Sequence[str] = (), compiler: str | None = None) -> Path:
    """Compile the library, and put it in place in one step.

    Parameters
    ----------
    library : Path
        The file to write.
    flags : sequence of str
        More flags of the compiler, after its usual ones.
    compiler : str, optional
        Default: what `find_compiler` finds.

    Raises
    ------
    NotCompiledError
        If there is no compiler, or it fails.
    """
    compiler = compiler or find_compiler()
    files = sources(platform.machine())
    with tempfile.TemporaryDirectory(prefix=".native-", dir=library.parent) as made:
        objects = [str(Path(made, f"{file.stem}.o")) for file in files]
        for (file, its_own), into in zip(files.items(), objects, strict=True):
            known = f'-DSOURCES="{sources_hash()}"'
            _run(compiler, *FLAGS, *flags, *its_own, known, "-c", str(file), "-o", into)
        whole = str(Path(made, library.name))
        _run(compiler, "-shared", *flags, *objects, "-o", whole, "-lm")
        os.replace(whole, library)  # noqa: PTH105  a string
    return library


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotCompiledError(f"{command[0]} does not run: {error}") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise NotCompiledError(f"{command[0]} fails: {lines[0][:200]}")


def main() -> int:
    """Compile, and say where the library is, or why there is none: 0 or 1."""
    try:
        sys.stdout.write(f"compiled {build()}\n")
    except (NotCompiledError, OSError) as error:
        sys.stderr.write(f"the native engine is not compiled: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
