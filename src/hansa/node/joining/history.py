"""Fetches the history of a ledger that began with a snapshot, for the ledger application to check and to add.

A few segments at a time, in their order, from the other members in turn. A member that does not answer, or
whose segment the application refused, is left alone for a while. Memory holds a few segments, the disk a few
more; how long the history is makes no difference.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from structlog.typing import FilteringBoundLogger

from hansa.api.newcomers.history import HISTORY_PATH
from hansa.core.clock import Clock
from hansa.core.errors import HansaError, Unavailable
from hansa.core.http import HttpClient, HttpRequest
from hansa.pubsub.ledger.history.segment import SEGMENT_SIZE_MAX_BYTES, decompressed, segment_of
from hansa.pubsub.ledger.history.worker import REFUSED

AHEAD_MAX: Final = 6
"""Segments that wait in the folder."""
AT_ONCE_MAX: Final = 3
TIMEOUT_S: Final = 30.0
POLL_S: Final = 0.05
IDLE_S: Final = 5.0
AVOIDED_S: Final = 60.0


class MissingReads(Protocol):
    """What tells how far the history is."""

    async def missing_events(self) -> tuple[int, int] | None:
        """First and last position of what is missing; None when nothing is. Raises `Unavailable`."""


class HistoryFetcher:
    """Fetches for one member.

    Args:
        folder: Where segments go.
        reads: How far the history is.
        http: To the other members.
        endpoints: Of the other members.
        clock: For pauses.
        logger: Gets what fails.
    """

    def __init__(
        self,
        folder: Path,
        reads: MissingReads,
        http: HttpClient,
        endpoints: Callable[[], Sequence[str]],
        clock: Clock,
        logger: FilteringBoundLogger,
    ) -> None:
        self._folder = folder
        self._reads = reads
        self._http = http
        self._endpoints = endpoints
        self._clock = clock
        self._logger = logger
        self._avoided_until_s: dict[str, float] = {}
        self._sources: dict[int, str] = {}
        """Who gave the segments that wait."""
        self._turn = 0

    async def run(self) -> None:
        """Fetch, until cancelled."""
        while True:
            try:
                missing = await self._reads.missing_events()
            except Unavailable:
                missing = None
            if missing is None:
                self._sources.clear()
                await self._clock.sleep(IDLE_S)
                continue
            await self._fetch_some(segment_of(missing[0]), segment_of(missing[1]))
            await self._clock.sleep(POLL_S)

    async def _fetch_some(self, first: int, last: int) -> None:
        """Fetch the next segments that are not in the folder; those that were refused, from others."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        names = {path.name for path in self._folder.iterdir()}
        for name in names:
            number = name.removesuffix(REFUSED)
            if name != number and number.isdecimal():
                self._avoid(self._sources.pop(int(number), ""), "refused")
                (self._folder / name).unlink(missing_ok=True)
            elif not (name.isdecimal() and first <= int(name) <= first + AHEAD_MAX):
                (self._folder / name).unlink(missing_ok=True)
        needed = [one for one in range(first, min(first + AHEAD_MAX, last + 1)) if str(one) not in names]
        await asyncio.gather(*(self._fetch(number) for number in needed[:AT_ONCE_MAX]))

    async def _fetch(self, number: int) -> None:
        endpoint = self._next_endpoint()
        if endpoint is None:
            return
        request = HttpRequest(
            "GET",
            f"{endpoint}{HISTORY_PATH}/{number}",
            timeout_s=TIMEOUT_S,
            answer_size_max_bytes=SEGMENT_SIZE_MAX_BYTES,
        )
        try:
            answer = await self._http.send(request)
            if answer.status != 200:
                self._avoid(endpoint, f"answers {answer.status}")
                return
            raw = await asyncio.to_thread(decompressed, answer.body)
        except HansaError as error:
            self._avoid(endpoint, error.code)
            return
        partial = self._folder / f"{number}.partial"
        try:
            await asyncio.to_thread(partial.write_bytes, raw)
            partial.replace(self._folder / str(number))
        except OSError as error:
            self._logger.warning("history_segment_not_written", number=number, reason=str(error))
            return
        self._sources[number] = endpoint

    def _next_endpoint(self) -> str | None:
        now_s = self._clock.monotonic()
        usable = [one for one in self._endpoints() if self._avoided_until_s.get(one, 0.0) <= now_s]
        self._turn += 1
        return usable[self._turn % len(usable)] if usable else None

    def _avoid(self, endpoint: str, reason: str) -> None:
        if endpoint:
            self._logger.warning("history_source_avoided", endpoint=endpoint, reason=reason)
            self._avoided_until_s[endpoint] = self._clock.monotonic() + AVOIDED_S
