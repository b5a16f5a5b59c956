"""Small entities for tests of the store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import Clock, ManualClock
from hansa.core.limits import Limits
from hansa.store import EntityDraft
from hansa.store.index.plan import IndexPlan
from hansa.store.sqlite.store import SqliteStore

OFFERING = "ProductOffering"


def draft(
    id: str,
    type: str = OFFERING,
    *,
    public: bool = True,
    origin: str | None = None,
    parent: str | None = None,
    **attributes: Any,
) -> EntityDraft:
    """An entity with these attributes."""
    body = canonical_json({"id": id, "@type": type, **attributes})
    return EntityDraft(id, type, body, hashlink(body), public, origin, parent)


@asynccontextmanager
async def opened(
    path: Path | None = None,
    limits: Limits | None = None,
    *,
    plan: IndexPlan | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[SqliteStore]:
    """A store that is closed at the end."""
    store = await SqliteStore.open(path, clock or ManualClock(), limits or Limits(), plan=plan or {})
    try:
        yield store
    finally:
        await store.close()


async def put(store: SqliteStore, *drafts: EntityDraft) -> None:
    """Write entities in one transaction."""
    async with store.transaction() as tx:
        for one in drafts:
            await tx.put(one)


async def fill_index(store: SqliteStore) -> None:
    """Have the rows of the index that wait put into their table."""
    while store._index_tail:
        await store._start_index_fill()
