"""Processes of a benchmark: start on a free port, readiness, stop, and memory."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from time import perf_counter
from typing import Final

import msgspec

from benchmarks.load import Job, Result

START_TIMEOUT_S: Final = 300.0
STOP_TIMEOUT_S: Final = 20.0
LINE_SIZE_MAX_BYTES: Final = 64 * 1_048_576


class BenchmarkError(Exception):
    """A benchmark could not be run."""


def free_port() -> int:
    """A free TCP port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_base_port(count: int) -> int:
    """A port P such that P + 1 to P + count are free: member k of a league serves on P + k."""
    for base in range(18_000, 60_000, 100):
        with contextlib.ExitStack() as stack:
            try:
                for number in range(1, count + 1):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", base + number))
            except OSError:
                continue
            return base
    raise BenchmarkError(f"There are no {count} free ports in a row.")


@contextlib.asynccontextmanager
async def started(module: str, *arguments: str, port: int, log: Path) -> AsyncIterator[int]:
    """A server of ours, from when it accepts connections until the block ends; yields its process id."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        await wait_for_port(port, process, log)
        yield process.pid
    finally:
        await stop(process)


async def wait_for_port(port: int, process: asyncio.subprocess.Process, log: Path) -> None:
    """Wait until a process listens on a port."""
    deadline = perf_counter() + START_TIMEOUT_S
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if process.returncode is not None or perf_counter() > deadline:
                output = log.read_text(errors="replace")[-2000:]
                raise BenchmarkError(f"A server did not come up on port {port}:\n{output}") from None
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


async def stop(process: asyncio.subprocess.Process) -> None:
    """End a process, by SIGKILL when SIGTERM does not end it in time."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def until(condition: Callable[[], Awaitable[bool]], every_s: float) -> None:
    """Poll until a condition is true; it depends on another process, which can set no event here."""
    while not await condition():  # noqa: ASYNC110
        await asyncio.sleep(every_s)


class LoadGenerator:
    """`benchmarks.load` in a process of its own; does one job at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls) -> AsyncIterator[LoadGenerator]:
        """A load generator for the time of the block."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "benchmarks.load",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_SIZE_MAX_BYTES,
        )
        try:
            yield cls(process)
        finally:
            await stop(process)

    async def run(self, job: Job) -> Result:
        """Do a job; an unexpected response is an error of the benchmark."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(job) + b"\n")
        await self._process.stdin.drain()
        line = await self._process.stdout.readline()
        if not line:
            raise BenchmarkError("The load generator ended.")
        result = msgspec.json.decode(line, type=Result)
        if result.errors or not result.responses:
            raise BenchmarkError(
                f"{result.errors} of the responses were errors, the last one:\n{result.example_error}"
            )
        return result


class Memory(msgspec.Struct, frozen=True):
    """Memory of a process."""

    rss_bytes: int
    """Resident pages."""
    pss_bytes: int
    """The same, with shared pages divided among those that share them."""


def memory_of(pid: int) -> Memory | None:
    """Memory of a process from Linux; None on another system, or when the process ended."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return None
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in rollup.splitlines()[1:]}
    return Memory(rss_bytes=sizes["Rss"], pss_bytes=sizes["Pss"])


def descendants_of(pid: int) -> list[int]:
    """Children of a process, and theirs, at any depth."""
    descendants = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text().split()):
                descendants += [child, *descendants_of(child)]
    return descendants


def command_of(pid: int) -> str:
    """The command line of a process; empty when it ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
