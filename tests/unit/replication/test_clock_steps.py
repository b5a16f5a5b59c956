"""The clock of the machine is set back: what was to happen by the time before happens all the same."""

from __future__ import annotations

import asyncio

from hansa.core.access import Caller
from hansa.store.tables.writes import queued_writes
from tests.support.forwarding import ForwardingLeague, write_to


async def test_a_write_that_waits_for_a_clock_that_was_set_back_is_sent_all_the_same() -> None:
    async with ForwardingLeague() as league:
        path = await league.shared_offering()
        origin, other = league.members
        caller = Caller("ada", frozenset({"provider"}))
        write = write_to(path, path.rpartition("/")[2], "queued")
        queued = await other.queue.add(origin.did, write, caller)
        row = await other.queue.monitor(queued.id, caller)
        assert row is not None
        async with other.marketplace.store.transaction() as tx:
            tomorrow_ms = row.due_ms + 86_400_000
            await queued_writes.postpone(tx, queued.id, 1, tomorrow_ms, "unavailable", "It was away.")
        running = asyncio.create_task(other.queue.run())
        await league.league.run(120, 1.0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        sent = await other.queue.monitor(queued.id, caller)
        assert sent is not None
        assert sent.state == "done"
