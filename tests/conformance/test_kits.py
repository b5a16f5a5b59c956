"""TM Forum's conformance kits against a bare business application, on an empty store and on a full one."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
APIS = ("TMF620", "TMF632")
KITS_TIMEOUT_S = 600

pytestmark = [pytest.mark.kits, pytest.mark.timeout(KITS_TIMEOUT_S + 60)]


@contextmanager
def serving(store: Path, files: list[Path]) -> Iterator[str]:
    """Origin of an application in a process of its own, on a store that holds what the files say."""
    command = [sys.executable, "-m", "tests.support.serve_business", str(store), *map(str, files)]
    process = subprocess.Popen(
        command,
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": f"{CHECKOUT}:{CHECKOUT}/src"},
    )
    try:
        assert process.stdout is not None
        origin = process.stdout.readline().strip()
        assert origin.startswith("http://"), f"the server ended with status {process.wait()}"
        yield origin
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def runner(shared: Path) -> Path:
    """The program that runs kits; it gets newman from the package registry when it needs to."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("the kits need Node.js: install node and npm")
    return shared / "tmf" / "run_kits.py"


@pytest.mark.parametrize("content", ["empty", "landscape"])
def test_the_kits_pass_without_a_failure(runner: Path, shared: Path, tmp_path: Path, content: str) -> None:
    files = sorted((shared / "data" / "landscape").glob("*.jsonl")) if content == "landscape" else []
    with serving(tmp_path / "store.db", files) as origin:
        done = subprocess.run(
            [sys.executable, str(runner), "--origin", origin, "--token", "operator", "-v", *APIS],
            capture_output=True,
            text=True,
            timeout=KITS_TIMEOUT_S,
            check=False,
        )
    sys.stdout.write(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 of 4 kits without a failure" in done.stdout
