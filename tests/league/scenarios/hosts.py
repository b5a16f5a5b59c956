"""Where the members of a scenario live: all on this machine's loopback, or each in a namespace of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from hansa.node.folder.demo_league import HOST
from tests.golden.environments import TOP
from tests.league.harness import free_base_port
from tests.league.scenarios.manifest import Network

HTTP_PORT: Final = 8000
P2P_PORT: Final = 26_656
WIRE: Final = ("-m", "tests.league.scenarios.wire")


class NamespacesMissing(Exception):
    """This machine lets nobody make network namespaces with TUN devices."""


class Place(msgspec.Struct, frozen=True):
    """Where a member listens."""

    host: str
    http_port: int
    p2p_port: int
    launcher: tuple[str, ...] = ()
    """What its command line begins with."""


class Net:
    """The network between the members."""

    def __init__(self, places: Sequence[Place], wire: asyncio.subprocess.Process | None = None) -> None:
        self.places = tuple(places)
        self._wire = wire

    async def degrade(self, members: Iterable[int], loss: float, delay_ms: float) -> None:
        """Have packets of some members lost and late; `0, 0` ends it."""
        await self._order({"hosts": sorted(members), "loss": loss, "delay_ms": delay_ms})

    async def partition(self, groups: Sequence[Sequence[int]]) -> None:
        """Part groups from each other; none: all are connected."""
        await self._order({"groups": groups})

    async def _order(self, order: dict[str, Any]) -> None:
        assert self._wire is not None, "there is a wire in namespaces alone"
        assert self._wire.stdin is not None
        assert self._wire.stdout is not None
        self._wire.stdin.write(msgspec.json.encode(order) + b"\n")
        await self._wire.stdin.drain()
        assert await self._wire.stdout.readline() == b"done\n", "the wire has ended"


@contextlib.asynccontextmanager
async def network(kind: Network, members: int) -> AsyncIterator[Net]:
    """A network for so many members.

    Raises:
        NamespacesMissing: when it cannot be made here.
    """
    if kind == "loopback":
        base_port = free_base_port(2 * members)
        yield Net([Place(HOST, base_port + k, base_port + members + k) for k in range(1, members + 1)])
        return
    reason = namespaces_missing()
    if reason:
        raise NamespacesMissing(reason)
    number = os.getpid()
    subnet = f"10.{128 + number % 64}.{number // 64 % 256}"
    names = [f"hansa-{number}-{k}" for k in range(1, members + 1)]
    async with contextlib.AsyncExitStack() as stack:
        for name in names:
            run_ip("netns", "add", name)
            stack.callback(run_ip, "netns", "del", name)
            run_ip("-n", name, "link", "set", "lo", "up")
        wire = await asyncio.create_subprocess_exec(
            sys.executable,
            *(*WIRE, subnet, f"hw{number}", *names),
            cwd=TOP,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        stack.push_async_callback(end_wire, wire)
        assert wire.stdout is not None
        assert await wire.stdout.readline() == b"ready\n", "the wire does not begin"
        yield Net(
            [
                Place(f"{subnet}.{k}", HTTP_PORT, P2P_PORT, ("ip", "netns", "exec", name))
                for k, name in enumerate(names, 1)
            ],
            wire,
        )


def namespaces_missing() -> str:
    """Why there are no namespaces here; empty when there are."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces need Linux and root"
    if shutil.which("ip") is None:
        return "network namespaces need iproute2"
    return "" if Path("/dev/net/tun").exists() else "there is no /dev/net/tun"


def run_ip(*arguments: str) -> None:
    """`ip` with arguments."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)  # noqa: S607
    if done.returncode != 0:
        raise NamespacesMissing(done.stderr.strip())


async def end_wire(wire: asyncio.subprocess.Process) -> None:
    """Cut it."""
    assert wire.stdin is not None
    wire.stdin.close()
    await wire.wait()
