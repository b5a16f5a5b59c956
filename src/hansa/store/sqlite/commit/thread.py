"""The thread that commits while the event loop goes on.

Handing over through futures and their locks costs as much as several creates, and happens for every sixteen
of them; so a queue leads to the thread, and a call of the loop back. The thread has the interpreter's lock
before SQLite runs and after it, and each change of hands costs; so it does its work in few calls.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

CommitCallback = Callable[[BaseException | None], None]
"""Called with the reason why a commit failed, or None."""


class CommitThread:
    """Does one commit after the other."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._requests: SimpleQueue[tuple[Callable[[], None], CommitCallback] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="hansa-commit", daemon=True)
        self._thread.start()

    def start(self, commit: Callable[[], None], on_end: CommitCallback) -> None:
        """Commit, and have the loop call `on_end`."""
        self._requests.put((commit, on_end))

    def close(self) -> None:
        """Wait until the last commit has ended."""
        self._requests.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (request := self._requests.get()) is not None:
            commit, on_end = request
            reason = None
            try:
                commit()
            except BaseException as error:  # noqa: BLE001 - whatever it is, the group has to learn it
                reason = error
            with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                self._loop.call_soon_threadsafe(on_end, reason)
