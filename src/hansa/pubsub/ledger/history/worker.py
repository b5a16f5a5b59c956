"""Takes segments from a folder, where another process puts them, into the state.

A segment is a file with its number as name. One that is refused is renamed, so that whoever put it there
fetches another one, from another member.
"""

from __future__ import annotations

import asyncio
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

    async def run(self) -> None:
        """Fill, until cancelled.

        Raises:
            Fatal: The state cannot be written.
        """
        was_missing = False
        while True:
            missing = self._filler.missing
            if missing is None:
                if was_missing:
                    self._logger.info("history_complete")
                was_missing = False
                await self._clock.sleep(IDLE_S)
                continue
            was_missing = True
            if not await self._fill_next(segment_of(missing.first_position)):
                await self._clock.sleep(POLL_S)

    async def _fill_next(self, number: int) -> bool:
        """Add a segment, if it has come; whether it had."""
        path = self._folder / str(number)
        try:
            raw = path.read_bytes()
        except OSError:
            return False
        try:
            for _ in self._filler.fill(raw):
                await asyncio.sleep(0)
        except (Refused, TreeMissing) as error:
            self._logger.warning("history_segment_refused", number=number, reason=str(error))
            path.replace(path.with_name(f"{number}{REFUSED}"))
            return True
        path.unlink(missing_ok=True)
        return True
