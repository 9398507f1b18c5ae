"""Write one section of docs/benchmarks.md, with the machine, the versions and the command that made it."""

import os
import platform
import re
import resource
import shlex
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).parent
PAGE = Path(os.environ.get("ELSEWISE_BENCHMARKS_PAGE", HERE.parent / "docs" / "benchmarks.md"))
TITLE = "# Benchmarks\n\nEach section is written whole by the command that it names. Trust ratios more than seconds.\n"
LIBRARIES = (
    *("elsewise", "numpy", "scipy", "torch", "transformers", "tokenizers"),
    *("openvino", "nncf", "onnxruntime"),
)


def write_section(name: str, body: str) -> None:
    """Put a section in place of the one with the same name, or at the end."""
    start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else TITLE
    section = f"{start}\n{_unwrapped(body.strip())}\n\n{_made_by()}\n{end}\n"
    pattern = re.compile(re.escape(start) + ".*?" + re.escape(end) + "\n", re.DOTALL)
    page = pattern.sub(lambda _: section, page) if pattern.search(page) else f"{page.rstrip()}\n\n{section}"
    PAGE.write_text(page, encoding="utf-8")
    print(section)


def _unwrapped(body: str) -> str:
    """Join the lines of each paragraph; tables and headings stay."""
    parts = body.split("\n\n")
    return "\n\n".join(part if part.startswith(("|", "#", "```")) else part.replace("\n", " ") for part in parts)


def table(header: list[str], rows: list[list[str]]) -> str:
    """Lay out a Markdown table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *rows])


def peak_mb() -> float:
    """Peak resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _made_by() -> str:
    found = []
    for library in LIBRARIES:
        try:
            found.append(f"{library} {version(library)}")
        except PackageNotFoundError:
            continue
    script = Path(sys.argv[0]).resolve().relative_to(HERE.parent)
    words = [_shown(word) for word in sys.argv[1:]]
    command = " ".join(["python", str(script), *words])
    return f"Machine: {_machine()}. Python {platform.python_version()}, {', '.join(found)}. Command: `{command}`."


def _shown(word: str) -> str:
    """Hide where data and programs lie, which is nobody's business; quote what a shell would split."""
    if Path(word).is_dir():
        return "FOLDER"
    return Path(word).name if Path(word).is_file() else shlex.quote(word)


def _machine() -> str:
    flags = ""
    info = Path("/proc/cpuinfo")
    if info.exists():
        known = info.read_text(encoding="utf-8")
        flags = ", ".join(
            name
            for name in ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16")
            if f" {name}" in known
        )
    return f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores ({flags})"
