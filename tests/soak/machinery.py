"""What a soak needs of the machine: work beside it, interpreters, commands, answers that may be missing."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from tests.golden.environments import PackagesMissing, available_versions, locked_environment
from tests.league.harness import RunningMember


@contextlib.asynccontextmanager
async def running(works: list[Awaitable[None]]) -> AsyncIterator[None]:
    """Work beside the block; a failure of one of them ends it."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(forever(work)) for work in works]
        yield
        for task in tasks:
            task.cancel()


async def forever(work: Awaitable[None]) -> None:
    """Await some work."""
    await work


async def is_replaced(member: RunningMember, role: str, pid: int) -> bool:
    """Whether a child process was started anew after one that was killed."""
    children = (await status_of(member) or {"children": ()})["children"]
    return any(child["name"] == role and child["pid"] not in {None, 0, pid} for child in children)


async def is_signing(member: RunningMember) -> bool:
    """Whether a member's validator signs: it does not observe, as it does for a while after a restoration."""
    validator = (await status_of(member) or {}).get("validator")
    return validator is not None and not validator["is_observing"]


async def status_of(member: RunningMember) -> Any:
    """The status of a member; None while it does not answer, or has no folder with a token."""
    try:
        return await member.status()
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError, FileNotFoundError):
        return None


def interpreters(count: int) -> list[tuple[str, Path]]:
    """A version of Python and an interpreter for each member: two versions, where two are here."""
    pairs: list[tuple[str, Path]] = []
    for version in reversed(available_versions()):
        with contextlib.suppress(PackagesMissing):
            pairs.append((version, locked_environment(version)))
        if len(pairs) == 2:
            break
    pairs = pairs or [(f"{sys.version_info.major}.{sys.version_info.minor}", Path(sys.executable))]
    return [pairs[at * len(pairs) // count] for at in range(count)]


def has_command(name: str) -> bool:
    """Whether `hansa` has a command."""
    shown = subprocess.run(
        [sys.executable, "-m", "hansa.cli", name, "--help"], check=False, capture_output=True
    )
    return shown.returncode == 0


async def hansa(*arguments: str) -> None:
    """Run a command of `hansa`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hansa.cli", *arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
