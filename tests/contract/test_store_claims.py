"""What every `Store` keeps of identifiers: what binds them, and entities whose claim is not committed yet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from hansa.core.errors import HansaError
from hansa.store import EntityDraft, Query, Store
from tests.contract.stores import ENGINES, delete, opened, put
from tests.unit.store.drafts import OFFERING, draft

NONCE = bytes(range(16))
REPLACE = msgspec.structs.replace


@pytest.fixture(params=ENGINES)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    async with opened(request.param) as one:
        yield one


def pending(id: str, **attributes: str) -> EntityDraft:
    """An entity that is to be public."""
    return REPLACE(draft(id, public=False, **attributes), is_pending=True)


async def rows(store: Store) -> list[tuple[str, str, bool]]:
    """Identifier, operation and whether it is pending, of the rows of the feed."""
    return [(row.entity_id, row.operation, row.is_pending) for row in await store.changes(0, 100)]


async def visible(store: Store, *, public_only: bool) -> tuple[tuple[str, ...], int]:
    """What a list shows, and the total."""
    page = await store.list(Query(OFFERING, public_only=public_only))
    return page.ids, page.total


async def test_a_nonce_outlasts_changes_deletion_and_creation_anew(store: Store) -> None:
    await put(store, REPLACE(draft("a"), nonce=NONCE))
    (changed,) = await put(store, draft("a", name="new"))
    assert changed.nonce == NONCE
    await delete(store, "a")
    (again,) = await put(store, draft("a"))
    assert again.nonce == NONCE
    await delete(store, "a")
    (other,) = await put(store, REPLACE(draft("a"), nonce=bytes(16)))
    assert other.nonce == NONCE
    assert other == await store.entity("a")


async def test_a_create_stores_the_nonce(store: Store) -> None:
    committed: asyncio.Future[HansaError | None] = asyncio.get_running_loop().create_future()
    created = await store.create(REPLACE(draft("a"), nonce=NONCE), committed)
    assert await committed is None
    assert created.nonce == NONCE
    assert created == await store.entity("a")


async def test_what_is_pending_is_in_no_list_and_no_count_of_what_is_public(store: Store) -> None:
    (written,) = await put(store, pending("a"))
    assert (written.public, written.pending) == (False, "create")
    assert written == await store.entity("a")
    assert await visible(store, public_only=True) == ((), 0)
    assert await visible(store, public_only=False) == (("a",), 1)
    assert await store.counts() == {(OFFERING, True, False): 1}
    assert [page async for page in store.scan(public_only=True)] == []


async def test_it_becomes_public_with_the_row_that_was_held_back(store: Store) -> None:
    await put(store, pending("a"))
    await put(store, pending("a", name="new"))
    (shown,) = await put(store, draft("a", name="new"))
    assert (shown.public, shown.pending, shown.revision) == (True, None, 3)
    assert await rows(store) == [("a", "create", True), ("a", "create", True), ("a", "create", False)]
    assert await visible(store, public_only=True) == (("a",), 1)
    (again,) = await put(store, draft("a", name="new"))
    assert again == shown
    await put(store, draft("a", name="newer"))
    assert (await rows(store))[-1] == ("a", "change", False)


async def test_pending_as_it_is_already_writes_nothing(store: Store) -> None:
    (first,) = await put(store, pending("a"))
    (again,) = await put(store, pending("a"))
    assert again == first
    assert len(await rows(store)) == 1


async def test_a_draft_that_was_known_becomes_public_with_its_change_of_state(store: Store) -> None:
    await put(store, draft("a", public=False, lifecycleStatus="In design"))
    await put(store, pending("a", lifecycleStatus="Launched"))
    await put(store, draft("a", lifecycleStatus="Launched"))
    assert await rows(store) == [("a", "create", False), ("a", "state", True), ("a", "state", False)]


async def test_a_pending_entity_that_becomes_private_again_is_made_known(store: Store) -> None:
    await put(store, pending("a", lifecycleStatus="Launched"))
    (written,) = await put(store, draft("a", public=False, lifecycleStatus="In design"))
    assert (written.public, written.pending) == (False, None)
    assert await rows(store) == [("a", "create", True), ("a", "create", False)]


async def test_the_deletion_of_what_nobody_heard_of_is_told_nobody(store: Store) -> None:
    await put(store, pending("a"), draft("b", public=False))
    await put(store, pending("b"))
    await delete(store, "a", "b")
    assert (await rows(store))[-2:] == [("a", "delete", True), ("b", "delete", False)]
