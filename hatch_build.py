"""The build of the package: compiles the native engine where there is a C compiler, and goes on without one."""

import importlib.util
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent


class CompileNative(BuildHookInterface):  # type: ignore[type-arg]
    """Puts the compiled library into the wheel, or into the source folder of an editable install."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  the interface of hatchling
        """Compile; a wheel with the library is one for this platform."""
        spec = importlib.util.spec_from_file_location("native_build", ROOT / "src/elsewise/engines/native_build.py")
        native = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(native)
        try:
            library = native.build()
        except native.NotCompiledError as error:
            self.app.display_warning(f"The native engine is not compiled: {error}. The other engines work without it.")
            return
        build_data["artifacts"].append(library.relative_to(ROOT).as_posix())
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
