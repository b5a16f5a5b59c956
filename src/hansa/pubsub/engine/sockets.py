"""Unix sockets in deep folders.

A socket's address holds 108 bytes, and a folder's path may be longer than that. A process that works in the
folder uses the bare name; everybody else goes through a descriptor of the folder, which Linux shows under a
short path.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from hansa.core.clock import Clock
from hansa.core.errors import Code, Fatal, Unavailable

ADDRESS_SIZE_MAX_BYTES: Final = 107
"""`sun_path` of unix(7) without its final zero byte."""

LISTENER_POLL_S: Final = 0.02

DESCRIPTORS: Final = Path("/proc/self/fd")


class SocketFolder:
    """An open folder whose sockets can be reached by short paths, for as long as it is open."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None

    def path(self, name: str) -> str:
        """A path of the socket `name` that fits into an address of *this* process; give it to no other.

        Raises:
            Fatal: `Code.SETTINGS_INVALID`, when the folder is not there, or its path is too long for a system
                without `/proc`.
        """
        plain = str(self._folder / name)
        if len(os.fsencode(plain)) <= ADDRESS_SIZE_MAX_BYTES:
            return plain
        if not DESCRIPTORS.is_dir():
            raise Fatal(
                Code.SETTINGS_INVALID,
                f"{self._folder} has too long a path for sockets; choose a shorter one.",
            )
        if self._descriptor is None:
            try:
                self._descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError as error:
                raise Fatal(
                    Code.SETTINGS_INVALID, f"{self._folder} cannot be opened: {error.strerror}."
                ) from error
        return f"{DESCRIPTORS}/{self._descriptor}/{name}"

    def close(self) -> None:
        """Close the folder."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


async def wait_for_listener(folder: Path, name: str, clock: Clock, timeout_s: float) -> None:
    """Wait until a process accepts connections on a socket. The check opens a connection and closes it.

    Raises:
        Unavailable: `Code.UNAVAILABLE`, when none does in time.
    """
    deadline_s = clock.monotonic() + timeout_s
    while True:
        with SocketFolder(folder) as sockets, contextlib.suppress(OSError):
            _, writer = await asyncio.open_unix_connection(sockets.path(name))
            writer.close()
            await writer.wait_closed()
            return
        if clock.monotonic() >= deadline_s:
            raise Unavailable(Code.UNAVAILABLE, f"Nothing listens on {folder / name} after {timeout_s:g} s.")
        await clock.sleep(LISTENER_POLL_S)


def remove_stale_socket(path: Path) -> None:
    """Remove what a killed process left behind; anything but a socket is not touched."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
