"""Every implementation of the store, opened for tests of its contract."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal, get_args

from hansa.core.clock import Clock, ManualClock
from hansa.core.errors import HansaError
from hansa.core.limits import Limits
from hansa.store import Entity, EntityDraft, Store
from hansa.store.index.plan import CollectionPlan, IndexPlan
from hansa.store.memory.store import MemoryStore
from hansa.store.sqlite.store import SqliteStore

Engine = Literal["sqlite", "memory"]
ENGINES: Final[tuple[Engine, ...]] = get_args(Engine)

PLAN: Final[IndexPlan] = {
    "ProductOffering": CollectionPlan(
        indexed=(("category", "id"),), references=(("category", "id"), ("productSpecification", "id"))
    ),
    "Topic": CollectionPlan(status=None),
}


async def open_store(engine: Engine, limits: Limits | None = None, clock: Clock | None = None) -> Store:
    """An empty store."""
    clock, limits = clock or ManualClock(), limits or Limits()
    if engine == "memory":
        return MemoryStore(clock, limits, plan=PLAN)
    return await SqliteStore.open(None, clock, limits, plan=PLAN)


@asynccontextmanager
async def opened(
    engine: Engine, limits: Limits | None = None, clock: Clock | None = None
) -> AsyncIterator[Store]:
    """An empty store, closed at the end."""
    store = await open_store(engine, limits, clock)
    try:
        yield store
    finally:
        await store.close()


async def put(store: Store, *drafts: EntityDraft) -> tuple[Entity, ...]:
    async with store.transaction() as tx:
        return tuple([await tx.put(one) for one in drafts])


async def delete(store: Store, *ids: str) -> None:
    async with store.transaction() as tx:
        for each in ids:
            await tx.delete(each)


async def create(store: Store, one: EntityDraft) -> Entity:
    committed: asyncio.Future[HansaError | None] = asyncio.get_running_loop().create_future()
    entity = await store.create(one, committed)
    if (failure := await committed) is not None:
        raise failure
    return entity


async def fail(store: Store, *drafts: EntityDraft) -> None:
    """A transaction that writes, and is undone by its exception."""
    async with store.transaction() as tx:
        for one in drafts:
            await tx.put(one)
        await asyncio.sleep(0)
        raise LookupError
