"""What the README tells a new user to do, done in a clean copy of the checkout."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import CHECKOUT
from tests.docs.pages import page
from tests.league.harness import free_base_port

pytestmark = [pytest.mark.league, pytest.mark.timeout(420)]

READY_TIMEOUT_S: Final = 300.0
SECOND_READY_TIMEOUT_S: Final = 30.0
README_PORT: Final = 8100


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files that git knows or would take, and nothing that was built."""
    if shutil.which("make") is None or not (CHECKOUT / ".git").exists():
        pytest.skip("a clean copy needs git and make")
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - found on the path
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    for name in names:
        if (CHECKOUT / name).is_file():
            target = tmp_path / "copy" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, target)
    return tmp_path / "copy"


class Demo:
    """`make demo` in a folder."""

    def __init__(self, folder: Path, base_port: int) -> None:
        self.folder = folder
        self.base_port = base_port
        self.lines: list[str] = []
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, timeout_s: float) -> None:
        """Start it and wait for `league ready`."""
        self._process = await asyncio.create_subprocess_exec(
            "make",
            "demo",
            f"ARGS=--base-port {self.base_port} --no-follow",
            cwd=self.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(timeout_s):
            async for line in self._process.stdout:
                self.lines.append(line.decode())
                if line.startswith(b"league ready"):
                    return
        raise AssertionError("".join(self.lines))

    async def stop(self) -> None:
        """Press Ctrl-C."""
        if self._process is not None and self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGINT)
            async with asyncio.timeout(30):
                await self._process.communicate()


@pytest.fixture
async def demo(copy: Path) -> AsyncIterator[Demo]:
    """A demo that is not started yet, and is stopped in the end."""
    made = Demo(copy, free_base_port(4))
    yield made
    await made.stop()


def second_terminal(base_port: int) -> str:
    """The README's commands for a second terminal, for a league at other ports."""
    block = next(b for b in re.findall(r"```console\n(.*?)```", page("README.md"), re.DOTALL) if "curl" in b)
    block = re.sub(r"hansa events .*--follow.*\n", "", block)
    return re.sub(
        rf"localhost:{README_PORT // 10}(\d)", lambda m: f"localhost:{base_port + int(m[1])}", block
    )


async def test_a_new_user_gets_a_league_offers_something_and_finds_it_elsewhere(demo: Demo) -> None:
    await demo.start(READY_TIMEOUT_S)
    script = second_terminal(demo.base_port)
    shell = await asyncio.create_subprocess_exec(
        "bash",
        "-ec",
        script,
        cwd=demo.folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await shell.communicate()
    assert shell.returncode == 0, said.decode()
    assert said.decode().count("Object storage, 1 TB") == 2, said.decode()
    await demo.stop()
    again = Demo(demo.folder, demo.base_port)
    try:
        await again.start(SECOND_READY_TIMEOUT_S)
    finally:
        await again.stop()
