"""The client can be installed without the rest."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

CHECKOUT: Final = Path(__file__).parents[3]
SOURCE: Final = CHECKOUT / "src"


def project(path: str) -> dict[str, Any]:
    return tomllib.loads((CHECKOUT / path).read_text())


def name_of(requirement: str) -> str:
    return re.split("[<>=!~ ]", requirement)[0].replace("-", "_")


def imports_of(package: str) -> set[str]:
    """Packages that the modules reachable from a package import, with the product's own modules."""
    seen: set[str] = set()
    waiting = [package]
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        path = SOURCE / Path(*module.split("."))
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if not file.exists():
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            else:
                continue
            waiting += [name if name.startswith("hansa") else name.partition(".")[0] for name in names]
    return seen


def test_it_carries_every_module_that_it_needs() -> None:
    included = project("client/pyproject.toml")["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    packages = {target.removesuffix("/__init__.py").replace("/", ".") for target in included.values()}
    modules = {name for name in imports_of("hansa.client") if name.startswith("hansa.")}
    needed = {
        ".".join(name.split(".")[:2]) for name in modules if (SOURCE / "hansa" / name.split(".")[1]).is_dir()
    }
    assert needed == packages - {"hansa"} == {"hansa.client", "hansa.core"}


def test_it_declares_every_package_that_it_needs_as_the_whole_product_does() -> None:
    own = project("client/pyproject.toml")["project"]
    whole = project("pyproject.toml")["project"]
    declared = {name_of(requirement) for requirement in own["dependencies"]}
    everything = {name_of(requirement) for requirement in whole["dependencies"]}
    assert declared == {name for name in imports_of("hansa.client") if name in everything}
    assert set(own["dependencies"]) <= set(whole["dependencies"])
    assert own["version"] == whole["version"]


def test_a_module_of_it_is_imported_without_the_others() -> None:
    code = (
        "import sys, hansa.client.connection; assert 'hansa.client.league' not in sys.modules; "
        "assert 'hansa.client.verification' not in sys.modules; "
        "from hansa.client import LeagueClient; assert LeagueClient.__module__ == 'hansa.client.league'"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
