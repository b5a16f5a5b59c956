"""The thread that commits while the event loop goes on.

Handing over costs as much as several creates where it goes through futures and their locks, and is done for
every sixteen of them; so a queue leads to the thread, and a call of the loop back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

Ended = Callable[[BaseException | None], None]
"""Is told the reason why a commit failed, or None."""


class CommitThread:
    """Does one commit after the other."""

    def __init__(self, commit: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        self._commit = commit
        self._loop = loop
        self._asked: SimpleQueue[Ended | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="hansa-commit", daemon=True)
        self._thread.start()

    def start(self, ended: Ended) -> None:
        """Commit, and have the loop call `ended`."""
        self._asked.put(ended)

    def close(self) -> None:
        """Wait until the last commit has ended."""
        self._asked.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (ended := self._asked.get()) is not None:
            reason = None
            try:
                self._commit()
            except BaseException as error:  # noqa: BLE001 - whatever it is, the group has to hear it
                reason = error
            with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                self._loop.call_soon_threadsafe(ended, reason)
