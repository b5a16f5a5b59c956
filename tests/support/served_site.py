"""An application at an address of this machine, served by a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Self

import uvicorn

from tests.support.asgi import Application


class ServedSite:
    """Answers inside of a `with`; what it serves, its `run` makes and hands to `serve`."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self.run()), daemon=True)

    def __enter__(self) -> Self:
        """Return when it answers."""
        self._thread.start()
        assert self._ready.wait(60), "the site did not start"
        return self

    def __exit__(self, *_: object) -> None:
        """Return when it has ended."""
        self._server.should_exit = True
        self._thread.join(30)

    async def run(self) -> None:
        """Make an application, serve it, and close what it had open; in the loop of the thread."""
        raise NotImplementedError

    async def serve(self, application: Application) -> None:
        """Serve an application until the site is stopped."""
        config = uvicorn.Config(application, log_level="error", lifespan="off")
        self._server = uvicorn.Server(config)
        self._ready.set()
        await self._server.serve([self._socket])
