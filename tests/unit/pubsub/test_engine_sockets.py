"""Ports, and unix sockets in deep folders."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hansa.core.clock import ManualClock, SystemClock
from hansa.core.errors import Code, Fatal, Unavailable
from hansa.pubsub.engine import (
    SocketFolder,
    free_port,
    free_ports,
    remove_stale_socket,
    require_free_port,
    wait_for_listener,
)


def deep(folder: Path) -> Path:
    """A folder whose path does not fit into a socket's address."""
    made = folder / ("d" * 100) / ("e" * 100)
    made.mkdir(parents=True)
    return made


@contextmanager
def listening(folder: Path, name: str) -> Iterator[None]:
    """A socket whose queue takes connections."""
    with SocketFolder(folder) as sockets, socket.socket(socket.AF_UNIX) as server:
        server.bind(sockets.path(name))
        server.listen()
        yield


async def test_a_socket_in_a_deep_folder_is_reached(tmp_path: Path) -> None:
    folder = deep(tmp_path)
    with listening(folder, "rpc.sock"):
        assert (folder / "rpc.sock").is_socket()
        await wait_for_listener(folder, "rpc.sock", SystemClock(), 1.0)


async def test_a_listener_that_comes_later_is_awaited(tmp_path: Path) -> None:
    clock = ManualClock()
    waiting = asyncio.create_task(wait_for_listener(tmp_path, "abci.sock", clock, 10.0))
    await clock.advance(1.0)
    assert not waiting.done()
    with listening(tmp_path, "abci.sock"):
        while not waiting.done():
            await clock.advance(0.1)
    await waiting


async def test_nobody_listens_is_said_in_time(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"abci\.sock") as raised:
        await wait_for_listener(tmp_path, "abci.sock", SystemClock(), 0.0)
    assert raised.value.code is Code.UNAVAILABLE


def test_only_long_paths_need_an_open_folder(tmp_path: Path) -> None:
    with SocketFolder(Path("/run/hansa")) as sockets:
        assert sockets.path("rpc.sock") == "/run/hansa/rpc.sock"
    with SocketFolder(deep(tmp_path)) as sockets:
        assert sockets.path("rpc.sock") == sockets.path("rpc.sock")
        assert len(os.fsencode(sockets.path("rpc.sock"))) <= 107
    with SocketFolder(tmp_path / ("x" * 200)) as sockets, pytest.raises(Fatal, match="cannot be opened"):
        sockets.path("rpc.sock")


def test_a_stale_socket_is_removed_and_nothing_else_is(tmp_path: Path) -> None:
    with SocketFolder(tmp_path) as sockets, socket.socket(socket.AF_UNIX) as stale:
        stale.bind(sockets.path("rpc.sock"))
    (tmp_path / "file").touch()
    for name in ("rpc.sock", "rpc.sock", "file"):
        remove_stale_socket(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.enable_socket
def test_free_ports_differ_and_are_free() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        require_free_port(port, "test")


@pytest.mark.enable_socket
def test_a_port_in_use_is_named_with_its_purpose() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(Fatal, match=f"Port {port} .the portal. is in use") as raised:
            require_free_port(port, "the portal")
    assert raised.value.code is Code.PORT_IN_USE


@pytest.mark.enable_socket
def test_an_address_of_another_machine_is_a_wrong_setting() -> None:
    with pytest.raises(Fatal, match=r"192\.0\.2\.1") as raised:
        require_free_port(free_port(), "the portal", "192.0.2.1")
    assert raised.value.code is Code.SETTINGS_INVALID
