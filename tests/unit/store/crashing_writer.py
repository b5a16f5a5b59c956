"""Writes without end to the store given as argument, and says on standard output what is durable."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from hansa.core.clock import SystemClock
from hansa.core.limits import Limits
from hansa.store.sqlite.store import SqliteStore
from tests.unit.store.drafts import draft


async def write(store: SqliteStore, worker: int) -> None:
    """Two entities and a cursor per transaction."""
    n = await store.cursor(f"worker-{worker}") + 1
    while True:
        async with store.transaction() as tx:
            name = f"{worker}-{n}"
            await tx.put(draft(f"{name}-a", lifecycleStatus="Launched", category=[{"id": f"c{n % 3}"}]))
            await tx.put(draft(f"{name}-b", description="x" * 3000))
            await tx.set_cursor(f"worker-{worker}", n)
        print(name, flush=True)  # noqa: T201 - the acknowledgement
        n += 1


async def main() -> None:
    """Eight writers at once."""
    store = await SqliteStore.open(Path(sys.argv[1]), SystemClock(), Limits())
    await asyncio.gather(*(write(store, k) for k in range(8)))


asyncio.run(main())
