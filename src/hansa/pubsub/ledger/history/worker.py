"""Takes segments from a folder, where another process puts them, into the state.

A segment is a file with its number as name. One that is refused is renamed, so that whoever put it there
fetches another one, from another member.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from structlog.typing import FilteringBoundLogger

from hansa.core.clock import Clock
from hansa.core.errors import Refused
from hansa.pubsub.ledger.commitments.tiles import TreeMissing
from hansa.pubsub.ledger.history.filling import HistoryFiller
from hansa.pubsub.ledger.history.segment import segment_of
from hansa.pubsub.ledger.sqlite_state import SqliteState

REFUSED: Final = ".refused"
IDLE_S: Final = 1.0
POLL_S: Final = 0.02


class HistoryWorker:
    """Fills the history of one state.

    Args:
        state: The ledger's.
        folder: Where segments come.
        clock: For pauses.
        logger: Gets what is refused, and when all is there.
    """

    def __init__(self, state: SqliteState, folder: Path, clock: Clock, logger: FilteringBoundLogger) -> None:
        self._filler = HistoryFiller(state)
        self._folder = folder
        self._clock = clock
        self._logger = logger
        self._was_missing = False

    async def run(self) -> None:
        """Fill, until cancelled.

        Raises:
            Fatal: The state cannot be written.
        """
        while True:
            number = self._next_number()
            if number is None:
                await self._clock.sleep(IDLE_S)
                continue
            is_there = False
            for pause_s in self._fill(number):
                is_there = True
                await (self._clock.sleep(pause_s) if pause_s else asyncio.sleep(0))
            if not is_there:
                await self._clock.sleep(POLL_S)

    def fill_next(self) -> bool:
        """Add the next segment at once, if it has come; whether there is one to wait for. Blocking.

        Raises:
            Fatal: The state cannot be written.
        """
        number = self._next_number()
        if number is None:
            return False
        for _ in self._fill(number):
            pass
        return True

    def _next_number(self) -> int | None:
        """Of the segment that is needed next; None when nothing is missing."""
        missing = self._filler.missing
        if missing is None and self._was_missing:
            self._logger.info("history_complete")
        self._was_missing = missing is not None
        return None if missing is None else segment_of(missing.first_position)

    def _fill(self, number: int) -> Iterator[float]:
        """Add a segment in slices, with pauses in seconds; none of them when it has not come."""
        path = self._folder / str(number)
        try:
            raw = path.read_bytes()
        except OSError:
            return
        yield 0.0
        try:
            yield from self._filler.fill(raw)
        except (Refused, TreeMissing) as error:
            self._logger.warning("history_segment_refused", number=number, reason=str(error))
            path.replace(path.with_name(f"{number}{REFUSED}"))
            return
        path.unlink(missing_ok=True)
