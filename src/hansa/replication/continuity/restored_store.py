"""A store that was restored from a backup, and whose own entities the league knows in newer versions.

By itself, what is in the store is announced as the next version, whatever the league has meanwhile: the
operator may have restored the backup for that very reason. Where the operator says that the league's versions
are to be taken (`hansa restore FILE D --from-league`), the store says since when (`restored`), and

    reading     nothing is announced before the follower has read what the ledger has. An entity of which the
                ledger has a newer version is held: listed as lost in that version, and announced by nothing
                but a change that a client makes from then on. What the ledger has deleted is deleted here
    read        everything is announced as usual. What is held is taken from the other members by
                `hansa.replication.continuity.restoration`

What was written here since the restore wins over both.
"""

from __future__ import annotations

from functools import partial
from typing import Final, Literal

import msgspec
import structlog

from hansa.core.clock import Clock
from hansa.core.identifiers import Entropy, entity_key
from hansa.core.retry import Retry
from hansa.pubsub.bus import BusReads
from hansa.replication.publisher import PUBLISHER_CURSOR
from hansa.store import Change, Store
from hansa.store.sql import Readable
from hansa.store.tables import facts, publications
from hansa.store.tables.heads import FOLLOWER_CURSOR

LOOK_S: Final = 0.5
BACKOFF_MIN_S: Final = 0.1
BACKOFF_MAX_S: Final = 5.0
CHANGES_AT_ONCE: Final = 200

log = structlog.get_logger()


class Restored(msgspec.Struct, frozen=True):
    """That a store was restored, to take newer versions from the league."""

    since: str
    """When; RFC 3339, milliseconds."""
    state: Literal["reading", "read"] = "reading"


async def restored(source: Readable) -> Restored | None:
    """What the store says of that; None: it was not, or what it has is to be announced."""
    text = await facts.value(source, "restored")
    return None if text is None else msgspec.json.decode(text, type=Restored)


async def note_restored(store: Store, since: str) -> None:
    """Note that a store was restored, before anything is followed or announced."""
    async with store.transaction() as tx:
        await facts.record(tx, "restored", msgspec.json.encode(Restored(since)).decode())


class RestoredStore:
    """Holds announcing up until the ledger was read.

    Args:
        store: May have been restored.
        bus: Has the ledger.
        did: This member.
        clock: Between looks.
        entropy: For back-off.
    """

    def __init__(self, store: Store, bus: BusReads, did: str, clock: Clock, entropy: Entropy) -> None:
        self._store = store
        self._bus = bus
        self._did = did
        self._clock = clock
        self._retry = Retry("restored store", clock, entropy, BACKOFF_MIN_S, BACKOFF_MAX_S)

    async def wait_until_read(self) -> None:
        """Return when own entities may be announced: at once, in a store that was not restored."""
        while (state := await restored(self._store)) is not None and state.state == "reading":
            ledger = await self._retry(self._bus.ledger)
            followed_to = await self._store.cursor(FOLLOWER_CURSOR)
            if ledger.catching_up or not ledger.height or followed_to < ledger.position:
                await self._clock.sleep(LOOK_S)
                continue
            while await self._retry(partial(self._pass_over_part, state.since)):
                pass
            await self._retry(partial(self._end, state.since))
            log.info("restored_store_has_read", position=ledger.position)

    async def _pass_over_part(self, since: str) -> bool:
        """Pass over changes that the backup had not announced: they are due, or held; False: none is left."""
        cursor = await self._store.cursor(PUBLISHER_CURSOR)
        changes = await self._store.changes(cursor, CHANGES_AT_ONCE)
        earlier = [one for one in changes if one.time < since]
        if not earlier:
            return False
        rows = {one.entity_id: self._row(one) for one in earlier if one.origin is None}
        async with self._store.transaction() as tx:
            lost = await publications.lost_of(tx, [key for _, key, _ in rows.values()])
            await publications.note(tx, rows.values())
            await publications.mark_due(tx, rows)
            for one in lost:
                await publications.record_lost(tx, one, is_deleted=False)  # a row of its chain has ended that
            await tx.set_cursor(PUBLISHER_CURSOR, earlier[-1].seq)
        return len(earlier) == len(changes)

    def _row(self, change: Change) -> tuple[str, str, str]:
        return change.entity_id, entity_key(self._did, change.entity_id), change.type

    async def _end(self, since: str) -> None:
        async with self._store.transaction() as tx:
            await facts.record(tx, "restored", msgspec.json.encode(Restored(since, "read")).decode())
