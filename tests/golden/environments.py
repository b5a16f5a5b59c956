"""Virtual environments for other interpreters and for other versions of the dependencies.

They are made below `.venv` with uv, and stay there for the next run. What has to be fetched comes from the
package index through uv and its cache; without network that fails, which is reported as `PackagesMissing`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final, Literal

TOP: Final = Path(__file__).parents[2]
UV: Final = Path(sys.executable).with_name("uv")
VERSIONS: Final = ("3.11", "3.12", "3.13", "3.14")
"""The supported versions of Python, oldest first."""
Resolution = Literal["lowest-direct", "highest"]
"""How uv chooses among the versions that pyproject.toml allows."""
FETCH_FAILURES: Final = (
    "failed to fetch",
    "error sending request",
    "dns error",
    "failed to download",
    "network is unreachable",
    "network was disabled",
)
"""What uv says, in lower case, when the index cannot be reached."""

LEDGER_IMPORTS: Final = """
import sys
from importlib.metadata import packages_distributions
import hansa.pubsub.ledger.__main__
import tests.golden.corpus
distributions = packages_distributions()
imported = {name.split(".")[0] for name in sys.modules}
print(*sorted({one.lower() for name in imported for one in distributions.get(name, [])}))
"""


class PackagesMissing(Exception):
    """Packages cannot be fetched; the message is uv's."""


def interpreter_of(version: str) -> Path | None:
    """An interpreter of a version, such as `3.12`; None when there is none that runs.

    It is searched where pyenv has its own, then on the path.
    """
    managed = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*"))
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    candidates = (
        *(folder / "bin" / "python" for folder in managed),
        *(folder / f"python{version}" for folder in folders),
    )
    return next((path for path in candidates if path.is_file() and _runs(path)), None)


def available_versions() -> tuple[str, ...]:
    """The supported versions of Python that are here, oldest first."""
    return tuple(version for version in VERSIONS if interpreter_of(version) is not None)


def locked_environment(version: str) -> Path:
    """An interpreter of a version that is here, in an environment with the locked packages.

    Raises:
        PackagesMissing: they cannot be fetched.
    """
    python = _environment(f"golden-{version}", version)
    requirements = TOP / "requirements" / "runtime.txt"
    _uv("pip", "sync", "--quiet", "--python", python, "--require-hashes", requirements)
    return python


def resolved_environment(version: str, resolution: Resolution) -> tuple[Path, str]:
    """The same with the packages that the ledger imports, in the lowest or newest versions that are allowed.

    Returns:
        The interpreter, and the versions as `name==version` in one line.

    Raises:
        PackagesMissing: they cannot be fetched.
    """
    name = f"golden-{resolution}"
    python = _environment(name, version)
    allowed, chosen = python.parents[1] / "ledger.in", python.parents[1] / "ledger.txt"
    allowed.write_text("\n".join(ledger_requirements()) + "\n")
    resolve = ("--resolution", resolution, "--upgrade", "--python-version", version)
    _uv("pip", "compile", "--quiet", "--no-annotate", "--no-header", *resolve, allowed, "-o", chosen)
    _uv("pip", "sync", "--quiet", "--python", python, chosen)
    return python, " ".join(chosen.read_text().split())


def ledger_requirements() -> list[str]:
    """The dependencies in pyproject.toml that the ledger imports, as they stand there."""
    imported = run(Path(sys.executable), "-c", LEDGER_IMPORTS).split()
    allowed = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["dependencies"]
    return [one for one in allowed if one.split(">")[0].strip().lower() in imported]


def run(*command: str | Path) -> str:
    """What a command prints; it has to succeed."""
    done = _run(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _environment(name: str, version: str) -> Path:
    interpreter = interpreter_of(version)
    assert interpreter is not None, f"the caller knows that Python {version} is here"
    folder = TOP / ".venv" / name
    python = folder / "bin" / "python"
    if not python.exists() or not run(python, "--version").startswith(f"Python {version}."):
        _uv("venv", "--quiet", "--clear", "--python", interpreter, folder)
    return python


def _uv(*arguments: str | Path) -> None:
    done = _run(UV, *arguments)
    if done.returncode and any(text in done.stderr.lower() for text in FETCH_FAILURES):
        raise PackagesMissing(done.stderr.strip().splitlines()[0])
    assert done.returncode == 0, done.stdout + done.stderr


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(TOP), str(TOP / "src")))}
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=TOP, env=environment)


def _runs(path: Path) -> bool:
    return subprocess.run([path, "-c", ""], check=False, capture_output=True).returncode == 0
